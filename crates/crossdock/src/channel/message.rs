//! What can travel through a channel.
#![expect(private_interfaces, reason = "the sealed trait is nobody else's to call")]

use super::core::{MessageType, Received};
use crate::array::raw::Raw;
use crate::array::{Array, ArrayMut};
use crate::error::Result;
use crossdock_core::element::Element;

/// Something that a channel hands over: an [`Array`] or an [`ArrayMut`].
///
/// An `ArrayMut` changes hands: its receiver may write. An `Array` is shared: whoever sent it may keep
/// clones, and everybody reads the same memory.
pub trait Message: sealed::Sealed + Sized {
    /// The element type of the array.
    type Element: Element;
}

pub(super) mod sealed {
    use super::{MessageType, Raw, Received, Result};

    pub trait Sealed {
        fn message_type() -> MessageType;
        fn into_raw(self) -> Raw;
        fn from_raw(raw: Raw) -> Self;
        fn from_received(received: Received) -> Result<Self>
        where
            Self: Sized;
    }
}

impl<T: Element> Message for Array<T> {
    type Element = T;
}

impl<T: Element> sealed::Sealed for Array<T> {
    fn message_type() -> MessageType {
        MessageType { dtype: T::DTYPE, is_unique: false }
    }

    fn into_raw(self) -> Raw {
        Array::into_raw(self)
    }

    fn from_raw(raw: Raw) -> Self {
        Array::from_raw(raw)
    }

    fn from_received(received: Received) -> Result<Self> {
        Raw::of_received::<T>(received).map(Array::from_raw)
    }
}

impl<T: Element> Message for ArrayMut<T> {
    type Element = T;
}

impl<T: Element> sealed::Sealed for ArrayMut<T> {
    fn message_type() -> MessageType {
        MessageType { dtype: T::DTYPE, is_unique: true }
    }

    fn into_raw(self) -> Raw {
        ArrayMut::into_raw(self)
    }

    fn from_raw(raw: Raw) -> Self {
        ArrayMut::from_raw(raw)
    }

    fn from_received(received: Received) -> Result<Self> {
        Raw::of_received::<T>(received).map(ArrayMut::from_raw)
    }
}
