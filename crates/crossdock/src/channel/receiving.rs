//! The verbs of receiving, the same for both kinds of channels of which each receiver has a place of its own.

use super::core::{Core, End, NotReceived};
use super::error::{RecvTimeoutError, TryRecvError};
use super::message::Message;
use super::parcel::Inbox;
use crate::error::{Error, ErrorKind, Result};
use crossdock_core::ring::broadcast::READERS_MAX;
use crossdock_sys::clock::Deadline;

/// Makes this process a receiver that has a place of its own.
pub(super) fn join<P>(core: &Core, take_place: impl FnOnce() -> Option<P>) -> Result<P> {
    // First a member, so that others find it if it dies.
    core.join(End::Receiver);
    take_place().ok_or_else(|| {
        core.leave(End::Receiver);
        let text = format!(
            "all {READERS_MAX} places for receivers of channel {:?} are taken",
            core.name()
        );
        Error::new(ErrorKind::TooManyPeers, text).named(core.name())
    })
}

/// Receives a message if there is one.
pub(super) fn try_recv<M: Message>(
    core: &Core,
    receive: impl FnOnce(&mut Inbox) -> Result<(), NotReceived>,
) -> Result<M, TryRecvError> {
    let mut inbox = Inbox::default();
    match receive(&mut inbox) {
        Ok(()) => unpack(core, &mut inbox).map_err(TryRecvError::Failed),
        Err(NotReceived::Empty) => {
            core.note_fruitless_poll();
            Err(TryRecvError::Empty)
        }
        Err(NotReceived::Disconnected) => Err(TryRecvError::Disconnected),
        Err(NotReceived::Failed(error)) => Err(TryRecvError::Failed(error)),
    }
}

/// Receives a message; waits until `deadline` while there is none.
pub(super) fn recv_until<M: Message>(
    core: &Core,
    deadline: Option<Deadline>,
    receive: impl Fn(&mut Inbox) -> Result<(), NotReceived>,
) -> Result<M, RecvTimeoutError> {
    let mut inbox = Inbox::default();
    let attempt = || match receive(&mut inbox) {
        Err(NotReceived::Empty) => None,
        other => Some(other),
    };
    match core.wait_for(End::Receiver, deadline, attempt) {
        Some(Ok(())) => unpack(core, &mut inbox).map_err(RecvTimeoutError::Failed),
        Some(Err(NotReceived::Disconnected)) => Err(RecvTimeoutError::Disconnected),
        Some(Err(NotReceived::Failed(error))) => Err(RecvTimeoutError::Failed(error)),
        Some(Err(NotReceived::Empty)) | None => Err(RecvTimeoutError::Timeout),
    }
}

fn unpack<M: Message>(core: &Core, inbox: &mut Inbox) -> Result<M> {
    M::unpack(inbox).map_err(|error| core.within(error))
}
