//! Models of the read-write lock: readers see no half change, and nobody waits for the dead.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a panic is how a model says no")]
#![allow(clippy::print_stdout, reason = "how much was explored")]

mod loom_model;

use crossdock_core::model::{AtomicU32, Weakness, die_before, weaken};
use crossdock_core::sync::{RwLock, RwLockWriteGuard};
use loom::thread;
use loom_model::{check_deaths, check_processes, play};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Two numbers that are equal whenever nobody writes.
struct Table {
    lock: RwLock<()>,
    first: AtomicU32,
    second: AtomicU32,
}

/// What a process does.
#[derive(Clone, Copy)]
enum Act {
    Read,
    Write,
    WriteAndRead,
}

impl Table {
    fn new() -> Arc<Self> {
        let (first, second) = (AtomicU32::new(0), AtomicU32::new(0));
        Arc::new(Self { lock: RwLock::new(()), first, second })
    }

    fn compare(&self) {
        let (first, second) = (self.first.load(Relaxed), self.second.load(Relaxed));
        assert_eq!(first, second, "a half change is seen");
    }

    fn write(&self) -> RwLockWriteGuard<'_, ()> {
        let guard = self.lock.write().unwrap_or_else(|poisoned| {
            self.second.store(self.first.load(Relaxed), Relaxed);
            self.lock.clear_poison();
            poisoned.into_inner()
        });
        self.compare();
        let value = self.first.load(Relaxed) + 1;
        self.first.store(value, Relaxed);
        self.second.store(value, Relaxed);
        guard
    }

    fn act(&self, act: Act) {
        match act {
            Act::Read => {
                // A reader that is told of poison does not look.
                if let Ok(guard) = self.lock.read() {
                    self.compare();
                    drop(guard);
                }
            }
            Act::Write => drop(self.write()),
            Act::WriteAndRead => {
                let guard = RwLockWriteGuard::downgrade(self.write());
                self.compare();
                drop(guard);
            }
        }
    }
}

/// Each process does one thing; the last dies before its access number `death`. Then one writes.
fn model(acts: &[Act], death: Option<u32>) {
    let table = Table::new();
    let last = acts.len() - 1;
    let threads: Vec<_> = (1..=last)
        .map(|index| {
            let (table, act) = (Arc::clone(&table), acts[index]);
            thread::spawn(move || {
                play(index);
                match death {
                    Some(accesses) if index == last => {
                        die_before(accesses, || table.act(act)).unwrap_or_default();
                    }
                    _ => table.act(act),
                }
            })
        })
        .collect();
    play(0);
    table.act(acts[0]);
    for thread in threads {
        thread.join().unwrap();
    }
    table.act(Act::Write);
    assert_eq!(table.lock.reader_count(), 0);
    table.compare();
}

#[test]
fn a_reader_and_a_writer() {
    check_processes(5, || model(&[Act::Read, Act::Write], None));
    check_processes(5, || model(&[Act::WriteAndRead, Act::Write], None));
}

#[test]
fn two_readers_and_a_writer() {
    check_processes(2, || model(&[Act::Read, Act::Read, Act::Write], None));
}

#[test]
fn a_reader_and_two_writers() {
    check_processes(2, || model(&[Act::Read, Act::Write, Act::Write], None));
}

#[test]
fn the_death_of_a_reader_is_survived() {
    check_deaths(4, |death| model(&[Act::Write, Act::Read], Some(death)));
}

#[test]
fn the_death_of_a_writer_is_survived() {
    check_deaths(4, |death| model(&[Act::Read, Act::Write], Some(death)));
    check_deaths(4, |death| model(&[Act::Write, Act::Write], Some(death)));
}

#[test]
fn the_death_of_one_who_turns_from_writer_to_reader_is_survived() {
    check_deaths(4, |death| model(&[Act::Write, Act::WriteAndRead], Some(death)));
}

// The models again, with a bug in them: each must be noticed.

#[test]
#[should_panic(expected = "deadlock")]
fn looks_that_are_not_ordered_after_the_change_are_noticed() {
    weaken(Weakness::Fences);
    check_processes(2, || model(&[Act::Read, Act::Write], None));
}

#[test]
#[should_panic(expected = "a half change is seen")]
fn exchanges_that_order_nothing_are_noticed() {
    weaken(Weakness::Exchanges);
    check_processes(2, || model(&[Act::Read, Act::Write], None));
}
