//! Receiving for many who wait for different messages: see `process::pool`.

use super::core::{End, NotReceived};
use super::message::Message;
use super::parcel::Inbox;
use super::receiver::Receiver;
use crate::error::{Error, ErrorKind, Result};
use crossdock_sys::clock::Deadline;

impl<M: Message> Receiver<M> {
    /// Receives a message; `None` when `is_over`, or when the deadline has passed. Whoever changes what `is_over` looks at
    /// calls [`rouse`](Self::rouse).
    pub(crate) fn recv_or(
        &self,
        deadline: Option<Deadline>,
        is_over: &mut dyn FnMut() -> bool,
    ) -> Result<Option<M>> {
        let mut inbox = Inbox::default();
        let attempt = || match self.core.try_recv(&mut inbox) {
            Ok(_) => Some(Ok(true)),
            Err(NotReceived::Empty) => is_over().then_some(Ok(false)),
            Err(NotReceived::Failed(error)) => Some(Err(error)),
            Err(NotReceived::Disconnected) => {
                Some(Err(Error::new(ErrorKind::Disconnected, "every sender has gone")))
            }
        };
        match self.core.wait_for(End::Receiver, deadline, attempt) {
            Some(Ok(true)) => M::unpack(&mut inbox).map(Some),
            Some(Ok(false)) | None => Ok(None),
            Some(Err(error)) => Err(error),
        }
    }

    /// Has every receiver that sleeps look again.
    pub(crate) fn rouse(&self) {
        self.core.signal(End::Receiver).notify_all();
    }

    /// Puts right what the process left that had this pid and has ended, here and everywhere.
    ///
    /// # Errors
    ///
    /// Why that cannot be done now.
    pub(crate) fn reap_process(&self, pid: u32) -> Result<()> {
        self.core.member.reap_process(pid)
    }
}
