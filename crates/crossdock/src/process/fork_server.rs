//! The inside of a fork server: a process with one thread that does nothing but make copies of itself, and
//! wait for their ends.
//!
//! It is this program, stopped in [`init`](super::init()), before it had a second thread or opened anything. So
//! its copies are small, quick to make, and sound to run anything in. It is a daemon: it ends with the
//! process that it works for. Its children do not, unless they are daemons as well.
#![allow(unsafe_code, reason = "it forks")]

use super::serve::{self, Origin};
use super::wire::{self, Report};
use crate::error::{Error, ErrorKind, Result};
use crossdock_sys::child::{self, Child, Forked, Interrupts, Last};
use crossdock_sys::events::Events;
use crossdock_sys::line::{Line, Packet};
use crossdock_sys::{leash, stdio};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;

/// The key of the line to the process that the server works for; those of children are their pids.
const CONTROL: u64 = 0;

/// What follows in a request for a child: its line always, and these.
pub(super) const HAS_STDOUT: u8 = 1;
pub(super) const HAS_STDERR: u8 = 2;

struct Server {
    events: Events,
    children: HashMap<u64, (Child, Line)>,
}

/// How serving ends.
pub(super) enum Served {
    /// Nobody is there any more to serve.
    Out,
    /// This process is a child now, and has to close all that it has of the server's.
    Born(Birth),
}

/// What a child begins with.
pub(super) struct Birth {
    line: Line,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    /// The pid of its server.
    server: u32,
    interrupts: Interrupts,
}

/// Serves until the other end of `control` has gone.
pub(super) fn run(control: &Line) -> Result<Served> {
    let threads = child::thread_count().unwrap_or(1);
    if threads > 1 {
        let text = format!(
            "a fork server must have one thread, and this program has {threads} when it calls \
             process::init (make it the first line of main; with a library that starts threads when it is \
             loaded, use StartMethod::Spawn)"
        );
        return Err(Error::new(ErrorKind::Unsupported, text));
    }
    // Ctrl-C is for the processes that do something.
    let interrupts = child::ignore_interrupts();
    let os = |error| Error::os("a fork server cannot wait", error);
    let events = Events::new().map_err(os)?;
    events.add(control, CONTROL).map_err(os)?;
    let mut server = Server { events, children: HashMap::new() };
    loop {
        for key in server.events.wait().map_err(os)? {
            if key != CONTROL {
                server.bury(key);
                continue;
            }
            let Some(packet) = control.receive().map_err(os)? else { return Ok(Served::Out) };
            if let Some(birth) = server.fork(packet, interrupts) {
                return Ok(Served::Born(birth));
            }
        }
    }
}

impl Birth {
    /// Makes the process its own; what of the server's is still open is closed already.
    pub(super) fn live(self) -> ! {
        leash::cut();
        child::heed_interrupts(self.interrupts);
        let redirect = || {
            self.stdout.map_or(Ok(()), stdio::set_stdout)?;
            self.stderr.map_or(Ok(()), stdio::set_stderr)
        };
        match redirect() {
            Ok(()) => serve::serve(self.line, Origin::ForkServer(self.server)),
            Err(error) => {
                let error = Error::os("cannot capture the output of a process", error);
                serve::fail(&self.line, &error, Origin::ForkServer(self.server))
            }
        }
    }
}

impl Server {
    /// Makes a child; returns in both processes, with something in the child.
    fn fork(&mut self, packet: Packet, interrupts: Interrupts) -> Option<Birth> {
        let (flags, mut files) = (*packet.bytes.first()?, packet.files.into_iter());
        let line = Line::from(files.next()?);
        let mut next = |flag| if flags & flag != 0 { files.next() } else { None };
        let (stdout, stderr) = (next(HAS_STDOUT), next(HAS_STDERR));
        let server = std::process::id();
        // SAFETY: this process has one thread (`run` has looked, and it starts none), and the child ends in
        // `Birth::live`, without returning to what has called `run`.
        let forked = unsafe { child::fork() };
        match forked {
            Ok(Forked::Child) => Some(Birth { line, stdout, stderr, server, interrupts }),
            Ok(Forked::Parent(pid)) => {
                if let Err(error) = self.keep(pid, line) {
                    child::discard(pid);
                    refuse(&error.0, &error.1);
                }
                None
            }
            Err(error) => {
                refuse(&line, &error);
                None
            }
        }
    }

    /// Tells who has asked, and waits for the child from now on.
    fn keep(&mut self, pid: u32, line: Line) -> Result<(), (Line, io::Error)> {
        let key = u64::from(pid);
        let watch = || {
            let child = Child::of(pid)?;
            self.events.add(&child, key)?;
            Ok(child)
        };
        match watch() {
            Ok(child) => {
                tell(&line, &Report::Started { pid }, &[child.as_fd()]);
                self.children.insert(key, (child, line));
                Ok(())
            }
            Err(error) => Err((line, error)),
        }
    }

    /// A child has ended.
    fn bury(&mut self, key: u64) {
        let Some((child, line)) = self.children.remove(&key) else { return };
        if let Ok(Last::Ended(status)) = child.reap() {
            tell(&line, &Report::Ended { status: status.into_raw() }, &[]);
        }
        // Its own children may have copies of the line, and nobody is to wait for them.
        line.shut();
    }
}

fn refuse(line: &Line, error: &io::Error) {
    let errno = error.raw_os_error().unwrap_or_default();
    tell(line, &Report::NotStarted { errno }, &[]);
}

/// If nobody listens any more, then nobody misses it.
fn tell(line: &Line, report: &Report, files: &[BorrowedFd<'_>]) {
    if let Ok(message) = wire::encode(report, &[]) {
        let _ = line.send(&message, files);
    }
}
