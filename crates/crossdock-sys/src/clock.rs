//! Deadlines on `CLOCK_MONOTONIC`, the clock that every process of a machine shares.
//!
//! A deadline is absolute and never stored in shared memory: a process in another time namespace
//! reads another clock.

use std::time::Duration;

/// Nanoseconds since an unspecified start, never going back.
#[must_use]
pub fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// Milliseconds on the clock of [`now_ns`], some of them late: several times as quick to read.
#[inline]
#[must_use]
pub fn now_coarse_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
}

/// A moment on the monotonic clock after which a wait gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(u64);

impl Deadline {
    /// The moment `timeout` from now; a timeout too long to count is the end of time.
    #[must_use]
    pub fn after(timeout: Duration) -> Self {
        let nanos = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        // The kernel takes seconds as a signed number.
        Self(now_ns().saturating_add(nanos).min(i64::MAX as u64))
    }

    /// Whether the moment has come.
    #[must_use]
    pub fn is_past(self) -> bool {
        now_ns() >= self.0
    }

    /// Nanoseconds on the clock of [`now_ns`].
    #[must_use]
    pub fn as_nanos(self) -> u64 {
        self.0
    }

    /// The earlier of this moment and the one `slice` from now: how long one bounded sleep may be.
    #[must_use]
    pub fn within(self, slice: Duration) -> Self {
        self.min(Self::after(slice))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_timeout_is_past_at_once() {
        assert!(Deadline::after(Duration::ZERO).is_past());
    }

    #[test]
    fn the_coarse_clock_is_late_and_never_ahead() {
        let fine_ms = || now_ns() / 1_000_000;
        let (before, coarse, after) = (fine_ms(), now_coarse_ms(), fine_ms());
        assert!(coarse <= after && before <= coarse + 1_000, "{before} {coarse} {after}");
    }

    #[test]
    fn longest_timeout_does_not_overflow() {
        assert!(!Deadline::after(Duration::MAX).is_past());
    }

    #[test]
    fn within_takes_the_earlier_of_slice_and_deadline() {
        let far = Deadline::after(Duration::from_secs(1000));
        let near = far.within(Duration::from_millis(1));
        assert!(near < far);
        assert_eq!(near.within(Duration::from_secs(1000)), near);
    }
}
