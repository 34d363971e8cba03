//! Who is told of an end, and when.
//!
//! Most of those who wait for a task can be told while others wait for the lead or for a lock: nothing of what users
//! wrote is called. A callback may do anything, also wait for other tasks; so it is called when nothing is locked.

use super::core::Core;
use super::job::{Asked, Call, Outcome};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

thread_local! {
    /// Where the pools lie of whose results this thread is telling somebody: a callback of one may receive another's.
    static TELLING: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Somebody who is to be told of an end. Made by [`Core::end`].
#[must_use = "somebody waits for it"]
#[expect(clippy::large_enum_variant, reason = "most have ended, and are told at once")]
pub(super) enum Told {
    Ended(Asked, Outcome),
    /// When nothing is locked.
    Calls(Vec<Call>),
}

impl Core {
    /// From now on the pool has not ended before somebody has been told of this.
    pub(super) fn end(&self, asked: Asked, outcome: Outcome) -> Told {
        self.settling.fetch_add(1, Ordering::SeqCst);
        Told::Ended(asked, outcome)
    }

    /// Tells who waits. This may call what users wrote, so nothing may be locked, not even the lead.
    pub(super) fn tell(&self, told: impl IntoIterator<Item = Told>) {
        for told in told {
            if let Some(Told::Calls(calls)) = self.tell_quietly(told) {
                calls.into_iter().for_each(|call| self.telling(call));
                self.note_settled();
            }
        }
    }

    /// As [`tell`](Self::tell), also with the lead. Those who want to be called come back.
    pub(super) fn tell_quietly(&self, told: Told) -> Option<Told> {
        let Told::Ended(asked, outcome) = told else { return Some(told) };
        let calls = self.telling(|| asked.slot.settle(outcome));
        if !calls.is_empty() {
            return Some(Told::Calls(calls));
        }
        self.note_settled();
        None
    }

    fn note_settled(&self) {
        if self.settling.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.wind_down(&mut self.state.lock());
        }
    }

    /// Does what may be a callback. What users wrote to drop a result may panic, and that is nobody's business here.
    fn telling<R: Default>(&self, tell: impl FnOnce() -> R) -> R {
        TELLING.with_borrow_mut(|pools| pools.push(self.address()));
        let told = catch_unwind(AssertUnwindSafe(tell));
        TELLING.with_borrow_mut(Vec::pop);
        told.unwrap_or_else(|_| {
            self.tally.panicked_callbacks.fetch_add(1, Ordering::Relaxed);
            R::default()
        })
    }

    /// Whether this thread is telling somebody of a result of this pool, and so may be in a callback.
    pub(super) fn is_telling(&self) -> bool {
        TELLING.with_borrow(|pools| pools.contains(&self.address()))
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Whether everybody has been told.
    pub(super) fn is_settled(&self) -> bool {
        self.settling.load(Ordering::SeqCst) == 0
    }
}
