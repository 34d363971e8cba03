//! The locks among threads of one process: what they promise without anybody dying.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use crossdock_core::sync::{
    Barrier, BarrierError, Condvar, Event, LockTimeoutError, Mutex, Once, PoisonError,
    ReentrantMutex, RwLock, RwLockWriteGuard, Semaphore, TooManyPermits, TryLockError,
};
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// Shorter than any wait that must end by itself.
const MOMENT: Duration = Duration::from_millis(40);
/// Longer than any wait that must be ended by somebody.
const PATIENCE: Duration = Duration::from_secs(60);
const THREADS: u32 = 4;
const TURNS: u32 = 2000;

#[test]
fn a_mutex_lets_one_in_at_a_time() {
    let count = Mutex::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..TURNS).for_each(|_| *count.lock().unwrap() += 1));
        }
    });
    assert_eq!(count.into_inner().unwrap(), THREADS * TURNS);
}

#[test]
fn a_panic_under_the_guard_poisons_until_it_is_cleared() {
    let lock = Mutex::new(1);
    let panicked = catch_unwind(|| {
        let _guard = lock.lock().unwrap();
        panic!("on purpose");
    });
    assert!(panicked.is_err() && lock.is_poisoned());
    let poisoned = lock.lock().unwrap_err();
    assert_eq!(poisoned.owner_pid(), Some(std::process::id()));
    assert!(poisoned.to_string().contains(&std::process::id().to_string()));
    drop(poisoned);
    assert!(matches!(lock.try_lock(), Err(TryLockError::Poisoned(_))));
    assert!(matches!(lock.lock_timeout(MOMENT), Err(LockTimeoutError::Poisoned(_))));
    let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
    lock.clear_poison();
    drop(guard);
    assert!(!lock.is_poisoned() && lock.lock().is_ok());
}

#[test]
fn a_guard_taken_while_panicking_does_not_poison() {
    struct Careful<'a>(&'a Mutex<u32>);
    impl Drop for Careful<'_> {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    let lock = Mutex::new(0);
    let panicked = catch_unwind(|| {
        let _careful = Careful(&lock);
        panic!("on purpose");
    });
    assert!(panicked.is_err() && !lock.is_poisoned());
    assert_eq!(*lock.lock().unwrap(), 1);
}

#[test]
fn who_cannot_have_the_lock_is_told_who_has_it() {
    let lock = Mutex::new(());
    let guard = lock.lock().unwrap();
    assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
    let pid = Some(std::process::id());
    assert!(matches!(
        lock.lock_timeout(MOMENT),
        Err(LockTimeoutError::TimedOut { owner_pid }) if owner_pid == pid
    ));
    assert!(matches!(lock.lock_timeout(Duration::ZERO), Err(LockTimeoutError::TimedOut { .. })));
    assert!(format!("{lock:?}").contains(&std::process::id().to_string()));
    drop(guard);
    assert!(lock.lock_timeout(Duration::ZERO).is_ok() && lock.owner_pid().is_none());
}

#[test]
fn a_slice_under_a_lock_keeps_its_length() {
    let sized: Box<Mutex<[u16; 5]>> = Box::new(Mutex::new([1, 2, 3, 4, 5]));
    let lock: Box<Mutex<[u16]>> = sized;
    lock.lock().unwrap()[4] = 9;
    assert_eq!(*lock.lock().unwrap(), [1, 2, 3, 4, 9]);
}

#[test]
fn readers_share_and_writers_do_not() {
    let lock = RwLock::new((0_u32, 0_u32));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..TURNS {
                    let mut pair = lock.write().unwrap();
                    pair.0 += 1;
                    pair.1 += 1;
                }
            });
            scope.spawn(|| {
                for _ in 0..TURNS {
                    let pair = lock.read().unwrap();
                    assert_eq!(pair.0, pair.1);
                }
            });
        }
    });
    assert_eq!(lock.into_inner().unwrap(), (2 * TURNS, 2 * TURNS));
}

