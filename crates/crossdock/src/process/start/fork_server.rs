//! The fork server of this process: started once, at the first use, and again if it is killed.

use super::super::failure::died;
use super::super::fork_server::{HAS_STDERR, HAS_STDOUT};
use super::super::handle::Link;
use super::super::options::{Output, StartMethod};
use super::super::wire::{self, Job, Report, TaskId};
use super::{Order, Prepared, spawn};
use crate::error::{Error, ErrorKind, Result};
use crossdock_sys::child::Child;
use crossdock_sys::fork;
use crossdock_sys::line::Line;
use parking_lot::Mutex;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// The server, and the fork generation of the process whose it is.
static SERVER: Mutex<Option<(u64, Arc<Link>)>> = Mutex::new(None);

pub(super) fn start(order: Order, id: TaskId, argument: &[u8]) -> Result<Arc<Link>> {
    let Prepared { ours, theirs, stdout, stderr } = order.prepare(Job::Task(id), argument)?;
    let mut files = vec![theirs.as_fd()];
    let mut flags = 0;
    for (file, flag) in [(&stdout, HAS_STDOUT), (&stderr, HAS_STDERR)] {
        if let Some(file) = file {
            files.push(file.as_fd());
            flags |= flag;
        }
    }
    ask(flags, &files).map_err(|error| error.named(&order.name))?;
    drop(theirs);
    let (child, early) = await_start(&order, &ours)?;
    let output = order.captured(stdout, stderr);
    let link = Link::new(order.name, ours, child, false, output);
    for report in early {
        link.note(report)?;
    }
    Ok(Arc::new(link))
}

/// Asks the server for a child, which gets `files`.
fn ask(flags: u8, files: &[BorrowedFd<'_>]) -> Result<()> {
    let mut place = SERVER.lock();
    // The server of a process that has forked this one is not for this one.
    let known = place.take().filter(|(generation, _)| *generation == fork::generation());
    let is_new = known.is_none();
    let mut server = match known {
        Some((_, server)) => server,
        None => start_server()?,
    };
    let mut sent = server.line.send(&[flags], files);
    if matches!(&sent, Err(error) if error.kind() == io::ErrorKind::BrokenPipe) && !is_new {
        // It has been killed since. It is ours to wait for.
        server.await_end(None)?;
        server = start_server()?;
        sent = server.line.send(&[flags], files);
    }
    let failed = |error| Error::os("cannot reach the fork server", error);
    sent.map_err(failed)?;
    *place = Some((fork::generation(), server));
    Ok(())
}

fn start_server() -> Result<Arc<Link>> {
    fork::watch();
    let order = Order {
        name: "fork-server".to_owned(),
        start: StartMethod::Spawn,
        is_daemon: true,
        is_forced: false,
        stdout: Output::Inherit,
        stderr: Output::Inherit,
        command: None,
    };
    spawn::start(order, Job::ForkServer, &[])
}

/// The child, when the server has told that it has made it. What the child has reported before that comes
/// with it.
fn await_start(order: &Order, line: &Line) -> Result<(Child, Vec<Vec<u8>>)> {
    let mut early = Vec::new();
    loop {
        let packet = line.receive().map_err(|error| order.failed(error))?;
        let Some(mut packet) = packet else { return Err(why_not(order)) };
        match wire::decode::<Report>(&packet.bytes)?.0 {
            Report::Started { pid } => {
                let no_pidfd =
                    || Error::corrupt("the answer of a fork server", "a file is missing");
                let pidfd = packet.files.pop().ok_or_else(no_pidfd)?;
                return Ok((Child::from_pidfd(pid, pidfd), early));
            }
            Report::NotStarted { errno } => {
                return Err(order.failed(io::Error::from_raw_os_error(errno)));
            }
            _ => early.push(packet.bytes),
        }
    }
}

/// Why the server has let go of the line without a word: it has ended.
fn why_not(order: &Order) -> Error {
    let server = SERVER.lock().take();
    let ended = server.map(|(_, server)| match server.await_end(None) {
        Ok(_) => {
            server.outcome().map_or_else(|error| error, |_| died(&server.name, server.status()))
        }
        Err(error) => error,
    });
    let ended = ended.unwrap_or_else(|| died("fork-server", None));
    let kind = match ended.kind() {
        ErrorKind::Unsupported => ErrorKind::Unsupported,
        _ => ErrorKind::Died,
    };
    let text = format!("process \"{}\" cannot be started: {ended}", order.name);
    Error::new(kind, text).named(&order.name)
}
