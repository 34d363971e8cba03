//! `RwLock`, from both sides.

use super::data::{Ledger, Pair, at_once, in_time};
use crate::case::{Case, Later, Play, Survivor};
use crate::process::pause;
use crate::stage::{Role, Stage, Verdict};
use crossdock_core::sync::{LockResult, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::mem::offset_of;
use std::time::Duration;

#[repr(C)]
#[derive(Default)]
pub(crate) struct Object {
    lock: RwLock<Pair>,
    ledger: Ledger,
}

type Read<'a> = RwLockReadGuard<'a, Pair>;
type Write<'a> = RwLockWriteGuard<'a, Pair>;

pub(crate) fn play() -> Play<Object> {
    let case = |name, act| Case::new(name, act, SURVIVORS);
    let beside = |name, act| Case::new(name, act, OTHERS);
    let cases = vec![
        beside("read, free", reads).with_sleeper().against(writes),
        case("read, written by another", reads).before(hold_write).with_queue(),
        beside("read, poisoned", reads).before(poison).with_sleeper(),
        case("read_timeout, in vain", |s| {
            let guard = in_time(s.lock.read_timeout(Duration::from_millis(5)));
            guard.into_iter().for_each(|guard| look(&s, guard));
        })
        .before(hold_write)
        .in_vain(),
        beside("try_read, free", |s| {
            at_once(s.lock.try_read()).into_iter().for_each(|guard| look(&s, guard));
        })
        .with_sleeper(),
        case("write, free", writes).with_sleeper().against(writes),
        case("write, read by another", writes).before(hold_read).with_queue(),
        case("write, written by another", writes).before(hold_write).with_queue(),
        case("write, poisoned", writes).before(poison).with_sleeper(),
        case("write_timeout, in vain", |s| {
            let guard = in_time(s.lock.write_timeout(Duration::from_millis(5)));
            guard.into_iter().for_each(|guard| change(&s, guard));
        })
        .before(hold_read)
        .in_vain(),
        case("try_write, read by another", |s| {
            at_once(s.lock.try_write()).into_iter().for_each(|guard| change(&s, guard));
        })
        .before(hold_read),
        beside("downgrade", |s| {
            s.ledger.begin();
            let guard = s.lock.write().unwrap_or_else(|poisoned| repair(&s, poisoned.into_inner()));
            guard.change();
            let guard = RwLockWriteGuard::downgrade(guard);
            pause();
            look(&s, Ok(guard));
            s.ledger.acknowledge();
        })
        .with_sleeper(),
    ];
    Play { name: "rwlock", object: Object::default, bytes: offset_of!(Object, ledger), cases }
}

const WRITE: Survivor<Object> =
    Survivor::waits("write", |s| recover(&s, Some(s.object().lock.write())));
const TRY_WRITE: Survivor<Object> =
    Survivor::tries("try_write", |s| recover(&s, at_once(s.object().lock.try_write())));
const READ: Survivor<Object> = Survivor::waits("read", look_after);
const READ_BESIDE: Survivor<Object> = Survivor::tries("read", look_after);

/// After a writer, for whom all wait.
const SURVIVORS: &[Survivor<Object>] = &[WRITE, READ, TRY_WRITE];
/// After a reader, beside whom others read.
const OTHERS: &[Survivor<Object>] = &[WRITE, READ_BESIDE, TRY_WRITE];

/// To repair is a writer's task: a reader is told, or finds all in order.
fn look_after(s: Stage<Object>) -> Verdict {
    s.lock.read().map_or(Ok(()), |guard| guard.check(&s.ledger))
}

fn reads(s: Stage<Object>) {
    look(&s, s.lock.read());
}

fn writes(s: Stage<Object>) {
    change(&s, s.lock.write());
}

fn look(s: &Object, guard: LockResult<Read<'_>>) {
    pause();
    if let Ok(guard) = guard
        && guard.check(&s.ledger).is_err()
    {
        s.ledger.complain();
    }
}

fn change(s: &Object, guard: LockResult<Write<'_>>) {
    s.ledger.begin();
    let guard = guard.unwrap_or_else(|poisoned| repair(s, poisoned.into_inner()));
    pause();
    guard.change();
    drop(guard);
    s.ledger.acknowledge();
}

fn repair<'a>(s: &Object, guard: Write<'a>) -> Write<'a> {
    guard.repair();
    s.lock.clear_poison();
    guard
}

fn hold_write(s: Stage<Object>) -> Later {
    let guard = s.object().lock.write().expect("nobody has died");
    Some(Box::new(move || drop(guard)))
}

fn hold_read(s: Stage<Object>) -> Later {
    let guard = s.object().lock.read().expect("nobody has died");
    Some(Box::new(move || drop(guard)))
}

/// It is free, and somebody has died of it.
fn poison(s: Stage<Object>) -> Later {
    s.dies(Role::Ancestor, || std::mem::forget(s.lock.write()));
    drop(s.lock.try_write());
    None
}

/// Puts right what is wrong, changes the data, and sees whether the lock is as new.
fn recover(s: &Object, guard: Option<LockResult<Write<'_>>>) -> Verdict {
    s.ledger.begin();
    let guard = match guard {
        Some(Ok(guard)) => guard,
        Some(Err(poisoned)) => repair(s, poisoned.into_inner()),
        None => return Err("nobody who lives has it, and it is not to be had".to_owned()),
    };
    guard.check(&s.ledger)?;
    if s.lock.reader_count() != 0 {
        return Err(format!("{} readers beside a writer", s.lock.reader_count()));
    }
    guard.change();
    drop(guard);
    s.ledger.acknowledge();
    match s.lock.try_read() {
        Ok(guard) => guard.check(&s.ledger),
        Err(error) => Err(format!("after the recovery: {error}")),
    }
}
