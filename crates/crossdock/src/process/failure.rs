//! How a task can fail, beyond its own result: it panics, or its process ends.

use crate::error::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Bytes of the message of a panic that arrive; the rest is lost, but was printed.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// Bytes of its backtrace that arrive.
const BACKTRACE_BYTES_MAX: usize = 256 << 10;
/// Bytes of its place that arrive.
const LOCATION_BYTES_MAX: usize = 4 << 10;

/// A panic in another process: the cause of an [`Error`] of the kind [`ErrorKind::Panicked`].
///
/// # Examples
///
/// ```
/// use crossdock::process::{self, Process};
///
/// # fn main() -> crossdock::Result<()> {
/// process::init();
///
/// let error = Process::spawn(|x: u32| 1 / x, 0)?.join().unwrap_err();
/// let panic = error.panic().unwrap();
/// assert_eq!(panic.message(), "attempt to divide by zero");
/// println!("{} at {}\n{}", panic.message(), panic.location(), panic.backtrace());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Panic {
    pub(super) message: String,
    pub(super) location: String,
    pub(super) backtrace: String,
}

impl Panic {
    /// A panic of which nobody but its catcher knows.
    pub(super) fn unseen(payload: &(dyn Any + Send)) -> Self {
        Self { message: message(payload), location: String::new(), backtrace: String::new() }
    }

    /// The part of it that is sent.
    pub(super) fn cut(mut self) -> Self {
        self.message.truncate(self.message.floor_char_boundary(MESSAGE_BYTES_MAX));
        self.location.truncate(self.location.floor_char_boundary(LOCATION_BYTES_MAX));
        self.backtrace.truncate(self.backtrace.floor_char_boundary(BACKTRACE_BYTES_MAX));
        self
    }

    /// What the panic said: the first 64 KiB of it.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where it was: file, line and column. Empty if the task ran in a thread of this process.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The calls that led there, as text: the first 256 KiB of it. Empty where the place is.
    #[must_use]
    pub fn backtrace(&self) -> &str {
        &self.backtrace
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.location.as_str() {
            // Known to those only who have watched it.
            "" => write!(f, "panicked: {}", self.message),
            location => write!(f, "panicked at {location}: {}", self.message),
        }
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panic")
            .field("message", &self.message)
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Panic {}

/// The end of a process, as a cause.
#[derive(Clone, Copy, Debug)]
struct Ended(ExitStatus);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the process ended: {}", self.0)
    }
}

impl std::error::Error for Ended {}

/// Of tasks that ran in other processes.
impl Error {
    /// The panic of a task, if that is the error.
    #[must_use]
    pub fn panic(&self) -> Option<&Panic> {
        self.cause()
    }

    /// How the process of a task ended before the task returned, if that is the error and it is known.
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.cause::<Ended>().map(|ended| ended.0)
    }
}

pub(super) fn panicked(process: &str, panic: Panic) -> Error {
    let text = format!("process \"{process}\" {panic}");
    Error::new(ErrorKind::Panicked, text).named(process).caused_by(panic)
}

/// The panic of one of many tasks of a process.
pub(super) fn task_panicked(task: &str, panic: Panic) -> Error {
    Error::new(ErrorKind::Panicked, format!("task \"{task}\" {panic}")).named(task).caused_by(panic)
}

/// The workers of a pool do not get as far as working.
pub(super) fn pool_broken(pool: &str, why: Error) -> Error {
    let text = format!("pool \"{pool}\" cannot work: {why}");
    let error = Error::new(why.kind(), text).named(pool);
    match (why.panic(), why.exit_status()) {
        (Some(panic), _) => error.caused_by(panic.clone()),
        (None, Some(status)) => error.caused_by(Ended(status)),
        (None, None) => error,
    }
}

/// What a panic says.
pub(super) fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".to_owned())
}

pub(super) fn died(process: &str, status: Option<ExitStatus>) -> Error {
    let how = match status {
        None => "has ended in a way that nobody knows: its fork server was killed, or somebody \
                 else in this process waits for all children, or SIGCHLD is ignored"
            .to_owned(),
        Some(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!(
                "ended with code {code} before its task returned (did the task call exit, or main \
                 something before process::init?)"
            ),
            (None, signal) => {
                let (number, name) = signal.map_or((0, ""), |number| (number, signal_name(number)));
                format!("was killed by signal {number}{name} before its task returned")
            }
        },
    };
    let error = Error::new(ErrorKind::Died, format!("process \"{process}\" {how}")).named(process);
    match status {
        Some(status) => error.caused_by(Ended(status)),
        None => error,
    }
}

pub(super) fn other_build(process: &str) -> Error {
    let text = format!(
        "process \"{process}\" is another build of this program, and does not have the same tasks (a \
         Command must run this very executable, or a copy of it)"
    );
    Error::new(ErrorKind::WrongVersion, text).named(process)
}

/// The names of the signals that end processes, with what often sends them. Their numbers are the same
/// on all architectures that crossdock runs on.
fn signal_name(number: i32) -> &'static str {
    match number {
        2 => " (SIGINT)",
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL: kill -9, or the system was out of memory)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        15 => " (SIGTERM)",
        _ => "",
    }
}
