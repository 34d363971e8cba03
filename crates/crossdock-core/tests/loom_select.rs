//! Models of one who waits for several things at once: no wake-up is lost, neither its own nor those that
//! were meant for others.
//!
//! As in the models of the signal, a sleep has no time-out, so a lost wake-up is a deadlock.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a panic is how a model says no")]
#![allow(clippy::print_stdout, reason = "how much was explored")]

mod loom_model;

use crossdock_core::model::{Weakness, weaken};
use crossdock_core::signal::{Signal, sleep_any};
use crossdock_core::sync::Event;
use loom::sync::atomic::{AtomicU32, fence};
use loom::thread;
use loom_model::check;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};

/// A queue without its messages: a signal that tells about a number of permits.
struct Permits {
    signal: Signal,
    count: AtomicU32,
}

/// How the one who selects goes about it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Select {
    Right,
    /// A bug: it watches the second queue only after it has looked.
    WatchLate,
    /// A bug: it keeps the wake-ups that were meant for others.
    KeepAll,
}

impl Permits {
    fn new() -> Self {
        Self { signal: Signal::new(), count: AtomicU32::new(0) }
    }

    fn pair() -> Arc<[Self; 2]> {
        Arc::new([Self::new(), Self::new()])
    }

    fn add(&self) {
        self.count.fetch_add(1, AcqRel);
        fence(SeqCst);
        self.signal.notify();
    }

    fn try_take(&self) -> bool {
        self.count.fetch_update(AcqRel, Relaxed, |count| count.checked_sub(1)).is_ok()
    }

    fn has_any(&self) -> bool {
        self.count.load(Acquire) > 0
    }

    fn take(&self) {
        while !self.try_take() {
            let key = self.signal.announce();
            if self.try_take() {
                return;
            }
            self.signal.sleep(key, None);
        }
    }
}

/// Takes a permit of either queue and returns which.
fn take_any(queues: &[Permits; 2], how: Select) -> usize {
    let [a, b] = queues;
    let try_take = || queues.iter().position(Permits::try_take);
    let mut taken = try_take();
    while taken.is_none() {
        let first = a.signal.watch();
        let early = if how == Select::WatchLate { try_take() } else { None };
        let watched = [first, b.signal.watch()];
        taken = if how == Select::WatchLate { early } else { try_take() };
        if taken.is_some() {
            break;
        }
        sleep_any(&watched, None);
        taken = try_take();
        for (index, other) in queues.iter().enumerate() {
            if Some(index) != taken && how != Select::KeepAll && other.has_any() {
                other.signal.pass_on();
            }
        }
    }
    taken.unwrap()
}

/// One who selects, until it has the permits of two notifiers, one for each queue.
fn one_and_two_notifiers(how: Select) {
    let queues = Permits::pair();
    let notifiers = [0, 1].map(|index| {
        let queues = Arc::clone(&queues);
        thread::spawn(move || queues[index].add())
    });
    let mut taken = [take_any(&queues, how), take_any(&queues, how)];
    taken.sort_unstable();
    assert_eq!(taken, [0, 1]);
    notifiers.into_iter().for_each(|notifier| notifier.join().unwrap());
}

/// One who selects, and one who sleeps on the second queue only. Whichever permit the first takes, there is
/// one for the other: if it took from the second queue, it puts one back.
fn one_and_a_neighbour(how: Select) {
    let queues = Permits::pair();
    let mut threads = Vec::new();
    for index in 0..2 {
        let queues = Arc::clone(&queues);
        threads.push(thread::spawn(move || queues[index].add()));
    }
    let neighbour = {
        let queues = Arc::clone(&queues);
        thread::spawn(move || queues[1].take())
    };
    if take_any(&queues, how) == 1 {
        queues[1].add();
    }
    neighbour.join().unwrap();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// One who waits for a permit or an event, and gets whichever comes.
fn a_queue_or_an_event(is_set: bool) {
    let both = Arc::new((Permits::new(), Event::new()));
    let notifier = {
        let both = Arc::clone(&both);
        thread::spawn(move || if is_set { both.1.set() } else { both.0.add() })
    };
    let (permits, event) = (&both.0, &both.1);
    while !event.is_set() && !permits.try_take() {
        let first = permits.signal.watch();
        let Some(second) = event.watch() else { break };
        if permits.try_take() {
            break;
        }
        sleep_any(&[first, second], None);
    }
    assert_eq!(event.is_set(), is_set);
    notifier.join().unwrap();
}

#[test]
fn two_signals_and_a_notifier_each() {
    check(3, || one_and_two_notifiers(Select::Right));
}

#[test]
fn a_neighbour_on_one_of_the_signals() {
    check(2, || one_and_a_neighbour(Select::Right));
}

#[test]
fn a_signal_and_an_event() {
    check(5, || a_queue_or_an_event(false));
    check(5, || a_queue_or_an_event(true));
}

// The models again, with a bug in them: each must be noticed.

#[test]
#[should_panic(expected = "deadlock")]
fn one_who_looks_before_it_has_announced_itself_everywhere_is_noticed() {
    check(3, || one_and_two_notifiers(Select::WatchLate));
}

#[test]
#[should_panic(expected = "deadlock")]
fn one_who_keeps_the_wake_ups_of_others_is_noticed() {
    check(2, || one_and_a_neighbour(Select::KeepAll));
}

#[test]
#[should_panic(expected = "deadlock")]
fn an_announcement_without_a_fence_is_noticed() {
    weaken(Weakness::Fences);
    check(3, || one_and_two_notifiers(Select::Right));
}
