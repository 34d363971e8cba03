//! Keys, values and items as bytes, and what can go wrong with that.

use crate::error::{Error, ErrorKind, Result};
use crate::process::envelope::{self, Unsendable};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The bytes of a key, a value or an item, which `what` says.
pub(super) fn seal<T: Serialize + ?Sized>(label: &str, what: &str, value: &T) -> Result<Vec<u8>> {
    envelope::seal(&value).map_err(|error| cannot_seal(label, what, &error))
}

#[cold]
fn cannot_seal(label: &str, what: &str, error: &Unsendable) -> Error {
    let kind = match error {
        Unsendable::TooLong => ErrorKind::LimitExceeded,
        Unsendable::Unwritable(_) => ErrorKind::InvalidArgument,
    };
    Error::new(kind, format!("{what} cannot be put into {label}: {error}"))
}

/// The key, value or item that has these bytes.
pub(super) fn open<T: DeserializeOwned>(label: &str, what: &str, bytes: &[u8]) -> Result<T> {
    envelope::open(bytes).map_err(|error| {
        Error::corrupt(label, format_args!("the bytes of {what} are none of its type ({error})"))
    })
}
