//! What receiving and sending in async tasks promise, under tokio and without.
#![cfg(feature = "async")]
#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;
mod tasks;

use common::{Lab, PATIENCE, plays, say, unique};
use crossdock::channel::{Receiver, RecvError};
use crossdock::{Array, ErrorKind, arena};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};
use tasks::{Count, array, await_watchers, block_on, end, pair, runtime, watchers};
use tokio::time::timeout;

const MOMENT: Duration = Duration::from_millis(40);

#[test]
fn any_executor_will_do() {
    let (tx, rx) = pair(1);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..200 {
                block_on(tx.send_async(array(n))).unwrap();
            }
        });
        for n in 0..200 {
            assert_eq!(block_on(rx.recv_async()).unwrap()[0], n);
        }
    });
    drop(tx);
    assert_eq!(block_on(rx.recv_async()), Err(RecvError::Disconnected));
}

#[test]
fn a_receive_that_is_given_up_loses_no_message() {
    let (tx, rx) = pair(2);
    let runtime = runtime();
    runtime.block_on(async {
        for n in 0..10 {
            let start = Instant::now();
            assert!(timeout(MOMENT, rx.recv_async()).await.is_err());
            assert!(start.elapsed() >= MOMENT);
            tx.send_async(array(n)).await.unwrap();
            assert_eq!(timeout(PATIENCE, rx.recv_async()).await.unwrap().unwrap()[0], n);
        }
    });
    let mut waits = Box::pin(rx.recv_async());
    let wakes = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&wakes));
    assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    tx.send(array(42)).unwrap();
    wakes.await_some();
    // Woken, and dropped before it was polled again.
    drop(waits);
    assert_eq!(rx.recv().unwrap()[0], 42);
}

#[test]
fn a_wake_up_of_a_task_that_gives_up_goes_to_the_next() {
    for _ in 0..50 {
        let (tx, rx) = pair(2);
        let wakes = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut waits = Box::pin(rx.recv_async());
        assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        thread::scope(|scope| {
            let blocked = scope.spawn(|| rx.recv().unwrap()[0]);
            tx.send(array(3)).unwrap();
            // Whether it is woken or not, and before or after this: the message goes to the thread.
            drop(waits);
            assert_eq!(blocked.join().unwrap(), 3);
        });
    }
}

#[test]
fn give_up_sends() {
    if !plays("give_up_sends") {
        return;
    }
    let (tx, rx) = pair(1);
    tx.send(array(1)).unwrap();
    let runtime = runtime();
    runtime.block_on(async {
        let mut send = tx.send_async(array(2));
        assert!(timeout(MOMENT, &mut send).await.is_err());
        assert_eq!(arena::stats().unwrap().held_chunks, 2);
        assert_eq!(send.into_inner().unwrap()[99], 2, "it comes back");
        assert!(timeout(MOMENT, tx.send_async(array(3))).await.is_err());
        assert_eq!(arena::stats().unwrap().held_chunks, 1, "only the first is anywhere");
        assert_eq!(rx.recv_async().await.unwrap()[0], 1);
        tx.send_async(array(4)).await.unwrap();
        assert_eq!(rx.recv_async().await.unwrap()[0], 4, "neither 2 nor 3");
    });
    assert!(rx.is_empty());
    end(runtime);
    say("given up");
}

#[test]
fn a_send_that_is_given_up_sends_nothing_and_gives_the_message_back() {
    let lab = Lab::new();
    let mut actor = lab.start("give_up_sends");
    actor.expect("given up");
    actor.finish();
}

#[test]
fn every_message_goes_to_one_of_many_tasks_and_one_thread_watches() {
    let runtime = runtime();
    runtime.block_on(async {
        let mut tasks = Vec::new();
        let mut senders = Vec::new();
        for _ in 0..10 {
            let (tx, rx) = pair(2);
            for _ in 0..5 {
                let rx = rx.clone();
                tasks.push(tokio::spawn(async move {
                    let mut sum = 0_u64;
                    while let Ok(array) = rx.recv_async().await {
                        sum += u64::from(array[0]);
                    }
                    sum
                }));
            }
            senders.push(tokio::spawn(async move {
                for n in 0..200 {
                    tx.send_async(array(n)).await.unwrap();
                }
            }));
        }
        for sender in senders {
            sender.await.unwrap();
            assert!(watchers() <= 2, "one, or one that ends and one that begins");
        }
        let mut sum = 0;
        for task in tasks {
            sum += timeout(PATIENCE, task).await.unwrap().unwrap();
        }
        assert_eq!(sum, 10 * (0..200).sum::<u64>());
    });
}

#[test]
fn more_channels_than_the_kernel_sleeps_on_are_served() {
    let runtime = runtime();
    runtime.block_on(async {
        let pairs: Vec<_> = (0..150).map(|_| pair(1)).collect();
        let (senders, receivers): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let tasks: Vec<_> = receivers
            .into_iter()
            .map(|rx| tokio::spawn(async move { rx.recv_async().await.map(|array| array[0]) }))
            .collect();
        for (n, tx) in senders.iter().enumerate().rev() {
            tx.send_async(array(u8::try_from(n).unwrap())).await.unwrap();
        }
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(usize::from(timeout(PATIENCE, task).await.unwrap().unwrap().unwrap()), n);
        }
    });
}

#[test]
fn the_last_handle_takes_the_name_along_though_the_thread_was_just_using_it() {
    for _ in 0..100 {
        let name = unique("name");
        let rx = Receiver::<Array<u8>>::create(&name, 1).unwrap();
        let mut waits = Box::pin(rx.recv_async());
        assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(waits);
        drop(rx);
        assert_eq!(Receiver::<Array<u8>>::open(&name).unwrap_err().kind(), ErrorKind::NotFound);
        // Nor does a future that is leaked keep it.
        let rx = Receiver::<Array<u8>>::create(&name, 1).unwrap();
        let mut waits = Box::pin(rx.recv_async());
        assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        std::mem::forget(waits);
        drop(rx);
        assert_eq!(Receiver::<Array<u8>>::open(&name).unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[test]
fn watch_and_idle() {
    if !plays("watch_and_idle") {
        return;
    }
    let (tx, rx) = pair(1);
    for n in 0..2 {
        let mut waits = Box::pin(rx.recv_async());
        let mut context = Context::from_waker(Waker::noop());
        assert!(waits.as_mut().poll(&mut context).is_pending());
        await_watchers(1);
        tx.send(array(n)).unwrap();
        assert_eq!(block_on(waits).unwrap()[0], n);
        await_watchers(0);
    }
    say("idle");
}

#[test]
fn the_thread_ends_when_nobody_waits_and_starts_again() {
    let lab = Lab::new();
    let mut actor = lab.start("watch_and_idle");
    actor.expect("idle");
    actor.finish();
}

#[test]
fn futures_can_be_moved_to_other_threads_and_seen() {
    fn is_send<T: Send>(_: &T) {}
    let (tx, rx) = pair(1);
    let (send, recv) = (tx.send_async(array(1)), rx.recv_async());
    is_send(&send);
    is_send(&recv);
    assert!(format!("{recv:?}").starts_with("RecvFuture { receiver: Receiver {"));
    assert!(format!("{send:?}").ends_with("is_sent: false }"));
}
