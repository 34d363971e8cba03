//! A lock on one byte that belongs to an open file: `F_OFD_SETLK` of `fcntl(2)`, "open file description
//! locks", Linux 3.15.
//!
//! A classic lock of `fcntl` would not do: it goes when the process closes *any* descriptor of the file,
//! as a second copy of this library in the process would. Nor would `flock(2)`, which has no bytes.
//!
//! An open file lives as long as its last descriptor, so a holder has one of its own that no child keeps:
//! a forked child closes it ([`crate::fork`]), and a new program does not get it (`O_CLOEXEC`). A child
//! that is made by a bare `clone(2)` runs no fork handlers: it keeps the token held as long as it lives.
#![allow(unsafe_code, reason = "rustix has only the classic locks")]

use crate::fork::Unshared;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// One byte of a file, held until this is dropped or the process ends.
///
/// In a forked child it is nothing: it holds no byte, and dropping it lets go of none.
#[derive(Debug)]
pub struct Token {
    own: Unshared,
    byte: u64,
}

impl Token {
    /// Takes byte `byte` of a file that is open for writing; `None` if somebody holds it. The byte may lie
    /// beyond the end of the file.
    ///
    /// The file is opened anew, so `file` itself can go on to be used and asked.
    ///
    /// # Errors
    ///
    /// The error of a system call: no descriptor left, no `/proc`, no memory for locks, a byte beyond
    /// 2^63.
    #[doc(alias = "F_OFD_SETLK")]
    pub fn take(file: &File, byte: u64) -> io::Result<Option<Self>> {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let own = Unshared::open(|| Ok(rustix::fs::open(&path, flags, Mode::empty())?))?;
        let token = Self { own, byte };
        let is_taken = match token.own.fd() {
            Some(fd) => set(fd, byte, libc::F_WRLCK)?,
            None => false,
        };
        Ok(is_taken.then_some(token))
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if let Some(fd) = self.own.fd() {
            // Closing lets go as well, unless a child that ran no fork handler has the same open file.
            let _ = set(fd, self.byte, libc::F_UNLCK);
        }
    }
}

/// Whether anybody holds byte `byte`, this process included. It must be asked of another open file than
/// that which holds it, as [`Token`] makes sure.
///
/// # Errors
///
/// The error of the system call. It needs no descriptor and no memory that stays.
#[doc(alias = "F_OFD_GETLK")]
pub fn is_held(file: &File, byte: u64) -> io::Result<bool> {
    is_any_held(file, byte, 1)
}

/// As [`is_held`], of `count` bytes from `first` on at once.
///
/// # Errors
///
/// As [`is_held`].
pub fn is_any_held(file: &File, first: u64, count: u64) -> io::Result<bool> {
    let mut range = range(first, count, libc::F_WRLCK)?;
    // SAFETY: the descriptor is open, and `range` is what this command reads and writes.
    let failed = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut range) };
    if failed != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(i32::from(range.l_type) != libc::F_UNLCK)
}

/// Holds byte `byte` of a file together with all others who share it, until this open file is closed; `false` if a
/// [`Token`] has it. A forked child has the same open file.
///
/// # Errors
///
/// The error of the system call: the file is not open for reading, no memory for locks.
pub fn share(file: &File, byte: u64) -> io::Result<bool> {
    set(file.as_fd(), byte, libc::F_RDLCK)
}

/// Ends what [`share`] began, for this open file.
///
/// # Errors
///
/// That of the system call.
#[doc(alias = "F_OFD_SETLK")]
pub fn unshare(file: &File, byte: u64) -> io::Result<()> {
    set(file.as_fd(), byte, libc::F_UNLCK).map(drop)
}

/// Locks or unlocks one byte; `false` if somebody else has it.
fn set(fd: BorrowedFd<'_>, byte: u64, kind: i32) -> io::Result<bool> {
    let range = range(byte, 1, kind)?;
    // SAFETY: the descriptor is open, and `range` is what this command reads.
    let failed = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_SETLK, &raw const range) };
    if failed == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EACCES) => Ok(false),
        _ => Err(error),
    }
}

