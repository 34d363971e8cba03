//! The command in a directory of names of its own.
#![allow(dead_code, reason = "no test file needs all of it")]

use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// Nothing here takes so long, however busy the machine is.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// A directory of names and one for files, both unknown to everybody else and removed at the end.
pub(crate) struct World {
    pub(crate) names: PathBuf,
    files: PathBuf,
}

impl World {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let id = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let names = PathBuf::from(format!("/dev/shm/crossdock-cli-test-{id}"));
        let files = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("world-{id}"));
        fs::create_dir_all(&files).unwrap();
        Self { names, files }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.files.join(name)
    }

    /// The command, yet to be given its arguments.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossdock"));
        command.env("CROSSDOCK_DIR", &self.names);
        command
    }

    /// Starts the command.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        let mut command = self.command();
        command.args(args);
        Running::start(command)
    }

    /// Runs the command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.start(args).end()
    }

    /// Runs the command, which must succeed, and parses what it prints.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let ended = self.run(args);
        assert!(ended.status.success(), "{args:?}: {}", ended.stderr);
        serde_json::from_str(&ended.stdout)
            .unwrap_or_else(|error| panic!("{args:?}: {error}: {}", ended.stdout))
    }

    /// Looks at a name again and again until it is as it must be.
    pub(crate) fn await_entry(&self, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let ended = self.run(&["inspect", name, "--json"]);
            if let Ok(entry) = serde_json::from_str(&ended.stdout)
                && is_so(&entry)
            {
                return entry;
            }
            assert!(started.elapsed() < LIMIT, "{name}: {} {}", ended.stdout, ended.stderr);
        }
    }

    /// Asserts that nothing is left.
    pub(crate) fn end(self) {
        if let Ok(names) = fs::read_dir(&self.names) {
            let names: Vec<_> = names.flatten().map(|entry| entry.file_name()).collect();
            assert!(names.is_empty(), "left behind: {names:?}");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.names);
        let _ = fs::remove_dir_all(&self.files);
    }
}

/// A process that is killed if the test gives up.
pub(crate) struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    /// Lines of standard error that were waited for.
    heard: String,
}

pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        Self { child, stdout, stderr, heard: String::new() }
    }

    /// Waits for a line on standard error.
    pub(crate) fn await_stderr(&mut self, wanted: &str) {
        while !self.heard.contains(wanted) {
            match self.stderr.recv_timeout(LIMIT) {
                Ok(line) => self.heard += &line,
                Err(error) => panic!("{error}; heard {:?}, not {wanted:?}", self.heard),
            }
        }
    }

    /// Waits for the next line on standard output.
    pub(crate) fn next_stdout(&mut self) -> String {
        self.stdout.recv_timeout(LIMIT).unwrap()
    }

    /// Closes its standard output.
    pub(crate) fn close_stdout(&mut self) {
        self.stdout = mpsc::channel().1;
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Closes its standard input and waits for it to end.
    pub(crate) fn end(mut self) -> Ended {
        drop(self.child.stdin.take());
        let stdout = rest(&self.stdout);
        let stderr = std::mem::take(&mut self.heard) + &rest(&self.stderr);
        // Its pipes are closed: it has ended, or is about to.
        Ended { status: self.child.wait().unwrap(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (tx, rx) = mpsc::channel();
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = String::new();
        while pipe.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            if tx.send(std::mem::take(&mut line)).is_err() {
                break;
            }
        }
    });
    rx
}

/// Everything until the pipe is closed.
fn rest(lines: &Receiver<String>) -> String {
    let started = Instant::now();
    let mut text = String::new();
    loop {
        match lines.recv_timeout(LIMIT.saturating_sub(started.elapsed())) {
            Ok(line) => text += &line,
            Err(mpsc::RecvTimeoutError::Disconnected) => return text,
            Err(error) => panic!("{error} after {text:?}"),
        }
    }
}

/// Whether python3 has numpy.
pub(crate) fn has_numpy() -> bool {
    let status = Command::new("python3")
        .args(["-c", "import numpy"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
