//! Tasks that run at once, where they are submitted.

use super::{Executor, Future, Shutdown, closed, run};
use crate::error::Result;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::atomic::{AtomicBool, Ordering};

/// An executor that runs each task in the thread that submits it, before `submit` returns: for tests, for
/// debuggers, and to see what the others gain.
///
/// # Examples
///
/// ```
/// use crossdock::process::executor::{Executor, InlineExecutor};
///
/// let squares = InlineExecutor::new().map(|x: u32| x * x, 0..4).collect::<crossdock::Result<Vec<_>>>()?;
/// assert_eq!(squares, [0, 1, 4, 9]);
/// # Ok::<(), crossdock::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct InlineExecutor {
    is_closed: AtomicBool,
}

impl InlineExecutor {
    /// An executor.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Executor for InlineExecutor {
    fn submit<F, A, R>(&self, task: F, argument: A) -> Result<Future<R>>
    where
        F: Fn(A) -> R + Copy + Send + 'static,
        A: Serialize + DeserializeOwned + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        if self.is_closed.load(Ordering::Relaxed) {
            return Err(closed());
        }
        let (future, promise) = Future::new(None, None);
        // Nobody has the future, so it cannot be cancelled.
        promise.start();
        promise.keep(run(task, argument));
        Ok(future)
    }

    fn ahead(&self) -> usize {
        1
    }

    fn shutdown(&self, _: Shutdown) {
        self.is_closed.store(true, Ordering::Relaxed);
    }
}
