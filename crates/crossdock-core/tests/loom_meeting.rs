//! Models of the meeting points: no wake-up is lost, nothing happens twice, and a death before any access
//! is survived.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a panic is how a model says no")]
#![allow(clippy::print_stdout, reason = "how much was explored")]

mod loom_model;

use crossdock_core::model::{AtomicU32, Weakness, die_before, weaken};
use crossdock_core::sync::{Barrier, BarrierError, Condvar, Event, Mutex, Once, Semaphore};
use loom::thread;
use loom_model::{check_deaths, check_processes, play};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Does something in a process that may die, and again in another one if it did.
fn until_done(death: Option<u32>, act: impl Fn() + Send + Sync + 'static) {
    let act = Arc::new(act);
    let first = Arc::clone(&act);
    let victim = thread::spawn(move || {
        play(1);
        match death {
            Some(accesses) => die_before(accesses, || first()).is_some(),
            None => {
                first();
                true
            }
        }
    });
    if !victim.join().unwrap() {
        act();
    }
}

// Condvar

struct Inbox {
    changed: Condvar,
    letters: Mutex<()>,
    count: AtomicU32,
}

impl Inbox {
    fn new() -> Arc<Self> {
        let (changed, letters) = (Condvar::new(), Mutex::new(()));
        Arc::new(Self { changed, letters, count: AtomicU32::new(0) })
    }

    fn lock(&self) -> crossdock_core::sync::MutexGuard<'_, ()> {
        self.letters.lock().unwrap_or_else(|poisoned| {
            self.letters.clear_poison();
            poisoned.into_inner()
        })
    }

    /// Waits for a letter and takes it.
    fn take(&self) {
        let mut guard = self.lock();
        while self.count.load(Relaxed) == 0 {
            guard = self.changed.wait(guard).unwrap_or_else(|poisoned| {
                self.letters.clear_poison();
                poisoned.into_inner()
            });
        }
        self.count.fetch_sub(1, Relaxed);
        drop(guard);
    }

    fn put(&self, count: u32, everyone: bool) {
        let guard = self.lock();
        self.count.fetch_add(count, Relaxed);
        drop(guard);
        if everyone { self.changed.notify_all() } else { self.changed.notify_one() }
    }
}

/// So many wait for a letter each; one puts them in, all at once or one after the other.
fn inbox(waiters: u32, everyone: bool, death: Option<u32>) {
    let inbox = Inbox::new();
    let threads: Vec<_> = (0..waiters)
        .map(|index| {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || {
                play(2 + index as usize);
                inbox.take();
            })
        })
        .collect();
    play(0);
    let other = Arc::clone(&inbox);
    until_done(death, move || {
        if everyone {
            other.put(waiters, true);
        } else {
            (0..waiters).for_each(|_| other.put(1, false));
        }
    });
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_notification_reaches_a_waiter() {
    check_processes(4, || inbox(1, false, None));
    check_processes(4, || inbox(1, true, None));
}

#[test]
fn notifications_reach_two_waiters() {
    check_processes(2, || inbox(2, true, None));
    check_processes(2, || inbox(2, false, None));
}

#[test]
fn the_death_of_a_notifier_is_survived() {
    check_deaths(3, |death| inbox(1, false, Some(death)));
}

#[test]
fn the_death_of_a_waiter_is_survived() {
    check_deaths(2, |death| {
        let inbox = Inbox::new();
        let victim = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || {
                play(1);
                let _ = die_before(death, || inbox.take());
            })
        };
        let survivor = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || {
                play(2);
                inbox.take();
            })
        };
        play(0);
        // Two letters, one notification each: the one that the dead had been chosen for is not lost.
        inbox.put(1, false);
        inbox.put(1, false);
        victim.join().unwrap();
        survivor.join().unwrap();
    });
}

// Event

fn event(death: Option<u32>, is_cleared: bool) {
    let event = Arc::new(Event::new());
    let result = Arc::new(AtomicU32::new(0));
    let waiter = {
        let (event, result) = (Arc::clone(&event), Arc::clone(&result));
        thread::spawn(move || {
            play(2);
            event.wait();
            assert_eq!(result.load(Relaxed), 1, "what was done before is not seen");
        })
    };
    play(0);
    let other = Arc::clone(&event);
    let written = Arc::clone(&result);
    until_done(death, move || {
        written.store(1, Relaxed);
        other.set();
        if is_cleared {
            other.clear();
            other.set();
        }
    });
    waiter.join().unwrap();
}

#[test]
fn setting_an_event_reaches_who_waits() {
    check_processes(5, || event(None, false));
}

#[test]
fn the_death_of_who_sets_an_event_is_survived() {
    check_deaths(4, |death| event(Some(death), false));
    check_deaths(3, |death| event(Some(death), true));
}

// Semaphore

