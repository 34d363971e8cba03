//! A part of a map or list, locked: how its lock is taken, put in order after a death, and its memory grows.

use super::file::CollectionFile;
use super::inside::Inside;
use crate::error::{Error, ErrorKind, Result};
use crossdock_core::Corrupt;
use crossdock_core::collection::heap::{Extent, Heap};
use crossdock_core::collection::segments::{PAGE_BYTES, SEGMENTS_PER_SHARD};
use crossdock_core::collection::sequence::Sequence;
use crossdock_core::collection::table::Table;
use crossdock_core::collection::{Fault, Shard};
use crossdock_core::header::Kind;
use crossdock_core::sync::RwLockWriteGuard;
use crossdock_sys::fork;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// How often a lock can be found poisoned in a row, each time by another death.
const REPAIRS_MAX: u32 = 1000;
/// How often one change can ask for memory: for records, for a table, and again after the free memory was put together.
const REQUESTS_MAX: u32 = 8;
/// Bytes by which a shard grows at most if it does not need more at once.
const STEP_BYTES_MAX: u64 = 64 << 20;

impl CollectionFile {
    /// Looks at a shard while nobody changes it.
    #[inline]
    pub(super) fn read<R>(
        &self,
        index: usize,
        look: impl FnOnce(Heap<'_>) -> Result<R, Corrupt>,
    ) -> Result<R> {
        self.check()?;
        let shard = self.shard(index)?;
        let Ok(_guard) = shard.lock.read() else { return self.read_repaired(index, look) };
        look(self.heap(index)?).map_err(|why| self.corrupt(why))
    }

    #[cold]
    fn read_repaired<R>(
        &self,
        index: usize,
        look: impl FnOnce(Heap<'_>) -> Result<R, Corrupt>,
    ) -> Result<R> {
        let shard = self.shard(index)?;
        for _ in 0..REPAIRS_MAX {
            drop(self.write(index)?);
            if let Ok(_guard) = shard.lock.read() {
                return look(self.heap(index)?).map_err(|why| self.corrupt(why));
            }
        }
        Err(self.corrupt(Corrupt("its lock is always poisoned")))
    }

    /// Locks a shard, which is in order then.
    #[inline]
    pub(super) fn write(&self, index: usize) -> Result<Writer<'_>> {
        self.check()?;
        let shard = self.shard(index)?;
        match shard.lock.write() {
            Ok(guard) => Ok(Writer::new(self, shard, index, guard)),
            Err(poisoned) => {
                let writer = Writer::new(self, shard, index, poisoned.into_inner());
                writer.repair()?;
                Ok(writer)
            }
        }
    }

    /// Locks a shard, in whatever state it is.
    pub(super) fn write_anyway(&self, index: usize) -> Result<Writer<'_>> {
        self.check()?;
        let shard = self.shard(index)?;
        let guard = shard.lock.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        Ok(Writer::new(self, shard, index, guard))
    }
}

/// A shard that nobody else reads or changes.
pub(super) struct Writer<'a> {
    file: &'a CollectionFile,
    shard: &'a Shard,
    index: usize,
    /// In another generation this is a copy, in a child that was forked by a closure, and the lock is the parent's.
    generation: u64,
    _guard: RwLockWriteGuard<'a, ()>,
}

impl<'a> Writer<'a> {
    #[inline]
    fn new(
        file: &'a CollectionFile,
        shard: &'a Shard,
        index: usize,
        guard: RwLockWriteGuard<'a, ()>,
    ) -> Self {
        Self { file, shard, index, generation: fork::generation(), _guard: guard }
    }

