//! Doing it once.
//!
//! # States
//!
//! The word of `word.rs`, where [`MARK`] without an owner means done:
//!
//! | word | meaning | becomes |
//! |---|---|---|
//! | 0 | not begun | owned |
//! | owned | somebody is at it | done, or free with `POISON` after a panic or a death |
//! | free, `POISON` | who was at it died or panicked | owned, by who wants to try again |
//! | free, `MARK` | done | nothing else |
//!
//! # Ordering
//!
//! Done is stored with release, and seen with acquire.
//!
//! # Owner death
//!
//! Those who wait ask after each slice whether who is at it still lives, and if not set the word to
//! `POISON`. What was half done is for [`Once::call_once_force`] to put right.

use super::poison::{LockResult, LockTimeoutError, PoisonError, TryLockError};
use super::slice::Slice;
use super::word::{LockWord, MARK, POISON, WAITERS};
use crate::owner::{self, OWNER_BITS, Owner};
use crate::primitive::{Deadline, wake_all};
use std::fmt;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::Duration;

/// Something that one thread of one process does, and everybody else waits for.
///
/// All zeroes are one that has not begun. A closure that calls the same `Once` waits for itself, for ever.
///
/// # Examples
///
/// ```
/// use crossdock_core::sync::Once;
///
/// let setup = Once::new();
/// let mut times = 0;
/// setup.call_once(|| times += 1).unwrap();
/// setup.call_once(|| times += 1).unwrap(); // already done
/// assert_eq!(times, 1);
/// ```
#[repr(C)]
pub struct Once {
    word: LockWord,
}

/// What [`Once::call_once_force`] tells its closure.
#[derive(Clone, Copy, Debug)]
pub struct OnceState {
    is_poisoned: bool,
    owner_pid: Option<u32>,
}

impl OnceState {
    /// Whether somebody died or panicked in the middle before.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.is_poisoned
    }

    /// Process id of who that was, if it is known.
    #[must_use]
    pub fn owner_pid(&self) -> Option<u32> {
        self.owner_pid
    }
}

/// Why a wait for a [`Once`] ended without it being done.
enum NotDone {
    Poisoned,
    Busy,
}

/// What a waiter does when nobody is at it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Begins, unless it is poisoned.
    Begin,
    /// Begins.
    BeginAnew,
    /// Waits for somebody who does.
    Wait,
}

