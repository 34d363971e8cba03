//! futex(2) without `FUTEX_PRIVATE_FLAG`, with absolute `CLOCK_MONOTONIC` deadlines.

use crate::clock::Deadline;
use rustix::fs::Timespec;
use rustix::thread::futex;
use std::num::NonZeroU32;
use std::sync::atomic::AtomicU32;

/// Sleeps while `word` is `expected`, until a wake-up, the deadline, or no reason at all.
///
/// The caller re-reads the word in every case: wake-ups may be spurious and a signal ends the sleep.
#[doc(alias = "FUTEX_WAIT_BITSET")]
pub fn wait(word: &AtomicU32, expected: u32, deadline: Deadline) {
    let nanos = deadline.as_nanos();
    let until = Timespec {
        tv_sec: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(nanos % 1_000_000_000).unwrap_or(0),
    };
    // EAGAIN (the word has changed), EINTR and ETIMEDOUT all mean the same: look again.
    let _ =
        futex::wait_bitset(word, futex::Flags::empty(), expected, Some(&until), NonZeroU32::MAX);
}

/// Wakes at most one sleeper; says whether there was one.
#[doc(alias = "FUTEX_WAKE")]
pub fn wake_one(word: &AtomicU32) -> bool {
    futex::wake(word, futex::Flags::empty(), 1).unwrap_or(0) > 0
}

/// Wakes every sleeper; says whether there was one.
#[doc(alias = "FUTEX_WAKE")]
pub fn wake_all(word: &AtomicU32) -> bool {
    futex::wake(word, futex::Flags::empty(), i32::MAX.unsigned_abs()).unwrap_or(0) > 0
}
