//! What goes on in a pool.

use super::core::Core;
use crossdock_sys::process::resident_bytes;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What a pool does and has done: see [`Pool::stats`](super::Pool::stats).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Its workers, by seat.
    pub workers: Vec<WorkerStats>,
    /// Tasks that wait in this process; these can be cancelled.
    pub queued: usize,
    /// Tasks that were handed out and have not ended.
    pub running: usize,
    /// Calls that have returned.
    pub done: u64,
    /// Calls that have not: panicked, died, timed out, or with a result that cannot travel. A chunk that loses its worker
    /// counts with all its calls.
    pub failed: u64,
    /// Workers that have been replaced.
    pub restarts: u64,
    /// Errors that nobody has asked for.
    pub unclaimed_errors: u64,
    /// Callbacks that have panicked.
    pub panicked_callbacks: u64,
}

/// A worker of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStats {
    /// Its process; `None` while there is none.
    pub pid: Option<u32>,
    /// Whether it has got as far as taking tasks.
    pub is_ready: bool,
    /// Whether it runs a task now.
    pub is_busy: bool,
    /// Tasks that it has answered, and those before it on its seat. A chunk counts as one.
    pub tasks: u64,
    /// The time for which they have been busy.
    pub busy: Duration,
    /// What it has in memory, shared memory included; `None` if it has just ended.
    pub rss_bytes: Option<u64>,
}

impl Core {
    pub(super) fn stats(&self) -> PoolStats {
        let state = self.state.lock();
        let board = state.links.as_ref().map(|links| &links.board);
        let workers = state.crew.iter().enumerate().map(|(number, seat)| {
            let pid = seat.handle.as_ref().map(crate::process::JoinHandle::pid);
            WorkerStats {
                pid,
                is_ready: pid.is_some() && seat.is_ready,
                is_busy: pid.is_some() && board.is_some_and(|board| board.job(number).is_some()),
                tasks: seat.tasks,
                busy: board.map_or(Duration::ZERO, |board| board.busy(number)),
                rss_bytes: pid.and_then(|pid| resident_bytes(pid).ok()),
            }
        });
        PoolStats {
            workers: workers.collect(),
            queued: state.pending.len(),
            running: state.sent.len(),
            done: state.counts.done,
            failed: state.counts.failed,
            restarts: state.counts.restarts,
            unclaimed_errors: self.tally.unclaimed.load(Ordering::Relaxed),
            panicked_callbacks: self.tally.panicked_callbacks.load(Ordering::Relaxed),
        }
    }
}
