//! What the models share.

use crossdock_core::party::Party;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Explores a model with at most this many preemptions, or fewer if `LOOM_MAX_PREEMPTIONS` says so.
pub(crate) fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    static EXECUTIONS: AtomicU64 = AtomicU64::new(0);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound =
        Some(builder.preemption_bound.map_or(preemptions, |bound| bound.min(preemptions)));
    builder.max_branches = 100_000;
    let start = Instant::now();
    let before = EXECUTIONS.load(Ordering::Relaxed);
    builder.check(move || {
        EXECUTIONS.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let count = EXECUTIONS.load(Ordering::Relaxed) - before;
    println!("{count} executions, {:.1} s", start.elapsed().as_secs_f64());
}

#[allow(dead_code, reason = "not every model has parties")]
pub(crate) fn party(index: usize) -> Party {
    Party::new(index).unwrap()
}
