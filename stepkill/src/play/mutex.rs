//! `Mutex`.

use super::data::{Ledger, Pair, at_once, in_time};
use crate::case::{Case, Later, Play, Survivor};
use crate::process::pause;
use crate::stage::{Role, Stage, Verdict};
use crossdock_core::sync::{LockResult, Mutex, MutexGuard};
use std::mem::offset_of;
use std::time::Duration;

#[repr(C)]
#[derive(Default)]
pub(crate) struct Object {
    lock: Mutex<Pair>,
    ledger: Ledger,
}

type Guard<'a> = MutexGuard<'a, Pair>;

pub(crate) fn play() -> Play<Object> {
    let locks = |s: Stage<Object>| change(&s, s.lock.lock());
    let cases = vec![
        Case::new("lock, free", locks, SURVIVORS).with_sleeper().against(locks),
        Case::new("lock, held by another", locks, SURVIVORS).before(hold).with_queue(),
        Case::new("lock, poisoned", locks, SURVIVORS).before(poison).with_sleeper(),
        Case::new("lock_timeout, held by another", |s| timed(&s, 1000), SURVIVORS)
            .before(hold)
            .with_queue(),
        Case::new("lock_timeout, in vain", |s| timed(&s, 5), SURVIVORS).before(hold).in_vain(),
        Case::new("try_lock, free", tries, SURVIVORS).with_sleeper().against(locks),
        Case::new("try_lock, held by another", tries, SURVIVORS).before(hold),
        Case::new("try_lock, poisoned", tries, SURVIVORS).before(poison),
    ];
    Play { name: "mutex", object: Object::default, bytes: offset_of!(Object, ledger), cases }
}

const SURVIVORS: &[Survivor<Object>] = &[
    Survivor::waits("lock", |s| recover(&s, || Some(s.lock.lock()))),
    Survivor::waits("lock_timeout", |s| {
        recover(&s, || in_time(s.object().lock.lock_timeout(Duration::from_secs(1))))
    })
    .alike(),
    Survivor::tries("try_lock", |s| recover(&s, || at_once(s.object().lock.try_lock()))),
];

fn change(s: &Object, guard: LockResult<Guard<'_>>) {
    s.ledger.begin();
    let guard = guard.unwrap_or_else(|poisoned| repair(s, poisoned.into_inner()));
    pause();
    guard.change();
    drop(guard);
    s.ledger.acknowledge();
}

fn repair<'a>(s: &Object, guard: Guard<'a>) -> Guard<'a> {
    guard.repair();
    s.lock.clear_poison();
    guard
}

fn timed(s: &Object, timeout_ms: u64) {
    if let Some(guard) = in_time(s.lock.lock_timeout(Duration::from_millis(timeout_ms))) {
        change(s, guard);
    }
}

fn tries(s: Stage<Object>) {
    if let Some(guard) = at_once(s.lock.try_lock()) {
        change(&s, guard);
    }
}

/// The house has it.
fn hold(s: Stage<Object>) -> Later {
    let s: &'static Object = s.object();
    let guard = s.lock.lock().expect("nobody has died");
    Some(Box::new(move || drop(guard)))
}

/// It is free, and somebody has died of it.
fn poison(s: Stage<Object>) -> Later {
    s.dies(Role::Ancestor, || std::mem::forget(s.lock.lock()));
    drop(s.lock.try_lock());
    None
}

/// Takes the lock, puts right what is wrong, changes the data, and sees whether the lock is as new.
fn recover<'a>(s: &'a Object, lock: impl FnOnce() -> Option<LockResult<Guard<'a>>>) -> Verdict {
    s.ledger.begin();
    let guard = match lock() {
        Some(Ok(guard)) => guard,
        Some(Err(poisoned)) => repair(s, poisoned.into_inner()),
        None => return Err("nobody who lives has it, and it is not to be had".to_owned()),
    };
    guard.check(&s.ledger)?;
    guard.change();
    drop(guard);
    s.ledger.acknowledge();
    match s.lock.try_lock() {
        Ok(guard) => guard.check(&s.ledger),
        Err(error) => Err(format!("after the recovery: {error}")),
    }
}
