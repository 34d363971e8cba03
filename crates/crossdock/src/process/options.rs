//! How a process is started.

use super::handle::JoinHandle;
use super::start::{self, Order};
use super::task;
use crate::error::Result;
use crate::letter::Letter;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A process that runs one task: a plain `fn`, or a closure that captures nothing.
///
/// This is where processes come from; what one holds of a process that runs is a [`JoinHandle`].
#[derive(Debug)]
pub struct Process(());

/// How a process comes to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StartMethod {
    /// This program is started anew, and goes from [`init`](super::init()) to the task. The child shares nothing
    /// with its parent. Always possible.
    #[default]
    Spawn,
    /// A copy is made of a process that was started once and waits in [`init`](super::init()): several times as
    /// quick. The environment, the working directory and the limits of the child are those of this
    /// process when it first used this method. What C libraries have registered with `atexit` is not done at
    /// the end of the child.
    ForkServer,
    /// A copy is made of this process. Its memory is there as it was, but all handles of crossdock in it belong to the
    /// parent ([`ErrorKind::Forked`](crate::ErrorKind::Forked)). Refused while this process has more than one thread
    /// ([`ErrorKind::Busy`](crate::ErrorKind::Busy)): a lock that another one held would be held for ever. At the end of the child as
    /// with `ForkServer`.
    Fork,
}

/// Where the output of a process goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Output {
    /// Where that of this process goes.
    #[default]
    Inherit,
    /// Into memory, to be read from the handle at any time, also after the process was killed. The
    /// process never waits for a reader; nothing but memory limits how much it can write.
    Capture,
    /// Nowhere.
    Discard,
}

/// How a process is started, for those who want to say more than [`Process::spawn`].
///
/// # Examples
///
/// ```
/// use crossdock::process::{self, Output, Process, StartMethod};
///
/// # fn main() -> crossdock::Result<()> {
/// process::init();
///
/// let handle = Process::options()
///     .name("greeter")
///     .start(StartMethod::ForkServer)
///     .stdout(Output::Capture)
///     .daemon(true)
///     .spawn(|who: String| println!("hello {who}"), "world".to_owned())?;
/// assert!(handle.wait()?.unwrap().success());
/// assert_eq!(handle.captured_stdout()?, b"hello world\n");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
#[must_use = "options do nothing until spawn is called"]
pub struct ProcessOptions {
    name: Option<String>,
    start: StartMethod,
    is_daemon: bool,
    is_forced: bool,
    stdout: Output,
    stderr: Output,
    command: Option<Command>,
}

impl Process {
    /// Starts a process that calls `task` with `argument`.
    ///
    /// The argument and the result travel as serde values, and are small: what is more than 1 MiB belongs
    /// into an [`Array`](crate::Array), which travels as a [handle](super#tasks). Several arguments are a tuple.
    ///
    /// If there are things in the argument that are opened by their names, this waits until the process has opened them.
    ///
    /// # Errors
    ///
    /// * [`ErrorKind::NotInitialized`](crate::ErrorKind::NotInitialized): `main` does not begin with [`process::init`](super::init()).
    /// * [`ErrorKind::LimitExceeded`](crate::ErrorKind::LimitExceeded): the argument is too long or has too many arrays, or no descriptor is left, here or in
    ///   the fork server.
    /// * [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument): the type of the argument does not serialise, or somebody else has an
    ///   [`ArrayMut`](crate::ArrayMut) that is in it.
    /// * The system allows no more processes.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossdock::process::{self, Process};
    ///
    /// fn power((base, exponent): (u64, u32)) -> Option<u64> {
    ///     base.checked_pow(exponent)
    /// }
    ///
    /// # fn main() -> crossdock::Result<()> {
    /// process::init();
    ///
    /// let handles = [10, 20, 30].map(|exponent| Process::spawn(power, (7, exponent)));
    /// let mut powers = Vec::new();
    /// for handle in handles {
    ///     powers.push(handle?.join()?);
    /// }
    /// assert_eq!(powers, [Some(282_475_249), Some(79_792_266_297_612_001), None]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A closure that captures something does not compile: another process does not have it.
    ///
    /// ```compile_fail
    /// # use crossdock::process::Process;
    /// let factor = 3;
    /// let handle = Process::spawn(move |x: u32| factor * x, 14);
    /// ```
    pub fn spawn<F, A, R>(task: F, argument: A) -> Result<JoinHandle<R>>
    where
        F: Fn(A) -> R + Copy + Send + 'static,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        Self::options().spawn(task, argument)
    }

    /// Says how a process is to be started, then starts it.
    pub fn options() -> ProcessOptions {
        ProcessOptions::default()
    }
}