fn range(first: u64, count: u64, kind: i32) -> io::Result<libc::flock> {
    let offset = |bytes| libc::off_t::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput);
    let (start, len) = (offset(first)?, offset(count)?);
    // These constants fit: the field has had 16 bits since there were locks.
    let (kind, whence) = (kind as libc::c_short, libc::SEEK_SET as libc::c_short);
    // `l_pid` must be 0 for a lock that belongs to an open file.
    Ok(libc::flock { l_type: kind, l_whence: whence, l_start: start, l_len: len, l_pid: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file;
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::pipe::PipeFlags;
    use std::cell::Cell;
    use std::os::fd::OwnedFd;
    /// Beyond the end of any file here.
    const BYTE: u64 = 1 << 40;

    /// Runs `is_well` in a forked child, which may only do what is allowed after the fork of a process
    /// with threads; returns what it said.
    fn in_child(is_well: impl FnOnce() -> bool) -> bool {
        // SAFETY: the child makes system calls and ends without unwinding.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "fork failed");
        if pid == 0 {
            let status = i32::from(!is_well());
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(status) };
        }
        let mut status = -1;
        // SAFETY: `pid` is this process's child and `status` is writable.
        let ended = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        ended == pid && status == 0
    }

    fn flags_of(fd: i32) -> i32 {
        // SAFETY: only asks; a number that is not open is an error.
        unsafe { libc::fcntl(fd, libc::F_GETFD) }
    }

    #[test]
    fn a_token_is_held_by_one_and_seen_by_all() {
        let file = file::anonymous("token").unwrap();
        assert!(!is_held(&file, BYTE).unwrap());
        let token = Token::take(&file, BYTE).unwrap().unwrap();
        assert!(is_held(&file, BYTE).unwrap(), "its own process sees it, too");
        assert!(Token::take(&file, BYTE).unwrap().is_none());
        assert!(!is_held(&file, BYTE - 1).unwrap());
        assert!(!is_held(&file, BYTE + 1).unwrap());
        let neighbour = Token::take(&file, BYTE + 1).unwrap().unwrap();
        drop(token);
        assert!(!is_held(&file, BYTE).unwrap());
        assert!(is_held(&file, BYTE + 1).unwrap());
        drop(neighbour);
        assert!(Token::take(&file, BYTE).unwrap().is_some());
    }

    #[test]
    fn a_shared_byte_is_seen_until_the_last_who_has_it_closes_and_is_no_token() {
        let file = file::anonymous("token").unwrap();
        let open = || File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
        let (first, second) = (open(), open());
        assert!(share(&first, BYTE).unwrap() && share(&second, BYTE).unwrap());
        assert!(Token::take(&file, BYTE).unwrap().is_none());
        drop(first);
        assert!(is_held(&file, BYTE).unwrap());
        drop(second);
        assert!(!is_held(&file, BYTE).unwrap());
        let _token = Token::take(&file, BYTE).unwrap().unwrap();
        assert!(!share(&open(), BYTE).unwrap());
    }

    #[test]
    fn one_of_many_bytes_is_found() {
        let file = file::anonymous("token").unwrap();
        assert!(!is_any_held(&file, BYTE, 300).unwrap());
        let _token = Token::take(&file, BYTE + 299).unwrap().unwrap();
        assert!(is_any_held(&file, BYTE, 300).unwrap());
        assert!(!is_any_held(&file, BYTE, 299).unwrap());
    }

    #[test]
    fn closing_another_descriptor_of_the_file_loses_no_token() {
        let file = file::anonymous("token").unwrap();
        let _token = Token::take(&file, BYTE).unwrap().unwrap();
        drop(file.try_clone().unwrap());
        drop(File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap());
        assert!(is_held(&file, BYTE).unwrap());
    }

    #[test]
    fn a_byte_that_no_file_can_have_is_refused() {
        let file = file::anonymous("token").unwrap();
        let error = Token::take(&file, u64::MAX).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(is_held(&file, u64::MAX).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_program_that_is_started_does_not_get_the_token() {
        let file = file::anonymous("token").unwrap();
        let token = Token::take(&file, BYTE).unwrap().unwrap();
        let fd = token.own.fd().unwrap().as_raw_fd();
        assert_eq!(flags_of(fd) & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
    }

    #[test]
    fn a_forked_child_has_closed_its_copy() {
        let file = file::anonymous("token").unwrap();
        let token = Token::take(&file, BYTE).unwrap().unwrap();
        let fd = token.own.fd().unwrap().as_raw_fd();
        assert!(in_child(|| flags_of(fd) == -1 && token.own.fd().is_none()));
        assert!(flags_of(fd) >= 0, "the parent still has it");
        assert!(is_held(&file, BYTE).unwrap());
    }

    #[test]
    fn a_drop_in_a_forked_child_neither_lets_go_nor_closes_a_number_that_is_used_again() {
        let file = file::anonymous("token").unwrap();
        let mut token = Token::take(&file, BYTE).unwrap();
        let fd = token.as_ref().unwrap().own.fd().unwrap().as_raw_fd();
        assert!(in_child(|| {
            // SAFETY: gives the number, which the child has closed, to another open file.
            let again = unsafe { libc::dup2(file.as_raw_fd(), fd) };
            drop(token.take());
            again == fd && flags_of(fd) >= 0
        }));
        assert!(token.is_some());
        assert!(is_held(&file, BYTE).unwrap());
    }

    /// Forks a child that lives until nobody has `cue` any more.
    fn child_that_waits_for_the_end_of(cue: &OwnedFd, wait: &OwnedFd) -> libc::pid_t {
        // SAFETY: the child makes system calls and ends without unwinding.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "fork failed");
        if pid == 0 {
            // SAFETY: the child needs its copy no more, and ends before anything else could close it.
            unsafe { libc::close(cue.as_raw_fd()) };
            let _ = poll(&mut [PollFd::new(wait, PollFlags::IN)], None);
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(0) };
        }
        pid
    }

    #[test]
    fn a_child_that_is_forked_while_the_token_is_being_opened_does_not_keep_it() {
        let file = file::anonymous("token").unwrap();
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let (wait, cue) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap();
        let child = Cell::new(None);
        let own = Unshared::open(|| {
            let own = rustix::fs::open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
            if child.get().is_none() {
                // As another thread might: nobody has told the child to close this one.
                child.set(Some(child_that_waits_for_the_end_of(&cue, &wait)));
            }
            Ok(own)
        });
        let own = own.unwrap();
        assert!(set(own.fd().unwrap(), BYTE, libc::F_WRLCK).unwrap());
        assert!(is_held(&file, BYTE).unwrap());
        // As a death does: it closes, and unlocks nothing.
        drop(own);
        assert!(!is_held(&file, BYTE).unwrap(), "the child, which lives, has it");
        drop(cue);
        let mut status = -1;
        // SAFETY: it is this process's child and `status` is writable.
        let ended = unsafe { libc::waitpid(child.get().unwrap(), &raw mut status, 0) };
        assert_eq!((Some(ended), status), (child.get(), 0));
    }
}
