//! A read-write lock that lives in shared memory.
//!
//! States, orderings and owner death are those of its word: see `rwword.rs`.
#![allow(unsafe_code, reason = "the lock makes the references to its value")]

use super::poison::{LockResult, LockTimeoutError, PoisonError, TryLockError};
use super::rwword::RwWord;
use super::word::{Taken, TimedOut};
use crate::owner::{self, Owner};
use crate::primitive::Deadline;
use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

/// A lock for many readers or one writer, in threads of any number of processes, which survives the death
/// of any of them.
///
/// A writer that waits keeps new readers out, so readers cannot starve it. All zeroes are an unlocked lock
/// around a value of zeroes.
///
/// # Differences from `std::sync::RwLock`
///
/// * It is poisoned by the *death* of a process that writes, as it is by a writer's panic.
/// * There are [`read_timeout`](Self::read_timeout) and [`write_timeout`](Self::write_timeout).
/// * It takes 1,364 bytes and the value: each process has its own count of readers, so that the part of a
///   dead one can be taken back; 4,095 threads of one process can read at once, one more waits. For many small values, take [`Mutex`](super::Mutex).
///
/// A thread that reads must not read again, nor write: if a writer came between, both wait for ever.
///
/// # Examples
///
/// ```
/// use crossdock_core::sync::RwLock;
///
/// let config = RwLock::new([1, 2, 3]);
/// assert_eq!(config.read().unwrap()[2], 3); // any number at once
/// config.write().unwrap()[2] = 4;
/// assert_eq!(*config.read().unwrap(), [1, 2, 4]);
/// ```
#[repr(C)]
pub struct RwLock<T: ?Sized> {
    state: RwWord,
    value: UnsafeCell<T>,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<RwLock<()>>() == 1364);

// SAFETY: the lock gives out `&mut T` to one thread at a time, as a mutex, or `&T` to several, which needs
// `Sync` as well.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}
// SAFETY: as for the value.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}

impl<T> RwLock<T> {
    /// An unlocked lock around a value.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self { state: RwWord::new(), value: UnsafeCell::new(value) }
    }

    /// The value, without locking: nobody else can have the lock.
    ///
    /// # Errors
    ///
    /// [`PoisonError`], with the value inside, as [`read`](Self::read).
    pub fn into_inner(self) -> LockResult<T> {
        let (is_poisoned, pid) = (self.state.word.is_poisoned(), self.state.word.poisoned_by());
        let value = self.value.into_inner();
        if is_poisoned { Err(PoisonError::new(value, pid)) } else { Ok(value) }
    }
}

type Read<'a, T> = RwLockReadGuard<'a, T>;
type Write<'a, T> = RwLockWriteGuard<'a, T>;

