//! What a scenario has come to, counted by all lanes.

use crate::process::Atomic;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// The counts of one scenario.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Tally {
    pub(crate) next: AtomicU64,
    pub(crate) trials: AtomicU64,
    pub(crate) steps: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) longest_ns: AtomicU64,
    /// Points that were not come to.
    pub(crate) missed: AtomicU64,
    /// Trials that were late and are to be made again.
    pub(crate) late: AtomicU64,
}

impl Tally {
    /// Begins a scenario.
    pub(crate) fn clear(&self) {
        let Self { next, trials, steps, failures, retries, longest_ns, missed, late } = self;
        for cell in [next, trials, steps, failures, retries, longest_ns, missed, late] {
            cell.store(0, Relaxed);
        }
    }

    /// What it has come to, for xtask to read.
    pub(crate) fn figures(&self, situations: usize, images: usize, took: Duration) -> String {
        let figures = [
            situations as u64,
            self.trials.load(Relaxed),
            images as u64,
            self.steps.load(Relaxed),
            self.failures.load(Relaxed),
            self.retries.load(Relaxed),
            self.longest_ns.load(Relaxed) / 1000,
            took.as_millis() as u64,
            self.missed.load(Relaxed),
        ];
        figures.map(|figure| figure.to_string()).join("\t")
    }
}

// SAFETY: atomics only.
unsafe impl Atomic for Tally {}
