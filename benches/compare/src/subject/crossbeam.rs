//! crossbeam-channel: what two threads of one process can do.

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use crate::Result;
use crate::clock::poll_until;
use crate::control::Control;
use crate::place::Place;
use crate::play::Carry;
use crate::record::{BATCH, CAPACITY, Record};
use crate::stream::{Sink, Source, Tally, threads};
use crate::sum::sum;
use crate::within::passes;

/// Arrays that a channel can hold.
const ARRAYS: usize = 8;

/// One end of a `Vec` that goes to and fro, so that its pages are written again and again.
struct Reused {
    outgoing: Sender<Vec<f64>>,
    incoming: Receiver<Vec<f64>>,
    own: Option<Vec<f64>>,
    /// Whether the receiver polls, or sleeps.
    polls: bool,
}

impl Reused {
    fn both(len: usize, polls: bool) -> (Self, Self) {
        let (outgoing, there) = bounded(ARRAYS);
        let (back, incoming) = bounded(ARRAYS);
        let a = Self { outgoing, incoming, own: Some(vec![0.0; len]), polls };
        (a, Self { outgoing: back, incoming: there, own: None, polls })
    }

    fn give(&mut self) -> Result<()> {
        Ok(self.outgoing.send(self.own.take().ok_or("the vector is not here")?)?)
    }
}

impl Carry for Reused {
    fn fill(&mut self, value: f64) -> Result<()> {
        let mut own = match self.own.take() {
            Some(own) => own,
            None => self.incoming.recv()?,
        };
        own.fill(value);
        self.own = Some(own);
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        self.give()
    }

    fn recv(&mut self) -> Result<()> {
        self.own = Some(if self.polls {
            poll_until(|| match self.incoming.try_recv() {
                Ok(vector) => Ok(Some(vector)),
                Err(TryRecvError::Empty) => Ok(None),
                Err(error) => Err(error.into()),
            })?
        } else {
            self.incoming.recv()?
        });
        Ok(())
    }

    fn sum(&mut self) -> Result<(usize, f64)> {
        let own = self.own.as_ref().ok_or("nothing was received")?;
        Ok((own.len(), sum(own)))
    }

    fn release(&mut self) -> Result<()> {
        self.give()
    }
}

impl<const N: usize> Source<N> for Sender<[Record; N]> {
    #[inline]
    fn send(&mut self, records: [Record; N]) -> Result<()> {
        Ok(Self::send(self, records)?)
    }
}

impl<const N: usize> Sink for Receiver<[Record; N]> {
    #[inline]
    fn recv(&mut self, _most: usize, tally: &mut Tally) -> Result<()> {
        let records = Self::recv(self)?;
        records.iter().try_for_each(|record| tally.take(record))
    }
}

/// A vector to and fro, receiver asleep.
pub(crate) fn carry(place: &Place, control: &mut Control) -> Result<()> {
    carry_to(place, control, false)
}

/// A vector to and fro, receiver polls.
pub(crate) fn carry_awake(place: &Place, control: &mut Control) -> Result<()> {
    carry_to(place, control, true)
}

fn carry_to(place: &Place, control: &mut Control, polls: bool) -> Result<()> {
    control.token("")?;
    let (a, b) = Reused::both(place.len(), polls);
    passes(control, place, a, b)
}

/// Records, or arrays of them, by value.
pub(crate) fn stream(place: &Place, control: &mut Control) -> Result<()> {
    if place.ends.batched { records::<BATCH>(place, control) } else { records::<1>(place, control) }
}

fn records<const N: usize>(place: &Place, control: &mut Control) -> Result<()> {
    control.token("")?;
    let (sender, receiver) = bounded::<[Record; N]>(CAPACITY / N);
    let sources = vec![sender; place.ends.senders];
    threads(control, place, sources, vec![receiver; place.ends.receivers])
}
