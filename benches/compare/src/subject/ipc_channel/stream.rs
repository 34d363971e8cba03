//! Records in a stream, as bytes: a channel for each receiver, which nobody else can receive from.

use ::ipc_channel::ipc::{
    IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender, bytes_channel,
};

use crate::Result;
use crate::control::Control;
use crate::place::{Place, Side};
use crate::record::{BATCH, Record};
use crate::stream::{Sink, Source, Tally, receives, sends};

/// Bytes of a word of a record.
const WORD_BYTES: usize = size_of::<u64>();

impl<const N: usize> Source<N> for IpcBytesSender {
    #[inline]
    fn send(&mut self, records: [Record; N]) -> Result<()> {
        let mut bytes = [[[0; WORD_BYTES]; 8]; N];
        for (record, bytes) in records.iter().zip(&mut bytes) {
            for (word, bytes) in record.iter().zip(bytes) {
                *bytes = word.to_ne_bytes();
            }
        }
        Ok(Self::send(self, bytes.as_flattened().as_flattened())?)
    }
}

impl Sink for IpcBytesReceiver {
    #[inline]
    fn recv(&mut self, _most: usize, tally: &mut Tally) -> Result<()> {
        let bytes = Self::recv(self)?;
        let (words, rest) = bytes.as_chunks::<WORD_BYTES>();
        let (records, few) = words.as_chunks::<8>();
        if !rest.is_empty() || !few.is_empty() {
            return Err(format!("{} bytes are no records", bytes.len()).into());
        }
        records.iter().try_for_each(|record| tally.take(&record.map(u64::from_ne_bytes)))
    }
}

fn sender(control: &Control) -> Result<IpcBytesSender> {
    let (server, name) = IpcOneShotServer::new()?;
    control.token(&name)?;
    Ok(server.accept()?.1)
}

/// Makes a channel and gives its sender to this receiver's share of the senders, whose names are the token.
fn receiver(place: &Place) -> Result<IpcBytesReceiver> {
    let (sender, receiver) = bytes_channel()?;
    let senders = place.token.split(',').skip(place.index).step_by(place.ends.receivers);
    for name in senders {
        IpcSender::connect(name.to_owned())?.send(sender.clone())?;
    }
    Ok(receiver)
}

/// One record, or a batch, in each message.
pub(crate) fn stream(place: &Place, control: &mut Control) -> Result<()> {
    match place.side {
        Side::A if place.ends.batched => {
            let sender = sender(control)?;
            sends::<BATCH>(control, place, sender)
        }
        Side::A => {
            let sender = sender(control)?;
            sends::<1>(control, place, sender)
        }
        Side::B => {
            let receiver = receiver(place)?;
            control.token("")?;
            receives(control, place, receiver)
        }
    }
}
