//! The word of a lock that outlives its owner.
//!
//! # States
//!
//! | bits | name | meaning | who may change it |
//! |---|---|---|---|
//! | 0..29 | owner | 0: free; else who holds it ([`Owner`]) | 0 to X: X. X to 0: X. X to Y: Y, if X is dead |
//! | 29 | `MARK` | the owner has not touched what the lock protects | the owner |
//! | 30 | `POISON` | a former owner died or panicked | set: the owner, or who takes over; cleared: anybody |
//! | 31 | `WAITERS` | somebody sleeps on the word, or is about to | set: any waiter; cleared: by the release |
//!
//! Taking a free word is one exchange, releasing it one swap. Whoever cannot have it spins a little (if
//! there is more than one processor), sets `WAITERS` and sleeps on the exact word it saw.
//!
//! # Ordering
//!
//! The exchange that takes the word acquires, the swap that gives it back releases; taking over from a
//! dead owner acquires what that owner's last release, or its death, made visible (the kernel's report of
//! a death orders everything the dead did before it). Both are sequentially consistent where a read-write
//! lock needs them ordered with its readers' cells.
//!
//! # Owner death
//!
//! Every sleep ends after a slice ([`Slice`]). The waiter then asks whether the owner it saw still lives, and if
//! not takes over with one exchange of the exact old word: `POISON` set, unless `MARK` says that nothing
//! was touched. The owner's epoch is part of the word, so a place that was given to another process is
//! not mistaken for the old one. The slices also cover the two ways to lose a wake-up: an owner killed
//! between its release and the wake, and a woken sleeper killed before it takes the word.
//!
//! A waiter that has slept takes the word with `WAITERS` set, because it may not have been the only one
//! (glibc bug 20973 is what happens otherwise).

use super::slice::Slice;
use crate::owner::{self, OWNER_BITS, Owner};
use crate::primitive::{AtomicU32, Deadline, online_cpus, spin_loop, wake_all, wake_one};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::thread;

/// Somebody sleeps.
pub(super) const WAITERS: u32 = 1 << 31;
/// A former owner died or panicked.
pub(super) const POISON: u32 = 1 << 30;
/// What a primitive uses it for; a dead owner that had it set poisons nothing.
pub(super) const MARK: u32 = 1 << 29;

/// How often a waiter looks before it sleeps: about a microsecond.
const SPINS: u32 = 100;

/// None if whoever it waits for can only run when this thread does not.
fn spins() -> u32 {
    if online_cpus() < 2 { 0 } else { SPINS }
}

/// The word of a lock, and who poisoned it.
#[repr(C)]
pub(super) struct LockWord {
    pub(super) word: AtomicU32,
    /// Process id of the owner that died or panicked, 0 if nobody knows.
    poisoned_by: AtomicU32,
}

/// The time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimedOut;

/// A word that has been taken: by whom, so that it can be given back without another look at it, and whether
/// a former owner left it poisoned.
///
/// It is one word, as is what a guard keeps: a guard made of a word and a byte goes through the stack, byte by
/// byte, and that takes longer than the lock.
///
/// | bits | meaning |
/// |---|---|
/// | 0..29 | the owner |
/// | 30 | `POISON`, as it was taken |
/// | 31 | the thread was panicking when it took it |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) struct Taken(u32);

const WAS_PANICKING: u32 = 1 << 31;

impl Taken {
    /// By whom, and the poison as it was in `word`.
    #[inline]
    pub(super) fn new(me: Owner, word: u32) -> Self {
        Self(me.to_word() | word & POISON)
    }

    /// By whom.
    #[inline]
    pub(super) fn me(self) -> Owner {
        // A word was taken by somebody.
        Owner::from_word(self.0).unwrap_or(Owner::STRANGER)
    }

    #[inline]
    pub(super) fn is_poisoned(self) -> bool {
        self.0 & POISON != 0
    }

    /// Remembers whether this thread is panicking: what it does to the data then is no new misfortune.
    #[inline]
    pub(super) fn note_panic(self) -> Self {
        if thread::panicking() { Self(self.0 | WAS_PANICKING) } else { self }
    }

    /// Whether a panic has begun since.
    #[inline]
    pub(super) fn has_panicked(self) -> bool {
        self.0 & WAS_PANICKING == 0 && thread::panicking()
    }
}

