//! Another process of this command, which never outlives its time limit nor this process's interest.

use crate::failure::{Failure, Result};
use crate::frame;
use crate::units;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a helper may take to end after its standard input has been closed.
const FAREWELL: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(1);

/// A child process with a conversation through its standard input and output.
///
/// A thread kills it when its time is over; then its pipes close, so every read and write here ends.
pub(crate) struct Helper {
    what: String,
    limit: Duration,
    child: Arc<Mutex<Child>>,
    is_late: Arc<AtomicBool>,
    /// Dropped to call the watching thread off.
    _watch: mpsc::Sender<()>,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Helper {
    /// Starts `command`, which may run for `limit`.
    pub(crate) fn start(what: &str, mut command: Command, limit: Duration) -> Result<Self> {
        let cannot = format!("cannot start {what}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Failure::os(&cannot))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let child = Arc::new(Mutex::new(child));
        let is_late = Arc::new(AtomicBool::new(false));
        let (watch, called_off) = mpsc::channel::<()>();
        let (watched, late) = (Arc::clone(&child), Arc::clone(&is_late));
        thread::spawn(move || {
            if called_off.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                late.store(true, Ordering::Release);
                kill(&watched);
            }
        });
        let stdout = stdout.ok_or_else(|| Failure::Helper(format!("{cannot}: it has no pipe")))?;
        let (what, stdout) = (what.to_owned(), BufReader::new(stdout));
        Ok(Self { what, limit, child, is_late, _watch: watch, stdin, stdout })
    }

    /// Sends it a value.
    pub(crate) fn tell(&mut self, value: &impl Serialize) -> Result<()> {
        self.tell_much(value, 64)
    }

    /// Sends it a value of about `bytes_hint` bytes.
    pub(crate) fn tell_much(&mut self, value: &impl Serialize, bytes_hint: usize) -> Result<()> {
        let Some(stdin) = &mut self.stdin else { return Err(self.failed("is not listening")) };
        frame::write(stdin, value, bytes_hint).map_err(|error| self.broke_off(&error))
    }

    /// Waits for its next value.
    pub(crate) fn hear<T: DeserializeOwned>(&mut self) -> Result<T> {
        match frame::read(&mut self.stdout) {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(self.failed("ended early")),
            Err(error) => Err(self.broke_off(&error)),
        }
    }

    /// Waits for its next line; `None` when it has nothing more to say.
    pub(crate) fn hear_line(&mut self) -> Result<Option<String>> {
        let mut line = String::new();
        match self.stdout.read_line(&mut line) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(line)),
            Err(error) => Err(self.broke_off(&error)),
        }
    }

    fn broke_off(&mut self, error: &io::Error) -> Failure {
        match error.kind() {
            ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => self.failed("ended early"),
            _ => self.failed(&format!("talked nonsense: {error}")),
        }
    }

    /// Why a conversation with it broke off; waits for it to end.
    pub(crate) fn failed(&mut self, how: &str) -> Failure {
        self.stdin = None;
        let status = self.end().map_or_else(|error| error.to_string(), |status| status.to_string());
        let what = &self.what;
        Failure::Helper(if self.is_late.load(Ordering::Acquire) {
            let limit =
                units::nanoseconds(u64::try_from(self.limit.as_nanos()).unwrap_or(u64::MAX));
            format!("{what} took longer than {limit} and was killed")
        } else {
            format!("{what} {how} ({status})")
        })
    }

    /// Says good-bye and waits for it to end well.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.stdin = None;
        match self.end() {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(self.failed("failed")),
            Err(error) => Err(Failure::Os(format!("cannot wait for {}", self.what), error)),
        }
    }

    fn end(&mut self) -> io::Result<ExitStatus> {
        let deadline = Instant::now() + FAREWELL;
        loop {
            let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                child.kill()?;
                return child.wait();
            }
            drop(child);
            thread::sleep(LOOK);
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        kill(&self.child);
        // Killed, so this does not take long, and leaves no zombie.
        let _ = self.child.lock().unwrap_or_else(PoisonError::into_inner).wait();
    }
}

/// Kills it unless it has ended; `Child` knows which, so nobody else's number is hit.
fn kill(child: &Mutex<Child>) {
    let _ = child.lock().unwrap_or_else(PoisonError::into_inner).kill();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_helper_that_hangs_is_killed() {
        let limit = Duration::from_millis(50);
        let mut helper = Helper::start("the sleeper", shell("exec sleep 1000"), limit).unwrap();
        assert_eq!(helper.hear_line().unwrap(), None);
        let text = helper.failed("ended early").to_string();
        assert_eq!(text, "the sleeper took longer than 50 ms and was killed");
    }

    #[test]
    fn a_helper_that_fails_is_noticed() {
        let limit = Duration::from_secs(60);
        let helper = Helper::start("the failure", shell("exit 3"), limit).unwrap();
        let text = helper.finish().unwrap_err().to_string();
        assert_eq!(text, "the failure failed (exit status: 3)");
    }

    #[test]
    fn a_helper_that_ends_well_is_no_failure() {
        let limit = Duration::from_secs(60);
        let mut helper = Helper::start("the speaker", shell("echo hello"), limit).unwrap();
        assert_eq!(helper.hear_line().unwrap().as_deref(), Some("hello\n"));
        helper.finish().unwrap();
    }
}