impl Once {
    /// Something that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self { word: LockWord::new() }
    }

    /// Whether it is done. What was done is visible then.
    #[inline]
    #[must_use]
    pub fn is_completed(&self) -> bool {
        is_done(self.word.word.load(Acquire))
    }

    /// Does it, or waits until who is at it has done it.
    ///
    /// # Errors
    ///
    /// [`PoisonError`] when somebody died or panicked in the middle: see
    /// [`call_once_force`](Self::call_once_force).
    ///
    /// # Panics
    ///
    /// As [`Mutex::lock`](super::Mutex::lock), and when `act` does.
    #[inline]
    #[doc(alias = "pthread_once")]
    pub fn call_once(&self, act: impl FnOnce()) -> LockResult<()> {
        if self.is_completed() {
            return Ok(());
        }
        self.run(Turn::Begin, None, |_| act()).map_err(|_| self.poison_error())
    }

    /// As [`call_once`](Self::call_once), also after somebody died or panicked in the middle; `act` is told.
    ///
    /// # Panics
    ///
    /// As [`call_once`](Self::call_once).
    pub fn call_once_force(&self, act: impl FnOnce(&OnceState)) {
        if self.is_completed() {
            return;
        }
        match self.run(Turn::BeginAnew, None, act) {
            Ok(()) => {}
            Err(_) => unreachable!("poison is no obstacle, and there is no deadline"),
        }
    }

    /// Does it, unless somebody who lives is at it.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`], or [`TryLockError::Poisoned`] as [`call_once`](Self::call_once).
    pub fn try_call_once(&self, act: impl FnOnce()) -> Result<(), TryLockError<()>> {
        self.word.bury_if_dead();
        self.run(Turn::Begin, Some(Deadline::after(Duration::ZERO)), |_| act()).map_err(|why| {
            match why {
                NotDone::Poisoned => TryLockError::Poisoned(self.poison_error()),
                NotDone::Busy => TryLockError::WouldBlock,
            }
        })
    }

    /// As [`call_once`](Self::call_once), but does not wait longer than `timeout` for somebody else.
    ///
    /// # Errors
    ///
    /// [`LockTimeoutError::TimedOut`], or [`LockTimeoutError::Poisoned`] as [`call_once`](Self::call_once).
    pub fn call_once_timeout(
        &self,
        timeout: Duration,
        act: impl FnOnce(),
    ) -> Result<(), LockTimeoutError<()>> {
        let deadline = Some(Deadline::after(timeout));
        self.run(Turn::Begin, deadline, |_| act()).map_err(|why| self.timeout_error(&why))
    }

    /// Waits until somebody has done it.
    ///
    /// # Errors
    ///
    /// [`PoisonError`] when somebody died or panicked in the middle.
    pub fn wait(&self) -> LockResult<()> {
        self.run(Turn::Wait, None, |_| ()).map_err(|_| self.poison_error())
    }

    /// Waits until somebody has done it, but not longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`LockTimeoutError::TimedOut`], or [`LockTimeoutError::Poisoned`] as [`wait`](Self::wait).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), LockTimeoutError<()>> {
        let deadline = Some(Deadline::after(timeout));
        self.run(Turn::Wait, deadline, |_| ()).map_err(|why| self.timeout_error(&why))
    }

    #[cold]
    fn run(
        &self,
        turn: Turn,
        deadline: Option<Deadline>,
        act: impl FnOnce(&OnceState),
    ) -> Result<(), NotDone> {
        let me = owner::me();
        let mut slice = Slice::new(deadline);
        loop {
            let word = self.word.word.load(Acquire);
            if is_done(word) {
                return Ok(());
            }
            let is_free = word & OWNER_BITS == 0;
            let is_poisoned = is_free && word & POISON != 0;
            if is_poisoned && turn != Turn::BeginAnew {
                return Err(NotDone::Poisoned);
            }
            if is_free && turn != Turn::Wait {
                let owner_pid = self.word.poisoned_by().filter(|_| is_poisoned);
                if self.begin(word, me) {
                    self.act(|| act(&OnceState { is_poisoned, owner_pid }));
                    return Ok(());
                }
                continue;
            }
            if slice.is_over() && !is_free && self.word.bury(word) {
                continue;
            }
            if slice.is_late() {
                return Err(NotDone::Busy);
            }
            if self.word.announce(word) {
                slice.sleep(&self.word.word, word | WAITERS);
            }
        }
    }

    fn begin(&self, word: u32, me: Owner) -> bool {
        let owned = me.to_word() | word & WAITERS;
        self.word.word.compare_exchange(word, owned, AcqRel, Relaxed).is_ok()
    }

    fn act(&self, act: impl FnOnce()) {
        let mut finish = Finish { word: &self.word, outcome: POISON };
        act();
        finish.outcome = MARK;
    }

    fn poison_error(&self) -> PoisonError<()> {
        PoisonError::new((), self.word.poisoned_by())
    }

    fn timeout_error(&self, why: &NotDone) -> LockTimeoutError<()> {
        match why {
            NotDone::Poisoned => LockTimeoutError::Poisoned(self.poison_error()),
            NotDone::Busy => {
                let owner_pid = self.word.holder().map(owner::pid).filter(|pid| *pid != 0);
                LockTimeoutError::TimedOut { owner_pid }
            }
        }
    }
}

fn is_done(word: u32) -> bool {
    word & (OWNER_BITS | MARK) == MARK
}

/// Says how it went, also when a panic passes through.
struct Finish<'a> {
    word: &'a LockWord,
    outcome: u32,
}

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        // In the child of a fork it is still the parent who is at it.
        if !self.word.holder().is_some_and(Owner::is_me) {
            return;
        }
        if self.outcome == POISON {
            self.word.poisoned();
        }
        if self.word.word.swap(self.outcome, Release) & WAITERS != 0 {
            wake_all(&self.word.word);
        }
    }
}

impl Default for Once {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").field("is_completed", &self.is_completed()).finish_non_exhaustive()
    }
}
