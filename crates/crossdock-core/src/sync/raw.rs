//! The locks without their values, for the `lock_api` crate: its guards can be mapped to a part of the value.
//!
//! `lock_api` knows no poison. A lock that was taken from a dead owner says so to whoever asks:
//!
//! ```
//! use crossdock_core::sync::RawMutex;
//! use lock_api::{Mutex, MutexGuard};
//!
//! let pair = Mutex::<RawMutex, _>::new((1, 2));
//! // SAFETY: the raw mutex is only asked.
//! if unsafe { pair.raw() }.is_poisoned() {
//!     // put the data right
//! }
//! let mut second = MutexGuard::map(pair.lock(), |pair| &mut pair.1);
//! *second += 1;
//! ```
#![allow(unsafe_code, reason = "the traits of lock_api are unsafe to implement")]

use super::rwword::RwWord;
use super::word::LockWord;
use crate::owner::Owner;
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
}

// SAFETY: the word is owned by at most one thread at a time (`word.rs`).
unsafe impl lock_api::RawMutex for RawMutex {
    #[allow(clippy::declare_interior_mutable_const, reason = "the trait wants it")]
    const INIT: Self = Self(LockWord::INIT);
    type Guard = GuardNoSend;

    fn lock(&self) -> GuardNoSend {
        if self.0.try_take().is_err() {
            // Without a deadline it is taken in the end; poison is for `is_poisoned`.
            let _ = self.0.take(None);
        }
        GuardNoSend::new()
    }

    fn try_lock(&self) -> Option<GuardNoSend> {
        held(self.0.try_take().is_ok() || self.0.try_take_any().is_some())
    }

    unsafe fn unlock(&self, _guard: GuardNoSend) {
        self.0.release();
    }

    fn is_locked(&self) -> bool {
        self.0.holder().is_some()
    }
}

// SAFETY: as above; a lock that was not to be had in time is not held.
unsafe impl lock_api::RawMutexTimed for RawMutex {
    type Duration = Duration;
    type Instant = Instant;

    fn try_lock_for(&self, timeout: Duration) -> Option<GuardNoSend> {
        held(self.0.try_take().is_ok() || self.0.take(Some(Deadline::after(timeout))).is_ok())
    }

    fn try_lock_until(&self, timeout: Instant) -> Option<GuardNoSend> {
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

    fn enter(&self, deadline: Option<Deadline>) -> Option<Reader> {
        let (me, _) = self.0.try_enter().or_else(|| self.0.enter(deadline).ok())?;
        Some(Reader(me, GuardNoSend::new()))
    }
}

// SAFETY: there is one writer, or any number of readers (`rwword.rs`).
unsafe impl lock_api::RawRwLock for RawRwLock {
    #[allow(clippy::declare_interior_mutable_const, reason = "the trait wants it")]
    const INIT: Self = Self(RwWord::INIT);
    type SharedGuard = Reader;
    type ExclusiveGuard = GuardNoSend;

    fn lock_shared(&self) -> Reader {
        loop {
            // Without a deadline it is entered in the end; poison is for `is_poisoned`.
            if let Some(reader) = self.enter(None) {
                return reader;
            }
        }
    }

    fn try_lock_shared(&self) -> Option<Reader> {
        let entered = self.0.try_enter();
        let entered = entered.or_else(|| self.0.word.bury_if_dead().then(|| self.0.try_enter())?);
        entered.map(|(me, _)| Reader(me, GuardNoSend::new()))
    }

    unsafe fn unlock_shared(&self, guard: Reader) {
        self.0.leave(guard.0);
    }

    fn lock_exclusive(&self) -> GuardNoSend {
        // As above.
        let _ = self.0.take(None);
        GuardNoSend::new()
    }

    fn try_lock_exclusive(&self) -> Option<GuardNoSend> {
        held(self.0.try_take().is_some())
    }

    unsafe fn unlock_exclusive(&self, _guard: GuardNoSend) {
        self.0.word.release_to_all();
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

    fn try_lock_shared_for(&self, timeout: Duration) -> Option<Reader> {
        self.enter(Some(Deadline::after(timeout)))
    }

    fn try_lock_shared_until(&self, timeout: Instant) -> Option<Reader> {
        self.try_lock_shared_for(timeout.saturating_duration_since(Instant::now()))
    }

    fn try_lock_exclusive_for(&self, timeout: Duration) -> Option<GuardNoSend> {
        held(self.0.take(Some(Deadline::after(timeout))).is_ok())
    }

    fn try_lock_exclusive_until(&self, timeout: Instant) -> Option<GuardNoSend> {
        self.try_lock_exclusive_for(timeout.saturating_duration_since(Instant::now()))
    }
}

// SAFETY: a writer counts as a reader before it gives its right to write back.
unsafe impl lock_api::RawRwLockDowngrade for RawRwLock {
    unsafe fn downgrade(&self, guard: GuardNoSend) -> Reader {
        Reader(self.0.downgrade(), guard)
    }
}

/// The right to read of a thread of this owner.
pub struct Reader(Owner, GuardNoSend);

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reader").field(&self.0).finish()
    }
}

fn held(is_held: bool) -> Option<GuardNoSend> {
    is_held.then(GuardNoSend::new)
}

impl fmt::Debug for RawRwLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = (self.0.word.holder(), self.0.reader_count());
        f.debug_tuple("RawRwLock").field(&shown.0).field(&shown.1).finish()
    }
}
