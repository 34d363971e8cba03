//! Where things lie in the files of an arena, of a channel and of the table of parties.
//!
//! Each begins with a [`Header`](crate::header::Header); what follows is at these offsets:
//!
//! | file | offset | what |
//! |---|---|---|
//! | parties | 256 | 336 times [`Record`] (64 bytes) |
//! | arena | 256 | [`ArenaControl`] (64 bytes) |
//! | arena | 512 | up to 65,536 times [`Entry`] (128 bytes) |
//! | channel | 256 | [`ChannelControl`] (512 bytes) |
//! | channel | 768 | capacity times [`Slot`] (384 bytes) |
#![allow(unsafe_code, reason = "the Shared contract of each record is stated here")]

use crate::Corrupt;
use crate::chunk::Chunk;
use crate::header::HEADER_BYTES;
use crate::memory::{Memory, Shared};
use crate::party::{PARTIES_MAX, Party, Record};
use crate::primitive::{AtomicU32, AtomicU64};
use crate::ring::{Cursor, Ring, Slot};
use crate::signal::Signal;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

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
// SAFETY: a `#[repr(C)]` struct of atomics without pointers.
unsafe impl Shared for ChannelControl {}
// SAFETY: a `#[repr(C)]` struct of atomics without pointers.
unsafe impl Shared for Slot {}

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
    unused: [AtomicU64; 5],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Entry>() == 128);

impl Entry {
    /// Region, offset in it and length, in bytes.
    #[must_use]
    pub fn extent(&self) -> (u32, u64, u64) {
        let region = self.region.load(Acquire) as u32;
        (region, self.offset_bytes.load(Relaxed), self.len_bytes.load(Relaxed))
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
#[must_use]
pub fn arena_file_bytes(count: usize) -> u64 {
    (ENTRIES_OFFSET + count.min(CHUNKS_MAX) * size_of::<Entry>()) as u64
}

/// One bit per party: who has an end of a channel.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Members {
    bits: [AtomicU64; MEMBER_WORDS],
    ever: AtomicU64,
}

const MEMBER_WORDS: usize = PARTIES_MAX.div_ceil(64);

impl Members {
    /// Adds a party.
    pub fn join(&self, party: Party) {
        self.bits[party.index() / 64].fetch_or(1 << (party.index() % 64), AcqRel);
        self.ever.store(1, Release);
    }

    /// Removes a party; nothing happens if it is no member.
    pub fn leave(&self, party: Party) {
        self.bits[party.index() / 64].fetch_and(!(1 << (party.index() % 64)), AcqRel);
    }

    /// Whether there is a member now.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|word| word.load(Acquire) == 0)
    }

    /// Whether there have been members and are none now: this side has gone.
    #[inline]
    #[must_use]
    pub fn have_left(&self) -> bool {
        self.ever.load(Acquire) != 0 && self.is_empty()
    }

    /// All members.
    pub fn iter(&self) -> impl Iterator<Item = Party> {
        Party::all().filter(|party| {
            self.bits[party.index() / 64].load(Acquire) & (1 << (party.index() % 64)) != 0
        })
    }
}

/// What a channel has besides its slots.
#[repr(C, align(128))]
#[derive(Debug)]
pub struct ChannelControl {
    /// Receivers sleep here.
    pub not_empty: Signal,
    /// Senders sleep here.
    pub not_full: Signal,
    /// Who can send.
    pub senders: Members,
    /// Who can receive.
    pub receivers: Members,
    head: Cursor,
    tail: Cursor,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<ChannelControl>() == 512);

const SLOTS_OFFSET: usize = CONTROL_OFFSET + size_of::<ChannelControl>();

/// A channel's words in a mapped file.
#[derive(Clone, Copy, Debug)]
pub struct ChannelTable<'a> {
    /// Signals and members.
    pub control: &'a ChannelControl,
    /// The queue.
    pub ring: Ring<'a>,
}

impl<'a> ChannelTable<'a> {
    /// The channel in `memory`, which has `capacity` slots according to its checked header.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when the file is too short.
    pub fn new(memory: Memory<'a>, capacity: usize) -> Result<Self, Corrupt> {
        let control: &ChannelControl = memory.at(CONTROL_OFFSET)?;
        let slots = memory.slice(SLOTS_OFFSET, capacity)?;
        let ring = Ring::new(&control.head, &control.tail, slots)
            .ok_or(Corrupt("a channel has no slots, or too many"))?;
        Ok(Self { control, ring })
    }
}

/// Bytes after the header of a channel with `capacity` slots.
#[must_use]
pub fn channel_bytes(capacity: usize) -> u64 {
    let slots = capacity.saturating_mul(size_of::<Slot>());
    size_of::<ChannelControl>().saturating_add(slots) as u64
}
