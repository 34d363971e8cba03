//! What the tests of async tasks share.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

use crate::common::{PATIENCE, unique};
use crossdock::Array;
use crossdock::channel::{Receiver, Sender};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

/// The runtime's threads are joined, but the system may still list them, and a process in which threads may
/// be at work does not tidy up after itself.
pub(crate) fn end(runtime: Runtime) {
    drop(runtime);
    let is_of_runtime = |name: &String| name.starts_with("tokio");
    let end = Instant::now() + PATIENCE;
    while thread_names().iter().any(is_of_runtime) {
        assert!(Instant::now() < end, "the runtime does not end");
        thread::yield_now();
    }
}

pub(crate) fn thread_names() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    // A thread may end while it is looked at.
    tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok()).collect()
}

pub(crate) fn watchers() -> usize {
    thread_names().iter().filter(|name| name.trim() == "crossdock-async").count()
}

pub(crate) fn await_watchers(count: usize) {
    let end = Instant::now() + PATIENCE;
    while watchers() != count {
        assert!(Instant::now() < end, "{} threads wait for tasks, not {count}", watchers());
        // Only bounds how often the list of threads is read.
        thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn array(value: u8) -> Array<u8> {
    Array::from_slice(&[value; 100]).unwrap()
}

pub(crate) fn pair(capacity: usize) -> (Sender<Array<u8>>, Receiver<Array<u8>>) {
    let name = unique("async");
    (Sender::create(&name, capacity).unwrap(), Receiver::open(&name).unwrap())
}

/// An executor of a few lines: nothing here needs tokio.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
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

/// A waker that only counts.
#[derive(Default)]
pub(crate) struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

impl Count {
    pub(crate) fn count(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn await_some(&self) {
        let end = Instant::now() + PATIENCE;
        while self.count() == 0 {
            assert!(Instant::now() < end, "the task is never woken");
            thread::yield_now();
        }
    }
}
