//! Broadcasts and latest-value cells in async tasks: who comes, gives up, goes and is killed.
#![cfg(feature = "async")]
#![allow(unsafe_code, reason = "fork is part of what is tested")]
#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;
mod tasks;

use common::{Lab, PATIENCE, await_cue, plays, say, unique};
use crossdock::channel::{ChannelOptions, RecvError, SendError, TryRecvError};
use crossdock::channel::{broadcast, latest};
use crossdock::{Array, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tasks::{Count, array, block_on, end, runtime};
use tokio::time::timeout;

const MOMENT: Duration = Duration::from_millis(40);

type Arrays = Array<u8>;

fn broadcast_pair(capacity: usize) -> (broadcast::Sender<Arrays>, broadcast::Receiver<Arrays>) {
    let name = unique("async-all");
    let tx = broadcast::Sender::create(&name, capacity).unwrap();
    (tx, broadcast::Receiver::open(&name).unwrap())
}

fn latest_pair() -> (latest::Sender<Arrays>, latest::Receiver<Arrays>) {
    let name = unique("async-newest");
    (latest::Sender::create(&name, 4).unwrap(), latest::Receiver::open(&name).unwrap())
}

/// Polls a future once with a waker that counts.
fn poll<F: Future>(future: Pin<&mut F>, wakes: &Arc<Count>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(wakes))))
}

#[test]
fn every_task_gets_every_message_of_a_broadcast_in_order() {
    let runtime = runtime();
    runtime.block_on(async {
        let (tx, first) = broadcast_pair(2);
        let mut receivers: Vec<_> = (0..4).map(|_| first.resubscribe().unwrap()).collect();
        receivers.push(first);
        let tasks: Vec<_> = receivers
            .into_iter()
            .map(|rx| {
                tokio::spawn(async move {
                    for n in 0..200 {
                        assert_eq!(rx.recv_async().await.unwrap()[99], n);
                    }
                    assert_eq!(rx.recv_async().await.unwrap_err(), RecvError::Disconnected);
                })
            })
            .collect();
        for n in 0..200 {
            tx.send_async(array(n)).await.unwrap();
        }
        drop(tx);
        for task in tasks {
            timeout(PATIENCE, task).await.unwrap().unwrap();
        }
    });
}

#[test]
fn a_task_sees_numbers_of_a_cell_only_rise_and_the_last_one_always() {
    let runtime = runtime();
    runtime.block_on(async {
        let (tx, rx) = latest_pair();
        let task = tokio::spawn(async move {
            let mut last = 0;
            loop {
                match rx.recv_async().await {
                    Ok(array) => {
                        assert!(array[0] > last, "{} after {last}", array[0]);
                        last = array[0];
                    }
                    Err(error) => {
                        assert_eq!(error, RecvError::Disconnected);
                        return last;
                    }
                }
            }
        });
        for n in 1..=200 {
            tx.send_async(array(n)).await.unwrap();
            if n % 16 == 0 {
                tokio::task::yield_now().await;
            }
        }
        drop(tx);
        assert_eq!(timeout(PATIENCE, task).await.unwrap().unwrap(), 200);
    });
}

#[test]
fn a_receive_that_is_given_up_loses_no_message() {
    let runtime = runtime();
    let (all, every) = broadcast_pair(2);
    let (newest, last) = latest_pair();
    runtime.block_on(async {
        for n in 0..5 {
            assert!(timeout(MOMENT, every.recv_async()).await.is_err());
            assert!(timeout(MOMENT, last.recv_async()).await.is_err());
            all.send_async(array(n)).await.unwrap();
            newest.send_async(array(n)).await.unwrap();
            assert_eq!(timeout(PATIENCE, every.recv_async()).await.unwrap().unwrap()[0], n);
            assert_eq!(timeout(PATIENCE, last.recv_async()).await.unwrap().unwrap()[0], n);
        }
    });
    let wakes = [Arc::<Count>::default(), Arc::default()];
    let mut waits = (Box::pin(every.recv_async()), Box::pin(last.recv_async()));
    assert!(poll(waits.0.as_mut(), &wakes[0]).is_pending());
    assert!(poll(waits.1.as_mut(), &wakes[1]).is_pending());
    all.send(array(42)).unwrap();
    newest.send(array(43)).unwrap();
    wakes.iter().for_each(|wakes| wakes.await_some());
    // Woken, and dropped before they were polled again.
    drop(waits);
    assert_eq!((every.try_recv().unwrap()[0], last.try_recv().unwrap()[0]), (42, 43));
}

