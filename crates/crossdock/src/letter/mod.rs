//! Any serde value as a message, with the arrays in it as handles.
//!
//! # How an array gets out of a serialiser
//!
//! A serialiser sees bytes and nothing else. So while a value is serialised, this thread collects its arrays on the
//! side ([`seal`]), and the bytes say which of them goes where. While it is deserialised, they are handed out again
//! ([`open`]), each of them once.
//!
//! # Who owns an array that was only looked at
//!
//! `Serialize` gets a reference: the value may keep an array behind an `Arc` that others have as well. What has been
//! serialised is sent only after the value has been dropped. Then the counts of what leads to a chunk tell
//! whether anything else in this process does, and an [`ArrayMut`](crate::ArrayMut) that was not dropped with it is
//! an error.

mod arrays;
mod body;
mod message;
mod named;
mod open;
mod seal;

pub(crate) use message::Typed;
pub(crate) use named::{Kept, deserialize, serialize};
pub(crate) use seal::note_drop;

use crate::arena::lease::Lease;
use crate::error::{Error, Result};
use crate::process::INLINE_BYTES_MAX;
use body::Body;
use crossdock_core::ticket::Ticket;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// An array in a letter.
#[derive(Debug)]
pub(crate) struct Enclosed {
    ticket: Ticket,
    lease: Arc<Lease>,
}

/// A value on its way.
#[derive(Debug)]
pub(crate) struct Letter {
    body: Body,
    /// In the order in which the bytes name them.
    arrays: Vec<Enclosed>,
    kept: Vec<Kept>,
}

impl Letter {
    /// A value as a letter that begins with the bytes of `head`. The value is no more.
    ///
    /// # Errors
    ///
    /// `LimitExceeded`: more than 1 MiB, or more arrays than a message can have. `InvalidArgument`: it does not
    /// serialise, or somebody else has an `ArrayMut` that is in it. `NoSpace`.
    pub(crate) fn seal<T: Serialize>(head: &[u8], value: T) -> Result<Self> {
        Self::seal_within(head, value, INLINE_BYTES_MAX)
    }

    /// As [`seal`](Self::seal), with another limit than 1 MiB.
    pub(crate) fn seal_within<T: Serialize>(
        head: &[u8],
        value: T,
        bytes_max: usize,
    ) -> Result<Self> {
        Self::try_seal_within(head, value, bytes_max).map_err(|(_, error)| error)
    }

    /// As [`seal`](Self::seal); gives the value back where it can.
    pub(crate) fn try_seal<T: Serialize>(
        head: &[u8],
        value: T,
    ) -> Result<Self, (Option<T>, Error)> {
        Self::try_seal_within(head, value, INLINE_BYTES_MAX)
    }

    fn try_seal_within<T: Serialize>(
        head: &[u8],
        value: T,
        bytes_max: usize,
    ) -> Result<Self, (Option<T>, Error)> {
        let (body, sealed) = match seal::collect(head, &value, bytes_max) {
            Ok(collected) => collected,
            Err(error) => return Err((Some(value), error)),
        };
        if sealed.arrays.is_empty() {
            return Ok(Self { body, arrays: Vec::new(), kept: sealed.kept });
        }
        let (arrays, kept) = sealed.settle(value).map_err(|error| (None, error))?;
        Ok(Self { body, arrays, kept })
    }

    /// How many bytes a value takes, and how many arrays there are in it, if it can be sealed.
    ///
    /// # Errors
    ///
    /// As those of [`seal`](Self::seal); but whether somebody else has an `ArrayMut` that is in it is not found out.
    pub(crate) fn measure<T: Serialize>(value: &T) -> Result<(usize, usize)> {
        seal::measure(value)
    }

    /// The same, to be sent through a channel: many bytes are put into memory that its receiver can map.
    ///
    /// # Errors
    ///
    /// `NoSpace`.
    pub(crate) fn for_channel(mut self) -> Result<Self> {
        self.move_bytes()?;
        Ok(self)
    }

    /// As [`for_channel`](Self::for_channel), in place.
    pub(crate) fn move_bytes(&mut self) -> Result<()> {
        self.body.for_channel()
    }

    /// The next bytes of the head.
    pub(crate) fn head<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.body.head().ok_or_else(|| Error::corrupt("a message", "it is too short"))
    }

    /// The value.
    ///
    /// # Errors
    ///
    /// `Corrupt`: its type does not read what it writes, or it was sealed as another type. What opening something by
    /// its name can give.
    pub(crate) fn open<T: DeserializeOwned>(self) -> Result<T> {
        let Self { body, arrays, kept } = self;
        let value = open::value(body.rest(), arrays);
        drop(kept);
        value
    }

    /// What is to be kept until the value has been opened: handles of what it names.
    pub(crate) fn take_kept(&mut self) -> Vec<Kept> {
        std::mem::take(&mut self.kept)
    }

    /// Adds what is to be kept until the value has been opened.
    pub(crate) fn keep(&mut self, kept: impl IntoIterator<Item = Kept>) {
        self.kept.extend(kept);
    }

    /// Whether there are arrays in it.
    pub(crate) fn has_arrays(&self) -> bool {
        !self.arrays.is_empty()
    }

    /// Whether there is an `ArrayMut` in it.
    pub(crate) fn has_unique(&self) -> bool {
        self.arrays.iter().any(|array| array.ticket.is_unique)
    }

    /// A letter of plain bytes, as [`bytes`](Self::bytes) of another gave them.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { body: Body::of_bytes(bytes), arrays: Vec::new(), kept: Vec::new() }
    }

    /// What is left of the head, and the value, without the arrays.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.body.rest()
    }
}
