//! A mutual exclusion lock that lives in shared memory.
//!
//! States, orderings and owner death are those of its word: see `word.rs`.
//!
//! # Owner death
//!
//! The next one to lock gets a [`PoisonError`] with the guard inside: the data may be half changed, and
//! the poison stays until [`Mutex::clear_poison`]. If the one who repairs dies as well, the next one is
//! told again, so a repair must be something that can be done twice.
#![allow(unsafe_code, reason = "the lock makes the one reference to its value")]

use super::poison::{LockResult, LockTimeoutError, PoisonError, TryLockError};
use super::word::{LockWord, Taken};
use crate::owner;
use crate::primitive::Deadline;
use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

/// A mutual exclusion lock for threads of any number of processes, which survives the death of its owner.
///
/// It works at any address and in any memory that processes share: in a `Value`, in a field of a
/// `#[repr(C)]` struct, in a slice. All zeroes are an unlocked mutex around a value of zeroes.
///
/// # Differences from `std::sync::Mutex`
///
/// * It is poisoned by the *death* of the process that holds it, as it is by a panic.
/// * There is [`lock_timeout`](Self::lock_timeout).
/// * It is 8 bytes and the value.
/// * A fork does not copy the ownership: dropping a guard in the child does nothing. Do not use it there.
///
/// A thread that locks it twice waits for ever; see [`ReentrantMutex`](super::ReentrantMutex).
///
/// # Examples
///
/// ```
/// use crossdock_core::sync::Mutex;
///
/// let balance = Mutex::new(100_i64);
/// *balance.lock().unwrap() += 25;
/// assert_eq!(*balance.lock().unwrap(), 125);
/// ```
#[repr(C)]
pub struct Mutex<T: ?Sized> {
    word: LockWord,
    value: UnsafeCell<T>,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Mutex<i64>>() == 16 && size_of::<Mutex<u32>>() == 12);

// SAFETY: the lock lets one thread at a time reach the value, so sending a reference to it to another
// thread only ever moves access to a `T`, which is `Send`.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}
// SAFETY: as for the value.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}

