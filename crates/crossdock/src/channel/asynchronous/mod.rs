//! Receiving and sending that suspend a task in place of a thread, in any async runtime.
//!
//! Nothing here knows a runtime: only `std::task`. One thread of the process sleeps on behalf of all tasks
//! that wait ([`watcher`]).

mod watcher;

pub(crate) use watcher::{let_go, stop};

use super::error::{RecvError, SendError, TryRecvError, TrySendError};
use super::message::{Message, SharedMessage};
use super::receiver::Receiver;
use super::sender::Sender;
use super::{ReceivingEnd, SendingEnd, broadcast, latest};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use watcher::Wait;

impl<M: Message> Receiver<M> {
    /// Receives a message; the task waits while the queue is empty.
    ///
    /// A future that is dropped before it is done has taken nothing: the message, if one comes, goes to the
    /// next who receives.
    ///
    /// # Errors
    ///
    /// [`RecvError::Disconnected`] when the queue is empty and every sender has gone or died.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossdock::{Array, channel::{Receiver, Sender}};
    ///
    /// let rx = Receiver::<Array<u8>>::create("recv-async-docs", 4)?;
    /// let tx = Sender::<Array<u8>>::open("recv-async-docs")?; // in any process
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # runtime.block_on(async {
    /// let array = Array::from_slice(&[1, 2, 3])?;
    /// let (sent, received) = tokio::join!(tx.send_async(array), rx.recv_async());
    /// sent?;
    /// assert_eq!(received?[..], [1, 2, 3]);
    /// # Ok::<(), crossdock::Error>(())
    /// # })?;
    /// # Ok::<(), crossdock::Error>(())
    /// ```
    pub fn recv_async(&self) -> RecvFuture<'_, Self> {
        RecvFuture::new(self)
    }
}

impl<M: Message> Sender<M> {
    /// Sends a message; the task waits while the queue is full.
    ///
    /// A future that is dropped before it is done has sent nothing, and drops its message;
    /// [`SendFuture::into_inner`] gives it back.
    ///
    /// # Errors
    ///
    /// [`SendError`] gives the message back.
    pub fn send_async(&self, message: M) -> SendFuture<'_, Self> {
        SendFuture::new(self, message)
    }
}

impl<M: SharedMessage> broadcast::Receiver<M> {
    /// Receives the next message; the task waits until there is one.
    ///
    /// A future that is dropped before it is done has taken nothing: the receiver gets the message, if one comes,
    /// the next time.
    ///
    /// # Errors
    ///
    /// [`RecvError::Disconnected`] when there is none and every sender has gone or died.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossdock::{Array, channel::broadcast::{Receiver, Sender}};
    ///
    /// let tx = Sender::<Array<u8>>::create("broadcast-async-docs", 4)?;
    /// let left = Receiver::<Array<u8>>::open("broadcast-async-docs")?; // in any process
    /// let right = Receiver::<Array<u8>>::open("broadcast-async-docs")?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # runtime.block_on(async {
    /// let send = tx.send_async(Array::from_slice(&[1, 2, 3])?);
    /// let (left, right, sent) = tokio::join!(left.recv_async(), right.recv_async(), send);
    /// sent?;
    /// assert_eq!(left?[2] + right?[2], 6); // the same memory
    /// # Ok::<(), crossdock::Error>(())
    /// # })?;
    /// # Ok::<(), crossdock::Error>(())
    /// ```
    pub fn recv_async(&self) -> RecvFuture<'_, Self> {
        RecvFuture::new(self)
    }
}

impl<M: SharedMessage> broadcast::Sender<M> {
    /// Sends a message; the task waits while there is no room, if the channel is made to wait.
    ///
    /// A future that is dropped before it is done has sent nothing, and drops its message;
    /// [`SendFuture::into_inner`] gives it back.
    ///
    /// # Errors
    ///
    /// [`SendError`] gives the message back.
    pub fn send_async(&self, message: M) -> SendFuture<'_, Self> {
        SendFuture::new(self, message)
    }
}

