//! Noticing a `fork` that the library did not make.
//!
//! A forked child has copies of every handle but is another process: it must not release what its
//! parent holds. Each handle remembers the generation it was made in; a child has a later one.
//!
//! A child also has every descriptor of its parent, `O_CLOEXEC` or not. For one whose open file must die
//! with its process, such as that of a [token](crate::token), there is `Unshared`: a child closes it
//! before `fork` returns there.
#![allow(unsafe_code, reason = "pthread_atfork is a C interface")]

use crate::clock::Deadline;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::Once;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64};
use std::time::Duration;

static GENERATION: AtomicU64 = AtomicU64::new(1);

/// A word that a process sets to say who it is, and that is 0 again in a child that it forks.
///
/// As [`generation`], it needs [`watch`] to have run before the fork.
pub static IDENTITY: AtomicU32 = AtomicU32::new(0);

/// Descriptors that a process can keep from its children at once.
const UNSHARED_MAX: usize = 16;
/// What a place of [`UNSHARED`] says when it is free.
const NO_FD: RawFd = -1;
/// The numbers of the descriptors that a child closes.
static UNSHARED: [AtomicI32; UNSHARED_MAX] = [const { AtomicI32::new(NO_FD) }; UNSHARED_MAX];

/// Forks that this process has begun, and those that have ended in it: well or badly.
static BEGUN: AtomicU64 = AtomicU64::new(0);
static ENDED: AtomicU64 = AtomicU64::new(0);
/// How long [`Unshared::open`] tries to find a moment in which no other thread forks.
const FORKS_MAX: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_micros(20);

extern "C" fn fork_begins() {
    BEGUN.fetch_add(1, SeqCst);
}

extern "C" fn parent_goes_on() {
    ENDED.fetch_add(1, SeqCst);
}

extern "C" fn child_begins() {
    GENERATION.fetch_add(1, Relaxed);
    IDENTITY.store(0, Relaxed);
    // Of all threads only the one that forked is here, so no fork is under way.
    ENDED.store(BEGUN.load(Relaxed), Relaxed);
    for place in &UNSHARED {
        let fd = place.swap(NO_FD, Relaxed);
        if fd != NO_FD {
            // SAFETY: invariants 1 and 2 of `Unshared`: the number is that of the parent's descriptor, of
            // which this process has a copy that nobody else here uses or closes.
            unsafe { libc::close(fd) };
        }
    }
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
/// When the C library has no memory for the handlers: without them a forked child could release what
/// its parent holds.
#[doc(alias = "pthread_atfork")]
pub fn watch() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        // SAFETY: the handlers are functions of the right type; they load and store atomics and call
        // `close`, all of which is allowed in the child of a multi-threaded process.
        let failed = unsafe {
            libc::pthread_atfork(Some(fork_begins), Some(parent_goes_on), Some(child_begins))
        };
        assert_eq!(failed, 0, "the C library has no memory for a fork handler");
    });
}

/// A descriptor that a forked child does not have.
///
/// Two threads can open and fork at the same moment, and the child would have a descriptor that nobody
/// has told it to close. So [`Unshared::open`] looks whether a fork began before it was done, and if so
/// throws its open file away and opens another.
///
/// # Invariants
///
/// 1. In the process that made it `fd` is open and nobody else's, and `place` has its number, from before
///    `open` returns until just before it is closed. So whenever another thread forks, either `place` has
///    the number of that very descriptor, or the child's copy of it is of an open file that holds nothing.
/// 2. In a child `fd` has been closed and the number may be anybody's: nothing here uses or closes it
///    there, and `place` may be another one's.
#[derive(Debug)]
pub(crate) struct Unshared {
    fd: RawFd,
    place: &'static AtomicI32,
    generation: u64,
}

impl Unshared {
    /// Keeps what `open` opens from all children. Whatever makes the open file precious is done after
    /// this has returned.
    ///
    /// If other threads fork without a pause for a second, it is kept from all children but those that are
    /// being made at that moment.
    pub(crate) fn open(open: impl Fn() -> io::Result<OwnedFd>) -> io::Result<Self> {
        watch();
        let deadline = Deadline::after(FORKS_MAX);
        loop {
            let ended = ENDED.load(SeqCst);
            if BEGUN.load(SeqCst) != ended && !deadline.is_past() {
                std::thread::sleep(POLL);
                continue;
            }
            let unshared = Self::enter(open()?)?;
            if BEGUN.load(SeqCst) == ended || deadline.is_past() {
                return Ok(unshared);
            }
        }
    }

    fn enter(fd: OwnedFd) -> io::Result<Self> {
        let is_ours = |place: &&AtomicI32| {
            place.compare_exchange(NO_FD, fd.as_raw_fd(), SeqCst, Relaxed).is_ok()
        };
        let place = UNSHARED.iter().find(is_ours).ok_or_else(|| {
            io::Error::other("all 16 descriptors that can be kept from a forked child are in use")
        })?;
        Ok(Self { fd: fd.into_raw_fd(), place, generation: generation() })
    }

    /// The descriptor; `None` in a forked child, which has closed it.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        if self.generation != generation() {
            return None;
        }
        // SAFETY: by invariant 1 it is open as long as `self`.
        Some(unsafe { BorrowedFd::borrow_raw(self.fd) })
    }
}

impl Drop for Unshared {
    fn drop(&mut self) {
        if self.generation != generation() {
            return;
        }
        // In this order: a child must never close a number that has become somebody else's.
        self.place.store(NO_FD, SeqCst);
        // SAFETY: by invariant 1 it is open and nobody else's.
        drop(unsafe { OwnedFd::from_raw_fd(self.fd) });
    }
}
