//! What the campaigns have in common: worker processes in a directory of their own.
//!
//! A campaign is this program (the controller) and copies of it in a hidden role (the workers). The
//! workers use the library; the controller does not, so nothing that it holds can hide a fault.

pub(crate) mod board;
pub(crate) mod crew;
pub(crate) mod house;
pub(crate) mod rng;
pub(crate) mod role;

use std::fmt::Display;
use std::time::{Duration, Instant};

/// How long a worker may go without a sign of life.
pub(crate) const HANG_MAX: Duration = Duration::from_secs(30);

/// What went against the promises, in words.
#[derive(Debug)]
pub(crate) struct Violation(pub(crate) String);

impl<E: Display> From<E> for Violation {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// A violation if `holds` is false.
pub(crate) fn ensure(holds: bool, text: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation(text())) }
}

/// Prints a line on stderr, at most one a second.
#[derive(Debug)]
pub(crate) struct Progress {
    start: Instant,
    last: Instant,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let start = Instant::now();
        Self { start, last: start }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) fn say(&mut self, line: impl FnOnce() -> String) {
        if self.last.elapsed() >= Duration::from_secs(1) {
            self.last = Instant::now();
            eprintln!("{:6.1} s  {}", self.start.elapsed().as_secs_f64(), line());
        }
    }
}

/// A seed that is new each time, for a run that was given none.
pub(crate) fn fresh_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |since| u64::from(since.subsec_nanos())) ^ (u64::from(std::process::id()) << 32)
}
