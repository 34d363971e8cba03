//! What each worker is doing, as it writes it itself: two numbers in shared memory.
//!
//! Nothing that must be right depends on it: who died over which task, the channel knows. It tells whose time is up, and
//! how long tasks take.

use crate::Atomic;
use crate::error::Result;
use crate::value::Value;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Numbers of a worker: what it does, one more than the number of the task, 0 if nothing; and for how long it has.
const WORDS: usize = 2;
/// What a worker does that is about to be ended: it begins nothing more. So who ends it for a task ends no other.
const CONDEMNED: u64 = u64::MAX;

/// The board of a pool.
#[derive(Debug)]
pub(super) struct Board(Value<[Atomic<u64>]>);

impl Board {
    pub(super) fn create(name: &str, seats: usize) -> Result<Self> {
        Value::create_slice(name, seats * WORDS, |_| Atomic::new(0)).map(Self)
    }

    pub(super) fn open(name: &str) -> Result<Self> {
        Value::open(name).map(Self)
    }

    fn word(&self, seat: usize, word: usize) -> Option<&Atomic<u64>> {
        self.0.get(seat * WORDS + word)
    }

    /// The worker begins a task.
    pub(super) fn begin(&self, seat: usize, job: u64) {
        if let Some(current) = self.word(seat, 0) {
            current.store(job + 1, Relaxed);
        }
    }

    /// The worker has ended a task; false if it has been condemned for it.
    #[must_use]
    pub(super) fn end(&self, seat: usize, job: u64) -> bool {
        let change = |current: &Atomic<u64>| current.compare_exchange(job + 1, 0, Relaxed, Relaxed);
        self.word(seat, 0).is_none_or(|current| change(current).is_ok())
    }

    /// The worker is to begin nothing more; false if it has ended the task meanwhile.
    #[must_use]
    pub(super) fn condemn(&self, seat: usize, job: u64) -> bool {
        let change =
            |current: &Atomic<u64>| current.compare_exchange(job + 1, CONDEMNED, Relaxed, Relaxed);
        self.word(seat, 0).is_some_and(|current| change(current).is_ok())
    }

    /// There is another worker, or none.
    pub(super) fn clear(&self, seat: usize) {
        if let Some(current) = self.word(seat, 0) {
            current.store(0, Relaxed);
        }
    }

    /// The worker has taken so long for a task.
    pub(super) fn note_time(&self, seat: usize, nanos: u64) {
        if let Some(busy) = self.word(seat, 1) {
            busy.fetch_add(nanos, Relaxed);
        }
    }

    /// What the worker of a seat is doing.
    pub(super) fn job(&self, seat: usize) -> Option<u64> {
        let current = self.word(seat, 0)?.load(Relaxed);
        if current == CONDEMNED { None } else { current.checked_sub(1) }
    }

    /// How long the workers of a seat have been doing something, all tasks together.
    pub(super) fn busy(&self, seat: usize) -> Duration {
        Duration::from_nanos(self.word(seat, 1).map_or(0, |busy| busy.load(Relaxed)))
    }
}
