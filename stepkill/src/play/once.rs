//! `Once`.

use super::data::{Ledger, Pair};
use crate::case::{Case, Play, Survivor};
use crate::process::pause;
use crate::stage::{Stage, Verdict};
use crossdock_core::sync::Once;
use std::mem::offset_of;
use std::time::Duration;

#[repr(C)]
#[derive(Default)]
pub(crate) struct Object {
    once: Once,
    /// What is to be done once: one change.
    pair: Pair,
    ledger: Ledger,
}

pub(crate) fn play() -> Play<Object> {
    let case = |name, act| Case::new(name, act, SURVIVORS);
    let cases = vec![
        case("call_once", call).with_sleeper().against(call),
        case("call_once_force", |s| s.once.call_once_force(|_| act(&s))).with_sleeper(),
        case("try_call_once", |s| {
            // Who finds somebody at it goes on.
            let _ = s.once.try_call_once(|| act(&s));
        })
        .with_sleeper(),
        case("call_once, done", call).before(|s| {
            call(s);
            None
        }),
    ];
    Play { name: "once", object: Object::default, bytes: offset_of!(Object, ledger), cases }
}

const SURVIVORS: &[Survivor<Object>] = &[
    Survivor::waits("call_once", |s| {
        if s.once.call_once(|| act(&s)).is_err() {
            force(&s);
        }
        check(&s)
    }),
    Survivor::waits("call_once_force", |s| {
        force(&s);
        check(&s)
    }),
    Survivor::waits("call_once_timeout", |s: Stage<Object>| {
        if s.once.call_once_timeout(Duration::from_secs(1), || act(&s)).is_err() {
            force(&s);
        }
        check(&s)
    })
    .alike(),
];

fn call(s: Stage<Object>) {
    if s.once.call_once(|| act(&s)).is_ok() {
        s.ledger.acknowledge();
    }
}

fn act(s: &Object) {
    s.ledger.begin();
    pause();
    s.pair.change();
}

fn force(s: &Object) {
    s.once.call_once_force(|state| {
        if state.is_poisoned() {
            s.pair.finish_first();
        } else {
            act(s);
        }
    });
}

/// Whether it is done, and was done once.
fn check(s: &Object) -> Verdict {
    if !s.once.is_completed() {
        return Err("it is not done".to_owned());
    }
    s.pair.check_count(1)
}
