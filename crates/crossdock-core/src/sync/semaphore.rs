//! So many at a time.
//!
//! # States
//!
//! Every permit is a word of its own:
//!
//! | word | meaning | who may change it to what |
//! |---|---|---|
//! | 0 | free | anybody, to its own owner word |
//! | an owner (`owner.rs`) | held by a thread of that process | the owner, to free or absent; anybody, to its own owner word, if the owner is dead |
//! | `ABSENT` | no permit yet, or one that was used up | anybody who adds permits, to free |
//! | `SEALED` | never a permit | nobody |
//!
//! So every operation is one exchange of one word, and there is no count that a death could falsify.
//!
//! # Ordering
//!
//! Giving a permit back releases, taking it acquires. Sleepers use a [`Signal`].
//!
//! # Owner death
//!
//! A waiter asks after each slice whether the owners still live, and takes the permit of one that does not;
//! [`Permit::is_abandoned`] tells its holder.

use super::slice::Slice;
use crate::owner::{self, OWNER_BITS, Owner};
use crate::primitive::{AtomicU32, Deadline};
use crate::signal::Signal;
use std::error::Error;
use std::fmt;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use std::time::Duration;

const FREE: u32 = 0;
const ABSENT: u32 = 1 << 30;
const SEALED: u32 = 1 << 31;

/// A number of permits for threads of any number of processes; what a process held when it died comes back.
///
/// `N` is how many permits there can ever be at once; they take 4 bytes each. Each permit has a number
/// ([`Permit::index`]), which says *which* of the things it stands for is meant: the GPU, the port, the
/// licence. For thousands of items to be handed over, use a channel.
///
/// All zeroes are a semaphore whose `N` permits are free.
///
/// # Examples
///
/// ```
/// use crossdock_core::sync::Semaphore;
///
/// let gpus = Semaphore::new(2);
/// let first = gpus.acquire();
/// let second = gpus.acquire();
/// assert_eq!((first.index(), second.index()), (0, 1));
/// assert!(gpus.try_acquire().is_none());
/// drop(first);
/// assert_eq!(gpus.acquire().index(), 0);
/// ```
#[repr(C)]
pub struct Semaphore<const N: usize = 64> {
    signal: Signal,
    permits: [AtomicU32; N],
}

/// There is no room for so many permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyPermits {
    /// Permits that were added before the room was full.
    pub added: usize,
}

impl fmt::Display for TooManyPermits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the semaphore has no room for so many permits, {} were added (release fewer than were \
             acquired, or give the semaphore more room)",
            self.added
        )
    }
}

impl Error for TooManyPermits {}

impl Semaphore {
    /// A semaphore with so many free permits; more can be added, up to 64 in all.
    ///
    /// # Panics
    ///
    /// When `permits` is greater than 64: see [`with_room`](Self::with_room).
    #[must_use]
    pub fn new(permits: usize) -> Self {
        Self::with_room(permits)
    }

    /// A semaphore that never has more than so many permits, as Python's `BoundedSemaphore`.
    ///
    /// # Panics
    ///
    /// When `permits` is greater than 64: see [`bounded_with_room`](Self::bounded_with_room).
    #[must_use]
    pub fn bounded(permits: usize) -> Self {
        Self::bounded_with_room(permits)
    }
}

impl<const N: usize> Semaphore<N> {
    /// As [`new`](Semaphore::new), for at most `N` permits: `Semaphore::<1024>::with_room(1000)`.
    ///
    /// # Panics
    ///
    /// When `permits` is greater than `N`.
    #[must_use]
    pub fn with_room(permits: usize) -> Self {
        Self::with(permits, ABSENT)
    }

    /// As [`bounded`](Semaphore::bounded), for at most `N` permits.
    ///
    /// # Panics
    ///
    /// When `permits` is greater than `N`.
    #[must_use]
    pub fn bounded_with_room(permits: usize) -> Self {
        Self::with(permits, SEALED)
    }

    fn with(permits: usize, others: u32) -> Self {
        assert!(permits <= N, "a Semaphore<{N}> cannot have {permits} permits");
        let word = |index| AtomicU32::new(if index < permits { FREE } else { others });
        Self { signal: Signal::new(), permits: std::array::from_fn(word) }
    }

