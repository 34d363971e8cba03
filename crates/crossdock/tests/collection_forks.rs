//! Maps and lists in processes that fork, some of them in the middle of a call.
#![allow(unsafe_code, reason = "fork is what is tested")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod common;
#[path = "common/limits.rs"]
mod limits;

use common::{Lab, plays};
use crossdock::{Error, ErrorKind, SharedList, SharedMap};
use limits::limit_files;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Forks, and says whether this is the child. The parent waits until the child has ended well.
fn is_forked() -> bool {
    // SAFETY: the child does what its test is about and then ends without unwinding past that.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork failed");
    if pid == 0 {
        return true;
    }
    let mut status = 0;
    // SAFETY: `pid` is this process's child and `status` is writable.
    let ended = unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!((ended, status), (pid, 0), "the child found something else");
    false
}

/// Ends a child.
fn end(is_good: bool) -> ! {
    // SAFETY: ends the child at once.
    unsafe { libc::_exit(i32::from(!is_good)) };
}

#[test]
fn forks_with_a_map() {
    if !plays("forks_with_a_map") {
        return;
    }
    let named = SharedMap::<u8, u64>::create("m").unwrap();
    let map = SharedMap::<u8, u64>::anonymous().unwrap();
    named.insert(&1, &1).unwrap();
    let outcome = map.update(&1, |_| {
        if is_forked() {
            // It is a copy of somebody who is inside, and does not have the lock.
            let inside = map.get(&1).map_err(|error| error.kind());
            let changed = named.update(&1, |one| one.map(|one| one + 1));
            drop(named.clone());
            end(inside == Err(ErrorKind::Busy) && matches!(changed, Ok(Some(2))));
        }
        Some(5)
    });
    assert_eq!(outcome.unwrap(), Some(5));
    if is_forked() {
        end((0..200).all(|key| map.insert(&key, &7).is_ok()));
    }
    assert_eq!((map.len().unwrap(), map.get(&1).unwrap()), (200, Some(7)));
    assert_eq!(named.get(&1).unwrap(), Some(2));
}

#[test]
fn a_forked_child_goes_on_with_the_maps_of_its_parent() {
    let lab = Lab::new();
    lab.start("forks_with_a_map").finish();
}

/// Makes a call whose closure forks: in the child it must fail.
fn fails_in_the_child<T>(call: impl FnOnce() -> Result<T, Error>) {
    let parent = std::process::id();
    let outcome = catch_unwind(AssertUnwindSafe(call));
    if std::process::id() != parent {
        end(match outcome {
            Ok(outcome) => outcome.is_err_and(|error| {
                error.kind() == ErrorKind::Forked && matches!(error.name(), Some("m" | "l"))
            }),
            Err(panic) => panic.downcast::<&str>().is_ok_and(|text| *text == "a panic"),
        });
    }
    outcome.unwrap().unwrap();
}

#[test]
fn forks_in_its_closures() {
    if !plays("forks_in_its_closures") {
        return;
    }
    let map = SharedMap::<u8, u64>::create("m").unwrap();
    let list = SharedList::<u64>::create("l").unwrap();
    map.extend([(1, 1), (2, 2), (3, 3)]).unwrap();
    list.push(&1).unwrap();
    fails_in_the_child(|| map.update(&1, |_| Some(if is_forked() { 666 } else { 10 })));
    fails_in_the_child(|| map.update(&2, |two| if is_forked() { None } else { two }));
    fails_in_the_child(|| map.get_or_insert_with(&4, || if is_forked() { 666 } else { 4 }));
    fails_in_the_child(|| map.retain(|key, _| *key != 3 || !is_forked()));
    fails_in_the_child(|| list.update(0, |_| if is_forked() { 666 } else { 10 }));
    fails_in_the_child(|| {
        map.update(&3, |three| if is_forked() { panic!("a panic") } else { three })
    });
    let mut entries = map.iter().collect::<Result<Vec<_>, _>>().unwrap();
    entries.sort_unstable();
    assert_eq!(entries, [(1, 10), (2, 2), (3, 3), (4, 4)]);
    assert_eq!(list.pop().unwrap(), Some(10));
    map.clear().unwrap();
    list.clear().unwrap();
    let used = (map.stats().unwrap().used_bytes, list.stats().unwrap().used_bytes);
    assert_eq!(used, (0, 0), "the children have taken no memory");
}

#[test]
fn a_child_that_is_forked_in_a_closure_changes_nothing_behind_it() {
    let lab = Lab::new();
    lab.start("forks_in_its_closures").finish();
}

#[test]
fn forks_where_no_file_can_be_opened() {
    if !plays("forks_where_no_file_can_be_opened") {
        return;
    }
    let map = SharedMap::<u8, u64>::create("m").unwrap();
    let list = SharedList::<u64>::anonymous().unwrap();
    map.insert(&1, &1).unwrap();
    if is_forked() {
        let before = limit_files(std::process::id(), 0);
        let outcomes = [
            map.get(&1).map(drop),
            map.insert(&1, &2).map(drop),
            map.update(&1, |_| Some(2)).map(drop),
            map.clear(),
            list.push(&1),
            list.len().map(drop),
        ];
        let kinds = outcomes.map(|outcome| outcome.map_err(|error| error.kind()));
        limit_files(std::process::id(), before);
        let is_refused = kinds.iter().all(|kind| *kind == Err(ErrorKind::LimitExceeded));
        end(is_refused && matches!(map.get(&1), Ok(Some(1))) && list.push(&1).is_ok());
    }
    assert_eq!((map.get(&1).unwrap(), list.len().unwrap()), (Some(1), 1));
}

#[test]
fn a_forked_child_that_cannot_join_gets_errors_and_no_panic() {
    let lab = Lab::new();
    lab.start("forks_where_no_file_can_be_opened").finish();
}
