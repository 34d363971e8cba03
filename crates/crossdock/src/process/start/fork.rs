//! A copy of this process.
#![allow(unsafe_code, reason = "it forks")]

use super::super::link::Link;
use super::super::reaper;
use super::super::serve::{self, Origin};
use super::super::wire::{Job, TaskId};
use super::{Order, Prepared};
use crate::error::{Error, ErrorKind, Result};
use crossdock_sys::child::{self, Child, Forked};
use crossdock_sys::{leash, stdio};
use std::sync::Arc;

pub(super) fn start(order: Order, id: TaskId, argument: &[u8]) -> Result<Arc<Link>> {
    if !order.is_forced {
        check_threads(&order)?;
    }
    crossdock_sys::fork::watch();
    let prepared = order.prepare(Job::Task(id), argument)?;
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
            let link = Arc::new(Link::new(order.name, ours, child, true, output));
            reaper::register(&link);
            Ok(link)
        }
    }
}

fn check_threads(order: &Order) -> Result<()> {
    let threads = child::thread_count().map_err(|error| order.failed(error))?;
    if threads == 1 {
        return Ok(());
    }
    let text = format!(
        "process \"{}\" cannot be forked: this process has {threads} threads, and what the others hold would be \
         held for ever in the child (use StartMethod::Spawn or ForkServer)",
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
