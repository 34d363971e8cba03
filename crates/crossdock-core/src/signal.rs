//! A word to sleep on until something has changed elsewhere.
//!
//! # States
//!
//! | bit 0 | bits 1.. | meaning |
//! |---|---|---|
//! | 0 | sequence | nobody sleeps; a change needs no system call |
//! | 1 | sequence | somebody sleeps or is about to; a change advances the sequence and wakes |
//!
//! A sleeper sets the flag, looks again for what it waits for, and only then sleeps on the exact word
//! it saw. A changer makes its change visible, then looks at the flag. One of them sees the other
//! (Dekker's argument): the sleeper has a sequentially consistent fence between its steps, the changer
//! a sequentially consistent change before a sequentially consistent look.
//!
//! # Several at once
//!
//! A sleeper can announce itself on several words, look at everything it waits for, and sleep on all of
//! them: [`Signal::watch`], [`sleep_any`]. It may be given the wake-ups of several words at once, each of
//! which no other sleeper gets. So when it goes on with one thing, it calls [`Signal::pass_on`] for the
//! others that are there, which wakes the next sleeper.
//!
//! # Owner death
//!
//! A changer killed between its change and the wake, or a woken sleeper killed before it acts, loses a
//! wake-up. Therefore every sleep is bounded by [`SLICE`]: a waiter looks again after that, and asks
//! whether those it waits for still live.

use crate::primitive::{AtomicU32, Deadline, fence, wait, wait_any, wake_all, wake_one};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use std::time::Duration;

/// The longest that anybody sleeps without looking again.
pub const SLICE: Duration = Duration::from_millis(25);

const SLEEPERS: u32 = 1;
const SEQUENCE_ONE: u32 = 2;

/// A word to sleep on, alone in its cache line.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Signal {
    word: AtomicU32,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Signal>() == 64);

/// The word that a sleeper saw: it sleeps only while the word is still the same.
#[derive(Clone, Copy, Debug)]
pub struct Key(u32);

/// A word on which a sleeper has announced itself, with what it saw there; see [`sleep_any`].
#[derive(Clone, Copy, Debug)]
pub struct Watched<'a> {
    word: &'a AtomicU32,
    seen: u32,
}

impl<'a> Watched<'a> {
    pub(crate) fn new(word: &'a AtomicU32, seen: u32) -> Self {
        Self { word, seen }
    }
}

/// Sleeps unless something was notified on any of the words since they were watched; at most until
/// `deadline`, at most a slice. No word may be there twice: the second announcement would change what the
/// first saw.
pub fn sleep_any(words: &[Watched<'_>], deadline: Option<Deadline>) {
    wait_any(words.iter().map(|watched| (watched.word, watched.seen)), end_of_sleep(deadline));
}

/// When a sleep that begins now ends at the latest.
fn end_of_sleep(deadline: Option<Deadline>) -> Deadline {
    deadline.map_or_else(|| Deadline::after(SLICE), |deadline| deadline.within(SLICE))
}

impl Signal {
    /// A signal on which nobody sleeps, for memory that is not shared (tests, models).
    #[must_use]
    pub fn new() -> Self {
        Self { word: AtomicU32::new(0) }
    }

    /// Announces a sleeper. The caller then looks once more before it calls [`Signal::sleep`].
    #[must_use]
    pub fn announce(&self) -> Key {
        // The word changes even if the flag is set already: a notifier that found nobody in the kernel
        // and is about to clear the flag must see that somebody has come since.
        let mut old = self.word.load(Relaxed);
        let new = loop {
            let new = old.wrapping_add(SEQUENCE_ONE) | SLEEPERS;
            match self.word.compare_exchange_weak(old, new, SeqCst, Relaxed) {
                Ok(_) => break new,
                Err(now) => old = now,
            }
        };
        fence(SeqCst);
        Key(new)
    }

    /// Sleeps unless something was notified since `key`; at most until `deadline`, at most a slice.
    pub fn sleep(&self, key: Key, deadline: Option<Deadline>) {
        wait(&self.word, key.0, end_of_sleep(deadline));
    }

    /// As [`announce`](Self::announce), for a sleeper on several words.
    #[must_use]
    pub fn watch(&self) -> Watched<'_> {
        Watched::new(&self.word, self.announce().0)
    }

    /// Wakes the next sleeper, in place of one on several words who has been woken and goes on with
    /// something else, though there is something here.
    pub fn pass_on(&self) {
        fence(SeqCst);
        self.notify();
    }

    /// Wakes one sleeper, if there is any. The caller's last step was a sequentially consistent
    /// read-modify-write of what sleepers look at, or a fence.
    #[inline]
    pub fn notify(&self) {
        if self.word.load(SeqCst) & SLEEPERS != 0 {
            self.notify_sleepers(false);
        }
    }

    /// Wakes every sleeper, after any change.
    pub fn notify_all(&self) {
        fence(SeqCst);
        if self.word.load(SeqCst) & SLEEPERS != 0 {
            self.notify_sleepers(true);
        }
    }

    #[cold]
    fn notify_sleepers(&self, everyone: bool) {
        let word = self.word.fetch_add(SEQUENCE_ONE, AcqRel).wrapping_add(SEQUENCE_ONE);
        let woken = if everyone { wake_all(&self.word) } else { wake_one(&self.word) };
        if everyone || !woken {
            // Nobody is left in the kernel. Who has announced itself since has changed the word, and
            // the exchange fails; who did before finds another word and does not sleep.
            let _ = self.word.compare_exchange(word, word & !SLEEPERS, AcqRel, Acquire);
        }
    }
}

impl Default for Signal {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_notification_between_announcing_and_sleeping_is_not_lost() {
        let signal = Signal::new();
        let key = signal.announce();
        fence(SeqCst);
        signal.notify();
        // Would hang for ever if the sleep did not compare the word: no deadline, and the slice is
        // only there for the dead.
        signal.sleep(key, None);
        assert_ne!(signal.announce().0, key.0);
    }

    #[test]
    fn the_flag_goes_when_nobody_sleeps() {
        let signal = Signal::new();
        let _ = signal.announce();
        signal.notify();
        assert_eq!(signal.word.load(Ordering::Relaxed) & SLEEPERS, 0);
    }

    #[test]
    fn one_sleeper_is_woken_by_either_of_two_signals() {
        for index in 0..2 {
            let signals = [Signal::new(), Signal::new()];
            let ready = AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !ready.load(Ordering::Acquire) {
                        let watched = [signals[0].watch(), signals[1].watch()];
                        if !ready.load(Ordering::Acquire) {
                            sleep_any(&watched, None);
                        }
                    }
                });
                ready.store(true, Ordering::Release);
                signals[index].notify_all();
            });
            assert!(ready.load(Ordering::Relaxed));
        }
    }

    #[test]
    fn a_sleeper_is_woken() {
        let signal = Signal::new();
        let ready = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !ready.load(Ordering::Acquire) {
                    let key = signal.announce();
                    if !ready.load(Ordering::Acquire) {
                        signal.sleep(key, None);
                    }
                }
            });
            ready.store(true, Ordering::Release);
            signal.notify_all();
        });
    }
}
