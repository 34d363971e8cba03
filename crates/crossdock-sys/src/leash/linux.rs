//! Two hints and a check of the facts, in a signal handler; no thread.
//!
//! `PR_SET_PDEATHSIG` of `prctl(2)` alone would not do: it tells of the end of the *thread* that made this
//! process, which may be long before that of its process, and it knows only the direct parent, which may
//! be a wrapper program. A line whose other end closes (`O_ASYNC`, `fcntl(2)`) alone would not do either: a
//! process that the parent has forked may have a copy of it. So both send `SIGIO`, and its handler looks:
//!
//! * Has this process got another parent? When a thread ends, the kernel gives its children to another
//!   thread of its process, and only when there is none to another process; it does so before it sends the
//!   signal (`forget_original_parent` in kernel/exit.c), and it sends it at the end of each of these threads.
//! * Has the other end of the line gone?
//!
//! Either means that nobody is there to work for, and the process kills itself: what it shares with
//! others is put right as after any kill.
#![allow(unsafe_code, reason = "signal handlers are a C interface")]

use crate::line::Line;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Timespec;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering::Relaxed;

/// No parent is watched.
const NONE: i32 = 0;
const NO_FD: RawFd = -1;

/// The pid of the process that made this one, or `NONE`.
static PARENT: AtomicI32 = AtomicI32::new(NONE);
/// The number of a descriptor that only [`cut`] closes, or `NO_FD`.
static LINE: AtomicI32 = AtomicI32::new(NO_FD);

/// From now on, this process is killed when its parent ends, or when the other end of `line` has gone. Every
/// packet that comes over the line costs a signal.
///
/// `parent` is the one that made this process, if it can be known: it may have ended already. `SIGIO` is not
/// for others to use from now on.
///
/// # Errors
///
/// The system refuses one of the two signals.
#[doc(alias = "PR_SET_PDEATHSIG")]
pub fn tie(line: Option<&Line>, parent: Option<u32>) -> io::Result<()> {
    cut();
    let now = parent_pid();
    if parent.is_some_and(|parent| i32::try_from(parent).is_ok_and(|parent| parent != now)) {
        end();
    }
    PARENT.store(now, Relaxed);
    install()?;
    let signal = Some(rustix::process::Signal::IO);
    rustix::process::set_parent_process_death_signal(signal)?;
    if let Some(line) = line {
        let fd = rustix::io::fcntl_dupfd_cloexec(line, 0)?.into_raw_fd();
        LINE.store(fd, Relaxed);
        let pid = libc::pid_t::try_from(std::process::id()).unwrap_or_default();
        // SAFETY: a call without pointers, on a descriptor that is open.
        check(unsafe { libc::fcntl(fd, libc::F_SETOWN, pid) })?;
        // SAFETY: as above.
        let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
        // SAFETY: as above.
        check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_ASYNC) })?;
    }
    // What ended before the signals were asked for has sent none.
    look();
    Ok(())
}

/// Undoes what [`tie`] did in the process that forked this one. No other thread may be here yet.
pub fn cut() {
    PARENT.store(NONE, Relaxed);
    let fd = LINE.swap(NO_FD, Relaxed);
    if fd != NO_FD {
        // SAFETY: `tie` opened it and has given its number to nobody; a handler sees it no more.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    }
}

fn install() -> io::Result<()> {
    // SAFETY: all zeroes is a valid value of this C struct.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    let handler: extern "C" fn(i32) = on_signal;
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the handler is of the type for these flags and calls only what may be called there; the
    // old action is not asked for.
    check(unsafe { libc::sigaction(libc::SIGIO, &raw const action, std::ptr::null_mut()) })?;
    Ok(())
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

extern "C" fn on_signal(_: i32) {
    look();
}

/// Only system calls that set no `errno`: it runs in a signal handler.
fn look() {
    let (parent, line) = (PARENT.load(Relaxed), LINE.load(Relaxed));
    if parent == NONE {
        return;
    }
    let has_gone = line != NO_FD && {
        // SAFETY: `tie` opened it, and `cut` forgets the number before it closes it.
        let line = unsafe { BorrowedFd::borrow_raw(line) };
        let mut fds = [PollFd::from_borrowed_fd(line, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&now)).is_ok_and(|count| count > 0)
    };
    if has_gone || parent_pid() != parent {
        end();
    }
}

fn parent_pid() -> i32 {
    rustix::process::getppid().map_or(NONE, rustix::process::Pid::as_raw_pid)
}

fn end() -> ! {
    loop {
        // It cannot fail for this process itself, and does not return.
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}
