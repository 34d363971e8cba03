//! Pipes: two processes that talk, or one that tells another.
#![expect(private_interfaces, reason = "the sealed trait is nobody else's to call")]

use super::put::{self, PutError, Wait, under_a_new_name};
use crate::channel::core::{Core, End};
use crate::channel::{
    ChannelOptions, Receiver, ReceivingEnd, RecvError, RecvTimeoutError, Sender, TryRecvError,
    Waiting,
};
use crate::error::Result;
use crate::letter::{self, Typed};
use crate::select::Select;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Values that a pipe has room for in each direction.
const CAPACITY: usize = 64;

/// A pipe for both directions: `multiprocessing.Pipe()`. What one end sends, the other one receives.
///
/// Any serde value travels, up to 1 MiB of bytes and the arrays in it as [handles](super#tasks). There is room for 64 values
/// in each direction; then the sender waits.
///
/// # Errors
///
/// `TooManyPeers`, `NoSpace`.
///
/// # Examples
///
/// ```
/// use crossdock::process::{self, Connection, Process};
///
/// fn upper(line: Connection<String, String>) -> crossdock::Result<()> {
///     while let Ok(word) = line.recv() {
///         line.send(word.to_uppercase())?;
///     }
///     Ok(()) // the other end has gone
/// }
///
/// fn main() -> crossdock::Result<()> {
///     process::init();
///
///     let (ours, theirs) = process::pipe::<String, String>()?;
///     let worker = Process::spawn(upper, theirs)?;
///     ours.send("hello".to_owned())?;
///     assert_eq!(ours.recv()?, "HELLO");
///     drop(ours);
///     worker.join()?
/// }
/// ```
pub fn pipe<A, B>() -> Result<(Connection<A, B>, Connection<B, A>)> {
    let (first_writer, second_reader) = one_way()?;
    let (second_writer, first_reader) = one_way()?;
    let first = Connection { writer: first_writer, reader: first_reader };
    let second = Connection { writer: second_writer, reader: second_reader };
    Ok((first, second))
}

/// A pipe for one direction: `multiprocessing.Pipe(duplex=False)`, the writing end first.
///
/// # Errors
///
/// As [`pipe`].
///
/// # Examples
///
/// ```
/// use crossdock::process;
///
/// let (writer, reader) = process::one_way_pipe::<u32>()?;
/// writer.send(7)?;
/// drop(writer);
/// assert_eq!(reader.recv()?, 7);
/// assert!(reader.recv().is_err()); // end of file
/// # Ok::<(), crossdock::Error>(())
/// ```
pub fn one_way_pipe<T>() -> Result<(PipeWriter<T>, PipeReader<T>)> {
    one_way()
}

fn one_way<T>() -> Result<(PipeWriter<T>, PipeReader<T>)> {
    let sender: Sender<Typed<T>> =
        under_a_new_name("pipe", |name| ChannelOptions::new(CAPACITY).create_sender(name))?;
    let receiver = Receiver::new(Arc::clone(sender.core()));
    Ok((PipeWriter { sender }, PipeReader { receiver }))
}

/// The end of a pipe that sends.
pub struct PipeWriter<T> {
    sender: Sender<Typed<T>>,
}

/// The end of a pipe that receives.
pub struct PipeReader<T> {
    receiver: Receiver<Typed<T>>,
}

/// One end of a [`pipe`]: sends `S` and receives `R`.
///
/// It goes to another process as an argument of its task. When the process at the other end drops its end, exits, or is
/// killed, then what it had sent can still be received; after that there is an error.
pub struct Connection<S, R> {
    writer: PipeWriter<S>,
    reader: PipeReader<R>,
}

impl<T: Serialize + DeserializeOwned> PipeWriter<T> {
    /// Sends a value; waits while there is no room.
    ///
    /// # Errors
    ///
    /// [`PutError`]: `Disconnected` when the other end has gone; `LimitExceeded`, `InvalidArgument` for a value that cannot
    /// travel.
    pub fn send(&self, value: T) -> Result<(), PutError<T>> {
        put::send(&self.sender, value, Wait::Forever)
    }

