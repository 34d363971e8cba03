//! One array, each part of which some worker changes in place.

use super::super::executor::{Future, Promise};
use super::super::failure::{self, Panic};
use super::super::serve::last_panic;
use super::super::task::{self, Entry};
use super::Pool;
use super::core::Core;
use super::job::{Call, Outcome, Slot, keep, short_name};
use crate::array::{ArrayMut, Order};
use crate::error::{Error, ErrorKind, Result};
use crossdock_core::element::Element;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A [`Pool::for_each_chunk_mut`] of which not every call has returned.
pub struct PartsError<T: Element> {
    /// What went wrong, by the first row of the part, in the order of the rows.
    pub failures: Vec<(usize, Error)>,
    /// What there is of the array, by its first row: neighbours are joined. Parts whose calls have failed are among them, as
    /// far as they were changed. A part is missing only if its worker took too long and was ended.
    pub parts: Vec<(usize, ArrayMut<T>)>,
}

/// What becomes of a part.
struct Returned<T: Element> {
    part: Option<ArrayMut<T>>,
    error: Option<Error>,
}

impl Pool {
    /// Cuts `array` into parts of `rows` rows, has workers call `task` with the number of the first row and the elements
    /// of the part, in memory order, and puts the parts together again. Nothing is copied: the workers write where the array lies. (Rows run along the axis
    /// that varies slowest.)
    ///
    /// # Errors
    ///
    /// [`PartsError`] has what went wrong, and the array.
    ///
    /// # Panics
    ///
    /// When `rows` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossdock::ArrayMut;
    /// use crossdock::process::{self, Pool};
    ///
    /// fn fill(first_row: usize, part: &mut [f32]) {
    ///     for (row, x) in (first_row..).zip(part.iter_mut()) {
    ///         *x = (row as f32).sqrt();
    ///     }
    /// }
    ///
    /// # fn main() -> crossdock::Result<()> {
    /// process::init(); // the first line of main
    ///
    /// let array = ArrayMut::zeroed(10_000)?;
    /// let array = Pool::new(2)?.for_each_chunk_mut(array, 1000, fill)?;
    /// assert_eq!(array[6400], 80.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn for_each_chunk_mut<T, F>(
        &self,
        array: ArrayMut<T>,
        rows: usize,
        task: F,
    ) -> Result<ArrayMut<T>, PartsError<T>>
    where
        T: Element,
        F: Fn(usize, &mut [T]) + Copy + Send + 'static,
    {
        assert!(rows > 0, "an array cannot be cut into parts of 0 rows");
        if array.is_empty() {
            return Ok(array);
        }
        let entry = entry_of(move |(first_row, mut part): (usize, ArrayMut<T>)| {
            let called = catch_unwind(AssertUnwindSafe(|| task(first_row, &mut part)));
            let panic = called.err().map(|payload| last_panic(&*payload).cut());
            (part, panic)
        });
        let mut ordered = Vec::new();
        let mut rest = Some(array);
        let mut first_row = 0;
        while let Some(array) = rest.take() {
            let axis = match array.order() {
                Order::C => 0,
                Order::F => array.ndim() - 1,
            };
            let part = if array.shape()[axis] > rows {
                let (part, others) = array.split_at(rows);
                rest = Some(others);
                part
            } else {
                array
            };
            ordered.push((first_row, order(&self.core, entry, first_row, part)));
            first_row += rows;
        }
        gather(ordered)
    }
}

/// Has a worker change a part.
fn order<T: Element>(
    core: &Arc<Core>,
    entry: &'static Entry,
    first_row: usize,
    part: ArrayMut<T>,
) -> Future<Returned<T>> {
    let driver: Arc<Core> = Arc::clone(core);
    let (future, promise) = Future::new(Some(driver), None);
    let slot = Box::new(PartSlot { promise, entry });
    core.submit_or_settle(entry, (first_row, part), slot);
    future
}

