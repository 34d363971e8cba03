//! The derive macro of crossdock. Use it as `crossdock::ShmSafe`.

mod attributes;
mod expand;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `ShmSafe` for a struct, so that its values can live in shared memory.
///
/// What the compiler then checks:
///
/// * The struct is `#[repr(C)]` or `#[repr(transparent)]`, and not packed.
/// * Every field is `ShmSafe`: no pointer, no `usize`, no `bool`, no `String`.
/// * It has no destructor.
///
/// Enums and unions are refused. The names, types and places of the fields, all the way down, become the
/// layout that two programs must agree on to share a value.
///
/// `#[shm_safe(crate = path)]` says where crossdock is, for those who re-export it.
///
/// # Examples
///
/// ```
/// use crossdock::{Atomic, ShmSafe, TypeLayout, Value, sync::Mutex};
///
/// #[derive(ShmSafe)]
/// #[repr(C)]
/// struct Stats {
///     frames: Atomic<u64>,
///     means: Mutex<[f32; 2]>,
/// }
///
/// let layout = TypeLayout::of::<Stats>();
/// let text = "Stats { frames: Atomic<u64> @0, means: Mutex<[f32; 2]> @8 } (24 bytes, aligned to 8)";
/// assert_eq!(layout.text(), text);
///
/// let stats = Stats { frames: Atomic::new(0), means: Mutex::new([0.5, 1.5]) };
/// let stats = Value::create("stats-docs", stats)?;
/// stats.means.lock()?[0] = 0.25;
/// # Ok::<(), crossdock::Error>(())
/// ```
///
/// A generic struct can live in shared memory if its fields can:
///
/// ```
/// use crossdock::ShmSafe;
///
/// #[derive(ShmSafe)]
/// #[repr(C)]
/// struct Range<T> {
///     start: T,
///     end: T,
/// }
///
/// fn check<T: ShmSafe>() {}
/// check::<Range<[i32; 3]>>();
/// ```
#[proc_macro_derive(ShmSafe, attributes(shm_safe))]
pub fn derive_shm_safe(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::shm_safe(&input).unwrap_or_else(|error| error.into_compile_error()).into()
}
