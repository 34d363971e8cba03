//! Who is told of an end, and when.
//!
//! Most of those who wait for a task can be told by any thread, also with the lead: nothing of what users wrote is
//! called. A callback may do anything, also wait for other tasks. So it is called when nothing is locked, and never by
//! the supervisor, for which they wait. It may wait for a task whose own callback is still to be called: so a thread that
//! waits in one callback passes the others on.

use super::core::Core;
use super::job::{Asked, Call, Outcome};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

thread_local! {
    /// Where the pools lie of whose results this thread is telling somebody: a callback of one may receive another's.
    static TELLING: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
    /// Where the pool lies whose calls this thread makes, and nobody else; 0 if there is none.
    static CALLING: Cell<usize> = const { Cell::new(0) };
}

/// Calls that are to be made, of several tasks.
#[derive(Default)]
pub(super) struct Later {
    calls: VecDeque<Vec<Call>>,
    /// Whether a thread makes them, and does not wait for anything.
    has_caller: bool,
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
    pub(super) fn tell(&self, told: Vec<Told>) {
        let mut calls = self.tell_quietly(told);
        match calls.len() {
            0 => {}
            1 => calls.into_iter().for_each(|calls| self.call(calls)),
            _ if self.add_calls(&mut calls) => self.make_calls(),
            _ => {}
        }
    }

    /// As [`tell`](Self::tell), but a thread of its own calls what users wrote.
    pub(super) fn tell_elsewhere(&self, told: Vec<Told>) {
        let mut calls = self.tell_quietly(told);
        if !calls.is_empty() && self.add_calls(&mut calls) {
            self.start_caller();
        }
    }

    /// As [`tell`](Self::tell), also with the lead: those who want to be called come into `later`.
    pub(super) fn tell_or_keep(&self, told: Told, later: &mut Vec<Told>) {
        later.extend(self.tell_quietly(vec![told]).into_iter().map(Told::Calls));
    }

    /// Tells those who want no call; the calls of the others come back.
    fn tell_quietly(&self, told: Vec<Told>) -> Vec<Vec<Call>> {
        let mut all = Vec::new();
        for told in told {
            let calls = match told {
                Told::Calls(calls) => calls,
                Told::Ended(asked, outcome) => self.telling(|| asked.slot.settle(outcome)),
            };
            if calls.is_empty() {
                self.note_settled();
            } else {
                all.push(calls);
            }
        }
        all
    }

    fn call(&self, calls: Vec<Call>) {
        calls.into_iter().for_each(|call| self.telling(call));
        self.note_settled();
    }

    /// Adds calls that are to be made; whether nobody makes them yet.
    fn add_calls(&self, calls: &mut Vec<Vec<Call>>) -> bool {
        let mut later = self.later.lock();
        later.calls.extend(calls.drain(..));
        !std::mem::replace(&mut later.has_caller, true)
    }

    /// Makes the calls that are to be made, all or until it has passed them on.
    fn make_calls(&self) {
        let outer = CALLING.replace(self.address());
        loop {
            let mut later = self.later.lock();
            if CALLING.get() != self.address() {
                if later.has_caller {
                    break;
                }
                later.has_caller = true;
                CALLING.set(self.address());
            }
            let Some(calls) = later.calls.pop_front() else {
                later.has_caller = false;
                break;
            };
            drop(later);
            self.call(calls);
        }
        CALLING.set(outer);
    }

    /// This thread is about to wait: if it makes calls, another one is to make the rest.
    pub(super) fn pass_calls_on(&self) {
        if CALLING.get() != self.address() {
            return;
        }
        CALLING.set(0);
        let mut later = self.later.lock();
        later.has_caller = !later.calls.is_empty();
        let has_calls = later.has_caller;
        drop(later);
        if has_calls {
            self.start_caller();
        }
    }

    fn start_caller(&self) {
        let start = |core: Arc<Self>| {
            let caller = thread::Builder::new().name("crossdock-callbacks".to_owned());
            caller.spawn(move || core.make_calls())
        };
        if self.this.upgrade().is_none_or(|core| start(core).is_err()) {
            // The system allows no more threads.
            self.make_calls();
        }
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
