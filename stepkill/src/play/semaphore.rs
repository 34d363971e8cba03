//! `Semaphore`.

use super::data::Ledger;
use crate::case::{Case, Later, Play, Survivor};
use crate::process::pause;
use crate::stage::{Stage, Verdict};
use crossdock_core::sync::{Permit, Semaphore};
use std::mem::offset_of;
use std::time::Duration;

const PERMITS: usize = 2;
/// Permits that there is room for.
const PERMITS_MAX: usize = 4;

#[repr(C)]
pub(crate) struct Object {
    semaphore: Semaphore<PERMITS_MAX>,
    added: Ledger,
    used_up: Ledger,
}

pub(crate) fn play() -> Play<Object> {
    let case = |name, act| Case::new(name, act, SURVIVORS);
    let object = || Object {
        semaphore: Semaphore::with_room(PERMITS),
        added: Ledger::default(),
        used_up: Ledger::default(),
    };
    let cases = vec![
        case("acquire, one free", acquire).with_sleeper().against(acquire),
        case("acquire, none free", acquire).before(hold_all).with_queue(),
        case("acquire_timeout, none free", |s| {
            drop(s.semaphore.acquire_timeout(Duration::from_secs(1)));
        })
        .before(hold_all)
        .with_queue(),
        case("acquire_timeout, in vain", |s| {
            drop(s.semaphore.acquire_timeout(Duration::from_millis(5)));
        })
        .before(hold_all)
        .in_vain(),
        case("try_acquire, one free", |s| {
            let permit = s.semaphore.try_acquire();
            pause();
            drop(permit);
        })
        .with_sleeper(),
        case("try_acquire, none free", |s| drop(s.semaphore.try_acquire())).before(hold_all),
        case("add_permits", |s| {
            s.added.begin();
            if s.semaphore.add_permits(1).is_ok() {
                s.added.acknowledge();
            }
        })
        .against(|s| drop(s.semaphore.acquire())),
        case("forget", |s| {
            let permit = s.semaphore.acquire();
            s.used_up.begin();
            permit.forget();
            s.used_up.acknowledge();
        }),
    ];
    Play { name: "semaphore", object, bytes: offset_of!(Object, added), cases }
}

const SURVIVORS: &[Survivor<Object>] = &[
    Survivor::waits("acquire", |s| recover(&s, || Some(s.object().semaphore.acquire()))),
    Survivor::waits("acquire_timeout", |s| {
        recover(&s, || s.object().semaphore.acquire_timeout(Duration::from_secs(1)))
    })
    .alike(),
    Survivor::tries("try_acquire", |s| recover(&s, || s.object().semaphore.try_acquire())),
];

fn acquire(s: Stage<Object>) {
    let permit = s.semaphore.acquire();
    pause();
    drop(permit);
}

fn hold_all(s: Stage<Object>) -> Later {
    let permits: [_; PERMITS] = std::array::from_fn(|_| s.object().semaphore.acquire());
    Some(Box::new(move || drop(permits)))
}

/// Takes every permit that there must be, sees that there are no more, and gives them back.
fn recover<'a>(s: &Object, acquire: impl Fn() -> Option<Permit<'a, PERMITS_MAX>>) -> Verdict {
    let fewest = PERMITS + s.added.made() - s.used_up.begun();
    let most = PERMITS + s.added.begun() - s.used_up.made();
    let mut permits = Vec::new();
    for number in 0..fewest {
        permits.push(acquire().ok_or_else(|| format!("of {fewest} permits, {number} are left"))?);
    }
    // Those of the dead come back at once for who only tries.
    permits.extend(std::iter::from_fn(|| s.semaphore.try_acquire()));
    if permits.len() > most {
        return Err(format!("{} permits, where there can be {most}", permits.len()));
    }
    let mut numbers: Vec<_> = permits.iter().map(Permit::index).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let count = permits.len();
    if numbers.len() < count {
        return Err("two permits have one number".to_owned());
    }
    drop(permits);
    let free = s.semaphore.available_permits();
    if free == count { Ok(()) } else { Err(format!("of {count} permits, {free} are free")) }
}
