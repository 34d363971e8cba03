//! What a model sees in place of the machine (only with `--cfg loom`): loom's atomics, a futex that
//! loses nothing and has no time-out, threads that play processes, and two ways to go wrong on purpose.
//!
//! * [`begin`] starts an execution, [`act_as`] makes a thread a process of its own.
//! * [`die_before`] kills a thread before any one of its accesses to shared memory. From then on slices end:
//!   who sleeps looks again, and who asks is told. Without a death no slice ever ends, so a wake-up that is
//!   lost is a deadlock, which loom reports.
//! * [`Weakness`] makes the library's orderings weaker, to show that a model would notice.

use crate::owner::{Owner, Registry};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// An ordering left out of the library, to seed a bug.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weakness {
    /// None: the library as it is.
    #[default]
    None,
    /// Stores do not release.
    Stores,
    /// Loads do not acquire.
    Loads,
    /// Exchanges neither acquire nor release.
    Exchanges,
    /// There are no fences.
    Fences,
}

// A model runs all its threads on the thread of its test, so these are the test's own.
std::thread_local! {
    static WEAKNESS: Cell<Weakness> = const { Cell::new(Weakness::None) };
    static VICTIM: Cell<Option<(loom::thread::ThreadId, u32)>> = const { Cell::new(None) };
}

/// Weakens the orderings of all models that this test runs from now on.
pub fn weaken(weakness: Weakness) {
    WEAKNESS.set(weakness);
}

/// Whether orderings are weakened.
pub fn is_weakened() -> bool {
    WEAKNESS.get() != Weakness::None
}

struct Death;

// Who is who in this execution, and who has died. The flags are loom's, so that whoever sees a death sees
// what the dead did before it, as after the kernel's report.
std::thread_local! {
    static PROCESSES: RefCell<HashMap<loom::thread::ThreadId, Owner>> = RefCell::default();
    static DEATHS: RefCell<Option<Rc<loom::sync::atomic::AtomicU32>>> = const { RefCell::new(None) };
    static HAS_DIED: Cell<bool> = const { Cell::new(false) };
}

/// Begins an execution of a model in which threads play processes.
pub fn begin() {
    PROCESSES.with_borrow_mut(HashMap::clear);
    DEATHS.set(Some(Rc::new(loom::sync::atomic::AtomicU32::new(0))));
    HAS_DIED.set(false);
}

/// Whether somebody has died in this execution.
pub fn has_died() -> bool {
    HAS_DIED.get()
}

/// Ends an execution: what loom made for it must go with it.
pub fn end() {
    DEATHS.set(None);
}

/// From now on, the calling thread is this process.
pub fn act_as(owner: Owner) {
    PROCESSES.with_borrow_mut(|processes| processes.insert(loom::thread::current().id(), owner));
}

pub(crate) fn identity() -> u32 {
    let id = loom::thread::current().id();
    PROCESSES.with_borrow(|processes| processes.get(&id).copied().map_or(0, Owner::to_word))
}

pub(crate) fn set_identity(_word: u32) {}

pub(crate) fn is_dead(owner: Owner, _registry: Option<&dyn Registry>) -> bool {
    let deaths = DEATHS.with_borrow(Clone::clone);
    let bit = 1 << owner.index().unwrap_or(31);
    deaths.is_some_and(|deaths| deaths.load(Ordering::Acquire) & bit != 0)
}

fn bury(thread: loom::thread::ThreadId) {
    let owner = PROCESSES.with_borrow(|processes| processes.get(&thread).copied());
    let deaths = DEATHS.with_borrow(Clone::clone);
    if let (Some(owner), Some(deaths)) = (owner, deaths) {
        deaths.fetch_or(1 << owner.index().unwrap_or(31), Ordering::Release);
    }
    HAS_DIED.set(true);
    // The slices of all who sleep end some time.
    let sleepers = SLEEPERS.with_borrow_mut(std::mem::take);
    sleepers.iter().for_each(|(_, thread)| thread.unpark());
}

/// The end of a slice: comes once somebody has died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline;

impl Deadline {
    pub(crate) fn after(_timeout: Duration) -> Self {
        Self
    }

    pub(crate) fn within(self, _slice: Duration) -> Self {
        self
    }

    pub(crate) fn is_past(self) -> bool {
        HAS_DIED.get()
    }
}

