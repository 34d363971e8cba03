//! Pools whose process runs out of descriptors while their workers die and answer: every task ends, and the pool goes on
//! when there are some again.
//!
//! Each scene is played in a process of its own, whose limits are its alone.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]
#![allow(unsafe_code, reason = "the standard library sends no signals")]

mod common;
#[path = "common/limits.rs"]
mod limits;

use common::PATIENCE;
use common::processes::{await_that, play, wait_for_ever};
use crossdock::ErrorKind;
use crossdock::process::executor::{Future, ResultTimeoutError};
use crossdock::process::{Pool, StartMethod};
use limits::limit_files;
use std::fs::File;
use std::time::Duration;

crossdock::process::init_before_main!();

fn square(x: u64) -> u64 {
    x * x
}

/// From now on this process gets no descriptor, not even the number of one that is closed; until this is dropped.
struct NoFiles(u64);

/// Those below are in use: the three that every process has.
const IN_USE: u64 = 3;

impl NoFiles {
    fn begin() -> Self {
        let before = limit_files(std::process::id(), IN_USE);
        assert!(File::open("/dev/null").is_err(), "there is no limit");
        Self(before)
    }
}

impl Drop for NoFiles {
    fn drop(&mut self) {
        limit_files(std::process::id(), self.0);
    }
}

/// Without a descriptor, which starting the command of that name takes.
fn kill(pid: u32) {
    let pid = libc::pid_t::try_from(pid).unwrap();
    // SAFETY: it takes two numbers.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0);
}

fn ready(pool: &Pool) -> usize {
    pool.stats().unwrap().workers.iter().filter(|worker| worker.is_ready).count()
}

/// A pool whose first worker waits for ever, and the future of that.
fn pool_with_a_victim(workers: usize) -> (Pool, Future<()>, u32) {
    let pool = Pool::options().workers(workers).start(StartMethod::ForkServer).build().unwrap();
    await_that("all are ready", || ready(&pool) == workers);
    let victim = pool.apply_async(wait_for_ever, ()).unwrap();
    let busy = || pool.stats().unwrap().workers.into_iter().find(|worker| worker.is_busy);
    await_that("it runs", || busy().is_some());
    let pid = busy().unwrap().pid.unwrap();
    (pool, victim, pid)
}

fn assert_killed(outcome: Result<(), ResultTimeoutError<()>>) {
    let Err(ResultTimeoutError::Failed(error)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(error.kind(), ErrorKind::Died, "{error}");
}

#[test]
fn a_death_is_told_though_the_process_of_the_pool_has_no_descriptors() {
    play(|()| {
        let (pool, future, pid) = pool_with_a_victim(2);
        let no_files = NoFiles::begin();
        kill(pid);
        // The other worker puts right what it was in the middle of.
        assert_killed(future.result_timeout(PATIENCE));
        assert_eq!(pool.apply(square, 3).unwrap(), 9);
        drop(no_files);
        await_that("it is at full strength again", || ready(&pool) == 2);
    });
}

#[test]
fn a_death_that_nobody_can_look_into_is_told_when_there_are_descriptors_again() {
    play(|()| {
        let (pool, future, pid) = pool_with_a_victim(1);
        let no_files = NoFiles::begin();
        kill(pid);
        await_that("it is seen", || pool.stats().unwrap().workers[0].pid.is_none());
        drop(no_files);
        assert_killed(future.result_timeout(PATIENCE));
        assert_eq!(pool.apply(square, 3).unwrap(), 9);
    });
}

#[test]
fn an_answer_that_cannot_be_received_arrives_when_there_are_descriptors_again() {
    play(|()| {
        let pool = Pool::options().workers(2).start(StartMethod::ForkServer).build().unwrap();
        let text = |len: usize| "x".repeat(len);
        assert_eq!(pool.apply(text, 3).unwrap(), "xxx");
        let no_files = NoFiles::begin();
        // It lies in memory that this process has not mapped.
        let future = pool.apply_async(text, 10_000).unwrap();
        let waited = future.result_timeout(Duration::from_millis(100));
        let Err(ResultTimeoutError::TimedOut(future)) = waited else { panic!("{waited:?}") };
        // What came before it, or comes from another worker, waits behind it.
        let next = pool.apply_async(text, 5).unwrap();
        drop(no_files);
        assert_eq!(future.result().unwrap().len(), 10_000);
        assert_eq!(next.result().unwrap(), "xxxxx");
    });
}

#[test]
fn a_pool_that_never_has_descriptors_again_says_so() {
    play(|()| {
        let (pool, future, pid) = pool_with_a_victim(1);
        let next = pool.apply_async(square, 2).unwrap();
        let _no_files = NoFiles::begin();
        kill(pid);
        let error = future.result().unwrap_err();
        // Another program of this user may have put things right.
        let kinds = [ErrorKind::LimitExceeded, ErrorKind::Died];
        assert!(kinds.contains(&error.kind()), "{error}");
        let error = next.result().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
        assert!(error.to_string().contains("os error 24"), "{error}");
        assert_eq!(pool.apply(square, 3).unwrap_err().kind(), ErrorKind::LimitExceeded);
    });
}