#[test]
fn a_task_waits_at_its_own_place_whatever_others_have_yet_to_see() {
    let (tx, quick) = broadcast_pair(4);
    let slow = quick.resubscribe().unwrap();
    tx.send(array(1)).unwrap();
    assert_eq!(quick.recv().unwrap()[0], 1);
    let wakes = [Arc::<Count>::default(), Arc::default()];
    let mut waits = Box::pin(quick.recv_async());
    assert!(poll(waits.as_mut(), &wakes[0]).is_pending(), "the message is there for the slow one");
    let mut also_waits = Box::pin(slow.recv_async());
    assert!(
        matches!(poll(also_waits.as_mut(), &wakes[1]), Poll::Ready(Ok(array)) if array[0] == 1)
    );
    let mut also_waits = Box::pin(slow.recv_async());
    assert!(poll(also_waits.as_mut(), &wakes[1]).is_pending());
    assert_eq!(wakes[0].count(), 0);
    tx.send(array(2)).unwrap();
    wakes.iter().for_each(|wakes| wakes.await_some());
    assert_eq!(block_on(waits).unwrap()[0], 2);
    assert_eq!(block_on(also_waits).unwrap()[0], 2);
}

#[test]
fn a_send_to_all_waits_for_the_slowest_and_gives_the_message_back_if_given_up() {
    let (tx, quick) = broadcast_pair(1);
    let slow = quick.resubscribe().unwrap();
    let runtime = runtime();
    runtime.block_on(async {
        tx.send_async(array(1)).await.unwrap();
        assert_eq!(quick.recv_async().await.unwrap()[0], 1);
        let mut send = tx.send_async(array(2));
        assert!(timeout(MOMENT, &mut send).await.is_err());
        assert_eq!(send.into_inner().unwrap()[99], 2, "it comes back");
        let sent = tokio::spawn(async move {
            tx.send_async(array(3)).await.unwrap();
            tx
        });
        assert_eq!(slow.recv_async().await.unwrap()[0], 1);
        let tx = timeout(PATIENCE, sent).await.unwrap().unwrap();
        assert_eq!(quick.recv_async().await.unwrap()[0], 3, "2 was never sent");
        drop((quick, slow));
        assert!(matches!(tx.send_async(array(4)).await, Err(SendError::Disconnected(_))));
    });
}

#[test]
fn a_sender_that_drops_the_oldest_never_waits_in_a_task() {
    let name = unique("async-drops");
    let options = ChannelOptions::new(2).when_full(crossdock::channel::WhenFull::DropOldest);
    let tx = options.create_broadcast_sender::<Arrays>(&name).unwrap();
    let rx = broadcast::Receiver::<Arrays>::open(&name).unwrap();
    for n in 0..5 {
        let mut send = Box::pin(tx.send_async(array(n)));
        assert!(matches!(poll(send.as_mut(), &Arc::default()), Poll::Ready(Ok(()))));
    }
    assert_eq!(block_on(rx.recv_async()).unwrap()[0], 3);
    assert_eq!(rx.take_missed(), 3);
}

