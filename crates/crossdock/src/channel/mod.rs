//! Handing arrays and records from process to process: bounded, by handle, under a name.
//!
//! | kind | a message goes | use |
//! |---|---|---|
//! | queue | to one receiver | [`Sender`], [`Receiver`] |
//! | queue whose receivers acknowledge | to one receiver, and to another if that one dies | [`ChannelOptions::redeliver`], [`Receiver::deliver`] |
//! | [`broadcast`] | to every receiver | [`broadcast::Sender`], [`broadcast::Receiver`] |
//! | [`latest`] value | to whoever looks before the next one is sent | [`latest::Sender`], [`latest::Receiver`] |
//!
//! Both ends meet under the name; either may come first. [What can travel](Message): arrays, numbers and small structs,
//! and several of them together. Of an array a ticket travels that says where it lies, so the hop takes the same time
//! for a kilobyte and for a gigabyte.
//!
//! * [`Sender::send`] and [`Receiver::recv`] wait; `try_` never does; `_timeout` waits so long.
//!   [`Select`](crate::Select) waits for several channels. [`ChannelOptions`] says what a sender does that finds no room.
//! * While the other side has not come yet, nobody is disconnected: receivers wait, senders fill the
//!   queue. Once its last member has left **or died**, senders get their message back and receivers
//!   drain the queue, then are told.
//! * A sender that is killed after its message was published loses nothing: the array stays until its
//!   receiver drops it. A receiver that is killed frees what it held.
//! * The name goes with the last user.
//!
//! There is no `reserve` for one message: a place in the queue that is kept would hold up all messages behind it, and a process
//! that is stopped with one would do so for ever. To wait for room first, use [`Select::send`](crate::Select::send), then
//! [`Sender::try_send`]; to fill the memory first, [`Sender::loan`].

#[cfg(feature = "async")]
pub(crate) mod asynchronous;
mod batch;
pub mod broadcast;
mod bytes;
pub(crate) mod core;
mod delivery;
#[cfg(feature = "process")]
mod driven;
mod ends;
mod error;
pub mod latest;
pub(crate) mod map;
pub(crate) mod message;
mod options;
#[cfg(feature = "process")]
mod outlook;
pub(crate) mod parcel;
mod queue;
mod ready;
mod receiver;
mod receiving;
mod recent;
mod records;
mod sender;
mod sending;
mod waiting;

#[cfg(feature = "async")]
pub use asynchronous::{RecvFuture, SendFuture};
pub use crossdock_core::settings::WhenFull;
pub use delivery::{DeadLetters, Delivery};
pub use error::{
    AcknowledgeError, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError,
    TrySendError,
};
pub use message::{ArrayMessage, Message, Record, SharedMessage};
pub use options::ChannelOptions;
#[cfg(feature = "process")]
pub(crate) use outlook::Outlook;
pub(crate) use ready::sealed::Waiting;
pub use ready::{ReceivingEnd, SendingEnd};
pub use receiver::{Iter, Receiver};
pub use sender::Sender;

use crate::error::{Error, ErrorKind, Result};
use crossdock_sys::clock::Deadline;
use std::time::Duration;

/// How often a waiter looks whether a channel has been made.
const LOOK: Duration = Duration::from_millis(1);

/// Opens something again and again until it is there.
fn open_within<T>(name: &str, timeout: Duration, open: impl Fn() -> Result<T>) -> Result<T> {
    let deadline = Deadline::after(timeout);
    loop {
        match open() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            other => return other,
        }
        if deadline.is_past() {
            let text = format!("nobody made channel {name:?} within {timeout:?}");
            return Err(Error::new(ErrorKind::TimedOut, text).named(name));
        }
        std::thread::sleep(LOOK);
    }
}

/// The error of a wait that had no end.
fn without_end(error: RecvTimeoutError) -> RecvError {
    match error {
        RecvTimeoutError::Disconnected => RecvError::Disconnected,
        RecvTimeoutError::Failed(error) => RecvError::Failed(error),
        RecvTimeoutError::Timeout => {
            RecvError::Failed(Error::new(ErrorKind::TimedOut, "a wait without end has ended"))
        }
    }
}
