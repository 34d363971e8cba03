//! Futures, and what makes them come true: the vocabulary of Python's `concurrent.futures`.
//!
//! A [`Pool`](crate::process::Pool) of processes, the threads of rayon (`ThreadExecutor`, feature `rayon`) and the
//! calling thread ([`InlineExecutor`]) all are an [`Executor`]; a program that is written for the trait runs its
//! tasks in any of them.
//!
//! | I want | use |
//! |---|---|
//! | one result, later | [`Executor::submit`], [`Future::result`], or `.await` |
//! | a task for each of many arguments, results in order | [`Executor::map`] |
//! | the results as they come | [`as_completed`] |
//! | to go on when the first of several has ended or failed | [`wait`] |
//! | to be called back | [`Future::add_done_callback`] |
//! | chunks, unordered results, parts of one array, limits of time | [`Pool`](crate::process::Pool) itself |
//!
//! # When something goes wrong
//!
//! A task that panics, whose process is killed, or whose result cannot travel is the error of its own future, and of no
//! other. An error that nobody asks for is not lost: it is an event of the `tracing` crate, and pools count it.

mod cell;
mod future;
mod inline;
mod map;
#[cfg(feature = "rayon")]
mod threads;
mod waiting;

pub use future::{Future, ResultTimeoutError};
pub use inline::InlineExecutor;
pub use map::Map;
#[cfg(feature = "rayon")]
pub use threads::ThreadExecutor;
pub use waiting::{AsCompleted, WaitFor, Waited, as_completed, wait};

pub(crate) use cell::{Promise, Tally, left};
pub(crate) use future::{Driver, Waiter, timed_out};
pub(crate) use waiting::Gate;

use super::failure::{self, Panic};
use crate::error::{Error, ErrorKind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Something that runs tasks.
///
/// A task is a plain `fn`, or a closure that captures nothing; its argument and its result are serde values. So it can
/// run in another process, whichever executor has it.
///
/// # Examples
///
/// ```
/// use crossdock::process::executor::{Executor, InlineExecutor};
/// use crossdock::process::{self, Pool};
///
/// fn total(executor: &impl Executor) -> crossdock::Result<u64> {
///     executor.map(|x: u64| x * x, 0..10).sum()
/// }
///
/// # fn main() -> crossdock::Result<()> {
/// process::init(); // the first line of main
///
/// assert_eq!(total(&InlineExecutor::new())?, 285);
/// assert_eq!(total(&Pool::new(2)?)?, 285);
/// # Ok(())
/// # }
/// ```
pub trait Executor {
    /// Has `task` called with `argument`.
    ///
    /// # Errors
    ///
    /// * [`ErrorKind::Closed`]: the executor was shut down.
    /// * [`ErrorKind::LimitExceeded`], [`ErrorKind::InvalidArgument`]: the argument cannot travel.
    /// * [`ErrorKind::Forked`]: the executor belongs to the process that has forked this one.
    fn submit<F, A, R>(&self, task: F, argument: A) -> Result<Future<R>>
    where
        F: Fn(A) -> R + Copy + Send + 'static,
        A: Serialize + DeserializeOwned + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static;

    /// Arguments that [`map`](Self::map) reads before the results that belong to them were asked for.
    fn ahead(&self) -> usize;

    /// Takes no more tasks.
    fn shutdown(&self, how: Shutdown);

    /// Calls `task` with each of `arguments`; the results in their order.
    ///
    /// It begins at once, and reads [`ahead`](Self::ahead) of who takes the results, but not without limit: the
    /// arguments may be endless. After an argument that could not be submitted there are no more results.
    fn map<F, I, R>(&self, task: F, arguments: I) -> Map<'_, Self, F, I::IntoIter, R>
    where
        I: IntoIterator<Item: Serialize + DeserializeOwned + Send + 'static>,
        F: Fn(I::Item) -> R + Copy + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        Map::new(self, task, arguments.into_iter(), None)
    }

    /// As [`map`](Self::map); a result that is not there `timeout` from now is an error of the kind
    /// [`ErrorKind::TimedOut`], and the last.
    fn map_timeout<F, I, R>(
        &self,
        task: F,
        arguments: I,
        timeout: Duration,
    ) -> Map<'_, Self, F, I::IntoIter, R>
    where
        I: IntoIterator<Item: Serialize + DeserializeOwned + Send + 'static>,
        F: Fn(I::Item) -> R + Copy + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        Map::new(self, task, arguments.into_iter(), Some(timeout))
    }
}

/// How an executor is shut down; by default it waits for all tasks.
///
/// # Examples
///
/// ```
/// use crossdock::process::executor::{Executor, InlineExecutor, Shutdown};
///
/// let executor = InlineExecutor::new();
/// executor.shutdown(Shutdown { cancel_futures: true, ..Shutdown::default() });
/// assert!(executor.submit(|x: u32| x, 1).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shutdown {
    /// Returns when all tasks have ended.
    pub wait: bool,
    /// Cancels the tasks that nobody has begun.
    pub cancel_futures: bool,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { wait: true, cancel_futures: false }
    }
}

pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the executor was shut down, and takes no more tasks")
}

/// Calls a task in this process.
fn run<F, A, R>(task: F, argument: A) -> Result<R>
where
    F: Fn(A) -> R,
{
    catch_unwind(AssertUnwindSafe(|| task(argument))).map_err(|payload| {
        let name = super::task::short_name(std::any::type_name::<F>());
        failure::task_panicked(name, Panic::unseen(&*payload))
    })
}
