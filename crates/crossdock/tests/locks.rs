//! Locks between real processes, some of which are killed. Each test has one who makes the lock and
//! survives, and one who is killed while it has it.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod common;

use common::{Actor, Lab, PATIENCE, await_cue, plays, say};
use crossdock::sync::{
    Barrier, BarrierError, Condvar, Event, LockTimeoutError, Mutex, Once, ReentrantMutex, RwLock,
    Semaphore, TryLockError,
};
use crossdock::{ErrorKind, ShmSafe, Value};
use std::thread;
use std::time::Duration;

/// Shorter than any correct wait that must not end.
const MOMENT: Duration = Duration::from_millis(60);

/// Starts both; the survivor has made what they share when the victim starts, and knows its process id.
fn cast(lab: &Lab, survivor: &str, victim: &str) -> (Actor, Actor, String) {
    let mut survivor = lab.start(survivor);
    survivor.expect("made");
    let mut victim = lab.start(victim);
    let pid = victim.hear();
    survivor.cue();
    (survivor, victim, pid)
}

/// Plays a test in which the survivor looks at the lock, the victim is killed, and the survivor goes on.
fn kill_between(survivor: &str, victim: &str) {
    let lab = Lab::new();
    let (mut survivor, mut victim, pid) = cast(&lab, survivor, victim);
    survivor.expect(&pid);
    victim.kill();
    survivor.cue();
    survivor.expect(&pid);
    survivor.finish();
}

/// In a victim: says who it is, and does not end by itself.
fn keep<G>(guard: G) {
    say(&std::process::id().to_string());
    await_cue();
    drop(guard);
}

fn pid_text(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| pid.to_string())
}

#[test]
fn mutex_survivor() {
    if !plays("mutex_survivor") {
        return;
    }
    let lock = Value::create("lock", Mutex::new([50_i64, 50])).unwrap();
    say("made");
    await_cue();
    assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
    let Err(LockTimeoutError::TimedOut { owner_pid }) = lock.lock_timeout(MOMENT) else {
        panic!("the victim has the lock and lives")
    };
    say(&pid_text(owner_pid));
    await_cue();
    let poisoned = lock.lock().unwrap_err();
    say(&pid_text(poisoned.owner_pid()));
    let mut money = poisoned.into_inner();
    assert_eq!(*money, [40, 50], "killed in the middle");
    money[1] = 100 - money[0];
    drop(money);
    assert!(lock.lock().is_err(), "the poison stays until somebody clears it");
    let error = crossdock::Error::from(lock.try_lock().unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Poisoned);
    lock.clear_poison();
    assert_eq!(*lock.lock().unwrap(), [40, 60]);
}

#[test]
fn mutex_victim() {
    if plays("mutex_victim") {
        let lock = Value::<Mutex<[i64; 2]>>::open("lock").unwrap();
        let mut money = lock.lock().unwrap();
        money[0] -= 10;
        keep(money);
    }
}

#[test]
fn waiter_sees_poison_when_the_owner_is_killed() {
    kill_between("mutex_survivor", "mutex_victim");
}

#[test]
fn try_survivor() {
    if !plays("try_survivor") {
        return;
    }
    let lock = Value::create("lock", Mutex::new([50_i64, 50])).unwrap();
    say("made");
    await_cue();
    say(&pid_text(lock.owner_pid()));
    await_cue();
    let Err(TryLockError::Poisoned(poisoned)) = lock.try_lock() else {
        panic!("who only ever tries must get the lock of the dead, too")
    };
    say(&pid_text(poisoned.owner_pid()));
}

#[test]
fn trying_gets_the_lock_of_the_dead() {
    kill_between("try_survivor", "mutex_victim");
}

