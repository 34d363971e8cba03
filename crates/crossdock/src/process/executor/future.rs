//! The result of a task to come.

use super::cell::{Cell, Progress, Promise, Tally};
use crate::error::{Error, ErrorKind, Result};
use crossdock_sys::clock::Deadline;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::Thread;
use std::time::Duration;

/// Something that can use a thread that waits: it does an executor's work meanwhile.
pub(crate) trait Driver: Send + Sync {
    /// Works until `waiter` has what it waits for, or until the deadline; may return before.
    fn drive(&self, deadline: Option<Deadline>, waiter: &dyn Waiter);
}

/// What a thread waits for that does an executor's work.
pub(crate) trait Waiter {
    fn is_over(&self) -> bool;

    /// Unparks the thread when it is over.
    fn wake(&self, thread: Thread);
}

impl<R> Waiter for Cell<R> {
    fn is_over(&self) -> bool {
        self.is_done()
    }

    fn wake(&self, thread: Thread) {
        if !self.add_hook(Box::new({
            let thread = thread.clone();
            move || thread.unpark()
        })) {
            thread.unpark();
        }
    }
}

/// The result of a task that an [`Executor`](super::Executor) runs.
///
/// To drop it lets the task go on, and nobody hears of its result. An error that nobody has asked for is an event
/// of the `tracing` crate, and counted where there are statistics; it harms nothing else.
///
/// It also is a [`std::future::Future`]: `.await` it in a task of any runtime.
///
/// # Differences from Python's `concurrent.futures.Future`
///
/// [`result`](Self::result) moves the result out, so it is asked once. Callbacks have run before anybody gets the
/// result, and get it as an argument.
///
/// # Examples
///
/// ```
/// use crossdock::process::executor::{Executor, InlineExecutor};
/// use crossdock::ErrorKind;
///
/// let executor = InlineExecutor::new(); // or a pool of processes, or of threads
/// let sum = executor.submit(|(a, b): (u32, u32)| a + b, (40, 2))?;
/// assert!(sum.done());
/// assert_eq!(sum.result()?, 42);
///
/// let broken = executor.submit(|x: u32| 1 / x, 0)?;
/// let error = broken.exception().unwrap();
/// assert_eq!(error.kind(), ErrorKind::Panicked);
/// # Ok::<(), crossdock::Error>(())
/// ```
#[must_use = "a task whose future is dropped goes on, and nobody hears of its result"]
pub struct Future<R> {
    cell: Arc<Cell<R>>,
    driver: Option<Arc<dyn Driver>>,
}

/// A [`Future::result_timeout`] that brought no result.
pub enum ResultTimeoutError<R> {
    /// The task has not ended: its future is given back.
    TimedOut(Future<R>),
    /// There will be no result.
    Failed(Error),
}

impl<R> Future<R> {
    /// A future, and what makes it come true.
    pub(crate) fn new(
        driver: Option<Arc<dyn Driver>>,
        tally: Option<Arc<Tally>>,
    ) -> (Self, Promise<R>) {
        let cell = Arc::new(Cell::new(tally));
        let promise = Promise::new(&cell);
        (Self { cell, driver }, promise)
    }

    /// Waits for the result.
    ///
    /// # Errors
    ///
    /// * [`ErrorKind::Panicked`]: the task has panicked; [`Error::panic`] says where and why.
    /// * [`ErrorKind::Died`]: its process has ended before it returned; [`Error::exit_status`].
    /// * [`ErrorKind::TimedOut`]: it ran for longer than it was allowed to.
    /// * [`ErrorKind::Cancelled`]: it was cancelled, or its executor has gone.
    /// * [`ErrorKind::LimitExceeded`], [`ErrorKind::Corrupt`]: its result cannot travel.
    #[doc(alias = "get")]
    pub fn result(self) -> Result<R> {
        self.wait_until(None);
        self.cell.take()
    }

    /// As [`result`](Self::result), but for a limited time.
    ///
    /// # Errors
    ///
    /// [`ResultTimeoutError::TimedOut`] gives the future back, else as those of `result`.
    pub fn result_timeout(self, timeout: Duration) -> Result<R, ResultTimeoutError<R>> {
        if !self.wait_until(Some(Deadline::after(timeout))) {
            return Err(ResultTimeoutError::TimedOut(self));
        }
        self.cell.take().map_err(ResultTimeoutError::Failed)
    }

    /// Waits for the end of the task; why it has failed, if it has.
    #[must_use]
    pub fn exception(&self) -> Option<Error> {
        self.wait_until(None);
        self.cell.error()
    }

