//! The fork server of this process: started once, at the first use, and again if it is killed.

use super::super::failure::died;
use super::super::fork_server::{HAS_STDERR, HAS_STDOUT};
use super::super::link::Link;
use super::super::options::{Output, StartMethod};
use super::super::post::Post;
use super::super::wire::{self, Job, Report, TaskId};
use super::{Order, Prepared, spawn};
use crate::error::{Error, ErrorKind, Result};
use crossdock_sys::child::Child;
use crossdock_sys::fork;
use crossdock_sys::line::{Line, Packet};
use parking_lot::Mutex;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

/// The server, and the fork generation of the process whose it is.
static SERVER: Mutex<Option<(u64, Arc<Link>)>> = Mutex::new(None);

/// Servers that are tried: each may be killed at any moment.
const TRIES_MAX: usize = 3;

pub(super) fn start(
    order: Order,
    id: TaskId,
    argument: &Post,
    is_awaited: bool,
) -> Result<Arc<Link>> {
    let mut tries = 0;
    let (prepared, server, child, early) = loop {
        tries += 1;
        // A new line each time: a child of the last server may still get the old one, and finds it closed.
        let prepared = order.prepare(Job::Task(id), argument, is_awaited)?;
        match ask(&order, &prepared)? {
            Answer::Started(server, child, early) => break (prepared, server, child, early),
            // Nobody has read what is to be done, so nobody does it.
            Answer::Unread(why) if why.kind() == ErrorKind::Died && tries < TRIES_MAX => {}
            Answer::Unread(why) | Answer::Lost(why) => return Err(cannot_start(&order, &why)),
        }
    };
    let Prepared { ours, theirs, stdout, stderr } = prepared;
    // From now on, the end of the line is that of the child.
    drop(theirs);
    let output = order.captured(stdout, stderr);
    let link = Link::new(order.name, ours, child, Some(server), output);
    for report in early {
        link.note(report)?;
    }
    Ok(Arc::new(link))
}

/// What comes of asking a server for a child.
enum Answer {
    /// The server has made it. What it has reported before the server did comes with it.
    Started(Arc<Link>, Child, Vec<Packet>),
    /// The server has ended before anybody read the request.
    Unread(Error),
    /// The server has ended, and a child that nobody knows has read the request.
    Lost(Error),
}

fn ask(order: &Order, prepared: &Prepared) -> Result<Answer> {
    let Prepared { ours, theirs, stdout, stderr } = prepared;
    let mut files = vec![theirs.as_fd()];
    let mut flags = 0;
    for (file, flag) in [(stdout, HAS_STDOUT), (stderr, HAS_STDERR)] {
        if let Some(file) = file {
            files.push(file.as_fd());
            flags |= flag;
        }
    }
    let server = server()?;
    // Room for the answer: a child that cannot be held must not be made.
    let room = File::open("/dev/null").map_err(|error| order.failed(error))?;
    match server.line.send(&[flags], &files) {
        // It has ended.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => return Err(order.failed(error)),
        Ok(()) => {
            if let Some((child, early)) = await_start(order, ours, &server, room)? {
                return Ok(Answer::Started(server, child, early));
            }
        }
    }
    server.await_end(None)?;
    let why = server.outcome().map_or_else(|error| error, |_| died(&server.name, server.status()));
    Ok(match theirs.try_receive() {
        Ok(Some(_)) => Answer::Unread(why),
        _ => Answer::Lost(why),
    })
}

/// The server, alive as far as is known.
fn server() -> Result<Arc<Link>> {
    let mut place = SERVER.lock();
    // The server of a process that has forked this one is not for this one.
    let is_ours = |(generation, server): &&(u64, Arc<Link>)| {
        *generation == fork::generation() && !server.has_ended()
    };
    if let Some((_, server)) = place.as_ref().filter(is_ours) {
        return Ok(Arc::clone(server));
    }
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
    let server = spawn::start(order, Job::ForkServer, &Post::empty(), false)?;
    *place = Some((fork::generation(), Arc::clone(&server)));
    Ok(server)
}

/// The child, when the server has told that it has made it, and what the child has reported before that;
/// `None` when the server has ended before.
///
/// `room` is the descriptor that is closed for that of the child.
fn await_start(
    order: &Order,
    line: &Line,
    server: &Link,
    room: File,
) -> Result<Option<(Child, Vec<Packet>)>> {
    let mut early = Vec::new();
    let mut room = Some(room);
    loop {
        let has_come = line.await_packet_or(&server.child).map_err(|error| order.failed(error))?;
        if !has_come {
            return Ok(None);
        }
        drop(room.take());
        let packet = line.receive().map_err(|error| order.failed(error))?;
        let Some(mut packet) = packet else { return Ok(None) };
        match wire::decode::<Report>(&packet.bytes)?.0 {
            Report::Started { pid } => {
                let no_pidfd =
                    || Error::corrupt("the answer of a fork server", "a file is missing");
                let pidfd = packet.files.pop().ok_or_else(no_pidfd)?;
                return Ok(Some((Child::from_pidfd(pid, pidfd), early)));
            }
            Report::NotStarted { errno } => {
                return Err(not_started(order, io::Error::from_raw_os_error(errno)));
            }
            _ => early.push(packet),
        }
    }
}

fn not_started(order: &Order, error: io::Error) -> Error {
    let error = order.failed(error);
    match error.kind() {
        ErrorKind::LimitExceeded => {
            let text = format!(
                "{error} in its fork server, which holds two for each of its children (raise ulimit -n before \
                 the first use of it, or start fewer at once)"
            );
            Error::new(ErrorKind::LimitExceeded, text).named(&order.name)
        }
        _ => error,
    }
}

fn cannot_start(order: &Order, why: &Error) -> Error {
    let kind = match why.kind() {
        ErrorKind::Unsupported => ErrorKind::Unsupported,
        _ => ErrorKind::Died,
    };
    let text = format!("process \"{}\" cannot be started: {why}", order.name);
    Error::new(kind, text).named(&order.name)
}
