//! The locks behind the traits of `lock_api`: guards that are mapped to a part of the value.
#![cfg(feature = "lock_api")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use crossdock::sync::{RawMutex, RawRwLock};
use lock_api::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::Duration;

const MOMENT: Duration = Duration::from_millis(20);

#[test]
fn a_mapped_guard_holds_the_whole_lock() {
    let pair = Mutex::<RawMutex, _>::new((1, [2, 3]));
    let mut second = MutexGuard::map(pair.lock(), |pair| &mut pair.1[0]);
    *second += 10;
    assert!(pair.is_locked() && pair.try_lock().is_none());
    assert!(pair.try_lock_for(MOMENT).is_none());
    drop(second);
    assert_eq!(pair.try_lock_for(MOMENT).unwrap().1, [12, 3]);
    assert!(!pair.is_locked());
}

#[test]
fn threads_take_turns() {
    let count = Mutex::<RawMutex, _>::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1000).for_each(|_| *count.lock() += 1));
        }
    });
    assert_eq!(count.into_inner(), 4000);
}

#[test]
fn readers_share_and_a_writer_turns_into_one() {
    let table = RwLock::<RawRwLock, _>::new([1, 2, 3]);
    let first = table.read();
    let second = RwLockReadGuard::map(table.read(), |table| &table[2]);
    assert_eq!((first[0], *second), (1, 3));
    assert!(table.try_write().is_none() && table.try_write_for(MOMENT).is_none());
    drop((first, second));
    let mut writer = table.write();
    writer[0] = 9;
    assert!(table.is_locked_exclusive() && table.try_read().is_none());
    let reader = RwLockWriteGuard::downgrade(writer);
    assert_eq!((reader[0], table.try_read().unwrap()[0]), (9, 9));
}
