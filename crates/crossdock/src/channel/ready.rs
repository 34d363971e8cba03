//! What one who waits for several channels at once asks each of them.
#![expect(private_interfaces, reason = "the sealed traits are nobody else's to call")]

use super::core::{Core, End};
use super::error::{TryRecvError, TrySendError};
use super::message::{Message, SharedMessage};
use super::{Receiver, Sender, broadcast, latest};
use crossdock_core::layout::Carrier;
use crossdock_core::ring::{Next, Refused, Ring};
use crossdock_core::settings::WhenFull;
use crossdock_core::signal::Watched;
use std::sync::Arc;

/// An end of a channel that a [`Select`](crate::Select) or a task can wait to receive from.
pub trait ReceivingEnd: sealed::Waiting {
    /// What it receives.
    type Message;

    /// Receives a message if there is one, as the method of the same name of each end does.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`].
    fn try_recv(&self) -> Result<Self::Message, TryRecvError>;
}

/// An end of a channel that a [`Select`](crate::Select) or a task can wait to send into.
pub trait SendingEnd: sealed::Waiting {
    /// What it sends.
    type Message;

    /// Sends a message if there is room, as the method of the same name of each end does.
    ///
    /// # Errors
    ///
    /// [`TrySendError`] gives the message back.
    fn try_send(&self, message: Self::Message) -> Result<(), TrySendError<Self::Message>>;
}

/// Where a receiver is among the messages, as whoever waits on its behalf knows it.
#[cfg(feature = "async")]
pub(crate) trait Place: Send + Sync {
    /// Whether a receive would have an answer now.
    fn is_ready(&self, core: &Core) -> bool;
}

pub(crate) mod sealed {
    use super::{Arc, Core, End};

    pub trait Waiting {
        fn core(&self) -> &Arc<Core>;

        fn end(&self) -> End;

        /// Where this receiver is among the messages, if it has a place of its own there.
        #[cfg(feature = "async")]
        fn place(&self) -> Option<Arc<dyn super::Place>> {
            None
        }

        /// Whether the verb of this end would have an answer now, if only that it cannot work. Another one may
        /// be faster.
        fn is_ready(&self) -> bool {
            self.core().is_ready(self.end())
        }
    }
}

impl Core {
    /// Whether a receive from a queue, or a send, would have an answer now.
    pub(crate) fn is_ready(&self, end: End) -> bool {
        if let (Carrier::Queue(ring, _), End::Receiver) = (&self.map.table.carrier, end) {
            return self.check_ours().is_err() || self.has_answer(ring);
        }
        if self.is_over(end) {
            return true;
        }
        let is_dropping = self.settings().when_full == WhenFull::DropOldest;
        let refused = match (&self.map.table.carrier, end) {
            (_, End::Receiver) => return false,
            (Carrier::Queue(ring, _), End::Sender) => {
                return self.has_room(ring) || is_dropping && !matches!(ring.poll(), Ok(None));
            }
            (Carrier::Broadcast(ring), End::Sender) => ring.in_the_way(is_dropping),
            (Carrier::Latest(ring), End::Sender) => ring.in_the_way(),
        };
        !matches!(refused, Some(Refused::Full(_)))
    }

    /// Whether a queue has room for a message as it is.
    pub(super) fn has_room(&self, ring: &Ring<'_>) -> bool {
        self.has_room_again()
            && match ring.in_the_way() {
                // Full; or somebody has sent and not moved the tail on yet, which the next one to send does.
                Some(Refused::Full(None)) => ring.len() < ring.capacity(),
                Some(Refused::Full(Some(_))) => false,
                Some(Refused::Corrupt(_)) | None => true,
            }
    }

    /// Whether a receive from a queue would have an answer now: the mirror of `try_recv`.
    fn has_answer(&self, ring: &Ring<'_>) -> bool {
        if self.is_acknowledged() && self.map.table.control.ledger.may_be_returned() {
            return true;
        }
        match ring.next() {
            Ok(Next::Ready(_)) | Err(_) => true,
            Ok(Next::Pending(_)) => false,
            Ok(Next::Empty) => self.members(End::Sender).have_left() && !self.may_be_returned(),
        }
    }

    /// Whether every verb of a sender, or of a receiver of the newest message, would say so at once: the other side
    /// has gone, or this process may not.
    pub(super) fn is_over(&self, end: End) -> bool {
        let other = if end == End::Sender { End::Receiver } else { End::Sender };
        self.check_ours().is_err() || self.members(other).have_left()
    }

    /// Announces a sleeper who waits for other things as well. It looks once more before it sleeps.
    pub(crate) fn watch(&self, end: End) -> Watched<'_> {
        let watched = self.signal(end).watch();
        self.map.table.settle();
        watched
    }

    /// Wakes the next sleeper in place of one who has been woken and goes on with something else.
    pub(crate) fn pass_on(&self, end: End) {
        self.signal(end).pass_on();
    }
}

macro_rules! receiving {
    ($($type:ty, $bound:ident $(, $place:ident)?;)+) => {$(
        impl<M: $bound> ReceivingEnd for $type {
            type Message = M;

            fn try_recv(&self) -> Result<M, TryRecvError> {
                self.try_recv()
            }
        }

        impl<M: $bound> sealed::Waiting for $type {
            fn core(&self) -> &Arc<Core> {
                &self.core
            }

            fn end(&self) -> End {
                End::Receiver
            }

            $(
                #[cfg(feature = "async")]
                fn place(&self) -> Option<Arc<dyn Place>> {
                    Some(Arc::<$place::Place>::clone(&self.place))
                }

                fn is_ready(&self) -> bool {
                    self.place.is_ready(&self.core)
                }
            )?
        }

        $(
            #[cfg(feature = "async")]
            impl Place for $place::Place {
                fn is_ready(&self, core: &Core) -> bool {
                    self.is_ready(core)
                }
            }
        )?
    )+};
}

macro_rules! sending {
    ($($type:ty, $bound:ident;)+) => {$(
        impl<M: $bound> SendingEnd for $type {
            type Message = M;

            fn try_send(&self, message: M) -> Result<(), TrySendError<M>> {
                self.try_send(message)
            }
        }

        impl<M: $bound> sealed::Waiting for $type {
            fn core(&self) -> &Arc<Core> {
                &self.core
            }

            fn end(&self) -> End {
                End::Sender
            }
        }
    )+};
}

receiving! {
    Receiver<M>, Message;
    broadcast::Receiver<M>, SharedMessage, broadcast;
    latest::Receiver<M>, SharedMessage, latest;
}

sending! {
    Sender<M>, Message;
    broadcast::Sender<M>, SharedMessage;
    latest::Sender<M>, SharedMessage;
}
