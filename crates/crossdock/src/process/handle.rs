//! What the starter of a process holds.

use super::link::Link;
use super::reaper;
use crate::error::{Error, ErrorKind, Result};
use crossdock_sys::child::Signal;
use crossdock_sys::clock::Deadline;
use serde::de::DeserializeOwned;
use std::fmt;
use std::fs::File;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

/// A process that was started, and the result of its task to come.
///
/// Dropping the handle lets the process go on alone (unless it is a daemon and this process ends). It
/// never becomes a zombie.
///
/// # Examples
///
/// ```
/// use crossdock::process::{self, Process};
///
/// fn total(numbers: Vec<u64>) -> u64 {
///     numbers.iter().sum()
/// }
///
/// # fn main() -> crossdock::Result<()> {
/// process::init(); // the first line of main
///
/// let handle = Process::spawn(total, vec![1, 2, 3])?;
/// println!("{} is process {}", handle.name(), handle.pid());
/// assert_eq!(handle.join()?, 6);
/// # Ok(())
/// # }
/// ```
#[must_use = "a process whose handle is dropped cannot be joined any more"]
pub struct JoinHandle<R> {
    link: Arc<Link>,
    result: PhantomData<fn() -> R>,
}

/// A [`JoinHandle::join_timeout`] that brought no result.
pub enum JoinTimeoutError<R> {
    /// The process still runs: its handle is given back.
    TimedOut(JoinHandle<R>),
    /// There will be no result.
    Failed(Error),
}

impl<R> JoinHandle<R> {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link, result: PhantomData }
    }

    /// The name of the process: the one that it was given, else its function's and a number.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.link.name
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.link.child.pid()
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        // What cannot be looked at has not been seen to end.
        !self.link.await_end(Some(Deadline::after(Duration::ZERO))).unwrap_or(false)
    }

    /// Waits for its end without taking the result; the exit code or signal, if anybody knows.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forked`]: another process holds the original of this handle.
    pub fn wait(&self) -> Result<Option<ExitStatus>> {
        self.link.await_end(None)?;
        Ok(self.link.status())
    }

    /// As [`wait`](Self::wait), but for a limited time: false if the process still runs.
    ///
    /// # Errors
    ///
    /// As those of `wait`.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool> {
        self.link.await_end(Some(Deadline::after(timeout)))
    }

    /// How it has ended: its exit code or signal. `None` while it runs, or if nobody knows.
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        if self.is_alive() { None } else { self.link.status() }
    }

    /// Tells it to end, as `kill` does (`SIGTERM`). Nothing happens if it has ended.
    ///
    /// # Errors
    ///
    /// It has got the rights of another user meanwhile.
    pub fn terminate(&self) -> Result<()> {
        self.link.signal(Signal::Terminate)
    }

    /// Ends it at once, as `kill -9` does. Nothing happens if it has ended.
    ///
    /// # Errors
    ///
    /// As those of [`terminate`](Self::terminate).
    pub fn kill(&self) -> Result<()> {
        self.link.signal(Signal::Kill)
    }

    /// What it has written to its stdout so far, if that is captured.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] if it is not ([`ProcessOptions::stdout`](super::ProcessOptions::stdout)).
    pub fn captured_stdout(&self) -> Result<Vec<u8>> {
        self.captured("stdout", self.link.output.stdout.as_ref())
    }

    /// What it has written to its stderr so far, if that is captured.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] if it is not ([`ProcessOptions::stderr`](super::ProcessOptions::stderr)).
    pub fn captured_stderr(&self) -> Result<Vec<u8>> {
        self.captured("stderr", self.link.output.stderr.as_ref())
    }

    fn captured(&self, stream: &str, file: Option<&File>) -> Result<Vec<u8>> {
        let link = &self.link;
        let file = file.ok_or_else(|| {
            let text = format!(
                "the {stream} of process \"{}\" is not captured (ask for it before it is spawned: \
                 {stream}(Output::Capture))",
                link.name
            );
            Error::new(ErrorKind::Unsupported, text).named(&link.name)
        })?;
        let read = || {
            let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX)];
            file.read_exact_at(&mut bytes, 0)?;
            Ok(bytes)
        };
        read().map_err(|error| link.os("cannot read the output of", error))
    }
}

impl<R: DeserializeOwned> JoinHandle<R> {
    /// Waits for the end of the process, and takes the result of its task.
    ///
    /// # Errors
    ///
    /// * [`ErrorKind::Panicked`]: [`Error::panic`] says where and why.
    /// * [`ErrorKind::Died`]: it was killed, or exited before its task returned; [`Error::exit_status`].
    /// * [`ErrorKind::LimitExceeded`]: the result is longer than [`INLINE_BYTES_MAX`](super::INLINE_BYTES_MAX), or
    ///   this process has no descriptor left to receive it; then it is lost.
    /// * [`ErrorKind::Unsupported`]: the process had no descriptor or memory left to send the result.
    /// * [`ErrorKind::WrongVersion`]: the [command](super::ProcessOptions::command) is another build.
    /// * [`ErrorKind::Corrupt`]: a type does not read what it writes.
    /// * [`ErrorKind::Forked`]: another process holds the original of this handle.
    pub fn join(self) -> Result<R> {
        self.link.await_result(None)?;
        self.result()
    }

    /// As [`join`](Self::join), but for a limited time.
    ///
    /// # Errors
    ///
    /// [`JoinTimeoutError::TimedOut`] gives the handle back, else as those of `join`.
    pub fn join_timeout(self, timeout: Duration) -> Result<R, JoinTimeoutError<R>> {
        match self.link.await_result(Some(Deadline::after(timeout))) {
            Ok(false) => Err(JoinTimeoutError::TimedOut(self)),
            Ok(true) => self.result().map_err(JoinTimeoutError::Failed),
            Err(error) => Err(JoinTimeoutError::Failed(error)),
        }
    }

    fn result(&self) -> Result<R> {
        let link = &self.link;
        link.outcome()?.open().map_err(|error| {
            let text = format!("the result of process \"{}\" cannot be read: {error}", link.name);
            Error::new(error.kind(), text).named(&link.name)
        })
    }
}

impl<R> Drop for JoinHandle<R> {
    fn drop(&mut self) {
        reaper::release(&self.link);
    }
}

/// The pidfd of the process: it can be read when the process has ended, for `poll`, `epoll` and event loops.
impl<R> AsFd for JoinHandle<R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.child.as_fd()
    }
}

impl<R> fmt::Debug for JoinHandle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("name", &self.name())
            .field("pid", &self.pid())
            .finish_non_exhaustive()
    }
}

impl<R> fmt::Debug for JoinTimeoutError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(handle) => f.debug_tuple("TimedOut").field(handle).finish(),
            Self::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}

impl<R> fmt::Display for JoinTimeoutError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(handle) => write!(f, "process \"{}\" still runs", handle.name()),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<R> std::error::Error for JoinTimeoutError<R> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::TimedOut(_) => None,
            Self::Failed(error) => error.source(),
        }
    }
}

impl<R> From<JoinTimeoutError<R>> for Error {
    fn from(error: JoinTimeoutError<R>) -> Self {
        match error {
            JoinTimeoutError::TimedOut(ref handle) => {
                Self::new(ErrorKind::TimedOut, error.to_string()).named(handle.name())
            }
            JoinTimeoutError::Failed(error) => error,
        }
    }
}
