//! Handles that a forked child has from its parent.

#![allow(unsafe_code, reason = "fork is what is tested")]
#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::{Lab, plays, say};
use crossdock::channel::{Receiver, RecvError, SendError, Sender};
use crossdock::{Array, ArrayMut, ErrorKind, SharedBlock, arena};

/// Runs `work` in a forked child; returns whether it came to its end.
fn in_child(work: impl FnOnce()) -> bool {
    // SAFETY: the child does what this test is about and then ends without unwinding.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork failed");
    if pid == 0 {
        let is_good = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_ok();
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(i32::from(!is_good)) };
    }
    let mut status = 0;
    // SAFETY: `pid` is this process's child and `status` is writable.
    let ended = unsafe { libc::waitpid(pid, &mut status, 0) };
    ended == pid && status == 0
}

#[test]
fn fork_with_everything_in_hand() {
    if !plays("fork_with_everything_in_hand") {
        return;
    }
    let tx = Sender::<Array<u32>>::create("c", 4).unwrap();
    let rx = Receiver::<Array<u32>>::open("c").unwrap();
    let array = Array::from_fn(1000, |i| i as u32).unwrap();
    let named = Array::create("named", 10, |i| i as u32).unwrap();
    tx.send(array.clone()).unwrap();
    let (tx, rx, array, named) = (Some(tx), Some(rx), Some(array), Some(named));

    assert!(in_child(|| {
        // Reading is fine, everything else belongs to the parent.
        assert_eq!(array.as_ref().unwrap()[999], 999);
        match rx.as_ref().unwrap().recv() {
            Err(RecvError::Failed(error)) => assert_eq!(error.kind(), ErrorKind::Forked),
            other => panic!("{other:?}"),
        }
        match tx.as_ref().unwrap().send(array.clone().unwrap()) {
            Err(SendError::Failed(back, error)) => {
                assert_eq!((error.kind(), back[7]), (ErrorKind::Forked, 7));
            }
            other => panic!("{other:?}"),
        }
        drop((tx.clone(), rx.clone()));
        // What the child opens anew is its own.
        let own = Sender::<Array<u32>>::open("c").unwrap();
        own.send(Array::from_slice(&[5; 50]).unwrap()).unwrap();
        assert_eq!(Array::<u32>::open("named").unwrap()[9], 9);
    }));
    let (array, named) = (array.unwrap(), named.unwrap());
    assert_eq!(rx.as_ref().unwrap().recv().unwrap(), array, "the child took nothing");
    assert_eq!(rx.as_ref().unwrap().recv().unwrap()[..], [5; 50], "its own message outlives it");
    assert_eq!(Array::<u32>::open("named").unwrap(), named, "it took no name along");
    say("parent is well");
}

#[test]
fn a_forked_child_can_neither_use_nor_release_what_is_its_parents() {
    let lab = Lab::new();
    let mut parent = lab.start("fork_with_everything_in_hand");
    parent.expect("parent is well");
    parent.finish();
}

#[test]
fn drop_in_a_child() {
    if !plays("drop_in_a_child") {
        return;
    }
    let mut array = Some(ArrayMut::<u64>::zeroed(1 << 16).unwrap());
    assert!(in_child(|| drop(array.take())));
    // Had the child's drop released the chunk, these would be given the same memory.
    let array = array.unwrap();
    let others: Vec<_> = (0..4).map(|_| ArrayMut::<u64>::uninit(1 << 16).unwrap()).collect();
    assert!(others.iter().all(|other| other.as_ptr() != array.as_ptr()));
    assert_eq!(arena::stats().unwrap().held_chunks, 5);
    say("held");
}

#[test]
fn a_drop_in_a_forked_child_frees_nothing() {
    let lab = Lab::new();
    let mut parent = lab.start("drop_in_a_child");
    parent.expect("held");
    parent.finish();
}

#[test]
fn drop_a_name_in_a_child() {
    if !plays("drop_a_name_in_a_child") {
        return;
    }
    // Nothing but a name: no array, no channel.
    let mut block = Some(SharedBlock::create("only", 100).unwrap());
    assert!(in_child(|| drop(block.take())));
    assert_eq!(SharedBlock::open("only").unwrap().len(), 100);
    say("still there");
}

#[test]
fn a_forked_child_takes_no_name_along() {
    let lab = Lab::new();
    let mut parent = lab.start("drop_a_name_in_a_child");
    parent.expect("still there");
    parent.finish();
}
