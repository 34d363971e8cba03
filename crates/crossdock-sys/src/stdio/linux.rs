//! `dup2(2)`, and `memfd_create(2)` for what is to be read later.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{MemfdFlags, Mode, OFlags};
use std::fs::File;
use std::io;

/// Lower numbers are standard streams.
const FIRST_FD: i32 = 3;

/// Takes what this process was given as its stdin, which is `/dev/null` from now on.
///
/// # Errors
///
/// It has no stdin; no descriptor left.
pub fn take_stdin() -> io::Result<OwnedFd> {
    let taken = rustix::io::fcntl_dupfd_cloexec(std::io::stdin().as_fd(), FIRST_FD)?;
    let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    Ok(taken)
}

/// Makes `file` the stdout of this process.
///
/// # Errors
///
/// That of the system call.
pub fn set_stdout(file: impl AsFd) -> io::Result<()> {
    Ok(rustix::stdio::dup2_stdout(file)?)
}

/// Makes `file` the stderr of this process.
///
/// # Errors
///
/// That of the system call.
pub fn set_stderr(file: impl AsFd) -> io::Result<()> {
    Ok(rustix::stdio::dup2_stderr(file)?)
}

/// A file that is in memory, grows as it is written, and goes with its last descriptor.
///
/// # Errors
///
/// No descriptor or memory left.
#[doc(alias = "memfd_create")]
pub fn memory_file(name: &str) -> io::Result<File> {
    let file = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)?;
    // Whoever writes appends, as several processes may do.
    rustix::fs::fcntl_setfl(&file, OFlags::APPEND)?;
    Ok(File::from(file))
}