impl<T: ?Sized> RwLock<T> {
    /// Waits until nobody writes.
    ///
    /// # Errors
    ///
    /// [`PoisonError`], with the guard inside, when a writer died or panicked.
    ///
    /// # Panics
    ///
    /// As [`Mutex::lock`](super::Mutex::lock).
    #[inline]
    #[doc(alias = "pthread_rwlock_rdlock")]
    pub fn read(&self) -> LockResult<Read<'_, T>> {
        match self.state.try_enter() {
            Some(entered) => self.reading(entered),
            None => match self.state.enter(None) {
                Ok(entered) => self.reading(entered),
                Err(TimedOut) => unreachable!("a wait without a deadline does not time out"),
            },
        }
    }

    /// Reads if nobody who lives writes or waits to write.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`], or [`TryLockError::Poisoned`] with the guard inside.
    #[doc(alias = "pthread_rwlock_tryrdlock")]
    pub fn try_read(&self) -> Result<Read<'_, T>, TryLockError<Read<'_, T>>> {
        loop {
            if let Some(entered) = self.state.try_enter() {
                return self.reading(entered).map_err(TryLockError::Poisoned);
            }
            if !self.state.word.bury_if_dead() {
                return Err(TryLockError::WouldBlock);
            }
        }
    }

    /// Waits until nobody writes, but not longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`LockTimeoutError::TimedOut`], or [`LockTimeoutError::Poisoned`] with the guard inside.
    #[doc(alias = "pthread_rwlock_clockrdlock")]
    pub fn read_timeout(
        &self,
        timeout: Duration,
    ) -> Result<Read<'_, T>, LockTimeoutError<Read<'_, T>>> {
        let entered = match self.state.try_enter() {
            Some(entered) => Ok(entered),
            None => self.state.enter(Some(Deadline::after(timeout))),
        };
        match entered {
            Ok(entered) => self.reading(entered).map_err(LockTimeoutError::Poisoned),
            Err(TimedOut) => Err(LockTimeoutError::TimedOut { owner_pid: self.writer_pid() }),
        }
    }

    /// Waits until nobody else reads or writes.
    ///
    /// # Errors
    ///
    /// [`PoisonError`], with the guard inside, when a former writer died or panicked.
    ///
    /// # Panics
    ///
    /// As [`Mutex::lock`](super::Mutex::lock).
    #[inline]
    #[doc(alias = "pthread_rwlock_wrlock")]
    pub fn write(&self) -> LockResult<Write<'_, T>> {
        match self.state.take(None) {
            Ok(taken) => self.writing(taken),
            Err(TimedOut) => unreachable!("a wait without a deadline does not time out"),
        }
    }

    /// Writes if nobody who lives reads or writes.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`], or [`TryLockError::Poisoned`] with the guard inside.
    #[doc(alias = "pthread_rwlock_trywrlock")]
    pub fn try_write(&self) -> Result<Write<'_, T>, TryLockError<Write<'_, T>>> {
        let Some(taken) = self.state.try_take() else { return Err(TryLockError::WouldBlock) };
        self.writing(taken).map_err(TryLockError::Poisoned)
    }

    /// Waits until nobody else reads or writes, but not longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`LockTimeoutError::TimedOut`], or [`LockTimeoutError::Poisoned`] with the guard inside.
    #[doc(alias = "pthread_rwlock_clockwrlock")]
    pub fn write_timeout(
        &self,
        timeout: Duration,
    ) -> Result<Write<'_, T>, LockTimeoutError<Write<'_, T>>> {
        match self.state.take(Some(Deadline::after(timeout))) {
            Ok(taken) => self.writing(taken).map_err(LockTimeoutError::Poisoned),
            Err(TimedOut) => Err(LockTimeoutError::TimedOut { owner_pid: self.writer_pid() }),
        }
    }

    fn reading(&self, taken: Taken) -> LockResult<Read<'_, T>> {
        let guard = RwLockReadGuard { lock: self, me: taken.me(), not_send: PhantomData };
        self.checked(taken, guard)
    }

    fn writing(&self, taken: Taken) -> LockResult<Write<'_, T>> {
        let guard =
            RwLockWriteGuard { lock: self, taken: taken.note_panic(), not_send: PhantomData };
        self.checked(taken, guard)
    }

    fn checked<G>(&self, taken: Taken, guard: G) -> LockResult<G> {
        if taken.is_poisoned() {
            Err(PoisonError::new(guard, self.state.word.poisoned_by()))
        } else {
            Ok(guard)
        }
    }

    /// Whether a writer died or panicked, and nobody has cleared that.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.state.word.is_poisoned()
    }

    /// Says that the data is in order again. Call it while holding the lock to write.
    pub fn clear_poison(&self) {
        self.state.word.clear_poison();
    }

    /// Process id of who writes or waits to, if anybody does and it is known. For people.
    #[must_use]
    pub fn writer_pid(&self) -> Option<u32> {
        self.state.word.holder().map(owner::pid).filter(|pid| *pid != 0)
    }

    /// How many threads of all processes read. For people: it may have changed.
    #[must_use]
    pub fn reader_count(&self) -> usize {
        self.state.reader_count()
    }

    /// The value, without locking: nobody else can have the lock.
    ///
    /// # Errors
    ///
    /// [`PoisonError`], with the reference inside, as [`read`](Self::read).
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        let (is_poisoned, pid) = (self.state.word.is_poisoned(), self.state.word.poisoned_by());
        let value = self.value.get_mut();
        if is_poisoned { Err(PoisonError::new(value, pid)) } else { Ok(value) }
    }

    /// Where the value is, for who writes it before anybody else can reach the lock.
    ///
    /// # Safety
    ///
    /// `this` points to memory that has room for the lock.
    #[must_use]
    pub unsafe fn value_ptr(this: *const Self) -> *mut T {
        // SAFETY: by the contract the field lies in memory that `this` points to; nothing is read.
        let value = unsafe { &raw const (*this).value };
        UnsafeCell::raw_get(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RwLock");
        let entered = if owner::is_known() { self.state.try_enter() } else { None };
        match entered {
            Some(taken) => {
                let guard = RwLockReadGuard { lock: self, me: taken.me(), not_send: PhantomData };
                shown.field("value", &&*guard);
            }
            None => {
                shown.field("writer_pid", &self.writer_pid());
            }
        }
        shown.field("is_poisoned", &self.is_poisoned()).finish_non_exhaustive()
    }
}

// As std's: a panic of a writer poisons, so nobody is surprised by what it left.
impl<T: ?Sized> UnwindSafe for RwLock<T> {}
impl<T: ?Sized> RefUnwindSafe for RwLock<T> {}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

/// The right to read the value of a [`RwLock`], given back on drop.
#[must_use = "the lock is released when the guard is dropped"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    me: Owner,
    not_send: PhantomData<*const ()>,
}

// SAFETY: a shared guard gives out `&T` only.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard is counted as a reader, so nobody writes the value while it lives.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.state.leave(self.me);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// The right to write the value of a [`RwLock`], given back on drop.
#[must_use = "the lock is released when the guard is dropped"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    taken: Taken,
    not_send: PhantomData<*const ()>,
}

// SAFETY: a shared guard gives out `&T` only.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Goes on reading what this guard wrote; no other writer comes in between.
    pub fn downgrade(this: Self) -> RwLockReadGuard<'a, T> {
        let this = ManuallyDrop::new(this);
        let me = this.lock.state.downgrade(this.taken);
        RwLockReadGuard { lock: this.lock, me, not_send: PhantomData }
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock to write, so nobody else reaches the value while it lives.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as for `deref`; the guard is borrowed mutably.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.taken.has_panicked() {
            self.lock.state.word.poison(&mut self.taken);
        }
        self.lock.state.word.release_to_all(self.taken);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
