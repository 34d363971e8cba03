//! What one who waits for several channels at once asks each of them.
#![expect(private_interfaces, reason = "the sealed traits are nobody else's to call")]

use super::core::{Core, End};
use super::message::{Message, SharedMessage};
use super::{Receiver, Sender, broadcast, latest};
use crossdock_core::layout::Carrier;
use crossdock_core::ring::{Next, Refused, Ring};
use crossdock_core::signal::Watched;
use std::sync::Arc;

/// An end of a channel that a [`Select`](crate::Select) can wait to receive from.
pub trait ReceivingEnd: sealed::Waiting {}

/// An end of a channel that a [`Select`](crate::Select) can wait to send into.
pub trait SendingEnd: sealed::Waiting {}

pub(crate) mod sealed {
    use super::{Arc, Core, End};

    pub trait Waiting {
        fn core(&self) -> &Arc<Core>;

        fn end(&self) -> End;

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
        let refused = match (&self.map.table.carrier, end) {
            (_, End::Receiver) => return false,
            (Carrier::Queue(ring, _), End::Sender) => {
                if !self.has_room_again() {
                    return false;
                }
                match ring.in_the_way() {
                    // Full; or somebody has sent and not moved the tail on yet, which the next one to send does.
                    Some(Refused::Full(None)) => return ring.len() < ring.capacity(),
                    other => other,
                }
            }
            (Carrier::Broadcast(ring), End::Sender) => ring.in_the_way(),
            (Carrier::Latest(ring), End::Sender) => ring.in_the_way(),
        };
        !matches!(refused, Some(Refused::Full(_)))
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

    /// Whether every verb of this end would say so at once: the other side has gone, or this process may not.
    fn is_over(&self, end: End) -> bool {
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

macro_rules! waiting {
    ($($type:ident $(:: $name:ident)? <$message:ident> $end:ident $role:ident;)+) => {$(
        impl<M: $message> $role for $type$(::$name)?<M> {}

        impl<M: $message> sealed::Waiting for $type$(::$name)?<M> {
            fn core(&self) -> &Arc<Core> {
                &self.core
            }

            fn end(&self) -> End {
                End::$end
            }
        }
    )+};
}

waiting! {
    Receiver<Message> Receiver ReceivingEnd;
    Sender<Message> Sender SendingEnd;
    broadcast::Sender<SharedMessage> Sender SendingEnd;
    latest::Sender<SharedMessage> Sender SendingEnd;
}

impl<M: SharedMessage> ReceivingEnd for broadcast::Receiver<M> {}

impl<M: SharedMessage> sealed::Waiting for broadcast::Receiver<M> {
    fn core(&self) -> &Arc<Core> {
        &self.core
    }

    fn end(&self) -> End {
        End::Receiver
    }

    fn is_ready(&self) -> bool {
        self.core.is_over(End::Receiver) || self.has_message()
    }
}

impl<M: SharedMessage> ReceivingEnd for latest::Receiver<M> {}

impl<M: SharedMessage> sealed::Waiting for latest::Receiver<M> {
    fn core(&self) -> &Arc<Core> {
        &self.core
    }

    fn end(&self) -> End {
        End::Receiver
    }

    fn is_ready(&self) -> bool {
        self.core.is_over(End::Receiver) || self.has_newer()
    }
}
