//! Where things lie in the files of an arena, of a channel and of the table of parties.
//!
//! Each begins with a [`Header`](crate::header::Header); what follows is at these offsets:
//!
//! | file | offset | what |
//! |---|---|---|
//! | parties | 256 | 336 times [`Record`] (64 bytes) |
//! | arena | 256 | [`ArenaControl`] (64 bytes) |
//! | arena | 512 | up to 65,536 times [`Entry`] (128 bytes) |
//! | channel | its `data_offset` | [`ChannelControl`] (768 bytes); before it, from 256 on, the text about its messages |
//! | channel | behind that | of a broadcast or latest value: [`Readers`](crate::ring::broadcast::Readers) (3,968 bytes) |
//! | channel | behind that | [`messages_of`](crate::ring::messages_of) the capacity times [`Written`](crate::ring::Written) (128 bytes) |
//! | channel | behind that | capacity times the words of a message that do not lie there |
//! | channel | behind that | the rows of [`Deliveries`](crate::deliveries::Deliveries), if receivers acknowledge |
//! | channel | behind that | capacity times [`Armed`](crate::ring::Armed) (64 bytes) |
//! | channel | behind that | capacity times [`Taken`](crate::ring::Taken) (16 bytes) |
//! | channel | behind that, at the next multiple of 64 | capacity times [`Claimed`](crate::ring::Claimed) (8 bytes) |
#![allow(unsafe_code, reason = "the Shared contract of each record is stated here")]

use crate::Corrupt;
use crate::chunk::Chunk;
use crate::header::HEADER_BYTES;
use crate::memory::{Memory, Shared};
use crate::party::{PARTIES_MAX, Record};
use crate::primitive::{AtomicU32, AtomicU64};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

mod channel;

pub use channel::{
    Carrier, ChannelControl, ChannelTable, Counter, Ledger, Members, Remains, channel_bytes,
};

/// Chunks that one arena can have.
pub const CHUNKS_MAX: usize = 1 << 16;
/// Where the chunks of an arena begin.
pub const ENTRIES_OFFSET: usize = 512;

const CONTROL_OFFSET: usize = HEADER_BYTES;

// SAFETY: a `#[repr(C)]` struct of atomics without pointers.
unsafe impl Shared for Record {}
// SAFETY: a `#[repr(C)]` struct of atomics without pointers.
unsafe impl Shared for ArenaControl {}
// SAFETY: a `#[repr(C)]` struct of atomics without pointers.
unsafe impl Shared for Entry {}

/// The table of parties in a mapped file.
///
/// # Errors
///
/// [`Corrupt`] when the file is too short.
pub fn parties<'a>(memory: &Memory<'a>) -> Result<&'a [Record], Corrupt> {
    memory.slice(CONTROL_OFFSET, PARTIES_MAX)
}

/// Bytes after the header that a table of parties has.
#[must_use]
pub fn parties_bytes() -> u64 {
    (PARTIES_MAX * size_of::<Record>()) as u64
}

/// What an arena's users need to know of it as a whole.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct ArenaControl {
    /// 1 once the owner has left: the last holder removes the files.
    orphan: AtomicU32,
    /// Entries in use, from the first on.
    entries: AtomicU32,
    /// Goes up when a region is given back, so that others drop their mappings of it.
    retired: AtomicU64,
}

impl ArenaControl {
    /// Whether the owner has left.
    #[inline]
    #[must_use]
    pub fn is_orphan(&self) -> bool {
        self.orphan.load(Acquire) != 0
    }

    /// The owner leaves, or is found dead.
    pub fn set_orphan(&self) {
        self.orphan.store(1, Release);
    }

    /// Number of entries in use, never more than there can be.
    #[must_use]
    pub fn entries(&self) -> usize {
        (self.entries.load(Acquire) as usize).min(CHUNKS_MAX)
    }

    /// The owner has filled in another entry.
    pub fn set_entries(&self, count: u32) {
        self.entries.store(count, Release);
    }

    /// How often a region was given back.
    #[inline]
    #[must_use]
    pub fn retired(&self) -> u64 {
        self.retired.load(Acquire)
    }

    /// The owner has given a region back.
    pub fn retire(&self) {
        self.retired.fetch_add(1, AcqRel);
    }
}

/// A chunk and where its memory is.
#[repr(C, align(128))]
#[derive(Debug)]
pub struct Entry {
    /// Who holds it.
    pub chunk: Chunk,
    region: AtomicU64,
    offset_bytes: AtomicU64,
    len_bytes: AtomicU64,
    handed_out_ms: AtomicU64,
    unused: [AtomicU64; 4],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Entry>() == 128);

impl Entry {
    /// Region, offset in it and length, in bytes.
    #[inline]
    #[must_use]
    pub fn extent(&self) -> (u32, u64, u64) {
        let region = self.region.load(Acquire) as u32;
        (region, self.offset_bytes.load(Relaxed), self.len_bytes.load(Relaxed))
    }

    /// When the memory was last handed out, in milliseconds of the monotonic clock.
    #[must_use]
    pub fn handed_out_ms(&self) -> u64 {
        self.handed_out_ms.load(Relaxed)
    }

    /// The owner hands the memory out.
    #[inline]
    pub fn set_handed_out(&self, now_ms: u64) {
        self.handed_out_ms.store(now_ms, Relaxed);
    }

    /// The owner says where the memory of a new entry is.
    pub fn set_extent(&self, region: u32, offset_bytes: u64, len_bytes: u64) {
        self.offset_bytes.store(offset_bytes, Relaxed);
        self.len_bytes.store(len_bytes, Relaxed);
        self.region.store(u64::from(region), Release);
    }
}

/// An arena's table in a mapped file.
#[derive(Clone, Copy, Debug)]
pub struct ArenaTable<'a> {
    memory: Memory<'a>,
    /// The arena as a whole.
    pub control: &'a ArenaControl,
}

impl<'a> ArenaTable<'a> {
    /// The table in `memory`, which may reach beyond the file: the caller says up to which byte the
    /// entries it asks for exist.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when there is no room for the control record.
    pub fn new(memory: Memory<'a>) -> Result<Self, Corrupt> {
        Ok(Self { memory, control: memory.at(CONTROL_OFFSET)? })
    }

    /// The entry of a chunk.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when there is no such entry.
    #[inline]
    pub fn entry(&self, chunk: u32) -> Result<&'a Entry, Corrupt> {
        if chunk as usize >= CHUNKS_MAX {
            return Err(Corrupt("a chunk's number is out of range"));
        }
        self.memory.at(ENTRIES_OFFSET + chunk as usize * size_of::<Entry>())
    }
}

/// Bytes of an arena's file, header included, that has `count` entries.
#[inline]
#[must_use]
pub fn arena_file_bytes(count: usize) -> u64 {
    (ENTRIES_OFFSET + count.min(CHUNKS_MAX) * size_of::<Entry>()) as u64
}
