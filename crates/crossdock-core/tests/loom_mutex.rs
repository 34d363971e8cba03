//! Models of the mutexes: nobody sees what another is in the middle of, nobody sleeps for ever, and a death
//! before any access is survived.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a panic is how a model says no")]
#![allow(clippy::print_stdout, reason = "how much was explored")]

mod loom_model;

use crossdock_core::model::{AtomicU32, Weakness, die_before, weaken};
use crossdock_core::sync::{Mutex, PoisonError, ReentrantMutex, TryLockError};
use loom::thread;
use loom_model::{check_deaths, check_processes, play};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Two numbers that are equal whenever nobody holds the lock, and how many changes were acknowledged.
struct Account {
    lock: Mutex<()>,
    nested: ReentrantMutex<()>,
    first: AtomicU32,
    second: AtomicU32,
    acknowledged: loom::sync::atomic::AtomicU32,
}

#[derive(Clone, Copy, PartialEq)]
enum Repair {
    Yes,
    /// A bug: whoever takes over goes on as if nothing had happened.
    No,
}

impl Account {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            lock: Mutex::new(()),
            nested: ReentrantMutex::new(()),
            first: AtomicU32::new(0),
            second: AtomicU32::new(0),
            acknowledged: loom::sync::atomic::AtomicU32::new(0),
        })
    }

    /// What one does under the lock.
    fn change(&self) {
        let value = self.first.load(Relaxed);
        assert_eq!(value, self.second.load(Relaxed), "the lock failed: a half change is seen");
        self.first.store(value + 1, Relaxed);
        self.second.store(value + 1, Relaxed);
    }

    fn repair(&self) {
        self.second.store(self.first.load(Relaxed), Relaxed);
    }

    fn update(&self, repair: Repair) {
        let guard = self.lock.lock().unwrap_or_else(|poisoned| {
            if repair == Repair::Yes {
                self.repair();
            }
            self.lock.clear_poison();
            poisoned.into_inner()
        });
        self.change();
        drop(guard);
        self.acknowledged.fetch_add(1, Relaxed);
    }

    fn update_nested(&self) {
        let outer = self.nested.lock().unwrap_or_else(|poisoned| {
            self.repair();
            self.nested.clear_poison();
            poisoned.into_inner()
        });
        let inner = self.nested.lock().unwrap_or_else(PoisonError::into_inner);
        self.change();
        drop(inner);
        drop(outer);
        self.acknowledged.fetch_add(1, Relaxed);
    }

    fn settle(&self) {
        self.lock.lock().map_or_else(|_| self.repair(), drop);
        self.nested.lock().map_or_else(|_| self.repair(), drop);
        let (first, second) = (self.first.load(Relaxed), self.second.load(Relaxed));
        assert_eq!(first, second);
        assert!(
            first >= self.acknowledged.load(Relaxed),
            "the lock failed: an acknowledged change is lost"
        );
    }
}

/// So many processes update; the last one dies before its access number `death`.
fn model(processes: usize, death: Option<u32>, update: fn(&Account)) {
    let account = Account::new();
    let threads: Vec<_> = (1..processes)
        .map(|index| {
            let account = Arc::clone(&account);
            thread::spawn(move || {
                play(index);
                match death {
                    Some(accesses) if index == 1 => {
                        die_before(accesses, || update(&account)).unwrap_or_default();
                    }
                    _ => update(&account),
                }
            })
        })
        .collect();
    play(0);
    update(&account);
    for thread in threads {
        thread.join().unwrap();
    }
    account.settle();
}

fn careful(account: &Account) {
    account.update(Repair::Yes);
}

#[test]
fn two_processes_take_turns() {
    check_processes(6, || model(2, None, careful));
}

#[test]
fn three_processes_take_turns() {
    check_processes(3, || model(3, None, careful));
}

#[test]
fn a_death_before_any_access_is_survived() {
    check_deaths(5, |death| model(2, Some(death), careful));
}

#[test]
fn two_survive_the_death_of_a_third() {
    check_deaths(2, |death| model(3, Some(death), careful));
}

#[test]
fn a_reentrant_mutex_takes_turns_and_survives() {
    check_processes(5, || model(2, None, Account::update_nested));
    check_deaths(4, |death| model(2, Some(death), Account::update_nested));
}

#[test]
fn trying_never_waits_and_excludes() {
    check_processes(4, || {
        let account = Account::new();
        let other = {
            let account = Arc::clone(&account);
            thread::spawn(move || {
                play(1);
                account.update(Repair::Yes);
            })
        };
        play(0);
        match account.lock.try_lock() {
            Ok(guard) => {
                account.change();
                drop(guard);
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Poisoned(_)) => panic!("nobody has died"),
        }
        other.join().unwrap();
        account.settle();
    });
}

// The models again, with a bug in them: each must be noticed.

#[test]
#[should_panic(expected = "the lock failed")]
fn exchanges_that_order_nothing_are_noticed() {
    weaken(Weakness::Exchanges);
    check_processes(2, || model(2, None, careful));
}

#[test]
#[should_panic(expected = "the lock failed")]
fn a_survivor_that_does_not_repair_is_noticed() {
    check_deaths(3, |death| model(2, Some(death), |account| account.update(Repair::No)));
}
