//! Python's own queue, and the best that its standard library can do with a pipe.

use std::process::{Command, Stdio};

/// Both processes of a Python subject; see the file for the conversation.
const SCRIPT: &str = include_str!("queue.py");

/// Why there will be no Python rows, or `None` if there will.
pub(crate) fn missing(python: &str) -> Option<String> {
    let found = Command::new(python)
        .args(["-c", "import numpy"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match found {
        Ok(status) if status.success() => None,
        Ok(_) => Some(format!("absent: {python} has no numpy")),
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
    for cpu in cpus {
        command.arg(cpu.map_or_else(|| "-1".to_owned(), |cpu| cpu.to_string()));
    }
    command.arg(if fifo { "1" } else { "0" });
    command
}
