//! Results of many calls one by one, of which never more are on their way than are soon asked for.

use super::calls::Calls;
use super::chunk::{Order, next_chunk, order};
use super::core::Core;
use super::gather::Gather;
use crate::error::Result;
use crate::process::executor::{Future, Gate, timed_out};
use crossdock_sys::clock::Deadline;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::iter::Peekable;
use std::sync::Arc;
use std::time::Duration;

/// Chunks for each worker that are on their way before anybody asks for their results.
pub(super) const CHUNKS_AHEAD: usize = 16;

/// The results of [`Pool::imap`](super::Pool::imap) and [`Pool::imap_unordered`](super::Pool::imap_unordered).
///
/// To drop it cancels what has not begun.
pub struct Imap<'p, F, I: Iterator, R> {
    core: &'p Arc<Core>,
    order: Order,
    chunk_size: usize,
    arguments: Peekable<I>,
    is_exhausted: bool,
    /// Those on their way, by number.
    chunks: HashMap<usize, Future<Vec<Result<R>>>>,
    /// The number of the next one to be ordered, and to be taken if they are taken in order.
    next: (usize, usize),
    /// What has ended, if they are not.
    gate: Option<Gate>,
    ready: VecDeque<Result<R>>,
    task: std::marker::PhantomData<fn(F)>,
}

impl<'p, F, I, R> Imap<'p, F, I, R>
where
    I: Iterator<Item: Serialize + DeserializeOwned + Send + 'static>,
    F: Fn(I::Item) -> R + Copy + Send + 'static,
    R: Serialize + DeserializeOwned + Send + 'static,
{
    pub(super) fn new(calls: &Calls<'p>, task: F, arguments: I, is_ordered: bool) -> Self {
        let (order, chunk_size) = calls.order(task);
        let mut imap = Self {
            core: calls.core,
            order,
            chunk_size,
            arguments: arguments.peekable(),
            is_exhausted: false,
            chunks: HashMap::new(),
            next: (0, 0),
            gate: (!is_ordered).then(Gate::new),
            ready: VecDeque::new(),
            task: std::marker::PhantomData,
        };
        imap.read_ahead();
        imap
    }

    fn read_ahead(&mut self) {
        while !self.is_exhausted && self.chunks.len() < CHUNKS_AHEAD * self.core.settings.workers {
            let chunk = next_chunk(&mut self.arguments, self.chunk_size);
            // A pool that takes no more says so once.
            self.is_exhausted = chunk.is_empty() || self.core.check_open().is_err();
            if chunk.is_empty() {
                return;
            }
            let (gather, future) = Gather::new(self.core, chunk.len(), Ok, None);
            order(&self.order, &gather, 0, chunk);
            if let Some(gate) = &mut self.gate {
                gate.add(self.next.0, &future);
            }
            self.chunks.insert(self.next.0, future);
            self.next.0 += 1;
        }
    }

    /// The next result within a limited time; `None` after the last.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut): it is not there in that time, and may be later. What the result says itself is inside.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Result<R>>> {
        let deadline = Deadline::after(timeout);
        match self.next_until(Some(deadline)) {
            None if !self.chunks.is_empty() => Err(timed_out(timeout)),
            next => Ok(next),
        }
    }

    fn next_until(&mut self, deadline: Option<Deadline>) -> Option<Result<R>> {
        loop {
            if let Some(result) = self.ready.pop_front() {
                return Some(result);
            }
            self.read_ahead();
            let number = match &self.gate {
                Some(gate) => gate.next(deadline, !self.chunks.is_empty())?,
                None => self.next.1,
            };
            if !self.chunks.get(&number)?.wait_until(deadline) {
                return None;
            }
            let chunk = self.chunks.remove(&number)?;
            self.next.1 += 1;
            match chunk.result() {
                Ok(results) => self.ready.extend(results),
                Err(error) => self.ready.push_back(Err(error)),
            }
        }
    }
}

impl<F, I, R> Iterator for Imap<'_, F, I, R>
where
    I: Iterator<Item: Serialize + DeserializeOwned + Send + 'static>,
    F: Fn(I::Item) -> R + Copy + Send + 'static,
    R: Serialize + DeserializeOwned + Send + 'static,
{
    type Item = Result<R>;

    fn next(&mut self) -> Option<Result<R>> {
        self.next_until(None)
    }
}

impl<F, I: Iterator, R> Drop for Imap<'_, F, I, R> {
    fn drop(&mut self) {
        for chunk in self.chunks.values() {
            chunk.cancel();
        }
    }
}

impl<F, I: Iterator, R> fmt::Debug for Imap<'_, F, I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Imap")
            .field("chunks_ahead", &self.chunks.len())
            .field("results_ahead", &self.ready.len())
            .finish_non_exhaustive()
    }
}
