//! Calls of a task with one argument or with many.

use super::Pool;
use super::chunk::{Order, next_chunk, order};
use super::core::Core;
use super::gather::{Gather, Progress};
use super::job::Terms;
use super::stream::Imap;
use crate::error::Result;
use crate::process::executor::Future;
use crate::process::task;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Chunks for each worker, if nobody says how long they are: so that the last ones end at about the same time.
const CHUNKS_PER_WORKER: usize = 4;
/// Arguments of such a chunk at most.
const CHUNK_LEN_MAX: usize = 1024;

/// How tasks are called, for those who want to say more than the methods of [`Pool`]: see [`Pool::calls`].
///
/// # Examples
///
/// ```
/// use crossdock::process::{self, Pool};
/// use std::time::Duration;
///
/// # fn main() -> crossdock::Result<()> {
/// process::init(); // the first line of main
///
/// let pool = Pool::new(2)?;
/// let calls = pool.calls().chunk_size(10).timeout(Duration::from_secs(60));
/// let squares = calls.progress(|ended, all| eprintln!("{ended} of {all}")).map(|x: u64| x * x, 0..100)?;
/// assert_eq!(squares[9], 81);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "nothing is called yet"]
pub struct Calls<'p> {
    pub(super) core: &'p Arc<Core>,
    chunk_size: Option<usize>,
    limit: Option<Duration>,
    progress: Option<Progress>,
}

impl<'p> Calls<'p> {
    pub(super) fn new(core: &'p Arc<Core>) -> Self {
        Self { core, chunk_size: None, limit: None, progress: None }
    }

    /// How many arguments go to a worker at once; at least 1. A chunk of long arguments or results is cut short.
    ///
    /// Unless said otherwise, `map` cuts its arguments into four chunks for each worker, of at most 1,024, and `imap` into
    /// single ones.
    #[doc(alias = "chunksize")]
    pub fn chunk_size(mut self, arguments: usize) -> Self {
        self.chunk_size = Some(arguments.max(1));
        self
    }

    /// As [`PoolOptions::timeout`](super::PoolOptions::timeout), for these calls. It counts for each chunk.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limit = Some(timeout);
        self
    }

    /// Calls `progress` each time when some calls have ended, with their number and that of all, in whatever thread has
    /// received the results. It is for `map` and its like, and should be short.
    pub fn progress(mut self, progress: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }

    /// As [`Pool::apply_async`].
    ///
    /// # Errors
    ///
    /// As those of it.
    pub fn apply_async<F, A, R>(&self, task: F, argument: A) -> Result<Future<R>>
    where
        F: Fn(A) -> R + Copy + Send + 'static,
        A: Serialize + DeserializeOwned + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        // Its type says everything: see `process::task`.
        let _: F = task;
        let entry = task::entry::<F, A, R>();
        let driver: Arc<Core> = Arc::clone(self.core);
        let (future, promise) = Future::new(Some(driver), Some(Arc::clone(&self.core.tally)));
        self.core.submit(entry, argument, Terms::single(self.limit), Box::new(promise))?;
        Ok(future)
    }

    /// As [`Pool::apply`].
    ///
    /// # Errors
    ///
    /// As those of it.
    pub fn apply<F, A, R>(&self, task: F, argument: A) -> Result<R>
    where
        F: Fn(A) -> R + Copy + Send + 'static,
        A: Serialize + DeserializeOwned + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.apply_async(task, argument)?.result()
    }

    /// As [`Pool::map_async`].
    ///
    /// # Errors
    ///
    /// As those of it.
    pub fn map_async<F, I, R>(&self, task: F, arguments: I) -> Result<Future<Vec<R>>>
    where
        I: IntoIterator<Item: Serialize + DeserializeOwned + Send + 'static>,
        F: Fn(I::Item) -> R + Copy + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.core.check_open()?;
        let order = Order::new(self.core, task, self.limit);
        let arguments: Vec<_> = arguments.into_iter().collect();
        let len = arguments.len();
        let finish = |results: Vec<Result<R>>| results.into_iter().collect();
        let (gather, future) = Gather::new(self.core, len, finish, self.progress.clone());
        let chunks = CHUNKS_PER_WORKER * self.core.settings.workers;
        let size = self.chunk_size.unwrap_or_else(|| len.div_ceil(chunks).clamp(1, CHUNK_LEN_MAX));
        let mut arguments = arguments.into_iter().peekable();
        let mut from = 0;
        while from < len {
            let chunk = next_chunk(&mut arguments, size);
            let next = from + chunk.len();
            self::order(&order, &gather, from, chunk);
            from = next;
        }
        Ok(future)
    }

    /// As [`Pool::map`].
    ///
    /// # Errors
    ///
    /// As those of it.
    pub fn map<F, I, R>(&self, task: F, arguments: I) -> Result<Vec<R>>
    where
        I: IntoIterator<Item: Serialize + DeserializeOwned + Send + 'static>,
        F: Fn(I::Item) -> R + Copy + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.map_async(task, arguments)?.result()
    }

    /// As [`Pool::imap`].
    pub fn imap<F, I, R>(&self, task: F, arguments: I) -> Imap<'p, F, I::IntoIter, R>
    where
        I: IntoIterator<Item: Serialize + DeserializeOwned + Send + 'static>,
        F: Fn(I::Item) -> R + Copy + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        Imap::new(self, task, arguments.into_iter(), true)
    }

    /// As [`Pool::imap_unordered`].
    pub fn imap_unordered<F, I, R>(&self, task: F, arguments: I) -> Imap<'p, F, I::IntoIter, R>
    where
        I: IntoIterator<Item: Serialize + DeserializeOwned + Send + 'static>,
        F: Fn(I::Item) -> R + Copy + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        Imap::new(self, task, arguments.into_iter(), false)
    }

    pub(super) fn order<F, A, R>(&self, task: F) -> (Order, usize)
    where
        F: Fn(A) -> R + Copy + Send + 'static,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        (Order::new(self.core, task, self.limit), self.chunk_size.unwrap_or(1))
    }
}

impl fmt::Debug for Calls<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls")
            .field("chunk_size", &self.chunk_size)
            .field("timeout", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// Says how tasks are to be called, then calls them.
    pub fn calls(&self) -> Calls<'_> {
        Calls::new(&self.core)
    }
}
