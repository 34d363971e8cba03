//! What may live in shared memory, and how two programs make sure that they mean the same type.
#![allow(unsafe_code, reason = "the ShmSafe contract of each type is stated here")]

use crate::atomic::{Atomic, AtomicElement};
use crate::sync::{Barrier, Condvar, Event, Mutex, Once, ReentrantMutex, RwLock, Semaphore};
use half::{bf16, f16};
use num_complex::Complex;
use std::fmt::Write;
use std::marker::PhantomData;

/// A type whose values can lie in memory that other processes map.
///
/// Derive it for a struct: `#[derive(ShmSafe)]` checks every field and describes it. For a type of another
/// crate that is `bytemuck::Pod`, one line in a wrapper's crate does: `unsafe impl ShmSafe for Stats {}`; but
/// then two programs compare its name and its size only.
///
/// # Safety
///
/// 1. The type is `#[repr(C)]` or `#[repr(transparent)]`, of fixed width, and has no pointer, reference,
///    handle or `usize`: these mean something in one process only.
/// 2. Any bytes are a value of it, so that what a killed process has written half is wrong, perhaps, but not
///    undefined behaviour. That excludes `bool`, `char`, enums and `NonZero` types.
/// 3. It has no destructor: nobody would know when to run it.
/// 4. Through a shared reference it changes by atomic operations or under one of the locks of
///    [`sync`](crate::sync) only. That excludes `Cell`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot live in shared memory",
    label = "other processes cannot use this",
    note = "numbers, arrays of them, `Atomic<T>`, and the locks of `crossdock::sync` can",
    note = "instead of a `String` or `Vec`: an array of fixed length, or a `Value` with a slice; instead of \
            `usize`: `u64`; instead of `bool`: `Atomic<bool>` or `u8`",
    note = "a struct of your own can with `#[derive(ShmSafe)] #[repr(C)]`"
)]
pub unsafe trait ShmSafe: Send + Sync {
    /// Says what the type is made of. The default is its name without the path, since two programs may have
    /// the same type in different modules.
    fn describe(layout: &mut TypeLayout) {
        layout.name(std::any::type_name::<Self>());
    }
}

/// What a type is made of, as text for people and as a hash for comparison.
///
/// # Examples
///
/// ```
/// use crossdock_core::shm_safe::TypeLayout;
///
/// let layout = TypeLayout::of::<[f64; 3]>();
/// assert_eq!(layout.text(), "[f64; 3]");
/// assert_ne!(layout.hash(), TypeLayout::of::<[f32; 3]>().hash());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeLayout {
    text: String,
}

impl TypeLayout {
    /// The layout of a type.
    #[must_use]
    pub fn of<T: ?Sized + ShmSafe>() -> Self {
        let mut layout = Self { text: String::new() };
        T::describe(&mut layout);
        layout
    }

    /// What is known of a type that travels as bytes: its name, with or without paths.
    #[must_use]
    pub fn of_name(path: &str) -> Self {
        let mut layout = Self { text: String::new() };
        layout.name(path);
        layout
    }

    /// The text: `Stats { count: u64 @0, sum: f64 @8 } (16 bytes, aligned to 8)`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A hash of the text, and so of names, sizes, alignments and places of all that the type is made of.
    #[must_use]
    pub fn hash(&self) -> u64 {
        hash_of(&self.text)
    }

