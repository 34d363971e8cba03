//! Python's own queue, and the best that its standard library can do with a pipe.

use std::process::{Command, Stdio};

use crate::bench::Stand;
use crate::place::{Ends, Priority};
use crate::record::BATCH;

/// A script, and before it what all of them use.
macro_rules! script {
    ($file:literal) => {
        concat!(include_str!("place.py"), "\n\n", include_str!($file))
    };
}

/// Both processes of a Python subject; see the file for the conversation.
const SCRIPT: &str = script!("queue.py");
/// The processes that share a lock.
const LOCK_SCRIPT: &str = script!("lock.py");

/// The processes at the ends of a queue.
const STREAM_SCRIPT: &str = script!("stream.py");

/// What the lock and the queue need.
pub(crate) const LOCK_MODULE: &str = "multiprocessing.synchronize";

/// A subject that answers bursts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    script: &'static str,
    /// What it needs.
    module: &'static str,
}

/// A dictionary and its server.
pub(crate) const MAP: Subject =
    Subject { name: "map", script: script!("map.py"), module: "multiprocessing.managers" };
/// A queue and a pipe, and who is at their other ends.
pub(crate) const VALUES: Subject =
    Subject { name: "values", script: script!("values.py"), module: LOCK_MODULE };
/// Workers.
pub(crate) const POOL: Subject =
    Subject { name: "pool", script: script!("pool.py"), module: "concurrent.futures.process" };

impl Subject {
    /// Why there will be no rows of it, or `None` if there will.
    pub(crate) fn missing(self, python: &str) -> Option<String> {
        missing(python, self.module)
    }
}

/// Why there will be no Python rows, or `None` if there will: whether it has what they need.
pub(crate) fn missing(python: &str, module: &str) -> Option<String> {
    let found = Command::new(python)
        .args(["-c", &format!("import {module}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match found {
        Ok(status) if status.success() => None,
        Ok(_) => Some(format!("absent: {python} has no {module}")),
        Err(error) => Some(format!("absent: {python}: {error}")),
    }
}

/// The command that starts the producer, which starts the consumer.
pub(crate) fn command(
    python: &str,
    kind: &str,
    bytes: usize,
    cpus: [Option<usize>; 2],
    fifo: bool,
) -> Command {
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT, kind, &(bytes / size_of::<f64>()).to_string()]);
    command.args(cpus.map(|cpu| cpu.as_ref().map_or_else(String::new, usize::to_string)));
    command.arg(if fifo { Priority::Fifo } else { Priority::Ordinary }.name());
    command
}

/// The command that starts so many processes with one lock.
pub(crate) fn lock_command(python: &str, processes: usize, stand: &Stand) -> Command {
    let mut command = Command::new(python);
    command.args(["-c", LOCK_SCRIPT, &processes.to_string(), &cpu_list(stand)]);
    command.arg(stand.priority.name());
    command
}

/// The command that starts a subject that answers bursts.
pub(crate) fn alone_command(python: &str, subject: Subject, stand: &Stand) -> Command {
    let mut command = Command::new(python);
    command.args(["-c", subject.script, &cpu_list(stand), stand.priority.name()]);
    command
}

/// The command that starts the ends of a stream.
pub(crate) fn stream_command(python: &str, ends: Ends, stand: &Stand) -> Command {
    let mut command = Command::new(python);
    let batch = if ends.batched { BATCH } else { 1 };
    command.args(["-c", STREAM_SCRIPT]);
    command.args([ends.senders, ends.receivers, batch].map(|number| number.to_string()));
    command.args([&cpu_list(stand), stand.priority.name()]);
    command
}

fn cpu_list(stand: &Stand) -> String {
    let cpus: Vec<String> = stand.cpus[0].iter().map(usize::to_string).collect();
    cpus.join(",")
}
