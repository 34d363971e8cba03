//! The verbs of sending, the same for every kind of channel.

use super::core::{Core, End, NotSent};
use super::error::{SendError, SendTimeoutError, TrySendError};
use super::message::Message;
use super::parcel::Parcel;
use crate::error::{Error, ErrorKind};
use crossdock_sys::clock::Deadline;

/// Sends a message if the channel has room.
#[inline]
pub(super) fn try_send<M: Message>(core: &Core, message: M) -> Result<(), TrySendError<M>> {
    if message.record().is_some_and(|record| core.send_record(record)) {
        return Ok(());
    }
    match try_offer(core, &message) {
        Ok(()) => Ok(()),
        Err(NotSent::Full) => {
            core.note_fruitless_poll();
            Err(TrySendError::Full(message))
        }
        Err(NotSent::Disconnected) => Err(TrySendError::Disconnected(message)),
        Err(NotSent::Failed(error)) => Err(TrySendError::Failed(message, error)),
    }
}

/// Sends a message; waits while the channel has no room, if it is made to wait.
#[inline]
pub(super) fn send<M: Message>(core: &Core, message: M) -> Result<(), SendError<M>> {
    match send_until(core, message, None) {
        Ok(()) => Ok(()),
        Err(SendTimeoutError::Disconnected(message)) => Err(SendError::Disconnected(message)),
        Err(SendTimeoutError::Failed(message, error)) => Err(SendError::Failed(message, error)),
        Err(SendTimeoutError::Timeout(message)) => Err(SendError::Full(message)),
    }
}

/// Sends a message; waits until `deadline` while the channel has no room, if it is made to wait.
#[inline]
pub(super) fn send_until<M: Message>(
    core: &Core,
    message: M,
    deadline: Option<Deadline>,
) -> Result<(), SendTimeoutError<M>> {
    if message.record().is_some_and(|record| core.send_record(record)) {
        return Ok(());
    }
    match offer_until(core, &message, deadline) {
        Ok(()) => Ok(()),
        Err(NotSent::Disconnected) => Err(SendTimeoutError::Disconnected(message)),
        Err(NotSent::Failed(error)) => Err(SendTimeoutError::Failed(message, error)),
        Err(NotSent::Full) => Err(SendTimeoutError::Timeout(message)),
    }
}

#[inline]
fn prepare<'m, M: Message>(
    core: &Core,
    parcel: &mut Parcel<'m>,
    message: &'m M,
) -> Result<(), NotSent> {
    parcel.fill(message).and_then(|()| core.check_types(&parcel.arrays)).map_err(NotSent::Failed)
}

#[inline]
fn try_offer<M: Message>(core: &Core, message: &M) -> Result<(), NotSent> {
    let mut parcel = Parcel::default();
    prepare(core, &mut parcel, message)?;
    core.offer(&parcel)
}

#[inline]
fn offer_until<M: Message>(
    core: &Core,
    message: &M,
    deadline: Option<Deadline>,
) -> Result<(), NotSent> {
    let mut parcel = Parcel::default();
    prepare(core, &mut parcel, message)?;
    match core.offer(&parcel) {
        Err(NotSent::Full) if core.is_waiting_kind() => wait(core, &parcel, deadline),
        other => other,
    }
}

#[cold]
fn wait(core: &Core, parcel: &Parcel<'_>, deadline: Option<Deadline>) -> Result<(), NotSent> {
    let attempt = || match core.offer(parcel) {
        Err(NotSent::Full) => None,
        other => Some(other),
    };
    core.wait_for(End::Sender, deadline, attempt).unwrap_or(Err(NotSent::Full))
}

/// Sends messages in order until all are sent; those that were not come back with the error.
pub(super) fn send_many<M: Message>(core: &Core, messages: Vec<M>) -> Result<(), (Vec<M>, Error)> {
    let mut messages = messages.into_iter();
    while let Some(message) = messages.next() {
        if let Err(error) = send(core, message) {
            let (message, error) = match error {
                SendError::Full(message) => {
                    (message, Error::new(ErrorKind::Full, "the queue is full"))
                }
                SendError::Disconnected(message) => {
                    (message, Error::from(SendError::Disconnected(())))
                }
                SendError::Failed(message, error) => (message, error),
            };
            let rest = std::iter::once(message).chain(messages).collect();
            return Err((rest, error));
        }
        core.send_more(&mut messages);
    }
    Ok(())
}
