//! Several messages in a row through the queue of a channel.

use super::core::{Core, End};
use super::message;
use super::parcel::{Inbox, Parcel};
use crate::error::Result;
use crossdock_core::layout::Carrier;
use crossdock_core::ring::{RecvBatch, SendBatch};
use crossdock_core::signal::Signal;
use std::vec;

/// Messages that are sent or received in a row, before others are told.
pub(super) const BATCH_MAX: usize = 32;

#[inline]
fn tell(others: &Signal, count: usize, own: &Signal, is_awaited: bool) {
    match count {
        0 => {}
        1 => others.notify(),
        _ => others.notify_all(),
    }
    if is_awaited {
        own.notify_all();
    }
}

impl Core {
    /// Sends messages for as long as there is room for them at once; the others stay. What cannot be sent for another
    /// reason stays as well, and the usual way will say why.
    pub(super) fn send_more<M: message::Message>(&self, messages: &mut vec::IntoIter<M>) {
        let Carrier::Queue(ring, _) = &self.map.table.carrier else { return };
        if self.settings().bytes_max > 0 || self.check_ours().is_err() {
            return;
        }
        let mut batch = SendBatch::new(ring, self.member.me.party);
        let mut sent = 0;
        while sent < BATCH_MAX
            && !self.members(End::Receiver).have_left()
            && let Some(message) = messages.as_slice().get(sent)
            && self.send_in_batch(&mut batch, message)
        {
            sent += 1;
        }
        self.tell_sent(sent, batch.end());
        // Letting go of a handle may take a while.
        messages.by_ref().take(sent).for_each(drop);
    }

    #[inline]
    fn send_in_batch<M: message::Message>(
        &self,
        batch: &mut SendBatch<'_, '_>,
        message: &M,
    ) -> bool {
        if let Some(record) = message.record().filter(|_| self.is_of_records) {
            let Ok(claim) = batch.claim() else { return false };
            batch.publish_bytes(claim, record);
            return true;
        }
        let mut parcel = Parcel::default();
        if parcel.fill(message).and_then(|()| self.check_types(&parcel.arrays)).is_err() {
            return false;
        }
        let Ok(mut claim) = batch.claim() else { return false };
        if !parcel.arrays.is_empty() {
            batch.arm(&mut claim, parcel.words());
            self.hand_over(&parcel.arrays);
        }
        batch.publish(claim, parcel.words());
        true
    }

    /// Receives messages that are there, `max` at most, and calls `each` with every one. Ends at the first that cannot
    /// be received, and leaves it to the usual way to say why.
    pub(super) fn receive_more(
        &self,
        max: usize,
        inbox: &mut Inbox,
        mut each: impl FnMut(&mut Inbox) -> Result<()>,
    ) -> Result<()> {
        let Carrier::Queue(ring, None) = &self.map.table.carrier else { return Ok(()) };
        self.check_ours()?;
        let mut batch = RecvBatch::new(ring, self.member.me.party);
        let mut received = 0;
        let mut outcome = Ok(());
        while received < max.min(BATCH_MAX)
            && outcome.is_ok()
            && let Ok(Some(message)) = batch.poll()
        {
            if self.sight_message(ring, &message, inbox).is_err() || !batch.take(&message) {
                break;
            }
            outcome =
                inbox.open(|ticket, region| self.adopt(ticket, region)).and_then(|()| each(inbox));
            received += 1;
        }
        self.tell_received(received, batch.end());
        outcome
    }

    /// Wakes receivers for so many messages that were sent, and senders if a slot `is_awaited`.
    #[inline]
    pub(super) fn tell_sent(&self, sent: usize, is_awaited: bool) {
        let control = self.map.table.control;
        tell(&control.not_empty, sent, &control.not_full, is_awaited);
    }

    /// Wakes senders for the room of so many messages, and receivers if a slot `is_awaited`.
    #[inline]
    pub(super) fn tell_received(&self, received: usize, is_awaited: bool) {
        let control = self.map.table.control;
        tell(&control.not_full, received, &control.not_empty, is_awaited);
    }
}
