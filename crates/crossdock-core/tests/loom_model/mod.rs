//! What the models share.

use crossdock_core::model;
use crossdock_core::owner::Owner;
use crossdock_core::party::{Party, PartyId};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// Explores a model with at most this many preemptions, or fewer if `LOOM_MAX_PREEMPTIONS` says so.
pub(crate) fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    static EXECUTIONS: AtomicU64 = AtomicU64::new(0);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound =
        Some(builder.preemption_bound.map_or(preemptions, |bound| bound.min(preemptions)));
    builder.max_branches = 100_000;
    if model::is_weakened() {
        // A seeded bug is looked for until it is found, however busy the machine is.
        builder.max_duration = None;
    }
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

/// Explores a model whose threads are processes: each calls [`play`] first.
#[allow(dead_code, reason = "not every model has processes")]
pub(crate) fn check_processes(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    check(preemptions, move || {
        model::begin();
        model();
        model::end();
    });
}

/// Explores a model with a process that dies before its access number 0, number 1 and so on, until it
/// comes through alive in every schedule.
#[allow(dead_code, reason = "not every model has processes")]
pub(crate) fn check_deaths(
    preemptions: usize,
    model: impl Fn(u32) + Clone + Send + Sync + 'static,
) {
    check_deaths_of(preemptions, move |accesses| {
        model(accesses);
        model::has_died()
    });
}

/// As [`check_deaths`], for a model with other deaths in it: it says whether the one that counts came.
#[allow(dead_code, reason = "not every model has processes")]
pub(crate) fn check_deaths_of(
    preemptions: usize,
    model: impl Fn(u32) -> bool + Clone + Send + Sync + 'static,
) {
    let mut accesses = 0;
    loop {
        let has_died = Arc::new(AtomicBool::new(false));
        let (model, seen) = (model.clone(), Arc::clone(&has_died));
        check_processes(preemptions, move || {
            if model(accesses) {
                seen.store(true, Ordering::Relaxed);
            }
        });
        if !has_died.load(Ordering::Relaxed) {
            println!("a death before each of {accesses} accesses");
            assert!(accesses > 0, "nobody ever died");
            return;
        }
        accesses += 1;
    }
}

/// Makes the calling thread process number `index`.
#[allow(dead_code, reason = "not every model has processes")]
pub(crate) fn play(index: usize) {
    model::act_as(Owner::of(PartyId { party: party(index), epoch: 1 }));
}
