//! Waiting for several futures.

use super::cell::left;
use super::future::{Driver, Future, Waiter};
use crate::error::{Error, ErrorKind, Result};
use crossdock_sys::clock::Deadline;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::Thread;
use std::time::Duration;

/// What [`wait`] waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WaitFor {
    /// That one of them has ended.
    FirstCompleted,
    /// That one of them has failed or was cancelled, or all have ended.
    FirstException,
    /// That all have ended.
    #[default]
    AllCompleted,
}

/// What has become of futures that were waited for: see [`wait`].
#[derive(Debug)]
pub struct Waited<R> {
    /// Those that have ended.
    pub done: Vec<Future<R>>,
    /// Those that have not.
    pub not_done: Vec<Future<R>>,
}

/// Waits for futures, for at most `timeout` if there is one, and says which of them have ended. Each list is in the
/// order in which they were given.
///
/// # Examples
///
/// ```
/// use crossdock::process::executor::{Executor, InlineExecutor, WaitFor, wait};
///
/// let executor = InlineExecutor::new();
/// let futures = (0..3).map(|x: u32| executor.submit(|x| 6 / x, x));
/// let futures = futures.collect::<crossdock::Result<Vec<_>>>()?;
/// let waited = wait(futures, WaitFor::AllCompleted, None);
/// assert_eq!((waited.done.len(), waited.not_done.len()), (3, 0));
/// assert!(waited.done[0].exception().is_some()); // by zero
/// # Ok::<(), crossdock::Error>(())
/// ```
#[must_use = "the futures come back in it"]
pub fn wait<R>(
    futures: impl IntoIterator<Item = Future<R>>,
    wait_for: WaitFor,
    timeout: Option<Duration>,
) -> Waited<R> {
    let deadline = timeout.map(Deadline::after);
    let futures: Vec<_> = futures.into_iter().collect();
    let gate = Gate::over(&futures);
    let mut ended = 0;
    while let Some(number) = gate.next(deadline, ended < futures.len()) {
        ended += 1;
        let is_enough = match wait_for {
            WaitFor::FirstCompleted => true,
            WaitFor::FirstException => futures[number].failed(),
            WaitFor::AllCompleted => false,
        };
        if is_enough {
            break;
        }
    }
    let (done, not_done) = futures.into_iter().partition(Future::done);
    Waited { done, not_done }
}

/// The futures, each as it ends.
///
/// # Examples
///
/// ```
/// use crossdock::process::executor::{Executor, InlineExecutor, as_completed};
///
/// let executor = InlineExecutor::new();
/// let futures = (0..3).map(|x: u32| executor.submit(|x| x * x, x));
/// let futures = futures.collect::<crossdock::Result<Vec<_>>>()?;
/// let mut squares = Vec::new();
/// for future in as_completed(futures) {
///     squares.push(future.result()?);
/// }
/// squares.sort();
/// assert_eq!(squares, [0, 1, 4]);
/// # Ok::<(), crossdock::Error>(())
/// ```
pub fn as_completed<R>(futures: impl IntoIterator<Item = Future<R>>) -> AsCompleted<R> {
    let futures: Vec<_> = futures.into_iter().collect();
    let gate = Gate::over(&futures);
    AsCompleted { left: futures.len(), futures: futures.into_iter().map(Some).collect(), gate }
}

/// Futures as they end: see [`as_completed`].
#[derive(Debug)]
pub struct AsCompleted<R> {
    futures: Vec<Option<Future<R>>>,
    left: usize,
    gate: Gate,
}

impl<R> AsCompleted<R> {
    /// The next one that ends, within a limited time; `None` after the last.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TimedOut`]: none has ended in that time.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Future<R>>> {
        let next = self.next_until(Some(Deadline::after(timeout)));
        if next.is_none() && self.left > 0 {
            let text = format!("none of {} tasks has ended within {timeout:?}", self.left);
            return Err(Error::new(ErrorKind::TimedOut, text));
        }
        Ok(next)
    }

    fn next_until(&mut self, deadline: Option<Deadline>) -> Option<Future<R>> {
        let number = self.gate.next(deadline, self.left > 0)?;
        self.left -= 1;
        self.futures.get_mut(number)?.take()
    }
}

impl<R> Iterator for AsCompleted<R> {
    type Item = Future<R>;

    fn next(&mut self) -> Option<Future<R>> {
        self.next_until(None)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<R> ExactSizeIterator for AsCompleted<R> {}

/// The numbers of those that have ended and not been looked at.
pub(crate) struct Gate {
    ended: Arc<Ended>,
    /// Whose work is done while one waits: that of the first executor.
    driver: Option<Arc<dyn Driver>>,
}

#[derive(Default)]
struct Ended {
    numbers: Mutex<VecDeque<usize>>,
    changed: Condvar,
    /// The thread that waits, if it sleeps elsewhere.
    thread: Mutex<Option<Thread>>,
}

impl Ended {
    fn note(&self, number: usize) {
        self.numbers.lock().push_back(number);
        self.changed.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            thread.unpark();
        }
    }
}

impl Waiter for Ended {
    fn is_over(&self) -> bool {
        !self.numbers.lock().is_empty()
    }

    fn wake(&self, thread: Thread) {
        *self.thread.lock() = Some(thread);
    }
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self { ended: Arc::default(), driver: None }
    }

    fn over<R>(futures: &[Future<R>]) -> Self {
        let mut gate = Self::new();
        futures.iter().enumerate().for_each(|(number, future)| gate.add(number, future));
        gate
    }

    /// Watches another future.
    pub(crate) fn add<R>(&mut self, number: usize, future: &Future<R>) {
        let ended = Arc::clone(&self.ended);
        if !future.add_hook(move || ended.note(number)) {
            self.ended.note(number);
        }
        self.driver = self.driver.take().or_else(|| future.driver().cloned());
    }

    /// Waits for the next one, if there is any; `None` when the deadline has passed before.
    pub(crate) fn next(&self, deadline: Option<Deadline>, is_any: bool) -> Option<usize> {
        if !is_any {
            return None;
        }
        if let Some(driver) = &self.driver
            && !self.ended.is_over()
        {
            driver.drive(deadline, &*self.ended);
        }
        let mut numbers = self.ended.numbers.lock();
        while numbers.is_empty() {
            match deadline.map(left) {
                None => self.ended.changed.wait(&mut numbers),
                Some(Duration::ZERO) => return None,
                Some(left) => drop(self.ended.changed.wait_for(&mut numbers, left)),
            }
        }
        numbers.pop_front()
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("ended", &*self.ended.numbers.lock()).finish_non_exhaustive()
    }
}
