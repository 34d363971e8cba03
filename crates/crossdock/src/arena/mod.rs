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
mod limits;
pub(crate) mod map;
pub(crate) mod own;
mod queues;

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
    limits::set_cache_max(bytes);
}

/// Bytes that the arena of this process may take from the system, for arrays in use and idle ones together;
/// no limit at first. Its tables, 128 bytes for each array, are not counted.
///
/// An array that would need more gives idle memory back first, as [`trim`] does. If that is not enough, it
/// fails with `LimitExceeded`. What has been taken before is not taken away.
///
/// # Examples
///
/// ```
/// use crossdock::{ArrayMut, ErrorKind, arena};
///
/// arena::set_max_bytes(8 << 20);
/// let first = ArrayMut::<u8>::zeroed(6 << 20)?;
/// let error = ArrayMut::<u8>::zeroed(3 << 20).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::LimitExceeded);
/// drop(first);
/// ArrayMut::<u8>::zeroed(3 << 20)?; // the memory of the first goes back to the system
/// assert_eq!(arena::stats()?.reserved_bytes, 3 << 20);
/// # Ok::<(), crossdock::Error>(())
/// ```
pub fn set_max_bytes(bytes: u64) {
    limits::set_max(bytes);
}

/// Whether new regions have all their pages made present at once, so that the first write of an array
/// does not wait for the kernel page by page; `true` at first.
pub fn set_prefault(is_prefaulted: bool) {
    limits::set_prefault(is_prefaulted);
}

/// Whether huge pages are asked for in new regions; `false` at first. [`stats`] says what came of it.
///
/// They come if the file system of the directory of names gives them (`mount -o remount,huge=advise
/// /dev/shm`), to regions of 2 MiB and more, whose memory is then made present at once. Filling an array for
/// the first time is ten times as fast with them.
pub fn set_huge_pages(is_huge: bool) {
    limits::set_huge(is_huge);
}
