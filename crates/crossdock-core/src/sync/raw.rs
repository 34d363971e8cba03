//! The locks without their values, for the `lock_api` crate: its guards can be mapped to a part of the value.
//!
//! `lock_api` knows no poison. A lock that was taken from a dead owner says so to whoever asks while holding it:
//!
//! ```
//! use crossdock_core::sync::RawMutex;
//! use lock_api::{Mutex, MutexGuard};
//!
//! let pair = Mutex::<RawMutex, _>::new((1, 2));
//! let guard = pair.lock();
//! // SAFETY: the raw mutex is only asked.
//! if unsafe { pair.raw() }.is_poisoned() {
//!     // put the data right
//! }
//! let mut second = MutexGuard::map(guard, |pair| &mut pair.1);
//! *second += 1;
//! ```
#![allow(unsafe_code, reason = "the traits of lock_api are unsafe to implement")]

use super::rwword::RwWord;
use super::word::{LockWord, Taken};
use crate::primitive::Deadline;
use lock_api::GuardNoSend;
use std::fmt;
use std::time::{Duration, Instant};

/// A mutex without its value, which survives its owner: see [`Mutex`](super::Mutex).
#[repr(transparent)]
pub struct RawMutex(LockWord);

impl RawMutex {
    /// Whether a former owner died, and nobody has cleared that.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.0.is_poisoned()
    }

    /// Says that the data is in order again. Call it while holding the lock.
    pub fn clear_poison(&self) {
        self.0.clear_poison();
    }

    fn take(&self, deadline: Option<Deadline>) -> Option<Held> {
        self.0.try_take().or_else(|| self.0.take(deadline).ok()).map(Held::new)
    }
}

/// What a guard of `lock_api` keeps of a lock that it holds.
pub struct Held {
    taken: Taken,
    _not_send: GuardNoSend,
}

impl Held {
    fn new(taken: Taken) -> Self {
        Self { taken, _not_send: GuardNoSend::new() }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("taken", &self.taken).finish()
    }
}

// SAFETY: the word is owned by at most one thread at a time (`word.rs`).
unsafe impl lock_api::RawMutex for RawMutex {
    #[allow(clippy::declare_interior_mutable_const, reason = "the trait wants it")]
    const INIT: Self = Self(LockWord::INIT);
    type Guard = Held;

    fn lock(&self) -> Held {
        loop {
            // Without a deadline it is taken in the end.
            if let Some(held) = self.take(None) {
                return held;
            }
        }
    }

    fn try_lock(&self) -> Option<Held> {
        self.0.try_take().or_else(|| self.0.try_take_any()).map(Held::new)
    }

    unsafe fn unlock(&self, held: Held) {
        self.0.release(held.taken);
    }

    fn is_locked(&self) -> bool {
        self.0.holder().is_some()
    }
}

// SAFETY: as above; a lock that was not to be had in time is not held.
unsafe impl lock_api::RawMutexTimed for RawMutex {
    type Duration = Duration;
    type Instant = Instant;

    fn try_lock_for(&self, timeout: Duration) -> Option<Held> {
        self.take(Some(Deadline::after(timeout)))
    }

    fn try_lock_until(&self, timeout: Instant) -> Option<Held> {
        self.try_lock_for(timeout.saturating_duration_since(Instant::now()))
    }
}

impl fmt::Debug for RawMutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RawMutex").field(&self.0.holder()).finish()
    }
}

/// A read-write lock without its value, which survives its owners: see [`RwLock`](super::RwLock).
#[repr(transparent)]
pub struct RawRwLock(RwWord);

impl RawRwLock {
    /// Whether a writer died, and nobody has cleared that.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.0.word.is_poisoned()
    }

    /// Says that the data is in order again. Call it while holding the lock to write.
    pub fn clear_poison(&self) {
        self.0.word.clear_poison();
    }

    fn enter(&self, deadline: Option<Deadline>) -> Option<Held> {
        self.0.try_enter().or_else(|| self.0.enter(deadline).ok()).map(Held::new)
    }
}

// SAFETY: there is one writer, or any number of readers (`rwword.rs`).
unsafe impl lock_api::RawRwLock for RawRwLock {
    #[allow(clippy::declare_interior_mutable_const, reason = "the trait wants it")]
    const INIT: Self = Self(RwWord::INIT);
    type SharedGuard = Held;
    type ExclusiveGuard = Held;

    fn lock_shared(&self) -> Held {
        loop {
            // Without a deadline it is entered in the end.
            if let Some(held) = self.enter(None) {
                return held;
            }
        }
    }

    fn try_lock_shared(&self) -> Option<Held> {
        let entered = self.0.try_enter();
        entered.or_else(|| self.0.word.bury_if_dead().then(|| self.0.try_enter())?).map(Held::new)
    }

    unsafe fn unlock_shared(&self, held: Held) {
        self.0.leave(held.taken.me());
    }

    fn lock_exclusive(&self) -> Held {
        loop {
            // As above.
            if let Ok(taken) = self.0.take(None) {
                return Held::new(taken);
            }
        }
    }

    fn try_lock_exclusive(&self) -> Option<Held> {
        self.0.try_take().map(Held::new)
    }

    unsafe fn unlock_exclusive(&self, held: Held) {
        self.0.word.release_to_all(held.taken);
    }

    fn is_locked(&self) -> bool {
        self.is_locked_exclusive() || self.0.reader_count() > 0
    }

    fn is_locked_exclusive(&self) -> bool {
        self.0.word.holder().is_some()
    }
}

// SAFETY: as above; a lock that was not to be had in time is not held.
unsafe impl lock_api::RawRwLockTimed for RawRwLock {
    type Duration = Duration;
    type Instant = Instant;

    fn try_lock_shared_for(&self, timeout: Duration) -> Option<Held> {
        self.enter(Some(Deadline::after(timeout)))
    }

    fn try_lock_shared_until(&self, timeout: Instant) -> Option<Held> {
        self.try_lock_shared_for(timeout.saturating_duration_since(Instant::now()))
    }

    fn try_lock_exclusive_for(&self, timeout: Duration) -> Option<Held> {
        self.0.take(Some(Deadline::after(timeout))).ok().map(Held::new)
    }

    fn try_lock_exclusive_until(&self, timeout: Instant) -> Option<Held> {
        self.try_lock_exclusive_for(timeout.saturating_duration_since(Instant::now()))
    }
}

// SAFETY: a writer counts as a reader before it gives its right to write back.
unsafe impl lock_api::RawRwLockDowngrade for RawRwLock {
    unsafe fn downgrade(&self, held: Held) -> Held {
        self.0.downgrade(held.taken);
        held
    }
}

impl fmt::Debug for RawRwLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = (self.0.word.holder(), self.0.reader_count());
        f.debug_tuple("RawRwLock").field(&shown.0).field(&shown.1).finish()
    }
}
