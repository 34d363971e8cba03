//! Models of the signal: no wake-up is lost.
//!
//! A sleep in a model has no time-out, so a lost wake-up is a deadlock, which loom reports; the slices
//! of the library are only there for the dead. Preemptions are bounded, in each test by the number
//! there.
//!
//! A changer here puts a fence between its change and [`Signal::notify`]; the ring has a sequentially
//! consistent exchange instead, which loom cannot tell from a weaker one.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a panic is how a model says no")]
#![allow(clippy::print_stdout, reason = "how much was explored")]

mod loom_model;

use crossdock_core::model::{Weakness, weaken};
use crossdock_core::signal::Signal;
use loom::sync::atomic::{AtomicU32, fence};
use loom::thread;
use loom_model::check;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};

/// What a signal tells about: a number of permits.
struct Permits {
    signal: Signal,
    count: AtomicU32,
}

/// How a changer goes about it.
#[derive(Clone, Copy)]
enum Notify {
    One,
    All,
    /// A bug: it tells before it acts.
    Early,
    /// A bug: nothing orders the look at the flag after the change.
    Unordered,
}

impl Permits {
    fn new() -> Arc<Self> {
        Arc::new(Self { signal: Signal::new(), count: AtomicU32::new(0) })
    }

    fn add(&self, count: u32, how: Notify) {
        if matches!(how, Notify::Early) {
            self.signal.notify();
        }
        self.count.fetch_add(count, AcqRel);
        if !matches!(how, Notify::Unordered) {
            fence(SeqCst);
        }
        match how {
            Notify::One | Notify::Unordered => self.signal.notify(),
            Notify::All => self.signal.notify_all(),
            Notify::Early => {}
        }
    }

    fn try_take(&self) -> bool {
        self.count.fetch_update(AcqRel, Relaxed, |count| count.checked_sub(1)).is_ok()
    }

    /// As every waiter of the library: looks, announces itself, looks again, sleeps.
    fn take(&self, is_looking_again: bool) {
        while !self.try_take() {
            let key = self.signal.announce();
            if is_looking_again && self.try_take() {
                return;
            }
            self.signal.sleep(key, None);
        }
    }
}

/// `sleepers` want one permit each; each of `changers` adds so many.
fn model(sleepers: usize, changers: &[u32], how: Notify, is_looking_again: bool) {
    let permits = Permits::new();
    let mut threads = Vec::new();
    for _ in 1..sleepers {
        let permits = Arc::clone(&permits);
        threads.push(thread::spawn(move || permits.take(is_looking_again)));
    }
    for count in changers.iter().copied() {
        let permits = Arc::clone(&permits);
        threads.push(thread::spawn(move || permits.add(count, how)));
    }
    permits.take(is_looking_again);
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(permits.count.load(Acquire), 0);
}

#[test]
fn one_sleeper_and_one_change() {
    check(5, || model(1, &[1], Notify::One, true));
}

#[test]
fn one_sleeper_that_needs_the_second_change() {
    check(4, || {
        let permits = Permits::new();
        let changers = [0, 1].map(|count| {
            let permits = Arc::clone(&permits);
            thread::spawn(move || permits.add(count, Notify::One))
        });
        permits.take(true);
        changers.into_iter().for_each(|changer| changer.join().unwrap());
    });
}

#[test]
fn two_sleepers_and_two_changes() {
    check(2, || model(2, &[1, 1], Notify::One, true));
}

#[test]
fn two_sleepers_and_a_change_for_both() {
    check(4, || model(2, &[2], Notify::All, true));
}

#[test]
fn two_sleepers_and_a_changer_that_comes_back() {
    check(3, || {
        let permits = Permits::new();
        let sleeper = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || permits.take(true))
        };
        let changer = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || (0..2).for_each(|_| permits.add(1, Notify::One)))
        };
        permits.take(true);
        sleeper.join().unwrap();
        changer.join().unwrap();
    });
}

#[test]
fn a_flag_left_over_by_one_who_did_not_sleep_does_no_harm() {
    check(4, || {
        let permits = Permits::new();
        let _ = permits.signal.announce();
        let changer = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || {
                permits.add(0, Notify::One);
                permits.add(1, Notify::One);
            })
        };
        permits.take(true);
        changer.join().unwrap();
    });
}

// The models again, with a bug in them: each must be noticed.

#[test]
#[should_panic(expected = "deadlock")]
fn a_changer_without_a_fence_is_noticed() {
    check(3, || model(1, &[1], Notify::Unordered, true));
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_sleeper_without_a_fence_is_noticed() {
    weaken(Weakness::Fences);
    check(3, || model(1, &[1], Notify::One, true));
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_notification_before_the_change_is_noticed() {
    check(3, || model(1, &[1], Notify::Early, true));
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_sleeper_that_does_not_look_again_is_noticed() {
    check(3, || model(1, &[1], Notify::One, false));
}

#[test]
#[should_panic(expected = "deadlock")]
fn one_wake_up_for_two_is_noticed() {
    check(3, || model(2, &[2], Notify::One, true));
}
