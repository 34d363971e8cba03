//! The memory of one shard: what is in use, what is free.
//!
//! A block comes from the list of its class, else from the memory that has not been cut up, else from a larger block. If
//! there is none, the caller makes room: it puts the free memory together again ([`Heap::refill`]) if much of it was given
//! back, or takes a segment ([`Heap::add`]).
//!
//! # States of a free block
//!
//! | bytes | meaning |
//! |---|---|
//! | 0..8 | the next free block of its class, 0 if it is the last one |
//! | 8..16 | its bytes |
//!
//! All of this is bookkeeping under the lock, to be made anew when somebody died.

use super::segments::Segments;
use super::{BYTES_MAX, Fault, Shard, Word, sizes};
use crate::Corrupt;
use crate::memory::Memory;

const ADDRESS_MASK: u64 = (1 << 48) - 1;
const EXPONENT_SHIFT: u32 = 48;
/// Slots of the largest table or array: 2^38.
const EXPONENT_MAX: u32 = 38;

/// A block in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Extent {
    /// Where it begins in the file.
    pub at: u64,
    /// Its bytes.
    pub bytes: u64,
}

/// The memory of one shard, for who holds its lock: to read, or to write where something changes.
#[derive(Clone, Copy, Debug)]
pub struct Heap<'a> {
    memory: Memory<'a>,
    pub(super) shard: &'a Shard,
    segments: Segments<'a>,
    index: usize,
}

impl<'a> Heap<'a> {
    #[inline]
    pub(super) fn new(
        memory: Memory<'a>,
        shard: &'a Shard,
        segments: Segments<'a>,
        index: usize,
    ) -> Self {
        Self { memory, shard, segments, index }
    }

