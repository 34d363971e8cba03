//! shared_memory for the block, raw_sync's `Event` for the wake-up and its `Mutex`.
//!
//! The event waits without a timeout: its timeouts end at once half of the time (the nanoseconds
//! are never carried into seconds). The parent bounds the wait instead.

use std::error::Error;
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};

use ::raw_sync::Timeout;
use ::raw_sync::events::{Event, EventImpl, EventInit, EventState};
use ::raw_sync::locks::{LockImpl, LockInit, Mutex};
use shared_memory::{Shmem, ShmemConf};

use crate::Result;
use crate::contest::{Lock, contests};
use crate::control::Control;
use crate::place::{Place, Side};
use crate::play::{Carry, Hop, Note, carries, hops};
use crate::sum::sum;

/// Bytes of an event, its direction's payload behind it.
const PAYLOAD_OFFSET: usize = 512;
const LANE_BYTES: usize = 1024;
/// Bytes of both directions, an array behind them on a page of its own.
const LANES_BYTES: usize = 4096;
const _: () = assert!(2 * LANE_BYTES <= LANES_BYTES);

/// One direction: an event, and the first words of the array.
struct Lane {
    event: Box<dyn EventImpl>,
    seq: *const AtomicU64,
    held_ns: *const AtomicU64,
}

impl Lane {
    /// A makes the events, B finds them.
    fn open(block: &Shmem, index: usize, side: Side) -> Result<Self> {
        // SAFETY: the block has two lanes.
        let start = unsafe { block.as_ptr().add(index * LANE_BYTES) };
        let event = match side {
            // SAFETY: the lane is zeroed memory of the block, longer than an event.
            Side::A => unsafe { Event::new(start, true) },
            // SAFETY: A told us that it has made the event.
            Side::B => unsafe { Event::from_existing(start) },
        };
        let (event, used_bytes) = event.map_err(local)?;
        if used_bytes > PAYLOAD_OFFSET {
            return Err(format!("an event takes {used_bytes} bytes").into());
        }
        // SAFETY: the payload lies in the lane.
        let seq = unsafe { start.add(PAYLOAD_OFFSET) }.cast::<AtomicU64>().cast_const();
        // SAFETY: so does its second word.
        let held_ns = unsafe { seq.add(1) };
        Ok(Self { event, seq, held_ns })
    }
}

/// raw_sync's errors cannot leave their thread.
fn local(error: Box<dyn Error>) -> Box<dyn Error + Send + Sync> {
    error.to_string().into()
}

/// Both directions; the mapping lives behind the lanes.
struct Woken {
    outgoing: Lane,
    incoming: Lane,
    block: Shmem,
}

impl Hop for Woken {
    fn send(&mut self, note: Note) -> Result<()> {
        // SAFETY: aligned, inside the mapping, which lives as long as `self`.
        unsafe { &*self.outgoing.held_ns }.store(note.held_ns, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { &*self.outgoing.seq }.store(note.seq, Ordering::Relaxed);
        self.outgoing.event.set(EventState::Signaled).map_err(local)
    }

    fn recv(&mut self) -> Result<Note> {
        self.incoming.event.wait(Timeout::Infinite).map_err(local)?;
        // SAFETY: aligned, inside the mapping, which lives as long as `self`.
        let held_ns = unsafe { &*self.incoming.held_ns }.load(Ordering::Relaxed);
        // SAFETY: as above.
        let seq = unsafe { &*self.incoming.seq }.load(Ordering::Relaxed);
        Ok(Note { seq, held_ns })
    }
}

impl Woken {
    /// A makes the block, with room for `bytes` behind the lanes, and B finds it.
    fn open(place: &Place, bytes: usize) -> Result<Self> {
        let size = LANES_BYTES + bytes;
        let conf = ShmemConf::new().os_id(format!("/{}.raw", place.id)).size(size);
        let block = if place.side == Side::A { conf.create()? } else { conf.open()? };
        let (out, back) = if place.side == Side::A { (0, 1) } else { (1, 0) };
        let outgoing = Lane::open(&block, out, place.side)?;
        let incoming = Lane::open(&block, back, place.side)?;
        Ok(Self { outgoing, incoming, block })
    }
}

/// One array behind the lanes, written by A and read by B.
struct Whole {
    woken: Woken,
    len: usize,
    seq: u64,
}

impl Whole {
    fn values(&self) -> *mut f64 {
        // SAFETY: the array lies in the block.
        unsafe { self.woken.block.as_ptr().add(LANES_BYTES) }.cast()
    }
}

impl Carry for Whole {
    fn fill(&mut self, value: f64) -> Result<()> {
        // SAFETY: page-aligned, `len` elements long, any bits are an f64; B reads only between an event
        // and its answer to the parent, and A writes only after that answer.
        unsafe { slice::from_raw_parts_mut(self.values(), self.len) }.fill(value);
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        self.seq += 1;
        self.woken.send(Note { seq: self.seq, held_ns: 0 })
    }