    /// Adds a name, without the paths in it: two programs may have the same type in different modules.
    pub fn name(&mut self, path: &str) {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let mut rest = path;
        while let Some(first) = rest.chars().next() {
            let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len()).max(first.len_utf8());
            let (text, after) = rest.split_at(word);
            match after.strip_prefix("::") {
                Some(after) if is_word(first) => rest = after,
                _ => {
                    self.text.push_str(text);
                    rest = after;
                }
            }
        }
    }

    /// Adds a struct whose fields `fields` adds.
    pub fn structure<T>(&mut self, name: &str, fields: impl FnOnce(&mut Fields<'_>)) {
        self.name(name);
        self.text.push_str(" {");
        fields(&mut Fields { layout: self, is_first: true });
        let (size, alignment) = (size_of::<T>(), align_of::<T>());
        // Writing to a string cannot fail.
        let _ = write!(self.text, " }} ({size} bytes, aligned to {alignment})");
    }

    /// Adds `before`, the layout of a type, and `after`.
    fn around<T: ?Sized + ShmSafe>(&mut self, before: &str, after: &str) {
        self.text.push_str(before);
        T::describe(self);
        self.text.push_str(after);
    }
}

/// FNV-1a with 64 bits (Fowler, Noll, Vo: <https://datatracker.ietf.org/doc/rfc9923/>).
#[must_use]
pub fn hash_of(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The fields of a struct, in the order in which they lie.
#[derive(Debug)]
pub struct Fields<'a> {
    layout: &'a mut TypeLayout,
    is_first: bool,
}

impl Fields<'_> {
    /// Adds a field.
    pub fn field<T: ShmSafe>(&mut self, name: &str, offset: usize) {
        let is_first = std::mem::take(&mut self.is_first);
        self.layout.text.push_str(if is_first { " " } else { ", " });
        self.layout.text.push_str(name);
        self.layout.around::<T>(": ", "");
        // Writing to a string cannot fail.
        let _ = write!(self.layout.text, " @{offset}");
    }
}

macro_rules! plain {
    ($($type:ty)+) => {$(
        // SAFETY: numbers: fixed width, any bytes, no destructor, no interior mutability.
        unsafe impl ShmSafe for $type {
            fn describe(layout: &mut TypeLayout) {
                layout.name(stringify!($type));
            }
        }
    )+};
}

plain!(u8 u16 u32 u64 i8 i16 i32 i64 f32 f64 f16 bf16 Complex<f32> Complex<f64> ());

// SAFETY: `#[repr(transparent)]`, a number that only atomic operations change; any bytes are a value, of
// `Atomic<bool>` too.
unsafe impl<T: AtomicElement> ShmSafe for Atomic<T> {
    fn describe(layout: &mut TypeLayout) {
        layout.name(&format!("Atomic<{}>", T::DTYPE));
    }
}

// SAFETY: no bytes at all.
unsafe impl<T: ?Sized + Send + Sync> ShmSafe for PhantomData<T> {}

// SAFETY: an array is `#[repr(C)]` and has every property that its items have.
unsafe impl<T: ShmSafe, const N: usize> ShmSafe for [T; N] {
    fn describe(layout: &mut TypeLayout) {
        layout.around::<T>("[", &format!("; {N}]"));
    }
}

// SAFETY: as for an array.
unsafe impl<T: ShmSafe> ShmSafe for [T] {
    fn describe(layout: &mut TypeLayout) {
        layout.around::<T>("[", "]");
    }
}

/// Locks around a value.
macro_rules! locks {
    ($($lock:ident)+) => {$(
        // SAFETY: `#[repr(C)]`, atomics and the value; any bytes are a state that the lock copes with, no
        // destructor, and the value changes under the lock.
        unsafe impl<T: ?Sized + ShmSafe> ShmSafe for $lock<T> {
            fn describe(layout: &mut TypeLayout) {
                layout.around::<T>(concat!(stringify!($lock), "<"), ">");
            }
        }
    )+};
}

locks!(Mutex RwLock ReentrantMutex);

/// Types that threads meet at.
macro_rules! meeting_points {
    ($($type:ident)+) => {$(
        // SAFETY: `#[repr(C)]` and made of atomics; any bytes are a state that it copes with.
        unsafe impl ShmSafe for $type {
            fn describe(layout: &mut TypeLayout) {
                layout.name(stringify!($type));
            }
        }
    )+};
}

meeting_points!(Condvar Event Once);

