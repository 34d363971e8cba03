//! Worker processes that are started once and run many tasks: Python's `multiprocessing.Pool` without its traps.
//!
//! ```
//! use crossdock::process::{self, Pool};
//!
//! fn is_prime(n: u64) -> bool {
//!     n > 1 && (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d))
//! }
//!
//! fn main() -> crossdock::Result<()> {
//!     process::init(); // the first line of main
//!
//!     let pool = Pool::new(2)?;
//!     let primes = pool.map(is_prime, 0..1000)?;
//!     assert_eq!(primes.iter().filter(|is_prime| **is_prime).count(), 168);
//!     Ok(())
//! }
//! ```
//!
//! # Which call
//!
//! | I want | use |
//! |---|---|
//! | one result, now | [`Pool::apply`] |
//! | one result, later | [`Pool::apply_async`], and [`Future`] |
//! | the results of many calls, all at once, in order | [`Pool::map`], [`Pool::map_async`] |
//! | the same with a function of several arguments | [`Pool::starmap`], [`Pool::starmap_async`] |
//! | them one by one, as soon as they are there, of arguments that may be endless | [`Pool::imap`], [`Pool::imap_unordered`] |
//! | each worker to change its part of one array, in place | [`Pool::for_each_chunk_mut`] |
//! | a chunk size, a limit of time, progress | [`Pool::calls`] |
//! | code that runs in threads as well | the trait [`Executor`] |
//!
//! # When something goes wrong
//!
//! | what happens | what follows |
//! |---|---|
//! | a task panics | its own future says so, with message, place and backtrace |
//! | a worker is killed | the task that it ran fails with [`ErrorKind::Died`], or runs again if [retries](PoolOptions::retries) are asked for; another worker takes its place |
//! | a task takes too long | it fails with [`ErrorKind::TimedOut`], if there is a [limit](PoolOptions::timeout); another worker takes the place of its own |
//! | the initializer panics | the pool fails with that panic; it does not start workers for ever |
//! | workers die before they are ready, or cannot be started | others are tried, with pauses; the pool fails when a dozen have failed in a row and none works |
//! | the process of the pool has no descriptor or memory left | it tries again; when that lasts for ten seconds, and keeps it from working, the pool fails |
//! | nobody asks for an error | it is counted ([`PoolStats`]), and an event of the `tracing` crate |
//! | this process is killed | the workers end at once; the names go with them, or with the next who looks |
//! | the pool is dropped | as [`Pool::terminate`]: nobody works for nobody |

mod board;
mod calls;
mod chunk;
mod core;
mod crew;
mod gather;
mod job;
mod lead;
mod options;
mod parts;
mod remains;
mod star;
mod stats;
mod stream;
mod submit;
mod telling;
mod threads;
mod worker;

pub use calls::Calls;
pub use options::{PoolOptions, WORKERS_MAX};
pub use parts::PartsError;
pub use star::Star;
pub use stats::{PoolStats, WorkerStats};
pub use stream::Imap;

use super::executor::{Executor, Future, Shutdown};
use crate::error::{Error, ErrorKind, Result};
use core::{Core, Phase};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How often one who waits for the end of a pool looks, when somebody still is being told of a result.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Processes that run tasks of this program.
///
/// A task is a plain `fn`, or a closure that captures nothing; arguments and results are serde values, in which arrays
/// travel as handles. Any number of threads can use a pool at once, and a task can have a pool of its own.
///
/// To drop a pool ends its workers at once, as [`terminate`](Self::terminate); what they had not done ends in errors.
/// [`join`](Self::join) waits for it.
///
/// [The module](self) says which call is for what, and what happens when something goes wrong.
///
/// # Differences from Python's `multiprocessing.Pool`
///
/// A killed worker loses one task, not all; errors come with their place; results that nobody takes hold nobody up; `imap` does
/// not read endless arguments without end; a broken initializer is an error.
pub struct Pool {
    core: Arc<Core>,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
}

