//! What a model sees in place of the machine (only with `--cfg loom`): loom's atomics, a futex that
//! loses nothing and has no time-out, and two ways to go wrong on purpose.
//!
//! * [`die_before`] kills a thread before any one of its accesses to shared memory.
//! * [`Weakness`] makes the library's orderings weaker, to show that a model would notice.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering;

pub(crate) use crossdock_sys::clock::Deadline;

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

struct Death;

/// Runs `act` in the calling thread, which dies before access number `accesses` (from 0) to shared
/// memory; `None` if it died. One thread at a time can be about to die.
pub fn die_before<R>(accesses: u32, act: impl FnOnce() -> R) -> Option<R> {
    VICTIM.set(Some((loom::thread::current().id(), accesses)));
    let outcome = catch_unwind(AssertUnwindSafe(act));
    VICTIM.set(None);
    match outcome {
        Ok(value) => Some(value),
        Err(why) if <dyn Any>::is::<Death>(&*why) => None,
        Err(why) => resume_unwind(why),
    }
}

/// Counts an access of the thread that is about to die.
fn step() {
    if let Some((thread, left)) = VICTIM.get()
        && loom::thread::current().id() == thread
    {
        let Some(left) = left.checked_sub(1) else { resume_unwind(Box::new(Death)) };
        VICTIM.set(Some((thread, left)));
    }
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
        pub(crate) struct $name(loom::sync::atomic::$name);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0.load(Ordering::Relaxed))
            }
        }

        #[allow(dead_code, reason = "both have the same methods")]
        impl $name {
            pub(crate) fn new(value: $value) -> Self {
                Self(loom::sync::atomic::$name::new(value))
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                step();
                self.0.load(weakened(order, Weakness::Loads))
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                step();
                self.0.store(value, weakened(order, Weakness::Stores));
            }

            pub(crate) fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                step();
                self.0.fetch_add(value, weakened(order, Weakness::Exchanges))
            }

            pub(crate) fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                step();
                self.0.fetch_sub(value, weakened(order, Weakness::Exchanges))
            }

            pub(crate) fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                step();
                self.0.fetch_or(value, weakened(order, Weakness::Exchanges))
            }

            pub(crate) fn fetch_and(&self, value: $value, order: Ordering) -> $value {
                step();
                self.0.fetch_and(value, weakened(order, Weakness::Exchanges))
            }

            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                step();
                self.0.swap(value, weakened(order, Weakness::Exchanges))
            }

            pub(crate) fn compare_exchange(
                &self,
                old: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                step();
                let order = weakened(success, Weakness::Exchanges);
                let outcome = self.0.compare_exchange(old, new, order, failure);
                fence_if_sequential(if outcome.is_ok() { success } else { failure });
                outcome
            }

            pub(crate) fn compare_exchange_weak(
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

/// Sleeps until somebody wakes the word, if it still is as expected. The deadline is ignored: a model
/// whose threads all sleep has lost a wake-up that the real slices would only delay, and loom reports
/// that as a deadlock.
pub(crate) fn wait(word: &AtomicU32, expected: u32, _deadline: Deadline) {
    // As in the kernel, nobody can change and wake the word between the look and the sleep: an exchange
    // sees the newest value, and what follows it is one step with it.
    if word.0.compare_exchange(expected, expected, Ordering::Relaxed, Ordering::Relaxed).is_err() {
        return;
    }
    let me = loom::thread::current();
    let id = me.id();
    SLEEPERS.with_borrow_mut(|sleepers| sleepers.push((address(word), me)));
    while SLEEPERS.with_borrow(|sleepers| sleepers.iter().any(|(_, thread)| thread.id() == id)) {
        loom::thread::park();
    }
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
