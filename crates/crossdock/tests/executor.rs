//! The same suite over every executor, and what futures promise whoever makes them come true.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::PATIENCE;
use crossdock::process::executor::{
    Executor, Future, InlineExecutor, Shutdown, WaitFor, as_completed, wait,
};
use crossdock::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

fn square(x: u64) -> u64 {
    x * x
}

fn inverse(x: u64) -> u64 {
    1000 / x
}

fn submit_all(executor: &impl Executor, xs: std::ops::Range<u64>) -> Vec<Future<u64>> {
    xs.map(|x| executor.submit(square, x).unwrap()).collect()
}

fn results_come_in_the_order_of_the_arguments(executor: &impl Executor) {
    let squares: Vec<_> = executor.map(square, 0..500).collect::<Result<_>>().unwrap();
    assert_eq!(squares, (0..500).map(square).collect::<Vec<_>>());
    let words = executor.map(|word: String| word.len(), ["a".to_owned(), "bcd".to_owned()]);
    assert_eq!(words.collect::<Result<Vec<_>>>().unwrap(), [1, 3]);
}

fn an_endless_iterator_is_not_read_without_limit(executor: &impl Executor) {
    let read = AtomicUsize::new(0);
    let endless = (0..).inspect(|_| {
        read.fetch_add(1, Ordering::Relaxed);
    });
    let first: Vec<_> = executor.map(square, endless).take(3).collect::<Result<_>>().unwrap();
    assert_eq!(first, [0, 1, 4]);
    assert!(read.load(Ordering::Relaxed) <= 3 + executor.ahead());
}

fn a_panic_is_the_error_of_its_own_future(executor: &impl Executor) {
    let outcomes: Vec<_> = executor.map(inverse, 0..4).collect();
    assert!(outcomes[1..].iter().all(Result::is_ok));
    let error = outcomes[0].as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert_eq!(error.panic().unwrap().message(), "attempt to divide by zero");
    let future = executor.submit(inverse, 0).unwrap();
    assert_eq!(future.exception().unwrap().kind(), ErrorKind::Panicked);
    assert!(future.done() && !future.running() && !future.cancelled() && !future.cancel());
    assert_eq!(future.result().unwrap_err().kind(), ErrorKind::Panicked, "asked again");
}

fn an_error_that_nobody_asks_for_harms_nobody(executor: &impl Executor) {
    for _ in 0..20 {
        drop(executor.submit(inverse, 0).unwrap());
    }
    assert_eq!(executor.submit(square, 3).unwrap().result().unwrap(), 9);
}

fn each_future_is_completed_once(executor: &impl Executor) {
    let mut squares: Vec<_> = as_completed(submit_all(executor, 0..50))
        .map(|future| future.result_timeout(Duration::ZERO).unwrap())
        .collect();
    squares.sort_unstable();
    assert_eq!(squares, (0..50).map(square).collect::<Vec<_>>());
    let mut none = as_completed(Vec::<Future<u64>>::new());
    assert!(none.next_timeout(Duration::ZERO).unwrap().is_none());
}

fn one_waits_for_the_first_or_for_all(executor: &impl Executor) {
    let waited = wait(submit_all(executor, 0..20), WaitFor::AllCompleted, Some(PATIENCE));
    assert_eq!((waited.done.len(), waited.not_done.len()), (20, 0));
    let squares = waited.done.into_iter().map(Future::result).collect::<Result<Vec<_>>>();
    assert_eq!(squares.unwrap(), (0..20).map(square).collect::<Vec<_>>());

    let waited = wait(submit_all(executor, 0..20), WaitFor::FirstCompleted, Some(PATIENCE));
    assert!(!waited.done.is_empty());
    assert_eq!(waited.done.len() + waited.not_done.len(), 20);

    let mut futures = submit_all(executor, 0..5);
    futures.push(executor.submit(inverse, 0).unwrap());
    let waited = wait(futures, WaitFor::FirstException, Some(PATIENCE));
    let failed = waited.done.iter().filter(|future| future.exception().is_some());
    assert_eq!(failed.count(), 1);

    let none = wait(Vec::<Future<u64>>::new(), WaitFor::FirstCompleted, None);
    assert!(none.done.is_empty() && none.not_done.is_empty());
}