impl<T> Mutex<T> {
    /// An unlocked mutex around a value.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self { word: LockWord::new(), value: UnsafeCell::new(value) }
    }

    /// The value, without locking: nobody else can have the mutex.
    ///
    /// # Errors
    ///
    /// [`PoisonError`], with the value inside, as [`lock`](Self::lock).
    pub fn into_inner(self) -> LockResult<T> {
        let (is_poisoned, pid) = (self.word.is_poisoned(), self.word.poisoned_by());
        let value = self.value.into_inner();
        if is_poisoned { Err(PoisonError::new(value, pid)) } else { Ok(value) }
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock.
    ///
    /// # Errors
    ///
    /// [`PoisonError`], with the guard inside, when a former owner died or panicked while it held the lock.
    ///
    /// # Panics
    ///
    /// When this process has used crossdock, but cannot become a party of its directory of names (all
    /// places are taken, say). Opening a `Value` has done that already, so it can happen only in the child
    /// of a fork; `sync::join` in the child gives an error instead.
    #[inline]
    #[doc(alias = "pthread_mutex_lock")]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        match self.word.try_take() {
            Some(taken) => Ok(MutexGuard::new(self, taken)),
            None => self.lock_slow(),
        }
    }

    #[cold]
    fn lock_slow(&self) -> LockResult<MutexGuard<'_, T>> {
        match self.word.take(None) {
            Ok(taken) => self.guard(taken),
            Err(_) => unreachable!("a wait without a deadline does not time out"),
        }
    }

    /// Takes the lock if nobody who lives holds it.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`], or [`TryLockError::Poisoned`] with the guard inside.
    #[inline]
    #[doc(alias = "pthread_mutex_trylock")]
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, TryLockError<MutexGuard<'_, T>>> {
        if let Some(taken) = self.word.try_take() {
            return Ok(MutexGuard::new(self, taken));
        }
        match self.word.try_take_any() {
            Some(taken) => self.guard(taken).map_err(TryLockError::Poisoned),
            None => Err(TryLockError::WouldBlock),
        }
    }

    /// Waits for the lock, but not longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`LockTimeoutError::TimedOut`], which says who holds it, or [`LockTimeoutError::Poisoned`] with the
    /// guard inside.
    #[doc(alias = "pthread_mutex_clocklock")]
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<MutexGuard<'_, T>, LockTimeoutError<MutexGuard<'_, T>>> {
        if let Some(taken) = self.word.try_take() {
            return Ok(MutexGuard::new(self, taken));
        }
        match self.word.take(Some(Deadline::after(timeout))) {
            Ok(taken) => self.guard(taken).map_err(LockTimeoutError::Poisoned),
            Err(_) => Err(LockTimeoutError::TimedOut { owner_pid: self.owner_pid() }),
        }
    }

    fn guard(&self, taken: Taken) -> LockResult<MutexGuard<'_, T>> {
        let guard = MutexGuard::new(self, taken);
        if taken.is_poisoned() {
            Err(PoisonError::new(guard, self.word.poisoned_by()))
        } else {
            Ok(guard)
        }
    }

    /// Whether a former owner died or panicked, and nobody has cleared that.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.word.is_poisoned()
    }

    /// Says that the data is in order again. Call it while holding the lock.
    pub fn clear_poison(&self) {
        self.word.clear_poison();
    }

    /// Process id of who holds the lock, if anybody does and it is known. For people: it may have changed.
    #[must_use]
    pub fn owner_pid(&self) -> Option<u32> {
        self.word.holder().map(owner::pid).filter(|pid| *pid != 0)
    }

    /// The value, without locking: nobody else can have the mutex.
    ///
    /// # Errors
    ///
    /// [`PoisonError`], with the reference inside, as [`lock`](Self::lock).
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        let (is_poisoned, pid) = (self.word.is_poisoned(), self.word.poisoned_by());
        let value = self.value.get_mut();
        if is_poisoned { Err(PoisonError::new(value, pid)) } else { Ok(value) }
    }

    /// Where the value is, for who writes it before anybody else can reach the mutex.
    ///
    /// # Safety
    ///
    /// `this` points to memory that has room for the mutex.
    #[must_use]
    pub unsafe fn value_ptr(this: *const Self) -> *mut T {
        // SAFETY: by the contract the field lies in memory that `this` points to; nothing is read.
        let value = unsafe { &raw const (*this).value };
        UnsafeCell::raw_get(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Mutex");
        match owner::is_known().then(|| self.word.try_take()).flatten() {
            Some(taken) => shown.field("value", &&*MutexGuard::new(self, taken)),
            None => shown.field("owner_pid", &self.owner_pid()),
        };
        shown.field("is_poisoned", &self.is_poisoned()).finish_non_exhaustive()
    }
}

// As std's: a panic under the guard poisons, so nobody is surprised by what it left.
impl<T: ?Sized> UnwindSafe for Mutex<T> {}
impl<T: ?Sized> RefUnwindSafe for Mutex<T> {}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

/// The right to the value of a [`Mutex`], given back on drop.
#[must_use = "the lock is released when the guard is dropped"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    taken: Taken,
    /// The lock belongs to the thread that took it, as every lock that knows its owner.
    not_send: PhantomData<*const ()>,
}

// SAFETY: a shared guard gives out `&T` only.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// The caller has taken the word.
    #[inline]
    fn new(mutex: &'a Mutex<T>, taken: Taken) -> Self {
        Self { mutex, taken: taken.note_panic(), not_send: PhantomData }
    }

    /// The mutex that this guard holds.
    #[must_use]
    pub fn mutex(this: &Self) -> &'a Mutex<T> {
        this.mutex
    }

    /// Gives the lock up for the time of `wait`, which is to sleep, and takes it again.
    pub(super) fn unlocked<R>(this: Self, wait: impl FnOnce() -> R) -> (LockResult<Self>, R) {
        let mutex = this.mutex;
        drop(this);
        let outcome = wait();
        (mutex.lock(), outcome)
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock, so nobody else reaches the value while it lives.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as for `deref`; the guard is borrowed mutably.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.taken.has_panicked() {
            self.mutex.word.poison(&mut self.taken);
        }
        self.mutex.word.release(self.taken);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
