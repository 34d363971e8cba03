//! The fork server of this process: started once, at the first use, and again if it is killed.

use super::super::failure::died;
use super::super::fork_server::{HAS_STDERR, HAS_STDOUT, WANTED};
use super::super::link::Link;
use super::super::options::{Output, StartMethod};
use super::super::post::Post;
use super::super::wire::{self, Job, Report, TaskId};
use super::{Order, spawn};
use crate::error::{Error, ErrorKind, Result};
use crossdock_sys::child::{self, Child};
use crossdock_sys::clock::Deadline;
use crossdock_sys::fork;
use crossdock_sys::line::Line;
use parking_lot::Mutex;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

/// The server, and the child that it has ready.
static SERVER: Mutex<Option<Stock>> = Mutex::new(None);

/// Servers, and children that were ready, that are tried: each may be killed at any moment.
const TRIES_MAX: usize = 4;

/// What this process has of its fork server.
struct Stock {
    /// The fork generation of the process whose server it is.
    generation: u64,
    server: Arc<Link>,
    /// Whether a child has been asked for and not been heard of.
    is_asked: bool,
}

/// A child that waits for work.
struct Spare {
    child: Child,
    line: Line,
}

pub(super) fn start(
    order: Order,
    id: TaskId,
    argument: &Post,
    is_awaited: bool,
) -> Result<Arc<Link>> {
    let request = order.request(Job::Task(id), argument, is_awaited)?;
    let [stdout, stderr] = order.outputs()?;
    let mut files = Vec::new();
    let mut flags = 0;
    for (file, flag) in [(&stdout, HAS_STDOUT), (&stderr, HAS_STDERR)] {
        if let Some(file) = file {
            files.push(file.as_fd());
            flags |= flag;
        }
    }
    let mut tries = 0;
    loop {
        tries += 1;
        let mut place = SERVER.lock();
        let stock = current(&mut place)?;
        let (server, spare) = (Arc::clone(&stock.server), stock.take(&order));
        match spare {
            Ok(Spare { child, line }) => {
                let sent = line
                    .send(&[flags], &files)
                    .and_then(|()| line.send(&request, &argument.files()));
                // If it cannot be asked now, whoever wants the next one hears why.
                let _ = stock.ask();
                drop(place);
                match sent {
                    Ok(()) => {
                        let output = order.captured(stdout, stderr);
                        return Ok(Arc::new(Link::new(
                            order.name,
                            line,
                            child,
                            Some(server),
                            output,
                        )));
                    }
                    // It was killed while it waited.
                    Err(error)
                        if error.kind() == io::ErrorKind::BrokenPipe && tries < TRIES_MAX => {}
                    Err(error) => return Err(order.failed(error)),
                }
            }
            // Nobody has been told what is to be done.
            Err(Refused::ServerEnded) => {
                *place = None;
                drop(place);
                server.await_end(None)?;
                let why = server
                    .outcome()
                    .map_or_else(|error| error, |_| died(&server.name, server.status()));
                if why.kind() != ErrorKind::Died || tries == TRIES_MAX {
                    return Err(cannot_start(&order, &why));
                }
            }
            Err(Refused::Failed(error)) => return Err(error),
        }
    }
}

/// Why there is no child.
enum Refused {
    ServerEnded,
    Failed(Error),
}

/// The server, alive as far as is known; it has been asked for a child.
fn current(place: &mut Option<Stock>) -> Result<&mut Stock> {
    // The server of a process that has forked this one is not for this one.
    let is_ours =
        |stock: &Stock| stock.generation == fork::generation() && !stock.server.has_ended();
    if !place.as_ref().is_some_and(is_ours) {
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
        *place = None;
        return Ok(place.insert(Stock { generation: fork::generation(), server, is_asked: false }));
    }
    place.as_mut().ok_or_else(|| Error::corrupt("the fork server", "it has gone"))
}

impl Stock {
    /// Asks for a child. If the server has ended, whoever wants the child sees it.
    fn ask(&mut self) -> io::Result<()> {
        if !self.is_asked {
            match self.server.line.send(WANTED, &[]) {
                Ok(()) => self.is_asked = true,
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The child that is ready, or will be soon.
    fn take(&mut self, order: &Order) -> Result<Spare, Refused> {
        let failed = |error| Refused::Failed(order.failed(error));
        // What was asked for before may have failed for reasons of then.
        let mut may_ask_again = self.is_asked;
        loop {
            self.ask().map_err(failed)?;
            if !self.is_asked {
                return Err(Refused::ServerEnded);
            }
            // Room for the answer: a child that cannot be held must not be taken.
            let room = [
                File::open("/dev/null").map_err(failed)?,
                File::open("/dev/null").map_err(failed)?,
            ];
            let server = &self.server;
            if !server.line.await_packet_or(&server.child).map_err(failed)? {
                return Err(Refused::ServerEnded);
            }
            drop(room);
            let Some(packet) = server.line.receive_part().map_err(failed)? else {
                return Err(Refused::ServerEnded);
            };
            self.is_asked = false;
            if packet.is_cut {
                // What has come of it closes, and so the child ends.
                return Err(failed(child::out_of_files()));
            }
            // Nobody would hear how a child ends that a dead server has made.
            let now = Some(Deadline::after(Duration::ZERO));
            if server.child.await_end(now).map_err(failed)? {
                return Err(Refused::ServerEnded);
            }
            match wire::decode::<Report>(&packet.bytes).map_err(Refused::Failed)?.0 {
                Report::Started { pid } => {
                    let mut files = packet.files.into_iter();
                    let (Some(pidfd), Some(line)) = (files.next(), files.next()) else {
                        let error =
                            Error::corrupt("the answer of a fork server", "a file is missing");
                        return Err(Refused::Failed(error));
                    };
                    return Ok(Spare { child: Child::from_pidfd(pid, pidfd), line: line.into() });
                }
                Report::NotStarted { .. } if may_ask_again => may_ask_again = false,
                Report::NotStarted { errno } => {
                    let error = io::Error::from_raw_os_error(errno);
                    return Err(Refused::Failed(not_started(order, error)));
                }
                // It says why it ends.
                _ => {
                    server.note(packet).map_err(Refused::Failed)?;
                    return Err(Refused::ServerEnded);
                }
            }
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