#[test]
fn a_writer_that_waits_keeps_new_readers_out_and_one_that_gave_up_does_not() {
    let lock = RwLock::new(());
    let reader = lock.read().unwrap();
    assert!(lock.try_read().is_ok() && lock.try_write().is_err());
    assert!(lock.write_timeout(MOMENT).is_err());
    assert!(lock.try_read().is_ok(), "the writer has given up");
    thread::scope(|scope| {
        scope.spawn(|| drop(lock.write().unwrap()));
        while lock.try_read().is_ok() {
            thread::yield_now();
        }
        assert!(matches!(lock.read_timeout(MOMENT), Err(LockTimeoutError::TimedOut { .. })));
        drop(reader);
    });
    assert_eq!(lock.reader_count(), 0);
}

#[test]
fn a_writer_turns_into_a_reader_and_nobody_writes_in_between() {
    let lock = RwLock::new(0);
    let mut writer = lock.write().unwrap();
    *writer = 7;
    let reader = RwLockWriteGuard::downgrade(writer);
    assert_eq!((*reader, lock.reader_count()), (7, 1));
    assert!(lock.try_read().is_ok() && lock.try_write().is_err());
    drop(reader);
    assert!(lock.try_write().is_ok());
}

#[test]
fn a_writers_panic_poisons_and_a_readers_does_not() {
    let lock = RwLock::new(());
    let read = catch_unwind(|| {
        let _guard = lock.read().unwrap();
        panic!("on purpose");
    });
    assert!(read.is_err() && lock.read().is_ok() && lock.reader_count() == 0);
    let written = catch_unwind(|| {
        let _guard = lock.write().unwrap();
        panic!("on purpose");
    });
    assert!(written.is_err() && lock.read().is_err() && lock.write().is_err());
    lock.clear_poison();
    assert!(lock.read().is_ok());
}

#[test]
fn a_condition_is_seen_by_all_who_wait_for_it() {
    let (changed, turn) = (Condvar::new(), Mutex::new(0));
    thread::scope(|scope| {
        for me in 0..THREADS {
            let (changed, turn) = (&changed, &turn);
            scope.spawn(move || {
                for round in 0..50 {
                    let mine = round * THREADS + me;
                    let guard = turn.lock().unwrap();
                    let mut guard = changed.wait_while(guard, |turn| *turn != mine).unwrap();
                    *guard += 1;
                    drop(guard);
                    changed.notify_all();
                }
            });
        }
    });
    assert_eq!(*turn.lock().unwrap(), 50 * THREADS);
    let waited = changed.wait_timeout_while(turn.lock().unwrap(), MOMENT, |_| true).unwrap();
    assert!(waited.1.timed_out());
}

#[test]
fn permits_have_numbers_and_are_never_more_than_there_are() {
    let places = Semaphore::new(2);
    let users = [AtomicU32::new(0), AtomicU32::new(0)];
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..TURNS {
                    let permit = places.acquire();
                    let user = &users[permit.index()];
                    assert_eq!(user.fetch_add(1, Relaxed), 0, "two have the same permit");
                    user.fetch_sub(1, Relaxed);
                }
            });
        }
    });
    assert_eq!(places.available_permits(), 2);
}

#[test]
fn permits_can_be_used_up_and_added_but_not_beyond_the_room() {
    let tickets = Semaphore::<4>::with_room(1);
    tickets.acquire().forget();
    assert!(tickets.try_acquire().is_none() && tickets.acquire_timeout(MOMENT).is_none());
    tickets.add_permits(4).unwrap();
    assert_eq!(tickets.add_permits(1), Err(TooManyPermits { added: 0 }));
    let bounded = Semaphore::bounded(2);
    assert_eq!(bounded.add_permits(1), Err(TooManyPermits { added: 0 }));
    bounded.acquire().forget();
    assert_eq!(bounded.add_permits(2), Err(TooManyPermits { added: 1 }));
    assert_eq!((bounded.available_permits(), bounded.holders().count()), (2, 0));
    assert!(catch_unwind(|| Semaphore::new(65)).is_err());
}

#[test]
fn a_semaphore_can_start_empty_and_be_fed() {
    let items = Semaphore::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..TURNS {
                while items.add_permits(1).is_err() {
                    thread::yield_now();
                }
            }
        });
        for _ in 0..TURNS {
            items.acquire_timeout(PATIENCE).unwrap().forget();
        }
    });
    assert_eq!(items.available_permits(), 0);
}

