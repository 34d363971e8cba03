//! `Condvar`, from both sides.

use super::data::at_once;
use crate::case::{Case, Later, Play, Survivor};
use crate::process::pause;
use crate::stage::Stage;
use crossdock_core::sync::{Condvar, LockResult, Mutex, MutexGuard};
use std::time::Duration;

#[repr(C)]
#[derive(Default)]
pub(crate) struct Object {
    changed: Condvar,
    letters: Mutex<u64>,
}

pub(crate) fn play() -> Play<Object> {
    let case = |name, act| Case::new(name, act, SURVIVORS);
    let cases = vec![
        case("notify_one", |s| {
            pause();
            *lock(&s) += 1;
            s.changed.notify_one();
        })
        .after(send_if_none)
        .with_sleeper(),
        case("notify_all", |s| {
            pause();
            *lock(&s) += 1;
            s.changed.notify_all();
        })
        .after(send_if_none)
        .with_sleeper(),
        case("notify_one, locked", |s| {
            pause();
            let mut letters = lock(&s);
            *letters += 1;
            s.changed.notify_one();
        })
        .after(send_if_none)
        .with_sleeper(),
        case("wait", |s| drop(wait(&s))).before(send_later).with_queue(),
        case("wait_timeout, in vain", |s| {
            let letters = lock(&s);
            let outcome = s.changed.wait_timeout(letters, Duration::from_millis(5));
            drop(outcome.map_err(|poisoned| settle(&s, poisoned.into_inner().0)));
        })
        .before(send_later)
        .in_vain(),
    ];
    Play { name: "condvar", object: Object::default, bytes: size_of::<Object>(), cases }
}

const SURVIVORS: &[Survivor<Object>] = &[Survivor::waits("wait", |s| {
    drop(wait(&s));
    match s.letters.try_lock() {
        Ok(letters) if *letters > 0 => Ok(()),
        Ok(_) => Err("a wait ended without a letter".to_owned()),
        Err(error) => Err(format!("after the recovery: {error}")),
    }
})];

fn lock(s: &Object) -> MutexGuard<'_, u64> {
    or_settled(s, s.letters.lock())
}

fn or_settled<'a>(s: &Object, guard: LockResult<MutexGuard<'a, u64>>) -> MutexGuard<'a, u64> {
    guard.unwrap_or_else(|poisoned| settle(s, poisoned.into_inner()))
}

/// A number is never half changed.
fn settle<'a>(s: &Object, guard: MutexGuard<'a, u64>) -> MutexGuard<'a, u64> {
    s.letters.clear_poison();
    guard
}

/// Waits for a letter.
fn wait(s: &Object) -> MutexGuard<'_, u64> {
    let mut letters = lock(s);
    while *letters == 0 {
        letters = or_settled(s, s.changed.wait(letters));
    }
    letters
}

/// The house sends one letter, and wakes one.
fn send_later(s: Stage<Object>) -> Later {
    let s = s.object();
    Some(Box::new(move || {
        let letters =
            at_once(s.letters.try_lock()).expect("whoever had the lock sleeps or is dead");
        *or_settled(s, letters) += 1;
        s.changed.notify_one();
    }))
}

/// The dead has not come to send its letter: the house does.
fn send_if_none(s: Stage<Object>) {
    let letters = at_once(s.letters.try_lock()).expect("whoever had the lock sleeps or is dead");
    let mut letters = or_settled(&s, letters);
    if *letters == 0 {
        *letters += 1;
        s.changed.notify_all();
    }
}
