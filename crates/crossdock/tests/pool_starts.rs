//! Pools whose workers do not get as far as working: some come, none come, or none can take what there is to do.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::processes::{await_that, kill};
use crossdock::process::{Pool, StartMethod};
use crossdock::{Array, ArrayMut, ErrorKind};
use std::path::{Path, PathBuf};

crossdock::process::init_before_main!();

fn square(x: u64) -> u64 {
    x * x
}

fn ready(pool: &Pool) -> usize {
    pool.stats().unwrap().workers.iter().filter(|worker| worker.is_ready).count()
}

/// While it is there, no worker of the test comes to be.
struct Obstacle(PathBuf);

impl Obstacle {
    fn path(test: &str) -> String {
        let name = format!("crossdock-{test}-{}", std::process::id());
        std::env::temp_dir().join(name).to_str().unwrap().to_owned()
    }

    fn put(path: &str) -> Self {
        std::fs::write(path, "").unwrap();
        Self(path.into())
    }
}

impl Drop for Obstacle {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

/// An initializer.
fn fall_over(obstacle: String) {
    if Path::new(&obstacle).exists() {
        std::process::exit(7);
    }
}

#[test]
fn a_worker_that_cannot_be_replaced_ends_no_pool_in_which_another_one_works() {
    let path = Obstacle::path("alone");
    let options = Pool::options().workers(2).start(StartMethod::ForkServer);
    let pool = options.initializer(fall_over, path.clone()).build().unwrap();
    await_that("both are ready", || ready(&pool) == 2);
    let obstacle = Obstacle::put(&path);
    kill(pool.stats().unwrap().workers[0].pid.unwrap());
    // As many as would end a pool in which nobody works.
    await_that("it is hopeless", || pool.stats().unwrap().restarts > 14);
    for x in 0..100 {
        assert_eq!(pool.apply(square, x).unwrap(), x * x);
    }
    drop(obstacle);
    await_that("it is at full strength again", || ready(&pool) == 2);
    pool.join().unwrap();
}

#[test]
#[allow(unsafe_code, reason = "the standard library sets no limits")]
fn a_task_that_no_worker_can_take_is_an_error_and_not_tried_for_ever() {
    const BYTES: usize = 64 << 20;
    /// An initializer: there is no room for the array from then on.
    fn cramp(_: ()) {
        let sizes = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = sizes.split(' ').next().unwrap().parse().unwrap();
        let room = pages * 4096 + BYTES as u64 / 2;
        let limit = libc::rlimit { rlim_cur: room, rlim_max: room };
        // SAFETY: the limit is valid.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
    }
    let options = Pool::options().workers(2).start(StartMethod::ForkServer);
    let pool = options.initializer(cramp, ()).build().unwrap();
    assert_eq!(pool.apply(square, 5).unwrap(), 25);
    let array = ArrayMut::<u8>::zeroed(BYTES).unwrap().freeze();
    let error = pool.apply(|array: Array<u8>| array.len(), array).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("cannot work"), "{error}");
}