#[test]
fn readers_survivor() {
    if !plays("readers_survivor") {
        return;
    }
    let lock = Value::<RwLock<[f64]>>::create_slice("lock", 100, |i| i as f64).unwrap();
    say("made");
    await_cue();
    assert_eq!((lock.reader_count(), lock.read().unwrap()[99]), (1, 99.0));
    assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
    assert!(matches!(lock.write_timeout(MOMENT), Err(LockTimeoutError::TimedOut { .. })));
    assert_eq!(lock.read().unwrap()[3], 3.0, "a writer that gave up keeps nobody out");
    say("");
    await_cue();
    lock.write().unwrap()[3] = -1.0;
    assert_eq!(lock.reader_count(), 0, "the part of the dead was taken back");
    say("");
    await_cue();
}

#[test]
fn readers_victim() {
    if plays("readers_victim") {
        let lock = Value::<RwLock<[f64]>>::open("lock").unwrap();
        keep(lock.read().unwrap());
    }
}

#[test]
fn a_reader_that_is_killed_does_not_keep_writers_out() {
    let lab = Lab::new();
    let (mut survivor, mut victim, _) = cast(&lab, "readers_survivor", "readers_victim");
    survivor.expect("");
    victim.kill();
    survivor.cue();
    survivor.expect("");
    survivor.cue();
    survivor.finish();
}

