//! The place where a result is put by whoever has it, and found by whoever wants it.
//!
//! # States
//!
//! | stage | meaning | what comes next |
//! |---|---|---|
//! | `Waiting` | nobody has begun the task | `Running`; `Showing`, if it is cancelled |
//! | `Running` | it may be running; it cannot be cancelled any more | `Showing`, or `Done` if there are no callbacks |
//! | `Showing` | it has ended, and callbacks see the outcome | `Done` |
//! | `Done` | there is an outcome | `Taken` |
//! | `Taken` | its owner has it | |
//!
//! Callbacks see the outcome before anybody else does: who has got a result knows that they have run.

use crate::error::{Error, ErrorKind, Result};
use crate::trace;
use crossdock_sys::clock::{Deadline, now_ns};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

type Callback<R> = Box<dyn FnOnce(&Result<R>) + Send>;
type Hook = Box<dyn FnOnce() + Send>;

/// What a future and its executor share.
pub(super) struct Cell<R> {
    state: Mutex<State<R>>,
    changed: Condvar,
    tally: Option<Arc<Tally>>,
}

/// What is counted of the futures of an executor.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Errors that nobody has asked for.
    pub(crate) unclaimed: AtomicU64,
    /// Callbacks that have panicked.
    pub(crate) panicked_callbacks: AtomicU64,
}

struct State<R> {
    stage: Stage<R>,
    callbacks: Vec<Callback<R>>,
    hooks: Vec<Hook>,
    waker: Option<Waker>,
    /// Whether there is nobody left to ask.
    is_abandoned: bool,
}

enum Stage<R> {
    Waiting,
    Running,
    Showing { is_cancelled: bool },
    Done { outcome: Result<R>, is_claimed: bool },
    Taken,
}

impl<R> Stage<R> {
    /// Whether nothing can change any more how it ends.
    fn has_ended(&self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }

    /// Whether everybody may see how it ended.
    fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Taken)
    }
}

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Waiting,
    Running,
    Done,
    Failed(ErrorKind),
}

