//! Running a function at a normal exit, since Rust drops no statics.
#![allow(unsafe_code, reason = "atexit is a C interface")]

unsafe extern "C" {
    fn atexit(callback: extern "C" fn()) -> i32;
}

/// Runs `callback` when this process returns from `main` or calls `exit`.
///
/// It does not run after a signal, `abort` or `_exit`: what it cleans must be reclaimable by others.
/// A child forked later inherits it, so the callback must ask [`crate::fork::generation`].
///
/// Returns whether the C library had room for it.
#[doc(alias = "atexit")]
pub fn at_exit(callback: extern "C" fn()) -> bool {
    // SAFETY: `callback` is a function that lives as long as the program, of the type atexit wants.
    unsafe { atexit(callback) == 0 }
}
