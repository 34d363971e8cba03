//! Receiving and sending that suspend a task in place of a thread, in any async runtime.
//!
//! Nothing here knows a runtime: only `std::task`. One thread of the process sleeps on behalf of all tasks
//! that wait ([`watcher`]).

mod watcher;

pub(crate) use watcher::{let_go, stop};

use super::core::End;
use super::error::{RecvError, SendError, TryRecvError, TrySendError};
use super::message::Message;
use super::receiver::Receiver;
use super::sender::Sender;
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
    pub fn recv_async(&self) -> RecvFuture<'_, M> {
        RecvFuture { receiver: self, wait: Wait::new(&self.core, End::Receiver) }
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
    pub fn send_async(&self, message: M) -> SendFuture<'_, M> {
        let wait = Wait::new(&self.core, End::Sender);
        SendFuture { sender: self, message: Some(message), wait }
    }
}

/// The message that a channel will have; see [`Receiver::recv_async`].
#[must_use = "a future does nothing unless it is polled"]
pub struct RecvFuture<'a, M: Message> {
    receiver: &'a Receiver<M>,
    wait: Wait<'a>,
}

impl<M: Message> Future for RecvFuture<'_, M> {
    type Output = Result<M, RecvError>;

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

impl<M: Message> fmt::Debug for RecvFuture<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvFuture").field("receiver", self.receiver).finish()
    }
}

/// A message that a channel will have room for; see [`Sender::send_async`].
#[must_use = "a future does nothing unless it is polled"]
pub struct SendFuture<'a, M: Message> {
    sender: &'a Sender<M>,
    message: Option<M>,
    wait: Wait<'a>,
}

impl<M: Message> SendFuture<'_, M> {
    /// The message, if it has not been sent: to keep it when a time is up.
    #[must_use = "the message goes with it"]
    pub fn into_inner(self) -> Option<M> {
        self.message
    }
}

// The message is moved into the channel and never pinned.
impl<M: Message> Unpin for SendFuture<'_, M> {}

impl<M: Message> Future for SendFuture<'_, M> {
    type Output = Result<(), SendError<M>>;

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
            Err(TrySendError::Full(message)) if !this.sender.core.is_waiting_kind() => {
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

impl<M: Message> fmt::Debug for SendFuture<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendFuture")
            .field("sender", self.sender)
            .field("is_sent", &self.message.is_none())
            .finish()
    }
}
