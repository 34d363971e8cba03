//! Locks and meeting points for threads of any number of processes, which survive whoever holds them.
//!
//! | I want | use |
//! |---|---|
//! | one at a time | [`Mutex`]; [`ReentrantMutex`] if the holder locks again |
//! | many readers or one writer | [`RwLock`] |
//! | to wait until what a mutex protects has changed | [`Condvar`] |
//! | so many at a time | [`Semaphore`] |
//! | to wait until somebody says so | [`Event`] |
//! | to wait until all are here | [`Barrier`] |
//! | to do it once | [`Once`] |
//!
//! They live in a [`Value`](crate::Value), alone or as fields of a struct. [The chooser](crate::docs::chooser)
//! compares them with those of std, `parking_lot` and Python.
//!
//! # When a process dies
//!
//! | died while it | others see |
//! |---|---|
//! | held a [`Mutex`], [`ReentrantMutex`], or a [`RwLock`] to write | [`PoisonError`] with the guard inside |
//! | held a [`RwLock`] to read | nothing: its part is taken back |
//! | held a permit of a [`Semaphore`] | nothing: the permit comes back, [`Permit::is_abandoned`] |
//! | had taken part in a [`Barrier`] | [`BarrierError::Broken`], until it is reset |
//! | ran the closure of a [`Once`] | [`PoisonError`] |
//! | waited for any of them, or was just waking others | nothing |
//!
//! Who waits sleeps in slices of 25 ms at most and asks after each whether those it waits for still live, so
//! that is how long it takes to notice.

pub use crossdock_core::sync::{
    Barrier, BarrierError, BarrierWaitResult, Condvar, Event, LockResult, LockTimeoutError, Mutex,
    MutexGuard, Once, OnceState, Permit, PoisonError, ReentrantMutex, ReentrantMutexGuard, RwLock,
    RwLockReadGuard, RwLockWriteGuard, Semaphore, TooManyPermits, TryLockError, WaitTimeoutResult,
};

#[cfg(feature = "lock_api")]
pub use crossdock_core::sync::{Held, RawMutex, RawRwLock};

use crate::error::{Error, ErrorKind, Result};
use crate::member::Member;

/// Makes this process known to the locks of its directory of names.
///
/// Whoever opens a [`Value`](crate::Value) has done it. Call it
///
/// * before the first lock in memory that was mapped by other means, in every process that has it: a process
///   that is not known is never found dead, and all must use the same directory of names;
/// * first in the child of a fork that uses what it has inherited: it gives an error where the first lock
///   would panic.
///
/// # Errors
///
/// `TooManyPeers` when all places are taken; what can go wrong with the directory.
pub fn join() -> Result<()> {
    Member::current().map(Member::share_unnamed)
}

impl<G> From<PoisonError<G>> for Error {
    fn from(poisoned: PoisonError<G>) -> Self {
        Self::new(ErrorKind::Poisoned, poisoned.to_string())
    }
}

impl<G> From<TryLockError<G>> for Error {
    fn from(error: TryLockError<G>) -> Self {
        match error {
            TryLockError::Poisoned(poisoned) => poisoned.into(),
            TryLockError::WouldBlock => Self::new(ErrorKind::Busy, error.to_string()),
        }
    }
}

impl<G> From<LockTimeoutError<G>> for Error {
    fn from(error: LockTimeoutError<G>) -> Self {
        match error {
            LockTimeoutError::Poisoned(poisoned) => poisoned.into(),
            LockTimeoutError::TimedOut { .. } => Self::new(ErrorKind::TimedOut, error.to_string()),
        }
    }
}

impl From<BarrierError> for Error {
    fn from(error: BarrierError) -> Self {
        let kind = match error {
            BarrierError::Broken => ErrorKind::Poisoned,
            BarrierError::TimedOut => ErrorKind::TimedOut,
            BarrierError::WouldBlock => ErrorKind::Busy,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<TooManyPermits> for Error {
    fn from(error: TooManyPermits) -> Self {
        Self::new(ErrorKind::LimitExceeded, error.to_string())
    }
}
