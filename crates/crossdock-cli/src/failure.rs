//! Why a subcommand gave up.

use crossdock::channel::{
    RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
use std::fmt;
use std::io;

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

#[derive(Debug)]
pub(crate) enum Failure {
    /// The library says why.
    Library(crossdock::Error),
    /// The operating system says why, while this was being done.
    Os(String, io::Error),
    /// Another process of this command ended, hung or talked nonsense.
    Helper(String),
    /// Two processes disagree about an array.
    Mismatch(String),
    /// It cannot be done as asked.
    Refused(String),
    /// Nobody reads our standard output any more.
    OutputClosed,
}

impl Failure {
    /// For `map_err`: an error of the operating system during `action`.
    pub(crate) fn os(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |error| Self::Os(action, error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Library(error) => error.fmt(f),
            Self::Os(action, error) => write!(f, "{action}: {error}"),
            Self::Helper(text) | Self::Mismatch(text) | Self::Refused(text) => f.write_str(text),
            Self::OutputClosed => f.write_str("standard output is closed"),
        }
    }
}

impl From<crossdock::Error> for Failure {
    fn from(error: crossdock::Error) -> Self {
        Self::Library(error)
    }
}

macro_rules! from_channel_errors {
    ($($error:ty),+; $($sending:ident),+) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::Library(error.into())
            }
        })+
        $(impl<M> From<$sending<M>> for Failure {
            fn from(error: $sending<M>) -> Self {
                Self::Library(error.into())
            }
        })+
    };
}

from_channel_errors!(RecvTimeoutError, TryRecvError; SendError, SendTimeoutError, TrySendError);