    /// As [`send`](Self::send), but waits at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`PutError`]: `TimedOut`, and as [`send`](Self::send).
    pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), PutError<T>> {
        put::send(&self.sender, value, Wait::For(timeout))
    }

    /// As [`send`](Self::send), but does not wait.
    ///
    /// # Errors
    ///
    /// [`PutError`]: `Full`, and as [`send`](Self::send).
    pub fn try_send(&self, value: T) -> Result<(), PutError<T>> {
        put::send(&self.sender, value, Wait::No)
    }
}

impl<T: DeserializeOwned> PipeReader<T> {
    /// Receives a value; waits while there is none.
    ///
    /// # Errors
    ///
    /// [`RecvError::Disconnected`], the end of file: there is none, and the other end has gone or is dead.
    pub fn recv(&self) -> Result<T, RecvError> {
        put::recv(&self.receiver)
    }

    /// As [`recv`](Self::recv), but waits at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        put::recv_timeout(&self.receiver, timeout)
    }

    /// As [`recv`](Self::recv), but does not wait.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`].
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        put::try_recv(&self.receiver)
    }
}

impl<T> PipeReader<T> {
    /// Whether a receive would have an answer within `timeout`: a value, or that there will be none.
    #[must_use]
    pub fn poll(&self, timeout: Duration) -> bool {
        let mut select = Select::new();
        select.recv(&self.receiver);
        select.ready_timeout(timeout).is_some()
    }
}

impl<S: Serialize + DeserializeOwned, R> Connection<S, R> {
    /// As [`PipeWriter::send`].
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::send`].
    pub fn send(&self, value: S) -> Result<(), PutError<S>> {
        self.writer.send(value)
    }

    /// As [`PipeWriter::send_timeout`].
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::send_timeout`].
    pub fn send_timeout(&self, value: S, timeout: Duration) -> Result<(), PutError<S>> {
        self.writer.send_timeout(value, timeout)
    }

    /// As [`PipeWriter::try_send`].
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::try_send`].
    pub fn try_send(&self, value: S) -> Result<(), PutError<S>> {
        self.writer.try_send(value)
    }
}

impl<S, R: DeserializeOwned> Connection<S, R> {
    /// As [`PipeReader::recv`].
    ///
    /// # Errors
    ///
    /// As [`PipeReader::recv`].
    pub fn recv(&self) -> Result<R, RecvError> {
        self.reader.recv()
    }

    /// As [`PipeReader::recv_timeout`].
    ///
    /// # Errors
    ///
    /// As [`PipeReader::recv_timeout`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<R, RecvTimeoutError> {
        self.reader.recv_timeout(timeout)
    }

    /// As [`PipeReader::try_recv`].
    ///
    /// # Errors
    ///
    /// As [`PipeReader::try_recv`].
    pub fn try_recv(&self) -> Result<R, TryRecvError> {
        self.reader.try_recv()
    }
}

impl<S, R> Connection<S, R> {
    /// As [`PipeReader::poll`].
    #[must_use]
    pub fn poll(&self, timeout: Duration) -> bool {
        self.reader.poll(timeout)
    }

    /// Both directions apart, for two threads or processes.
    #[must_use]
    pub fn split(self) -> (PipeWriter<S>, PipeReader<R>) {
        (self.writer, self.reader)
    }
}

/// The numbers of those that have a value, or whose other end has gone; waits until there is one, `timeout` at most:
/// `multiprocessing.connection.wait`.
///
/// To wait for other things as well: [`Select`].
///
/// # Panics
///
/// For more than [`OPERATIONS_MAX`](crate::OPERATIONS_MAX) ends, and for none.
///
/// # Examples
///
/// ```
/// use crossdock::process;
/// use std::time::Duration;
///
/// let (_first, a) = process::one_way_pipe::<u32>()?;
/// let (second, b) = process::one_way_pipe::<u32>()?;
/// assert!(process::wait(&[&a, &b], Duration::ZERO).is_empty());
/// second.send(5)?;
/// assert_eq!(process::wait(&[&a, &b], Duration::from_secs(1)), [1]);
/// # Ok::<(), crossdock::Error>(())
/// ```
#[must_use]
pub fn wait<E: ReceivingEnd>(ends: &[&E], timeout: Duration) -> Vec<usize> {
    let mut select = Select::new();
    for end in ends {
        select.recv(*end);
    }
    if select.ready_timeout(timeout).is_none() {
        return Vec::new();
    }
    ends.iter().enumerate().filter(|(_, end)| end.is_ready()).map(|(number, _)| number).collect()
}

