//! A child process that obeys lines on its stdin and answers with lines on its stdout.
//!
//! Every wait for it is bounded, and it never outlives its [`Peer`].

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::{Result, interrupt};

/// How long a child that was told to quit may take.
const QUIT_LIMIT: Duration = Duration::from_secs(5);

/// A child under control.
#[derive(Debug)]
pub(crate) struct Peer {
    name: String,
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    /// What was read and is not a whole line yet.
    unread: Vec<u8>,
    reaped: bool,
}

impl Peer {
    /// Starts `command` with its stdin and stdout in our hands.
    pub(crate) fn spawn(name: String, mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {name}: {error}"))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a child without pipes".into());
        };
        Ok(Self { name, child, stdin, stdout, unread: Vec::new(), reaped: false })
    }

    /// The process id, for `/proc/<pid>`.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends one line.
    pub(crate) fn tell(&mut self, line: &str) -> Result<()> {
        self.stdin
            .write_all(format!("{line}\n").as_bytes())
            .map_err(|error| format!("{}: cannot tell it \"{line}\": {error}", self.name).into())
    }

    /// The rest of the next line, which must begin with `word`. An `error` line is ours.
    pub(crate) fn hear(&mut self, word: &str, limit: Duration) -> Result<String> {
        let line = self.line(limit)?;
        match line.strip_prefix(word) {
            Some(rest) if rest.is_empty() || rest.starts_with(' ') => Ok(rest.trim().to_owned()),
            _ => Err(format!("{}: expected \"{word}\", heard \"{line}\"", self.name).into()),
        }
    }

    /// Asks it to end, and sees that it does.
    pub(crate) fn quit(mut self) -> Result<()> {
        self.tell("quit")?;
        let end = Instant::now() + QUIT_LIMIT;
        loop {
            if let Some(status) = self.child.try_wait()? {
                self.reaped = true;
                let name = &self.name;
                return if status.success() {
                    Ok(())
                } else {
                    Err(format!("{name}: {status}").into())
                };
            }
            if Instant::now() > end {
                return Err(format!("{}: still there {QUIT_LIMIT:?} after quit", self.name).into());
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn line(&mut self, limit: Duration) -> Result<String> {
        let end = Instant::now() + limit;
        loop {
            if let Some(length) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=length).collect();
                return Ok(String::from_utf8(line)?.trim_end().to_owned());
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("{}: no answer for {limit:?}", self.name).into());
            }
            self.read_some(left)?;
        }
    }

    fn read_some(&mut self, limit: Duration) -> Result<()> {
        let mut fds = [PollFd::new(&self.stdout, PollFlags::IN)];
        let ready = match poll(&mut fds, Some(&Timespec::try_from(limit)?)) {
            Err(Errno::INTR) => 0,
            other => other?,
        };
        interrupt::check()?;
        if ready == 0 {
            return Ok(());
        }
        let mut bytes = [0; 1 << 16];
        let count = self.stdout.read(&mut bytes)?;
        if count == 0 {
            return Err(format!("{}: ended unasked", self.name).into());
        }
        self.unread.extend_from_slice(&bytes[..count]);
        Ok(())
    }
}

impl Drop for Peer {
    /// Kills what was not asked to quit, or would not, and reaps it.
    fn drop(&mut self) {
        if !self.reaped {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
