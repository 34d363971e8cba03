//! A mutex that its holder can lock again.
//!
//! # States
//!
//! | word | thread | depth | meaning |
//! |---|---|---|---|
//! | free | 0, or what a dead owner left | - | free |
//! | owned | 0 | - | just taken, or just being given back |
//! | owned | owner and thread | n | that thread has locked it n times |
//!
//! `thread` and `depth` are written by the holder of the word only. A thread finds its own number in
//! `thread` only if it holds the word: numbers of threads are never given twice in a process, and the
//! owner's part tells processes apart.
//!
//! # Owner death
//!
//! That of the word: who takes over writes its own thread and a depth of 1.
#![allow(unsafe_code, reason = "the lock makes the references to its value")]

use super::poison::{LockResult, LockTimeoutError, PoisonError, TryLockError};
use super::word::{LockWord, POISON, Taken, TimedOut};
use crate::owner::{self, Owner};
use crate::primitive::{AtomicU32, AtomicU64, Deadline};
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

/// A [`Mutex`](super::Mutex) that the thread which holds it can lock again, as Python's `RLock`.
///
/// Poison is told to who locks it first, not to the locks within. Its guard gives out `&T` only, since there can be several: put a `Cell`-like type of your own, or an
/// [`Atomic`](crate::atomic::Atomic), inside. All zeroes are an unlocked one around a value of zeroes.
///
/// # Examples
///
/// ```
/// use crossdock_core::sync::ReentrantMutex;
///
/// let log = ReentrantMutex::new(());
/// let outer = log.lock().unwrap();
/// let inner = log.lock().unwrap(); // the same thread: at once
/// drop((inner, outer));
/// ```
#[repr(C)]
pub struct ReentrantMutex<T: ?Sized> {
    word: LockWord,
    /// `owner word << 32 | number of the thread`, 0 for nobody; a process that is no party has bit 63 and
    /// its process id in place of the owner.
    thread: AtomicU64,
    depth: AtomicU32,
    value: T,
}

// SAFETY: threads reach `&T` one at a time, but move it from one to the other, which needs `Send` only; the
// guard is not `Send`, so a reference stays in the thread that holds the lock.
unsafe impl<T: ?Sized + Send> Sync for ReentrantMutex<T> {}

/// The number of this thread, never given twice in this process and never 0.
fn thread_number() -> u32 {
    static LAST: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    std::thread_local! {
        static NUMBER: Cell<u32> = const { Cell::new(0) };
    }
    NUMBER.with(|number| {
        if number.get() == 0 {
            number.set(LAST.fetch_add(1, Relaxed).wrapping_add(1));
        }
        number.get()
    })
}

/// In place of the owner: a process that is no party, by its process id.
const STRANGER: u32 = 1 << 31;

fn this_thread() -> u64 {
    let me = owner::me();
    let process = if me == Owner::STRANGER { stranger() } else { me.to_word() };
    u64::from(process) << 32 | u64::from(thread_number())
}

fn stranger() -> u32 {
    STRANGER | std::process::id() & !STRANGER
}

/// Whether a word of `thread` is this thread's, also if its process has become a party since.
fn is_this_thread(word: u64) -> bool {
    let process = (word >> 32) as u32;
    let is_ours = if process & STRANGER == 0 {
        Owner::from_word(process).is_some_and(Owner::is_me)
    } else {
        process == stranger()
    };
    word as u32 == thread_number() && is_ours
}

type Guard<'a, T> = ReentrantMutexGuard<'a, T>;

impl<T> ReentrantMutex<T> {
    /// An unlocked mutex around a value.
    #[must_use]
    pub fn new(value: T) -> Self {
        let (thread, depth) = (AtomicU64::new(0), AtomicU32::new(0));
        Self { word: LockWord::new(), thread, depth, value }
    }

