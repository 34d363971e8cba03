//! Calling a task with many arguments.

use super::future::timed_out;
use super::{Executor, Future};
use crate::error::Result;
use crossdock_sys::clock::Deadline;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// The results of [`Executor::map`], in the order of the arguments.
///
/// To drop it cancels the tasks that nobody has begun.
pub struct Map<'e, E: ?Sized, F, I, R> {
    executor: &'e E,
    task: F,
    arguments: I,
    futures: VecDeque<Result<Future<R>>>,
    deadline: Option<(Deadline, Duration)>,
    is_over: bool,
}

impl<'e, E, F, I, R> Map<'e, E, F, I, R>
where
    E: Executor + ?Sized,
    I: Iterator<Item: Serialize + DeserializeOwned + Send + 'static>,
    F: Fn(I::Item) -> R + Copy + Send + 'static,
    R: Serialize + DeserializeOwned + Send + 'static,
{
    pub(super) fn new(executor: &'e E, task: F, arguments: I, timeout: Option<Duration>) -> Self {
        let deadline = timeout.map(|timeout| (Deadline::after(timeout), timeout));
        let futures = VecDeque::new();
        let mut map = Self { executor, task, arguments, futures, deadline, is_over: false };
        map.read_ahead();
        map
    }

    fn read_ahead(&mut self) {
        while self.futures.len() < self.executor.ahead()
            && !self.is_over
            && let Some(argument) = self.arguments.next()
        {
            let future = self.executor.submit(self.task, argument);
            self.is_over = future.is_err();
            self.futures.push_back(future);
        }
    }
}

impl<E, F, I, R> Iterator for Map<'_, E, F, I, R>
where
    E: Executor + ?Sized,
    I: Iterator<Item: Serialize + DeserializeOwned + Send + 'static>,
    F: Fn(I::Item) -> R + Copy + Send + 'static,
    R: Serialize + DeserializeOwned + Send + 'static,
{
    type Item = Result<R>;

    fn next(&mut self) -> Option<Result<R>> {
        self.read_ahead();
        let future = match self.futures.pop_front()? {
            Ok(future) => future,
            Err(error) => return Some(Err(error)),
        };
        if let Some((deadline, timeout)) = self.deadline
            && !future.wait_until(Some(deadline))
        {
            self.is_over = true;
            self.cancel();
            return Some(Err(timed_out(timeout)));
        }
        Some(future.result())
    }
}

impl<E: ?Sized, F, I, R> Map<'_, E, F, I, R> {
    fn cancel(&mut self) {
        for future in self.futures.drain(..).flatten() {
            future.cancel();
        }
    }
}

impl<E: ?Sized, F, I, R> Drop for Map<'_, E, F, I, R> {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl<E: ?Sized, F, I, R> fmt::Debug for Map<'_, E, F, I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("ahead", &self.futures.len()).finish_non_exhaustive()
    }
}
