//! The errors of sending and receiving. Those of sending give the message back.

use crate::error::{Error, ErrorKind};
use std::fmt;

/// The message could not be sent.
#[derive(PartialEq)]
#[non_exhaustive]
pub enum SendError<M> {
    /// The queue has no room, and the channel is made [not to wait](super::WhenFull::Fail).
    Full(M),
    /// Every receiver has gone.
    Disconnected(M),
    /// Something else is wrong with the message or the channel.
    Failed(M, Error),
}

/// The message could not be sent at once.
#[derive(PartialEq)]
#[non_exhaustive]
pub enum TrySendError<M> {
    /// The queue has no room.
    Full(M),
    /// Every receiver has gone.
    Disconnected(M),
    /// Something else is wrong with the message or the channel.
    Failed(M, Error),
}

/// The message could not be sent in time.
#[derive(PartialEq)]
#[non_exhaustive]
pub enum SendTimeoutError<M> {
    /// The queue had no room until the time was over, or has none and the channel is made
    /// [not to wait](super::WhenFull::Fail).
    Timeout(M),
    /// Every receiver has gone.
    Disconnected(M),
    /// Something else is wrong with the message or the channel.
    Failed(M, Error),
}

/// The message could not be acknowledged.
#[derive(PartialEq)]
#[non_exhaustive]
pub enum AcknowledgeError<M> {
    /// It is this receiver's no more: its process has been taken for dead, and another receiver gets the message.
    Lost(M),
    /// Something else is wrong with the channel.
    Failed(M, Error),
}

/// No message came.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum RecvError {
    /// The queue is empty and every sender has gone.
    Disconnected,
    /// There is a message, but it cannot be received.
    Failed(Error),
}

/// There is no message now.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum TryRecvError {
    /// The queue is empty.
    Empty,
    /// The queue is empty and every sender has gone.
    Disconnected,
    /// There is a message, but it cannot be received.
    Failed(Error),
}

/// No message came in time.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum RecvTimeoutError {
    /// The queue was empty until the time was over.
    Timeout,
    /// The queue is empty and every sender has gone.
    Disconnected,
    /// There is a message, but it cannot be received.
    Failed(Error),
}

impl PartialEq for Error {
    fn eq(&self, other: &Self) -> bool {
        self.kind() == other.kind() && self.name() == other.name()
    }
}

const FULL: &str = "sending on a full channel";
const NO_RECEIVERS: &str = "sending on a channel whose receivers have all gone";
const EMPTY: &str = "receiving on an empty channel";
const NO_SENDERS: &str = "receiving on an empty channel whose senders have all gone";
const LOST: &str = "acknowledging a message that another receiver gets";
const SEND_TIMEOUT: &str = "timed out sending on a full channel";
const RECV_TIMEOUT: &str = "timed out receiving on an empty channel";

macro_rules! send_error {
    ($name:ident { $($variant:ident => $kind:ident, $text:expr;)* }) => {
        impl<M> $name<M> {
            /// The message.
            pub fn into_inner(self) -> M {
                match self {
                    $(Self::$variant(message) => message,)*
                    Self::Failed(message, _) => message,
                }
            }
        }

        impl<M> fmt::Debug for $name<M> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant(_) => f.write_str(concat!(stringify!($variant), "(..)")),)*
                    Self::Failed(_, error) => write!(f, "Failed(.., {error:?})"),
                }
            }
        }

        impl<M> fmt::Display for $name<M> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant(_) => f.write_str($text),)*
                    Self::Failed(_, error) => error.fmt(f),
                }
            }
        }

        impl<M> std::error::Error for $name<M> {}

        impl<M> From<$name<M>> for Error {
            /// Drops the message.
            fn from(error: $name<M>) -> Self {
                match error {
                    $($name::$variant(_) => Self::new(ErrorKind::$kind, $text),)*
                    $name::Failed(_, error) => error,
                }
            }
        }
    };
}

send_error!(SendError {
    Full => Full, FULL;
    Disconnected => Disconnected, NO_RECEIVERS;
});
send_error!(TrySendError {
    Full => Full, FULL;
    Disconnected => Disconnected, NO_RECEIVERS;
});
send_error!(SendTimeoutError {
    Timeout => TimedOut, SEND_TIMEOUT;
    Disconnected => Disconnected, NO_RECEIVERS;
});

send_error!(AcknowledgeError { Lost => Stale, LOST; });

macro_rules! recv_error {
    ($name:ident { $($variant:ident => $kind:ident, $text:expr;)* }) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant => f.write_str($text),)*
                    Self::Failed(error) => error.fmt(f),
                }
            }
        }

        impl std::error::Error for $name {}

        impl From<$name> for Error {
            fn from(error: $name) -> Self {
                match error {
                    $($name::$variant => Self::new(ErrorKind::$kind, $text),)*
                    $name::Failed(error) => error,
                }
            }
        }
    };
}

recv_error!(RecvError { Disconnected => Disconnected, NO_SENDERS; });
recv_error!(TryRecvError {
    Empty => Empty, EMPTY;
    Disconnected => Disconnected, NO_SENDERS;
});
recv_error!(RecvTimeoutError {
    Timeout => TimedOut, RECV_TIMEOUT;
    Disconnected => Disconnected, NO_SENDERS;
});

// Errors that give an array back travel by value; clippy calls 128 bytes too many.
const _: () = assert!(size_of::<SendError<crate::ArrayMut<f64>>>() < 128);
