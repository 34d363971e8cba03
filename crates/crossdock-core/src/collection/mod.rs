//! Maps and lists that grow in one file, are changed under locks, and survive whoever changes them.
//!
//! | module | what it is |
//! |---|---|
//! | [`segments`] | which parts of the file belong to which shard |
//! | [`heap`] | the memory of one shard: what is in use, what is free |
//! | [`record`] | a key and a value, as bytes |
//! | [`table`] | the keys of one shard of a map, hashed |
//! | [`sequence`] | the items of a list, in order |
//! | [`hash`] | the hash of a key |
//!
//! # Shards
//!
//! A map has several shards, a list has one. A shard has a lock for many readers or one writer, and memory of its own.
//! Everything of a shard is read and changed under its lock. The only thing that changes outside of it is the table
//! of [`segments`], in which a shard takes a part of the file with one exchange.
//!
//! # One store
//!
//! A change is prepared in memory that is free, and then happens with one store (`Word::commit`): of a slot that leads
//! to another record, of the root that leads to another table, of the length of a list. Before it all that can be
//! reached is the old state, after it the new one. What follows is bookkeeping: counts, and lists of free memory.
//!
//! # Owner death
//!
//! Who gets the lock of a shard whose writer died is told (the lock is poisoned), and makes the bookkeeping anew
//! from what can be reached: what is reachable is in use, all else in the shard's segments is free. So nothing leaks, and
//! if whoever does it dies as well, the next one does it again.
//!
//! # Bytes from other processes
//!
//! Every offset and length is loaded once and checked against the memory that is there. A loop has as many rounds as the
//! table that it goes through has slots. What cannot be is [`Corrupt`]; a record whose bytes are wild is wrong data.
#![allow(unsafe_code, reason = "the Shared contract of each record is stated here")]

pub mod hash;
pub mod heap;
pub mod record;
pub mod segments;
pub mod sequence;
mod sizes;
pub mod table;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

use crate::Corrupt;
use crate::memory::{Memory, Shared};
use crate::primitive::{AtomicU64, fence};
use crate::sync::RwLock;
use heap::Heap;
use segments::{PAGE_BYTES, SEGMENTS_PER_SHARD, Segments};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// Shards that a map can have.
pub const SHARDS_MAX: usize = 64;
/// Bytes that the file of a map or a list can have.
pub const BYTES_MAX: u64 = 1 << 42;

/// Eight bytes of a map or a list.
#[repr(transparent)]
#[derive(Debug)]
pub struct Word(AtomicU64);

// SAFETY: one atomic.
unsafe impl Shared for Word {}
// SAFETY: a `#[repr(C)]` struct of atomics without pointers.
unsafe impl Shared for Control {}
// SAFETY: a `#[repr(C)]` struct of atomics without pointers; what the lock protects has no bytes.
unsafe impl Shared for Shard {}

impl Word {
    /// A word for a model.
    #[must_use]
    pub fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    #[inline]
    fn load(&self) -> u64 {
        self.0.load(Relaxed)
    }

    #[inline]
    fn store(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    fn add(&self, value: u64) {
        self.store(self.load().wrapping_add(value));
    }

    fn subtract(&self, value: u64) {
        self.store(self.load().wrapping_sub(value));
    }

    /// The store by which a change happens. All that was stored before it is there for whoever sees it, also if this
    /// process is killed right behind it; what is stored after it is not there before.
    #[inline]
    fn commit(&self, value: u64) {
        self.0.store(value, Release);
        fence(Release);
    }

    /// Changes the word from 0 to `value`, unless somebody else has.
    fn claim(&self, value: u64) -> bool {
        self.0.compare_exchange(0, value, AcqRel, Relaxed).is_ok()
    }

    fn claimed(&self) -> u64 {
        self.0.load(Acquire)
    }
}

/// What a change needs that is not there, or why it cannot be made. Nothing has been changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// So many bytes in one piece. Make room and try again.
    Room(u64),
    /// No correct process has written this.
    Corrupt(Corrupt),
}

impl From<Corrupt> for Fault {
    fn from(corrupt: Corrupt) -> Self {
        Self::Corrupt(corrupt)
    }
}

/// What does not change after the file has been made.
#[repr(C, align(128))]
#[derive(Debug)]
pub struct Control {
    seed: [Word; 2],
}

impl Control {
    /// What the keys are hashed with. The first word is odd, so it is never 0.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when it is even.
    pub fn seed(&self) -> Result<[u64; 2], Corrupt> {
        let seed = [self.seed[0].load(), self.seed[1].load()];
        if seed[0].is_multiple_of(2) {
            Err(Corrupt("what its keys are hashed with"))
        } else {
            Ok(seed)
        }
    }

