//! `ReentrantMutex`.

use super::data::{Ledger, Pair, at_once, in_time};
use crate::case::{Case, Later, Play, Survivor};
use crate::process::pause;
use crate::stage::{Stage, Verdict};
use crossdock_core::sync::{LockResult, ReentrantMutex, ReentrantMutexGuard};
use std::mem::offset_of;
use std::time::Duration;

#[repr(C)]
pub(crate) struct Object {
    lock: ReentrantMutex<Pair>,
    ledger: Ledger,
}

type Guard<'a> = ReentrantMutexGuard<'a, Pair>;

pub(crate) fn play() -> Play<Object> {
    let case = |name, act| Case::new(name, act, SURVIVORS);
    let object =
        || Object { lock: ReentrantMutex::new(Pair::default()), ledger: Ledger::default() };
    let locks = |s: Stage<Object>| change(&s, s.lock.lock());
    let cases = vec![
        case("lock twice, free", locks).with_sleeper().against(locks),
        case("lock twice, held by another", locks).before(hold).with_queue(),
        case("lock_timeout, in vain", |s| {
            let guard = in_time(s.lock.lock_timeout(Duration::from_millis(5)));
            guard.into_iter().for_each(|guard| change(&s, guard));
        })
        .before(hold)
        .in_vain(),
        case("try_lock, free", |s| {
            at_once(s.lock.try_lock()).into_iter().for_each(|guard| change(&s, guard));
        })
        .with_sleeper(),
    ];
    Play { name: "reentrant", object, bytes: offset_of!(Object, ledger), cases }
}

const SURVIVORS: &[Survivor<Object>] = &[
    Survivor::waits("lock", |s| recover(&s, || Some(s.object().lock.lock()))),
    Survivor::tries("try_lock", |s| recover(&s, || at_once(s.object().lock.try_lock()))),
];

fn change(s: &Object, guard: LockResult<Guard<'_>>) {
    s.ledger.begin();
    let outer = guard.unwrap_or_else(|poisoned| repair(s, poisoned.into_inner()));
    let inner = s.lock.lock();
    pause();
    outer.change();
    drop(inner);
    drop(outer);
    s.ledger.acknowledge();
}

fn repair<'a>(s: &Object, guard: Guard<'a>) -> Guard<'a> {
    guard.repair();
    s.lock.clear_poison();
    guard
}

fn hold(s: Stage<Object>) -> Later {
    let guard = s.object().lock.lock().expect("nobody has died");
    Some(Box::new(move || drop(guard)))
}

/// Takes the lock twice, puts right what is wrong, changes the data, and sees whether the lock is as new.
fn recover<'a>(s: &Object, lock: impl Fn() -> Option<LockResult<Guard<'a>>>) -> Verdict {
    const NOT_TO_BE_HAD: &str = "nobody else who lives has it, and it is not to be had";
    s.ledger.begin();
    let outer = match lock().ok_or(NOT_TO_BE_HAD)? {
        Ok(guard) => guard,
        Err(poisoned) => repair(s, poisoned.into_inner()),
    };
    let inner = lock().ok_or(NOT_TO_BE_HAD)?;
    outer.check(&s.ledger)?;
    outer.change();
    drop(inner);
    drop(outer);
    s.ledger.acknowledge();
    match s.lock.try_lock() {
        Ok(guard) => guard.check(&s.ledger),
        Err(error) => Err(format!("after the recovery: {error}")),
    }
}
