//! crossdock: arrays by handle. Every use of the library is in this file.

use std::time::Duration;

use ::crossdock::channel::{Receiver, Sender, TryRecvError};
use ::crossdock::{Array, ArrayMut, Error};

use crate::Result;
use crate::clock::poll_until;
use crate::control::Control;
use crate::place::{Place, Side};
use crate::play::{Carry, Fill, Hop, Note, Stock, carries, fills, hops, stocks};
use crate::sum::sum;

/// Arrays that a channel can hold.
const CAPACITY: usize = 8;
/// The same where bytes are counted, as P11 asks.
const STOCK_CAPACITY: usize = 2;
/// The other side is there already; its channels only have to be found.
pub(super) const OPEN_LIMIT: Duration = Duration::from_secs(5);

/// Both directions of one side.
struct Ends {
    sender: Sender<ArrayMut<f64>>,
    receiver: Receiver<ArrayMut<f64>>,
}

impl Ends {
    /// A creates both channels, B finds them.
    fn open(place: &Place, capacity: usize) -> Result<Self> {
        let (ping, pong) = (format!("{}-ping", place.id), format!("{}-pong", place.id));
        Ok(if place.side == Side::A {
            let sender = Sender::create(&ping, capacity)?;
            Self { sender, receiver: Receiver::create(&pong, capacity)? }
        } else {
            let receiver = Receiver::open_timeout(&ping, OPEN_LIMIT)?;
            Self { sender: Sender::open_timeout(&pong, OPEN_LIMIT)?, receiver }
        })
    }

    fn poll(&self) -> Result<ArrayMut<f64>> {
        poll_until(|| match self.receiver.try_recv() {
            Ok(array) => Ok(Some(array)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(error) => Err(Error::from(error).into()),
        })
    }
}

/// Writes the note into the first elements.
fn write(array: &mut [f64], note: Note) {
    array[0] = note.seq as f64;
    array[1] = note.held_ns as f64;
}

fn read(array: &[f64]) -> Note {
    Note { seq: array[0] as u64, held_ns: array[1] as u64 }
}

/// A new loan for every message; the receiver reads, drops it and answers with a loan of its own.
struct Loans {
    ends: Ends,
    len: usize,
    /// Whether the receiver polls, or sleeps.
    polls: bool,
}

impl Hop for Loans {
    fn send(&mut self, note: Note) -> Result<()> {
        let mut array = self.ends.sender.loan(self.len)?;
        write(&mut array, note);
        Ok(self.ends.sender.send(array).map_err(Error::from)?)
    }

    fn recv(&mut self) -> Result<Note> {
        let array = if self.polls { self.ends.poll()? } else { self.ends.receiver.recv()? };
        Ok(read(&array))
    }
}

/// One array that goes to and fro, written at each stop.
struct Moved {
    ends: Ends,
    array: Option<ArrayMut<f64>>,
}

impl Hop for Moved {
    fn send(&mut self, note: Note) -> Result<()> {
        let mut array = self.array.take().ok_or("the array is not here")?;
        write(&mut array, note);
        Ok(self.ends.sender.send(array).map_err(Error::from)?)
    }

    fn recv(&mut self) -> Result<Note> {
        Ok(read(self.array.insert(self.ends.poll()?)))
    }
}

/// Lengths that a handle-only message counts with.
const LENGTHS: u64 = 8;

/// Loans whose payload nobody touches; the length in the handle is what the receiver checks.
struct Handles {
    ends: Ends,
    len: usize,
    /// Messages received.
    seq: u64,
}

impl Handles {
    fn len(&self, seq: u64) -> usize {
        self.len - (seq % LENGTHS) as usize
    }
}

impl Hop for Handles {
    fn send(&mut self, note: Note) -> Result<()> {
        let array = self.ends.sender.loan(self.len(note.seq))?;
        Ok(self.ends.sender.send(array).map_err(Error::from)?)
    }

    fn recv(&mut self) -> Result<Note> {
        self.seq += 1;
        let (got, expected) = (self.ends.poll()?.len(), self.len(self.seq));
        if got != expected {
            return Err(format!("expected {expected} elements, got {got}").into());
        }
        Ok(Note { seq: self.seq, held_ns: 0 })
    }
}

/// Whole arrays, one way, from A to B.
struct Whole {
    ends: Ends,
    len: usize,
    array: Option<ArrayMut<f64>>,
    /// Whether the receiver polls, or sleeps.
    polls: bool,
}

impl Carry for Whole {
    fn fill(&mut self, value: f64) -> Result<()> {
        self.array.insert(self.ends.sender.loan(self.len)?).fill(value);
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        let array = self.array.take().ok_or("nothing was filled")?;
        Ok(self.ends.sender.send(array).map_err(Error::from)?)
    }

