//! Waiting until what a mutex protects has changed.
//!
//! # States
//!
//! | bits | meaning |
//! |---|---|
//! | 0 | somebody sleeps, or is about to |
//! | 1..16 | counts arrivals, so that who comes between a notification and its clearing of bit 0 is seen |
//! | 16..32 | counts notifications: a sleeper returns when this differs from what it was |
//!
//! # Ordering
//!
//! None of its own: what a waiter looks at changes under the mutex, and a waiter arrives before it unlocks.
//!
//! # Owner death
//!
//! It has no owner, so nobody can tell whether who was to notify still lives. Therefore a wait ends after a
//! slice in any case, and the waiter looks again: also when the notifier was killed between its change and
//! the notification, or before the wake, or when the sleeper that was woken was killed.

use super::mutex::MutexGuard;
use super::poison::LockResult;
use super::slice::Slice;
use crate::primitive::{AtomicU32, Deadline, wake_all, wake_one};
use std::fmt;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::time::Duration;

const SLEEPERS: u32 = 1;
const ARRIVAL: u32 = 2;
const ARRIVALS: u32 = 0xfffe;
const NOTIFICATION: u32 = 1 << 16;

/// A condition variable for threads of any number of processes, which works with [`Mutex`](super::Mutex).
///
/// All zeroes are its initial state. A wait ends without a notification now and then, at the latest after 25
/// ms (so that a change is seen whose maker was killed before it could notify): look again, or let
/// [`wait_while`](Self::wait_while) do it.
///
/// # Examples
///
/// ```
/// use crossdock_core::sync::{Condvar, Mutex};
///
/// #[repr(C)]
/// struct Inbox { changed: Condvar, letters: Mutex<u32> }
///
/// let inbox = Inbox { changed: Condvar::new(), letters: Mutex::new(0) };
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         *inbox.letters.lock().unwrap() += 1;
///         inbox.changed.notify_one();
///     });
///     let letters = inbox.letters.lock().unwrap();
///     let letters = inbox.changed.wait_while(letters, |letters| *letters == 0).unwrap();
///     assert_eq!(*letters, 1);
/// });
/// ```
#[repr(C)]
pub struct Condvar {
    word: AtomicU32,
}

/// Whether a wait ended because time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the wait ended because time was up.
    #[must_use]
    pub fn timed_out(self) -> bool {
        self.0
    }
}

impl Condvar {
    /// A condition variable on which nobody waits.
    #[must_use]
    pub fn new() -> Self {
        Self { word: AtomicU32::new(0) }
    }

    /// Unlocks the mutex, waits for a notification, and locks the mutex again.
    ///
    /// # Errors
    ///
    /// [`PoisonError`](super::PoisonError), with the guard inside, when an owner of the mutex died or
    /// panicked.
    #[doc(alias = "pthread_cond_wait")]
    pub fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let key = self.arrive();
        MutexGuard::unlocked(guard, || self.sleep(key, None)).0
    }

    /// Waits until `condition` is false.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_while<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        while condition(&mut *guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// As [`wait`](Self::wait), but not longer than `timeout`. As any wait it can end before; see
    /// [`wait_timeout_while`](Self::wait_timeout_while).
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait); time being up is no error, the result says so.
    #[doc(alias = "pthread_cond_clockwait")]
    pub fn wait_timeout<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        self.wait_until(guard, Deadline::after(timeout))
    }

    /// Waits until `condition` is false, but not longer than `timeout`; then the result says so.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_timeout_while<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let deadline = Deadline::after(timeout);
        loop {
            if !condition(&mut *guard) {
                return Ok((guard, WaitTimeoutResult(false)));
            }
            if deadline.is_past() {
                return Ok((guard, WaitTimeoutResult(true)));
            }
            guard = self.wait_until(guard, deadline)?.0;
        }
    }

    fn wait_until<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Deadline,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let key = self.arrive();
        let (guard, is_notified) = MutexGuard::unlocked(guard, || self.sleep(key, Some(deadline)));
        let result = WaitTimeoutResult(!is_notified);
        match guard {
            Ok(guard) => Ok((guard, result)),
            Err(poisoned) => Err(poisoned.map(|guard| (guard, result))),
        }
    }

    /// Announces a sleeper; the mutex is still locked.
    fn arrive(&self) -> u32 {
        let mut old = self.word.load(Relaxed);
        loop {
            let arrivals = old.wrapping_add(ARRIVAL) & ARRIVALS;
            let new = (old & !ARRIVALS) | arrivals | SLEEPERS;
            match self.word.compare_exchange_weak(old, new, AcqRel, Relaxed) {
                Ok(_) => return new,
                Err(now) => old = now,
            }
        }
    }

    /// Sleeps until a notification or the end of the slice; false if time was up before.
    fn sleep(&self, key: u32, deadline: Option<Deadline>) -> bool {
        let mut slice = Slice::new(deadline);
        let mut expected = key;
        loop {
            slice.sleep(&self.word, expected);
            let now = self.word.load(Acquire);
            if (now ^ key) & !(NOTIFICATION - 1) != 0 {
                return true;
            }
            if slice.is_late() {
                return false;
            }
            if slice.is_over() {
                return true;
            }
            // Somebody else has come, or the flag has gone although nobody was notified since: never
            // sleep without it.
            expected = if now & SLEEPERS == 0 { self.arrive() } else { now };
        }
    }

    /// Wakes one waiter, if there is any.
    #[doc(alias = "pthread_cond_signal")]
    #[inline]
    pub fn notify_one(&self) {
        if self.word.load(Acquire) & SLEEPERS != 0 {
            self.notify(false);
        }
    }

    /// Wakes all waiters.
    #[doc(alias = "pthread_cond_broadcast")]
    #[inline]
    pub fn notify_all(&self) {
        if self.word.load(Acquire) & SLEEPERS != 0 {
            self.notify(true);
        }
    }

    #[cold]
    fn notify(&self, everyone: bool) {
        let word = self.word.fetch_add(NOTIFICATION, AcqRel).wrapping_add(NOTIFICATION);
        let woken = if everyone { wake_all(&self.word) } else { wake_one(&self.word) };
        if everyone || !woken {
            // Nobody is left in the kernel. Who has arrived since has changed the word, and the exchange
            // fails; who did before finds another count and returns.
            let _ = self.word.compare_exchange(word, word & !SLEEPERS, AcqRel, Relaxed);
        }
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_sleepers = self.word.load(Relaxed) & SLEEPERS != 0;
        f.debug_struct("Condvar").field("has_sleepers", &has_sleepers).finish()
    }
}
