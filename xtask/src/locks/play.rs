//! What a worker does with each primitive, and what must hold meanwhile and afterwards.

use super::shared::{
    Inbox, Letters, Meeting, Nested, PERMITS, Pair, Places, Plain, Shared, Signpost, Task,
};
use super::worker::{WAIT_MAX, Worker};
use crate::campaign::{Violation, ensure};
use clap::ValueEnum;
use crossdock::sync::{
    Barrier, BarrierError, Condvar, Event, LockResult, LockTimeoutError, Mutex, Once,
    ReentrantMutex, RwLock, Semaphore, TryLockError,
};
use crossdock::{Atomic, Value};
use std::ops::DerefMut;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::Instant;

/// What is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Primitive {
    Mutex,
    Reentrant,
    RwLock,
    Condvar,
    Semaphore,
    Event,
    Barrier,
    Once,
}

impl Primitive {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mutex => "mutex",
            Self::Reentrant => "reentrant",
            Self::RwLock => "rw-lock",
            Self::Condvar => "condvar",
            Self::Semaphore => "semaphore",
            Self::Event => "event",
            Self::Barrier => "barrier",
            Self::Once => "once",
        }
    }
}

const NAME: &str = "shared";
/// Tasks that are to be done once: one after the other, by whoever comes first.
const TASKS: usize = 1 << 20;

/// A step of a worker; returns how many changes it has made for sure.
type Step = Box<dyn FnMut(&mut Worker) -> Result<u64, Violation>>;

/// Opens what is shared, or makes it.
pub(super) fn begin(primitive: Primitive) -> Result<Step, Violation> {
    Ok(match primitive {
        Primitive::Mutex => {
            let lock: Value<Plain> = Value::open_or_create(NAME, Mutex::new(Pair::default()))?;
            lock.persist()?;
            Box::new(move |me| mutex(&lock, me))
        }
        Primitive::Reentrant => {
            let lock: Value<Nested> = Value::open_or_create(NAME, ReentrantMutex::default())?;
            lock.persist()?;
            Box::new(move |me| reentrant(&lock, me))
        }
        Primitive::RwLock => {
            let lock: Value<Shared> = Value::open_or_create(NAME, RwLock::new(Pair::default()))?;
            lock.persist()?;
            Box::new(move |me| rw_lock(&lock, me))
        }
        Primitive::Condvar => {
            let (changed, letters) = (Condvar::new(), Mutex::new(Letters::default()));
            let inbox = Value::open_or_create(NAME, Inbox { changed, letters })?;
            inbox.persist()?;
            Box::new(move |me| condvar(&inbox, me))
        }
        Primitive::Semaphore => {
            let users = std::array::from_fn(|_| Atomic::new(0));
            let permits = Semaphore::bounded(PERMITS);
            let places = Value::open_or_create(NAME, Places { permits, users })?;
            places.persist()?;
            Box::new(move |me| semaphore(&places, me))
        }
        Primitive::Event => {
            let signpost = Signpost { event: Event::new(), set: Atomic::new(0) };
            let signpost = Value::open_or_create(NAME, signpost)?;
            signpost.persist()?;
            Box::new(move |me| event(&signpost, me))
        }
        Primitive::Barrier => {
            let barrier = Barrier::new(super::WORKERS);
            let (leaders, passed) = (Atomic::new(0), Atomic::new(0));
            let meeting = Value::open_or_create(NAME, Meeting { barrier, leaders, passed })?;
            meeting.persist()?;
            Box::new(move |me| barrier_step(&meeting, me))
        }
        Primitive::Once => {
            let tasks = Value::<[Task]>::open_or_create_slice(NAME, TASKS, |_| task())?;
            tasks.persist()?;
            let mut next = 0;
            Box::new(move |me| once(&tasks, &mut next, me))
        }
    })
}

fn task() -> Task {
    let [begun, ended, poisoned] = std::array::from_fn(|_| Atomic::new(0));
    Task { once: Once::new(), begun, ended, poisoned }
}

/// The pair under a lock, put right if its last owner died; torn only then.
fn repaired<G: DerefMut<Target = Pair>>(
    locked: LockResult<G>,
    me: &Worker,
    clear: impl FnOnce(),
) -> Result<G, Violation> {
    let guard = match locked {
        Ok(guard) => guard,
        Err(poisoned) => {
            let mut guard = poisoned.into_inner();
            if !me.sabotage {
                guard.second = guard.first;
            }
            clear();
            me.repaired();
            guard
        }
    };
    let Pair { first, second } = *guard;
    ensure(first == second, || format!("{first} and {second} under the lock, without poison"))?;
    Ok(guard)
}

fn advance(pair: &mut Pair) {
    pair.first += 1;
    // Long enough for some of the deaths to come just here.
    for turn in 0..500 {
        std::hint::black_box((turn, &pair.first));
    }
    pair.second += 1;
}

fn mutex(lock: &Plain, me: &mut Worker) -> Result<u64, Violation> {
    let locked = me.wait(|| lock.lock_timeout(WAIT_MAX));
    let locked = in_time(locked)?;
    advance(&mut *repaired(locked, me, || lock.clear_poison())?);
    Ok(1)
}