/// Hints about caches mean nothing here.
pub(crate) const HAS_CACHES: bool = false;

/// See [`HAS_CACHES`].
pub(crate) fn prefetch_read(_: *const u8) {}

/// See [`HAS_CACHES`].
pub(crate) fn prefetch_write<T>(_: &T) {}

/// One: nobody spins in a model.
pub(crate) fn online_cpus() -> usize {
    1
}

/// Runs `act` in the calling thread, which dies before access number `accesses` (from 0) to shared
/// memory; `None` if it died. One thread at a time can be about to die, and one in an execution does.
pub fn die_before<R>(accesses: u32, act: impl FnOnce() -> R) -> Option<R> {
    let me = loom::thread::current().id();
    VICTIM.set(Some((me, accesses)));
    let outcome = catch_unwind(AssertUnwindSafe(act));
    VICTIM.set(None);
    match outcome {
        Ok(value) => Some(value),
        Err(why) if <dyn Any>::is::<Death>(&*why) => {
            bury(me);
            None
        }
        Err(why) => resume_unwind(why),
    }
}

/// Counts an access of the thread that is about to die; false if it has died and only unwinds: a corpse
/// touches nothing.
fn step() -> bool {
    if let Some((thread, left)) = VICTIM.get()
        && loom::thread::current().id() == thread
    {
        if std::thread::panicking() {
            return false;
        }
        let Some(left) = left.checked_sub(1) else { resume_unwind(Box::new(Death)) };
        VICTIM.set(Some((thread, left)));
    }
    true
}

/// Loom takes a sequentially consistent access for one that only acquires and releases. A fence behind
/// an exchange is a little more than the real thing, but orders the sequentially consistent load that
/// follows, as the real thing does.
fn fence_if_sequential(order: Ordering) {
    if order == Ordering::SeqCst {
        fence(order);
    }
}

fn weakened(order: Ordering, weakness: Weakness) -> Ordering {
    if WEAKNESS.get() == weakness { Ordering::Relaxed } else { order }
}

pub(crate) fn fence(order: Ordering) {
    if WEAKNESS.get() != Weakness::Fences {
        loom::sync::atomic::fence(order);
    }
}

/// Nothing: the loops that spin end by themselves, and loom's own would hide the schedules in which
/// the spinner goes straight on.
pub(crate) fn spin_loop() {}

macro_rules! atomic {
    ($name:ident, $value:ty) => {
        /// An atomic of the model: each of its accesses is one before which its thread can die.
        pub struct $name(loom::sync::atomic::$name);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0.load(Ordering::Relaxed))
            }
        }

        #[allow(dead_code, reason = "both have the same methods")]
        impl $name {
            /// As of `std::sync::atomic`.
            pub fn new(value: $value) -> Self {
                Self(loom::sync::atomic::$name::new(value))
            }

            /// As of `std::sync::atomic`.
            pub fn load(&self, order: Ordering) -> $value {
                if !step() {
                    return 0;
                }
                self.0.load(weakened(order, Weakness::Loads))
            }

            /// As of `std::sync::atomic`.
            pub fn store(&self, value: $value, order: Ordering) {
                if step() {
                    self.0.store(value, weakened(order, Weakness::Stores));
                }
            }

            /// As of `std::sync::atomic`.
            pub fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                if !step() {
                    return 0;
                }
                let old = self.0.fetch_add(value, weakened(order, Weakness::Exchanges));
                fence_if_sequential(order);
                old
            }

            /// As of `std::sync::atomic`.
            pub fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                if !step() {
                    return 0;
                }
                let old = self.0.fetch_sub(value, weakened(order, Weakness::Exchanges));
                fence_if_sequential(order);
                old
            }

            /// As of `std::sync::atomic`.
            pub fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                if !step() {
                    return 0;
                }
                let old = self.0.fetch_or(value, weakened(order, Weakness::Exchanges));
                fence_if_sequential(order);
                old
            }

            /// As of `std::sync::atomic`.
            pub fn fetch_and(&self, value: $value, order: Ordering) -> $value {
                if !step() {
                    return 0;
                }
                let old = self.0.fetch_and(value, weakened(order, Weakness::Exchanges));
                fence_if_sequential(order);
                old
            }

            /// As of `std::sync::atomic`.
            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                if !step() {
                    return 0;
                }
                let old = self.0.swap(value, weakened(order, Weakness::Exchanges));
                fence_if_sequential(order);
                old
            }

            /// As of `std::sync::atomic`.
            pub fn compare_exchange(
                &self,
                old: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                if !step() {
                    return Err(0);
                }
                let order = weakened(success, Weakness::Exchanges);
                let outcome = self.0.compare_exchange(old, new, order, failure);
                fence_if_sequential(if outcome.is_ok() { success } else { failure });
                outcome
            }

            /// As of `std::sync::atomic`.
            pub fn compare_exchange_weak(
                &self,
                old: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(old, new, success, failure)
            }
        }
    };
}

