//! Starting a process, one way a file.

mod fork;
mod fork_server;
mod spawn;

use super::init;
use super::link::{Captured, Link};
use super::options::{Output, StartMethod};
use super::post::Post;
use super::reaper;
use super::task;
use super::wire::{self, Job, Request, TaskId};
use crate::error::{Error, ErrorKind, Result};
use crate::letter::Letter;
use crossdock_sys::line::Line;
use crossdock_sys::stdio;
use std::fs::File;
use std::io;
use std::process::Command;
use std::sync::Arc;

/// A process as it was ordered.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) name: String,
    pub(super) start: StartMethod,
    pub(super) is_daemon: bool,
    pub(super) is_forced: bool,
    pub(super) stdout: Output,
    pub(super) stderr: Output,
    pub(super) command: Option<Command>,
}

/// A line over which a process that does not exist yet was told what to do.
struct Prepared {
    ours: Line,
    theirs: Line,
    stdout: Option<File>,
    stderr: Option<File>,
}

/// Starts a process that runs a task.
pub(super) fn task(order: Order, id: TaskId, mut argument: Letter) -> Result<Arc<Link>> {
    if !init::is_ready() {
        let text = format!(
            "process \"{}\" cannot be started: this program has not called crossdock::process::init (make \
             it the first line of main; in a test or a benchmark that has no main of its own, write \
             crossdock::process::init_before_main!(); beside the tests)",
            order.name
        );
        return Err(Error::new(ErrorKind::NotInitialized, text).named(&order.name));
    }
    if order.command.is_some() && order.start != StartMethod::Spawn {
        let text = format!(
            "process \"{}\" cannot be started by a command and as {:?} at once",
            order.name, order.start
        );
        return Err(Error::new(ErrorKind::InvalidArgument, text).named(&order.name));
    }
    reaper::sweep();
    // Until it has opened what they are handles of.
    let kept = argument.take_kept();
    let argument = Post::of(argument).map_err(|error| order.unsendable(&error))?;
    let is_awaited = !kept.is_empty();
    let link = match order.start {
        StartMethod::Spawn => spawn::start(order, Job::Task(id), &argument, is_awaited),
        StartMethod::ForkServer => fork_server::start(order, id, &argument, is_awaited),
        StartMethod::Fork => fork::start(order, id, &argument, is_awaited),
    }?;
    link.note_argument(argument);
    if is_awaited {
        link.await_begin()?;
    }
    Ok(link)
}

impl Order {
    /// What the process is to be told.
    fn request(&self, job: Job, argument: &Post, is_awaited: bool) -> Result<Vec<u8>> {
        let request = Request {
            build: task::build()?,
            name: &self.name,
            parent: self.command.is_none().then(std::process::id),
            is_daemon: self.is_daemon,
            is_awaited,
            job,
        };
        wire::encode(&request, argument.bytes())
    }

    /// Its stdout and stderr, where they are others than ours.
    fn outputs(&self) -> Result<[Option<File>; 2]> {
        let outputs = || Ok([open(self.stdout)?, open(self.stderr)?]);
        outputs().map_err(|error| self.failed(error))
    }

    /// Tells the process what to do, though it does not exist yet.
    fn prepare(&self, job: Job, argument: &Post, is_awaited: bool) -> Result<Prepared> {
        let message = self.request(job, argument, is_awaited)?;
        let prepare = || {
            let (ours, theirs) = Line::pair()?;
            ours.send(&message, &argument.files())?;
            Ok((ours, theirs))
        };
        let (ours, theirs) = prepare().map_err(|error| self.failed(error))?;
        let [stdout, stderr] = self.outputs()?;
        Ok(Prepared { ours, theirs, stdout, stderr })
    }

    /// The error of an argument that cannot travel.
    pub(super) fn unsendable(&self, error: &Error) -> Error {
        let text = format!("the argument of process \"{}\" cannot be sent: {error}", self.name);
        Error::new(error.kind(), text).named(&self.name)
    }

    fn failed(&self, error: io::Error) -> Error {
        let text = format_args!("cannot start process \"{}\"", self.name);
        Error::os(text, error).named(&self.name)
    }

    /// What of the opened outputs is to be read later.
    fn captured(&self, stdout: Option<File>, stderr: Option<File>) -> Captured {
        Captured {
            stdout: stdout.filter(|_| self.stdout == Output::Capture),
            stderr: stderr.filter(|_| self.stderr == Output::Capture),
        }
    }
}

/// The file that a stream of a process is to be, if it is another one than ours.
fn open(output: Output) -> io::Result<Option<File>> {
    match output {
        Output::Inherit => Ok(None),
        Output::Capture => stdio::memory_file("crossdock-output").map(Some),
        Output::Discard => File::options().write(true).open("/dev/null").map(Some),
    }
}
