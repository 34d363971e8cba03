//! A queue of serde values.
#![expect(private_interfaces, reason = "the sealed trait is nobody else's to call")]

use super::ends::Ends;
use super::put::{self, PutError, Wait, under_a_new_name};
use crate::channel::core::{Core, End};
use crate::channel::{
    ChannelOptions, Receiver, ReceivingEnd, RecvError, RecvTimeoutError, Sender, TryRecvError,
    Waiting,
};
use crate::error::Result;
use crate::letter::{self, Typed};
use crossdock_sys::clock::Deadline;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A bounded queue of any serde values, for any number of processes that put and get: `multiprocessing.Queue`.
///
/// A value of up to 1 MiB travels as its bytes, and the arrays in it as [handles](super#tasks). There is no thread that
/// feeds it: when [`put`](Self::put) returns, the value is in shared memory, and stays there though the process exits or
/// is killed at once.
///
/// A queue goes to another process as an argument of its task, or is opened by its name. Whoever has a handle may put and get,
/// but not while he waits. So when all handles wait, or their processes are dead, then all waits end, with an error that says
/// so. Before a second handle has come, the first one waits for it. Threads that put and get have a clone each.
///
/// Handles that travel by their names ([`Value`](crate::Value), ends of channels) are kept by nobody while they are in a
/// queue: who has put one keeps another until it has been got.
///
/// # Examples
///
/// ```
/// use crossdock::process::{self, Process, Queue};
/// use crossdock::Array;
///
/// type Job = Option<(String, Array<f64>)>;
///
/// fn work((jobs, results): (Queue<Job>, Queue<(String, f64)>)) -> crossdock::Result<()> {
///     while let Some((name, numbers)) = jobs.get()? {
///         results.put((name, numbers.iter().sum()))?;
///     }
///     Ok(())
/// }
///
/// fn main() -> crossdock::Result<()> {
///     process::init();
///
///     let (jobs, results) = (Queue::new(16)?, Queue::new(16)?);
///     let worker = Process::spawn(work, (jobs.clone(), results.clone()))?;
///     jobs.put(Some(("ones".to_owned(), Array::from_slice(&[1.0; 100])?)))?;
///     jobs.put(None)?;
///     assert_eq!(results.get()?, ("ones".to_owned(), 100.0));
///     worker.join()?
/// }
/// ```
///
/// # Differences from `multiprocessing.Queue`
///
/// It always has a limit. Values come in the order in which they were put, also those of one process, and `len`, `is_empty`
/// and `is_full` are right at some moment of the call. `get` ends with
/// [`Disconnected`](RecvError::Disconnected) when the queue is empty and nobody is left who might put, because all others are gone or wait themselves.
pub struct Queue<T> {
    ends: Ends<Typed<T>>,
}

impl<T> Queue<T> {
    /// A queue with room for `capacity` values, under a name that nobody has.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn new(capacity: usize) -> Result<Self> {
        under_a_new_name("queue", |name| Self::create(name, capacity))
    }

    /// A queue with room for `capacity` values, under a new name.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`, `InvalidName`, `InvalidArgument` for a capacity of 0 or above 2^20, `TooManyPeers`, `NoSpace`.
    pub fn create(name: &str, capacity: usize) -> Result<Self> {
        ChannelOptions::new(capacity).create_sender(name).map(Self::of_sender)
    }

    /// A queue that somebody has made, of the same type of values.
    ///
    /// # Errors
    ///
    /// `NotFound`, `WrongKind`, `WrongType`, `WrongVersion`, `Corrupt`.
    pub fn open(name: &str) -> Result<Self> {
        Sender::open(name).map(Self::of_sender)
    }

    /// Opens a queue, or makes it with room for `capacity` values.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create) and [`open`](Self::open).
    pub fn open_or_create(name: &str, capacity: usize) -> Result<Self> {
        Sender::open_or_create(name, capacity).map(Self::of_sender)
    }

    fn of_sender(sender: Sender<Typed<T>>) -> Self {
        Self { ends: Ends::new(sender) }
    }

    /// Values that it has room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.ends.core().capacity()
    }

    /// Values in it, at about this moment.
    #[must_use]
    #[doc(alias = "qsize")]
    pub fn len(&self) -> usize {
        self.ends.core().len()
    }

    /// Whether there is none, at about this moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room, at about this moment.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.ends.core().name()
    }
}

