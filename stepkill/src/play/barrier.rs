//! `Barrier`.

use crate::case::{Case, Later, Play, Survivor};
use crate::process::pause;
use crate::stage::{Role, Stage, Verdict};
use crossdock_core::sync::{Barrier, BarrierError};
use std::mem::offset_of;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

const PARTICIPANTS: usize = 2;
/// Rounds after which a survivor must have learnt that the other one is dead: the one that the dead came
/// to, and the next.
const ROUNDS_MAX: usize = 2;

#[repr(C)]
pub(crate) struct Object {
    barrier: Barrier<4>,
    /// Rounds that the house has ended.
    house_rounds: AtomicU32,
}

pub(crate) fn play() -> Play<Object> {
    let case = |name, act| Case::new(name, act, SURVIVORS);
    let object =
        || Object { barrier: Barrier::with_room(PARTICIPANTS), house_rounds: AtomicU32::new(0) };
    let cases = vec![
        case("wait, first", wait).before(come_later).after(break_if_unknown),
        case("wait, last", |s: Stage<Object>| {
            pause();
            wait(s);
        })
        .before(come_later)
        .after(break_if_alone)
        .with_sleeper(),
        case("wait_timeout, in vain", |s: Stage<Object>| {
            // The barrier is broken then, for all.
            let _ = s.barrier.wait_timeout(Duration::from_millis(5));
        })
        .after(break_if_unknown),
        case("abort", |s: Stage<Object>| {
            pause();
            s.barrier.abort();
        })
        .after(break_if_alone)
        .with_sleeper(),
        Case::new("reset", |s| s.barrier.reset(), MENDERS).before(|s| {
            s.dies(Role::Ancestor, || {
                // Breaks the barrier with its place taken.
                let _ = s.barrier.wait_timeout(Duration::from_millis(1));
            });
            None
        }),
    ];
    Play { name: "barrier", object, bytes: offset_of!(Object, house_rounds), cases }
}

const SURVIVORS: &[Survivor<Object>] = &[Survivor::waits("wait", recover)];
const MENDERS: &[Survivor<Object>] = &[Survivor::tries("reset", reset)];

fn wait(s: Stage<Object>) {
    // Who finds it broken has nothing to do.
    let _ = s.barrier.wait();
}

/// When the victim waits, the house is the other participant.
fn come_later(s: Stage<Object>) -> Later {
    Some(Box::new(move || {
        if s.barrier.try_wait().is_ok() {
            s.house_rounds.fetch_add(1, SeqCst);
        }
    }))
}

/// If the dead was never at the barrier, its death breaks nothing: the house does.
fn break_if_unknown(s: Stage<Object>) {
    if s.barrier.waiting() == 0 && s.house_rounds.load(SeqCst) == 0 {
        s.barrier.abort();
    }
}

/// If the survivor is still alone, the dead was never at the barrier.
fn break_if_alone(s: Stage<Object>) {
    if s.barrier.waiting() < PARTICIPANTS {
        s.barrier.abort();
    }
}

/// Comes to the barrier until it says that it is broken.
fn recover(s: Stage<Object>) -> Verdict {
    for _ in 0..=ROUNDS_MAX {
        match s.barrier.wait() {
            Ok(_) => {}
            Err(BarrierError::Broken) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(format!("more than {ROUNDS_MAX} rounds with the dead"))
}

/// Mends the barrier, however far somebody else has come with that.
fn reset(s: Stage<Object>) -> Verdict {
    s.barrier.reset();
    match (s.barrier.is_broken(), s.barrier.waiting(), s.barrier.try_wait()) {
        (false, 0, Err(BarrierError::WouldBlock)) => Ok(()),
        found => Err(format!("after a reset: {found:?}")),
    }
}