impl ProcessOptions {
    /// What errors, [`JoinHandle::name`] and, with its first 15 bytes, `ps` and `top` call it. Unless said
    /// otherwise, the name of the function and a number.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How it comes to be.
    #[doc(alias = "set_start_method")]
    pub fn start(mut self, start: StartMethod) -> Self {
        self.start = start;
        self
    }

    /// As [`StartMethod::Fork`], but whatever the other threads of this process are doing.
    ///
    /// Nothing is flushed: what this process has printed and not yet written may be written by both, and what the
    /// child has not written at its end is lost.
    ///
    /// # Safety
    ///
    /// While `spawn` runs, no other thread may hold a lock that could be needed in the child, where nobody
    /// releases it: those of the memory allocator, of stdout and stderr, of the panic hook, of the environment, of
    /// the C library, and those that the task takes. The child allocates memory and sets a panic hook
    /// before it calls the task, so it does not help if the task does neither.
    #[allow(unsafe_code, reason = "the caller must know what the threads do")]
    pub unsafe fn force_fork(mut self) -> Self {
        self.start = StartMethod::Fork;
        self.is_forced = true;
        self
    }

    /// Whether it ends when this process ends, though that be killed. Others go on alone.
    ///
    /// It is killed (`SIGKILL`); one of a fork server, when that is killed as well. In such a process the
    /// signal `SIGIO` is not for others to use.
    pub fn daemon(mut self, is_daemon: bool) -> Self {
        self.is_daemon = is_daemon;
        self
    }

    /// Where its stdout goes.
    pub fn stdout(mut self, stdout: Output) -> Self {
        self.stdout = stdout;
        self
    }

    /// Where its stderr goes.
    pub fn stderr(mut self, stderr: Output) -> Self {
        self.stderr = stderr;
        self
    }

    /// Starts this command to get the process, where that is not this program itself: a copy of it, or
    /// another program that then runs it, such as `numactl`, `nice` or `perf`.
    ///
    /// The process gets one argument more than the command has, the last. It must be the same build of this
    /// program ([`ErrorKind::WrongVersion`](crate::ErrorKind::WrongVersion)). Where its stdin comes from is not for the command to say.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossdock::process::{self, Process};
    /// use std::process::Command;
    ///
    /// # fn main() -> crossdock::Result<()> {
    /// process::init();
    ///
    /// let mut command = Command::new("nice");
    /// command.arg(std::env::current_exe().unwrap());
    /// let handle = Process::options().command(command).spawn(|x: u32| x + 1, 41)?;
    /// assert_eq!(handle.join()?, 42);
    /// # Ok(())
    /// # }
    /// ```
    pub fn command(mut self, command: Command) -> Self {
        self.command = Some(command);
        self
    }

    /// Starts the process.
    ///
    /// # Errors
    ///
    /// As those of [`Process::spawn`], and
    ///
    /// * [`ErrorKind::Busy`](crate::ErrorKind::Busy): [`StartMethod::Fork`] in a process with more than one thread.
    /// * [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported): a fork server cannot run in this program; the text says why.
    /// * [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument): a command with another start method than `Spawn`.
    pub fn spawn<F, A, R>(self, task: F, argument: A) -> Result<JoinHandle<R>>
    where
        F: Fn(A) -> R + Copy + Send + 'static,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        // Its type says everything: see `super::task`.
        let _: F = task;
        let entry = task::entry::<F, A, R>();
        let name = self.name.unwrap_or_else(|| numbered(task::short_name(entry.name())));
        let order = Order {
            name,
            start: self.start,
            is_daemon: self.is_daemon,
            is_forced: self.is_forced,
            stdout: self.stdout,
            stderr: self.stderr,
            command: self.command,
        };
        let argument = Letter::seal(&[], argument).map_err(|error| order.unsendable(&error))?;
        Ok(JoinHandle::new(start::task(order, task::id(entry)?, argument)?))
    }
}

/// A name that is given once in this process.
fn numbered(stem: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    format!("{stem}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}
