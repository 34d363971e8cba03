//! Starting a process that does nothing, and waiting for its end: ours, and the system calls alone.
//!
//! One process plays all of them, in turn, so that whatever slows the machine down slows all of them down.

use std::env;
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

use crossdock::process::{Process, StartMethod};

use crate::Result;
use crate::clock::now_ns;
use crate::control::Control;
use crate::place::Place;
use crate::play::bursts;

/// The argument of a process that is to do nothing.
const NOTHING: &CStr = c"--nothing";

/// What is started, in the order of the samples.
pub(crate) const WAYS: usize = 5;

/// Whether this process was started to do nothing.
pub(crate) fn is_nothing() -> bool {
    env::args_os().nth(1).is_some_and(|argument| argument.as_bytes() == NOTHING.to_bytes())
}

/// Starts and waits as often as the parent wants; [`WAYS`] samples a time, in nanoseconds.
pub(crate) fn starts(_: &Place, control: &mut Control) -> Result<()> {
    control.token("")?;
    let program = CString::new(env::current_exe()?.as_os_str().as_bytes())?;
    bursts(control, || all_ways(&program))
}

fn all_ways(program: &CStr) -> Result<[f64; WAYS]> {
    Ok([
        timed(|| posix_spawn(program))?,
        timed(|| ours(StartMethod::Spawn))?,
        timed(fork)?,
        timed(|| ours(StartMethod::ForkServer))?,
        timed(|| ours(StartMethod::Fork))?,
    ])
}

fn timed(start_and_wait: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start_ns = now_ns();
    start_and_wait()?;
    Ok((now_ns() - start_ns) as f64)
}

fn ours(method: StartMethod) -> Result<()> {
    let result = Process::options().start(method).spawn(|x: u32| x + 1, 41)?.join()?;
    if result == 42 { Ok(()) } else { Err(format!("41 + 1 is not {result}").into()) }
}

fn posix_spawn(program: &CStr) -> Result<()> {
    unsafe extern "C" {
        static environ: *const *mut libc::c_char;
    }
    let arguments = [program.as_ptr().cast_mut(), NOTHING.as_ptr().cast_mut(), ptr::null_mut()];
    let mut pid = 0;
    // SAFETY: nobody changes the environment of this process.
    let environment = unsafe { environ };
    // SAFETY: the program and the arguments end with a zero, both lists with a null pointer; there are no
    // actions and no attributes.
    let failed = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            program.as_ptr(),
            ptr::null(),
            ptr::null(),
            arguments.as_ptr(),
            environment,
        )
    };
    if failed != 0 {
        return Err(std::io::Error::from_raw_os_error(failed).into());
    }
    wait(pid)
}

fn fork() -> Result<()> {
    // SAFETY: this process has one thread, and the child only ends.
    match unsafe { libc::fork() } {
        // SAFETY: ends the child.
        0 => unsafe { libc::_exit(0) },
        -1 => Err(std::io::Error::last_os_error().into()),
        pid => wait(pid),
    }
}

fn wait(pid: libc::pid_t) -> Result<()> {
    let mut status = 0;
    // SAFETY: `status` is writable.
    let ended = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    if ended == pid && status == 0 { Ok(()) } else { Err(format!("{ended}: {status:#x}").into()) }
}