/// So many processes hold a permit for a moment; the last dies before its access number `death`.
fn semaphore(permits: usize, processes: usize, death: Option<u32>) {
    let semaphore = Arc::new(Semaphore::<2>::with_room(permits));
    let holders = Arc::new(loom::sync::atomic::AtomicUsize::new(0));
    let hold = move |semaphore: &Semaphore<2>| {
        let permit = semaphore.acquire();
        if death.is_none() {
            assert!(holders.fetch_add(1, Relaxed) < permits, "more holders than permits");
            holders.fetch_sub(1, Relaxed);
        }
        drop(permit);
    };
    let threads: Vec<_> = (1..processes)
        .map(|index| {
            let (semaphore, hold) = (Arc::clone(&semaphore), hold.clone());
            thread::spawn(move || {
                play(index);
                match death {
                    Some(accesses) if index == 1 => {
                        die_before(accesses, || hold(&semaphore)).unwrap_or_default();
                    }
                    _ => hold(&semaphore),
                }
            })
        })
        .collect();
    play(0);
    hold(&semaphore);
    for thread in threads {
        thread.join().unwrap();
    }
    let all: Vec<_> = (0..permits).map(|_| semaphore.acquire()).collect();
    assert_eq!((all.len(), semaphore.available_permits()), (permits, 0));
}

#[test]
fn permits_are_never_more_than_there_are() {
    check_processes(4, || semaphore(1, 2, None));
    check_processes(2, || semaphore(1, 3, None));
    check_processes(2, || semaphore(2, 3, None));
}

#[test]
fn a_dead_holders_permit_returns() {
    check_deaths(4, |death| semaphore(1, 2, Some(death)));
    check_deaths(2, |death| semaphore(1, 3, Some(death)));
}

// Barrier

/// Two meet twice; in the second round, one dies before its access number `death`.
fn barrier(death: Option<u32>) {
    let barrier = Arc::new(Barrier::<2>::with_room(2));
    let result = Arc::new(AtomicU32::new(0));
    let other = {
        let (barrier, result) = (Arc::clone(&barrier), Arc::clone(&result));
        thread::spawn(move || {
            play(1);
            result.store(1, Relaxed);
            let first = barrier.wait().unwrap();
            let second = match death {
                Some(accesses) => die_before(accesses, || barrier.wait()),
                None => Some(barrier.wait()),
            };
            (first, second)
        })
    };
    play(0);
    let first = barrier.wait().unwrap();
    assert_eq!(result.load(Relaxed), 1, "what was done before is not seen");
    let second = barrier.wait();
    let (others_first, others_second) = other.join().unwrap();
    assert_eq!(u32::from(first.is_leader()) + u32::from(others_first.is_leader()), 1);
    match others_second {
        Some(passed) => assert!(passed.is_ok() && second.is_ok()),
        // It had arrived, or it had not.
        None => assert!(matches!(second, Ok(_) | Err(BarrierError::Broken))),
    }
}

#[test]
fn two_meet_and_one_leads() {
    check_processes(2, || barrier(None));
}

#[test]
fn a_death_opens_or_breaks_the_barrier() {
    check_deaths(2, |death| barrier(Some(death)));
}

// Once

fn once(death: Option<u32>) {
    let once = Arc::new(Once::new());
    let times = Arc::new(AtomicU32::new(0));
    let run = {
        let (once, times) = (Arc::clone(&once), Arc::clone(&times));
        move || {
            if once.call_once(|| times.store(times.load(Relaxed) + 1, Relaxed)).is_err() {
                once.call_once_force(|state| {
                    if state.is_poisoned() {
                        times.store(0, Relaxed);
                    }
                    times.store(times.load(Relaxed) + 1, Relaxed);
                });
            }
        }
    };
    let other = {
        let run = run.clone();
        thread::spawn(move || {
            play(1);
            match death {
                Some(accesses) => die_before(accesses, run).unwrap_or_default(),
                None => run(),
            }
        })
    };
    play(0);
    run();
    assert!(once.is_completed());
    assert_eq!(times.load(Relaxed), 1, "done once, and seen to be done");
    other.join().unwrap();
}

#[test]
fn it_is_done_once() {
    check_processes(4, || once(None));
}

#[test]
fn the_death_of_who_does_it_is_survived() {
    check_deaths(5, |death| once(Some(death)));
}

// The models again, with a bug in them: each must be noticed.

#[test]
#[should_panic(expected = "what was done before is not seen")]
fn an_event_whose_setting_orders_nothing_is_noticed() {
    weaken(Weakness::Exchanges);
    check_processes(3, || event(None, false));
}

#[test]
#[should_panic(expected = "done once, and seen to be done")]
fn a_once_whose_end_orders_nothing_is_noticed() {
    weaken(Weakness::Exchanges);
    check_processes(3, || once(None));
}

#[test]
#[should_panic(expected = "what was done before is not seen")]
fn a_barrier_that_orders_nothing_is_noticed() {
    weaken(Weakness::Exchanges);
    check_processes(2, || barrier(None));
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_semaphore_without_fences_is_noticed() {
    weaken(Weakness::Fences);
    check_processes(3, || semaphore(1, 2, None));
}
