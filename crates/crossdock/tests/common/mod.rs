//! Real processes for tests: this very test binary, run again with one role each, in a directory of
//! names of its own.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its processes has failed")]

pub(crate) mod numbers;
#[cfg(feature = "process")]
pub(crate) mod processes;
pub(crate) mod space;

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long a test waits for anything before it fails: never reached by a correct program.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const ROLE: &str = "CROSSDOCK_TEST_ROLE";
const MARK: &str = "@@ ";

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A name that no other test, in any process, uses.
pub(crate) fn unique(stem: &str) -> String {
    format!("test-{stem}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Says what was not tested.
#[allow(
    clippy::explicit_write,
    reason = "the runner keeps what a test that passes prints by `eprintln`"
)]
pub(crate) fn skip(why: &str) {
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    writeln!(std::io::stderr(), "skipped: {name}: {why}").unwrap();
}

/// A directory of names for the processes of one test, gone at its end.
pub(crate) struct Lab {
    dir: PathBuf,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self { dir: PathBuf::from("/dev/shm").join(unique("lab")) }
    }

    pub(crate) fn dir(&self) -> &std::path::Path {
        &self.dir
    }

    /// Starts this test binary again to play the test function `role`.
    pub(crate) fn start(&self, role: &str) -> Actor {
        self.start_with(role, &[])
    }

    pub(crate) fn start_with(&self, role: &str, env: &[(&str, &str)]) -> Actor {
        self.start_command(Command::new(std::env::current_exe().unwrap()), role, env)
    }

    /// Starts it as the last arguments of another command, such as `["unshare", "--pid"]`.
    pub(crate) fn start_through(&self, wrapper: &[String], role: &str) -> Actor {
        let Some((program, arguments)) = wrapper.split_first() else { return self.start(role) };
        let mut command = Command::new(program);
        command.args(arguments).arg(std::env::current_exe().unwrap());
        self.start_command(command, role, &[])
    }

    fn start_command(&self, mut command: Command, role: &str, env: &[(&str, &str)]) -> Actor {
        let mut child = command
            .args(["--exact", role, "--nocapture", "--test-threads", "1"])
            .env(ROLE, role)
            .env("CROSSDOCK_DIR", &self.dir)
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().unwrap();
        let (lines, heard) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // The test runner's own words may stand before the mark on the same line.
                if let Some((_, said)) = line.split_once(MARK) {
                    let _ = lines.send(said.to_owned());
                }
            }
        });
        Actor { child, stdin, heard, role: role.to_owned() }
    }

    /// What is in the directory now, crossdock's own files included.
    pub(crate) fn files(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let files = self.files();
        let _ = std::fs::remove_dir_all(&self.dir);
        if !std::thread::panicking() {
            assert!(files.is_empty(), "left behind: {files:?}");
        }
    }
}

/// One process of a test. It is killed if the test ends before it does.
pub(crate) struct Actor {
    child: Child,
    stdin: Option<ChildStdin>,
    heard: Receiver<String>,
    role: String,
}

impl Actor {
    /// Lets the actor go on past its next [`await_cue`].
    pub(crate) fn cue(&mut self) {
        self.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// The next thing that the actor says.
    pub(crate) fn hear(&mut self) -> String {
        match self.heard.recv_timeout(PATIENCE) {
            Ok(said) => said,
            Err(RecvTimeoutError::Timeout) => panic!("{} says nothing", self.role),
            Err(RecvTimeoutError::Disconnected) => {
                panic!("{} has ended: {:?}", self.role, self.child.wait())
            }
        }
    }

    pub(crate) fn expect(&mut self, wanted: &str) {
        assert_eq!(self.hear(), wanted, "{} says something else", self.role);
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        drop(self.stdin.take());
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "{} does not end", self.role);
            // Only bounds how fast the end is noticed.
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for its end, which must be a good one.
    pub(crate) fn finish(mut self) {
        let status = self.wait();
        assert!(status.success(), "{}: {status}", self.role);
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Whether this process has been started to play `role`; a role's test function does nothing otherwise.
pub(crate) fn plays(role: &str) -> bool {
    std::env::var(ROLE).as_deref() == Ok(role)
}

/// In an actor: says something to the test.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{MARK}{text}").unwrap();
    out.flush().unwrap();
}

/// In an actor: waits until the test gives the cue.
pub(crate) fn await_cue() {
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line).unwrap();
    assert!(read > 0, "the test has ended");
}
