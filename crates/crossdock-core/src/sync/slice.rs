//! Bounded sleeps: how a waiter comes to ask whether those it waits for still live.

use crate::primitive::{AtomicU32, Deadline, wait};
use crate::signal::SLICE;

/// The time that a waiter sleeps before it asks who still lives: at most [`SLICE`], then the next one.
///
/// It ends by the clock, not by the sleep: signals that interrupt every sleep do not put it off.
pub(super) struct Slice {
    end: Deadline,
    deadline: Option<Deadline>,
}

impl Slice {
    /// The first slice of a wait that may last until `deadline`.
    pub(super) fn new(deadline: Option<Deadline>) -> Self {
        Self { end: Deadline::after(SLICE), deadline }
    }

    /// Sleeps while the word is as expected, until the slice or the wait ends.
    pub(super) fn sleep(&self, word: &AtomicU32, expected: u32) {
        wait(word, expected, self.until());
    }

    /// Sleeps as [`sleep`](Self::sleep), for waiters who have nobody to ask about.
    pub(super) fn nap(&mut self, word: &AtomicU32, expected: u32) {
        self.is_over();
        self.sleep(word, expected);
    }

    /// Whether the wait has ended.
    pub(super) fn is_late(&self) -> bool {
        self.deadline.is_some_and(Deadline::is_past)
    }

    /// When the sleep ends at the latest.
    pub(super) fn until(&self) -> Deadline {
        self.deadline.map_or(self.end, |deadline| deadline.min(self.end))
    }

    /// Whether the slice has ended, which is the time to ask; begins the next one.
    pub(super) fn is_over(&mut self) -> bool {
        let is_over = self.end.is_past();
        if is_over {
            self.end = Deadline::after(SLICE);
        }
        is_over
    }
}