impl<M: SharedMessage> latest::Receiver<M> {
    /// Receives the newest message if it is newer than the last one received; the task waits until it is.
    ///
    /// A future that is dropped before it is done has taken nothing: a message that comes is as new as before.
    ///
    /// # Errors
    ///
    /// [`RecvError::Disconnected`] when it is not and every sender has gone or died.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossdock::channel::latest::{Receiver, Sender};
    ///
    /// let tx = Sender::<u64>::create("latest-async-docs", 4)?;
    /// let rx = Receiver::<u64>::open("latest-async-docs")?; // in any process
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # runtime.block_on(async {
    /// let (received, sent) = tokio::join!(rx.recv_async(), tx.send_async(41));
    /// sent?;
    /// assert_eq!(received?, 41);
    /// tx.send_async(42).await?;
    /// tx.send_async(43).await?;
    /// assert_eq!(rx.recv_async().await?, 43);
    /// # Ok::<(), crossdock::Error>(())
    /// # })?;
    /// # Ok::<(), crossdock::Error>(())
    /// ```
    pub fn recv_async(&self) -> RecvFuture<'_, Self> {
        RecvFuture::new(self)
    }
}

impl<M: SharedMessage> latest::Sender<M> {
    /// Sends a message that takes the place of the one before. The task waits while all slots are in the hands of
    /// other senders, never for a receiver.
    ///
    /// A future that is dropped before it is done has sent nothing, and drops its message;
    /// [`SendFuture::into_inner`] gives it back.
    ///
    /// # Errors
    ///
    /// [`SendError`] gives the message back.
    pub fn send_async(&self, message: M) -> SendFuture<'_, Self> {
        SendFuture::new(self, message)
    }
}

/// The message that a receiver will get: see [`Receiver::recv_async`], [`broadcast::Receiver::recv_async`] and
/// [`latest::Receiver::recv_async`].
#[must_use = "a future does nothing unless it is polled"]
pub struct RecvFuture<'a, R: ReceivingEnd> {
    receiver: &'a R,
    wait: Wait<'a, R>,
}

impl<'a, R: ReceivingEnd> RecvFuture<'a, R> {
    fn new(receiver: &'a R) -> Self {
        Self { receiver, wait: Wait::new(receiver) }
    }
}

impl<R: ReceivingEnd> Future for RecvFuture<'_, R> {
    type Output = Result<R::Message, RecvError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let outcome = match this.receiver.try_recv() {
            Ok(message) => Ok(message),
            Err(TryRecvError::Empty) => match this.wait.go_on(context.waker()) {
                Ok(()) => return Poll::Pending,
                Err(error) => Err(RecvError::Failed(error)),
            },
            Err(TryRecvError::Disconnected) => Err(RecvError::Disconnected),
            Err(TryRecvError::Failed(error)) => Err(RecvError::Failed(error)),
        };
        this.wait.end();
        Poll::Ready(outcome)
    }
}

impl<R: ReceivingEnd + fmt::Debug> fmt::Debug for RecvFuture<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvFuture").field("receiver", self.receiver).finish()
    }
}

/// A message that a channel will have room for: see [`Sender::send_async`], [`broadcast::Sender::send_async`] and
/// [`latest::Sender::send_async`].
#[must_use = "a future does nothing unless it is polled"]
pub struct SendFuture<'a, S: SendingEnd> {
    sender: &'a S,
    message: Option<S::Message>,
    wait: Wait<'a, S>,
}

impl<'a, S: SendingEnd> SendFuture<'a, S> {
    fn new(sender: &'a S, message: S::Message) -> Self {
        Self { sender, message: Some(message), wait: Wait::new(sender) }
    }

    /// The message, if it has not been sent: to keep it when a time is up.
    #[must_use = "the message goes with it"]
    pub fn into_inner(self) -> Option<S::Message> {
        self.message
    }
}

// The message is moved into the channel and never pinned.
impl<S: SendingEnd> Unpin for SendFuture<'_, S> {}

impl<S: SendingEnd> Future for SendFuture<'_, S> {
    type Output = Result<(), SendError<S::Message>>;

    /// # Panics
    ///
    /// When it is polled after it was ready.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(message) = this.message.take() else {
            panic!("a message was to be sent again after it had been sent");
        };
        let outcome = match this.sender.try_send(message) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(message)) if !this.sender.core().is_waiting_kind() => {
                Err(SendError::Full(message))
            }
            Err(TrySendError::Full(message)) => match this.wait.go_on(context.waker()) {
                Ok(()) => {
                    this.message = Some(message);
                    return Poll::Pending;
                }
                Err(error) => Err(SendError::Failed(message, error)),
            },
            Err(TrySendError::Disconnected(message)) => Err(SendError::Disconnected(message)),
            Err(TrySendError::Failed(message, error)) => Err(SendError::Failed(message, error)),
        };
        this.wait.end();
        Poll::Ready(outcome)
    }
}

impl<S: SendingEnd + fmt::Debug> fmt::Debug for SendFuture<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendFuture")
            .field("sender", self.sender)
            .field("is_sent", &self.message.is_none())
            .finish()
    }
}
