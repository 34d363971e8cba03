//! Many calls of a task as few pieces of work.
//!
//! A piece is a chunk of arguments. Neither it nor its results may be longer than what can travel, and nobody knows how long
//! results will be. So a worker whose results grow long stops in the middle, and sends the arguments that are left back
//! with them.

use super::super::failure::{self, Panic};
use super::super::serve::last_panic;
use super::super::task::{self, Entry};
use super::core::Core;
use super::gather::Gather;
use super::job::{Call, Outcome, Slot, open, short_name};
use crate::error::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::iter::Peekable;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of arguments or results after which a chunk has no more of them.
const CHUNK_BYTES: usize = 256 << 10;
/// What a value counts that cannot be measured, because there is an array in it: few arrays travel at once.
const UNMEASURED_BYTES: usize = CHUNK_BYTES;

/// The results of a chunk, and the arguments that it did not get to.
type Answer<A, R> = (Vec<Result<R, Panic>>, Vec<A>);

/// How many bytes a value takes on its way, at about.
fn measure<T: Serialize>(value: &T) -> usize {
    if std::mem::needs_drop::<T>() {
        postcard::experimental::serialized_size(value).unwrap_or(UNMEASURED_BYTES)
    } else {
        size_of::<T>()
    }
}

/// The next arguments: `count` of them, or as many as fit.
pub(super) fn next_chunk<A: Serialize>(
    arguments: &mut Peekable<impl Iterator<Item = A>>,
    count: usize,
) -> Vec<A> {
    let mut chunk = Vec::new();
    let mut bytes = 0;
    let mut fits = |argument: &A| {
        let is_first = bytes == 0;
        bytes += measure(argument).max(1);
        is_first || bytes <= CHUNK_BYTES
    };
    while chunk.len() < count
        && let Some(argument) = arguments.next_if(&mut fits)
    {
        chunk.push(argument);
    }
    chunk
}

/// In a worker.
fn call_each<F, A, R>(task: F, chunk: Vec<A>) -> Answer<A, R>
where
    F: Fn(A) -> R,
    R: Serialize,
{
    let mut results = Vec::with_capacity(chunk.len());
    let mut arguments = chunk.into_iter();
    let mut bytes = 0;
    while bytes < CHUNK_BYTES
        && let Some(argument) = arguments.next()
    {
        let result = catch_unwind(AssertUnwindSafe(|| task(argument)));
        let result = result.map_err(|payload| last_panic(&*payload).cut());
        bytes += match &result {
            Ok(result) => measure(result),
            Err(panic) => measure(panic),
        };
        results.push(result);
    }
    (results, arguments.collect())
}

/// What chunks need of those who order them.
#[derive(Clone)]
pub(super) struct Order {
    pub(super) core: Arc<Core>,
    entry: &'static Entry,
    /// The name of the user's function.
    name: &'static Entry,
    limit: Option<Duration>,
}

impl Order {
    pub(super) fn new<F, A, R>(core: &Arc<Core>, task: F, limit: Option<Duration>) -> Self
    where
        F: Fn(A) -> R + Copy + Send + 'static,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        fn entry_of<F, A, R>(_: F) -> &'static Entry
        where
            F: Fn(A) -> R + Copy + Send + 'static,
            A: DeserializeOwned,
            R: Serialize,
        {
            task::entry::<F, A, R>()
        }
        let name = task::entry::<F, A, R>();
        let entry = entry_of(move |chunk: Vec<A>| call_each(task, chunk));
        Self { core: Arc::clone(core), entry, name, limit }
    }
}

/// Orders one chunk; its results go to places of `gather` from number `from` on. What cannot be ordered has failed.
pub(super) fn order<A, R, T>(order: &Order, gather: &Arc<Gather<R, T>>, from: usize, chunk: Vec<A>)
where
    A: Serialize + DeserializeOwned + Send + 'static,
    R: DeserializeOwned + Send + 'static,
    T: Send + 'static,
{
    let (calls, slot) = (chunk.len(), Part::<A, R, T>::slot(order, gather, from, chunk.len()));
    let Order { core, entry, limit, .. } = order;
    if let Err(error) = core.submit(entry, chunk, (*limit, calls as u64), slot)
        && let Some(call) = fail(gather, from, calls, &error)
    {
        call();
    }
}

/// As [`order`], of what is left of a chunk. What is to be called then comes back.
fn order_rest<A, R, T>(
    order: &Order,
    gather: &Arc<Gather<R, T>>,
    from: usize,
    rest: Vec<A>,
) -> Option<Call>
where
    A: Serialize + DeserializeOwned + Send + 'static,
    R: DeserializeOwned + Send + 'static,
    T: Send + 'static,
{
    let (calls, slot) = (rest.len(), Part::<A, R, T>::slot(order, gather, from, rest.len()));
    let Order { core, entry, limit, .. } = order;
    match core.submit_rest(entry, rest, (*limit, calls as u64), slot) {
        Err(error) => fail(gather, from, calls, &error),
        Ok(told) if told.is_empty() => None,
        Ok(told) => {
            let core = Arc::clone(core);
            Some(Box::new(move || core.tell(told)))
        }
    }
}

/// All calls of a chunk have ended in an error.
fn fail<R: 'static, T: 'static>(
    gather: &Arc<Gather<R, T>>,
    from: usize,
    calls: usize,
    error: &Error,
) -> Option<Call> {
    gather.put(from, (0..calls).map(|_| Err(error.clone())))
}

/// A chunk on its way.
struct Part<A, R, T> {
    order: Order,
    gather: Arc<Gather<R, T>>,
    from: usize,
    calls: usize,
    arguments: PhantomData<fn(A)>,
}

impl<A, R, T> Part<A, R, T>
where
    A: Serialize + DeserializeOwned + Send + 'static,
    R: DeserializeOwned + Send + 'static,
    T: Send + 'static,
{
    fn slot(order: &Order, gather: &Arc<Gather<R, T>>, from: usize, calls: usize) -> Box<dyn Slot> {
        let (order, gather) = (order.clone(), Arc::clone(gather));
        Box::new(Self { order, gather, from, calls, arguments: PhantomData })
    }
}

impl<A, R, T> Slot for Part<A, R, T>
where
    A: Serialize + DeserializeOwned + Send + 'static,
    R: DeserializeOwned + Send + 'static,
    T: Send + 'static,
{
    fn start(&self) -> bool {
        self.gather.start()
    }

    fn settle(self: Box<Self>, outcome: Outcome) -> Vec<Call> {
        let Self { order, gather, from, calls, .. } = *self;
        let answer: Result<Answer<A, R>> = match outcome {
            Outcome::Done(letter) => open(letter),
            Outcome::Failed(error) | Outcome::Died(error, _) => Err(error),
        };
        let answer = answer.and_then(|(results, rest)| {
            let is_whole = results.len() + rest.len() == calls && !results.is_empty();
            let wrong = || Error::corrupt("the answer to a chunk", "it has too few results");
            is_whole.then_some((results, rest)).ok_or_else(wrong)
        });
        let (results, rest) = match answer {
            Err(error) => return fail(&gather, from, calls, &error).into_iter().collect(),
            Ok(answer) => answer,
        };
        let (name, next) = (short_name(order.name), from + results.len());
        let results = results
            .into_iter()
            .map(|result| result.map_err(|panic| failure::task_panicked(name, panic)));
        let mut calls: Vec<Call> = gather.put(from, results).into_iter().collect();
        if !rest.is_empty() {
            calls.extend(order_rest(&order, &gather, next, rest));
        }
        calls
    }
}
