//! The short way of records through a queue.
//!
//! A record hands nothing over and leads nowhere: its bytes go from where they are into a slot, and from there to where
//! they are wanted. Whatever is not as usual (no room, no message, messages that are to be acknowledged, a limit of
//! bytes, a fork) is left to the way that all messages can go.

use super::batch::BATCH_MAX;
use super::core::{Core, End};
use super::message::Message;
use crossdock_core::layout::Carrier;
use crossdock_core::ring::{RecvBatch, Ring};

impl Core {
    /// Whether messages are records, there is no limit of bytes, and this process may use the channel.
    #[inline]
    fn is_usual(&self) -> bool {
        self.is_of_records && self.check_ours().is_ok()
    }

    /// The queue, if its messages are records and need not be acknowledged.
    #[inline]
    fn records(&self) -> Option<&Ring<'static>> {
        match &self.map.table.carrier {
            Carrier::Queue(ring, None) if self.is_usual() => Some(ring),
            _ => None,
        }
    }

    /// Sends a record if there is room at once. Returns whether it has been sent.
    #[inline]
    pub(super) fn send_record(&self, record: &[u8]) -> bool {
        let Carrier::Queue(ring, _) = &self.map.table.carrier else { return false };
        if !self.is_usual() || self.members(End::Receiver).have_left() {
            return false;
        }
        let Ok(claim) = ring.claim(self.member.me.party) else { return false };
        let is_awaited = ring.publish_bytes(claim, record);
        self.tell_sent(1, is_awaited);
        true
    }

    /// Receives a record if one of this length is there at once. Returns whether it has been received.
    #[inline]
    pub(super) fn recv_record(&self, record: &mut [u8]) -> bool {
        let Some(ring) = self.records() else { return false };
        let Ok(Some(message)) = ring.poll() else { return false };
        if message.len() != record.len().div_ceil(8) {
            return false;
        }
        ring.copy_bytes(&message, record);
        let is_mine = ring.take_briefly(&message, self.member.me.party);
        if is_mine {
            self.tell_received(1, ring.finish_brief(&message));
        }
        is_mine
    }

    /// Receives records that are there, `max` at most, into `records`. Returns how many; those that are not as usual are
    /// left to the usual way.
    pub(super) fn recv_records<M: Message>(&self, max: usize, records: &mut Vec<M>) -> usize {
        let Some(ring) = self.records() else { return 0 };
        let mut batch = RecvBatch::new(ring, self.member.me.party);
        let mut received = 0;
        while received < max.min(BATCH_MAX)
            && let Ok(Some(message)) = batch.poll()
        {
            let record = M::of_record(|bytes| {
                let fits = message.len() == bytes.len().div_ceil(8);
                fits && {
                    ring.copy_bytes(&message, bytes);
                    batch.take(&message)
                }
            });
            let Some(record) = record else { break };
            records.push(record);
            received += 1;
        }
        self.tell_received(received, batch.end());
        received
    }
}
