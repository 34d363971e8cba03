//! Tasks in the threads of this process: rayon's pool.

use super::{Executor, Future, Shutdown, closed, run};
use crate::error::{Error, ErrorKind, Result};
use parking_lot::{Condvar, Mutex};
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// An executor that runs tasks in the threads of a [`rayon::ThreadPool`] (feature `rayon`).
///
/// Arguments and results do not become bytes on the way. To drop it lets its tasks go on.
///
/// # Examples
///
/// ```
/// use crossdock::process::executor::{Executor, ThreadExecutor};
///
/// let executor = ThreadExecutor::new(2)?;
/// let squares = executor.map(|x: u32| x * x, 0..4).collect::<crossdock::Result<Vec<_>>>()?;
/// assert_eq!(squares, [0, 1, 4, 9]);
/// # Ok::<(), crossdock::Error>(())
/// ```
pub struct ThreadExecutor {
    threads: Arc<ThreadPool>,
    work: Arc<Work>,
}

type Cancel = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Work {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    is_closed: bool,
    next: u64,
    /// Those that have not ended, and how each can be cancelled, once.
    open: HashMap<u64, Option<Cancel>>,
}

impl ThreadExecutor {
    /// An executor with so many threads; 0 are as many as there are processors for this process.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`]: the system allows no more threads.
    pub fn new(threads: usize) -> Result<Self> {
        let builder = ThreadPoolBuilder::new().num_threads(threads);
        let pool = builder.thread_name(|number| format!("crossdock-{number}")).build();
        pool.map(Self::from).map_err(|error| {
            Error::new(ErrorKind::Io, format!("cannot start {threads} threads: {error}"))
        })
    }
}

impl From<ThreadPool> for ThreadExecutor {
    fn from(threads: ThreadPool) -> Self {
        Self { threads: Arc::new(threads), work: Arc::default() }
    }
}

impl Executor for ThreadExecutor {
    fn submit<F, A, R>(&self, task: F, argument: A) -> Result<Future<R>>
    where
        F: Fn(A) -> R + Copy + Send + 'static,
        A: Serialize + DeserializeOwned + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        let (future, promise) = Future::new(None, None);
        let cancel = promise.canceller();
        let mut state = self.work.state.lock();
        if state.is_closed {
            return Err(closed());
        }
        let number = state.next;
        state.next += 1;
        state.open.insert(number, Some(cancel));
        drop(state);
        let work = Arc::clone(&self.work);
        self.threads.spawn(move || {
            if promise.start() {
                promise.keep(run(task, argument));
            }
            work.state.lock().open.remove(&number);
            work.ended.notify_all();
        });
        Ok(future)
    }

    fn ahead(&self) -> usize {
        4 * self.threads.current_num_threads()
    }

    fn shutdown(&self, how: Shutdown) {
        let mut state = self.work.state.lock();
        state.is_closed = true;
        if how.cancel_futures {
            let cancels: Vec<_> = state.open.values_mut().filter_map(Option::take).collect();
            drop(state);
            // Their callbacks may want to submit something, and be told that it is too late.
            cancels.into_iter().for_each(|cancel| cancel());
            state = self.work.state.lock();
        }
        while how.wait && !state.open.is_empty() {
            self.work.ended.wait(&mut state);
        }
    }
}

impl fmt::Debug for ThreadExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadExecutor")
            .field("threads", &self.threads.current_num_threads())
            .field("open", &self.work.state.lock().open.len())
            .finish()
    }
}