    fn recv(&mut self) -> Result<()> {
        self.array =
            Some(if self.polls { self.ends.poll()? } else { self.ends.receiver.recv()? });
        Ok(())
    }

    fn sum(&mut self) -> Result<(usize, f64)> {
        let array = self.array.as_ref().ok_or("nothing was received")?;
        Ok((array.len(), sum(array)))
    }

    fn release(&mut self) -> Result<()> {
        self.array = None;
        Ok(())
    }
}

/// Arrays of one process: obtained, written, dropped.
struct Memory {
    len: usize,
    array: Option<Array<f64>>,
}

impl Fill for Memory {
    fn fill(&mut self, value: f64) -> Result<()> {
        let mut array = ArrayMut::uninit(self.len)?;
        array.fill(value);
        self.array = Some(array.freeze());
        Ok(())
    }

    fn release(&mut self) -> Result<f64> {
        let array = self.array.take().ok_or("nothing was filled")?;
        Ok(array[self.len / 2])
    }
}

/// Arrays kept where they are while their bytes are counted.
struct Kept {
    ends: Ends,
    len: usize,
    arrays: Vec<ArrayMut<f64>>,
}

impl Kept {
    fn filled(&self) -> Result<ArrayMut<f64>> {
        let mut array = self.ends.sender.loan(self.len)?;
        array.fill(1.0);
        Ok(array)
    }
}

impl Stock for Kept {
    fn queue(&mut self) -> Result<()> {
        let array = self.filled()?;
        Ok(self.ends.sender.send(array).map_err(Error::from)?)
    }

    fn hold(&mut self) -> Result<()> {
        self.arrays.push(self.ends.receiver.recv()?);
        Ok(())
    }

    fn loan(&mut self) -> Result<()> {
        let array = self.filled()?;
        self.arrays.push(array);
        Ok(())
    }
}

fn ends(place: &Place, control: &Control, capacity: usize) -> Result<Ends> {
    let ends = Ends::open(place, capacity)?;
    control.token("")?;
    Ok(ends)
}

/// Receiver polls; written and read.
pub(crate) fn awake(place: &Place, control: &mut Control) -> Result<()> {
    let loans = Loans { ends: ends(place, control, CAPACITY)?, len: place.len(), polls: true };
    hops(control, place.side, loans)
}

/// Receiver sleeps; written and read.
pub(crate) fn asleep(place: &Place, control: &mut Control) -> Result<()> {
    let loans = Loans { ends: ends(place, control, CAPACITY)?, len: place.len(), polls: false };
    hops(control, place.side, loans)
}

/// The same array to and fro; written and read.
pub(crate) fn moved(place: &Place, control: &mut Control) -> Result<()> {
    let ends = ends(place, control, CAPACITY)?;
    let array = match place.side {
        Side::A => Some(ends.sender.loan(place.len())?),
        Side::B => None,
    };
    hops(control, place.side, Moved { ends, array })
}

/// Receiver polls; the payload is not touched.
pub(crate) fn handle(place: &Place, control: &mut Control) -> Result<()> {
    let handles = Handles { ends: ends(place, control, CAPACITY)?, len: place.len(), seq: 0 };
    hops(control, place.side, handles)
}

/// Whole arrays, receiver asleep.
pub(crate) fn carry(place: &Place, control: &mut Control) -> Result<()> {
    carry_to(place, control, false)
}

/// Whole arrays, receiver polls.
pub(crate) fn carry_awake(place: &Place, control: &mut Control) -> Result<()> {
    carry_to(place, control, true)
}

fn carry_to(place: &Place, control: &mut Control, polls: bool) -> Result<()> {
    let ends = ends(place, control, CAPACITY)?;
    let whole = Whole { ends, len: place.len(), array: None, polls };
    carries(control, place.len(), whole)
}

/// First and recycled arrays. What a process sets up once is set up by then: a small array has been.
pub(crate) fn fill(place: &Place, control: &mut Control) -> Result<()> {
    control.token("")?;
    drop(ArrayMut::<f64>::zeroed(1)?);
    fills(control, Memory { len: place.len(), array: None })
}

/// Bytes are counted.
pub(crate) fn stock(place: &Place, control: &mut Control) -> Result<()> {
    let kept =
        Kept { ends: ends(place, control, STOCK_CAPACITY)?, len: place.len(), arrays: Vec::new() };
    stocks(control, kept)
}
