//! Who reads: for each place that an owner can have, how many of its threads do.
//!
//! # States of a cell
//!
//! | bits | meaning | who may change it |
//! |---|---|---|
//! | 0..12 | threads of this owner that read | the owner's threads; anybody, to 0, if the owner is dead |
//! | 12..32 | epoch of the owner | the owner, when it takes a cell that a dead predecessor left |
//!
//! A counter that all processes share could not be put right after a death; the part of each of them can.
//!
//! # Ordering
//!
//! A reader changes its cell, then looks at the word of the writer; a writer takes its word, then looks at
//! the cells (Dekker's argument). All four are sequentially consistent, so at least one sees the other.
//! Leaving releases, and the writer's look acquires.

use super::slice::Slice;
use crate::owner::{self, EPOCH_BITS, OWNERS_MAX, Owner};
use crate::primitive::{AtomicU32, wake_all};
use std::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};

const COUNT_BITS: u32 = 32 - EPOCH_BITS;
const COUNT_MASK: u32 = (1 << COUNT_BITS) - 1;
/// Threads of one process that can read at once.
pub(super) const READERS_MAX: u32 = COUNT_MASK;

/// A model has few processes, and pays for every cell.
const CELLS: usize = if cfg!(loom) { 4 } else { OWNERS_MAX };

#[repr(C)]
pub(super) struct Readers {
    /// Cells from here on have never been used.
    end: AtomicU32,
    /// Changes when a reader leaves whom a writer waits for; the writer sleeps on it.
    left: AtomicU32,
    cells: [AtomicU32; CELLS],
}

impl Readers {
    #[cfg(all(feature = "lock_api", not(loom)))]
    #[allow(clippy::declare_interior_mutable_const, reason = "an initial value")]
    pub(super) const INIT: Self = Self {
        end: AtomicU32::new(0),
        left: AtomicU32::new(0),
        cells: [const { AtomicU32::new(0) }; CELLS],
    };

    pub(super) fn new() -> Self {
        Self {
            end: AtomicU32::new(0),
            left: AtomicU32::new(0),
            cells: std::array::from_fn(|_| AtomicU32::new(0)),
        }
    }

    /// Counts one more reader of this owner; false if there are as many as can be counted.
    #[inline]
    pub(super) fn enter(&self, me: Owner) -> bool {
        let index = index_of(me);
        if self.end.load(SeqCst) as usize <= index {
            self.extend(index);
        }
        let cell = &self.cells[index];
        let mut old = cell.load(Relaxed);
        loop {
            // What a dead predecessor left in its place counts for nothing.
            let count = if old >> COUNT_BITS == me.epoch() { old & COUNT_MASK } else { 0 };
            if count == READERS_MAX {
                return false;
            }
            let new = (me.epoch() << COUNT_BITS) | (count + 1);
            match cell.compare_exchange_weak(old, new, SeqCst, Relaxed) {
                Ok(_) => return true,
                Err(now) => old = now,
            }
        }
    }

    /// Counts the writer as the one reader of this owner: nobody else can read.
    pub(super) fn enter_alone(&self, me: Owner) {
        if !self.enter(me) {
            // A wild number, since the writer waited until there was none.
            self.cells[index_of(me)].store((me.epoch() << COUNT_BITS) | 1, SeqCst);
        }
    }

    /// Whether no more readers of this owner can be counted.
    pub(super) fn is_full(&self, me: Owner) -> bool {
        let cell = self.cells[index_of(me)].load(Relaxed);
        cell >> COUNT_BITS == me.epoch() && cell & COUNT_MASK == READERS_MAX
    }

    /// Makes a cell one that writers look at. It is before the cell's first change in every case.
    #[cold]
    fn extend(&self, index: usize) {
        let wanted = index as u32 + 1;
        let mut end = self.end.load(Relaxed);
        while end < wanted {
            match self.end.compare_exchange_weak(end, wanted, SeqCst, Relaxed) {
                Ok(_) => return,
                Err(now) => end = now,
            }
        }
    }

    /// Counts one reader less; false if this process did not count it: in the child of a fork.
    #[inline]
    pub(super) fn leave(&self, me: Owner) -> bool {
        let cell = &self.cells[index_of(me)];
        let old = cell.load(Relaxed);
        let is_counted = old >> COUNT_BITS == me.epoch() && old & COUNT_MASK != 0 && me.is_me();
        if is_counted {
            cell.fetch_sub(1, SeqCst);
        }
        is_counted
    }

    /// Tells the writer who waits that a reader has left.
    #[cold]
    pub(super) fn notify(&self) {
        self.left.fetch_add(1, AcqRel);
        wake_all(&self.left);
    }

    /// Whether nobody reads.
    #[inline]
    pub(super) fn are_gone(&self) -> bool {
        self.used().all(|(_, cell)| cell.load(SeqCst) & COUNT_MASK == 0)
    }

    fn used(&self) -> impl Iterator<Item = (usize, &AtomicU32)> {
        let end = self.end.load(SeqCst) as usize;
        self.cells.iter().enumerate().take(end)
    }

    /// Clears the cells of the dead; whether there were any.
    #[cold]
    pub(super) fn bury(&self) -> bool {
        let mut found = false;
        for (index, cell) in self.used() {
            let old = cell.load(SeqCst);
            let is_left = old & COUNT_MASK != 0
                && owner::is_dead(Owner::at(index, old >> COUNT_BITS))
                // If it has changed, its owner is somebody else now.
                && cell.compare_exchange(old, old & !COUNT_MASK, SeqCst, Relaxed).is_ok();
            found |= is_left;
        }
        found
    }

    /// What to hand to [`sleep`](Self::sleep), read before looking at the cells.
    pub(super) fn key(&self) -> u32 {
        self.left.load(SeqCst)
    }

    /// Sleeps until a reader has left since `key`.
    pub(super) fn sleep(&self, key: u32, slice: &mut Slice) {
        slice.sleep(&self.left, key);
    }

    /// Threads that read, as far as can be told while they come and go.
    pub(super) fn count(&self) -> usize {
        self.used().map(|(_, cell)| (cell.load(Relaxed) & COUNT_MASK) as usize).sum()
    }
}

/// The cell of an owner that is a living process, which has a place.
fn index_of(me: Owner) -> usize {
    me.index().map_or(CELLS - 1, |index| index.min(CELLS - 1))
}
