//! The word of a read-write lock: a writer's word and the readers' cells.
//!
//! # States
//!
//! The word of the writer (`word.rs`) and a cell for the readers of each process (`readers.rs`):
//!
//! | word | cells | meaning |
//! |---|---|---|
//! | free | all 0 | free |
//! | free | some above 0 | read |
//! | owned, `MARK` | some above 0 | a writer waits for the readers to leave; no new ones come in |
//! | owned | all 0, or of readers that are just backing out | written |
//!
//! # Ordering
//!
//! That of the two parts: see there.
//!
//! # Owner death
//!
//! A writer that dies poisons the lock, unless it had announced that it waits for readers. A reader that dies leaves
//! its count in its cell; the writer that waits for it asks after each slice who still lives, and clears
//! the cells of the dead. Readers poison nothing.

use super::readers::Readers;
use super::slice::Slice;
use super::word::{LockWord, MARK, Taken, TimedOut, WAITERS};
use crate::owner::{self, OWNER_BITS, Owner};
use crate::primitive::Deadline;
use std::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};

#[repr(C)]
pub(super) struct RwWord {
    pub(super) word: LockWord,
    readers: Readers,
}

impl RwWord {
    #[cfg(all(feature = "lock_api", not(loom)))]
    #[allow(clippy::declare_interior_mutable_const, reason = "an initial value")]
    pub(super) const INIT: Self = Self { word: LockWord::INIT, readers: Readers::INIT };

    pub(super) fn new() -> Self {
        Self { word: LockWord::new(), readers: Readers::new() }
    }

    /// Becomes a reader unless somebody writes or waits to.
    #[inline]
    pub(super) fn try_enter(&self) -> Option<Taken> {
        let me = owner::me();
        // Not to be counted even for a moment while a writer waits for the count to fall.
        if self.word.word.load(Relaxed) & OWNER_BITS != 0 {
            return None;
        }
        if !self.readers.enter(me) {
            return None;
        }
        let word = self.word.word.load(SeqCst);
        if word & OWNER_BITS == 0 {
            return Some(Taken::new(me, word));
        }
        self.leave(me);
        None
    }

    #[cold]
    pub(super) fn enter(&self, deadline: Option<Deadline>) -> Result<Taken, TimedOut> {
        let mut slice = Slice::new(deadline);
        self.word.watch();
        loop {
            if let Some(entered) = self.try_enter() {
                return Ok(entered);
            }
            let word = self.word.word.load(Acquire);
            let is_free = word & OWNER_BITS == 0;
            let is_over = slice.is_over();
            let is_full = self.readers.is_full(owner::me());
            if is_free && !is_full || is_over && !is_free && self.word.bury(word) {
                continue;
            }
            if slice.is_late() {
                return Err(TimedOut);
            }
            if is_full {
                // Nobody tells when one of this process's 4,095 leaves.
                slice.sleep(&self.word.word, word);
            } else if self.word.announce(word) {
                slice.sleep(&self.word.word, word | WAITERS);
            }
        }
    }

    #[inline]
    pub(super) fn leave(&self, me: Owner) {
        if self.readers.leave(me) && self.word.word.load(SeqCst) & MARK != 0 {
            self.readers.notify();
        }
    }

    /// Becomes the writer.
    #[inline]
    pub(super) fn take(&self, deadline: Option<Deadline>) -> Result<Taken, TimedOut> {
        let taken = match self.word.try_take() {
            Some(taken) => taken,
            None => self.word.take(deadline)?,
        };
        if self.readers.are_gone() {
            return Ok(taken);
        }
        self.drain(taken, deadline)
    }

    /// Waits, as the owner of the word, until the readers have left.
    #[cold]
    fn drain(&self, taken: Taken, deadline: Option<Deadline>) -> Result<Taken, TimedOut> {
        self.word.mark(true);
        let mut slice = Slice::new(deadline);
        loop {
            let key = self.readers.key();
            if self.readers.are_gone() {
                self.word.mark(false);
                return Ok(taken);
            }
            if slice.is_over() && self.readers.bury() {
                continue;
            }
            if slice.is_late() {
                self.word.release_to_all(taken);
                return Err(TimedOut);
            }
            self.readers.sleep(key, &mut slice);
        }
    }

    /// Becomes the writer, unless somebody who lives reads or writes.
    pub(super) fn try_take(&self) -> Option<Taken> {
        let taken = self.word.try_take().or_else(|| self.word.try_take_any())?;
        if !self.readers.are_gone() {
            self.readers.bury();
            if !self.readers.are_gone() {
                self.word.release_to_all(taken);
                return None;
            }
        }
        Some(taken)
    }

    /// The writer becomes a reader.
    pub(super) fn downgrade(&self, taken: Taken) -> Owner {
        self.readers.enter_alone(taken.me());
        self.word.release_to_all(taken);
        taken.me()
    }

    /// Threads that read, as far as can be told.
    pub(super) fn reader_count(&self) -> usize {
        self.readers.count()
    }
}
