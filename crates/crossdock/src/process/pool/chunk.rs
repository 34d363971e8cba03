//! Many calls of a task as few pieces of work.
//!
//! A piece is a chunk of arguments. Neither it nor its results may be longer than what can travel, and nobody knows how long
//! results will be. So a worker whose results grow long stops in the middle, and sends the arguments that are left back
//! with them. A result that cannot travel, or is too long alone, has failed, and no other with it.

use super::super::envelope::INLINE_BYTES_MAX;
use super::super::failure::{self, Panic};
use super::super::serve::last_panic;
use super::super::task::{self, Entry};
use super::core::Core;
use super::gather::Gather;
use super::job::{Call, Outcome, Slot, Terms, open, short_name};
use crate::error::{Error, Result};
use crate::letter::Letter;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::iter::Peekable;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of arguments or results after which a chunk has no more of them.
const CHUNK_BYTES: usize = 256 << 10;
/// What a value counts that cannot be measured, because there is an array in it: few arrays travel at once.
const UNMEASURED_BYTES: usize = CHUNK_BYTES;

/// Bytes that the arguments of a chunk may take: one as long as is allowed, and how many there are.
const ARGUMENTS_BYTES_MAX: usize = INLINE_BYTES_MAX + 64;
/// Bytes that its answer may take: results before the longest one, that, and arguments. What is not measured but
/// estimated by its size in memory can take half as much again.
const ANSWER_BYTES_MAX: usize = INLINE_BYTES_MAX + 4 * CHUNK_BYTES;

/// Why a call of a chunk has no result.
#[derive(Debug, Serialize, Deserialize)]
enum Fault {
    Panicked(Panic),
    /// Its result cannot travel.
    Unsendable(Error),
}

/// The results of a chunk, and the arguments that it did not get to.
type Answer<A, R> = (Vec<Result<R, Fault>>, Vec<A>);

/// How many bytes a value takes on its way, at about.
fn measure<T: Serialize>(value: &T) -> Option<usize> {
    if std::mem::needs_drop::<T>() {
        postcard::experimental::serialized_size(value).ok()
    } else {
        Some(size_of::<T>())
    }
}

/// As [`measure`], of a result; why it cannot travel, if it cannot.
fn measure_result<R: Serialize>(result: &R) -> Result<usize> {
    if let Some(bytes) = measure(result).filter(|bytes| *bytes <= INLINE_BYTES_MAX) {
        return Ok(bytes);
    }
    match Letter::measure(result)? {
        (bytes, 0) => Ok(bytes),
        (bytes, _) => Ok(bytes.max(UNMEASURED_BYTES)),
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
        bytes += measure(argument).unwrap_or(UNMEASURED_BYTES).max(1);
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
        let call = || {
            let result = task(argument);
            measure_result(&result).map(|bytes| (result, bytes))
        };
        let fault = match catch_unwind(AssertUnwindSafe(call)) {
            Ok(Ok((result, len))) => {
                bytes += len + 1;
                results.push(Ok(result));
                continue;
            }
            Ok(Err(error)) => Fault::Unsendable(error),
            Err(payload) => Fault::Panicked(last_panic(&*payload).cut()),
        };
        bytes += measure(&fault).unwrap_or(UNMEASURED_BYTES);
        results.push(Err(fault));
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
            task::entry_within::<F, A, R, ANSWER_BYTES_MAX>()
        }
        let name = task::entry::<F, A, R>();
        let entry = entry_of(move |chunk: Vec<A>| call_each(task, chunk));
        Self { core: Arc::clone(core), entry, name, limit }
    }

    fn terms(&self, calls: usize) -> Terms {
        Terms { limit: self.limit, calls: calls as u64, bytes_max: ARGUMENTS_BYTES_MAX }
    }

    fn error(&self, fault: Fault) -> Error {
        let name = short_name(self.name);
        match fault {
            Fault::Panicked(panic) => failure::task_panicked(name, panic),
            Fault::Unsendable(error) => {
                let text = format!("task \"{name}\": its result cannot be sent: {error}");
                Error::new(error.kind(), text)
            }
        }
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
    if let Err(error) = order.core.submit(order.entry, chunk, order.terms(calls), slot)
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
    match order.core.submit_rest(order.entry, rest, order.terms(calls), slot) {
        Err(error) => fail(gather, from, calls, &error),
        Ok(told) if told.is_empty() => None,
        Ok(told) => {
            let core = Arc::clone(&order.core);
            Some(Box::new(move || core.tell(told)))
        }
    }
}

/// All calls of a chunk have ended in an error.
fn fail<R: Send + 'static, T: Send + 'static>(
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
        let next = from + results.len();
        let results = results.into_iter().map(|result| result.map_err(|fault| order.error(fault)));
        let mut calls: Vec<Call> = gather.put(from, results).into_iter().collect();
        if !rest.is_empty() {
            calls.extend(order_rest(&order, &gather, next, rest));
        }
        calls
    }
}
