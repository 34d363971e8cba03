//! Handing the arrays of a value out while it is deserialised.

use super::Enclosed;
use crate::channel::parcel::Received;
use crate::error::{Error, ErrorKind, Result};
use crate::process::envelope;
use serde::de::DeserializeOwned;
use std::cell::RefCell;

thread_local! {
    /// What there is for the value that this thread is deserialising, if it is.
    static CONTENTS: RefCell<Option<Contents>> = const { RefCell::new(None) };
}

#[derive(Debug)]
struct Contents {
    arrays: Vec<Option<Enclosed>>,
    /// Why something could not be had: a deserialiser takes no errors but its own.
    error: Option<Error>,
}

/// What there was before. It is there again, though deserialising panic.
struct Scope(Option<Contents>);

impl Drop for Scope {
    fn drop(&mut self) {
        CONTENTS.set(self.0.take());
    }
}

/// The value that was sealed.
pub(super) fn value<T: DeserializeOwned>(bytes: &[u8], arrays: Vec<Enclosed>) -> Result<T> {
    let arrays = arrays.into_iter().map(Some).collect();
    let scope = Scope(CONTENTS.replace(Some(Contents { arrays, error: None })));
    let read = envelope::open(bytes);
    let contents = CONTENTS.take();
    drop(scope);
    match (read, contents.and_then(|contents| contents.error)) {
        (Ok(value), None) => Ok(value),
        (_, Some(error)) => Err(error),
        (Err(why), None) => {
            let text = format!(
                "a value of type {} cannot be read: {why} (Serialize and Deserialize must agree)",
                std::any::type_name::<T>()
            );
            Err(Error::new(ErrorKind::Corrupt, text))
        }
    }
}

/// What `take` gets of array number `number`; the deserialiser gets the text of an error.
pub(super) fn array<R>(
    number: u8,
    take: impl FnOnce(Received<'_>) -> Result<R>,
) -> Result<R, String> {
    let taken = CONTENTS
        .with_borrow_mut(|contents| contents.as_mut()?.arrays.get_mut(usize::from(number))?.take());
    let missing = || Error::corrupt("a value", "it has no such array (any more)");
    let array = taken
        .ok_or_else(missing)
        .and_then(|Enclosed { ticket, lease }| take(Received { ticket: &ticket, lease }));
    array.map_err(fail)
}

/// What `open` gives, if a letter is being opened.
pub(super) fn by_name<R>(open: impl FnOnce() -> Result<R>) -> Result<R, String> {
    if !CONTENTS.with_borrow(Option::is_some) {
        return Err("a handle can only be read out of a task's or a message's value".to_owned());
    }
    open().map_err(fail)
}

/// Keeps an error for whoever opens the letter, and gives its text to the deserialiser.
fn fail(error: Error) -> String {
    let text = error.to_string();
    CONTENTS.with_borrow_mut(|contents| {
        if let Some(contents) = contents {
            contents.error = Some(error);
        }
    });
    text
}
