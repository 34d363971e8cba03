//! What happens where results arrive: types that panic or take their time, callbacks that come late or wait for others.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::PATIENCE;
use common::processes::{await_that, is_there, wait_for_ever};
use crossdock::ErrorKind;
use crossdock::process::executor::{Executor, Shutdown};
use crossdock::process::{Pool, StartMethod};
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

crossdock::process::init_before_main!();

fn square(x: u64) -> u64 {
    x * x
}

fn new_pool(workers: usize) -> Pool {
    Pool::options().workers(workers).start(StartMethod::ForkServer).build().unwrap()
}

fn die(_: ()) {
    std::process::exit(3)
}

#[derive(Serialize, Debug)]
struct Unreadable(u8);

impl<'de> Deserialize<'de> for Unreadable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u8::deserialize(deserializer)?;
        std::panic::resume_unwind(Box::new("never to be read"))
    }
}

#[test]
fn a_result_whose_type_panics_where_it_is_read_is_an_error_that_says_so() {
    let pool = new_pool(1);
    let single = pool.apply(|x: u8| Unreadable(x), 1).unwrap_err();
    let several = pool.map(|x: u8| Unreadable(x), [1, 2]).unwrap_err();
    for error in [single, several] {
        assert_eq!(error.kind(), ErrorKind::Panicked, "{error}");
        assert_eq!(error.panic().unwrap().message(), "never to be read");
        assert!(error.to_string().contains("Unreadable"), "{error}");
    }
    assert_eq!(pool.apply(square, 3).unwrap(), 9);
}

/// How far the result of a test is: being read, and to be read on.
static READING: AtomicU32 = AtomicU32::new(0);

#[derive(Serialize, Debug)]
struct Slow;

impl<'de> Deserialize<'de> for Slow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <()>::deserialize(deserializer)?;
        READING.store(1, Ordering::SeqCst);
        await_that("it may go on", || READING.load(Ordering::SeqCst) == 2);
        Ok(Self)
    }
}

#[test]
fn a_callback_that_comes_with_the_result_may_wait_for_other_tasks() {
    let pool = Arc::new(new_pool(2));
    let (tx, rx) = mpsc::channel();
    let mut future = pool.apply_async(|()| Slow, ()).unwrap();
    await_that("the result is there", || READING.load(Ordering::SeqCst) == 1);
    let same = Arc::clone(&pool);
    future.add_done_callback(move |_| tx.send(same.apply(square, 3).unwrap()).unwrap());
    READING.store(2, Ordering::SeqCst);
    assert_eq!(rx.recv_timeout(PATIENCE).unwrap(), 9);
    future.result().unwrap();
}

#[test]
fn a_callback_of_a_task_whose_only_worker_died_may_try_it_again() {
    let pool = Arc::new(new_pool(1));
    let (tx, rx) = mpsc::channel();
    let mut future = pool.apply_async(die, ()).unwrap();
    let same = Arc::clone(&pool);
    future.add_done_callback(move |outcome| {
        let kind = outcome.as_ref().unwrap_err().kind();
        tx.send((kind, same.apply(square, 4).unwrap())).unwrap();
    });
    assert_eq!(rx.recv_timeout(PATIENCE).unwrap(), (ErrorKind::Died, 16));
    assert_eq!(future.result().unwrap_err().kind(), ErrorKind::Died);
}

#[test]
fn a_callback_can_wait_for_the_end_of_another_pool_and_not_for_that_of_its_own() {
    let (other, pool) = (new_pool(1), Arc::new(new_pool(1)));
    let (tx, rx) = mpsc::channel();
    let mut future = pool.apply_async(square, 1).unwrap();
    let same = Arc::clone(&pool);
    future.add_done_callback(move |_| {
        let futures: Vec<_> = (0..500).map(|x| other.apply_async(square, x).unwrap()).collect();
        other.shutdown(Shutdown::default());
        let done = futures.iter().filter(|future| future.done()).count();
        let pids: Vec<_> = other.stats().unwrap().workers.iter().filter_map(|w| w.pid).collect();
        other.join().unwrap();
        // This would wait for this very callback.
        same.shutdown(Shutdown::default());
        tx.send((done, pids.into_iter().filter(|pid| is_there(*pid)).count())).unwrap();
    });
    assert_eq!(future.result().unwrap(), 1);
    assert_eq!(rx.recv_timeout(PATIENCE).unwrap(), (500, 0));
}

#[test]
fn a_callback_of_a_task_that_always_kills_its_worker_may_try_it_again() {
    let pool = Arc::new(new_pool(1));
    let (tx, rx) = mpsc::channel();
    let mut future = pool.apply_async(die, ()).unwrap();
    let same = Arc::clone(&pool);
    future.add_done_callback(move |_| {
        let mut again = same.apply_async(die, ()).unwrap();
        let (inner, seen) = mpsc::channel();
        again.add_done_callback(move |outcome| inner.send(outcome.is_err()).unwrap());
        let kind = again.result().unwrap_err().kind();
        tx.send((kind, seen.try_recv().unwrap())).unwrap();
    });
    assert_eq!(rx.recv_timeout(PATIENCE).unwrap(), (ErrorKind::Died, true));
    // The callback has let go of the pool then.
    assert_eq!(future.result().unwrap_err().kind(), ErrorKind::Died);
}

#[test]
fn a_task_that_a_callback_waits_for_has_its_limit() {
    let pool = Arc::new(new_pool(2));
    let (tx, rx) = mpsc::channel();
    let mut future = pool.apply_async(square, 2).unwrap();
    let same = Arc::clone(&pool);
    future.add_done_callback(move |_| {
        let calls = same.calls().timeout(Duration::from_millis(30));
        let mut late = calls.apply_async(wait_for_ever, ()).unwrap();
        late.add_done_callback(|outcome| assert!(outcome.is_err()));
        tx.send(late.result().unwrap_err().kind()).unwrap();
    });
    assert_eq!(rx.recv_timeout(PATIENCE).unwrap(), ErrorKind::TimedOut);
    // The callback has let go of the pool then.
    assert_eq!(future.result().unwrap(), 4);
}

#[test]
fn callbacks_may_wait_for_tasks_that_are_ended_with_theirs() {
    let pool = new_pool(1);
    let (tx, rx) = mpsc::channel();
    let futures = (0..8).map(|_| pool.apply_async(wait_for_ever, ()).unwrap());
    let first = futures.collect::<Vec<_>>().into_iter().rev().reduce(|next, mut future| {
        let tx = tx.clone();
        future.add_done_callback(move |_| tx.send(next.result().unwrap_err().kind()).unwrap());
        future
    });
    pool.terminate();
    for _ in 1..8 {
        assert_eq!(rx.recv_timeout(PATIENCE).unwrap(), ErrorKind::Cancelled);
    }
    assert_eq!(first.unwrap().result().unwrap_err().kind(), ErrorKind::Cancelled);
}
