//! The floors: what two processes and one shared page cost without any library.

use std::fs::{self, OpenOptions};
use std::slice;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use memmap2::MmapRaw;
use rustix::io::Errno;
use rustix::thread::futex;

use crate::Result;
use crate::clock::poll_until;
use crate::control::Control;
use crate::place::{Place, Side};
use crate::play::{Carry, Hop, Note, carries, hops};
use crate::sum::sum;

const PAGE: u64 = 4096;

/// A line of its own, 128 bytes because the prefetcher takes lines in pairs.
#[repr(C, align(128))]
struct Line<T>(T);

/// One direction.
#[repr(C)]
struct Lane {
    flag: Line<AtomicU64>,
    word: Line<(AtomicU32, AtomicU64)>,
    payload: Line<AtomicU64>,
}

/// Both directions.
#[repr(C)]
struct Page {
    ping: Lane,
    pong: Lane,
}

/// The page, mapped by both sides; all zeros is a valid state.
struct Mapped {
    map: MmapRaw,
    side: Side,
}

impl Mapped {
    fn open(place: &Place) -> Result<Self> {
        let map = map(place, "page", PAGE)?;
        Ok(Self { map, side: place.side })
    }

    fn page(&self) -> &Page {
        let page = self.map.as_mut_ptr().cast::<Page>();
        // SAFETY: the mapping is page-aligned, longer than `Page`, lives as long as `self`, and
        // holds nothing but atomics, for which any bytes are valid.
        unsafe { &*page }
    }

    fn outgoing(&self) -> &Lane {
        if self.side == Side::A { &self.page().ping } else { &self.page().pong }
    }

    fn incoming(&self) -> &Lane {
        if self.side == Side::A { &self.page().pong } else { &self.page().ping }
    }
}

const _: () = assert!(size_of::<Page>() as u64 <= PAGE);

/// Waits for the flag to change, polling; nothing else is touched.
struct Spin {
    page: Mapped,
    seen: u64,
}

impl Hop for Spin {
    fn send(&mut self, note: Note) -> Result<()> {
        self.page.outgoing().flag.0.store(note.seq, Ordering::Release);
        Ok(())
    }

    fn recv(&mut self) -> Result<Note> {
        let (flag, seen) = (&self.page.incoming().flag.0, self.seen);
        self.seen = poll_until(|| {
            let seq = flag.load(Ordering::Acquire);
            Ok((seq != seen).then_some(seq))
        })?;
        Ok(Note { seq: self.seen, held_ns: 0 })
    }
}

/// The same with a payload line that is written before the flag and read after it.
struct SpinPayload(Spin);

impl Hop for SpinPayload {
    fn send(&mut self, note: Note) -> Result<()> {
        self.0.page.outgoing().payload.0.store(note.seq, Ordering::Relaxed);
        self.0.send(note)
    }

    fn recv(&mut self) -> Result<Note> {
        let flagged = self.0.recv()?;
        let seq = self.0.page.incoming().payload.0.load(Ordering::Relaxed);
        if seq != flagged.seq {
            return Err(format!("the flag says {}, the payload {seq}", flagged.seq).into());
        }
        Ok(flagged)
    }
}

/// Waits for a word in the kernel.
struct Futex {
    page: Mapped,
    seen: u32,
}

impl Hop for Futex {
    fn send(&mut self, note: Note) -> Result<()> {
        let (word, held_ns) = &self.page.outgoing().word.0;
        held_ns.store(note.held_ns, Ordering::Relaxed);
        word.store(u32::try_from(note.seq)?, Ordering::Release);
        futex::wake(word, futex::Flags::empty(), 1)?;
        Ok(())
    }

    fn recv(&mut self) -> Result<Note> {
        let (word, held_ns) = &self.page.incoming().word.0;
        loop {
            let seq = word.load(Ordering::Acquire);
            if seq != self.seen {
                self.seen = seq;
                return Ok(Note { seq: seq.into(), held_ns: held_ns.load(Ordering::Relaxed) });
            }
            match futex::wait(word, futex::Flags::empty(), seq, None) {
                Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// One shared block, written by A and read by B, which is woken by a futex.
struct Block {
    futex: Futex,
    map: MmapRaw,
    len: usize,
    seq: u64,
}

impl Block {
    fn open(place: &Place) -> Result<Self> {
        let map = map(place, "block", place.bytes as u64)?;
        let futex = Futex { page: Mapped::open(place)?, seen: 0 };
        Ok(Self { futex, map, len: place.len(), seq: 0 })
    }
}

impl Carry for Block {
    fn fill(&mut self, value: f64) -> Result<()> {
        let start = self.map.as_mut_ptr().cast::<f64>();
        // SAFETY: page-aligned, `len` elements long, any bits are an f64; B reads only between a wake
        // and its answer, and A writes only after that answer.
        unsafe { slice::from_raw_parts_mut(start, self.len) }.fill(value);
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        self.seq += 1;
        self.futex.send(Note { seq: self.seq, held_ns: 0 })
    }

    fn recv(&mut self) -> Result<()> {
        self.futex.recv()?;
        Ok(())
    }

    fn sum(&mut self) -> Result<(usize, f64)> {
        let start = self.map.as_ptr().cast::<f64>();
        // SAFETY: as in `fill`.
        let values = unsafe { slice::from_raw_parts(start, self.len) };
        Ok((self.len, sum(values)))
    }

    fn release(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Maps a file of the pair; B, the last to open it, removes its name.
pub(super) fn map(place: &Place, kind: &str, bytes: u64) -> Result<MmapRaw> {
    let path = place.shm.join(format!("{}.{kind}", place.id));
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
    file.set_len(bytes)?;
    if place.side == Side::B {
        fs::remove_file(path)?;
    }
    Ok(MmapRaw::map_raw(&file)?)
}

/// Whole arrays in one block that both sides have mapped for good.
pub(crate) fn carry(place: &Place, control: &mut Control) -> Result<()> {
    let block = Block::open(place)?;
    control.token("")?;
    carries(control, place.len(), block)
}

/// Raw cache-line ping-pong.
pub(crate) fn spin(place: &Place, control: &mut Control) -> Result<()> {
    let spin = Spin { page: Mapped::open(place)?, seen: 0 };
    control.token("")?;
    hops(control, place.side, spin)
}

/// Raw ping-pong of two cache lines, one after the other.
pub(crate) fn spin_payload(place: &Place, control: &mut Control) -> Result<()> {
    let spin = Spin { page: Mapped::open(place)?, seen: 0 };
    control.token("")?;
    hops(control, place.side, SpinPayload(spin))
}

/// Raw futex ping-pong.
pub(crate) fn futex(place: &Place, control: &mut Control) -> Result<()> {
    let futex = Futex { page: Mapped::open(place)?, seen: 0 };
    control.token("")?;
    hops(control, place.side, futex)
}