macro_rules! receiving {
    ($([$($other:ident)?] $type:ty, $value:ident, $($field:ident).+;)+) => {$(
        /// For [`Select`].
        impl<$($other,)? $value: DeserializeOwned> ReceivingEnd for $type {
            type Message = $value;

            fn try_recv(&self) -> Result<$value, TryRecvError> {
                self.try_recv()
            }
        }

        impl<$($other,)? $value> Waiting for $type {
            fn core(&self) -> &Arc<Core> {
                self.$($field).+.core()
            }

            fn end(&self) -> End {
                End::Receiver
            }
        }
    )+};
}

receiving! {
    [] PipeReader<T>, T, receiver;
    [S] Connection<S, R>, R, reader.receiver;
}

/// Another handle on the same end.
impl<T> Clone for PipeWriter<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone() }
    }
}

/// Another handle on the same end: each value goes to one of them.
impl<T> Clone for PipeReader<T> {
    fn clone(&self) -> Self {
        Self { receiver: self.receiver.clone() }
    }
}

/// Another handle on the same end.
impl<S, R> Clone for Connection<S, R> {
    fn clone(&self) -> Self {
        Self { writer: self.writer.clone(), reader: self.reader.clone() }
    }
}

impl<T> fmt::Debug for PipeWriter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeWriter").field("name", &self.sender.name()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for PipeReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeReader").field("name", &self.receiver.name()).finish_non_exhaustive()
    }
}

impl<S, R> fmt::Debug for Connection<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("sends", &self.writer.sender.name())
            .field("receives", &self.reader.receiver.name())
            .finish_non_exhaustive()
    }
}

/// In an argument or result of a task, and in queues: its name travels.
impl<T: 'static> Serialize for PipeWriter<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        letter::serialize(
            "the end of a pipe",
            Some(self.sender.name()),
            || self.sender.clone(),
            serializer,
        )
    }
}

impl<'de, T> Deserialize<'de> for PipeWriter<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        letter::deserialize(deserializer, |name| Ok(Self { sender: Sender::open(name)? }))
    }
}

/// In an argument or result of a task, and in queues: its name travels.
impl<T: 'static> Serialize for PipeReader<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        letter::serialize(
            "the end of a pipe",
            Some(self.receiver.name()),
            || self.receiver.clone(),
            serializer,
        )
    }
}

impl<'de, T> Deserialize<'de> for PipeReader<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        letter::deserialize(deserializer, |name| Ok(Self { receiver: Receiver::open(name)? }))
    }
}

/// In an argument or result of a task, and in queues: both names travel.
impl<S: 'static, R: 'static> Serialize for Connection<S, R> {
    fn serialize<W: Serializer>(&self, serializer: W) -> Result<W::Ok, W::Error> {
        (&self.writer, &self.reader).serialize(serializer)
    }
}

impl<'de, S, R> Deserialize<'de> for Connection<S, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (writer, reader) = Deserialize::deserialize(deserializer)?;
        Ok(Self { writer, reader })
    }
}
