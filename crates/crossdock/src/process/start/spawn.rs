//! This program, or a command that leads to it, started anew.
//!
//! The standard library does this with `posix_spawn`, which does not copy the parent's page tables, as long as
//! nothing is to be run between fork and exec. So the child's end of the line is its stdin, which needs
//! no more than that, and no other child can get it by accident.

use super::super::link::Link;
use super::super::post::Post;
use super::super::wire::Job;
use super::super::{init, reaper};
use super::{Order, Prepared};
use crate::error::Result;
use crossdock_sys::child::{Child, discard};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// This program: also when its file has been replaced or removed since it was started.
const THIS_PROGRAM: &str = "/proc/self/exe";

pub(super) fn start(
    mut order: Order,
    job: Job,
    argument: &Post,
    is_awaited: bool,
) -> Result<Arc<Link>> {
    let Prepared { ours, theirs, stdout, stderr } = order.prepare(job, argument, is_awaited)?;
    let mut command = order.command.take().unwrap_or_else(this_program);
    let spawn = || -> io::Result<Child> {
        command
            .arg(init::token(theirs.id()?))
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)));
        if let Some(file) = &stdout {
            command.stdout(file.try_clone()?);
        }
        if let Some(file) = &stderr {
            command.stderr(file.try_clone()?);
        }
        let pid = command.spawn()?.id();
        // Nothing waits for it without this, and nobody would know its end.
        Child::of(pid).inspect_err(|_| discard(pid))
    };
    let child = spawn().map_err(|error| order.failed(error))?;
    let output = order.captured(stdout, stderr);
    let link = Arc::new(Link::new(order.name, ours, child, None, output));
    reaper::register(&link);
    Ok(link)
}

fn this_program() -> Command {
    let mut command = Command::new(THIS_PROGRAM);
    if let Some(name) = std::env::args_os().next() {
        command.arg0(name);
    }
    command
}