impl LockWord {
    #[cfg(all(feature = "lock_api", not(loom)))]
    #[allow(clippy::declare_interior_mutable_const, reason = "an initial value")]
    pub(super) const INIT: Self = Self { word: AtomicU32::new(0), poisoned_by: AtomicU32::new(0) };

    pub(super) fn new() -> Self {
        Self { word: AtomicU32::new(0), poisoned_by: AtomicU32::new(0) }
    }

    /// Takes the word if it is free and clean, with one exchange.
    #[inline]
    pub(super) fn try_take(&self) -> Option<Taken> {
        let me = owner::me();
        self.word.compare_exchange(0, me.to_word(), SeqCst, Relaxed).ok()?;
        Some(Taken::new(me, 0))
    }

    /// Takes the word if it is free, or if its owner is dead.
    #[cold]
    pub(super) fn try_take_any(&self) -> Option<Taken> {
        let me = owner::me();
        loop {
            let word = self.word.load(Acquire);
            match Owner::from_word(word) {
                None => {
                    if let Some(taken) = self.exchange(word, me, 0) {
                        return Some(taken);
                    }
                }
                Some(holder) if holder != me && owner::is_dead(holder) => {
                    if let Some(taken) = self.take_over(word, holder, me) {
                        return Some(taken);
                    }
                }
                Some(_) => return None,
            }
        }
    }

    /// Waits for the word and takes it.
    #[cold]
    pub(super) fn take(&self, deadline: Option<Deadline>) -> Result<Taken, TimedOut> {
        let me = owner::me();
        if let Some(taken) = self.spin(me) {
            return Ok(taken);
        }
        // What a waiter that has slept leaves in the word: there may be others.
        let mut slept = 0;
        let mut slice = Slice::new(deadline);
        loop {
            // Acquire: who holds it had told its registry who it is before it took the word.
            let word = self.word.load(Acquire);
            let Some(holder) = Owner::from_word(word) else {
                match self.exchange(word, me, slept) {
                    Some(taken) => return Ok(taken),
                    None => continue,
                }
            };
            if slice.is_over() && holder != me && owner::is_dead(holder) {
                match self.take_over(word, holder, me) {
                    Some(taken) => return Ok(taken),
                    None => continue,
                }
            }
            if slice.is_late() {
                // The wake-up that was meant for this waiter is due to another one now.
                if slept == 0 || self.announce(word) {
                    return Err(TimedOut);
                }
                continue;
            }
            if self.announce(word) {
                slice.sleep(&self.word, word | WAITERS);
                slept = WAITERS;
            }
        }
    }

    /// Looks for a moment whether the word becomes free, and takes it if so.
    fn spin(&self, me: Owner) -> Option<Taken> {
        for _ in 0..spins() {
            let word = self.word.load(Relaxed);
            if word & OWNER_BITS == 0 {
                return self.exchange(word, me, 0);
            }
            if word & WAITERS != 0 {
                return None;
            }
            spin_loop();
        }
        None
    }

    /// Looks for a moment whether the word becomes free.
    pub(super) fn watch(&self) {
        for _ in 0..spins() {
            let word = self.word.load(Relaxed);
            if word & OWNER_BITS == 0 || word & WAITERS != 0 {
                return;
            }
            spin_loop();
        }
    }

    /// Makes sure that the owner will wake somebody; false if the word has changed.
    pub(super) fn announce(&self, word: u32) -> bool {
        word & WAITERS != 0
            || self.word.compare_exchange(word, word | WAITERS, Relaxed, Relaxed).is_ok()
    }

    /// Takes a free word.
    fn exchange(&self, word: u32, me: Owner, waiters: u32) -> Option<Taken> {
        let kept = word & (POISON | WAITERS);
        let taken = me.to_word() | kept | waiters;
        self.word.compare_exchange(word, taken, SeqCst, Relaxed).ok()?;
        Some(Taken::new(me, word))
    }

