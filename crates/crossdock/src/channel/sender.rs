//! The sending end.

use super::core::{Core, End};
use super::error::{SendError, SendTimeoutError, TrySendError};
use super::message::{ArrayMessage, Message, MessageType};
use super::options::ChannelOptions;
use super::{open_within, sending};
use crate::array::{ArrayMut, IntoShape};
use crate::error::{Error, ErrorKind, Result};
use crossdock_core::settings::Mode;
use crossdock_sys::clock::Deadline;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// The sending end of a channel; clone it, or open the channel again in any process.
///
/// # Examples
///
/// ```
/// use crossdock::{ArrayMut, channel::{Receiver, Sender}};
///
/// let tx = Sender::<ArrayMut<f32>>::create("sender-docs", 4)?;
/// let rx = Receiver::<ArrayMut<f32>>::open("sender-docs")?; // in any process
///
/// let mut frame = tx.loan([1080, 1920])?;
/// frame.fill(0.5);
/// tx.send(frame)?; // moves a handle of 64 bytes, whatever the length
///
/// let frame = rx.recv()?;
/// assert_eq!(frame.shape(), [1080, 1920]);
/// assert_eq!(frame[7], 0.5);
/// # Ok::<(), crossdock::Error>(())
/// ```
pub struct Sender<M: Message> {
    pub(super) core: Arc<Core>,
    messages: PhantomData<fn(M)>,
}

impl<M: Message> Sender<M> {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        core.join(End::Sender);
        Self { core, messages: PhantomData }
    }

    /// Makes a channel with room for `capacity` messages.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`, `InvalidName`, `InvalidArgument` for a capacity of 0 or above 2^20,
    /// `TooManyPeers`, `NoSpace`.
    pub fn create(name: &str, capacity: usize) -> Result<Self> {
        ChannelOptions::new(capacity).create_sender(name)
    }

    /// Opens a channel that somebody has made, with the same message type.
    ///
    /// # Errors
    ///
    /// `NotFound`, `WrongKind`, `WrongType`, `WrongVersion`, `Corrupt`.
    pub fn open(name: &str) -> Result<Self> {
        Core::open(name, Mode::Queue, &MessageType::of::<M>()).map(Self::new)
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

    /// Sends a message; waits while the queue is full.
    ///
    /// # Errors
    ///
    /// [`SendError`] gives the message back.
    pub fn send(&self, message: M) -> Result<(), SendError<M>> {
        sending::send(&self.core, message)
    }

    /// Sends a message if the queue has room.
    ///
    /// # Errors
    ///
    /// [`TrySendError`] gives the message back.
    pub fn try_send(&self, message: M) -> Result<(), TrySendError<M>> {
        sending::try_send(&self.core, message)
    }

    /// Sends a message; waits at most `timeout` while the queue is full.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError`] gives the message back.
    pub fn send_timeout(&self, message: M, timeout: Duration) -> Result<(), SendTimeoutError<M>> {
        sending::send_until(&self.core, message, Some(Deadline::after(timeout)))
    }

    /// Sends messages one after the other, as [`send`](Self::send) does.
    ///
    /// # Errors
    ///
    /// Those that were not sent, and why.
    pub fn send_many(&self, messages: impl IntoIterator<Item = M>) -> Result<(), (Vec<M>, Error)> {
        sending::send_many(&self.core, messages.into_iter().collect())
    }

    /// Messages that the queue has room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.core.capacity()
    }

    /// Messages in the queue, at about this moment. After a death it may be wrong by the batch that was then being
    /// sent or received, until the next message is; so may [`is_empty`](Self::is_empty) and [`is_full`](Self::is_full).
    #[must_use]
    pub fn len(&self) -> usize {
        self.core.len()
    }

    /// Whether the queue has no message, at about this moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the queue has no room, at about this moment.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// Whether there has been a receiver and none is left. The death of one may be noticed some
    /// milliseconds late.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.core.is_alone(End::Sender)
    }

    /// The name of the channel.
    #[must_use]
    pub fn name(&self) -> &str {
        self.core.name()
    }

    /// Whether both send into the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.core, &other.core)
    }
}

impl<M: ArrayMessage> Sender<M> {
    /// An array to fill and send, of memory that receivers can map. What is in it is unspecified:
    /// whatever the last array there held.
    ///
    /// # Errors
    ///
    /// As [`ArrayMut::uninit`].
    pub fn loan(&self, shape: impl IntoShape) -> Result<ArrayMut<M::Element>> {
        ArrayMut::uninit(shape)
    }
}

impl<M: Message> Clone for Sender<M> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.core))
    }
}

impl<M: Message> Drop for Sender<M> {
    fn drop(&mut self) {
        self.core.leave(End::Sender);
    }
}

impl<M: Message> fmt::Debug for Sender<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("name", &self.name())
            .field("messages", &format_args!("{}", MessageType::of::<M>().text))
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish()
    }
}