#[test]
fn neither_a_future_that_is_given_up_nor_one_that_is_leaked_keeps_the_name() {
    for _ in 0..50 {
        let (tx, rx) = broadcast_pair(1);
        let name = rx.name().to_owned();
        let mut waits = Box::pin(rx.recv_async());
        assert!(poll(waits.as_mut(), &Arc::default()).is_pending());
        drop(waits);
        let mut waits = Box::pin(rx.recv_async());
        assert!(poll(waits.as_mut(), &Arc::default()).is_pending());
        std::mem::forget(waits);
        drop((tx, rx));
        let gone = broadcast::Receiver::<Arrays>::open(&name).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
    }
}

#[test]
fn hold_an_end() {
    if !plays("hold_an_end") {
        return;
    }
    let tx = broadcast::Sender::<Arrays>::open("silent").unwrap();
    let newest = latest::Sender::<Arrays>::open("still").unwrap();
    let slow = broadcast::Receiver::<Arrays>::open("full").unwrap();
    say("open");
    await_cue();
    drop((tx, newest, slow));
}

#[test]
fn wait_for_those_who_are_killed() {
    if !plays("wait_for_those_who_are_killed") {
        return;
    }
    let every = broadcast::Receiver::<Arrays>::create("silent", 1).unwrap();
    let last = latest::Receiver::<Arrays>::create("still", 2).unwrap();
    let tx = broadcast::Sender::<Arrays>::create("full", 1).unwrap();
    let quick = broadcast::Receiver::<Arrays>::open("full").unwrap();
    say("made");
    await_cue();
    let runtime = runtime();
    runtime.block_on(async {
        tx.send_async(array(1)).await.unwrap();
        assert_eq!(quick.recv_async().await.unwrap()[0], 1);
        let every = tokio::spawn(async move { every.recv_async().await.map(drop) });
        let last = tokio::spawn(async move { last.recv_async().await.map(drop) });
        let sent = tokio::spawn(async move { tx.send_async(array(2)).await });
        say("wait");
        assert_eq!(every.await.unwrap(), Err(RecvError::Disconnected));
        assert_eq!(last.await.unwrap(), Err(RecvError::Disconnected));
        sent.await.unwrap().unwrap();
        assert_eq!(quick.recv_async().await.unwrap()[0], 2);
    });
    end(runtime);
    say("told");
}

#[test]
fn tasks_are_told_when_their_senders_are_killed_and_go_on_without_the_slow_one() {
    let lab = Lab::new();
    let mut waiter = lab.start("wait_for_those_who_are_killed");
    waiter.expect("made");
    let mut peer = lab.start("hold_an_end");
    peer.expect("open");
    waiter.cue();
    waiter.expect("wait");
    peer.kill();
    waiter.expect("told");
    waiter.finish();
}

#[test]
fn fork_while_tasks_wait() {
    if !plays("fork_while_tasks_wait") {
        return;
    }
    for _ in 0..20 {
        let (tx, rx) = broadcast_pair(1);
        let mut waits = Box::pin(rx.recv_async());
        assert!(poll(waits.as_mut(), &Arc::default()).is_pending());
        // SAFETY: the child does what this test is about and then ends without unwinding.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "fork failed");
        if pid == 0 {
            // The thread that watches may have had the receiver's place just then: for ever, in this child.
            let is_good = catch_unwind(AssertUnwindSafe(|| {
                match poll(waits.as_mut(), &Arc::default()) {
                    Poll::Ready(Err(RecvError::Failed(error))) => {
                        assert_eq!(error.kind(), ErrorKind::Forked);
                    }
                    other => panic!("{other:?}"),
                }
                drop(waits);
                assert_eq!((rx.lag(), rx.take_missed()), (0, 0));
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
        assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Empty);
    }
    say("well");
}

#[test]
fn a_forked_child_is_told_that_the_receiver_is_its_parents() {
    let lab = Lab::new();
    let mut parent = lab.start("fork_while_tasks_wait");
    parent.expect("well");
    parent.finish();
}
