//! Serde values through channels: what queues and pipes share.

use crate::channel::{
    Receiver, RecvError, RecvTimeoutError, SendError, SendTimeoutError, Sender, TryRecvError,
    TrySendError,
};
use crate::error::{Error, ErrorKind};
use crate::letter::{Letter, Typed};
use crossdock_sys::clock::now_ns;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A value that could not be put into a queue, or sent over a pipe.
///
/// # Examples
///
/// ```
/// use crossdock::ErrorKind;
/// use crossdock::process::Queue;
///
/// let queue = Queue::new(1)?;
/// queue.put("first".to_owned())?;
/// let error = queue.put_nowait("second".to_owned()).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Full);
/// assert_eq!(error.into_value().unwrap(), "second");
/// # Ok::<(), crossdock::Error>(())
/// ```
pub struct PutError<T> {
    value: Option<T>,
    error: Error,
}

impl<T> PutError<T> {
    /// Why: `Full`, `TimedOut`, `Disconnected`; `LimitExceeded` or `InvalidArgument` if no queue takes such a value.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.error.kind()
    }

    /// The value. A value that cannot travel has none: it was taken apart. One with arrays in it is what a receiver would have
    /// got.
    #[must_use]
    pub fn into_value(self) -> Option<T> {
        self.value
    }
}

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PutError").field(&self.error).finish()
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T> std::error::Error for PutError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl<T> From<PutError<T>> for Error {
    /// Drops the value.
    fn from(error: PutError<T>) -> Self {
        error.error
    }
}

/// How long one waits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    No,
    For(Duration),
    Forever,
}

/// Sends a value; calls `before_wait` if it has to wait for room.
pub(super) fn put<T: Serialize + DeserializeOwned>(
    sender: &Sender<Typed<T>>,
    value: T,
    wait: Wait,
    before_wait: impl FnOnce(),
) -> Result<(), PutError<T>> {
    send(sender, seal(value)?, wait, before_wait)
}

/// A value as a message.
fn seal<T: Serialize>(value: T) -> Result<Typed<T>, PutError<T>> {
    let letter = Letter::seal(&[], value).and_then(Letter::for_channel);
    letter.map(Typed::new).map_err(|error| PutError { value: None, error })
}

/// As [`put`], of a value that may be got twice.
pub(super) fn put_to_do<T: Serialize + DeserializeOwned>(
    sender: &Sender<Typed<T>>,
    value: T,
    wait: Wait,
    before_wait: impl FnOnce(),
) -> Result<(), PutError<T>> {
    let message = seal(value)?;
    match check_to_do(&message.letter) {
        Ok(()) => send(sender, message, wait, before_wait),
        Err(error) => Err(PutError { value: message.letter.open().ok(), error }),
    }
}

/// Refuses what has one owner: who drops its handle without having done what it has got may still have it.
pub(super) fn check_to_do(letter: &Letter) -> Result<(), Error> {
    if !letter.has_unique() {
        return Ok(());
    }
    let text = "an ArrayMut has one owner, and what a JoinableQueue hands out may be got again by another: freeze it, and \
                put the Array";
    Err(Error::new(ErrorKind::InvalidArgument, text))
}

fn send<T: DeserializeOwned>(
    sender: &Sender<Typed<T>>,
    message: Typed<T>,
    wait: Wait,
    before_wait: impl FnOnce(),
) -> Result<(), PutError<T>> {
    let refused = match sender.try_send(message) {
        Err(TrySendError::Full(message)) if !matches!(wait, Wait::No) => {
            before_wait();
            let sent = match wait {
                Wait::For(timeout) => sender.send_timeout(message, timeout).map_err(take_apart),
                Wait::No | Wait::Forever => sender.send(message).map_err(take_apart),
            };
            sent.err()
        }
        sent => sent.map_err(take_apart).err(),
    };
    match refused {
        None => Ok(()),
        Some((message, error)) => Err(PutError { value: message.letter.open().ok(), error }),
    }
}

/// A message that was not sent, and why.
fn take_apart<M, E: Refused<M>>(error: E) -> (M, Error) {
    error.take_apart()
}

/// The errors of sending.
trait Refused<M> {
    fn take_apart(self) -> (M, Error);
}

macro_rules! refused {
    ($($error:ident $($plain:ident)+;)+) => {$(
        impl<M> Refused<M> for $error<M> {
            fn take_apart(self) -> (M, Error) {
                match self {
                    Self::Failed(message, error) => (message, error),
                    $(Self::$plain(message) => (message, $error::$plain(()).into()),)+
                }
            }
        }
    )+};
}

refused! {
    SendError Full Disconnected;
    TrySendError Full Disconnected;
    SendTimeoutError Timeout Disconnected;
}

/// Receives a value; calls `before_wait` if it has to wait for one.
pub(super) fn get<T: DeserializeOwned>(
    receiver: &Receiver<Typed<T>>,
    before_wait: impl FnOnce(),
) -> Result<T, RecvError> {
    let message = match receiver.try_recv() {
        Ok(message) => message,
        Err(TryRecvError::Failed(error)) => return Err(RecvError::Failed(error)),
        Err(TryRecvError::Disconnected) => return Err(RecvError::Disconnected),
        Err(TryRecvError::Empty) => {
            before_wait();
            receiver.recv()?
        }
    };
    message.letter.open().map_err(RecvError::Failed)
}

/// Receives a value within a time; calls `before_wait` if it has to wait for one.
pub(super) fn get_timeout<T: DeserializeOwned>(
    receiver: &Receiver<Typed<T>>,
    timeout: Duration,
    before_wait: impl FnOnce(),
) -> Result<T, RecvTimeoutError> {
    before_wait();
    receiver.recv_timeout(timeout)?.letter.open().map_err(RecvTimeoutError::Failed)
}

/// Receives a value that is there.
pub(super) fn get_nowait<T: DeserializeOwned>(
    receiver: &Receiver<Typed<T>>,
) -> Result<T, TryRecvError> {
    receiver.try_recv()?.letter.open().map_err(TryRecvError::Failed)
}

/// Makes something under a name that nobody has chosen.
pub(super) fn under_a_new_name<T>(
    stem: &str,
    mut make: impl FnMut(&str) -> Result<T, Error>,
) -> Result<T, Error> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    loop {
        // Processes that do not see each other may have the same number.
        let salt = now_ns() % 0x10000;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        match make(&format!("{stem}-{}-{salt:04x}-{number}", std::process::id())) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            other => return other,
        }
    }
}