fn in_time<G>(locked: Result<G, LockTimeoutError<G>>) -> Result<LockResult<G>, Violation> {
    match locked {
        Ok(guard) => Ok(Ok(guard)),
        Err(LockTimeoutError::Poisoned(poisoned)) => Ok(Err(poisoned)),
        Err(late @ LockTimeoutError::TimedOut { .. }) => {
            Err(Violation(format!("deadlock: {late}")))
        }
    }
}

fn reentrant(lock: &Nested, me: &mut Worker) -> Result<u64, Violation> {
    let outer = match in_time(me.wait(|| lock.lock_timeout(WAIT_MAX)))? {
        Ok(outer) => outer,
        Err(poisoned) => {
            let outer = poisoned.into_inner();
            outer.second.store(outer.first.load(Relaxed), Relaxed);
            lock.clear_poison();
            me.repaired();
            outer
        }
    };
    let inner = lock.try_lock()?;
    let (first, second) = (inner.first.load(Relaxed), inner.second.load(Relaxed));
    ensure(first == second, || format!("{first} and {second} under the lock, without poison"))?;
    inner.first.store(first + 1, Relaxed);
    inner.second.store(first + 1, Relaxed);
    drop(inner);
    drop(outer);
    Ok(1)
}

fn rw_lock(lock: &Shared, me: &mut Worker) -> Result<u64, Violation> {
    if me.rng.one_in(4) {
        let locked = in_time(me.wait(|| lock.write_timeout(WAIT_MAX)))?;
        advance(&mut *repaired(locked, me, || lock.clear_poison())?);
        return Ok(1);
    }
    let read = in_time(me.wait(|| lock.read_timeout(WAIT_MAX)))?;
    // Who reads cannot repair; the next one who writes does.
    if let Ok(pair) = read {
        let Pair { first, second } = *pair;
        ensure(first == second, || format!("{first} and {second} are read, without poison"))?;
    }
    Ok(0)
}

fn condvar(inbox: &Inbox, me: &mut Worker) -> Result<u64, Violation> {
    let mut letters = inbox.letters.lock().unwrap_or_else(|poisoned| {
        // Each number changes by itself, so nothing is ever half done.
        inbox.letters.clear_poison();
        me.repaired();
        poisoned.into_inner()
    });
    if me.index.is_multiple_of(2) {
        if letters.put == letters.taken {
            letters.since_ns = now_ns();
        }
        letters.put += 1;
        drop(letters);
        inbox.changed.notify_one();
        return Ok(1);
    }
    while letters.put == letters.taken && !me.is_stopped() {
        let waited = inbox.changed.wait_timeout(letters, WAIT_MAX / 100);
        letters = match waited {
            Ok((letters, _)) => letters,
            Err(poisoned) => {
                inbox.letters.clear_poison();
                me.repaired();
                poisoned.into_inner().0
            }
        };
    }
    if letters.put > letters.taken {
        let waited_ns = now_ns().saturating_sub(letters.since_ns);
        ensure(waited_ns < WAIT_MAX.as_nanos() as u64, || {
            format!("a letter lay there for {} ms", waited_ns / 1_000_000)
        })?;
        letters.taken += 1;
        letters.since_ns = now_ns();
    }
    Ok(0)
}

pub(super) fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

fn semaphore(places: &Places, me: &mut Worker) -> Result<u64, Violation> {
    let permit = me.wait(|| places.permits.acquire_timeout(WAIT_MAX));
    let permit = permit.ok_or_else(|| Violation("a permit is lost".to_owned()))?;
    let user = &places.users[permit.index()];
    let former = user.swap(me.number, AcqRel);
    ensure(former == 0 || permit.is_abandoned(), || {
        format!("place {} is given to {} while {former} uses it", permit.index(), me.number)
    })?;
    if permit.is_abandoned() {
        me.repaired();
    }
    let now = user.swap(0, AcqRel);
    ensure(now == me.number, || format!("place {} was given to {now} as well", permit.index()))?;
    Ok(1)
}

fn event(signpost: &Signpost, me: &mut Worker) -> Result<u64, Violation> {
    if me.index == 0 {
        signpost.set.fetch_add(1, Release);
        signpost.event.set();
        std::thread::yield_now();
        signpost.event.clear();
        return Ok(1);
    }
    let (before, start) = (signpost.set.load(Acquire), Instant::now());
    // In parts, because the worker that sets it may have stopped for good.
    while !me.wait(|| signpost.event.wait_timeout(WAIT_MAX / 100)) {
        if me.is_stopped() {
            return Ok(0);
        }
        ensure(start.elapsed() < WAIT_MAX, || {
            let after = signpost.set.load(Acquire);
            format!("passed over: it was set {} times meanwhile", after - before)
        })?;
    }
    Ok(1)
}