atomic!(AtomicU32, u32);
atomic!(AtomicU64, u64);

// Who sleeps, and on the word at which address. No switch happens while it is borrowed.
std::thread_local! {
    static SLEEPERS: RefCell<Vec<(usize, loom::thread::Thread)>> = const { RefCell::new(Vec::new()) };
}

/// Sleeps until somebody wakes the word, if it still is as expected, or until somebody dies. The deadline is
/// ignored: a model whose threads all sleep has lost a wake-up that the real slices would only delay, and
/// loom reports that as a deadlock.
pub(crate) fn wait(word: &AtomicU32, expected: u32, _deadline: Deadline) {
    // As in the kernel, nobody can change and wake the word between the look and the sleep: an exchange
    // sees the newest value, and what follows it is one step with it.
    if word.0.compare_exchange(expected, expected, Ordering::Relaxed, Ordering::Relaxed).is_err() {
        return;
    }
    if HAS_DIED.get() {
        // The slice ends; let others act first.
        loom::thread::yield_now();
        return;
    }
    let me = loom::thread::current();
    let id = me.id();
    SLEEPERS.with_borrow_mut(|sleepers| sleepers.push((address(word), me)));
    while SLEEPERS.with_borrow(|sleepers| sleepers.iter().any(|(_, thread)| thread.id() == id)) {
        loom::thread::park();
    }
}

/// Sleeps on several words, as [`wait`] on one.
///
/// The kernel puts a sleeper into the queues of the words one after the other and takes it out only once it
/// runs again. So wake-ups on all of them can go to one sleeper, also while it is still about to lie down.
#[expect(single_use_lifetimes, reason = "the compiler wants it to have a name")]
pub(crate) fn wait_any<'a>(
    words: impl Iterator<Item = (&'a AtomicU32, u32)> + Clone,
    _deadline: Deadline,
) {
    let me = loom::thread::current();
    let id = me.id();
    let mut count = 0;
    for (word, expected) in words {
        let is_same = word
            .0
            .compare_exchange(expected, expected, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok();
        if !is_same || HAS_DIED.get() {
            leave_queues(id);
            if is_same {
                loom::thread::yield_now();
            }
            return;
        }
        SLEEPERS.with_borrow_mut(|sleepers| sleepers.push((address(word), me.clone())));
        count += 1;
    }
    let is_in_all_queues = || {
        let is_mine = |sleeper: &&(usize, loom::thread::Thread)| sleeper.1.id() == id;
        SLEEPERS.with_borrow(|sleepers| sleepers.iter().filter(is_mine).count() == count)
    };
    while is_in_all_queues() {
        loom::thread::park();
    }
    leave_queues(id);
}

fn leave_queues(id: loom::thread::ThreadId) {
    SLEEPERS.with_borrow_mut(|sleepers| sleepers.retain(|(_, thread)| thread.id() != id));
}

pub(crate) fn wake_one(word: &AtomicU32) -> bool {
    wake(word, 1) > 0
}

pub(crate) fn wake_all(word: &AtomicU32) -> bool {
    wake(word, usize::MAX) > 0
}

fn wake(word: &AtomicU32, count_max: usize) -> usize {
    // Others may act before the system call does.
    word.0.load(Ordering::Relaxed);
    let mut woken = Vec::new();
    SLEEPERS.with_borrow_mut(|sleepers| {
        while woken.len() < count_max
            && let Some(index) = sleepers.iter().position(|(at, _)| *at == address(word))
        {
            woken.push(sleepers.remove(index).1);
        }
    });
    woken.iter().for_each(loom::thread::Thread::unpark);
    woken.len()
}

fn address(word: &AtomicU32) -> usize {
    std::ptr::from_ref(word).addr()
}
