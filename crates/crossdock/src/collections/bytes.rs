//! Keys, values and items as bytes, and what can go wrong with that.

use super::file::CollectionFile;
use crate::error::{Error, ErrorKind, Result};
use crate::process::envelope::{self, Unsendable};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The bytes of a key, a value or an item, which `what` says.
pub(super) fn seal<T: Serialize + ?Sized>(
    file: &CollectionFile,
    what: &str,
    value: &T,
) -> Result<Vec<u8>> {
    envelope::seal(&value).map_err(|error| cannot_seal(file, what, &error))
}

#[cold]
fn cannot_seal(file: &CollectionFile, what: &str, error: &Unsendable) -> Error {
    let kind = match error {
        Unsendable::TooLong => ErrorKind::LimitExceeded,
        Unsendable::Unwritable(_) => ErrorKind::InvalidArgument,
    };
    file.named(Error::new(kind, format!("{what} cannot be put into {}: {error}", file.label)))
}

/// The key, value or item that has these bytes.
pub(super) fn open<T: DeserializeOwned>(
    file: &CollectionFile,
    what: &str,
    bytes: &[u8],
) -> Result<T> {
    envelope::open(bytes).map_err(|error| {
        let why = format_args!("the bytes of {what} are none of its type ({error})");
        file.named(Error::corrupt(&file.label, why))
    })
}