/// Who waits for a part.
struct PartSlot<T: Element> {
    promise: Promise<Returned<T>>,
    entry: &'static Entry,
}

impl<T: Element> Slot for PartSlot<T> {
    fn start(&self) -> bool {
        self.promise.start()
    }

    fn settle(self: Box<Self>, outcome: Outcome) -> Vec<Call> {
        let Self { promise, entry } = *self;
        let fail = |panic| failure::task_panicked(short_name(entry), panic);
        let opened = match outcome {
            Outcome::Done(letter) => {
                let opened = letter.open::<(ArrayMut<T>, Option<Panic>)>();
                opened.map(|(part, panic)| (Some(part), panic.map(fail)))
            }
            Outcome::Failed(error) => Ok((None, Some(error))),
            // As far as its worker has come.
            Outcome::Died(error, letter) => {
                let opened = letter.open::<(usize, ArrayMut<T>)>();
                opened.map(|(_, part)| (Some(part), Some(error)))
            }
        };
        let (part, error) = opened.unwrap_or_else(|error| (None, Some(error)));
        keep(promise, Ok(Returned { part, error })).into_iter().collect()
    }
}

/// Waits for all parts, and joins neighbours.
fn gather<T: Element>(
    ordered: Vec<(usize, Future<Returned<T>>)>,
) -> Result<ArrayMut<T>, PartsError<T>> {
    let mut found = PartsError { failures: Vec::new(), parts: Vec::new() };
    let mut is_next = false;
    for (first_row, future) in ordered {
        let gone = |error| Returned { part: None, error: Some(error) };
        let Returned { part, error } = future.result().unwrap_or_else(gone);
        found.failures.extend(error.map(|error| (first_row, error)));
        let has_come = part.is_some();
        if let Some(part) = part {
            found.add(first_row, part, is_next);
        }
        is_next = has_come;
    }
    match found.parts.pop() {
        Some((0, array)) if found.parts.is_empty() && found.failures.is_empty() => Ok(array),
        last => {
            found.parts.extend(last);
            Err(found)
        }
    }
}

impl<T: Element> PartsError<T> {
    /// Adds a part, to the last one if they are neighbours.
    fn add(&mut self, first_row: usize, part: ArrayMut<T>, is_next: bool) {
        match self.parts.pop() {
            Some((row, last)) if is_next => match last.unsplit(part) {
                Ok(both) => self.parts.push((row, both)),
                Err((last, part)) => self.parts.extend([(row, last), (first_row, part)]),
            },
            last => {
                self.parts.extend(last);
                self.parts.push((first_row, part));
            }
        }
    }
}

impl<T: Element> fmt::Display for PartsError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.failures.first() {
            Some((row, error)) => {
                let others = self.failures.len() - 1;
                write!(f, "the part from row {row} on has failed, and {others} others: {error}")
            }
            None => f.write_str("parts of the array are missing"),
        }
    }
}

impl<T: Element> fmt::Debug for PartsError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shapes = self.parts.iter().map(|(row, part)| (row, part.shape()));
        f.debug_struct("PartsError")
            .field("failures", &self.failures)
            .field("parts", &shapes.collect::<Vec<_>>())
            .finish()
    }
}

impl<T: Element> std::error::Error for PartsError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.failures.first().map(|(_, error)| error as _)
    }
}

impl<T: Element> From<PartsError<T>> for Error {
    fn from(error: PartsError<T>) -> Self {
        let kind = error.failures.first().map_or(ErrorKind::Died, |(_, error)| error.kind());
        Self::new(kind, error.to_string())
    }
}

fn entry_of<F, T: Element>(_: F) -> &'static Entry
where
    F: Fn((usize, ArrayMut<T>)) -> (ArrayMut<T>, Option<Panic>) + Copy + Send + 'static,
{
    task::entry::<F, (usize, ArrayMut<T>), (ArrayMut<T>, Option<Panic>)>()
}
