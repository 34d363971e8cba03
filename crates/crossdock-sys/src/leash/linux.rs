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
//! A parent in another pid namespace has no number here, and neither has its successor: `getppid(2)` says 0. Then
//! the line alone tells.
//!
//! Either means that nobody is there to work for, and the process kills itself: what it shares with
//! others is put right as after any kill.
#![allow(unsafe_code, reason = "signal handlers are a C interface")]

use crate::line::Line;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Timespec;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicI32};

/// The parent is in another pid namespace.
const ELSEWHERE: i32 = 0;
const NO_FD: RawFd = -1;
/// Lower numbers are standard streams.
const FIRST_FD: i32 = 3;
/// What a shell says of a process that was killed.
const EXIT_KILLED: i32 = 137;

/// Whether anything is watched.
static IS_TIED: AtomicBool = AtomicBool::new(false);
/// The pid of the process that made this one, or `ELSEWHERE`.
static PARENT: AtomicI32 = AtomicI32::new(ELSEWHERE);
/// The number of a descriptor that only [`cut`] closes, or `NO_FD`.
static LINE: AtomicI32 = AtomicI32::new(NO_FD);

/// From now on, this process is killed when its parent ends, or when the other end of `line` has gone. Every
/// packet that comes over the line costs a signal.
///
/// `parent` is the one that made this process, if it can be known: it may have ended already. `SIGIO` is not
/// for others to use from now on, and no longer blocked in the calling thread.
///
/// # Errors
///
/// The system refuses one of the two signals.
#[doc(alias = "PR_SET_PDEATHSIG")]
pub fn tie(line: Option<&Line>, parent: Option<u32>) -> io::Result<()> {
    cut();
    let now = parent_pid();
    let parent = parent.and_then(|parent| i32::try_from(parent).ok());
    if now != ELSEWHERE && parent.is_some_and(|parent| parent != now) {
        end();
    }
    PARENT.store(now, Relaxed);
    IS_TIED.store(true, Relaxed);
    install()?;
    let signal = Some(rustix::process::Signal::IO);
    rustix::process::set_parent_process_death_signal(signal)?;
    if let Some(line) = line {
        let fd = rustix::io::fcntl_dupfd_cloexec(line, FIRST_FD)?.into_raw_fd();
        LINE.store(fd, Relaxed);
        let pid = libc::pid_t::try_from(std::process::id()).unwrap_or_default();
        // SAFETY: a call without pointers, on a descriptor that is open.
        check(unsafe { libc::fcntl(fd, libc::F_SETOWN, pid) })?;
        // SAFETY: as above.
        let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
        // SAFETY: as above.
        check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_ASYNC) })?;
    }
    // Who forked this process may have held it back.
    unblock()?;
    // What ended before the signals were asked for has sent none.
    look();
    Ok(())
}

/// Undoes what [`tie`] did in the process that forked this one. No other thread may be here yet.
pub fn cut() {
    IS_TIED.store(false, Relaxed);
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

fn unblock() -> io::Result<()> {
    // SAFETY: all zeroes is a valid value of this C type: the empty set.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is valid and writable.
    check(unsafe { libc::sigaddset(&raw mut set, libc::SIGIO) })?;
    // SAFETY: the set is valid, and the old mask is not asked for.
    match unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut()) }
    {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

extern "C" fn on_signal(_: i32) {
    // SAFETY: the address is that of the calling thread's own, valid as long as the thread is.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above; only this thread uses it.
    let before = unsafe { errno.read() };
    look();
    // SAFETY: as above. What the signal has interrupted finds it as it was.
    unsafe { errno.write(before) };
}

/// Only system calls: it runs in a signal handler.
fn look() {
    if !IS_TIED.load(Relaxed) {
        return;
    }
    let (parent, line) = (PARENT.load(Relaxed), LINE.load(Relaxed));
    let has_gone = line != NO_FD && {
        // SAFETY: `tie` opened it, and `cut` forgets the number before it closes it.
        let line = unsafe { BorrowedFd::borrow_raw(line) };
        let mut fds = [PollFd::from_borrowed_fd(line, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&now)).is_ok_and(|count| count > 0)
    };
    let is_orphan = parent != ELSEWHERE && parent_pid() != parent;
    if has_gone || is_orphan {
        end();
    }
}

fn parent_pid() -> i32 {
    rustix::process::getppid().map_or(ELSEWHERE, rustix::process::Pid::as_raw_pid)
}

fn end() -> ! {
    let this = rustix::process::getpid();
    // It does not return, but in the first process of a pid namespace, which the kernel spares.
    let _ = rustix::process::kill_process(this, rustix::process::Signal::KILL);
    // SAFETY: ends the process.
    unsafe { libc::_exit(EXIT_KILLED) }
}
