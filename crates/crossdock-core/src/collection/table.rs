//! The keys of one shard of a map: a table of slots, probed one after the other.
//!
//! # States of a slot
//!
//! | value | meaning |
//! |---|---|
//! | 0 | empty: no key that was to be here lies behind it |
//! | 1 | a key was here: others may lie behind it |
//! | bits 0..38 | where the record is, in granules of 16 bytes |
//! | bits 38..64 | the upper bits of its key's hash |
//!
//! An insertion, a replacement or a removal is one store of a slot, and a new table one store of the root.

use super::heap::{Extent, Heap, extent};
use super::record::{Record, block_bytes};
use super::{Fault, Word, sizes};
use crate::Corrupt;

const EMPTY: u64 = 0;
const GONE: u64 = 1;
const PLACE_BITS: u32 = 38;
const PLACE_MASK: u64 = (1 << PLACE_BITS) - 1;
/// A table has eight slots at least.
const EXPONENT_MIN: u32 = 3;

/// The keys of one shard, for who holds its lock: to read, or to write where something changes.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    heap: Heap<'a>,
}

/// Where a key is.
#[derive(Clone, Copy)]
struct Found<'a> {
    slot: &'a Word,
    /// The slot behind it.
    next: &'a Word,
    record: Record<'a>,
}

/// What a shard of a map has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Entries.
    pub entries: u64,
    /// Slots of the table.
    pub slots: u64,
}

impl<'a> Table<'a> {
    /// The table of a shard.
    #[inline]
    #[must_use]
    pub fn new(heap: Heap<'a>) -> Self {
        Self { heap }
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.heap.shard.live.load()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What there is.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when the table is not one.
    pub fn load(&self) -> Result<Load, Corrupt> {
        Ok(Load { entries: self.len(), slots: self.slots()?.len() as u64 })
    }

    #[inline]
    fn slots(&self) -> Result<&'a [Word], Corrupt> {
        match self.heap.root()? {
            Some((exponent, at)) => self.heap.words(at, 8 << exponent),
            None => Ok(&[]),
        }
    }

