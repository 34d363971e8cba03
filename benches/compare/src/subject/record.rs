//! crossdock: records of 64 bytes in a stream. Every end is a process of its own.

use ::crossdock::channel::{Receiver, Sender};
use ::crossdock::{ArrayMut, Error};

use super::crossdock::OPEN_LIMIT;
use crate::Result;
use crate::control::Control;
use crate::place::{Place, Side};
use crate::record::{BATCH, CAPACITY, Record};
use crate::stream::{Sink, Source, Tally, receives, sends};

impl<const N: usize> Source<N> for Sender<Record> {
    #[inline]
    fn send(&mut self, records: [Record; N]) -> Result<()> {
        if let [record] = records.as_slice() {
            return Ok(Sender::send(self, *record).map_err(Error::from)?);
        }
        Ok(self.send_many(records).map_err(|(_, error)| error)?)
    }
}

impl Sink for Receiver<Record> {
    #[inline]
    fn recv(&mut self, _most: usize, tally: &mut Tally) -> Result<()> {
        tally.take(&Receiver::recv(self)?)
    }
}

/// A receiver that takes as many records as there are.
struct Batches(Receiver<Record>);

impl Sink for Batches {
    #[inline]
    fn recv(&mut self, most: usize, tally: &mut Tally) -> Result<()> {
        self.0.recv_many(most).map_err(|(_, error)| error)?.iter().try_for_each(|record| tally.take(record))
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

fn arrays<const N: usize>(place: &Place, control: &mut Control) -> Result<()> {
    match place.side {
        Side::A => {
            let sender = match place.index {
                0 => Sender::create(&place.id, CAPACITY / N)?,
                _ => Sender::open_timeout(&place.id, OPEN_LIMIT)?,
            };
            control.token("")?;
            sends::<N>(control, place, Arrays(sender))
        }
        Side::B => {
            let receiver = Receiver::open_timeout(&place.id, OPEN_LIMIT)?;
            control.token("")?;
            receives(control, place, Arrays(receiver))
        }
    }
}

/// Records in the queue itself.
pub(crate) fn inline(place: &Place, control: &mut Control) -> Result<()> {
    match place.side {
        Side::A => {
            let sender = match place.index {
                0 => Sender::<Record>::create(&place.id, CAPACITY)?,
                _ => Sender::open_timeout(&place.id, OPEN_LIMIT)?,
            };
            control.token("")?;
            if place.ends.batched {
                sends::<BATCH>(control, place, sender)
            } else {
                sends::<1>(control, place, sender)
            }
        }
        Side::B => {
            let receiver = Receiver::<Record>::open_timeout(&place.id, OPEN_LIMIT)?;
            control.token("")?;
            if place.ends.batched {
                receives(control, place, Batches(receiver))
            } else {
                receives(control, place, receiver)
            }
        }
    }
}

/// Arrays of one record, or of a batch.
pub(crate) fn by_handle(place: &Place, control: &mut Control) -> Result<()> {
    if place.ends.batched { arrays::<BATCH>(place, control) } else { arrays::<1>(place, control) }
}
