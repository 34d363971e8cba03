//! A message that its receiver has to acknowledge.

use super::core::Core;
use super::error::AcknowledgeError;
use super::message::Message;
use super::parcel::Inbox;
use super::queue::Unsettled;
use crate::error::Result;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A message of a channel whose receivers acknowledge: see [`ChannelOptions::redeliver`](super::ChannelOptions::redeliver).
///
/// It goes back to the queue if it is dropped without [`acknowledge`](Self::acknowledge), and if the process dies.
/// After as many deliveries as the channel was made for it becomes a dead letter instead.
#[must_use = "a message that is not acknowledged goes back to the queue"]
pub struct Delivery<M: Message> {
    /// `None` once it is settled.
    message: Option<(M, Unsettled)>,
    core: Arc<Core>,
}

impl<M: Message> Delivery<M> {
    pub(super) fn new(core: &Arc<Core>, message: M, unsettled: Unsettled) -> Self {
        Self { message: Some((message, unsettled)), core: Arc::clone(core) }
    }

    /// The message, and what it is to be acknowledged with.
    #[cfg(feature = "process")]
    pub(crate) fn split(mut self) -> (M, Delivery<()>) {
        let Some((message, unsettled)) = self.message.take() else {
            unreachable!("a delivery has its message until it is settled")
        };
        (message, Delivery::new(&self.core, (), unsettled))
    }

    /// How often the message has been delivered, this time included.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        self.message.as_ref().map_or(0, |(_, unsettled)| unsettled.deliveries())
    }

    /// Says that the message has been dealt with: nobody else will get it. Returns it.
    ///
    /// # Errors
    ///
    /// [`AcknowledgeError`] gives the message back: somebody else gets it as well, so what has been done with it here is
    /// done twice unless it is undone.
    ///
    /// # Panics
    ///
    /// Never: a delivery has its message until it is settled, and this ends the delivery.
    pub fn acknowledge(mut self) -> Result<M, AcknowledgeError<M>> {
        let Some((message, unsettled)) = self.message.take() else {
            unreachable!("a delivery is settled once")
        };
        if let Err(error) = self.core.check_ours() {
            return Err(AcknowledgeError::Failed(message, error));
        }
        if self.core.settle(unsettled, true) {
            Ok(message)
        } else {
            Err(AcknowledgeError::Lost(message))
        }
    }

    /// Gives the message back at once, for another receiver; the same as dropping the delivery.
    pub fn give_back(self) {}
}

impl<M: Message> Deref for Delivery<M> {
    type Target = M;

    fn deref(&self) -> &M {
        match &self.message {
            Some((message, _)) => message,
            None => unreachable!("a delivery has its message until it is settled"),
        }
    }
}

impl<M: Message> Drop for Delivery<M> {
    fn drop(&mut self) {
        if let Some((message, unsettled)) = self.message.take() {
            // First this process's own hold, so that the next one is alone with it.
            drop(message);
            self.core.settle(unsettled, false);
        }
    }
}

impl<M: Message + fmt::Debug> fmt::Debug for Delivery<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("message", &self.message.as_ref().map(|(message, _)| message))
            .field("deliveries", &self.deliveries())
            .finish_non_exhaustive()
    }
}

/// The dead letters of a channel; see [`Receiver::dead_letters`](super::Receiver::dead_letters).
#[derive(Debug)]
pub struct DeadLetters<'a, M: Message> {
    pub(super) core: &'a Arc<Core>,
    /// The row to look at next.
    pub(super) next: usize,
    pub(super) messages: std::marker::PhantomData<fn() -> M>,
}

impl<M: Message> Iterator for DeadLetters<'_, M> {
    type Item = Result<Delivery<M>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut inbox = Inbox::default();
        let unsettled = match self.core.try_dead_letter(self.next, &mut inbox) {
            Ok(found) => found?,
            Err(error) => return Some(Err(error)),
        };
        self.next = unsettled.index() + 1;
        match M::unpack(&mut inbox) {
            Ok(message) => Some(Ok(Delivery::new(self.core, message, unsettled))),
            Err(error) => {
                // It never can be read, so it is not to be found again.
                self.core.settle(unsettled, true);
                Some(Err(error))
            }
        }
    }
}