    fn recv(&mut self) -> Result<()> {
        self.woken.recv()?;
        Ok(())
    }

    fn sum(&mut self) -> Result<(usize, f64)> {
        // SAFETY: as in `fill`.
        let values = unsafe { slice::from_raw_parts(self.values(), self.len) };
        Ok((self.len, sum(values)))
    }

    fn release(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Receiver sleeps in an `Event`.
pub(crate) fn event(place: &Place, control: &mut Control) -> Result<()> {
    let woken = Woken::open(place, 0)?;
    control.token("")?;
    hops(control, place.side, woken)
}

/// One array in a block that both sides have mapped; the receiver sleeps in an `Event`.
pub(crate) fn carry(place: &Place, control: &mut Control) -> Result<()> {
    let woken = Woken::open(place, place.bytes)?;
    control.token("")?;
    carries(control, place.len(), Whole { woken, len: place.len(), seq: 0 })
}

/// Bytes of a mutex, the counter behind it.
const COUNT_OFFSET: usize = 48;

/// A mutex; the mapping lives behind it.
struct Counter {
    mutex: Box<dyn LockImpl>,
    _block: Shmem,
}

// SAFETY: the mutex is a pthread mutex for threads of any process, and both pointers stay as they are.
unsafe impl Sync for Counter {}

impl Counter {
    /// Calls `act` with the counter while the lock is held.
    #[inline]
    fn locked<R>(&self, act: impl FnOnce(&mut u64) -> R) -> Result<R> {
        let guard = self.mutex.lock().map_err(local)?;
        // SAFETY: the guard points to the counter, which lies in the mapping, and nobody else reaches it.
        Ok(act(unsafe { &mut *guard.cast::<u64>() }))
    }
}

impl Lock for Counter {
    #[inline]
    fn turn(&self) -> Result<()> {
        self.locked(|count| *count += 1)
    }

    fn total(&self) -> Result<u64> {
        self.locked(|count| *count)
    }
}

/// A mutex in a block.
pub(crate) fn mutex(place: &Place, control: &mut Control) -> Result<()> {
    let conf = ShmemConf::new().os_id(format!("/{}.raw", place.id)).size(LANE_BYTES);
    let block = if place.side == Side::A { conf.create()? } else { conf.open()? };
    let start = block.as_ptr();
    // SAFETY: the counter lies in the block.
    let count = unsafe { start.add(COUNT_OFFSET) };
    let mutex = match place.side {
        // SAFETY: the block is zeroed memory, longer than a mutex and its counter.
        Side::A => unsafe { Mutex::new(start, count) },
        // SAFETY: A told us that it has made the mutex.
        Side::B => unsafe { Mutex::from_existing(start, count) },
    };
    let (mutex, used_bytes) = mutex.map_err(local)?;
    if used_bytes > COUNT_OFFSET {
        return Err(format!("a mutex takes {used_bytes} bytes").into());
    }
    control.token("")?;
    contests(control, place, Counter { mutex, _block: block })
}
