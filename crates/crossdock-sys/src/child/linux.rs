//! Children by pidfd: `pidfd_open(2)`, `pidfd_send_signal(2)`, `waitid(2)` of `P_PIDFD`.
//!
//! A pid may be another process's as soon as the child has been waited for; a pidfd never is.
#![allow(unsafe_code, reason = "fork and signal are C interfaces")]

use super::Signal;
use crate::clock::Deadline;
use crate::line::await_any;
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus, WaitOptions, pidfd_open,
};
use std::ffi::CString;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// A process that was started by this one, or by another one for it.
#[derive(Debug)]
pub struct Child {
    pid: u32,
    pidfd: OwnedFd,
}

/// What can be said of the end of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// It has not ended.
    Running,
    /// It has ended like this, and leaves nothing behind from now on.
    Ended(ExitStatus),
    /// It has ended, and somebody else was told how: `wait` was called elsewhere in this process, or
    /// `SIGCHLD` is ignored, or it is no child of this process.
    Taken,
}

impl Child {
    /// A child that has not been waited for.
    ///
    /// # Errors
    ///
    /// No descriptor left; no such process.
    pub fn of(pid: u32) -> io::Result<Self> {
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
        Ok(Self { pid, pidfd: pidfd_open(raw, PidfdFlags::empty())? })
    }

    /// A process whose pidfd another process has sent.
    #[must_use]
    pub fn from_pidfd(pid: u32, pidfd: OwnedFd) -> Self {
        Self { pid, pidfd }
    }

    /// Its process id, as its starter knows it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal; false if the process has ended.
    ///
    /// # Errors
    ///
    /// It is not allowed.
    #[doc(alias = "pidfd_send_signal")]
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        let signal = match signal {
            Signal::Terminate => rustix::process::Signal::TERM,
            Signal::Kill => rustix::process::Signal::KILL,
        };
        match rustix::process::pidfd_send_signal(&self.pidfd, signal) {
            Err(Errno::SRCH) => Ok(false),
            sent => sent.map(|()| true).map_err(Into::into),
        }
    }

    /// Waits for its end, without taking it; false when the deadline has passed before.
    ///
    /// # Errors
    ///
    /// That of `poll(2)`.
    pub fn await_end(&self, deadline: Option<Deadline>) -> io::Result<bool> {
        await_any(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], deadline)
    }

    /// How it has ended. After this it is no zombie.
    ///
    /// # Errors
    ///
    /// That of `waitid(2)`.
    #[doc(alias = "waitid")]
    pub fn reap(&self) -> io::Result<Last> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        loop {
            return match rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), options) {
                Err(Errno::INTR) => continue,
                Err(Errno::CHILD) => {
                    // Nobody's child, or not ours: its pidfd still says whether it lives.
                    let now = Some(Deadline::after(std::time::Duration::ZERO));
                    Ok(if self.await_end(now)? { Last::Taken } else { Last::Running })
                }
                Err(error) => Err(error.into()),
                Ok(None) => Ok(Last::Running),
                Ok(Some(status)) => Ok(Last::Ended(exit_status(&status))),
            };
        }
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// In the form in which `wait(2)` puts it.
fn exit_status(status: &WaitIdStatus) -> ExitStatus {
    const CORE: i32 = 0x80;
    let raw = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => (code & 0xff) << 8,
        (None, Some(signal)) => signal | if status.dumped() { CORE } else { 0 },
        (None, None) => 0,
    };
    ExitStatus::from_raw(raw)
}

/// Ends a child that cannot be kept an eye on, and waits for it.
pub fn discard(pid: u32) {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    // It has not been waited for, so the number is still its own; what has ended need not be killed.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    let wait = || rustix::process::waitpid(Some(pid), WaitOptions::empty());
    while matches!(wait(), Err(Errno::INTR)) {}
}

/// What a system call says in a process that has no descriptor left.
#[must_use]
#[doc(alias = "EMFILE")]
pub fn out_of_files() -> io::Error {
    Errno::MFILE.into()
}

/// Whether any child of this process has ended and not been waited for. One system call.
#[must_use]
pub fn has_any_ended() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(rustix::process::waitid(WaitId::All, options), Ok(Some(_)))
}

/// Which of the two processes after a [`fork`] this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forked {
    /// The one that called it; the pid of the other.
    Parent(u32),
    /// The new one.
    Child,
}

/// Makes a copy of this process, with one thread.
///
/// # Errors
///
/// No memory or place for a process.
///
/// # Safety
///
/// If this process has other threads, then the child may call only what is safe in a signal handler:
/// another thread may have held any lock, which nobody releases there. The child must not return to
/// code that owns what both now have copies of, such as a file that is written at its end.
pub unsafe fn fork() -> io::Result<Forked> {
    // SAFETY: the caller sees to what the child does.
    let pid = unsafe { libc::fork() };
    match u32::try_from(pid) {
        Err(_) => Err(io::Error::last_os_error()),
        Ok(0) => Ok(Forked::Child),
        Ok(pid) => Ok(Forked::Parent(pid)),
    }
}