#[test]
fn writer_survivor() {
    if !plays("writer_survivor") {
        return;
    }
    let lock = Value::create("lock", RwLock::new(7_u64)).unwrap();
    say("made");
    await_cue();
    let Err(LockTimeoutError::TimedOut { owner_pid }) = lock.read_timeout(MOMENT) else {
        panic!("the victim writes and lives")
    };
    say(&pid_text(owner_pid));
    await_cue();
    // Several at once, of which one buries the writer.
    let pids: Vec<_> = thread::scope(|scope| {
        let reader = || lock.read().unwrap_err().owner_pid();
        let readers: Vec<_> = (0..3).map(|_| scope.spawn(reader)).collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    assert!(pids.iter().all(|pid| *pid == pids[0]));
    lock.clear_poison();
    assert_eq!(*lock.write().unwrap(), 7);
    say(&pid_text(pids[0]));
}

#[test]
fn writer_victim() {
    if plays("writer_victim") {
        let lock = Value::<RwLock<u64>>::open("lock").unwrap();
        keep(lock.write().unwrap());
    }
}

#[test]
fn readers_see_poison_when_the_writer_is_killed() {
    kill_between("writer_survivor", "writer_victim");
}

#[test]
fn permits_survivor() {
    if !plays("permits_survivor") {
        return;
    }
    let gpus = Value::create("lock", Semaphore::bounded(2)).unwrap();
    let mine = gpus.acquire();
    say("made");
    await_cue();
    assert!(gpus.try_acquire().is_none() && gpus.acquire_timeout(MOMENT).is_none());
    let pid = gpus.holders().find(|(index, _)| *index == 1).map(|(_, pid)| pid);
    say(&pid_text(pid));
    await_cue();
    let inherited = gpus.acquire();
    assert!(inherited.is_abandoned() && inherited.index() == 1);
    drop((inherited, mine));
    assert_eq!(gpus.available_permits(), 2);
    assert!(gpus.add_permits(1).is_err(), "it is bounded");
    say(&pid_text(pid));
}

#[test]
fn permits_victim() {
    if plays("permits_victim") {
        let gpus = Value::<Semaphore>::open("lock").unwrap();
        keep(gpus.acquire());
    }
}

#[test]
fn a_dead_holders_permit_returns() {
    kill_between("permits_survivor", "permits_victim");
}

#[test]
fn once_survivor() {
    if !plays("once_survivor") {
        return;
    }
    let once = Value::create("lock", Once::new()).unwrap();
    say("made");
    await_cue();
    let Err(LockTimeoutError::TimedOut { owner_pid }) = once.wait_timeout(MOMENT) else {
        panic!("the victim is at it and lives")
    };
    say(&pid_text(owner_pid));
    await_cue();
    let poisoned = once.call_once(|| panic!("not without a word")).unwrap_err();
    let mut was_told = None;
    once.call_once_force(|state| was_told = state.owner_pid());
    assert!(once.is_completed() && once.wait().is_ok());
    assert_eq!(was_told, poisoned.owner_pid());
    say(&pid_text(was_told));
}

#[test]
fn once_victim() {
    if plays("once_victim") {
        let once = Value::<Once>::open("lock").unwrap();
        once.call_once(|| keep(())).unwrap();
    }
}

#[test]
fn what_a_dead_process_was_doing_once_can_be_done_again() {
    kill_between("once_survivor", "once_victim");
}

#[test]
fn barrier_survivor() {
    if !plays("barrier_survivor") {
        return;
    }
    let barrier = Value::create("lock", Barrier::new(2)).unwrap();
    say("made");
    // The victim comes to the first round and stays away from the second.
    let passed = barrier.wait().unwrap();
    assert!(passed.index() < 2);
    await_cue();
    say("");
    await_cue();
    assert_eq!(barrier.wait(), Err(BarrierError::Broken));
    assert!(barrier.is_broken());
    barrier.reset();
    thread::scope(|scope| {
        scope.spawn(|| barrier.wait().unwrap());
        barrier.wait().unwrap();
    });
    assert_eq!(barrier.try_wait(), Err(BarrierError::WouldBlock));
    assert_eq!(barrier.wait_timeout(MOMENT), Err(BarrierError::TimedOut));
    assert!(barrier.is_broken(), "who gives up breaks it");
    say("");
}

#[test]
fn barrier_victim() {
    if plays("barrier_victim") {
        let barrier = Value::<Barrier>::open("lock").unwrap();
        keep(barrier.wait().unwrap());
    }
}

#[test]
fn a_death_breaks_the_barrier_until_it_is_reset() {
    let lab = Lab::new();
    let (mut survivor, mut victim, _) = cast(&lab, "barrier_survivor", "barrier_victim");
    survivor.expect("");
    victim.kill();
    survivor.cue();
    survivor.expect("");
    survivor.finish();
}

/// A user's own struct, several primitives in one value.
#[derive(Debug, ShmSafe)]
#[repr(C)]
struct Inbox {
    opened: Event,
    changed: Condvar,
    letters: Mutex<u64>,
    log: ReentrantMutex<()>,
}

#[test]
fn inbox_survivor() {
    if !plays("inbox_survivor") {
        return;
    }
    let inbox = Inbox {
        opened: Event::new(),
        changed: Condvar::new(),
        letters: Mutex::new(0),
        log: ReentrantMutex::new(()),
    };
    let inbox = Value::create("lock", inbox).unwrap();
    say("made");
    assert!(inbox.opened.wait_timeout(PATIENCE));
    let letters = inbox.letters.lock().unwrap();
    let letters = inbox.changed.wait_while(letters, |letters| *letters < 1000).unwrap();
    assert_eq!(*letters, 1000);
    let waited = inbox.changed.wait_timeout_while(letters, MOMENT, |letters| *letters == 1000);
    let (letters, result) = waited.unwrap();
    assert!(result.timed_out() && *letters == 1000);
    drop(letters);
    await_cue();
    assert!(matches!(inbox.log.try_lock(), Err(TryLockError::WouldBlock)));
    say("");
    await_cue();
    let outer = inbox.log.lock().unwrap_err().into_inner();
    let inner = inbox.log.lock().unwrap();
    drop((outer, inner));
    inbox.log.clear_poison();
    drop(inbox.log.try_lock().unwrap());
    say("");
}

#[test]
fn inbox_victim() {
    if !plays("inbox_victim") {
        return;
    }
    let inbox = Value::<Inbox>::open("lock").unwrap();
    inbox.opened.set();
    for _ in 0..1000 {
        *inbox.letters.lock().unwrap() += 1;
        inbox.changed.notify_one();
    }
    let outer = inbox.log.lock().unwrap();
    let inner = inbox.log.lock().unwrap();
    keep((outer, inner));
}

#[test]
fn locks_work_as_fields_of_a_struct() {
    let lab = Lab::new();
    let (mut survivor, mut victim, _) = cast(&lab, "inbox_survivor", "inbox_victim");
    survivor.expect("");
    victim.kill();
    survivor.cue();
    survivor.expect("");
    survivor.finish();
}
