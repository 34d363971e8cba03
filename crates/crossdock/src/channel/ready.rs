//! What one who waits for several channels at once asks each of them.

use super::core::{Core, End};
use super::message::Message;
use super::receiver::Receiver;
use super::sender::Sender;
use crossdock_core::ring::Refused;
use crossdock_core::signal::Watched;
use std::sync::Arc;

impl Core {
    /// Whether a receive or a send would have an answer now, if only that it cannot work. Another one may be
    /// faster.
    pub(crate) fn is_ready(&self, end: End) -> bool {
        let other = if end == End::Sender { End::Receiver } else { End::Sender };
        if self.check_ours().is_err() || self.members(other).have_left() {
            return true;
        }
        let ring = &self.map.table.ring;
        match end {
            End::Receiver => !matches!(ring.poll(), Ok(None)),
            End::Sender => match ring.in_the_way() {
                // Full; or somebody has sent and not moved the tail on yet, which the next one to send does.
                Some(Refused::Full(None)) => ring.len() < ring.capacity(),
                Some(Refused::Full(Some(_))) => false,
                Some(Refused::Corrupt(_)) | None => true,
            },
        }
    }

    /// Announces a sleeper who waits for other things as well. It looks once more before it sleeps.
    pub(crate) fn watch(&self, end: End) -> Watched<'_> {
        let watched = self.signal(end).watch();
        self.map.table.ring.settle();
        watched
    }

    /// Wakes the next sleeper in place of one who has been woken and goes on with something else.
    pub(crate) fn pass_on(&self, end: End) {
        self.signal(end).pass_on();
    }
}

impl<M: Message> Receiver<M> {
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }
}

impl<M: Message> Sender<M> {
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }
}
