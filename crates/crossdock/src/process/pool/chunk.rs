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
use super::job::{Outcome, Slot, short_name};
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
    order_chunk(order, gather, from, chunk, false);
}

fn order_chunk<A, R, T>(
    order: &Order,
    gather: &Arc<Gather<R, T>>,
    from: usize,
    chunk: Vec<A>,
    is_rest: bool,
) where
    A: Serialize + DeserializeOwned + Send + 'static,
    R: DeserializeOwned + Send + 'static,
    T: Send + 'static,
{
    let calls = chunk.len();
    let part = Part {
        order: order.clone(),
        gather: Arc::clone(gather),
        from,
        calls,
        arguments: PhantomData::<fn(A)>,
    };
    let Order { core, entry, limit, .. } = order;
    let (limit, slot) = ((*limit, calls as u64), Box::new(part));
    let ordered = match is_rest {
        true => core.submit_rest(entry, chunk, limit, slot),
        false => core.submit(entry, chunk, limit, slot),
    };
    if let Err(error) = ordered {
        gather.put(from, (0..calls).map(|_| Err(error.clone())));
    }
}

/// A chunk on its way.
struct Part<A, R, T> {
    order: Order,
    gather: Arc<Gather<R, T>>,
    from: usize,
    calls: usize,
    arguments: PhantomData<fn(A)>,
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

    fn calls_out(&self) -> bool {
        self.gather.calls_out()
    }

    fn settle(self: Box<Self>, outcome: Outcome) {
        let Self { order, gather, from, calls, .. } = *self;
        let answer: Result<Answer<A, R>> = match outcome {
            Outcome::Done(letter) => letter.open(),
            Outcome::Failed(error) | Outcome::Died(error, _) => Err(error),
        };
        match answer {
            Err(error) => gather.put(from, (0..calls).map(|_| Err(error.clone()))),
            Ok((results, rest)) if results.len() + rest.len() != calls || results.is_empty() => {
                let error = Error::corrupt("the answer to a chunk", "it has too few results");
                gather.put(from, (0..calls).map(|_| Err(error.clone())));
            }
            Ok((results, rest)) => {
                let name = short_name(order.name);
                let next = from + results.len();
                let fail = |panic| failure::task_panicked(name, panic);
                gather.put(from, results.into_iter().map(|result| result.map_err(fail)));
                if !rest.is_empty() {
                    order_chunk(&order, &gather, next, rest, true);
                }
            }
        }
    }
}