    /// The memory of the shard.
    #[inline]
    fn heap(&self) -> Result<Heap<'a>> {
        if self.generation != fork::generation() {
            return Err(self.file.forked());
        }
        match self.file.heap(self.index) {
            // How far it goes is bookkeeping as well.
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                self.tidy()?;
                self.file.heap(self.index)
            }
            other => other,
        }
    }

    /// Looks at the shard.
    pub(super) fn look<R>(&self, look: impl FnOnce(Heap<'a>) -> Result<R, Corrupt>) -> Result<R> {
        look(self.heap()?).map_err(|why| self.file.corrupt(why))
    }

    /// Makes a change, again if there was no room for it or the bookkeeping was damaged.
    pub(super) fn change<R>(
        &self,
        mut change: impl FnMut(Heap<'a>) -> Result<R, Fault>,
    ) -> Result<R> {
        let mut is_tidy = false;
        for _ in 0..REQUESTS_MAX {
            match change(self.heap()?) {
                Ok(done) => return Ok(done),
                Err(Fault::Room(bytes)) => self.make_room(bytes, &mut is_tidy)?,
                Err(Fault::Corrupt(why)) if is_tidy => return Err(self.file.corrupt(why)),
                // If what can be reached is in order, so is all else now.
                Err(Fault::Corrupt(_)) => {
                    is_tidy = true;
                    self.tidy()?;
                }
            }
        }
        Err(self.file.corrupt(Corrupt("its free memory")))
    }

    /// Runs a closure of the user, who is told if it calls back. If it panics, that is not a reason to distrust the shard:
    /// nothing has been changed yet.
    pub(super) fn run<R>(self, closure: impl FnOnce(&Self) -> Result<R>) -> Result<R> {
        let inside = Inside::enter(self.file)?;
        let outcome = catch_unwind(AssertUnwindSafe(|| closure(&self)));
        drop(inside);
        // Before the panic goes on: it must not be seen by the guard.
        drop(self);
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Puts the bookkeeping in order after a death.
    #[cold]
    fn repair(&self) -> Result<()> {
        self.tidy()?;
        self.shard.lock.clear_poison();
        Ok(())
    }

    /// Removes everything, whatever there is.
    pub(super) fn clear(&self) -> Result<()> {
        let heap = self.all_of_it()?;
        let cleared = match self.file.kind {
            Kind::Map => Table::new(heap).clear(),
            _ => Sequence::new(heap).clear(),
        };
        cleared.map_err(|why| self.file.corrupt(why))?;
        self.shard.lock.clear_poison();
        Ok(())
    }

    /// Makes the bookkeeping anew from what can be reached, which puts the free memory together.
    #[cold]
    fn tidy(&self) -> Result<()> {
        let heap = self.all_of_it()?;
        let extents = match self.file.kind {
            Kind::Map => Table::new(heap).extents().collect::<Result<Vec<Extent>, _>>(),
            _ => Sequence::new(heap).extents().collect(),
        };
        let refilled = extents.and_then(|mut extents| {
            extents.sort_unstable();
            heap.refill(&extents)?;
            if self.file.kind == Kind::Map { Table::new(heap).recount() } else { Ok(()) }
        });
        refilled.map_err(|why| self.file.corrupt(why))
    }

    /// The memory of the shard up to the end of all segments, whatever the shard says.
    fn all_of_it(&self) -> Result<Heap<'a>> {
        let end = self.file.heap_up_to(self.index, 0)?.end_of_segments();
        self.file.heap_up_to(self.index, end.map_err(|why| self.file.corrupt(why))?)
    }

    /// Sees to it that there are so many bytes in one piece, once the free memory has been put together if that is due.
    #[cold]
    fn make_room(&self, bytes: u64, is_tidy: &mut bool) -> Result<()> {
        let (held, _, freed) = self.shard.bytes();
        // Each time is paid for by a quarter of the memory having been given back.
        if !*is_tidy && freed > held / 4 {
            *is_tidy = true;
            return self.tidy();
        }
        match self.grow(bytes) {
            Err(_) if !*is_tidy && freed > 0 => {
                *is_tidy = true;
                self.tidy()
            }
            other => other,
        }
    }

    fn grow(&self, bytes: u64) -> Result<(), Error> {
        let (held, _, _) = self.shard.bytes();
        let step = (held / 2).checked_ilog2().map_or(0, |exponent| 1 << exponent);
        // Great enough that the table of segments lasts as long as the memory.
        let shards = self.file.frame().shards().len() as u64;
        let least = self.file.bytes_max() / (SEGMENTS_PER_SHARD as u64 * shards / 2);
        let wanted = bytes.max(step.min(STEP_BYTES_MAX.max(least))).max(PAGE_BYTES);
        let (start, end) = self.file.grow(self.index, bytes, wanted)?;
        let heap = self.file.heap_up_to(self.index, end)?;
        // The segment is this shard's by now, so it is found when the bookkeeping is made anew.
        heap.add(start, end).or_else(|_| self.tidy())
    }
}
