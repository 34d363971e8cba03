//! Serde values through channels: what queues and pipes share.

use super::ends::Ends;
use crate::channel::{
    Receiver, RecvError, RecvTimeoutError, SendError, SendTimeoutError, Sender, TryRecvError,
    TrySendError,
};
use crate::error::{Error, ErrorKind};
use crate::letter::{Letter, Typed};
use crossdock_sys::clock::{Deadline, now_ns};
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
    /// Why: `Full`, `TimedOut`, `Disconnected`; `NoSpace`; `LimitExceeded` or `InvalidArgument` if no queue takes such a value.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.error.kind()
    }

    /// The value. One with arrays in it is what a receiver would have got; one with an [`ArrayMut`](crate::ArrayMut) that
    /// somebody else has is gone.
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

impl Wait {
    fn deadline(self) -> Option<Deadline> {
        match self {
            Self::No => Some(Deadline::after(Duration::ZERO)),
            Self::For(timeout) => Some(Deadline::after(timeout)),
            Self::Forever => None,
        }
    }
}

/// A value as a message.
fn seal<T, const TO_DO: bool>(value: T) -> Result<Typed<T, TO_DO>, PutError<T>>
where
    T: Serialize + DeserializeOwned,
{
    let mut letter =
        Letter::try_seal(&[], value).map_err(|(value, error)| PutError { value, error })?;
    let checked = if TO_DO { check_to_do(&letter) } else { Ok(()) };
    match checked.and_then(|()| letter.move_bytes()) {
        Ok(()) => Ok(Typed::new(letter)),
        Err(error) => Err(PutError { value: letter.open().ok(), error }),
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

/// Puts a value into a queue.
pub(super) fn put<T, const TO_DO: bool>(
    ends: &Ends<Typed<T, TO_DO>>,
    value: T,
    wait: Wait,
) -> Result<(), PutError<T>>
where
    T: Serialize + DeserializeOwned,
{
    let message = seal(value)?;
    if let Wait::No = wait {
        return ends.try_send(message).map_err(give_back);
    }
    match ends.send(message, wait.deadline()) {
        // The text of a wait without end is that of a send without end.
        Err(SendTimeoutError::Disconnected(message)) => {
            Err(give_back(SendError::Disconnected(message)))
        }
        sent => sent.map_err(give_back),
    }
}

/// Sends a value over a pipe.
pub(super) fn send<T: Serialize + DeserializeOwned>(
    sender: &Sender<Typed<T>>,
    value: T,
    wait: Wait,
) -> Result<(), PutError<T>> {
    let message = seal(value)?;
    match wait {
        Wait::No => sender.try_send(message).map_err(give_back),
        Wait::For(timeout) => sender.send_timeout(message, timeout).map_err(give_back),
        Wait::Forever => sender.send(message).map_err(give_back),
    }
}

/// The error of a value that was not sent.
fn give_back<T, E, const TO_DO: bool>(error: E) -> PutError<T>
where
    T: DeserializeOwned,
    E: Refused<Typed<T, TO_DO>>,
{
    let (message, error) = error.take_apart();
    PutError { value: message.letter.open().ok(), error }
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

/// Receives a value from a pipe.
pub(super) fn recv<T: DeserializeOwned>(receiver: &Receiver<Typed<T>>) -> Result<T, RecvError> {
    receiver.recv()?.letter.open().map_err(RecvError::Failed)
}

/// Receives a value from a pipe within a time.
pub(super) fn recv_timeout<T: DeserializeOwned>(
    receiver: &Receiver<Typed<T>>,
    timeout: Duration,
) -> Result<T, RecvTimeoutError> {
    receiver.recv_timeout(timeout)?.letter.open().map_err(RecvTimeoutError::Failed)
}

/// Receives a value from a pipe that is there.
pub(super) fn try_recv<T: DeserializeOwned>(
    receiver: &Receiver<Typed<T>>,
) -> Result<T, TryRecvError> {
    receiver.try_recv()?.letter.open().map_err(TryRecvError::Failed)
}

/// The error of a wait that had no end.
pub(super) fn without_end(error: RecvTimeoutError) -> RecvError {
    match error {
        RecvTimeoutError::Disconnected => RecvError::Disconnected,
        RecvTimeoutError::Failed(error) => RecvError::Failed(error),
        RecvTimeoutError::Timeout => {
            RecvError::Failed(Error::new(ErrorKind::TimedOut, "a wait without end has ended"))
        }
    }
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
