//! The receiving end.

use super::core::{Core, End, NotReceived};
use super::error::{RecvError, RecvTimeoutError, TryRecvError};
use super::message::Message;
use super::open_within;
use crate::error::{Error, ErrorKind, Result};
use crossdock_sys::clock::Deadline;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// The receiving end of a channel; clone it, or open the channel again in any process. Each message
/// goes to one receiver.
///
/// # Examples
///
/// ```
/// use crossdock::{Array, channel::{Receiver, Sender}};
///
/// let rx = Receiver::<Array<u8>>::create("receiver-docs", 4)?; // either side may come first
/// let tx = Sender::<Array<u8>>::open("receiver-docs")?;
/// for n in 0..3 {
///     tx.send(Array::from_slice(&[n; 100])?)?;
/// }
/// drop(tx);
///
/// let sums: Vec<u32> = rx.iter().map(|a| a.iter().map(|x| u32::from(*x)).sum()).collect();
/// assert_eq!(sums, [0, 100, 200]); // the iteration ends when the last sender has gone
/// # Ok::<(), crossdock::Error>(())
/// ```
pub struct Receiver<M: Message> {
    pub(super) core: Arc<Core>,
    messages: PhantomData<fn() -> M>,
}

impl<M: Message> Receiver<M> {
    fn new(core: Arc<Core>) -> Self {
        core.join(End::Receiver);
        Self { core, messages: PhantomData }
    }

    /// Makes a channel with room for `capacity` messages.
    ///
    /// # Errors
    ///
    /// As [`Sender::create`](super::Sender::create).
    pub fn create(name: &str, capacity: usize) -> Result<Self> {
        Core::create(name, capacity, M::message_type()).map(Self::new)
    }

    /// Opens a channel that somebody has made, with the same message type.
    ///
    /// # Errors
    ///
    /// `NotFound`, `WrongKind`, `WrongType`, `WrongVersion`, `Corrupt`.
    pub fn open(name: &str) -> Result<Self> {
        Core::open(name, M::message_type()).map(Self::new)
    }

    /// As [`open`](Self::open), but waits for somebody to make the channel.
    ///
    /// # Errors
    ///
    /// `TimedOut`, and as [`open`](Self::open).
    pub fn open_timeout(name: &str, timeout: Duration) -> Result<Self> {
        open_within(name, timeout, || Self::open(name))
    }

    /// Opens a channel, or makes it with room for `capacity` messages.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create) and [`open`](Self::open).
    pub fn open_or_create(name: &str, capacity: usize) -> Result<Self> {
        loop {
            match Self::open(name) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                other => return other,
            }
            match Self::create(name, capacity) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                other => return other,
            }
        }
    }

    /// Receives a message; waits while the queue is empty.
    ///
    /// # Errors
    ///
    /// [`RecvError::Disconnected`] when the queue is empty and every sender has gone or died.
    pub fn recv(&self) -> Result<M, RecvError> {
        match self.recv_until(None) {
            Ok(message) => Ok(message),
            Err(RecvTimeoutError::Disconnected) => Err(RecvError::Disconnected),
            Err(RecvTimeoutError::Failed(error)) => Err(RecvError::Failed(error)),
            Err(RecvTimeoutError::Timeout) => {
                let error = Error::new(ErrorKind::TimedOut, "a wait without end has ended");
                Err(RecvError::Failed(error))
            }
        }
    }

    /// Receives a message if there is one.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`].
    pub fn try_recv(&self) -> Result<M, TryRecvError> {
        match self.core.try_recv() {
            Ok(received) => M::from_received(received).map_err(TryRecvError::Failed),
            Err(NotReceived::Empty) => {
                self.core.note_fruitless_poll();
                Err(TryRecvError::Empty)
            }
            Err(NotReceived::Disconnected) => Err(TryRecvError::Disconnected),
            Err(NotReceived::Failed(error)) => Err(TryRecvError::Failed(error)),
        }
    }

    /// Receives a message; waits at most `timeout` while the queue is empty.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<M, RecvTimeoutError> {
        self.recv_until(Some(Deadline::after(timeout)))
    }

    fn recv_until(&self, deadline: Option<Deadline>) -> Result<M, RecvTimeoutError> {
        let attempt = || match self.core.try_recv() {
            Err(NotReceived::Empty) => None,
            other => Some(other),
        };
        match self.core.wait_for(End::Receiver, deadline, attempt) {
            Some(Ok(received)) => M::from_received(received).map_err(RecvTimeoutError::Failed),
            Some(Err(NotReceived::Disconnected)) => Err(RecvTimeoutError::Disconnected),
            Some(Err(NotReceived::Failed(error))) => Err(RecvTimeoutError::Failed(error)),
            Some(Err(NotReceived::Empty)) | None => Err(RecvTimeoutError::Timeout),
        }
    }

    /// Receives until every sender has gone.
    ///
    /// A message that cannot be received ([`RecvError::Failed`]) ends the iteration as well; use
    /// [`recv`](Self::recv) to tell the two apart.
    #[must_use = "iterators are lazy"]
    pub fn iter(&self) -> Iter<'_, M> {
        Iter { receiver: self }
    }

    /// Messages that the queue has room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.core.capacity()
    }

    /// Messages in the queue, at about this moment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.core.len()
    }

    /// Whether the queue has no message, at about this moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there has been a sender and none is left. The death of one may be noticed some
    /// milliseconds late.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.core.is_alone(End::Receiver)
    }

    /// The name of the channel.
    #[must_use]
    pub fn name(&self) -> &str {
        self.core.name()
    }

    /// Whether both receive from the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.core, &other.core)
    }
}

impl<M: Message> Clone for Receiver<M> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.core))
    }
}

impl<M: Message> Drop for Receiver<M> {
    fn drop(&mut self) {
        self.core.leave(End::Receiver);
    }
}

impl<M: Message> fmt::Debug for Receiver<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("name", &self.name())
            .field("messages", &format_args!("{}", M::message_type()))
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish()
    }
}

/// The messages of a channel until every sender has gone; see [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, M: Message> {
    receiver: &'a Receiver<M>,
}

impl<M: Message> Iterator for Iter<'_, M> {
    type Item = M;

    fn next(&mut self) -> Option<M> {
        self.receiver.recv().ok()
    }
}

impl<'a, M: Message> IntoIterator for &'a Receiver<M> {
    type Item = M;
    type IntoIter = Iter<'a, M>;

    fn into_iter(self) -> Iter<'a, M> {
        self.iter()
    }
}
