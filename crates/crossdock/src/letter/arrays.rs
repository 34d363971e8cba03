//! Arrays in serde values.

use super::open;
use super::seal::with_collected;
use crate::array::raw::Raw;
use crate::array::{AnyArray, Array, ArrayMut};
use crate::channel::parcel::Received;
use crate::error::{Error, ErrorKind, Result};
use crossdock_core::element::{DType, Element, Item};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What stands for an array among the bytes.
#[derive(Debug, Serialize, Deserialize)]
enum Place {
    /// One of the arrays of the letter.
    Enclosed(u8),
    /// One that anybody can open.
    Named(String),
}

impl Place {
    fn of(
        raw: &Raw,
        dtype: DType,
        is_unique: bool,
        keep: impl FnOnce() -> super::Kept,
    ) -> Result<Self, String> {
        with_collected("an array", |collected| match raw.name() {
            Some(name) if !is_unique => {
                collected.kept.push(keep());
                Ok(Self::Named(name.to_owned()))
            }
            _ => collected.add(raw, dtype, is_unique).map(Self::Enclosed),
        })
    }
}

/// The array of a taken ticket, which must be of the type that is expected.
fn check(received: &Received<'_>, dtype: DType, is_unique: bool) -> Result<()> {
    let found = received.ticket;
    if found.dtype == dtype && found.is_unique == is_unique {
        return Ok(());
    }
    let name = |dtype: DType, is_unique| {
        format!("{}<{}>", if is_unique { "ArrayMut" } else { "Array" }, dtype.name())
    };
    let (found, wanted) = (name(found.dtype, found.is_unique), name(dtype, is_unique));
    Err(Error::new(
        ErrorKind::WrongType,
        format!("there is an {found} where an {wanted} should be"),
    ))
}

/// In an argument or result of a task, and in a message of a queue or a pipe: a handle travels, and no element.
impl<T: Item + 'static> Serialize for Array<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let keep = || super::Kept::new(self.name().unwrap_or_default(), self.clone());
        let place = Place::of(self.raw(), T::DTYPE, false, keep).map_err(S::Error::custom)?;
        place.serialize(serializer)
    }
}

impl<'de, T: Item> Deserialize<'de> for Array<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let array = match Place::deserialize(deserializer)? {
            Place::Enclosed(_) if T::IS_ATOMIC => Err("an array of atomics has a name".to_owned()),
            Place::Enclosed(number) => open::array(number, |received| {
                check(&received, T::DTYPE, false)?;
                Raw::of_received_items::<T>(received).map(Self::from_raw)
            }),
            Place::Named(name) => open::by_name(|| Self::open(&name)),
        };
        array.map_err(D::Error::custom)
    }
}

/// In an argument or result of a task, and in a message of a queue or a pipe: the array changes hands. The value must
/// own it.
impl<T: Element> Serialize for ArrayMut<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let never_kept = || super::Kept::new("", ());
        let place = Place::of(self.raw(), T::DTYPE, true, never_kept).map_err(S::Error::custom)?;
        place.serialize(serializer)
    }
}

impl<'de, T: Element> Deserialize<'de> for ArrayMut<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let array = match Place::deserialize(deserializer)? {
            Place::Enclosed(number) => open::array(number, |received| {
                check(&received, T::DTYPE, true)?;
                Raw::of_received::<T>(received).map(Self::from_raw)
            }),
            Place::Named(_) => Err("an ArrayMut has no name in a value".to_owned()),
        };
        array.map_err(D::Error::custom)
    }
}

/// As [`Array`].
impl Serialize for AnyArray {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let add =
            |collected: &mut super::seal::Collected| collected.add(self.raw(), self.dtype(), false);
        with_collected("an array", add).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AnyArray {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u8::deserialize(deserializer)?;
        let array = open::array(number, |received| {
            let dtype = received.ticket.dtype;
            check(&received, dtype, false)?;
            Self::of_received(received)
        });
        array.map_err(D::Error::custom)
    }
}
