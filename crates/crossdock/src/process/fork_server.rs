//! The inside of a fork server: a process with one thread that does nothing but make copies of itself, and
//! wait for their ends.
//!
//! It is this program, stopped in [`init`](super::init()), before it had a second thread or opened anything. So
//! its copies are small, quick to make, and sound to run anything in. It is a daemon: it ends with the
//! process that it works for. Its children do not, unless they are daemons as well.
//!
//! One child is always ready: it waits for work, and while it works the next one is made. Android's zygote does
//! the same, with a pool of what it calls unspecialised app processes.
#![allow(unsafe_code, reason = "it forks")]

use super::serve::{self, Origin};
use super::wire::{self, Report};
use crate::error::{Error, ErrorKind, Result};
use crossdock_sys::child::{self, Child, Forked, Interrupts, Last};
use crossdock_sys::events::Events;
use crossdock_sys::line::{Line, Packet};
use crossdock_sys::{leash, stdio};
use std::collections::BTreeMap;
use std::fs::File;
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
    interrupts: Interrupts,
    /// Those at work, with their ends of their lines.
    children: BTreeMap<u64, (Child, Line)>,
    /// The one that waits for work, with the line over which it gets it.
    spare: Option<(Child, Line)>,
    /// A descriptor to give up for the line in a request: who asks is answered, though none be left.
    reserve: Option<File>,
}

/// How serving ends.
pub(super) enum Served {
    /// Nobody is there any more to serve.
    Out,
    /// This process is a child now, and has to close all that it has of the server's.
    Born(Birth),
}

/// What comes of work that is given to a child.
enum Hired {
    /// It has it.
    Child(Child),
    /// This process is a child that was made for it.
    Born(Birth),
}

/// What a child begins with.
pub(super) struct Birth {
    /// Over this it gets its work.
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
    let (children, spare, reserve) = (BTreeMap::new(), None, None);
    let mut server = Server { events, interrupts, children, spare, reserve };
    loop {
        // If it cannot be had now, perhaps it can after the next event.
        let _ = server.restock();
        for key in server.events.wait().map_err(os)? {
            if key != CONTROL {
                server.bury(key);
                continue;
            }
            server.reserve = None;
            let Some(packet) = control.receive_part().map_err(os)? else { return Ok(Served::Out) };
            if packet.is_cut && packet.files.is_empty() {
                // Who asks cannot be told, but sees this process end.
                return Err(os(child::out_of_files()));
            }
            if let Some(birth) = server.employ(packet) {
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
        // The server has ended, or is about to.
        let Ok(Some(packet)) = self.line.receive_part() else { child::exit_now(0) };
        let (flags, mut files) = (packet.bytes.first().copied(), packet.files.into_iter());
        let Some(line) = files.next().map(Line::from) else { child::exit_now(0) };
        let mut next = |flag| flags.filter(|flags| flags & flag != 0).and_then(|_| files.next());
        let (stdout, stderr) = (next(HAS_STDOUT), next(HAS_STDERR));
        drop(self.line);
        let redirect = || {
            if packet.is_cut {
                return Err(child::out_of_files());
            }
            stdout.map_or(Ok(()), stdio::set_stdout)?;
            stderr.map_or(Ok(()), stdio::set_stderr)
        };
        let origin = Origin::ForkServer(self.server);
        match redirect() {
            Ok(()) => serve::serve(line, origin),
            Err(error) => {
                let error = Error::os("cannot capture the output of a process", error);
                serve::fail(&line, &error, origin)
            }
        }
    }
}

impl Server {
    /// Opens the reserve, if it is not.
    fn restock(&mut self) -> io::Result<()> {
        if self.reserve.is_none() {
            self.reserve = Some(File::open("/dev/null")?);
        }
        Ok(())
    }

    /// Gives work to a child, and makes the next; returns in all processes, with something in a child.
    fn employ(&mut self, packet: Packet) -> Option<Birth> {
        let Packet { bytes, files, is_cut } = packet;
        let hired = match is_cut {
            true => Err(child::out_of_files()),
            // The next request must find a reserve, too.
            false => self.restock().and_then(|()| self.hire(&bytes, &files)),
        };
        // The others are the child's. Without a line, nobody waits for an answer.
        let line = Line::from(files.into_iter().next()?);
        match hired {
            Ok(Hired::Child(child)) => {
                tell(&line, &Report::Started { pid: child.pid() }, &[child.as_fd()]);
                self.children.insert(child.pid().into(), (child, line));
            }
            Ok(Hired::Born(birth)) => return Some(birth),
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or_default();
                tell(&line, &Report::NotStarted { errno }, &[]);
                return None;
            }
        }
        // While this one works. If it cannot be made now, the next request tells why.
        self.fork().ok().flatten()
    }

    /// Gives work to the child that waits for it, made now if there is none.
    fn hire(&mut self, bytes: &[u8], files: &[OwnedFd]) -> io::Result<Hired> {
        let files: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        loop {
            let Some((child, line)) = self.spare.take() else {
                match self.fork()? {
                    Some(birth) => return Ok(Hired::Born(birth)),
                    None => continue,
                }
            };
            match line.send(bytes, &files) {
                Ok(()) => return Ok(Hired::Child(child)),
                // It was killed while it waited.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    self.children.insert(child.pid().into(), (child, line));
                }
                Err(error) => {
                    self.spare = Some((child, line));
                    return Err(error);
                }
            }
        }
    }

    /// Makes a child that waits for work; returns in both processes, with something in the child.
    fn fork(&mut self) -> io::Result<Option<Birth>> {
        let (ours, theirs) = Line::pair()?;
        let server = std::process::id();
        // SAFETY: this process has one thread (`run` has looked, and it starts none), and the child ends in
        // `Birth::live`, without returning to what has called `run`.
        let forked = unsafe { child::fork() };
        let Forked::Parent(pid) = forked? else {
            let interrupts = self.interrupts;
            return Ok(Some(Birth { line: theirs, server, interrupts }));
        };
        let watch = || {
            let child = Child::of(pid)?;
            self.events.add(&child, pid.into())?;
            Ok(child)
        };
        let child = watch().inspect_err(|_: &io::Error| child::discard(pid))?;
        self.spare = Some((child, ours));
        Ok(None)
    }

    /// A child has ended.
    fn bury(&mut self, key: u64) {
        let is_spare = self.spare.as_ref().is_some_and(|(child, _)| u64::from(child.pid()) == key);
        let ended = if is_spare { self.spare.take() } else { self.children.remove(&key) };
        let Some((child, line)) = ended else { return };
        // Others have copies of its pidfd, such as whoever may want to kill it: it would not leave by itself.
        let _ = self.events.remove(&child);
        // What it has not read, and the files with it, are gone before anybody is told of its end.
        while let Ok(Some(_)) = line.try_receive() {}
        if let Ok(Last::Ended(status)) = child.reap() {
            tell(&line, &Report::Ended { status: status.into_raw() }, &[]);
        }
        // Its own children may have copies of the line, and nobody is to wait for them.
        line.shut();
    }
}

/// If nobody listens any more, then nobody misses it.
fn tell(line: &Line, report: &Report, files: &[BorrowedFd<'_>]) {
    if let Ok(message) = wire::encode(report, &[]) {
        let _ = line.send(&message, files);
    }
}
