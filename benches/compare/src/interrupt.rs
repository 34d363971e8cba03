//! Ctrl-C ends the run the ordinary way, so that no process and no name is left behind.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::Result;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_signal: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// From now on SIGINT and SIGTERM are noted, and [`check`] reports them.
pub(crate) fn install() {
    let handler = note as extern "C" fn(libc::c_int) as libc::sighandler_t;
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: `note` has the signature of a handler and only stores an atomic.
        unsafe { libc::signal(signal, handler) };
    }
}

/// An error once a signal has come.
pub(crate) fn check() -> Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) { Err("interrupted".into()) } else { Ok(()) }
}
