//! What locks protect here: a value in two words that must agree.

use crate::stage::Verdict;
use crossdock_core::sync::{LockResult, LockTimeoutError, TryLockError};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

/// Two words that are equal whenever nobody is changing them.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Pair {
    // Atomic only so that the compiler does not make one store of two.
    one: AtomicU64,
    two: AtomicU64,
}

impl Pair {
    /// Adds one to both, in an order that a death can cut in two.
    pub(super) fn change(&self) {
        let value = self.one.load(Relaxed) + 1;
        self.one.store(value, Relaxed);
        self.two.store(value, Relaxed);
    }

    /// Finishes a change that may be half done; any number of times.
    pub(super) fn repair(&self) {
        self.two.store(self.one.load(Relaxed), Relaxed);
    }

    /// Finishes the first change, of which any part may be done; any number of times.
    pub(super) fn finish_first(&self) {
        self.one.store(1, Relaxed);
        self.two.store(1, Relaxed);
    }

    /// Whether there have been so many changes, all complete.
    pub(super) fn check_count(&self, changes: u64) -> Verdict {
        match (self.one.load(Relaxed), self.two.load(Relaxed)) {
            (one, two) if one == changes && two == changes => Ok(()),
            (one, two) => Err(format!("{one} and {two} changes where there should be {changes}")),
        }
    }

    /// What should be true of them while nobody changes them.
    pub(super) fn check(&self, ledger: &Ledger) -> Verdict {
        let (one, two) = (self.one.load(Relaxed), self.two.load(Relaxed));
        if one != two {
            return Err(format!("a half-made change was not reported: {one} and {two}"));
        }
        ledger.check(one)
    }
}

/// How many changes were begun, and how many are known to have been made.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Ledger {
    begun: AtomicU64,
    made: AtomicU64,
    complaints: AtomicU64,
}

impl Ledger {
    pub(super) fn begin(&self) {
        self.begun.fetch_add(1, SeqCst);
    }

    pub(super) fn acknowledge(&self) {
        self.made.fetch_add(1, SeqCst);
    }

    /// Somebody who only looks has found something wrong; the next check says so.
    pub(super) fn complain(&self) {
        self.complaints.fetch_add(1, SeqCst);
    }

    pub(super) fn begun(&self) -> usize {
        self.begun.load(SeqCst) as usize
    }

    pub(super) fn made(&self) -> usize {
        self.made.load(SeqCst) as usize
    }

    /// Whether there can have been so many changes.
    pub(super) fn check(&self, changes: u64) -> Verdict {
        let (made, begun) = (self.made.load(SeqCst), self.begun.load(SeqCst));
        if self.complaints.load(SeqCst) != 0 {
            return Err("a reader has seen a half-made change".to_owned());
        }
        if (made..=begun).contains(&changes) {
            Ok(())
        } else {
            Err(format!("{changes} changes are left of {made} acknowledged, {begun} begun"))
        }
    }
}

/// What a wait with a deadline gave, if anything.
pub(super) fn in_time<G>(outcome: Result<G, LockTimeoutError<G>>) -> Option<LockResult<G>> {
    match outcome {
        Ok(guard) => Some(Ok(guard)),
        Err(LockTimeoutError::Poisoned(poisoned)) => Some(Err(poisoned)),
        Err(LockTimeoutError::TimedOut { .. }) => None,
    }
}

/// What an attempt gave, if anything.
pub(super) fn at_once<G>(outcome: Result<G, TryLockError<G>>) -> Option<LockResult<G>> {
    match outcome {
        Ok(guard) => Some(Ok(guard)),
        Err(TryLockError::Poisoned(poisoned)) => Some(Err(poisoned)),
        Err(TryLockError::WouldBlock) => None,
    }
}
