//! Letters as messages of a channel.

use super::body::{Body, Bytes, SHORT_BYTES_MAX};
use super::{Enclosed, Letter};
use crate::array::Array;
use crate::channel::Message;
use crate::channel::message::sealed::Sealed;
use crate::channel::parcel::{Inbox, Parcel, Received};
use crate::error::{Error, Result};
use arrayvec::ArrayVec;
use crossdock_core::Corrupt;
use crossdock_core::element::DType;
use crossdock_core::settings::{ARRAYS_MAX, Parts, RECORD_BYTES_MAX};
use std::marker::PhantomData;

const WRONG_PARTS: Corrupt = Corrupt("it has other parts than it says");

fn wrong_parts() -> Error {
    Error::corrupt("a message", WRONG_PARTS)
}

impl Message for Letter {}

impl Sealed for Letter {
    const ARRAYS: usize = ARRAYS_MAX;
    const RECORD_BYTES: usize = RECORD_BYTES_MAX;
    const IS_VARIED: bool = true;

    fn describe(text: &mut String) {
        text.push_str("serde values");
    }

    fn pack<'m>(&'m self, parcel: &mut Parcel<'m>) -> Result<()> {
        let (long, short): (Option<&Array<u8>>, &[u8]) = match &self.body.bytes {
            Bytes::Short(bytes) => (None, bytes),
            Bytes::Long(bytes) => (Some(bytes), &[]),
            Bytes::Private(_) => {
                return Err(Error::corrupt("a message", "it came from somewhere else"));
            }
        };
        let arrays = self.arrays.len() + usize::from(long.is_some());
        let is_long = long.is_some();
        parcel.begin(Parts { arrays: arrays as u8, is_long, bytes: short.len() as u16 });
        if let Some(bytes) = long {
            let (ticket, lease) = bytes.raw().ticket(DType::U8, false)?;
            parcel.add_array(&ticket, lease);
        }
        for Enclosed { ticket, lease } in &self.arrays {
            parcel.add_array(ticket, lease);
        }
        parcel.add_bytes(short);
        Ok(())
    }

    fn unpack(inbox: &mut Inbox) -> Result<Self> {
        let Parts { arrays, is_long, bytes } = inbox.parts();
        let body = if is_long {
            Bytes::Long(Array::unpack(inbox)?)
        } else {
            let bytes: Option<&[u8]> = inbox.next_bytes(bytes.into());
            let short =
                bytes.and_then(|bytes| ArrayVec::<u8, SHORT_BYTES_MAX>::try_from(bytes).ok());
            Bytes::Short(short.ok_or_else(wrong_parts)?)
        };
        let mut enclosed = Vec::new();
        for _ in usize::from(is_long)..arrays.into() {
            let Received { ticket, lease } = inbox.next_array().ok_or_else(wrong_parts)?;
            enclosed.push(Enclosed { ticket: *ticket, lease });
        }
        Ok(Self { body: Body::new(body), arrays: enclosed, kept: Vec::new() })
    }
}

/// A letter with a value of type `T` in it, for channels that are opened by people; `TO_DO` if it may come twice.
#[derive(Debug)]
pub(crate) struct Typed<T, const TO_DO: bool = false> {
    pub(crate) letter: Letter,
    value: PhantomData<fn(T) -> T>,
}

impl<T, const TO_DO: bool> Typed<T, TO_DO> {
    pub(crate) fn new(letter: Letter) -> Self {
        Self { letter, value: PhantomData }
    }
}

impl<T, const TO_DO: bool> Message for Typed<T, TO_DO> {}

impl<T, const TO_DO: bool> Sealed for Typed<T, TO_DO> {
    const ARRAYS: usize = Letter::ARRAYS;
    const RECORD_BYTES: usize = Letter::RECORD_BYTES;
    const IS_VARIED: bool = true;

    fn describe(text: &mut String) {
        text.push_str(if TO_DO { "jobs, serde values of type " } else { "serde values of type " });
        text.push_str(std::any::type_name::<T>());
    }

    fn pack<'m>(&'m self, parcel: &mut Parcel<'m>) -> Result<()> {
        self.letter.pack(parcel)
    }

    fn unpack(inbox: &mut Inbox) -> Result<Self> {
        Letter::unpack(inbox).map(Self::new)
    }
}
