//! The inside of a fork server: a process with one thread that does nothing but make copies of itself, and
//! wait for their ends.
//!
//! It is this program, stopped in [`init`](super::init()), before it had a second thread or opened anything. So
//! its copies are small, quick to make, and sound to run anything in. It is a daemon: it ends with the
//! process that it works for. Its children do not, unless they are daemons as well.
//!
//! One child is always ready, and whoever wants a process has the line to it already: so what it is to do goes to the
//! child directly, and while the child works, the server makes the next one. Android's zygote does the same, with a pool of
//! what it calls unspecialised app processes.
#![allow(unsafe_code, reason = "it forks")]

use super::serve::{self, Origin};
use super::wire::{self, Report};
use crate::error::{Error, ErrorKind, Result};
use crossdock_sys::child::{self, Child, Forked, Interrupts, Last};
use crossdock_sys::events::Events;
use crossdock_sys::line::Line;
use crossdock_sys::{leash, stdio};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;

/// The key of the line to the process that the server works for; those of children are their pids.
const CONTROL: u64 = 0;

/// What comes with the first packet that a child gets.
pub(super) const HAS_STDOUT: u8 = 1;
pub(super) const HAS_STDERR: u8 = 2;
/// What the server is told when it is to make another child.
pub(super) const WANTED: &[u8] = &[1];

struct Server {
    events: Events,
    interrupts: Interrupts,
    /// Those at work, and the one that waits for it, with copies of their ends of their lines.
    children: BTreeMap<u64, (Child, Line)>,
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
    /// Over this it gets its work, and gives its result.
    line: Line,
    /// The pid of its server.
    server: u32,
    interrupts: Interrupts,
}

/// Serves until the other end of `control` has gone.
pub(super) fn run(control: &Line) -> Result<Served> {
    let threads =
        child::thread_count().map_err(|error| Error::os("cannot count threads", error))?;
    if threads > 1 {
        let text = format!(
            "a fork server must have one thread, and this program has {threads} when it calls \
             process::init (make it the first line of main; with a library that starts threads when it is \
             loaded, use StartMethod::Spawn)"
        );
        return Err(Error::new(ErrorKind::Unsupported, text));
    }
    // How a child ends is told to those who do not ignore it.
    child::heed_children();
    // Ctrl-C is for the processes that do something.
    let interrupts = child::hold_interrupts();
    let os = |error| Error::os("a fork server cannot wait", error);
    let events = Events::new().map_err(os)?;
    events.add(control, CONTROL).map_err(os)?;
    let mut server = Server { events, interrupts, children: BTreeMap::new() };
    loop {
        for key in server.events.wait().map_err(os)? {
            if key != CONTROL {
                server.bury(key);
                continue;
            }
            let Some(_wanted) = control.receive().map_err(os)? else { return Ok(Served::Out) };
            if let Some(birth) = server.make(control) {
                return Ok(Served::Born(birth));
            }
        }
    }
}

impl Birth {
    /// Waits for work and does it; what of the server's was open here is closed already.
    pub(super) fn live(self) -> ! {
        leash::cut();
        // Before there is work: Ctrl-C may end this one now, and the server makes another.
        child::heed_interrupts(self.interrupts);
        serve::get_ready(&self.line);
        // Nobody has work any more.
        let Ok(Some(packet)) = self.line.receive_part() else { child::exit_now(0) };
        let (flags, mut files) = (packet.bytes.first().copied(), packet.files.into_iter());
        let mut next = |flag| flags.filter(|flags| flags & flag != 0).and_then(|_| files.next());
        let (stdout, stderr) = (next(HAS_STDOUT), next(HAS_STDERR));
        let redirect = || {
            if packet.is_cut {
                return Err(child::out_of_files());
            }
            stdout.map_or(Ok(()), stdio::set_stdout)?;
            stderr.map_or(Ok(()), stdio::set_stderr)
        };
        let origin = Origin::ForkServer(self.server);
        match redirect() {
            Ok(()) => serve::serve(self.line, origin),
            Err(error) => {
                let error = Error::os("cannot capture the output of a process", error);
                serve::fail(&self.line, &error, origin)
            }
        }
    }
}

/// What a fork makes.
enum Made {
    /// In the server: a child, and the line to it.
    Child { pid: u32, line: Line },
    /// In the child.
    Birth(Birth),
}

impl Server {
    /// Makes a child that waits for work, and hands the line to it over; returns in both processes, with something in the
    /// child.
    fn make(&mut self, control: &Line) -> Option<Birth> {
        match self.fork() {
            Ok(Made::Child { pid, line }) => {
                let (child, _) = self.children.get(&pid.into())?;
                let files = [child.as_fd(), line.as_fd()];
                // There may be too many descriptors on their way.
                if let Err(error) = tell(control, &Report::Started { pid }, &files) {
                    refuse(control, &error);
                }
                None
            }
            Ok(Made::Birth(birth)) => Some(birth),
            Err(error) => {
                refuse(control, &error);
                None
            }
        }
    }

    fn fork(&mut self) -> io::Result<Made> {
        let (ours, theirs) = Line::pair()?;
        let server = std::process::id();
        // SAFETY: this process has one thread (`run` has looked, and it starts none), and the child ends in
        // `Birth::live`, without returning to what has called `run`.
        let forked = unsafe { child::fork() };
        let Forked::Parent(pid) = forked? else {
            let interrupts = self.interrupts;
            return Ok(Made::Birth(Birth { line: theirs, server, interrupts }));
        };
        let watch = || {
            let child = Child::of(pid)?;
            self.events.add(&child, pid.into())?;
            Ok(child)
        };
        let child = watch().inspect_err(|_: &io::Error| child::discard(pid))?;
        self.children.insert(pid.into(), (child, theirs));
        Ok(Made::Child { pid, line: ours })
    }

    /// A child has ended.
    fn bury(&mut self, key: u64) {
        let Some((child, line)) = self.children.remove(&key) else { return };
        // Others have copies of its pidfd, such as whoever may want to kill it: it would not leave by itself.
        let _ = self.events.remove(&child);
        // What it has not read, and the files with it, are gone before anybody is told of its end.
        while let Ok(Some(_)) = line.try_receive() {}
        if let Ok(Last::Ended(status)) = child.reap() {
            let _ = tell(&line, &Report::Ended { status: status.into_raw() }, &[]);
        }
        // Its own children may have copies of the line, and nobody is to wait for them.
        line.shut();
    }
}

/// A child cannot be had. If nobody listens any more, then nobody misses it.
fn refuse(control: &Line, error: &io::Error) {
    let errno = error.raw_os_error().unwrap_or_default();
    let _ = tell(control, &Report::NotStarted { errno }, &[]);
}

fn tell(line: &Line, report: &Report, files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let message = wire::encode(report, &[]).map_err(io::Error::from)?;
    line.send(&message, files)
}
