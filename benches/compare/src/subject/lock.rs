//! Locks of one word: the floors, ours, and the two that stay inside a process.

use std::cell::UnsafeCell;
use std::hint;
use std::sync::atomic::{AtomicU32, Ordering};

use ::crossdock::Value;
use memmap2::MmapRaw;
use rustix::io::Errno;
use rustix::thread::futex;

use super::floor;
use crate::Result;
use crate::contest::{Lock, contests};
use crate::control::Control;
use crate::place::{Place, Side};

const PAGE: u64 = 4096;
/// How often std looks before it sleeps.
const SPINS: u32 = 100;

const FREE: u32 = 0;
const LOCKED: u32 = 1;
const CONTENDED: u32 = 2;

/// A lock and its value as they lie in the page; all zeros is a valid state.
#[repr(C)]
struct Cell {
    word: AtomicU32,
    unused: u32,
    count: UnsafeCell<u64>,
}

/// The least that excludes others: an exchange, a swap, and the kernel for those who wait, without a
/// time limit ("Futexes Are Tricky", mutex 3). Nobody notices if the owner dies.
struct FutexWord<const SPINS: u32> {
    map: MmapRaw,
}

impl<const SPINS: u32> FutexWord<SPINS> {
    fn open(place: &Place) -> Result<Self> {
        Ok(Self { map: floor::map(place, "lock", PAGE)? })
    }

    #[inline]
    fn cell(&self) -> *const Cell {
        self.map.as_mut_ptr().cast::<Cell>().cast_const()
    }

    #[inline]
    fn word(&self) -> &AtomicU32 {
        // SAFETY: the mapping is page-aligned, longer than `Cell` and lives as long as `self`.
        unsafe { &(*self.cell()).word }
    }

    /// Calls `act` with the counter while the lock is held.
    #[inline]
    fn locked<R>(&self, act: impl FnOnce(&mut u64) -> R) -> Result<R> {
        let word = self.word();
        if word.compare_exchange(FREE, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_err() {
            wait(word, SPINS)?;
        }
        // SAFETY: as in `word`.
        let count = unsafe { &(*self.cell()).count };
        // SAFETY: the lock is held, so nobody else reaches the counter.
        let outcome = act(unsafe { &mut *count.get() });
        if word.swap(FREE, Ordering::Release) == CONTENDED {
            wake(word)?;
        }
        Ok(outcome)
    }
}

#[cold]
fn wait(word: &AtomicU32, spins: u32) -> Result<()> {
    for _ in 0..spins {
        match word.load(Ordering::Relaxed) {
            LOCKED => hint::spin_loop(),
            _ => break,
        }
    }
    if word.compare_exchange(FREE, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_ok() {
        return Ok(());
    }
    while word.swap(CONTENDED, Ordering::Acquire) != FREE {
        match futex::wait(word, futex::Flags::empty(), CONTENDED, None) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cold]
fn wake(word: &AtomicU32) -> Result<()> {
    futex::wake(word, futex::Flags::empty(), 1)?;
    Ok(())
}

impl<const SPINS: u32> Lock for FutexWord<SPINS> {
    #[inline]
    fn turn(&self) -> Result<()> {
        self.locked(|count| *count += 1)
    }

    fn total(&self) -> Result<u64> {
        self.locked(|count| *count)
    }
}

impl Lock for Value<::crossdock::sync::Mutex<u64>> {
    #[inline]
    fn turn(&self) -> Result<()> {
        *self.lock().map_err(::crossdock::Error::from)? += 1;
        Ok(())
    }

    fn total(&self) -> Result<u64> {
        Ok(*self.lock().map_err(::crossdock::Error::from)?)
    }
}

/// On lines of its own, as the others.
#[repr(align(128))]
struct Private<T>(T);

impl Lock for Private<std::sync::Mutex<u64>> {
    #[inline]
    fn turn(&self) -> Result<()> {
        *self.0.lock().map_err(|error| error.to_string())? += 1;
        Ok(())
    }

    fn total(&self) -> Result<u64> {
        Ok(*self.0.lock().map_err(|error| error.to_string())?)
    }
}

impl Lock for Private<::parking_lot::Mutex<u64>> {
    #[inline]
    fn turn(&self) -> Result<()> {
        *self.0.lock() += 1;
        Ok(())
    }

    fn total(&self) -> Result<u64> {
        Ok(*self.0.lock())
    }
}

/// The floor: whoever has to wait sleeps at once.
pub(crate) fn futex_word(place: &Place, control: &mut Control) -> Result<()> {
    let lock = FutexWord::<0>::open(place)?;
    control.token("")?;
    contests(control, place, lock)
}

/// The floor, looking for as long as std does before it sleeps.
pub(crate) fn spinning_futex_word(place: &Place, control: &mut Control) -> Result<()> {
    let lock = FutexWord::<SPINS>::open(place)?;
    control.token("")?;
    contests(control, place, lock)
}

/// Ours: A makes the value, B opens it.
pub(crate) fn crossdock(place: &Place, control: &mut Control) -> Result<()> {
    let lock = match place.side {
        Side::A => Value::create(&place.id, ::crossdock::sync::Mutex::new(0_u64))?,
        Side::B => Value::open(&place.id)?,
    };
    control.token("")?;
    contests(control, place, lock)
}

/// Inside one process.
pub(crate) fn std(place: &Place, control: &mut Control) -> Result<()> {
    control.token("")?;
    contests(control, place, Private(std::sync::Mutex::new(0)))
}

/// Inside one process.
pub(crate) fn parking_lot(place: &Place, control: &mut Control) -> Result<()> {
    control.token("")?;
    contests(control, place, Private(::parking_lot::Mutex::new(0)))
}