impl<R> Cell<R> {
    pub(super) fn new(tally: Option<Arc<Tally>>) -> Self {
        let state = State {
            stage: Stage::Waiting,
            callbacks: Vec::new(),
            hooks: Vec::new(),
            waker: None,
            is_abandoned: false,
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), tally }
    }

    /// The task is begun; false if it has been cancelled.
    pub(super) fn start(&self) -> bool {
        let mut state = self.state.lock();
        let may_run = !state.stage.has_ended();
        if may_run {
            state.stage = Stage::Running;
        }
        may_run
    }

    /// The task has ended. The first outcome counts.
    pub(super) fn complete(&self, outcome: Result<R>) {
        let state = self.state.lock();
        if !state.stage.has_ended() {
            self.show(state, outcome);
        }
    }

    /// As [`complete`](Self::complete), unless somebody wants to be called: then the outcome comes back.
    pub(super) fn complete_quietly(&self, outcome: Result<R>) -> Option<Result<R>> {
        let state = self.state.lock();
        if state.stage.has_ended() {
            return None;
        }
        if !state.callbacks.is_empty() {
            return Some(outcome);
        }
        self.finish(state, outcome, false);
        None
    }

    /// Has callbacks see the outcome, also those that come meanwhile, and then everybody.
    fn show<'c>(&'c self, mut state: MutexGuard<'c, State<R>>, outcome: Result<R>) {
        state.stage = Stage::Showing { is_cancelled: is_cancelled(&outcome) };
        let mut is_claimed = false;
        while !state.callbacks.is_empty() {
            let callbacks = std::mem::take(&mut state.callbacks);
            drop(state);
            is_claimed = true;
            callbacks.into_iter().for_each(|callback| self.call(callback, &outcome));
            state = self.state.lock();
        }
        self.finish(state, outcome, is_claimed);
    }

    fn finish(&self, mut state: MutexGuard<'_, State<R>>, outcome: Result<R>, is_claimed: bool) {
        let is_lost = state.is_abandoned && !is_claimed;
        let unheard = outcome.as_ref().err().filter(|_| is_lost).cloned();
        state.stage = Stage::Done { outcome, is_claimed };
        let (hooks, waker) = (std::mem::take(&mut state.hooks), state.waker.take());
        self.changed.notify_all();
        drop(state);
        if let Some(error) = unheard {
            self.note_unclaimed(&error);
        }
        hooks.into_iter().for_each(|hook| hook());
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ends a task that nobody has begun; whether it has been cancelled, now or before.
    pub(super) fn cancel(&self, why: impl FnOnce() -> Error) -> bool {
        let state = self.state.lock();
        match &state.stage {
            Stage::Waiting => {
                self.show(state, Err(why()));
                true
            }
            Stage::Showing { is_cancelled } => *is_cancelled,
            Stage::Done { outcome, .. } => is_cancelled(outcome),
            Stage::Running | Stage::Taken => false,
        }
    }

    /// A callback that panics harms nobody; the panic hook has told of it.
    fn call(&self, callback: Callback<R>, outcome: &Result<R>) {
        if catch_unwind(AssertUnwindSafe(|| callback(outcome))).is_err()
            && let Some(tally) = &self.tally
        {
            tally.panicked_callbacks.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn note_unclaimed(&self, error: &Error) {
        if error.kind() == ErrorKind::Cancelled {
            return;
        }
        trace::failure_unclaimed(error);
        if let Some(tally) = &self.tally {
            tally.unclaimed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Has `callback` see the outcome: now, if there is one.
    ///
    /// Only the owner of the future calls this, and nothing else of the cell meanwhile.
    pub(super) fn add_callback(&self, callback: Callback<R>) {
        let mut state = self.state.lock();
        match std::mem::replace(&mut state.stage, Stage::Showing { is_cancelled: false }) {
            Stage::Done { outcome, .. } => {
                drop(state);
                self.call(callback, &outcome);
                self.state.lock().stage = Stage::Done { outcome, is_claimed: true };
            }
            other => {
                state.stage = other;
                state.callbacks.push(callback);
            }
        }
    }

    /// Has `hook` called when there is an outcome; false, and it is dropped, if there is one.
    pub(super) fn add_hook(&self, hook: Hook) -> bool {
        let mut state = self.state.lock();
        let is_open = !state.stage.is_done();
        if is_open {
            state.hooks.push(hook);
        }
        is_open
    }

    /// Whether there is an outcome; if not, `waker` is woken when there is.
    pub(super) fn is_done_or_wake(&self, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        let is_done = state.stage.is_done();
        if !is_done {
            state.waker = Some(waker.clone());
        }
        is_done
    }

    pub(super) fn is_done(&self) -> bool {
        self.state.lock().stage.is_done()
    }

    pub(super) fn progress(&self) -> Progress {
        match &self.state.lock().stage {
            Stage::Waiting => Progress::Waiting,
            Stage::Running | Stage::Showing { .. } => Progress::Running,
            Stage::Done { outcome: Err(error), .. } => Progress::Failed(error.kind()),
            Stage::Done { .. } | Stage::Taken => Progress::Done,
        }
    }

    /// Waits for the outcome; false when the deadline has passed before.
    pub(super) fn wait(&self, deadline: Option<Deadline>) -> bool {
        let mut state = self.state.lock();
        while !state.stage.is_done() {
            match deadline.map(left) {
                None => self.changed.wait(&mut state),
                Some(Duration::ZERO) => return false,
                Some(left) => drop(self.changed.wait_for(&mut state, left)),
            }
        }
        true
    }

    /// The error of a task that has failed.
    pub(super) fn error(&self) -> Option<Error> {
        match &mut self.state.lock().stage {
            Stage::Done { outcome, is_claimed } => {
                *is_claimed = true;
                outcome.as_ref().err().cloned()
            }
            _ => None,
        }
    }

    /// The outcome, once.
    pub(super) fn take(&self) -> Result<R> {
        let mut state = self.state.lock();
        match std::mem::replace(&mut state.stage, Stage::Taken) {
            Stage::Done { outcome, .. } => outcome,
            other => {
                state.stage = other;
                let text = "the result of the task is not there, or has been taken before";
                Err(Error::new(ErrorKind::InvalidArgument, text))
            }
        }
    }

    /// There is nobody left who could ask.
    pub(super) fn abandon(&self) {
        let mut state = self.state.lock();
        state.is_abandoned = true;
        let unheard = match &state.stage {
            Stage::Done { outcome: Err(error), is_claimed: false } => Some(error.clone()),
            _ => None,
        };
        drop(state);
        if let Some(error) = unheard {
            self.note_unclaimed(&error);
        }
    }
}

fn is_cancelled<R>(outcome: &Result<R>) -> bool {
    outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::Cancelled)
}

/// The time until a deadline.
pub(crate) fn left(deadline: Deadline) -> Duration {
    Duration::from_nanos(deadline.as_nanos().saturating_sub(now_ns()))
}

/// The executor's side of a future. If it is lost, the future ends in an error.
pub(crate) struct Promise<R> {
    cell: Arc<Cell<R>>,
    is_kept: bool,
}

impl<R> Promise<R> {
    pub(super) fn new(cell: &Arc<Cell<R>>) -> Self {
        Self { cell: Arc::clone(cell), is_kept: false }
    }

    /// The task is begun; false if it has been cancelled.
    pub(crate) fn start(&self) -> bool {
        self.cell.start()
    }

    /// The task has ended.
    pub(crate) fn keep(mut self, outcome: Result<R>) {
        self.is_kept = true;
        self.cell.complete(outcome);
    }

    /// As [`keep`](Self::keep), unless somebody wants to be called: then this comes back, to be kept when nothing is locked.
    pub(crate) fn keep_quietly(mut self, outcome: Result<R>) -> Result<(), (Self, Result<R>)> {
        match self.cell.complete_quietly(outcome) {
            None => {
                self.is_kept = true;
                Ok(())
            }
            Some(outcome) => Err((self, outcome)),
        }
    }
}

#[cfg(feature = "rayon")]
impl<R: Send + 'static> Promise<R> {
    /// Cancels the task if it has not begun, also after this has moved elsewhere.
    pub(super) fn canceller(&self) -> Box<dyn FnOnce() + Send> {
        let cell = Arc::clone(&self.cell);
        Box::new(move || {
            let why = "the task was cancelled: its executor was shut down";
            cell.cancel(|| Error::new(ErrorKind::Cancelled, why));
        })
    }
}

impl<R> Drop for Promise<R> {
    fn drop(&mut self) {
        if !self.is_kept {
            let text = "the task was given up: its executor has gone";
            self.cell.complete(Err(Error::new(ErrorKind::Cancelled, text)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn cancelled() -> Error {
        Error::new(ErrorKind::Cancelled, "on purpose")
    }

    #[test]
    fn what_is_shown_to_callbacks_cannot_be_begun_or_ended_in_another_way() {
        let cell = Arc::new(Cell::<u32>::new(None));
        let (seen, shown) = mpsc::channel();
        let same = Arc::clone(&cell);
        cell.add_callback(Box::new(move |outcome| {
            assert_eq!(outcome.as_ref().unwrap_err().kind(), ErrorKind::Cancelled);
            same.complete(Ok(1));
            assert!(same.complete_quietly(Ok(2)).is_none(), "the first outcome counts");
            let late = seen.clone();
            same.add_callback(Box::new(move |outcome| {
                late.send((outcome.is_err(), true)).unwrap()
            }));
            seen.send((same.start(), same.cancel(cancelled))).unwrap();
            assert!(!same.is_done(), "others see it after the callbacks");
        }));
        assert!(cell.cancel(cancelled));
        assert_eq!(shown.iter().collect::<Vec<_>>(), [(false, true), (true, true)]);
        assert_eq!(cell.take().unwrap_err().kind(), ErrorKind::Cancelled);
    }

    #[test]
    fn an_outcome_comes_back_from_those_who_must_not_call_anybody() {
        let cell = Cell::new(None);
        let (seen, shown) = mpsc::channel();
        cell.add_callback(Box::new(move |outcome| seen.send(outcome.is_ok()).unwrap()));
        let outcome = cell.complete_quietly(Ok(5)).unwrap();
        assert!(shown.try_recv().is_err() && !cell.is_done());
        cell.complete(outcome);
        assert!(shown.recv().unwrap());
        assert_eq!(cell.take().unwrap(), 5);
    }
}
