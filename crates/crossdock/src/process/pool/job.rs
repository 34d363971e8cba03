//! One piece of work, and the words in front of the letters about it.

use super::super::envelope::INLINE_BYTES_MAX;
use super::super::executor::Promise;
use super::super::failure::{self, Panic};
use super::super::task;
use super::super::task::Entry;
use super::super::wire::TaskId;
use crate::error::{Error, ErrorKind, Result};
use crate::letter::{Kept, Letter};
use serde::de::DeserializeOwned;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// How a piece of work has ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The letter with the result.
    Done(Letter),
    Failed(Error),
    /// Its worker has died; what the worker had been sent.
    Died(Error, Letter),
}

/// Calls what users wrote. So nothing may be locked, not even the lead.
pub(super) type Call = Box<dyn FnOnce() + Send>;

/// Who waits for a piece of work.
pub(super) trait Slot: Send {
    /// It is about to be handed to a worker; false if nobody wants it any more.
    fn start(&self) -> bool;

    /// It has ended. What is to be called then comes back.
    #[must_use = "somebody wants to be called"]
    fn settle(self: Box<Self>, outcome: Outcome) -> Vec<Call>;
}

impl<R: DeserializeOwned + Send + 'static> Slot for Promise<R> {
    fn start(&self) -> bool {
        Self::start(self)
    }

    fn settle(self: Box<Self>, outcome: Outcome) -> Vec<Call> {
        let outcome = match outcome {
            Outcome::Done(letter) => open(letter),
            Outcome::Failed(error) | Outcome::Died(error, _) => Err(error),
        };
        keep(*self, outcome).into_iter().collect()
    }
}

/// Keeps a promise; if callbacks are to be called before that, then by whoever calls what this returns.
pub(super) fn keep<R: Send + 'static>(promise: Promise<R>, outcome: Result<R>) -> Option<Call> {
    let (promise, outcome) = promise.keep_quietly(outcome).err()?;
    Some(Box::new(move || promise.keep(outcome)))
}

/// The value in a letter. Its type may panic instead of reading it.
pub(super) fn open<R: DeserializeOwned>(letter: Letter) -> Result<R> {
    catch_unwind(AssertUnwindSafe(|| letter.open())).unwrap_or_else(|payload| {
        let panic = Panic::unseen(&*payload);
        let name = std::any::type_name::<R>();
        let text = format!("a value of type {name} cannot be read: its Deserialize {panic}");
        Err(Error::new(ErrorKind::Panicked, text).caused_by(panic))
    })
}

/// A piece of work that no worker has.
pub(super) struct Job {
    pub(super) number: u64,
    pub(super) letter: Letter,
    pub(super) asked: Asked,
}

/// What is to be heeded with a piece of work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// How long a worker may take for it.
    pub(super) limit: Option<Duration>,
    /// Calls of the user's function in it.
    pub(super) calls: u64,
    /// Bytes that its argument may take.
    pub(super) bytes_max: usize,
}

impl Terms {
    /// Those of one call.
    pub(super) fn single(limit: Option<Duration>) -> Self {
        Self { limit, calls: 1, bytes_max: INLINE_BYTES_MAX }
    }
}

/// What the pool keeps of a piece of work while a worker has it.
pub(super) struct Asked {
    pub(super) slot: Box<dyn Slot>,
    /// How long a worker may take for it.
    pub(super) limit: Option<Duration>,
    /// Calls of the user's function in it.
    pub(super) calls: u64,
    pub(super) entry: &'static Entry,
    /// What it names must last until it has ended.
    pub(super) _kept: Vec<Kept>,
}

const NUMBER_BYTES: usize = 8;

/// The words in front of a piece of work.
pub(super) fn job_head(number: u64, id: TaskId) -> [u8; 3 * NUMBER_BYTES] {
    let mut head = [0; 3 * NUMBER_BYTES];
    let words = [number, id.offset, id.name_hash];
    for (place, word) in head.chunks_exact_mut(NUMBER_BYTES).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    head
}

/// Takes the next word off.
fn word(letter: &mut Letter) -> Result<u64> {
    letter.head().map(u64::from_le_bytes)
}

/// Takes the words in front of a piece of work off.
pub(super) fn split_job(letter: &mut Letter) -> Result<(u64, TaskId)> {
    let number = word(letter)?;
    Ok((number, TaskId { offset: word(letter)?, name_hash: word(letter)? }))
}

/// What a letter from a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The worker is ready.
    Ready,
    Done,
    /// The value is a [`Panic`](crate::process::Panic).
    Panicked,
    /// The value is an [`Error`].
    Failed,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Ready, Self::Done, Self::Panicked, Self::Failed];
}

/// The words in front of a letter from a worker.
pub(super) fn answer_head(number: u64, seat: u32, kind: Kind) -> [u8; 2 * NUMBER_BYTES] {
    let mut head = [0; 2 * NUMBER_BYTES];
    let second = u64::from(seat) << 8 | kind as u64;
    let (first_half, second_half) = head.split_at_mut(NUMBER_BYTES);
    first_half.copy_from_slice(&number.to_le_bytes());
    second_half.copy_from_slice(&second.to_le_bytes());
    head
}

/// Takes the words in front of a letter from a worker off: which work, whose, what.
pub(super) fn split_answer(letter: &mut Letter) -> Result<(u64, usize, Kind)> {
    let (number, second) = (word(letter)?, word(letter)?);
    let kind = Kind::ALL.into_iter().find(|kind| *kind as u64 == second & 0xff);
    let kind = kind.ok_or_else(|| Error::corrupt("an answer of a worker", "it is of no kind"))?;
    Ok((number, (second >> 8) as usize, kind))
}

/// What a letter from a worker means for who waits.
pub(super) fn outcome(kind: Kind, letter: Letter, entry: &Entry) -> Outcome {
    let error = match kind {
        Kind::Ready | Kind::Done => return Outcome::Done(letter),
        Kind::Panicked => {
            letter.open().map(|panic: Panic| failure::task_panicked(short_name(entry), panic))
        }
        Kind::Failed => letter.open(),
    };
    Outcome::Failed(error.unwrap_or_else(|error| error))
}

/// What people call a task.
pub(super) fn short_name(entry: &Entry) -> &'static str {
    task::short_name(entry.name())
}