/// Threads of this process, this one included.
///
/// # Errors
///
/// There is no `/proc`.
pub fn thread_count() -> io::Result<usize> {
    // A directory has a link from its parent, from itself and from each directory in it: the threads.
    // `proc_task_getattr` in fs/proc/base.c counts so.
    let links = rustix::fs::stat("/proc/self/task")?.st_nlink;
    Ok(usize::try_from(links).unwrap_or(usize::MAX).saturating_sub(2))
}

/// Writes what this process has printed and the libraries of Rust and C still have in their buffers.
#[doc(alias = "fflush")]
pub fn flush() {
    // Who has closed what this goes to does not want it.
    let _ = io::stdout().flush();
    // SAFETY: a null pointer means all streams.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

/// Ends this process, without what was to be done at its exit: that is its parent's to do.
#[doc(alias = "_exit")]
pub fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// What the system calls the calling thread.
#[must_use]
pub fn thread_id() -> u64 {
    rustix::thread::gettid().as_raw_pid().unsigned_abs().into()
}

/// Gives this process a name for `ps` and `top`; what is beyond 15 bytes is lost.
#[doc(alias = "PR_SET_NAME")]
pub fn rename(name: &str) {
    if let Ok(name) = CString::new(name) {
        // A name is for people; nothing depends on it.
        let _ = rustix::thread::set_name(&name);
    }
}

/// Whether this thread heeded Ctrl-C before [`hold_interrupts`].
#[derive(Clone, Copy, Debug)]
pub struct Interrupts {
    were_held: bool,
}

/// Lets the calling thread, the only one, go on when the user presses Ctrl-C.
///
/// The signal is held back, not ignored: one that comes to a child after the fork, and before it calls
/// [`heed_interrupts`], is not lost.
#[must_use]
pub fn hold_interrupts() -> Interrupts {
    let before = mask_interrupts(libc::SIG_BLOCK);
    // SAFETY: the set is valid.
    Interrupts { were_held: unsafe { libc::sigismember(&raw const before, libc::SIGINT) } == 1 }
}

/// Undoes [`hold_interrupts`] in the process that called it, or in its child.
pub fn heed_interrupts(before: Interrupts) {
    if !before.were_held {
        mask_interrupts(libc::SIG_UNBLOCK);
    }
}

/// Changes the mask of the calling thread; what it was.
fn mask_interrupts(how: i32) -> libc::sigset_t {
    // SAFETY: all zeroes is a valid value of this C type: the empty set.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    let mut before = set;
    // SAFETY: the set is valid and writable.
    unsafe { libc::sigaddset(&raw mut set, libc::SIGINT) };
    // SAFETY: both sets are valid, the second one writable; it fails for a wrong `how` only.
    unsafe { libc::pthread_sigmask(how, &raw const set, &raw mut before) };
    before
}

/// Lets this process learn how its children end, though it was started by one that did not want to.
pub fn heed_children() {
    set_signal(libc::SIGCHLD, libc::SIG_DFL);
}

/// Has a write to a pipe without a reader fail, and not end the process: what Rust's `main` begins with.
pub fn ignore_pipe_signal() {
    set_signal(libc::SIGPIPE, libc::SIG_IGN);
}

fn set_signal(signal: i32, action: libc::sighandler_t) {
    // SAFETY: neither of the two actions runs code of this process.
    unsafe { libc::signal(signal, action) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[allow(clippy::zombie_processes, reason = "`Child` waits for it")]
    fn sleeper() -> Child {
        let child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        // Its stdin must stay open, or it ends.
        let mut child = child.unwrap();
        std::mem::forget(child.stdin.take());
        Child::of(child.id()).unwrap()
    }

    #[test]
    fn a_killed_child_is_reaped_with_its_signal() {
        let child = sleeper();
        assert_eq!(child.reap().unwrap(), Last::Running);
        assert!(child.signal(Signal::Kill).unwrap());
        assert!(child.await_end(None).unwrap());
        let Last::Ended(status) = child.reap().unwrap() else { panic!("not reaped") };
        assert_eq!(status.signal(), Some(9));
        assert!(!child.signal(Signal::Kill).unwrap(), "there is nobody to hear it");
        assert_eq!(child.reap().unwrap(), Last::Taken, "told once only");
    }

    #[test]
    #[allow(clippy::zombie_processes, reason = "`Child` waits for it")]
    fn an_exit_code_is_reported() {
        let child = Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        let child = Child::of(child.id()).unwrap();
        assert!(child.await_end(None).unwrap());
        assert_eq!(child.reap().unwrap(), Last::Ended(ExitStatus::from_raw(7 << 8)));
    }

    #[test]
    fn threads_are_counted() {
        let (tx, rx) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || rx.recv());
        // This one and the new one at least; other tests have threads as well.
        assert!(thread_count().unwrap() >= 2);
        drop(tx);
        assert!(thread.join().unwrap().is_err());
    }
}
