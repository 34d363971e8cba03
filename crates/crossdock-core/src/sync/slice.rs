//! Bounded sleeps: how a waiter comes to ask whether those it waits for still live.

use crate::primitive::{AtomicU32, Deadline, wait};
use crate::signal::SLICE;

/// The time that a waiter sleeps before it asks who still lives: at most [`SLICE`], then the next one.
///
/// It begins with the first sleep and ends by the clock, not with a sleep: signals that interrupt every sleep
/// do not put it off.
pub(super) struct Slice {
    end: Option<Deadline>,
    deadline: Option<Deadline>,
}

impl Slice {
    /// The slices of a wait that may last until `deadline`.
    pub(super) fn new(deadline: Option<Deadline>) -> Self {
        Self { end: None, deadline }
    }

    /// Sleeps while the word is as expected, until the slice or the wait ends.
    pub(super) fn sleep(&mut self, word: &AtomicU32, expected: u32) {
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

    /// When the sleep that begins now ends at the latest.
    pub(super) fn until(&mut self) -> Deadline {
        let end = *self.end.get_or_insert_with(|| Deadline::after(SLICE));
        self.deadline.map_or(end, |deadline| deadline.min(end))
    }

    /// Whether the slice has ended, which is the time to ask; the next one begins with the next sleep.
    pub(super) fn is_over(&mut self) -> bool {
        let is_over = self.end.is_some_and(Deadline::is_past);
        if is_over {
            self.end = None;
        }
        is_over
    }
}
