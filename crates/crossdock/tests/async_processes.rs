//! Async tasks of several processes, which come, go, fork and are killed.
#![cfg(feature = "async")]
#![allow(unsafe_code, reason = "fork is part of what is tested")]
#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;
mod tasks;

use common::{Actor, Lab, PATIENCE, await_cue, plays, say};
use crossdock::channel::{Receiver, RecvError, SendError, Sender};
use crossdock::{Array, ArrayMut, ErrorKind};
use std::task::{Context, Poll, Waker};
use std::thread;
use tasks::{array, block_on, end, pair, runtime, watchers};
use tokio::time::timeout;

const MESSAGES: u64 = 3000;

#[test]
fn add_one_to_each() {
    if !plays("add_one_to_each") {
        return;
    }
    let runtime = runtime();
    runtime.block_on(async {
        let rx = Receiver::<ArrayMut<u64>>::open("there").unwrap();
        let tx = Sender::<ArrayMut<u64>>::open("back").unwrap();
        say("open");
        let mut count = 0;
        while let Ok(mut array) = rx.recv_async().await {
            array[0] += 1;
            tx.send_async(array).await.unwrap();
            count += 1;
        }
        say(&count.to_string());
    });
    end(runtime);
}

#[test]
fn send_and_receive_in_two_tasks() {
    if !plays("send_and_receive_in_two_tasks") {
        return;
    }
    let tx = Sender::<ArrayMut<u64>>::create("there", 4).unwrap();
    let rx = Receiver::<ArrayMut<u64>>::create("back", 4).unwrap();
    say("made");
    await_cue();
    let runtime = runtime();
    runtime.block_on(async {
        let sender = tokio::spawn(async move {
            for n in 0..MESSAGES {
                let mut array = tx.loan(1000).unwrap();
                array[0] = n;
                tx.send_async(array).await.unwrap();
            }
        });
        let receiver = tokio::spawn(async move {
            for n in 0..MESSAGES {
                let array = timeout(PATIENCE, rx.recv_async()).await.unwrap().unwrap();
                assert_eq!(array[0], n + 1, "in order, none lost, none twice");
            }
            assert_eq!(rx.recv_async().await.unwrap_err(), RecvError::Disconnected);
        });
        sender.await.unwrap();
        receiver.await.unwrap();
    });
    end(runtime);
    say("all back");
}

#[test]
fn thousands_of_messages_go_through_two_processes_with_tasks() {
    let lab = Lab::new();
    let mut first = lab.start("send_and_receive_in_two_tasks");
    first.expect("made");
    let mut second = lab.start("add_one_to_each");
    second.expect("open");
    first.cue();
    second.expect(&MESSAGES.to_string());
    first.expect("all back");
    [first, second].into_iter().for_each(Actor::finish);
}

#[test]
fn wait_in_tasks_for_peers_that_are_killed() {
    if !plays("wait_in_tasks_for_peers_that_are_killed") {
        return;
    }
    let rx = Receiver::<Array<u8>>::create("silent", 1).unwrap();
    let tx = Sender::<Array<u8>>::create("full", 1).unwrap();
    tx.send(array(1)).unwrap();
    say("made");
    await_cue();
    let runtime = runtime();
    runtime.block_on(async {
        let received = tokio::spawn(async move { rx.recv_async().await });
        let sent = tokio::spawn(async move { tx.send_async(array(7)).await });
        say("wait");
        assert_eq!(received.await.unwrap().unwrap_err(), RecvError::Disconnected);
        say("sender is dead");
        match sent.await.unwrap() {
            Err(SendError::Disconnected(back)) => assert_eq!(back[99], 7),
            other => panic!("{other:?}"),
        }
    });
    end(runtime);
    say("receiver is dead");
}

#[test]
fn hold_an_end() {
    if plays("hold_an_end") {
        let is_sender = std::env::var("END").unwrap() == "sender";
        let tx = is_sender.then(|| Sender::<Array<u8>>::open("silent").unwrap());
        let rx = (!is_sender).then(|| Receiver::<Array<u8>>::open("full").unwrap());
        say("open");
        await_cue();
        drop((tx, rx));
    }
}

#[test]
fn tasks_are_told_when_their_peers_are_killed() {
    let lab = Lab::new();
    let mut waiter = lab.start("wait_in_tasks_for_peers_that_are_killed");
    waiter.expect("made");
    let [mut sender, mut receiver] = ["sender", "receiver"].map(|end| {
        let mut peer = lab.start_with("hold_an_end", &[("END", end)]);
        peer.expect("open");
        peer
    });
    waiter.cue();
    waiter.expect("wait");
    sender.kill();
    waiter.expect("sender is dead");
    receiver.kill();
    waiter.expect("receiver is dead");
    waiter.finish();
}

#[test]
fn fork_while_a_task_waits() {
    if !plays("fork_while_a_task_waits") {
        return;
    }
    let (tx, rx) = pair(1);
    let mut waits = Box::pin(rx.recv_async());
    let mut context = Context::from_waker(Waker::noop());
    assert!(waits.as_mut().poll(&mut context).is_pending());
    // SAFETY: the child does what this test is about and then ends without unwinding.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork failed");
    if pid == 0 {
        let is_good = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            match waits.as_mut().poll(&mut context) {
                Poll::Ready(Err(RecvError::Failed(error))) => {
                    assert_eq!(error.kind(), ErrorKind::Forked);
                }
                other => panic!("{other:?}"),
            }
            drop(waits);
            // The child has no thread yet.
            assert_eq!(watchers(), 0);
            let (tx, rx) = pair(1);
            thread::scope(|scope| {
                scope.spawn(|| assert_eq!(block_on(rx.recv_async()).unwrap()[0], 5));
                block_on(tx.send_async(array(5))).unwrap();
                block_on(tx.send_async(array(6))).unwrap();
            });
        }));
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(i32::from(is_good.is_err())) };
    }
    let mut status = -1;
    // SAFETY: `pid` is this process's child and `status` is writable.
    let ended = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!((ended, status), (pid, 0));
    tx.send(array(9)).unwrap();
    assert_eq!(block_on(waits).unwrap()[0], 9, "the parent's future is still good");
    drop((tx, rx));
    // What the child left by its sudden end.
    crossdock::registry::gc(true).unwrap();
    say("well");
}

#[test]
fn a_forked_child_waits_in_tasks_of_its_own() {
    let lab = Lab::new();
    let mut parent = lab.start("fork_while_a_task_waits");
    parent.expect("well");
    parent.finish();
}

#[test]
fn leave_while_tasks_wait() {
    if plays("leave_while_tasks_wait") {
        let (_tx, rx) = pair(1);
        // Its thread and its list outlive the end of `main`.
        let waits = Box::leak(Box::new(rx)).recv_async();
        let mut waits = Box::pin(waits);
        assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        say("waits");
        await_cue();
        std::mem::forget(waits);
    }
}

#[test]
fn a_process_that_ends_while_tasks_wait_leaves_nothing() {
    let lab = Lab::new();
    let mut actor = lab.start("leave_while_tasks_wait");
    actor.expect("waits");
    actor.cue();
    actor.finish();
    // The leaked end kept its name to the last; whoever comes next removes it.
    let mut next = lab.start("add_nothing");
    next.expect("here");
    next.finish();
}

#[test]
fn add_nothing() {
    if plays("add_nothing") {
        crossdock::registry::gc(true).unwrap();
        say("here");
    }
}
