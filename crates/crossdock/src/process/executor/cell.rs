//! The place where a result is put by whoever has it, and found by whoever wants it.
//!
//! # States
//!
//! | stage | meaning | what comes next |
//! |---|---|---|
//! | `Waiting` | nobody has begun the task | `Running`; `Done`, if it is cancelled |
//! | `Running` | it may be running; it cannot be cancelled any more | `Done` |
//! | `Done` | there is an outcome | `Taken` |
//! | `Taken` | its owner has it | |
//!
//! Callbacks see the outcome before anybody else does: who has got a result knows that they have run.

use crate::error::{Error, ErrorKind, Result};
use crate::trace;
use crossdock_sys::clock::{Deadline, now_ns};
use parking_lot::{Condvar, Mutex};
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
    Done { outcome: Result<R>, is_claimed: bool },
    Taken,
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
        let may_run = matches!(state.stage, Stage::Waiting | Stage::Running);
        if may_run {
            state.stage = Stage::Running;
        }
        may_run
    }

    /// The task has ended. The first outcome counts.
    pub(super) fn complete(&self, outcome: Result<R>) {
        let mut is_claimed = false;
        let mut state = loop {
            let mut state = self.state.lock();
            if matches!(state.stage, Stage::Done { .. } | Stage::Taken) {
                return;
            }
            state.stage = Stage::Running;
            if state.callbacks.is_empty() {
                break state;
            }
            let callbacks = std::mem::take(&mut state.callbacks);
            drop(state);
            is_claimed = true;
            callbacks.into_iter().for_each(|callback| self.call(callback, &outcome));
        };
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
        let mut state = self.state.lock();
        if !matches!(state.stage, Stage::Waiting) {
            drop(state);
            return self.progress() == Progress::Failed(ErrorKind::Cancelled);
        }
        // Nobody else may end it meanwhile.
        state.stage = Stage::Running;
        drop(state);
        self.complete(Err(why()));
        true
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
        match std::mem::replace(&mut state.stage, Stage::Running) {
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
        let is_open = matches!(state.stage, Stage::Waiting | Stage::Running);
        if is_open {
            state.hooks.push(hook);
        }
        is_open
    }

    /// Whether there is an outcome; if not, `waker` is woken when there is.
    pub(super) fn is_done_or_wake(&self, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        let is_done = matches!(state.stage, Stage::Done { .. } | Stage::Taken);
        if !is_done {
            state.waker = Some(waker.clone());
        }
        is_done
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.state.lock().stage, Stage::Done { .. } | Stage::Taken)
    }

    pub(super) fn progress(&self) -> Progress {
        match &self.state.lock().stage {
            Stage::Waiting => Progress::Waiting,
            Stage::Running => Progress::Running,
            Stage::Done { outcome: Err(error), .. } => Progress::Failed(error.kind()),
            Stage::Done { .. } | Stage::Taken => Progress::Done,
        }
    }

    /// Waits for the outcome; false when the deadline has passed before.
    pub(super) fn wait(&self, deadline: Option<Deadline>) -> bool {
        let mut state = self.state.lock();
        while matches!(state.stage, Stage::Waiting | Stage::Running) {
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

    /// Whether somebody wants to be called.
    pub(crate) fn calls_out(&self) -> bool {
        !self.cell.state.lock().callbacks.is_empty()
    }

    /// The task has ended.
    pub(crate) fn keep(mut self, outcome: Result<R>) {
        self.is_kept = true;
        self.cell.complete(outcome);
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
