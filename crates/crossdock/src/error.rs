//! What can go wrong while something is set up, opened or mapped.
//!
//! The verbs of the hot paths have small errors of their own that give the value back
//! ([`channel::TrySendError`](crate::channel::TrySendError)); each of those turns into an [`Error`], so
//! `?` works everywhere.

use std::fmt;
use std::io;
use std::sync::Arc;

/// The result of everything that can fail in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be created, opened, mapped or handed over.
///
/// Its text names the object and says what to do. Code looks at [`Error::kind`].
///
/// # Examples
///
/// ```
/// use crossdock::{ErrorKind, SharedBlock};
///
/// let error = SharedBlock::open("no-such-block").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert_eq!(error.name(), Some("no-such-block"));
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    name: Option<String>,
    text: String,
    /// Shared, because it cannot be cloned.
    source: Option<Arc<io::Error>>,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "process", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum ErrorKind {
    /// The name is in use.
    AlreadyExists,
    /// Nothing has the name.
    NotFound,
    /// Somebody else is using it in a way that excludes this.
    Busy,
    /// The operating system refuses it to this user.
    PermissionDenied,
    /// There is not enough memory for it.
    NoSpace,
    /// The text cannot be a name.
    InvalidName,
    /// An argument has a value that makes no sense here.
    InvalidArgument,
    /// The name belongs to another kind of object.
    WrongKind,
    /// The object has another element or message type.
    WrongType,
    /// Another version of crossdock made it.
    WrongVersion,
    /// Its bytes cannot have been written by a correct process.
    Corrupt,
    /// The handle leads to memory that has been reused since.
    Stale,
    /// The handle was made before a `fork` and belongs to the parent.
    Forked,
    /// All places for processes and channels are taken.
    TooManyPeers,
    /// It took longer than allowed.
    TimedOut,
    /// A process died or panicked in the middle of changing it.
    Poisoned,
    /// A written maximum would be exceeded.
    LimitExceeded,
    /// The other side of a channel has gone.
    Disconnected,
    /// The queue has no room.
    Full,
    /// The queue has no message.
    Empty,
    /// A process was to be started, and the program has not called `process::init`.
    NotInitialized,
    /// A task panicked in its process.
    Panicked,
    /// A process ended before its task returned.
    Died,
    /// A task was cancelled before it returned.
    Cancelled,
    /// It was closed, and takes no more work.
    Closed,
    /// This cannot be done with this object.
    Unsupported,
    /// Any other error of the operating system.
    Io,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, name: None, text: text.into(), source: None }))
    }

    /// An error of the operating system while `action` was being done.
    pub(crate) fn os(action: impl fmt::Display, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::OutOfMemory => ErrorKind::NoSpace,
            io::ErrorKind::InvalidData => ErrorKind::Corrupt,
            io::ErrorKind::Unsupported => ErrorKind::Unsupported,
            io::ErrorKind::NotADirectory => ErrorKind::WrongKind,
            _ if is_out_of_files(&source) => ErrorKind::LimitExceeded,
            _ => ErrorKind::Io,
        };
        let text = format!("{action}: {source}");
        Self(Box::new(Inner { kind, name: None, text, source: Some(Arc::new(source)) }))
    }

    pub(crate) fn named(mut self, name: &str) -> Self {
        self.0.name = Some(name.to_owned());
        self
    }

    /// The same error, with what led to it.
    #[cfg(feature = "process")]
    pub(crate) fn caused_by(
        mut self,
        cause: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        self.0.source = Some(Arc::new(io::Error::other(cause)));
        self
    }

    /// What led to it, if it is a `T`.
    #[cfg(feature = "process")]
    pub(crate) fn cause<T: std::error::Error + 'static>(&self) -> Option<&T> {
        self.0.source.as_ref()?.get_ref()?.downcast_ref()
    }

    /// The same error, saying in what it was met.
    pub(crate) fn within(mut self, what: impl fmt::Display) -> Self {
        self.0.text = format!("a message in {what} cannot be received: {}", self.0.text);
        self
    }

    pub(crate) fn corrupt(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        let text = format!("{what} is damaged: {why} (a process wrote where it must not)");
        Self::new(ErrorKind::Corrupt, text)
    }

    pub(crate) fn forked(what: &str) -> Self {
        let text = format!(
            "{what} was made before a fork and belongs to the parent process (open it again in the child)"
        );
        Self::new(ErrorKind::Forked, text)
    }

    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The name of the object, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// The error number of the operating system, if it came from there.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.0.source.as_ref().and_then(|source| source.raw_os_error())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("name", &self.0.name)
            .field("text", &self.0.text)
            .field("os", &self.raw_os_error())
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// What of an [`Error`] travels.
#[cfg(feature = "process")]
#[derive(serde::Serialize, serde::Deserialize)]
struct Told {
    kind: ErrorKind,
    name: Option<String>,
    text: String,
    os: Option<i32>,
}

/// A task may return a [`Result`]: kind, name, text and error number travel, and other causes do not.
#[cfg(feature = "process")]
impl serde::Serialize for Error {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Inner { kind, name, text, .. } = &*self.0;
        let (name, text, os) = (name.clone(), text.clone(), self.raw_os_error());
        Told { kind: *kind, name, text, os }.serialize(serializer)
    }
}

#[cfg(feature = "process")]
impl<'de> serde::Deserialize<'de> for Error {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Told { kind, name, text, os } = Told::deserialize(deserializer)?;
        let source = os.map(io::Error::from_raw_os_error).map(Arc::new);
        Ok(Self(Box::new(Inner { kind, name, text, source })))
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists,
            ErrorKind::NotFound => io::ErrorKind::NotFound,
            ErrorKind::PermissionDenied => io::ErrorKind::PermissionDenied,
            ErrorKind::NoSpace => io::ErrorKind::StorageFull,
            ErrorKind::TimedOut => io::ErrorKind::TimedOut,
            ErrorKind::Disconnected => io::ErrorKind::BrokenPipe,
            ErrorKind::Full | ErrorKind::Empty => io::ErrorKind::WouldBlock,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// Whether the process or the system has no file descriptor left (`EMFILE`, `ENFILE`).
fn is_out_of_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}

/// `bytes` for people: `61.0 MiB`.
pub(crate) fn human(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_keep_name_kind_and_number() {
        let full = io::Error::from_raw_os_error(28);
        let error = Error::os("cannot create \"a\"", full).named("a");
        assert_eq!(error.kind(), ErrorKind::NoSpace);
        assert_eq!((error.name(), error.raw_os_error()), (Some("a"), Some(28)));
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::StorageFull);
    }

    #[cfg(feature = "process")]
    #[test]
    fn errors_travel_with_name_kind_text_and_number() {
        let full = io::Error::from_raw_os_error(28);
        let error = Error::os("cannot create \"a\"", full).named("a");
        let bytes = postcard::to_stdvec(&error).unwrap();
        let told: Error = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(format!("{told:?}"), format!("{error:?}"));
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!(human(12), "12 B");
        assert_eq!(human(61 << 20), "61.0 MiB");
        assert_eq!(human(8 << 30), "8.0 GiB");
    }
}