/// Meeting points with room for `N`.
macro_rules! meeting_points_of {
    ($($type:ident)+) => {$(
        // SAFETY: `#[repr(C)]` and made of atomics; any bytes are a state that it copes with.
        unsafe impl<const N: usize> ShmSafe for $type<N> {
            fn describe(layout: &mut TypeLayout) {
                layout.name(&format!("{}<{N}>", stringify!($type)));
            }
        }
    )+};
}

meeting_points_of!(Semaphore Barrier);

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[repr(C)]
    struct Stats {
        count: u64,
        sums: [f32; 2],
    }

    // SAFETY: two plain fields without padding.
    unsafe impl ShmSafe for Stats {
        fn describe(layout: &mut TypeLayout) {
            layout.structure::<Self>("a::b::Stats", |fields| {
                fields.field::<u64>("count", std::mem::offset_of!(Self, count));
                fields.field::<[f32; 2]>("sums", std::mem::offset_of!(Self, sums));
            });
        }
    }

    #[repr(C)]
    struct Opaque<T>(T);

    // SAFETY: as its field.
    unsafe impl<T: ShmSafe> ShmSafe for Opaque<T> {}

    fn text<T: ?Sized + ShmSafe>() -> String {
        TypeLayout::of::<T>().text().to_owned()
    }

    #[test]
    fn a_layout_says_all_that_two_programs_must_agree_on() {
        let stats = "Stats { count: u64 @0, sums: [f32; 2] @8 } (16 bytes, aligned to 8)";
        assert_eq!(text::<Stats>(), stats);
        assert_eq!(text::<Mutex<[Stats]>>(), format!("Mutex<[{stats}]>"));
        assert_eq!(text::<RwLock<[Complex<f64>; 3]>>(), "RwLock<[Complex<f64>; 3]>");
        assert_eq!(text::<[Atomic<bool>]>(), "[Atomic<bool>]");
        assert_eq!(text::<Semaphore<8>>(), "Semaphore<8>");
        assert_eq!(text::<Event>(), "Event");
        assert_eq!(text::<PhantomData<Stats>>(), "PhantomData<Stats>");
    }

    #[test]
    fn a_change_deep_inside_changes_the_hash() {
        /// A `Stats` of another program.
        struct Other<T>(T);
        // SAFETY: nobody makes a value of it.
        unsafe impl<T: ShmSafe> ShmSafe for Other<T> {
            fn describe(layout: &mut TypeLayout) {
                layout.structure::<[u64; 2]>("Stats", |fields| {
                    fields.field::<u64>("count", 0);
                    fields.field::<T>("sums", 8);
                });
            }
        }
        let hash = TypeLayout::of::<[Mutex<[Stats; 4]>; 2]>().hash();
        assert_eq!(hash, TypeLayout::of::<[Mutex<[Other<[f32; 2]>; 4]>; 2]>().hash());
        assert_ne!(hash, TypeLayout::of::<[Mutex<[Other<[u32; 2]>; 4]>; 2]>().hash());
        assert_ne!(hash, TypeLayout::of::<[Mutex<[Other<f64>; 4]>; 2]>().hash());
        assert_ne!(hash, TypeLayout::of::<[Mutex<[Stats; 5]>; 2]>().hash());
        assert_ne!(hash, TypeLayout::of::<[RwLock<[Stats; 4]>; 2]>().hash());
    }

    #[test]
    fn paths_do_not_count_and_everything_else_does() {
        assert_eq!(text::<Opaque<Opaque<u64>>>(), "Opaque<Opaque<u64>>");
        let mut layout = TypeLayout { text: String::new() };
        layout.name("<a::B as c::d::E<[u8; 4]>>::F<(x::Y, &'static z)>");
        assert_eq!(layout.text(), "<B as E<[u8; 4]>>::F<(Y, &'static z)>");
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        let hash = |text: &str| TypeLayout { text: text.to_owned() }.hash();
        assert_eq!(hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash("foobar"), 0x8594_4171_f739_67e8);
    }
}
