//! Pools whose process runs out of descriptors while their workers die and answer: every task ends, and the pool goes on
//! when there are some again.
//!
//! Each scene is played in a process of its own, whose limits are its alone.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]
#![allow(unsafe_code, reason = "the standard library sets no limits")]

use crossdock::ErrorKind;
use crossdock::process::executor::{Future, ResultTimeoutError};
use crossdock::process::{Pool, Process, StartMethod};
use std::fs::File;
use std::time::{Duration, Instant};

crossdock::process::init_before_main!();

/// Never reached by a correct program.
const PATIENCE: Duration = Duration::from_secs(60);

fn square(x: u64) -> u64 {
    x * x
}

/// Ends only when it is killed, unless it is forgotten by a test that has failed.
fn wait_for_ever(_: ()) {
    let end = Instant::now() + 2 * PATIENCE;
    while Instant::now() < end {
        std::thread::park_timeout(PATIENCE);
    }
}

fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what}: never");
        // Only bounds how often it is looked at.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Plays a scene in a process of its own.
fn play(scene: impl Fn(()) + Copy + Send + 'static) {
    Process::spawn(scene, ()).unwrap().join_timeout(2 * PATIENCE).unwrap();
}

/// From now on this process gets no descriptor, not even the number of one that is closed; until this is dropped.
struct NoFiles(libc::rlim_t);

/// Those below are in use: the three that every process has.
const IN_USE: libc::rlim_t = 3;

impl NoFiles {
    fn begin() -> Self {
        let before = limit_files(IN_USE);
        assert!(File::open("/dev/null").is_err(), "there is no limit");
        Self(before)
    }
}

impl Drop for NoFiles {
    fn drop(&mut self) {
        limit_files(self.0);
    }
}

/// Sets how many descriptors there may be; how many that were before.
fn limit_files(count: libc::rlim_t) -> libc::rlim_t {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit may be written.
    let got = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    assert_eq!(got, 0, "{}", std::io::Error::last_os_error());
    let before = std::mem::replace(&mut limit.rlim_cur, count);
    // SAFETY: the limit is valid.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    before
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