    #[inline]
    fn record(&self, slot: u64) -> Result<Record<'a>, Corrupt> {
        Record::at(&self.heap, (slot & PLACE_MASK) * sizes::GRANULE)
    }

    /// The record of a key.
    ///
    /// # Errors
    ///
    /// [`Corrupt`].
    #[inline]
    pub fn get(&self, hash: u64, key: &[u8]) -> Result<Option<Record<'a>>, Corrupt> {
        Ok(self.find(self.slots()?, hash, key)?.map(|found| found.record))
    }

    #[inline]
    fn find(&self, slots: &'a [Word], hash: u64, key: &[u8]) -> Result<Option<Found<'a>>, Corrupt> {
        for (slot, next) in probe(slots, hash) {
            let value = slot.load();
            if value == EMPTY {
                return Ok(None);
            }
            if value != GONE && value >> PLACE_BITS == hash >> PLACE_BITS {
                let record = self.record(value)?;
                if record.hash == hash && record.has_key(key) {
                    return Ok(Some(Found { slot, next, record }));
                }
            }
        }
        Ok(None)
    }

    /// Puts a value under a key, in place of the one that was there.
    ///
    /// # Errors
    ///
    /// [`Fault`]: nothing has been changed.
    pub fn put(&self, hash: u64, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        if let Some(found) = self.find(self.slots()?, hash, key)? {
            let at = Record::write(&self.heap, hash, key, value)?;
            found.slot.commit(slot_of(hash, at));
            return Ok(found.record.free(&self.heap)?);
        }
        let used = self.heap.shard.used.load();
        if used.saturating_add(1) > room_of(self.slots()?.len() as u64) {
            self.resize(0)?;
        }
        let at = Record::write(&self.heap, hash, key, value)?;
        let slots = self.slots()?;
        let is_free = |slot: &&Word| matches!(slot.load(), EMPTY | GONE);
        let Some(slot) = probe(slots, hash).map(|(slot, _)| slot).find(is_free) else {
            self.heap.give(at, block_bytes(key, value))?;
            return Err(Corrupt("a table has no free slot").into());
        };
        let was_empty = slot.load() == EMPTY;
        slot.commit(slot_of(hash, at));
        self.heap.shard.live.add(1);
        self.heap.shard.used.add(u64::from(was_empty));
        Ok(())
    }

    /// Removes a key; whether it was there.
    ///
    /// # Errors
    ///
    /// [`Corrupt`].
    pub fn remove(&self, hash: u64, key: &[u8]) -> Result<bool, Corrupt> {
        let Some(found) = self.find(self.slots()?, hash, key)? else { return Ok(false) };
        // Whoever looks for a key behind this slot ends at the next one if that is empty.
        let is_end = found.next.load() == EMPTY;
        found.slot.commit(if is_end { EMPTY } else { GONE });
        self.heap.shard.live.subtract(1);
        self.heap.shard.used.subtract(u64::from(is_end));
        found.record.free(&self.heap)?;
        Ok(true)
    }

    /// Makes a table with room for this many entries and those that there are, without the slots of those that have gone.
    ///
    /// # Errors
    ///
    /// [`Fault`]: nothing has been changed.
    pub fn resize(&self, entries: u64) -> Result<(), Fault> {
        let old = self.slots()?;
        let live = old.iter().filter(|slot| !matches!(slot.load(), EMPTY | GONE)).count() as u64;
        // Two thirds of its room are free, so the next time is far off.
        let wanted = live.saturating_add(1).saturating_mul(2).max(slots_for(entries));
        let exponent = Heap::exponent(wanted, EXPONENT_MIN)?;
        let bytes = 8 << exponent;
        let at = self.heap.take(bytes)?;
        let new = self.heap.words(at, bytes)?;
        new.iter().for_each(|slot| slot.store(EMPTY));
        for value in old.iter().map(Word::load).filter(|value| !matches!(*value, EMPTY | GONE)) {
            let hash = self.record(value)?.hash;
            let free = probe(new, hash).map(|(slot, _)| slot).find(|slot| slot.load() == EMPTY);
            free.ok_or(Corrupt("a table has no free slot"))?.store(value);
        }
        let before = self.heap.root()?;
        self.heap.commit_root(exponent, at);
        self.heap.shard.used.store(live);
        if let Some((exponent, at)) = before {
            self.heap.give(at, 8 << exponent)?;
        }
        Ok(())
    }

    /// Removes all entries, whatever there is: nothing is looked at. What was damaged is in order then.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when the table of segments is wild.
    pub fn clear(&self) -> Result<(), Corrupt> {
        self.heap.shard.root.commit(0);
        self.heap.shard.live.store(0);
        self.heap.shard.used.store(0);
        self.heap.refill(&[])
    }

    /// Every record.
    pub fn records(&self) -> impl Iterator<Item = Result<Record<'a>, Corrupt>> + use<'a> {
        let (slots, error) = match self.slots() {
            Ok(slots) => (slots, None),
            Err(corrupt) => (&[][..], Some(Err(corrupt))),
        };
        let table = *self;
        let values = slots.iter().map(Word::load).filter(|value| !matches!(*value, EMPTY | GONE));
        error.into_iter().chain(values.map(move |value| table.record(value)))
    }

    /// Every block that is in use, in no order.
    pub fn extents(&self) -> impl Iterator<Item = Result<Extent, Corrupt>> + use<'a> {
        let table = match self.heap.root() {
            Ok(Some((exponent, at))) => Some(Ok(extent(at, 8 << exponent))),
            // What is wrong with it is said by the records.
            Ok(None) | Err(_) => None,
        };
        table.into_iter().chain(self.records().map(|record| Ok(record?.extent())))
    }

    /// Counts anew what there is, after [`Heap::refill`].
    ///
    /// # Errors
    ///
    /// [`Corrupt`].
    pub fn recount(&self) -> Result<(), Corrupt> {
        let slots = self.slots()?;
        let count = |is_meant: fn(u64) -> bool| {
            slots.iter().filter(|slot| is_meant(slot.load())).count() as u64
        };
        self.heap.shard.live.store(count(|value| !matches!(value, EMPTY | GONE)));
        self.heap.shard.used.store(count(|value| value != EMPTY));
        Ok(())
    }
}

/// The slots where a key with this hash can be, each with the one behind it.
#[inline]
fn probe(slots: &[Word], hash: u64) -> impl Iterator<Item = (&Word, &Word)> {
    let mask = slots.len().wrapping_sub(1);
    let first = hash as usize;
    (0..slots.len()).map(move |step| {
        let index = first.wrapping_add(step);
        (&slots[index & mask], &slots[index.wrapping_add(1) & mask])
    })
}

fn slot_of(hash: u64, at: u64) -> u64 {
    (hash >> PLACE_BITS << PLACE_BITS) | (at / sizes::GRANULE)
}

/// Entries for which so many slots have room: three quarters.
fn room_of(slots: u64) -> u64 {
    slots / 4 * 3
}

/// Slots that have room for so many entries.
fn slots_for(entries: u64) -> u64 {
    (entries / 3).saturating_mul(4).saturating_add(4)
}
