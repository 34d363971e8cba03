//! A copy of this process.
#![allow(unsafe_code, reason = "it forks")]

use super::super::link::Link;
use super::super::post::Post;
use super::super::reaper;
use super::super::serve::{self, Origin};
use super::super::wire::{Job, TaskId};
use super::{Order, Prepared};
use crate::error::{Error, ErrorKind, Result};
use crossdock_sys::child::{self, Child, Forked};
use crossdock_sys::clock::Deadline;
use crossdock_sys::{leash, stdio};
use std::sync::Arc;
use std::time::Duration;

/// How long a thread may take that was joined and has not quite ended: the system still counts it.
const ENDING: Duration = Duration::from_millis(100);
const LOOK_EVERY: Duration = Duration::from_millis(1);

pub(super) fn start(
    order: Order,
    id: TaskId,
    argument: &Post,
    is_awaited: bool,
) -> Result<Arc<Link>> {
    if !order.is_forced {
        check_threads(&order)?;
    }
    crossdock_sys::fork::watch();
    let prepared = order.prepare(Job::Task(id), argument, is_awaited)?;
    let is_forced = order.is_forced;
    if !is_forced {
        // What is in the buffer now would be printed by both.
        child::flush();
    }
    // SAFETY: this process has one thread, or the caller of `force_fork` answers for what the others hold;
    // and the child ends without returning from `live`.
    let forked = unsafe { child::fork() };
    match forked.map_err(|error| order.failed(error))? {
        Forked::Child => live(prepared, Origin::Fork { is_forced }),
        Forked::Parent(pid) => {
            let Prepared { ours, stdout, stderr, .. } = prepared;
            let child = Child::of(pid).inspect_err(|_| child::discard(pid));
            let child = child.map_err(|error| order.failed(error))?;
            let output = order.captured(stdout, stderr);
            let link = Arc::new(Link::new(order.name, ours, child, None, output));
            reaper::register(&link);
            Ok(link)
        }
    }
}

fn check_threads(order: &Order) -> Result<()> {
    let end = Deadline::after(ENDING);
    let threads = loop {
        let threads = child::thread_count().map_err(|error| order.failed(error))?;
        if threads == 1 {
            return Ok(());
        }
        if end.is_past() {
            break threads;
        }
        // Only bounds how often it is looked at.
        std::thread::sleep(LOOK_EVERY);
    };
    let whose = match reaper::thread() {
        Some(_) => {
            ", one of which is crossdock's and waits for the processes whose handles were dropped (keep those \
             until they are joined),"
        }
        None => ",",
    };
    let text = format!(
        "process \"{}\" cannot be forked: this process has {threads} threads{whose} and what the others hold would \
         be held for ever in the child (use StartMethod::Spawn or ForkServer)",
        order.name
    );
    Err(Error::new(ErrorKind::Busy, text).named(&order.name))
}

/// The child.
fn live(prepared: Prepared, origin: Origin) -> ! {
    let Prepared { ours, theirs, stdout, stderr } = prepared;
    drop(ours);
    leash::cut();
    let redirect = || {
        drop(stdio::take_stdin()?);
        stdout.map_or(Ok(()), stdio::set_stdout)?;
        stderr.map_or(Ok(()), stdio::set_stderr)
    };
    match redirect() {
        Ok(()) => serve::serve(theirs, origin),
        Err(error) => {
            let error = Error::os("cannot capture the output of a process", error);
            serve::fail(&theirs, &error, origin)
        }
    }
}
