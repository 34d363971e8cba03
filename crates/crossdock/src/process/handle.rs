//! What the starter of a process holds.

use super::failure::{Panic, died, other_build, panicked};
use super::wire::{self, Report};
use super::{envelope, reaper};
use crate::error::{Error, ErrorKind, Result};
use crossdock_sys::child::{Child, Last, Signal};
use crossdock_sys::clock::Deadline;
use crossdock_sys::fork;
use crossdock_sys::line::Line;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use std::fmt;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
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

/// The connection to one process.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) line: Line,
    pub(super) child: Child,
    /// Whether this process is its parent, and so has to wait for it.
    pub(super) is_ours: bool,
    pub(super) output: Captured,
    /// Of this process, when it started the other: a forked child has copies of links that are not its.
    generation: u64,
    state: Mutex<State>,
}

/// Where the output of a process goes that is captured.
#[derive(Debug, Default)]
pub(super) struct Captured {
    pub(super) stdout: Option<File>,
    pub(super) stderr: Option<File>,
}

#[derive(Debug, Default)]
struct State {
    /// What the process has said of its task, with the result.
    report: Option<(Report, Vec<u8>)>,
    end: Option<End>,
    /// Why its line cannot be read.
    broken: Option<Error>,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Known(ExitStatus),
    /// Nobody can say how.
    Unknown,
}

impl State {
    fn note(&mut self, mut bytes: Vec<u8>) -> Result<()> {
        let (report, tail) = wire::decode::<Report>(&bytes)?;
        let tail = tail.len();
        if let Report::Ended { status } = report {
            self.end = Some(End::Known(ExitStatus::from_raw(status)));
        } else {
            bytes.drain(..bytes.len() - tail);
            self.report = Some((report, bytes));
        }
        Ok(())
    }
}

impl Link {
    pub(super) fn new(
        name: String,
        line: Line,
        child: Child,
        is_ours: bool,
        output: Captured,
    ) -> Self {
        fork::watch();
        let (generation, state) = (fork::generation(), Mutex::default());
        Self { name, line, child, is_ours, output, generation, state }
    }

    /// Whether this process started it, and not one that has forked this one since.
    pub(super) fn is_current(&self) -> bool {
        self.generation == fork::generation()
    }

    fn check_current(&self) -> Result<()> {
        if self.is_current() {
            return Ok(());
        }
        Err(Error::forked(&format!("the handle of process \"{}\"", self.name)).named(&self.name))
    }

    /// Waits for the end of the process; false when the deadline has passed before.
    pub(super) fn await_end(&self, deadline: Option<Deadline>) -> Result<bool> {
        self.check_current()?;
        if self.has_ended() {
            return Ok(true);
        }
        let waited = match self.is_ours {
            true => self.child.await_end(deadline),
            // The fork server tells how it ended, and then ends the line.
            false => self.line.await_end(deadline),
        };
        let has_ended = waited.map_err(|error| self.os("cannot wait for", error))?;
        if has_ended {
            self.collect()?;
        }
        Ok(has_ended)
    }

    /// Waits until there will be no other result than there is; false when the deadline has passed before.
    ///
    /// The child of a fork server may have ended without that having been told how, which only matters if
    /// there is no result.
    fn await_result(&self, deadline: Option<Deadline>) -> Result<bool> {
        self.check_current()?;
        if self.is_ours || self.has_ended() {
            return self.await_end(deadline);
        }
        let waited = self.child.await_end(deadline);
        if !waited.map_err(|error| self.os("cannot wait for", error))? {
            return Ok(false);
        }
        let mut state = self.state.lock();
        self.read(&mut state)?;
        let is_done = matches!(state.report, Some((Report::Done, _)));
        drop(state);
        Ok(is_done || self.await_end(deadline)?)
    }

    /// Takes the end of a process that has ended, and its last words.
    pub(super) fn collect(&self) -> Result<()> {
        let mut state = self.state.lock();
        if state.end.is_some() {
            return Ok(());
        }
        if self.is_ours {
            let last = self.child.reap().map_err(|error| self.os("cannot wait for", error))?;
            state.end = match last {
                Last::Running => return Ok(()),
                Last::Ended(status) => Some(End::Known(status)),
                Last::Taken => Some(End::Unknown),
            };
        }
        if let Err(error) = self.read(&mut state) {
            state.broken = Some(error);
        }
        state.end.get_or_insert(End::Unknown);
        drop(state);
        reaper::forget(self);
        Ok(())
    }

    fn read(&self, state: &mut State) -> Result<()> {
        loop {
            match self.line.try_receive() {
                Ok(Some(packet)) => state.note(packet.bytes)?,
                Ok(None) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(self.os("cannot read the result of", error)),
            }
        }
    }

    /// A report that was received before there was a link.
    pub(super) fn note(&self, report: Vec<u8>) -> Result<()> {
        self.state.lock().note(report)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state.lock().end.is_some()
    }

    pub(super) fn status(&self) -> Option<ExitStatus> {
        match self.state.lock().end {
            Some(End::Known(status)) => Some(status),
            _ => None,
        }
    }

    /// The sealed result of a process that has ended.
    pub(super) fn outcome(&self) -> Result<Vec<u8>> {
        let status = self.status();
        let mut state = self.state.lock();
        if let Some(error) = state.broken.take() {
            return Err(error);
        }
        match state.report.take() {
            Some((Report::Done, result)) => Ok(result),
            Some((Report::Panicked { message, location, backtrace }, _)) => {
                Err(panicked(&self.name, Panic { message, location, backtrace }))
            }
            Some((Report::Failed { failure, text }, _)) => {
                let text = format!("process \"{}\": {text}", self.name);
                Err(Error::new(failure.kind(), text).named(&self.name))
            }
            Some((Report::Refused { .. }, _)) => Err(other_build(&self.name)),
            _ => Err(died(&self.name, status)),
        }
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        self.check_current()?;
        // A process that has ended needs no signal.
        self.child.signal(signal).map(drop).map_err(|error| self.os("cannot signal", error))
    }

    fn os(&self, action: &str, error: io::Error) -> Error {
        Error::os(format_args!("{action} process \"{}\"", self.name), error).named(&self.name)
    }
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
    /// * [`ErrorKind::LimitExceeded`]: the result is longer than [`INLINE_BYTES_MAX`](super::INLINE_BYTES_MAX).
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
        envelope::open(&link.outcome()?).map_err(|error| {
            let text = format!(
                "the result of process \"{}\" cannot be read as {}: {error} (Serialize and Deserialize \
                 must agree)",
                link.name,
                std::any::type_name::<R>()
            );
            Error::new(ErrorKind::Corrupt, text).named(&link.name)
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