impl<T: Serialize + DeserializeOwned> Queue<T> {
    /// Puts a value; waits while there is no room.
    ///
    /// # Errors
    ///
    /// [`PutError`]: `Disconnected` when there is no room and nobody is left who might get anything; `LimitExceeded` for more than 1 MiB besides
    /// arrays, or more arrays than a value can have; `InvalidArgument`.
    pub fn put(&self, value: T) -> Result<(), PutError<T>> {
        put::put(&self.ends, value, Wait::Forever)
    }

    /// Puts a value; waits at most `timeout` while there is no room.
    ///
    /// # Errors
    ///
    /// [`PutError`]: `TimedOut`, and as [`put`](Self::put).
    pub fn put_timeout(&self, value: T, timeout: Duration) -> Result<(), PutError<T>> {
        put::put(&self.ends, value, Wait::For(timeout))
    }

    /// Puts a value if there is room.
    ///
    /// # Errors
    ///
    /// [`PutError`]: `Full`, and as [`put`](Self::put).
    pub fn put_nowait(&self, value: T) -> Result<(), PutError<T>> {
        put::put(&self.ends, value, Wait::No)
    }
}

impl<T: DeserializeOwned> Queue<T> {
    /// Takes the next value; waits while there is none.
    ///
    /// # Errors
    ///
    /// [`RecvError::Disconnected`] when there is none and nobody is left who might put one.
    pub fn get(&self) -> Result<T, RecvError> {
        self.get_until(None).map_err(put::without_end)
    }

    /// Takes the next value; waits at most `timeout` while there is none.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`].
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.get_until(Some(Deadline::after(timeout)))
    }

    fn get_until(&self, deadline: Option<Deadline>) -> Result<T, RecvTimeoutError> {
        let message = self.ends.receive(deadline, Receiver::try_recv)?;
        message.letter.open().map_err(RecvTimeoutError::Failed)
    }

    /// Takes the next value if there is one.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`].
    pub fn get_nowait(&self) -> Result<T, TryRecvError> {
        let message = self.ends.try_receive(Receiver::try_recv)?;
        message.letter.open().map_err(TryRecvError::Failed)
    }

    /// Takes values until nobody is left who might put one. A value that cannot be read is an error, and others may follow.
    #[must_use = "iterators are lazy"]
    pub fn iter(&self) -> impl Iterator<Item = Result<T>> + '_ {
        std::iter::from_fn(|| match self.get() {
            Ok(value) => Some(Ok(value)),
            Err(RecvError::Failed(error)) => Some(Err(error)),
            Err(RecvError::Disconnected) => None,
        })
    }
}

/// For [`Select`](crate::Select).
impl<T: DeserializeOwned> ReceivingEnd for Queue<T> {
    type Message = T;

    fn try_recv(&self) -> Result<T, TryRecvError> {
        self.get_nowait()
    }
}

impl<T> Waiting for Queue<T> {
    fn core(&self) -> &Arc<Core> {
        self.ends.core()
    }

    fn end(&self) -> End {
        End::Receiver
    }

    fn is_ready(&self) -> bool {
        self.ends.outlook().is_some()
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self { ends: self.ends.clone() }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("name", &self.name())
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

/// In an argument or result of a task, and in other queues: its name travels.
impl<T: 'static> Serialize for Queue<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        letter::serialize("a Queue", Some(self.name()), || self.clone(), serializer)
    }
}

impl<'de, T> Deserialize<'de> for Queue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        letter::deserialize(deserializer, Self::open)
    }
}