    /// As [`exception`](Self::exception), but for a limited time.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TimedOut`]: the task has not ended.
    pub fn exception_timeout(&self, timeout: Duration) -> Result<Option<Error>> {
        if self.wait_timeout(timeout) {
            return Ok(self.cell.error());
        }
        Err(timed_out(timeout))
    }

    /// Waits for the end of the task for a limited time; false if it has not ended.
    #[must_use = "it may not have ended"]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_until(Some(Deadline::after(timeout)))
    }

    pub(crate) fn wait_until(&self, deadline: Option<Deadline>) -> bool {
        if self.cell.is_done() {
            return true;
        }
        if let Some(driver) = &self.driver {
            driver.drive(deadline, &*self.cell);
        }
        self.cell.wait(deadline)
    }

    /// Cancels the task, if nobody has begun it. Whether it is cancelled, by this call or an earlier one.
    ///
    /// A task that has been handed to a worker is not taken away from it.
    pub fn cancel(&self) -> bool {
        self.cell.cancel(|| Error::new(ErrorKind::Cancelled, "the task was cancelled"))
    }

    /// Whether it has been cancelled.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.cell.progress() == Progress::Failed(ErrorKind::Cancelled)
    }

    /// Whether it was handed to a worker and has not ended.
    #[must_use]
    pub fn running(&self) -> bool {
        self.cell.progress() == Progress::Running
    }

    /// Whether it has ended, in whatever way.
    #[must_use]
    #[doc(alias = "ready")]
    pub fn done(&self) -> bool {
        self.cell.is_done()
    }

    /// Calls `callback` with the outcome when there is one: at once if there is. All callbacks have returned before
    /// anybody else sees the outcome.
    ///
    /// It runs in whatever thread has received the result, and holds that up; so it should be short, and not wait for
    /// other tasks. If it panics, the panic hook says so, and nothing else happens.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossdock::process::executor::{Executor, InlineExecutor};
    /// use std::sync::mpsc;
    ///
    /// let (tx, rx) = mpsc::channel();
    /// let mut future = InlineExecutor::new().submit(|x: u32| x + 1, 41)?;
    /// future.add_done_callback(move |outcome| tx.send(outcome.is_ok()).unwrap());
    /// assert!(rx.recv().unwrap());
    /// # Ok::<(), crossdock::Error>(())
    /// ```
    pub fn add_done_callback(&mut self, callback: impl FnOnce(&Result<R>) + Send + 'static) {
        self.cell.add_callback(Box::new(callback));
    }

    /// Has `hook` called when there is an outcome; false if there is one.
    pub(super) fn add_hook(&self, hook: impl FnOnce() + Send + 'static) -> bool {
        self.cell.add_hook(Box::new(hook))
    }

    pub(super) fn driver(&self) -> Option<&Arc<dyn Driver>> {
        self.driver.as_ref()
    }

    pub(super) fn failed(&self) -> bool {
        matches!(self.cell.progress(), Progress::Failed(_))
    }
}

pub(crate) fn timed_out(timeout: Duration) -> Error {
    Error::new(ErrorKind::TimedOut, format!("the task has not ended within {timeout:?}"))
}

impl<R> Drop for Future<R> {
    fn drop(&mut self) {
        self.cell.abandon();
    }
}

/// # Panics
///
/// When it is polled again after it was ready.
impl<R> std::future::Future for Future<R> {
    type Output = Result<R>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<R>> {
        match self.cell.is_done_or_wake(context.waker()) {
            true => Poll::Ready(self.cell.take()),
            false => Poll::Pending,
        }
    }
}

impl<R> fmt::Debug for Future<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Future").field("progress", &self.cell.progress()).finish_non_exhaustive()
    }
}

impl<R> fmt::Debug for ResultTimeoutError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(future) => f.debug_tuple("TimedOut").field(future).finish(),
            Self::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}

impl<R> fmt::Display for ResultTimeoutError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(_) => f.write_str("the task has not ended"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<R> std::error::Error for ResultTimeoutError<R> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::TimedOut(_) => None,
            Self::Failed(error) => error.source(),
        }
    }
}

impl<R> From<ResultTimeoutError<R>> for Error {
    fn from(error: ResultTimeoutError<R>) -> Self {
        match error {
            ResultTimeoutError::TimedOut(_) => Self::new(ErrorKind::TimedOut, error.to_string()),
            ResultTimeoutError::Failed(error) => error,
        }
    }
}
