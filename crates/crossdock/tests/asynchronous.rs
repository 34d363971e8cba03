//! Receiving and sending in async tasks, under tokio and without, with real processes.
#![cfg(feature = "async")]
#![allow(unsafe_code, reason = "fork is part of what is tested")]
#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::{Actor, Lab, PATIENCE, await_cue, plays, say, unique};
use crossdock::channel::{Receiver, RecvError, SendError, Sender};
use crossdock::{Array, ArrayMut, ErrorKind, arena};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

const MESSAGES: u64 = 3000;
const MOMENT: Duration = Duration::from_millis(40);

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

/// The runtime's threads are joined, but the system may still list them, and a process in which threads may
/// be at work does not tidy up after itself.
fn end(runtime: Runtime) {
    drop(runtime);
    let is_of_runtime = |name: &String| name.starts_with("tokio");
    let end = Instant::now() + PATIENCE;
    while thread_names().iter().any(is_of_runtime) {
        assert!(Instant::now() < end, "the runtime does not end");
        thread::yield_now();
    }
}

fn thread_names() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    // A thread may end while it is looked at.
    tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok()).collect()
}

fn watchers() -> usize {
    thread_names().iter().filter(|name| name.trim() == "crossdock-async").count()
}

fn await_watchers(count: usize) {
    let end = Instant::now() + PATIENCE;
    while watchers() != count {
        assert!(Instant::now() < end, "{} threads wait for tasks, not {count}", watchers());
        // Only bounds how often the list of threads is read.
        thread::sleep(Duration::from_millis(2));
    }
}

fn array(value: u8) -> Array<u8> {
    Array::from_slice(&[value; 100]).unwrap()
}

fn pair(capacity: usize) -> (Sender<Array<u8>>, Receiver<Array<u8>>) {
    let name = unique("async");
    (Sender::create(&name, capacity).unwrap(), Receiver::open(&name).unwrap())
}

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

/// An executor of a few lines: nothing here needs tokio.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

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

/// A waker that only counts.
#[derive(Default)]
struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

impl Count {
    fn await_some(&self) {
        let end = Instant::now() + PATIENCE;
        while self.0.load(Ordering::Acquire) == 0 {
            assert!(Instant::now() < end, "the task is never woken");
            thread::yield_now();
        }
    }
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