fn barrier_step(meeting: &Meeting, me: &mut Worker) -> Result<u64, Violation> {
    match me.wait(|| meeting.barrier.wait_timeout(WAIT_MAX)) {
        Ok(passed) => {
            ensure(passed.index() < super::WORKERS, || format!("place {}", passed.index()))?;
            meeting.leaders.fetch_add(u64::from(passed.is_leader()), AcqRel);
            meeting.passed.fetch_add(1, AcqRel);
            Ok(1)
        }
        Err(BarrierError::Broken) => {
            if !me.is_stopped() {
                meeting.barrier.reset();
                me.repaired();
            }
            Ok(0)
        }
        Err(late) => {
            ensure(me.is_stopped(), || format!("deadlock: {late}"))?;
            Ok(0)
        }
    }
}

fn once(tasks: &[Task], next: &mut usize, me: &mut Worker) -> Result<u64, Violation> {
    let Some(task) = tasks.get(*next) else {
        return Err(Violation(format!("all {TASKS} tasks are done (give it fewer kills)")));
    };
    let act = |task: &Task| {
        task.begun.fetch_add(1, Relaxed);
        // So that there are enough tasks for a long campaign; not for order.
        let start = Instant::now();
        while start.elapsed().as_micros() < 100 {
            std::thread::yield_now();
        }
        task.ended.fetch_add(1, Relaxed);
    };
    if task.once.is_completed() {
        // Somebody else's, before this life began.
        *next += 1;
        return Ok(0);
    }
    match me.wait(|| task.once.call_once_timeout(WAIT_MAX, || act(task))) {
        Ok(()) => {}
        Err(LockTimeoutError::Poisoned(_)) => {
            task.once.call_once_force(|state| {
                task.poisoned.fetch_add(u64::from(state.is_poisoned()), Relaxed);
                act(task);
            });
            me.repaired();
        }
        Err(late) => return Err(Violation(format!("deadlock: {late}"))),
    }
    check_task(task)?;
    *next += 1;
    Ok(1)
}

fn check_task(task: &Task) -> Result<(), Violation> {
    let [begun, ended, poisoned] =
        [&task.begun, &task.ended, &task.poisoned].map(|count| count.load(Relaxed));
    ensure(task.once.is_completed() && ended >= 1 && begun <= 1 + poisoned, || {
        format!("begun {begun} times, ended {ended} times, interrupted {poisoned} times")
    })
}

/// What holds when all workers have gone; what the last of them left is put right first.
pub(super) fn check(primitive: Primitive, acknowledged: u64) -> Result<(), Violation> {
    let at_least = |what: &str, count: u64| {
        ensure(count >= acknowledged, || {
            format!("{what} {count}, {acknowledged} were acknowledged")
        })
    };
    let equal = |Pair { first, second }: Pair| {
        ensure(first == second, || format!("{first} and {second} are left"))?;
        at_least("changed", first)
    };
    match primitive {
        Primitive::Mutex => equal(*Value::<Plain>::open(NAME)?.try_lock()?),
        Primitive::RwLock => {
            let lock = Value::<Shared>::open(NAME)?;
            let pair = match lock.try_write() {
                // Nobody may have written since the last death.
                Err(TryLockError::Poisoned(poisoned)) => {
                    let mut pair = poisoned.into_inner();
                    pair.second = pair.first;
                    lock.clear_poison();
                    pair
                }
                other => other?,
            };
            equal(*pair)
        }
        Primitive::Reentrant => {
            let lock = Value::<Nested>::open(NAME)?;
            let pair = lock.try_lock()?;
            let (first, second) = (pair.first.load(Relaxed), pair.second.load(Relaxed));
            equal(Pair { first, second })
        }
        Primitive::Condvar => {
            let inbox = Value::<Inbox>::open(NAME)?;
            let letters = *inbox.letters.try_lock()?;
            ensure(letters.taken <= letters.put, || format!("{letters:?}"))?;
            at_least("put", letters.put)
        }
        Primitive::Semaphore => {
            let places = Value::<Places>::open(NAME)?;
            let all: Vec<_> = (0..PERMITS).map_while(|_| places.permits.try_acquire()).collect();
            ensure(all.len() == PERMITS, || format!("{} of {PERMITS} permits left", all.len()))
        }
        Primitive::Event => {
            let signpost = Value::<Signpost>::open(NAME)?;
            ensure(signpost.set.load(Acquire) > 0, || "never set".to_owned())?;
            signpost.event.set();
            let is_seen = signpost.event.wait_timeout(WAIT_MAX);
            signpost.event.clear();
            ensure(is_seen && !signpost.event.is_set(), || "it does not work any more".to_owned())
        }
        Primitive::Barrier => {
            let meeting = Value::<Meeting>::open(NAME)?;
            let (leaders, passed) = (meeting.leaders.load(Acquire), meeting.passed.load(Acquire));
            ensure(leaders <= passed, || format!("{leaders} led {passed}"))?;
            at_least("passed", passed)
        }
        Primitive::Once => {
            let tasks = Value::<[Task]>::open(NAME)?;
            let begun = tasks.iter().filter(|task| task.begun.load(Relaxed) > 0);
            begun.filter(|task| task.once.is_completed()).try_for_each(check_task)
        }
    }
}