#[test]
fn an_event_lets_all_pass_and_a_pulse_those_who_wait() {
    let event = Event::new();
    assert!(!event.is_set() && !event.wait_timeout(MOMENT));
    let passed = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                event.wait();
                passed.fetch_add(1, Relaxed);
            });
        }
        // Whoever has not come yet is reached by a later pulse.
        while passed.load(Relaxed) < THREADS {
            event.set();
            event.clear();
            thread::yield_now();
        }
    });
    assert!(!event.is_set());
    event.set();
    event.wait();
    assert!(event.is_set());
}

#[test]
fn a_barrier_has_one_leader_a_round_and_numbers_for_all() {
    let barrier = Barrier::new(THREADS as usize);
    let (leaders, numbers) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..200 {
                    let passed = barrier.wait().unwrap();
                    leaders.fetch_add(u32::from(passed.is_leader()), Relaxed);
                    numbers.fetch_add(passed.index() as u32, Relaxed);
                }
            });
        }
    });
    assert_eq!(leaders.into_inner(), 200);
    assert_eq!(numbers.into_inner(), 200 * (0..THREADS).sum::<u32>());
}

#[test]
fn a_barrier_of_two_serves_more_than_two_in_turns() {
    let barrier = Barrier::new(2);
    let (begun, passed, leaders) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                // An even number in all, so that the last one has somebody to meet.
                while begun.fetch_add(1, Relaxed) < 2 * TURNS {
                    let result = barrier.wait().unwrap();
                    leaders.fetch_add(u32::from(result.is_leader()), Relaxed);
                    passed.fetch_add(1, Relaxed);
                }
            });
        }
    });
    assert_eq!((passed.into_inner(), leaders.into_inner()), (2 * TURNS, TURNS));
}

#[test]
fn who_gives_up_breaks_the_barrier_and_a_reset_mends_it() {
    let barrier = Barrier::new(2);
    assert_eq!(barrier.try_wait(), Err(BarrierError::WouldBlock));
    assert_eq!(barrier.wait_timeout(MOMENT), Err(BarrierError::TimedOut));
    assert_eq!(barrier.wait(), Err(BarrierError::Broken));
    barrier.reset();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| barrier.wait());
        while barrier.waiting() == 0 {
            thread::yield_now();
        }
        barrier.abort();
        assert_eq!(waiter.join().unwrap(), Err(BarrierError::Broken));
    });
    barrier.reset();
    thread::scope(|scope| {
        scope.spawn(|| barrier.wait().unwrap());
        while barrier.try_wait().is_err() {
            thread::yield_now();
        }
    });
    assert!(!barrier.is_broken());
}

#[test]
fn it_is_done_once_and_all_wait_for_it() {
    let (once, times) = (Once::new(), AtomicU32::new(0));
    assert!(matches!(once.wait_timeout(MOMENT), Err(LockTimeoutError::TimedOut { .. })));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let act = || {
                    times.fetch_add(1, Relaxed);
                };
                once.call_once(act).unwrap();
                assert_eq!(times.load(Relaxed), 1);
            });
        }
    });
    assert!(once.is_completed() && once.wait().is_ok() && once.try_call_once(|| ()).is_ok());
}

#[test]
fn what_panicked_once_can_be_done_again() {
    let once = Once::new();
    let panicked = catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = once.call_once(|| panic!("on purpose"));
    }));
    assert!(panicked.is_err() && !once.is_completed());
    assert!(matches!(once.try_call_once(|| ()), Err(TryLockError::Poisoned(_))));
    assert_eq!(once.wait().unwrap_err().owner_pid(), Some(std::process::id()));
    let mut was_poisoned = false;
    once.call_once_force(|state| was_poisoned = state.is_poisoned());
    assert!(was_poisoned && once.is_completed());
}

#[test]
fn the_holder_of_a_reentrant_mutex_locks_again_and_others_wait() {
    let lock = ReentrantMutex::new(AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..TURNS {
                    let outer = lock.lock().unwrap();
                    let inner = lock.try_lock().unwrap();
                    // Not one step: only who excludes others may do it so.
                    inner.store(outer.load(Relaxed) + 1, Relaxed);
                }
            });
        }
    });
    assert_eq!(lock.lock().unwrap().load(Relaxed), THREADS * TURNS);
    let _outer = lock.lock().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
            let late = lock.lock_timeout(MOMENT);
            assert!(matches!(late, Err(LockTimeoutError::TimedOut { .. })));
        });
    });
}
