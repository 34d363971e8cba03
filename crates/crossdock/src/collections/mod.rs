//! A map and a list in shared memory, that grow, and that any number of processes change at once.
//!
//! [`SharedMap`] and [`SharedList`] are what Python's `Manager().dict()` and `Manager().list()` are asked for, without a
//! server process: an access is a lock and a few loads in memory that every process has mapped.
//!
//! ```
//! use crossdock::SharedMap;
//!
//! let words = SharedMap::<String, u64>::create("words-docs")?;
//! for word in "to be or not to be".split(' ') {
//!     words.update(word, |count| Some(count.unwrap_or(0) + 1))?; // one step, whoever else counts
//! }
//! assert_eq!(words.get("be")?, Some(2));
//! # Ok::<(), crossdock::Error>(())
//! ```
//!
//! # What is in it
//!
//! Keys, values and items are any serde types. What lies in memory are their bytes, so what is got is a copy: to change a
//! value, [`update`](SharedMap::update) it. A key or value of more than 1 MiB is refused; its numbers belong into an
//! [`Array`](crate::Array).
//!
//! # When a process dies
//!
//! It may be killed at any instruction. Then what it was doing has happened or has not, nothing else has changed, and no
//! memory is lost. Whoever next needs the part that it was changing waits up to 25 ms until it is found dead, and puts the
//! bookkeeping of that part in order. Of a call that makes many changes (`SharedMap`'s `extend`, `retain` and `clear`) the
//! first ones have happened then.
//!
//! # When a process forks
//!
//! The child goes on with the maps and lists of its parent: it becomes another process among those that use them, or gets
//! the error that says why it cannot, such as [`TooManyPeers`](crate::ErrorKind::TooManyPeers). A child that is forked by a
//! closure does not have the lock under which the closure runs. If it goes on behind the closure, the call changes nothing
//! there and is an error ([`Forked`](crate::ErrorKind::Forked)).
//!
//! # When bytes are damaged
//!
//! What another process wrote where it must not is an error ([`Corrupt`](crate::ErrorKind::Corrupt)) or another value, and
//! never a crash. Who changes a part whose bookkeeping is damaged makes it anew. What holds an entry or an item stays
//! damaged until that, or all, is removed: `clear` looks at nothing.
//!
//! # Memory
//!
//! It grows as needed, up to [`CollectionOptions::bytes_max`]. All memory is taken when it grows, so a full file system is
//! [`ErrorKind::NoSpace`](crate::ErrorKind::NoSpace) and not a signal. Memory of what is removed or replaced is used again; the
//! system gets it back when the last user has gone.
//!
//! # Closures
//!
//! The closures of `update`, `get_or_insert_with` and `retain` run while a part of the map, or the list, is locked. So they
//! should be short. A call that one of them makes into the same map or list is an error
//! ([`ErrorKind::Busy`](crate::ErrorKind::Busy)), not a deadlock. Two maps whose closures call each other can wait for each
//! other for ever, as two locks can. A closure that panics changes nothing; what `retain` has removed before stays removed.

mod batch;
mod bytes;
mod file;
mod inside;
mod iter;
mod list;
mod map;
mod options;
mod writer;

pub use iter::{Iter, Keys, Values};
pub use list::{Items, SharedList};
pub use map::SharedMap;
pub use options::CollectionOptions;

use crossdock_core::collection::Shard;
use file::CollectionFile;

/// What a map or a list takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectionStats {
    /// Entries of a map, items of a list.
    pub len: usize,
    /// Entries that a map has room for before its tables grow; those that a list has.
    pub capacity: usize,
    /// Bytes of what is in it, and of the tables that lead there.
    pub used_bytes: u64,
    /// Bytes of memory that it has.
    pub reserved_bytes: u64,
    /// Bytes of memory that it can have.
    pub bytes_max: u64,
}

impl CollectionStats {
    fn of(file: &CollectionFile) -> Self {
        let bytes_max = file.bytes_max();
        Self { len: 0, capacity: 0, used_bytes: 0, reserved_bytes: 0, bytes_max }
    }

    /// Adds what a shard has, whose lock the caller holds. The numbers may be wild.
    fn add(&mut self, len: usize, capacity: usize, shard: &Shard) {
        let (held, taken, _) = shard.bytes();
        self.len = self.len.saturating_add(len);
        self.capacity = self.capacity.saturating_add(capacity);
        self.used_bytes = self.used_bytes.saturating_add(taken);
        self.reserved_bytes = self.reserved_bytes.saturating_add(held);
    }
}
