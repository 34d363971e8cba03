//! Waiting until somebody says so.
//!
//! # States
//!
//! | bits | meaning |
//! |---|---|
//! | 0 | set |
//! | 1 | somebody sleeps, or is about to |
//! | 2..32 | counts how often it was set |
//!
//! # Ordering
//!
//! Setting releases, a wait that ends because of it acquires.
//!
//! # Owner death
//!
//! It has no owner. If who sets it is killed before the wake, the sleepers see it after their slice.

use super::slice::Slice;
use crate::primitive::{AtomicU32, Deadline, wake_all};
use crate::signal::Watched;
use std::fmt;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::time::Duration;

const SET: u32 = 1;
const SLEEPERS: u32 = 2;
const COUNT_ONE: u32 = 4;

/// A flag that threads of any number of processes can wait for, as Python's `Event`.
///
/// It stays set until it is cleared, and lets everybody pass meanwhile. Who was waiting when it was set
/// passes even if it is cleared at once. All zeroes are an event that is not set.
///
/// # Examples
///
/// ```
/// use crossdock_core::sync::Event;
///
/// let ready = Event::new();
/// std::thread::scope(|scope| {
///     scope.spawn(|| ready.set());
///     ready.wait();
/// });
/// assert!(ready.is_set());
/// ```
#[repr(C)]
pub struct Event {
    word: AtomicU32,
}

impl Event {
    /// An event that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self { word: AtomicU32::new(0) }
    }

    /// Lets everybody pass who waits, or comes to wait, until it is cleared.
    pub fn set(&self) {
        let mut old = self.word.load(Relaxed);
        loop {
            let new = (old.wrapping_add(COUNT_ONE) | SET) & !SLEEPERS;
            match self.word.compare_exchange_weak(old, new, AcqRel, Relaxed) {
                Ok(_) => break,
                Err(now) => old = now,
            }
        }
        if old & SLEEPERS != 0 {
            wake_all(&self.word);
        }
    }

    /// Lets nobody pass any more.
    pub fn clear(&self) {
        self.word.fetch_and(!SET, AcqRel);
    }

    /// Whether it is set now.
    #[inline]
    #[must_use]
    #[doc(alias = "try_wait")]
    pub fn is_set(&self) -> bool {
        self.word.load(Acquire) & SET != 0
    }

    /// Waits until it is set.
    pub fn wait(&self) {
        self.wait_until(None);
    }

    /// Waits until it is set, but not longer than `timeout`; false if it was not.
    #[must_use = "time may have been up"]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.is_set() || self.wait_until(Some(Deadline::after(timeout)))
    }

    /// Announces a sleeper who waits for other things as well, with [`sleep_any`]; `None` if it is set.
    ///
    /// Who sleeps like this passes only if it finds the event set when it looks, not if it has been cleared
    /// since.
    ///
    /// [`sleep_any`]: crate::signal::sleep_any
    #[must_use]
    pub fn watch(&self) -> Option<Watched<'_>> {
        let mut word = self.word.load(Acquire);
        while word & SET == 0 {
            let announced = word | SLEEPERS;
            match self.word.compare_exchange_weak(word, announced, Relaxed, Acquire) {
                Ok(_) => return Some(Watched::new(&self.word, announced)),
                Err(now) => word = now,
            }
        }
        None
    }

    fn wait_until(&self, deadline: Option<Deadline>) -> bool {
        let first = self.word.load(Acquire);
        let mut word = first;
        let mut slice = None;
        loop {
            if word & SET != 0 || (word ^ first) & !(COUNT_ONE - 1) != 0 {
                return true;
            }
            let slice = slice.get_or_insert_with(|| Slice::new(deadline));
            if slice.is_late() {
                return false;
            }
            let announced = word | SLEEPERS;
            if word == announced
                || self.word.compare_exchange(word, announced, Relaxed, Relaxed).is_ok()
            {
                slice.nap(&self.word, announced);
            }
            word = self.word.load(Acquire);
        }
    }
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("is_set", &self.is_set()).finish()
    }
}