fn callbacks_have_run_when_the_result_is_there(executor: &impl Executor) {
    let calls = Arc::new(AtomicUsize::new(0));
    for x in 0..20 {
        let mut future = executor.submit(inverse, x).unwrap();
        for _ in 0..3 {
            let calls = Arc::clone(&calls);
            future.add_done_callback(move |outcome| {
                assert_eq!(outcome.is_ok(), x > 0);
                calls.fetch_add(1, Ordering::Relaxed);
            });
        }
        assert_eq!(future.result().is_ok(), x > 0);
        assert_eq!(calls.load(Ordering::Relaxed) as u64, 3 * (x + 1));
    }
}

fn a_callback_that_panics_harms_nobody(executor: &impl Executor) {
    let mut future = executor.submit(square, 4).unwrap();
    future.add_done_callback(|_| std::panic::resume_unwind(Box::new("on purpose")));
    let (tx, rx) = channel();
    future.add_done_callback(move |_| tx.send(()).unwrap());
    assert_eq!(future.result().unwrap(), 16);
    rx.recv_timeout(PATIENCE).unwrap();
    assert_eq!(executor.submit(square, 5).unwrap().result().unwrap(), 25);
}

fn a_future_can_be_awaited(executor: &impl Executor) {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut sum = Box::pin(async {
        let (a, b) = (executor.submit(square, 3)?, executor.submit(square, 4)?);
        Ok::<_, Error>(a.await? + b.await?)
    });
    let sum = loop {
        match sum.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(sum) => break sum,
            Poll::Pending => std::thread::park_timeout(PATIENCE),
        }
    };
    assert_eq!(sum.unwrap(), 25);
}

