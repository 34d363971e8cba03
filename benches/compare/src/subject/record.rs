//! crossdock: records of 64 bytes in a stream. Every end is a process of its own.

use ::crossdock::channel::{Message, Receiver, Sender};
use ::crossdock::{ArrayMut, Error};

use super::crossdock::OPEN_LIMIT;
use crate::Result;
use crate::control::Control;
use crate::place::{Place, Side};
use crate::record::{BATCH, CAPACITY, Record};
use crate::stream::{Sink, Source, Tally, receives, sends};

/// Records as they are, their bytes in the queue, one by one.
struct Single<T>(T);

impl Source<1> for Single<Sender<Record>> {
    #[inline]
    fn send(&mut self, [record]: [Record; 1]) -> Result<()> {
        Ok(self.0.send(record).map_err(Error::from)?)
    }
}

impl Sink for Single<Receiver<Record>> {
    #[inline]
    fn recv(&mut self, _most: usize, tally: &mut Tally) -> Result<()> {
        tally.take(&self.0.recv()?)
    }
}

/// The same, many in one call.
struct Many<T>(T);

impl<const N: usize> Source<N> for Many<Sender<Record>> {
    #[inline]
    fn send(&mut self, records: [Record; N]) -> Result<()> {
        Ok(self.0.send_many(records).map_err(|(_, error)| error)?)
    }
}

impl Sink for Many<Receiver<Record>> {
    #[inline]
    fn recv(&mut self, most: usize, tally: &mut Tally) -> Result<()> {
        self.0
            .recv_many(most)
            .map_err(|(_, error)| error)?
            .iter()
            .try_for_each(|record| tally.take(record))
    }
}

/// Records as an array of their words, of which the handle travels: what it costs to hand over an array
/// where a record would do.
struct Arrays<T>(T);

impl<const N: usize> Source<N> for Arrays<Sender<ArrayMut<u64>>> {
    #[inline]
    fn send(&mut self, records: [Record; N]) -> Result<()> {
        let words = records.as_flattened();
        let mut array = self.0.loan(words.len())?;
        array.copy_from_slice(words);
        Ok(self.0.send(array).map_err(Error::from)?)
    }
}

impl Sink for Arrays<Receiver<ArrayMut<u64>>> {
    #[inline]
    fn recv(&mut self, _most: usize, tally: &mut Tally) -> Result<()> {
        let array = self.0.recv()?;
        let (records, rest) = array.as_chunks();
        if !rest.is_empty() {
            return Err(format!("{} words are no records", array.len()).into());
        }
        records.iter().try_for_each(|record| tally.take(record))
    }
}

/// The first sender creates the channel, everybody else finds it.
fn sender<M: Message>(place: &Place, control: &Control, capacity: usize) -> Result<Sender<M>> {
    let sender = match place.index {
        0 => Sender::create(&place.id, capacity)?,
        _ => Sender::open_timeout(&place.id, OPEN_LIMIT)?,
    };
    control.token("")?;
    Ok(sender)
}

fn receiver<M: Message>(place: &Place, control: &Control) -> Result<Receiver<M>> {
    let receiver = Receiver::open_timeout(&place.id, OPEN_LIMIT)?;
    control.token("")?;
    Ok(receiver)
}

/// Records in the queue itself, one by one or many in one call.
pub(crate) fn stream(place: &Place, control: &mut Control) -> Result<()> {
    match (place.side, place.ends.batched) {
        (Side::A, false) => {
            let sender = sender(place, control, CAPACITY)?;
            sends(control, place, Single(sender))
        }
        (Side::A, true) => {
            let sender = sender(place, control, CAPACITY)?;
            sends::<BATCH>(control, place, Many(sender))
        }
        (Side::B, false) => {
            let receiver = receiver(place, control)?;
            receives(control, place, Single(receiver))
        }
        (Side::B, true) => {
            let receiver = receiver(place, control)?;
            receives(control, place, Many(receiver))
        }
    }
}

fn arrays<const N: usize>(place: &Place, control: &mut Control) -> Result<()> {
    match place.side {
        Side::A => {
            let sender = sender(place, control, CAPACITY / N)?;
            sends::<N>(control, place, Arrays(sender))
        }
        Side::B => {
            let receiver = receiver(place, control)?;
            receives(control, place, Arrays(receiver))
        }
    }
}

/// Arrays of one record, or of a batch.
pub(crate) fn by_handle(place: &Place, control: &mut Control) -> Result<()> {
    if place.ends.batched { arrays::<BATCH>(place, control) } else { arrays::<1>(place, control) }
}