    /// Waits for a permit. The one with the lowest number that is free is taken.
    ///
    /// # Panics
    ///
    /// As [`Mutex::lock`](super::Mutex::lock).
    #[inline]
    #[doc(alias = "sem_wait")]
    pub fn acquire(&self) -> Permit<'_, N> {
        let me = owner::me();
        match self.take_free(me).or_else(|| self.wait(me, None)) {
            Some(permit) => permit,
            None => unreachable!("a wait without a deadline does not time out"),
        }
    }

    /// Takes a permit that is free, or whose holder is dead.
    #[doc(alias = "sem_trywait")]
    pub fn try_acquire(&self) -> Option<Permit<'_, N>> {
        let me = owner::me();
        self.take_free(me).or_else(|| self.take_from_dead(me))
    }

    /// Waits for a permit, but not longer than `timeout`.
    #[doc(alias = "sem_clockwait")]
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<Permit<'_, N>> {
        let me = owner::me();
        self.take_free(me).or_else(|| self.wait(me, Some(Deadline::after(timeout))))
    }

    #[inline]
    fn take_free(&self, me: Owner) -> Option<Permit<'_, N>> {
        let is_taken = |word: &AtomicU32| {
            word.load(Relaxed) == FREE
                && word.compare_exchange(FREE, me.to_word(), AcqRel, Relaxed).is_ok()
        };
        let index = self.permits.iter().position(is_taken)?;
        Some(self.permit(index, me, false))
    }

    #[cold]
    fn take_from_dead(&self, me: Owner) -> Option<Permit<'_, N>> {
        let is_taken = |word: &AtomicU32| {
            let old = word.load(Acquire);
            holder(old).is_some_and(|holder| holder != me && owner::is_dead(holder))
                && word.compare_exchange(old, me.to_word(), AcqRel, Relaxed).is_ok()
        };
        let index = self.permits.iter().position(is_taken)?;
        Some(self.permit(index, me, true))
    }

    fn permit(&self, index: usize, me: Owner, is_abandoned: bool) -> Permit<'_, N> {
        let abandoned = if is_abandoned { ABANDONED } else { 0 };
        Permit { semaphore: self, index, held: me.to_word() | abandoned }
    }

    #[cold]
    fn wait(&self, me: Owner, deadline: Option<Deadline>) -> Option<Permit<'_, N>> {
        let mut slice = Slice::new(deadline);
        loop {
            let key = self.signal.announce();
            if let Some(permit) = self.take_free(me) {
                return Some(permit);
            }
            if slice.is_over()
                && let Some(permit) = self.take_from_dead(me)
            {
                return Some(permit);
            }
            if slice.is_late() {
                return None;
            }
            self.signal.sleep(key, Some(slice.until()));
        }
    }

    /// Adds free permits: the `release` of Python's and POSIX semaphores, without an acquire before.
    ///
    /// # Errors
    ///
    /// [`TooManyPermits`] when there is no room for all; those for which there was stay added.
    #[doc(alias = "sem_post")]
    #[doc(alias = "release")]
    pub fn add_permits(&self, count: usize) -> Result<(), TooManyPermits> {
        for added in 0..count {
            let is_added = |word: &AtomicU32| {
                word.load(Relaxed) == ABSENT
                    && word.compare_exchange(ABSENT, FREE, SeqCst, Relaxed).is_ok()
            };
            if !self.permits.iter().any(is_added) {
                return Err(TooManyPermits { added });
            }
            self.signal.notify();
        }
        Ok(())
    }

    /// Permits that are free. For people: it may have changed.
    #[must_use]
    pub fn available_permits(&self) -> usize {
        self.permits.iter().filter(|word| word.load(Relaxed) == FREE).count()
    }

    /// Process ids of those who hold permits, with the permits' numbers; 0 for a process that is not known.
    pub fn holders(&self) -> impl Iterator<Item = (usize, u32)> {
        let holder = |(index, word): (usize, &AtomicU32)| {
            Some((index, owner::pid(holder(word.load(Relaxed))?)))
        };
        self.permits.iter().enumerate().filter_map(holder)
    }
}

/// Who holds a permit that has this word. A wild word names somebody who is not, and so is dead.
fn holder(word: u32) -> Option<Owner> {
    match word {
        ABSENT | SEALED => None,
        _ if word & !OWNER_BITS != 0 => Some(Owner::WILD),
        _ => Owner::from_word(word),
    }
}

impl<const N: usize> fmt::Debug for Semaphore<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available_permits", &self.available_permits())
            .field("holders", &self.holders().collect::<Vec<_>>())
            .finish()
    }
}

/// A permit of a [`Semaphore`], given back on drop, or when the process dies.
#[must_use = "the permit is given back when it is dropped"]
pub struct Permit<'a, const N: usize = 64> {
    semaphore: &'a Semaphore<N>,
    index: usize,
    /// The owner's word, and `ABANDONED`. One word, because one of a word and a byte goes through the stack.
    held: u32,
}

/// The holder before died with the permit.
const ABANDONED: u32 = 1 << 31;

impl<const N: usize> Permit<'_, N> {
    /// The number of the permit, below `N`: no two holders have the same.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Whether the holder before died with it: what the permit stands for may need a look.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.held & ABANDONED != 0
    }

    /// Uses the permit up: it does not come back, unless somebody [adds](Semaphore::add_permits) one.
    pub fn forget(self) {
        let permit = std::mem::ManuallyDrop::new(self);
        permit.give(ABSENT);
    }

    /// Changes the permit's word, if this process still is the one that took it (not a fork's child).
    #[inline]
    fn give(&self, word: u32) -> bool {
        let is_mine = Owner::from_word(self.held).is_some_and(Owner::is_me);
        if is_mine {
            self.semaphore.permits[self.index].swap(word, SeqCst);
        }
        is_mine
    }
}

impl<const N: usize> Drop for Permit<'_, N> {
    #[inline]
    fn drop(&mut self) {
        if self.give(FREE) {
            self.semaphore.signal.notify();
        }
    }
}

impl<const N: usize> fmt::Debug for Permit<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("index", &self.index)
            .field("is_abandoned", &self.is_abandoned())
            .finish_non_exhaustive()
    }
}
