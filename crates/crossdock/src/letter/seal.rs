//! Collecting the arrays of a value while it is serialised.

use super::Enclosed;
use super::body::{Body, SHORT_BYTES_MAX};
use super::named::Kept;
use crate::array::raw::{Elements, Raw};
use crate::error::{Error, ErrorKind, Result};
use crate::process::envelope::{self, Unsendable};
use crossdock_core::element::DType;
use crossdock_core::settings::ARRAYS_MAX;
use serde::Serialize;
use std::cell::{Cell, RefCell};

thread_local! {
    /// What this thread has collected of the value that it is serialising, if it is.
    static COLLECTED: RefCell<Option<Collected>> = const { RefCell::new(None) };
    /// Whether this thread is dropping a value that has been serialised.
    static IS_DROPPING: Cell<bool> = const { Cell::new(false) };
    /// The unique handles that it has dropped since.
    static DROPPED: RefCell<Vec<Elements>> = const { RefCell::new(Vec::new()) };
    /// The bytes of the last value, for their memory only.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What was found in a value.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub(super) arrays: Vec<Enclosed>,
    pub(super) kept: Vec<Kept>,
    /// The elements of the unique arrays.
    unique: Vec<Elements>,
    /// Why something in it cannot travel: a serialiser takes no errors but its own.
    error: Option<Error>,
}

/// What was being collected before. It goes on, though serialising panic.
struct Scope(Option<Collected>);

impl Drop for Scope {
    fn drop(&mut self) {
        COLLECTED.set(self.0.take());
    }
}

/// Serialises a value behind `head`.
pub(super) fn collect<T: Serialize>(
    head: &[u8],
    value: &T,
    bytes_max: usize,
) -> Result<(Body, Collected)> {
    let (bytes, collected) = write(head, value, bytes_max)?;
    if bytes.len() > SHORT_BYTES_MAX && collected.arrays.len() == ARRAYS_MAX {
        return Err(too_many());
    }
    let body = Body::copy(&bytes);
    keep_buffer(bytes);
    Ok((body, collected))
}

/// The bytes that a value takes, and its arrays.
pub(super) fn measure<T: Serialize>(value: &T) -> Result<(usize, usize)> {
    let (bytes, collected) = write(&[], value, envelope::INLINE_BYTES_MAX)?;
    let len = bytes.len();
    keep_buffer(bytes);
    Ok((len, collected.arrays.len()))
}

fn write<T: Serialize>(head: &[u8], value: &T, bytes_max: usize) -> Result<(Vec<u8>, Collected)> {
    let mut bytes = BUFFER.take();
    bytes.clear();
    bytes.extend_from_slice(head);
    // A value may send others while it is being serialised.
    let scope = Scope(COLLECTED.replace(Some(Collected::default())));
    let written = envelope::write(value, bytes, bytes_max);
    let mut collected = COLLECTED.take().unwrap_or_default();
    drop(scope);
    match (written, collected.error.take()) {
        (Ok(bytes), None) => Ok((bytes, collected)),
        (_, Some(error)) => Err(error),
        (Err(why), None) => Err(unsendable::<T>(&why)),
    }
}

fn keep_buffer(bytes: Vec<u8>) {
    if bytes.capacity() <= envelope::INLINE_BYTES_MAX {
        BUFFER.replace(bytes);
    }
}

fn unsendable<T>(why: &Unsendable) -> Error {
    let kind = match why {
        Unsendable::TooLong => ErrorKind::LimitExceeded,
        Unsendable::Unwritable(_) => ErrorKind::InvalidArgument,
    };
    Error::new(
        kind,
        format!("a value of type {} cannot be sent: {why}", std::any::type_name::<T>()),
    )
}

#[cold]
fn too_many() -> Error {
    let text = format!(
        "a value with more than {ARRAYS_MAX} arrays cannot be sent ({} if the rest of it takes more than \
         {SHORT_BYTES_MAX} bytes): put them into one array, or send several values",
        ARRAYS_MAX - 1
    );
    Error::new(ErrorKind::LimitExceeded, text)
}

/// The error of serialising something that is no bytes where nobody collects it.
#[cold]
fn not_here(what: &str) -> String {
    let text = format!(
        "{what} can only be serialised into an argument or result of a task, or a message of a queue or pipe of \
         crossdock: elsewhere its bytes would lead nowhere"
    );
    envelope::refuse(&text);
    text
}

/// Whether this thread is serialising a value that is to be sent.
pub(super) fn is_collecting() -> bool {
    COLLECTED.with_borrow(Option::is_some)
}

/// What `add` does with what this thread is collecting. An error is kept for [`collect`] as well; the serialiser gets
/// its text.
pub(super) fn with_collected<R>(
    what: &str,
    add: impl FnOnce(&mut Collected) -> Result<R>,
) -> Result<R, String> {
    COLLECTED.with_borrow_mut(|collected| {
        let Some(collected) = collected else { return Err(not_here(what)) };
        add(collected).map_err(|error| {
            let text = error.to_string();
            collected.error = Some(error);
            text
        })
    })
}

impl Collected {
    /// Adds an array; its number.
    pub(super) fn add(&mut self, raw: &Raw, dtype: DType, is_unique: bool) -> Result<u8> {
        if self.arrays.len() == ARRAYS_MAX {
            return Err(too_many());
        }
        let (ticket, lease) = raw.place(dtype, is_unique)?;
        if is_unique && let Some(elements) = raw.elements() {
            if self.unique.contains(&elements) {
                let text = "an ArrayMut has one owner, and this value has it twice";
                return Err(Error::new(ErrorKind::InvalidArgument, text));
            }
            self.unique.push(elements);
        }
        self.arrays.push(Enclosed { ticket, lease: lease.clone() });
        Ok((self.arrays.len() - 1) as u8)
    }

    /// Drops the value, and finds out to whom its arrays belong.
    pub(super) fn settle<T>(self, value: T) -> Result<(Vec<Enclosed>, Vec<Kept>)> {
        let Self { mut arrays, kept, unique, .. } = self;
        if unique.is_empty() {
            drop(value);
        } else {
            let dropped = watch_drop(value);
            if !unique.iter().all(|elements| dropped.contains(elements)) {
                let text = format!(
                    "a value of type {} cannot be sent: somebody else has an ArrayMut that is in it (behind an Arc, or \
                     a reference); a value that is sent owns its arrays",
                    std::any::type_name::<T>()
                );
                return Err(Error::new(ErrorKind::InvalidArgument, text));
            }
        }
        for Enclosed { ticket, lease } in &mut arrays {
            ticket.is_sole = lease.share_unless_sole();
        }
        Ok((arrays, kept))
    }
}

/// Drops a value; the elements of the unique handles that were dropped.
fn watch_drop<T>(value: T) -> Vec<Elements> {
    /// Ends the watch, though the value panic.
    struct Watch {
        was_dropping: bool,
        outer: Vec<Elements>,
    }

    impl Drop for Watch {
        fn drop(&mut self) {
            IS_DROPPING.set(self.was_dropping);
            DROPPED.set(std::mem::take(&mut self.outer));
        }
    }

    let watch = Watch { was_dropping: IS_DROPPING.replace(true), outer: DROPPED.take() };
    drop(value);
    let dropped = DROPPED.take();
    drop(watch);
    dropped
}

/// A unique handle is being dropped.
#[inline]
pub(crate) fn note_drop(raw: &Raw) {
    if IS_DROPPING.get() {
        // After the end of its storage, a thread serialises nothing.
        let _ = DROPPED.try_with(|dropped| dropped.borrow_mut().extend(raw.elements()));
    }
}
