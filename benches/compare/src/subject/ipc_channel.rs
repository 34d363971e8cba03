//! ipc-channel: a handle of its shared memory, a serialised vector, and plain bytes.

pub(crate) mod stream;

use std::sync::Arc;

use ::ipc_channel::ipc::{
    IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcReceiver, IpcSender, IpcSharedMemory,
    bytes_channel, channel,
};
use ::serde::Serialize;
use ::serde::de::DeserializeOwned;

use crate::Result;
use crate::control::Control;
use crate::place::{Place, Side};
use crate::play::{Carry, Hop, Note, carries, hops};
use crate::sum::{sum, sum_bytes};

/// Brings what B makes to A, through a one-shot server whose name A prints as its token.
fn meet<T: Serialize + DeserializeOwned>(
    place: &Place,
    control: &Control,
    make: impl FnOnce() -> Result<(T, T)>,
) -> Result<T> {
    if place.side == Side::A {
        let (server, name) = IpcOneShotServer::<T>::new()?;
        control.token(&name)?;
        return Ok(server.accept()?.1);
    }
    let (own, theirs) = make()?;
    IpcSender::connect(place.token.clone())?.send(theirs)?;
    control.token("")?;
    Ok(own)
}

/// One side's ends of the two channels.
type Ends<T> = (IpcSender<T>, IpcReceiver<T>);

fn both_ways<T: Serialize + DeserializeOwned>() -> Result<(Ends<T>, Ends<T>)> {
    let (ping, pinged) = channel()?;
    let (pong, ponged) = channel()?;
    Ok(((pong, pinged), (ping, ponged)))
}

/// One block of shared memory that goes to and fro.
struct Handle {
    ends: Ends<IpcSharedMemory>,
    block: Option<IpcSharedMemory>,
}

impl Hop for Handle {
    fn send(&mut self, note: Note) -> Result<()> {
        let mut block = self.block.take().ok_or("the block is not here")?;
        // SAFETY: the block is never cloned by us and sent once per receive, so only the side that
        // has it reads or writes it.
        let bytes = unsafe { block.deref_mut() };
        bytes[..8].copy_from_slice(&note.seq.to_ne_bytes());
        bytes[8..16].copy_from_slice(&note.held_ns.to_ne_bytes());
        Ok(self.ends.0.send(block)?)
    }

    fn recv(&mut self) -> Result<Note> {
        let block = self.block.insert(self.ends.1.recv()?);
        let words = block.as_chunks::<8>().0;
        Ok(Note { seq: u64::from_ne_bytes(words[0]), held_ns: u64::from_ne_bytes(words[1]) })
    }
}

/// A vector through serde; the sender's own copy is shared with the message, not cloned.
struct Serde {
    ends: Ends<Arc<Vec<f64>>>,
    own: Arc<Vec<f64>>,
    got: Option<Arc<Vec<f64>>>,
}

impl Carry for Serde {
    fn fill(&mut self, value: f64) -> Result<()> {
        Arc::get_mut(&mut self.own).ok_or("the last message is not gone")?.fill(value);
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        Ok(self.ends.0.send(Arc::clone(&self.own))?)
    }

    fn recv(&mut self) -> Result<()> {
        self.got = Some(self.ends.1.recv()?);
        Ok(())
    }

    fn sum(&mut self) -> Result<(usize, f64)> {
        let got = self.got.as_ref().ok_or("nothing was received")?;
        Ok((got.len(), sum(got)))
    }

    fn release(&mut self) -> Result<()> {
        self.got = None;
        Ok(())
    }
}

/// Bytes without serde, the fastest copy it has.
struct Bytes {
    ends: (IpcBytesSender, IpcBytesReceiver),
    own: Vec<u8>,
    got: Vec<u8>,
}

impl Carry for Bytes {
    fn fill(&mut self, value: f64) -> Result<()> {
        // SAFETY: any bits are an f64.
        let (head, values, tail) = unsafe { self.own.align_to_mut::<f64>() };
        if !head.is_empty() || !tail.is_empty() {
            return Err("the allocator gave a buffer that is not aligned for f64".into());
        }
        values.fill(value);
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        Ok(self.ends.0.send(&self.own)?)
    }

    fn recv(&mut self) -> Result<()> {
        self.got = self.ends.1.recv()?;
        Ok(())
    }

    fn sum(&mut self) -> Result<(usize, f64)> {
        Ok((self.got.len() / size_of::<f64>(), sum_bytes(&self.got)))
    }

    fn release(&mut self) -> Result<()> {
        self.got = Vec::new();
        Ok(())
    }
}

/// `IpcSharedMemory` there and back.
pub(crate) fn handle(place: &Place, control: &mut Control) -> Result<()> {
    let ends = meet(place, control, both_ways)?;
    let block = (place.side == Side::A).then(|| IpcSharedMemory::from_byte(0, place.bytes));
    hops(control, place.side, Handle { ends, block })
}

/// `Vec<f64>` one way.
pub(crate) fn serde(place: &Place, control: &mut Control) -> Result<()> {
    let ends = meet(place, control, both_ways)?;
    let own = Arc::new(vec![0.0; if place.side == Side::A { place.len() } else { 0 }]);
    carries(control, place.len(), Serde { ends, own, got: None })
}

/// `&[u8]` one way.
pub(crate) fn bytes(place: &Place, control: &mut Control) -> Result<()> {
    let ends = meet(place, control, || {
        let (ping, pinged) = bytes_channel()?;
        let (pong, ponged) = bytes_channel()?;
        Ok(((pong, pinged), (ping, ponged)))
    })?;
    let own = vec![0; if place.side == Side::A { place.bytes } else { 0 }];
    carries(control, place.len(), Bytes { ends, own, got: Vec::new() })
}