    /// Takes the word of a dead owner. `WAITERS` stays: whoever slept for the dead still does.
    fn take_over(&self, word: u32, dead: Owner, me: Owner) -> Option<Taken> {
        let poison = if word & MARK == 0 { POISON } else { word & POISON };
        let taken = me.to_word() | poison | WAITERS;
        // The table may forget the dead at any time from now on.
        let pid = owner::pid(dead);
        self.word.compare_exchange(word, taken, SeqCst, Relaxed).ok()?;
        if word & MARK == 0 {
            self.poisoned_by.store(pid, Relaxed);
        }
        Some(Taken::new(me, poison))
    }

    /// Gives the word back as it was taken and wakes one sleeper. Nothing happens if it is not this process's
    /// any more: in the child of a fork.
    #[inline]
    pub(super) fn release(&self, taken: Taken) {
        if self.give_back(taken) {
            self.wake_one();
        }
    }

    /// Gives the word back as it was taken and wakes all sleepers.
    #[inline]
    pub(super) fn release_to_all(&self, taken: Taken) {
        if self.give_back(taken) {
            self.wake_all();
        }
    }

    /// Whether somebody sleeps and has to be woken.
    ///
    /// A word that was taken clean is not looked at before the swap: its cache line would travel twice, as
    /// somebody who waits has just fetched it.
    #[inline]
    fn give_back(&self, taken: Taken) -> bool {
        if taken.is_poisoned() {
            return self.give_back_poisoned();
        }
        taken.me().is_me() && self.word.swap(0, Release) & WAITERS != 0
    }

    /// Keeps the poison, unless it was cleared meanwhile.
    #[cold]
    fn give_back_poisoned(&self) -> bool {
        let word = self.word.load(Relaxed);
        Owner::from_word(word).is_some_and(Owner::is_me)
            && self.word.swap(word & POISON, Release) & WAITERS != 0
    }

    #[cold]
    fn wake_one(&self) {
        wake_one(&self.word);
    }

    #[cold]
    fn wake_all(&self) {
        wake_all(&self.word);
    }

    /// Releases the word of a dead owner, so that all who wait for it can compete; true if it is free now
    /// or has changed.
    #[cold]
    pub(super) fn bury(&self, word: u32) -> bool {
        let Some(holder) = Owner::from_word(word) else { return true };
        if holder == owner::me() || !owner::is_dead(holder) {
            return false;
        }
        let poison = if word & MARK == 0 { POISON } else { word & POISON };
        let pid = owner::pid(holder);
        if self.word.compare_exchange(word, poison, SeqCst, Relaxed).is_ok() {
            if word & MARK == 0 {
                self.poisoned_by.store(pid, Relaxed);
            }
            wake_all(&self.word);
        }
        true
    }

    /// Releases the word if its owner is dead; true if it is free now or has changed.
    pub(super) fn bury_if_dead(&self) -> bool {
        self.bury(self.word.load(Acquire))
    }

    /// The holder has touched nothing yet, or begins to.
    pub(super) fn mark(&self, is_untouched: bool) {
        if is_untouched {
            self.word.fetch_or(MARK, SeqCst);
        } else {
            self.word.fetch_and(!MARK, SeqCst);
        }
    }

    /// The holder gives up on what it protects.
    #[cold]
    pub(super) fn poison(&self, taken: &mut Taken) {
        // In the child of a fork it is still the parent's.
        if !self.holder().is_some_and(Owner::is_me) {
            return;
        }
        self.poisoned();
        self.word.fetch_or(POISON, Relaxed);
        taken.0 |= POISON;
    }

    /// Remembers that it is this process that gave up.
    pub(super) fn poisoned(&self) {
        self.poisoned_by.store(std::process::id(), Relaxed);
    }

    /// Whether a former owner died or panicked.
    #[inline]
    pub(super) fn is_poisoned(&self) -> bool {
        self.word.load(Acquire) & POISON != 0
    }

    /// Forgets that a former owner died or panicked.
    pub(super) fn clear_poison(&self) {
        self.word.fetch_and(!POISON, Release);
    }

    /// Process id of the owner that died or panicked.
    pub(super) fn poisoned_by(&self) -> Option<u32> {
        Some(self.poisoned_by.load(Relaxed)).filter(|pid| *pid != 0)
    }

    /// Who holds it now.
    pub(super) fn holder(&self) -> Option<Owner> {
        Owner::from_word(self.word.load(Relaxed))
    }
}
