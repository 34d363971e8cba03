//! Noticing a `fork` that the library did not make.
//!
//! A forked child has copies of every handle but is another process: it must not release what its
//! parent holds. Each handle remembers the generation it was made in; a child has a later one.
#![allow(unsafe_code, reason = "pthread_atfork is a C interface")]

use std::sync::Once;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

static GENERATION: AtomicU64 = AtomicU64::new(1);

/// A word that a process sets to say who it is, and that is 0 again in a child that it forks.
///
/// As [`generation`], it needs [`watch`] to have run before the fork.
pub static IDENTITY: AtomicU32 = AtomicU32::new(0);

extern "C" fn child_begins() {
    GENERATION.fetch_add(1, Relaxed);
    IDENTITY.store(0, Relaxed);
}

/// The number of forks between the first process of this family and this one, plus one.
///
/// [`watch`] must have run before the fork; after that the call is one load.
#[inline]
pub fn generation() -> u64 {
    GENERATION.load(Relaxed)
}

/// Begins to count forks. Cheap after the first call.
///
/// # Panics
///
/// When the C library has no memory for the handler: without it a forked child could release what
/// its parent holds.
#[doc(alias = "pthread_atfork")]
pub fn watch() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        // SAFETY: the handler is a function of the right type and only stores to atomics, which
        // is allowed in the child of a multi-threaded process.
        let failed = unsafe { libc::pthread_atfork(None, None, Some(child_begins)) };
        assert_eq!(failed, 0, "the C library has no memory for a fork handler");
    });
}
