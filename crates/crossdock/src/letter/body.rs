//! The bytes of a letter: in the message while they are few, else in an array of their own.

use crate::array::Array;
use crate::error::Result;
use arrayvec::ArrayVec;
use crossdock_core::settings::{PARTS_BYTES, RECORD_BYTES_MAX};

/// Bytes that travel in the message itself.
pub(super) const SHORT_BYTES_MAX: usize = RECORD_BYTES_MAX - PARTS_BYTES;

/// The bytes, and how many of them have been read.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) bytes: Bytes,
    read: usize,
}

#[derive(Debug)]
pub(super) enum Bytes {
    Short(ArrayVec<u8, SHORT_BYTES_MAX>),
    Long(Array<u8>),
    /// Not yet, or never, in a channel.
    Private(Vec<u8>),
}

impl Body {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { bytes, read: 0 }
    }

    pub(super) fn copy(bytes: &[u8]) -> Self {
        Self::new(match ArrayVec::try_from(bytes) {
            Ok(short) => Bytes::Short(short),
            Err(_) => Bytes::Private(bytes.to_vec()),
        })
    }

    /// What is left of them, as a message can have it.
    pub(super) fn for_channel(&mut self) -> Result<()> {
        if matches!(self, Self { bytes: Bytes::Short(_) | Bytes::Long(_), read: 0 }) {
            return Ok(());
        }
        let rest = self.rest();
        *self = Self::new(match ArrayVec::try_from(rest) {
            Ok(short) => Bytes::Short(short),
            Err(_) => Bytes::Long(Array::from_slice(rest)?),
        });
        Ok(())
    }

    pub(super) fn of_bytes(bytes: Vec<u8>) -> Self {
        Self::new(Bytes::Private(bytes))
    }

    /// The next bytes.
    pub(super) fn head<const N: usize>(&mut self) -> Option<[u8; N]> {
        let head = *self.rest().first_chunk()?;
        self.read += N;
        Some(head)
    }

    /// Those that have not been read.
    pub(super) fn rest(&self) -> &[u8] {
        let all: &[u8] = match &self.bytes {
            Bytes::Short(bytes) => bytes,
            Bytes::Long(bytes) => bytes,
            Bytes::Private(bytes) => bytes,
        };
        &all[self.read..]
    }
}