impl Pool {
    fn of(core: Arc<Core>, threads: Vec<thread::JoinHandle<()>>) -> Self {
        Self { core, threads: Mutex::new(threads) }
    }

    /// A pool of so many workers.
    ///
    /// # Errors
    ///
    /// As those of [`PoolOptions::build`].
    pub fn new(workers: usize) -> Result<Self> {
        Self::options().workers(workers).build()
    }

    /// Says how a pool is to be, then makes it.
    pub fn options() -> PoolOptions {
        PoolOptions::new()
    }

    /// How many workers it has.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.core.settings.workers
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.core.settings.name
    }

    /// Has a worker call `task` with `argument`, and waits for the result.
    ///
    /// # Errors
    ///
    /// As those of [`apply_async`](Self::apply_async) and [`Future::result`].
    pub fn apply<F, A, R>(&self, task: F, argument: A) -> Result<R>
    where
        F: Fn(A) -> R + Copy + Send + 'static,
        A: Serialize + DeserializeOwned + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.calls().apply(task, argument)
    }

    /// Has a worker call `task` with `argument`. It never waits: what no worker can take yet is kept here.
    ///
    /// # Errors
    ///
    /// * [`ErrorKind::Closed`]: the pool takes no more tasks.
    /// * [`ErrorKind::LimitExceeded`], [`ErrorKind::InvalidArgument`]: the argument cannot travel.
    /// * [`ErrorKind::Forked`]: the pool belongs to the process that has forked this one.
    /// * What ended a pool that has failed.
    #[doc(alias = "submit")]
    pub fn apply_async<F, A, R>(&self, task: F, argument: A) -> Result<Future<R>>
    where
        F: Fn(A) -> R + Copy + Send + 'static,
        A: Serialize + DeserializeOwned + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.calls().apply_async(task, argument)
    }

    /// Calls `task` with each of `arguments`, and waits for all results.
    ///
    /// # Errors
    ///
    /// As those of [`apply`](Self::apply); of several errors, that of the first argument. All calls have ended then.
    pub fn map<F, I, R>(&self, task: F, arguments: I) -> Result<Vec<R>>
    where
        I: IntoIterator<Item: Serialize + DeserializeOwned + Send + 'static>,
        F: Fn(I::Item) -> R + Copy + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.calls().map(task, arguments)
    }

    /// As [`map`](Self::map), without waiting.
    ///
    /// # Errors
    ///
    /// As those of [`apply_async`](Self::apply_async); what is wrong with single calls, the future says.
    pub fn map_async<F, I, R>(&self, task: F, arguments: I) -> Result<Future<Vec<R>>>
    where
        I: IntoIterator<Item: Serialize + DeserializeOwned + Send + 'static>,
        F: Fn(I::Item) -> R + Copy + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.calls().map_async(task, arguments)
    }

    /// Calls `task` with each of `arguments`; the results one by one, in order. It begins at once, and reads at most 16
    /// chunks for each worker ahead.
    pub fn imap<F, I, R>(&self, task: F, arguments: I) -> Imap<'_, F, I::IntoIter, R>
    where
        I: IntoIterator<Item: Serialize + DeserializeOwned + Send + 'static>,
        F: Fn(I::Item) -> R + Copy + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.calls().imap(task, arguments)
    }

    /// As [`imap`](Self::imap), but the results come in whatever order they are there.
    pub fn imap_unordered<F, I, R>(&self, task: F, arguments: I) -> Imap<'_, F, I::IntoIter, R>
    where
        I: IntoIterator<Item: Serialize + DeserializeOwned + Send + 'static>,
        F: Fn(I::Item) -> R + Copy + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.calls().imap_unordered(task, arguments)
    }

    /// What it does and has done.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forked`]: the pool belongs to the process that has forked this one.
    pub fn stats(&self) -> Result<PoolStats> {
        self.core.check_current()?;
        Ok(self.core.stats())
    }

    /// Takes no more tasks. The workers end when they have done what there is.
    pub fn close(&self) {
        if self.core.is_current() {
            self.core.close();
        }
    }

    /// Takes no more tasks, and waits until all are done and the workers have ended.
    ///
    /// # Errors
    ///
    /// What ended a pool that has failed. [`ErrorKind::Forked`]: it belongs to the process that has forked this one.
    /// [`ErrorKind::Busy`]: a callback joins it, and the end of that is waited for.
    pub fn join(self) -> Result<()> {
        self.core.check_current()?;
        if self.core.is_telling() {
            let text = format!("a callback cannot join pool \"{}\"", self.name());
            return Err(Error::new(ErrorKind::Busy, text).named(self.name()));
        }
        self.core.close();
        self.await_end();
        match &self.core.state.lock().phase {
            Phase::Over(why) if why.kind() != ErrorKind::Cancelled => Err(why.clone()),
            _ => Ok(()),
        }
    }

    /// Ends the workers at once, whatever they are doing. What has not been done ends in errors of the kind
    /// [`ErrorKind::Cancelled`].
    pub fn terminate(&self) {
        if self.core.is_current() {
            let text = format!("pool \"{}\" was terminated", self.name());
            self.core.break_down(&Error::new(ErrorKind::Cancelled, text));
        }
    }

    /// Waits until nothing of it is left but this, unless this is called in a callback of its own.
    fn await_end(&self) {
        if self.core.is_telling() {
            // Somebody waits for this very callback to return.
            return;
        }
        let mut state = self.core.state.lock();
        while !state.has_ended || !self.core.is_settled() {
            self.core.changed.wait_for(&mut state, LOOK_EVERY);
        }
        drop(state);
        for thread in std::mem::take(&mut *self.threads.lock()) {
            if thread.join().is_err() {
                // It calls nothing of the user's that it does not catch, so this is not to be expected; and it has ended.
                self.core
                    .tally
                    .panicked_callbacks
                    .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
    }
}

impl Core {
    fn close(&self) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Open) {
            state.phase = Phase::Closed;
        }
        self.wind_down(&mut state);
        drop(state);
        self.collector.notify_one();
        self.ring();
    }

    /// Ends what no worker has been given.
    fn cancel_pending(&self) {
        let pending = std::mem::take(&mut self.state.lock().pending);
        let pending = pending.into_iter().filter(|job| job.asked.slot.start());
        let cancel = |job: job::Job| {
            let text = "the task was cancelled: its executor was shut down";
            let error = Error::new(ErrorKind::Cancelled, text);
            self.end(job.asked, job::Outcome::Failed(error))
        };
        self.tell(pending.map(cancel).collect());
    }

    fn await_drained(&self) {
        let mut state = self.state.lock();
        while !(state.is_drained() || state.has_ended) || !self.is_settled() {
            self.changed.wait_for(&mut state, LOOK_EVERY);
        }
    }
}

impl Executor for Pool {
    fn submit<F, A, R>(&self, task: F, argument: A) -> Result<Future<R>>
    where
        F: Fn(A) -> R + Copy + Send + 'static,
        A: Serialize + DeserializeOwned + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.apply_async(task, argument)
    }

    fn ahead(&self) -> usize {
        stream::CHUNKS_AHEAD * self.workers()
    }

    fn shutdown(&self, how: Shutdown) {
        if !self.core.is_current() {
            return;
        }
        self.core.close();
        if how.cancel_futures {
            self.core.cancel_pending();
            self.core.close();
        }
        // A callback of its own is one of those who would be waited for.
        if how.wait && !self.core.is_telling() {
            self.core.await_drained();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // In a forked child it is a copy of what belongs to the parent.
        if self.core.is_current() {
            self.terminate();
            self.await_end();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.name())
            .field("workers", &self.workers())
            .finish_non_exhaustive()
    }
}
