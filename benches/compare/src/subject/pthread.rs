//! libc's own mutex between processes, plain and robust.

use std::cell::UnsafeCell;
use std::io;
use std::mem::MaybeUninit;

use memmap2::MmapRaw;

use super::floor;
use crate::Result;
use crate::contest::{Lock, contests};
use crate::control::Control;
use crate::place::{Place, Side};

const PAGE: u64 = 4096;

/// A lock and its value as they lie in the page.
#[repr(C)]
struct Cell {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    count: UnsafeCell<u64>,
}

/// A mutex that both sides have mapped.
struct Pthread {
    map: MmapRaw,
}

/// What went wrong, if anything did.
#[inline]
fn checked(code: i32) -> Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code).into()) }
}

impl Pthread {
    /// A makes the mutex, B finds it.
    fn open(place: &Place, robustness: i32) -> Result<Self> {
        let mutex = Self { map: floor::map(place, "lock", PAGE)? };
        if place.side == Side::A {
            mutex.init(robustness)?;
        }
        Ok(mutex)
    }

    fn init(&self, robustness: i32) -> Result<()> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: there is room for the attributes.
        checked(unsafe { libc::pthread_mutexattr_init(attributes.as_mut_ptr()) })?;
        let attributes = attributes.as_mut_ptr();
        let shared = libc::PTHREAD_PROCESS_SHARED;
        // SAFETY: the attributes have been initialised.
        checked(unsafe { libc::pthread_mutexattr_setpshared(attributes, shared) })?;
        // SAFETY: as above.
        checked(unsafe { libc::pthread_mutexattr_setrobust(attributes, robustness) })?;
        // SAFETY: the mutex lies in the mapping, and nobody else knows it yet.
        checked(unsafe { libc::pthread_mutex_init(self.cell().mutex.get(), attributes) })
    }

    #[inline]
    fn cell(&self) -> &Cell {
        let cell = self.map.as_mut_ptr().cast::<Cell>();
        // SAFETY: the mapping is page-aligned, longer than `Cell`, lives as long as `self`, and what is in
        // the cell is reached through `UnsafeCell` only.
        unsafe { &*cell }
    }

    /// Calls `act` with the counter while the lock is held.
    #[inline]
    fn locked<R>(&self, act: impl FnOnce(&mut u64) -> R) -> Result<R> {
        let cell = self.cell();
        // SAFETY: A has initialised the mutex before B was started.
        checked(unsafe { libc::pthread_mutex_lock(cell.mutex.get()) })?;
        // SAFETY: the lock is held, so nobody else reaches the counter.
        let outcome = act(unsafe { &mut *cell.count.get() });
        // SAFETY: this thread holds the mutex.
        checked(unsafe { libc::pthread_mutex_unlock(cell.mutex.get()) })?;
        Ok(outcome)
    }
}

// SAFETY: the cell is a mutex for threads of any process, and the counter is reached under it only.
unsafe impl Sync for Pthread {}

impl Lock for Pthread {
    #[inline]
    fn turn(&self) -> Result<()> {
        self.locked(|count| *count += 1)
    }

    fn total(&self) -> Result<u64> {
        self.locked(|count| *count)
    }
}

/// Nobody notices if the owner dies.
pub(crate) fn plain(place: &Place, control: &mut Control) -> Result<()> {
    let lock = Pthread::open(place, libc::PTHREAD_MUTEX_STALLED)?;
    control.token("")?;
    contests(control, place, lock)
}

/// The next owner is told if the owner dies.
pub(crate) fn robust(place: &Place, control: &mut Control) -> Result<()> {
    let lock = Pthread::open(place, libc::PTHREAD_MUTEX_ROBUST)?;
    control.token("")?;
    contests(control, place, lock)
}