fn tasks_come_from_several_threads(executor: &(impl Executor + Sync)) {
    std::thread::scope(|scope| {
        let work = |from: u64| {
            move || {
                for x in from..from + 200 {
                    assert_eq!(executor.submit(square, x).unwrap().result().unwrap(), x * x);
                }
            }
        };
        let threads: Vec<_> = (0..4).map(|n| scope.spawn(work(1000 * n))).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

fn after_the_shutdown_nothing_is_taken(executor: &impl Executor) {
    let futures = submit_all(executor, 0..20);
    executor.shutdown(Shutdown::default());
    assert!(futures.iter().all(Future::done));
    assert_eq!(executor.submit(square, 1).unwrap_err().kind(), ErrorKind::Closed);
    let outcomes: Vec<_> = executor.map(square, 0..).collect();
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes[0].as_ref().unwrap_err().kind(), ErrorKind::Closed);
    executor.shutdown(Shutdown { cancel_futures: true, ..Shutdown::default() });
}

fn suite(executor: &(impl Executor + Sync)) {
    results_come_in_the_order_of_the_arguments(executor);
    an_endless_iterator_is_not_read_without_limit(executor);
    a_panic_is_the_error_of_its_own_future(executor);
    an_error_that_nobody_asks_for_harms_nobody(executor);
    each_future_is_completed_once(executor);
    one_waits_for_the_first_or_for_all(executor);
    callbacks_have_run_when_the_result_is_there(executor);
    a_callback_that_panics_harms_nobody(executor);
    a_future_can_be_awaited(executor);
    tasks_come_from_several_threads(executor);
    after_the_shutdown_nothing_is_taken(executor);
}

#[test]
fn the_calling_thread_is_an_executor() {
    suite(&InlineExecutor::new());
}

#[cfg(feature = "rayon")]
mod threads {
    use super::*;
    use crossdock::process::executor::{ResultTimeoutError, ThreadExecutor};
    use std::sync::{Condvar, Mutex};

    /// Tasks wait here until a test lets them go on; the number of those that have come.
    #[derive(Default)]
    struct Barrier {
        state: Mutex<(usize, bool)>,
        changed: Condvar,
    }

    impl Barrier {
        const fn new() -> Self {
            Self { state: Mutex::new((0, false)), changed: Condvar::new() }
        }

        fn pass(&self) {
            let mut state = self.state.lock().unwrap();
            state.0 += 1;
            self.changed.notify_all();
            drop(self.changed.wait_while(state, |state| !state.1).unwrap());
        }

        fn await_one(&self) {
            let state = self.state.lock().unwrap();
            drop(self.changed.wait_while(state, |state| state.0 == 0).unwrap());
        }

        fn open(&self) {
            self.state.lock().unwrap().1 = true;
            self.changed.notify_all();
        }
    }

    #[test]
    fn the_threads_of_rayon_are_an_executor() {
        suite(&ThreadExecutor::new(3).unwrap());
    }

    #[test]
    fn what_has_not_begun_can_be_cancelled_and_waits_have_an_end() {
        static GATE: Barrier = Barrier::new();
        let pass = |x: u64| {
            GATE.pass();
            x
        };
        let executor = ThreadExecutor::new(1).unwrap();
        let first = executor.submit(pass, 1).unwrap();
        let mut second = executor.submit(square, 2).unwrap();
        let third = executor.submit(square, 3).unwrap();
        GATE.await_one();

        assert!(first.running() && !first.cancel());
        assert!(!first.wait_timeout(Duration::ZERO));
        let error = first.exception_timeout(Duration::from_millis(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let late = first.result_timeout(Duration::from_millis(1));
        let Err(ResultTimeoutError::TimedOut(first)) = late else { panic!("{late:?}") };

        let (tx, rx) = channel();
        second.add_done_callback(move |outcome| {
            tx.send(outcome.as_ref().unwrap_err().kind()).unwrap();
        });
        assert!(!second.done());
        assert!(second.cancel() && second.cancelled() && second.cancel());
        assert_eq!(rx.recv().unwrap(), ErrorKind::Cancelled);
        assert_eq!(second.result().unwrap_err().kind(), ErrorKind::Cancelled);

        let waited = wait([first, third], WaitFor::FirstCompleted, Some(Duration::from_millis(1)));
        assert_eq!((waited.done.len(), waited.not_done.len()), (0, 2));
        let mut ends = as_completed(waited.not_done);
        let error = ends.next_timeout(Duration::from_millis(1)).unwrap_err();
        assert_eq!((error.kind(), ends.len()), (ErrorKind::TimedOut, 2));
        let mut late = executor.map_timeout(square, 0..9, Duration::from_millis(1));
        assert_eq!(late.next().unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(late.next().is_none());

        GATE.open();
        assert_eq!(ends.by_ref().count(), 2);
    }

    #[test]
    fn a_shutdown_can_cancel_what_has_not_begun() {
        static GATE: Barrier = Barrier::new();
        let executor = ThreadExecutor::new(1).unwrap();
        let first = executor.submit(|()| GATE.pass(), ()).unwrap();
        let second = executor.submit(square, 2).unwrap();
        GATE.await_one();
        executor.shutdown(Shutdown { wait: false, cancel_futures: true });
        assert!(second.cancelled() && first.running());
        GATE.open();
        executor.shutdown(Shutdown::default());
        assert!(first.done());
        first.result().unwrap();
    }
}

mod processes {
    use super::*;
    use crossdock::process::{Pool, StartMethod};

    crossdock::process::init_before_main!();

    #[test]
    fn a_pool_of_processes_is_an_executor() {
        suite(&Pool::new(2).unwrap());
        suite(&Pool::options().workers(3).start(StartMethod::ForkServer).build().unwrap());
    }
}
