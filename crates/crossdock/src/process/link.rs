//! What this process keeps of another one that it has started, whoever has its handle.
//!
//! # How an end is noticed
//!
//! A child of this process: by its pidfd; then it is waited for. The child of a fork server: by its pidfd as
//! well if it has left a result, else by what the server tells, which then ends the line. If the server has ended
//! too, nobody tells, and a process that the child has forked may hold the line open: then how it ended is
//! unknown.

use super::failure::{Panic, died, other_build, panicked};
use super::post::Post;
use super::reaper;
use super::wire::{self, Report};
use crate::error::{Error, Result};
use crate::letter::Letter;
use crossdock_sys::child::{Child, Last, Signal};
use crossdock_sys::clock::Deadline;
use crossdock_sys::fork;
use crossdock_sys::line::{Line, Packet};
use parking_lot::Mutex;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;

/// The connection to one process.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) line: Line,
    pub(super) child: Child,
    /// The fork server that is its parent. Unless there is one, this process is, and has to wait for it.
    server: Option<Arc<Link>>,
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
    report: Option<(Report, Post)>,
    /// What there may be to clean up of its argument, if it has not opened it.
    argument: Option<Post>,
    /// Whether it has opened the argument of its task.
    has_begun: bool,
    end: Option<End>,
    /// Why its line cannot be read.
    broken: Option<Error>,
}

/// Whether more may come over a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    More,
    All,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Known(ExitStatus),
    /// Nobody can say how.
    Unknown,
}

impl State {
    fn note(&mut self, bytes: &[u8], files: Vec<OwnedFd>) -> Result<()> {
        let (report, tail) = wire::decode::<Report>(bytes)?;
        match report {
            Report::Ended { status } => self.end = Some(End::Known(ExitStatus::from_raw(status))),
            Report::Begun => self.has_begun = true,
            // Of a child that nobody has taken.
            Report::Started { .. } | Report::NotStarted { .. } => {}
            _ => self.report = Some((report, Post::received(tail.to_vec(), files))),
        }
        Ok(())
    }
}

impl Link {
    pub(super) fn new(
        name: String,
        line: Line,
        child: Child,
        server: Option<Arc<Self>>,
        output: Captured,
    ) -> Self {
        fork::watch();
        let (generation, state) = (fork::generation(), Mutex::default());
        Self { name, line, child, server, output, generation, state }
    }

    /// Whether this process started it, and not one that has forked this one since.
    pub(super) fn is_current(&self) -> bool {
        self.generation == fork::generation()
    }

    /// Whether this process is its parent.
    pub(super) fn is_ours(&self) -> bool {
        self.server.is_none()
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
        let wait = || {
            let has_ended = self.child.await_end(deadline)?;
            match &self.server {
                // It tells how the child ended, and then ends the line, unless it has ended itself.
                Some(server) if has_ended => self.line.await_end_or(&server.child, deadline),
                _ => Ok(has_ended),
            }
        };
        let has_ended = wait().map_err(|error| self.os("cannot wait for", error))?;
        if has_ended {
            self.collect()?;
        }
        Ok(has_ended)
    }

    /// Waits until there will be no other result than there is; false when the deadline has passed before.
    ///
    /// The child of a fork server may have ended without that having been told how, which only matters if
    /// there is no result.
    pub(super) fn await_result(&self, deadline: Option<Deadline>) -> Result<bool> {
        self.check_current()?;
        if self.is_ours() || self.has_ended() {
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
        if self.is_ours() {
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
        let argument = state.argument.take();
        drop(state);
        drop(argument);
        reaper::forget(self);
        Ok(())
    }

    fn read(&self, state: &mut State) -> Result<Heard> {
        loop {
            match self.line.try_receive() {
                Ok(Some(packet)) => state.note(&packet.bytes, packet.files)?,
                Ok(None) => return Ok(Heard::All),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Heard::More),
                Err(error) => return Err(self.os("cannot read the result of", error)),
            }
        }
    }

    /// A report that was received before there was a link.
    pub(super) fn note(&self, report: Packet) -> Result<()> {
        self.state.lock().note(&report.bytes, report.files)
    }

    /// Its argument has been sent to it.
    pub(super) fn note_argument(&self, argument: Post) {
        self.state.lock().argument = argument.remnant();
    }

    /// Waits until it has opened its argument, or never will.
    pub(super) fn await_begin(&self) -> Result<()> {
        // It may have said so before there was a link.
        let has_said = |state: &State| state.has_begun || state.report.is_some();
        while !has_said(&self.state.lock()) {
            let waited = self.line.await_packet_or(&self.child);
            let has_come = waited.map_err(|error| self.os("cannot wait for", error))?;
            let mut state = self.state.lock();
            match self.read(&mut state) {
                Ok(Heard::More) if has_come && state.end.is_none() => {}
                Ok(_) => break,
                // Who waits for its end hears of it.
                Err(error) => {
                    state.broken = Some(error);
                    break;
                }
            }
        }
        Ok(())
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
    pub(super) fn outcome(&self) -> Result<Letter> {
        let status = self.status();
        let mut state = self.state.lock();
        if let Some(error) = state.broken.take() {
            return Err(error);
        }
        match state.report.take() {
            Some((Report::Done, result)) => {
                drop(state);
                result.fetch()
            }
            Some((Report::Panicked { message, location, backtrace }, _)) => {
                Err(panicked(&self.name, Panic { message, location, backtrace }))
            }
            Some((Report::Failed { kind, text }, _)) => {
                let text = format!("process \"{}\": {text}", self.name);
                Err(Error::new(kind, text).named(&self.name))
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

    pub(super) fn os(&self, action: &str, error: io::Error) -> Error {
        Error::os(format_args!("{action} process \"{}\"", self.name), error).named(&self.name)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // A result that nobody has read may have a mailbox, which is cleaned up with it.
        if self.is_current() {
            let mut state = std::mem::take(self.state.get_mut());
            let _ = self.read(&mut state);
        }
    }
}