    /// The words of a block.
    #[inline]
    pub(super) fn words(&self, at: u64, bytes: u64) -> Result<&'a [Word], Corrupt> {
        if at < self.segments.first() || !at.is_multiple_of(sizes::GRANULE) {
            return Err(Corrupt("a block lies where none can be"));
        }
        let (Ok(at), Ok(count)) = (usize::try_from(at), usize::try_from(bytes / 8)) else {
            return Err(Corrupt("a block lies beyond all memory"));
        };
        self.memory.slice(at, count)
    }

    /// The exponent of the number of slots that the root has, and where they are.
    #[inline]
    pub(super) fn root(&self) -> Result<Option<(u32, u64)>, Corrupt> {
        let root = self.shard.root.load();
        let exponent = (root >> EXPONENT_SHIFT) as u32;
        if root == 0 {
            return Ok(None);
        }
        if exponent > EXPONENT_MAX {
            return Err(Corrupt("a table has more slots than it can have"));
        }
        Ok(Some((exponent, root & ADDRESS_MASK)))
    }

    /// Another table or array takes the place of the one that was there.
    pub(super) fn commit_root(&self, exponent: u32, at: u64) {
        self.shard.root.commit(u64::from(exponent) << EXPONENT_SHIFT | at);
    }

    /// The exponent of the smallest number of slots that is enough for `count`.
    pub(super) fn exponent(count: u64, least: u32) -> Result<u32, Fault> {
        let slots = count.checked_next_power_of_two().ok_or(Fault::Room(u64::MAX))?;
        let exponent = slots.ilog2().max(least);
        if exponent > EXPONENT_MAX { Err(Fault::Room(u64::MAX)) } else { Ok(exponent) }
    }

    /// Takes a block of at least so many bytes. It is nobody's until something leads to it.
    ///
    /// # Errors
    ///
    /// [`Fault::Room`] when there is none.
    pub(super) fn take(&self, bytes: u64) -> Result<u64, Fault> {
        let bytes = sizes::round(bytes);
        if bytes > BYTES_MAX {
            return Err(Fault::Room(bytes));
        }
        let bin = sizes::bin_of(bytes);
        let at = match self.pop(bin, bytes)? {
            Some(at) => at,
            None => match self.cut(bytes) {
                Some(at) => at,
                None => self.pop_larger(bin + 1, bytes)?,
            },
        };
        self.shard.taken.add(bytes);
        Ok(at)
    }

    /// Gives a block back that was taken with so many bytes.
    pub(super) fn give(&self, at: u64, bytes: u64) -> Result<(), Corrupt> {
        let bytes = sizes::round(bytes);
        self.put(at, bytes)?;
        self.shard.taken.subtract(bytes);
        self.shard.freed.add(bytes);
        Ok(())
    }

    /// A block from the list of a class; what it has more than so many bytes stays free.
    fn pop(&self, bin: usize, bytes: u64) -> Result<Option<u64>, Corrupt> {
        let at = self.shard.bins[bin].load();
        if at == 0 {
            return Ok(None);
        }
        let words = self.words(at, sizes::GRANULE)?;
        let (next, len) = (words[0].load(), words[1].load());
        if len < bytes || !len.is_multiple_of(sizes::GRANULE) {
            return Err(Corrupt("a free block is smaller than its class"));
        }
        self.words(at, len)?;
        self.shard.bins[bin].store(next);
        self.put(at + bytes, len - bytes)?;
        Ok(Some(at))
    }

    /// A block from the memory that has not been cut up.
    fn cut(&self, bytes: u64) -> Option<u64> {
        let (at, end) = (self.shard.wild.load(), self.shard.wild_end.load());
        let rest = end.checked_sub(at).filter(|rest| *rest >= bytes)?;
        self.shard.wild.store(end - (rest - bytes));
        Some(at)
    }

    /// A part of a block of a larger class.
    fn pop_larger(&self, from: usize, bytes: u64) -> Result<u64, Fault> {
        for bin in from..sizes::BINS {
            if let Some(at) = self.pop(bin, bytes)? {
                return Ok(at);
            }
        }
        Err(Fault::Room(bytes))
    }

    /// Puts free memory into the list of its class.
    fn put(&self, at: u64, bytes: u64) -> Result<(), Corrupt> {
        if bytes < sizes::GRANULE {
            return Ok(());
        }
        let bin = &self.shard.bins[sizes::bin_of(bytes)];
        let words = self.words(at, sizes::GRANULE)?;
        words[0].store(bin.load());
        words[1].store(bytes);
        bin.store(at);
        Ok(())
    }

    /// Adds a segment that the shard has taken.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when what was free before is wild.
    pub fn add(&self, start: u64, end: u64) -> Result<(), Corrupt> {
        let (wild, wild_end) = (self.shard.wild.load(), self.shard.wild_end.load());
        self.shard.reach.store(end);
        self.shard.held.add(end - start);
        if wild_end == start && wild != 0 {
            self.shard.wild_end.store(end);
            return Ok(());
        }
        self.shard.wild.store(start);
        self.shard.wild_end.store(end);
        self.put(wild, wild_end.saturating_sub(wild))
    }

    /// Where the last of all segments ends: as many bytes the file must have before [`refill`](Self::refill).
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when the table of segments is wild.
    pub fn end_of_segments(&self) -> Result<u64, Corrupt> {
        self.segments.iter().try_fold(0, |end, segment| Ok(end.max(segment?.2)))
    }

    /// Makes the bookkeeping anew. All that is in use is in `live`, sorted; what else there is in the shard's segments is
    /// free.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when blocks overlap or lie in no segment of this shard: nothing has been changed.
    pub fn refill(&self, live: &[Extent]) -> Result<(), Corrupt> {
        let (held, taken, reach) = self.walk(live, |_, _| Ok(()))?;
        let shard = self.shard;
        shard.bins.iter().chain([&shard.wild, &shard.wild_end]).for_each(|word| word.store(0));
        let mut largest = (0, 0);
        self.walk(live, |from, to| self.spare(from, to, &mut largest))?;
        shard.wild.store(largest.0);
        shard.wild_end.store(largest.1);
        shard.held.store(held);
        shard.taken.store(taken);
        shard.freed.store(0);
        shard.reach.store(reach);
        Ok(())
    }

    /// Goes through the memory of the shard and tells where what is free begins and ends. Bytes that there are, bytes that
    /// are in use, and where the last segment ends.
    fn walk(
        &self,
        live: &[Extent],
        mut tell: impl FnMut(u64, u64) -> Result<(), Corrupt>,
    ) -> Result<(u64, u64, u64), Corrupt> {
        let (mut held, mut taken, mut reach) = (0_u64, 0_u64, 0);
        let mut rest = live.iter().peekable();
        for stretch in self.stretches() {
            let (start, end) = stretch?;
            // The file has all of it.
            self.words(start, end - start)?;
            let mut at = start;
            while let Some(block) = rest.next_if(|block| block.at < end) {
                if block.at < at || block.bytes > end - block.at {
                    return Err(Corrupt("blocks overlap"));
                }
                tell(at, block.at)?;
                at = block.at + block.bytes;
                taken = taken.saturating_add(block.bytes);
            }
            tell(at, end)?;
            held = held.saturating_add(end - start);
            reach = end;
        }
        if rest.next().is_some() {
            return Err(Corrupt("a block lies in no segment of its shard"));
        }
        Ok((held, taken, reach))
    }

    /// Where the memory of this shard begins and ends: its segments, of which those that touch are one.
    fn stretches(&self) -> impl Iterator<Item = Result<(u64, u64), Corrupt>> + use<'a> {
        let index = self.index;
        let is_mine = move |segment: &Result<(usize, u64, u64), Corrupt>| {
            segment.map_or(true, |(owner, _, _)| owner == index)
        };
        let mut mine = self.segments.iter().filter(is_mine).peekable();
        std::iter::from_fn(move || {
            let (_, start, mut end) = match mine.next()? {
                Ok(segment) => segment,
                Err(corrupt) => return Some(Err(corrupt)),
            };
            while let Some(Ok((_, _, further))) =
                mine.next_if(|next| next.is_ok_and(|next| next.1 == end))
            {
                end = further;
            }
            Some(Ok((start, end)))
        })
    }

    /// What lies between two blocks is free; the largest such part is kept whole.
    fn spare(&self, from: u64, to: u64, largest: &mut (u64, u64)) -> Result<(), Corrupt> {
        let (mut from, mut to) = (from, to);
        if to - from > largest.1 - largest.0 {
            ((from, to), *largest) = (*largest, (from, to));
        }
        self.put(from, to - from)
    }
}

/// The block of this many bytes at a place.
pub(super) fn extent(at: u64, bytes: u64) -> Extent {
    Extent { at, bytes: sizes::round(bytes) }
}
