//! Time stamps that two processes can compare, and waits that always end.

use std::hint;
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::Result;

/// No single message of an awake pair takes this long; a poll that does is an error, not a hang. The first
/// array of 1 GiB takes seconds on a virtual machine that has to get the pages from its host.
const POLL_LIMIT: Duration = Duration::from_secs(15);

/// Polls between two looks at the clock.
const POLLS_PER_LOOK: u32 = 1 << 12;

/// Nanoseconds of CLOCK_MONOTONIC, which is the same clock in every process of this machine.
pub(crate) fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// What reading the clock twice in a row costs (median), to be taken off every sample.
pub(crate) fn cost_ns() -> f64 {
    let mut costs: Vec<u64> = (0..1001)
        .map(|_| {
            let start = now_ns();
            now_ns() - start
        })
        .collect();
    costs.sort_unstable();
    costs[costs.len() / 2] as f64
}

/// Burns `ns` nanoseconds on the CPU, so that the other side has fallen asleep afterwards.
pub(crate) fn pause_ns(ns: u64) {
    let end = now_ns() + ns;
    while now_ns() < end {
        hint::spin_loop();
    }
}

/// Sleeps until the clock shows a time.
pub(crate) fn sleep_until(ns: u64) {
    let left_ns = ns.saturating_sub(now_ns());
    thread::sleep(Duration::from_nanos(left_ns));
}

/// Calls `poll` until it gives a value, at most [`POLL_LIMIT`] long.
pub(crate) fn poll_until<T>(poll: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    poll_idling(hint::spin_loop, poll)
}

/// The same, doing something else after each call in vain.
pub(crate) fn poll_idling<T>(
    idle: impl Fn(),
    mut poll: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let mut end_ns = None;
    loop {
        for _ in 0..POLLS_PER_LOOK {
            if let Some(value) = poll()? {
                return Ok(value);
            }
            idle();
        }
        let limit_ns = u64::try_from(POLL_LIMIT.as_nanos())?;
        if now_ns() > *end_ns.get_or_insert_with(|| now_ns() + limit_ns) {
            return Err(format!("no message for {POLL_LIMIT:?}").into());
        }
    }
}
