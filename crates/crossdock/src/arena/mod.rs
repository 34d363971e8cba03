//! Where arrays live: each process allocates from regions of its own.
//!
//! Others map the regions read-only, or read-write where an [`ArrayMut`](crate::ArrayMut) has been
//! handed to them. Chunks up to 64 MiB come in size classes and are reused for ever; a larger array has
//! a region to itself, which is kept for the next one as long as [`set_cache_max`] allows.
//!
//! # Examples
//!
//! ```
//! use crossdock::{Array, ArrayMut, arena};
//!
//! drop(ArrayMut::<f32>::zeroed(1 << 20)?);
//! let again = ArrayMut::<f32>::zeroed(1 << 20)?; // the same memory
//! let stats = arena::stats()?;
//! assert_eq!((stats.fresh_arrays, stats.recycled_arrays), (1, 1));
//! drop(again);
//! assert!(arena::trim()? >= 4 << 20);
//! # Ok::<(), crossdock::Error>(())
//! ```

mod class;
pub(crate) mod lease;
pub(crate) mod map;
pub(crate) mod own;

pub use own::ArenaStats;

use crate::error::Result;
use crate::member::Member;

/// What the arena of this process has taken and what is in use.
///
/// # Errors
///
/// When this process cannot join the directory of names.
pub fn stats() -> Result<ArenaStats> {
    let member = Member::current()?;
    Ok(member.own_arena()?.stats(member))
}

/// Gives idle memory of arrays of 1 MiB and more back to the system; returns the bytes.
///
/// # Errors
///
/// When this process cannot join the directory of names.
pub fn trim() -> Result<u64> {
    let member = Member::current()?;
    Ok(member.own_arena()?.trim(member))
}

/// Bytes of idle memory of arrays over 64 MiB that are kept for the next ones; 1 GiB at first.
pub fn set_cache_max(bytes: u64) {
    own::set_cache_max(bytes);
}

/// Whether new regions have all their pages made present at once, so that the first write of an array
/// does not wait for the kernel page by page; `true` at first.
pub fn set_prefault(is_prefaulted: bool) {
    own::set_prefault(is_prefaulted);
}

/// Whether huge pages are asked for in new regions; `false` at first. [`stats`] says what came of it.
pub fn set_huge_pages(is_huge: bool) {
    own::set_huge_pages(is_huge);
}