    /// The value, without locking: nobody else can have the mutex.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T: ?Sized> ReentrantMutex<T> {
    /// Waits for the lock; at once if this thread has it already.
    ///
    /// # Errors
    ///
    /// [`PoisonError`], with the guard inside, when a former owner died or panicked.
    ///
    /// # Panics
    ///
    /// As [`Mutex::lock`](super::Mutex::lock).
    pub fn lock(&self) -> LockResult<Guard<'_, T>> {
        let me = this_thread();
        if let Some(taken) = self.enter(me) {
            return self.guard(taken);
        }
        match self.word.take(None) {
            Ok(taken) => self.first(me, taken),
            Err(TimedOut) => unreachable!("a wait without a deadline does not time out"),
        }
    }

    /// Takes the lock if no other thread that lives holds it.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`], or [`TryLockError::Poisoned`] with the guard inside.
    pub fn try_lock(&self) -> Result<Guard<'_, T>, TryLockError<Guard<'_, T>>> {
        let me = this_thread();
        let locked = if let Some(taken) = self.enter(me) {
            self.guard(taken)
        } else {
            match self.word.try_take_any() {
                Some(taken) => self.first(me, taken),
                None => return Err(TryLockError::WouldBlock),
            }
        };
        locked.map_err(TryLockError::Poisoned)
    }

    /// Waits for the lock, but not longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`LockTimeoutError::TimedOut`], or [`LockTimeoutError::Poisoned`] with the guard inside.
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<Guard<'_, T>, LockTimeoutError<Guard<'_, T>>> {
        let me = this_thread();
        let locked = if let Some(taken) = self.enter(me) {
            self.guard(taken)
        } else {
            match self.word.take(Some(Deadline::after(timeout))) {
                Ok(taken) => self.first(me, taken),
                Err(TimedOut) => {
                    let owner_pid = self.word.holder().map(owner::pid).filter(|pid| *pid != 0);
                    return Err(LockTimeoutError::TimedOut { owner_pid });
                }
            }
        };
        locked.map_err(LockTimeoutError::Poisoned)
    }

    /// Takes the lock without waiting: once more, or for the first time if it is free and clean.
    fn enter(&self, me: u64) -> Option<Taken> {
        if is_this_thread(self.thread.load(Relaxed)) {
            let depth = self.depth.load(Relaxed);
            self.depth.store(depth.saturating_add(1), Relaxed);
            return Some(Taken::new(owner::me(), 0));
        }
        let taken = self.word.try_take()?;
        self.begin(me);
        Some(taken)
    }

    /// The word is this thread's from now on.
    fn begin(&self, me: u64) {
        self.depth.store(1, Relaxed);
        self.thread.store(me, Relaxed);
    }

    fn first(&self, me: u64, taken: Taken) -> LockResult<Guard<'_, T>> {
        self.begin(me);
        self.guard(taken)
    }

    fn guard(&self, taken: Taken) -> LockResult<Guard<'_, T>> {
        let was_panicking = thread::panicking();
        let guard = ReentrantMutexGuard { mutex: self, was_panicking, not_send: PhantomData };
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

    /// Process id of who holds the lock, if anybody does and it is known. For people.
    #[must_use]
    pub fn owner_pid(&self) -> Option<u32> {
        self.word.holder().map(owner::pid).filter(|pid| *pid != 0)
    }

    /// The value, without locking: nobody else can have the mutex.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: ?Sized> fmt::Debug for ReentrantMutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReentrantMutex")
            .field("owner_pid", &self.owner_pid())
            .field("is_poisoned", &self.is_poisoned())
            .finish_non_exhaustive()
    }
}

impl<T: Default> Default for ReentrantMutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

/// One of the rights of a thread to the value of a [`ReentrantMutex`], given back on drop.
#[must_use = "the lock is released when the last guard is dropped"]
pub struct ReentrantMutexGuard<'a, T: ?Sized> {
    mutex: &'a ReentrantMutex<T>,
    was_panicking: bool,
    not_send: PhantomData<*const ()>,
}

// SAFETY: a shared guard gives out `&T` only.
unsafe impl<T: ?Sized + Sync> Sync for ReentrantMutexGuard<'_, T> {}

impl<T: ?Sized> Deref for ReentrantMutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.mutex.value
    }
}

impl<T: ?Sized> Drop for ReentrantMutexGuard<'_, T> {
    fn drop(&mut self) {
        let mutex = self.mutex;
        // In the child of a fork the lock is still the parent's.
        if !is_this_thread(mutex.thread.load(Relaxed)) {
            return;
        }
        // The word says whether it is poisoned: an outer guard may know what this one does not.
        let mut taken = Taken::new(owner::me(), POISON);
        if !self.was_panicking && thread::panicking() {
            mutex.word.poison(&mut taken);
        }
        let depth = mutex.depth.load(Relaxed);
        mutex.depth.store(depth.saturating_sub(1), Relaxed);
        if depth <= 1 {
            mutex.thread.store(0, Relaxed);
            mutex.word.release(taken);
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for ReentrantMutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