    /// The maker says what the keys are hashed with; the first word is made odd.
    pub fn set_seed(&self, seed: [u64; 2]) {
        self.seed[0].store(seed[0] | 1);
        self.seed[1].store(seed[1]);
    }
}

/// The lock of a shard, and what is kept of it.
#[repr(C, align(128))]
#[derive(Debug)]
pub struct Shard {
    /// To be held while anything of the shard is read or changed. If it is poisoned, see [`heap::Heap::refill`].
    pub lock: RwLock<()>,
    unused: crate::primitive::AtomicU32,
    /// The table or the array: how many slots it has (the exponent of 2, from bit 48 on), and where it is; 0: none.
    root: Word,
    /// Entries of a map.
    live: Word,
    /// Slots of a map that are not empty: those of entries, and those that had one.
    used: Word,
    /// Bytes of all segments.
    held: Word,
    /// Bytes that are in use.
    taken: Word,
    /// Bytes given back since the free memory was last put together.
    freed: Word,
    /// Where the last segment ends.
    reach: Word,
    /// Free memory that has not been cut up yet.
    wild: Word,
    wild_end: Word,
    /// Lists of free blocks: one for each class of sizes.
    bins: [Word; sizes::BINS],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Control>() == 128 && size_of::<Shard>() == 2688);

impl Shard {
    /// Where the memory that it has ends: as many bytes the file must have before anything is looked at.
    #[inline]
    #[must_use]
    pub fn reach(&self) -> u64 {
        self.reach.load()
    }

    /// Bytes of its segments, bytes of those that are in use, and bytes that were given back since the free memory was
    /// last put together.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64, u64) {
        (self.held.load(), self.taken.load(), self.freed.load())
    }
}

/// The fixed part of a map or a list, in a mapped file.
///
/// | from its `data_offset` on | bytes |
/// |---|---|
/// | [`Control`] | 128 |
/// | [`Shard`] | 2,688 for each |
/// | the table of segments | 1,024 for each shard |
/// | zero, up to a page | |
/// | the segments | |
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// What does not change.
    pub control: &'a Control,
    shards: &'a [Shard],
    segments: Segments<'a>,
}

/// Bytes of the fixed part with so many shards.
fn fixed_bytes(shards: usize) -> usize {
    let shard = size_of::<Shard>() + SEGMENTS_PER_SHARD * size_of::<Word>();
    size_of::<Control>() + shards * shard
}

/// Where the segments begin in a file.
#[must_use]
pub fn first_segment(data_offset: u64, shards: usize) -> u64 {
    data_offset.saturating_add(fixed_bytes(shards) as u64).next_multiple_of(PAGE_BYTES)
}

impl<'a> Frame<'a> {
    /// The fixed part from `data_offset` on in `memory`.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when there is no room for it, or no shard.
    pub fn new(memory: Memory<'a>, data_offset: u64, shards: u64) -> Result<Self, Corrupt> {
        let shards = usize::try_from(shards).unwrap_or(0);
        if !is_shards(shards) {
            return Err(Corrupt("the number of its shards"));
        }
        let at = usize::try_from(data_offset).map_err(|_| Corrupt("its place"))?;
        let control: &Control = memory.at(at)?;
        let at = at + size_of::<Control>();
        let records = memory.slice(at, shards)?;
        let at = at + shards * size_of::<Shard>();
        let entries = memory.slice(at, shards * SEGMENTS_PER_SHARD)?;
        let segments = Segments::new(entries, first_segment(data_offset, shards));
        Ok(Self { control, shards: records, segments })
    }

    /// Its shards.
    #[inline]
    #[must_use]
    pub fn shards(&self) -> &'a [Shard] {
        self.shards
    }

    /// Who has which part of the file.
    #[must_use]
    pub fn segments(&self) -> Segments<'a> {
        self.segments
    }

    /// The shard to which a key with this hash belongs.
    #[inline]
    #[must_use]
    pub fn shard_of(&self, hash: u64) -> usize {
        // The upper bits: the table of the shard uses the lower ones.
        ((u128::from(hash) * self.shards.len() as u128) >> 64) as usize
    }

    /// The memory of a shard, as far as `memory` goes. The caller holds the lock of the shard.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when there is no such shard.
    #[inline]
    pub fn heap(&self, index: usize, memory: Memory<'a>) -> Result<Heap<'a>, Corrupt> {
        let shard = self.shards.get(index).ok_or(Corrupt("a shard's number is out of range"))?;
        Ok(Heap::new(memory, shard, self.segments, index))
    }
}

/// Whether a map can have so many shards.
#[must_use]
pub fn is_shards(shards: usize) -> bool {
    (1..=SHARDS_MAX).contains(&shards)
}
