//! The queue of a channel: each message to one receiver.

use super::core::{Core, End, NotReceived, NotSent};
#[cfg(feature = "process")]
use super::outlook::Outlook;
use super::parcel::{Inbox, Parcel, tickets};
use crate::error::{Error, ErrorKind, Result};
use crossdock_core::deliveries::{Deliveries, Row};
use crossdock_core::layout::{Carrier, Counter};
use crossdock_core::ring::{Message, Next, Refused, Ring, SLOT_WORDS};
use crossdock_core::settings::WhenFull;
use crossdock_core::sync::MutexGuard;
#[cfg(feature = "process")]
use crossdock_sys::clock::Deadline;
use crossdock_sys::clock::now_ns;
use std::sync::atomic::Ordering;

/// The part of a delivery that has to be settled: acknowledged or given back.
pub(crate) type Unsettled = Row;

impl Core {
    #[inline]
    fn ring(&self) -> Result<&Ring<'static>> {
        match &self.map.table.carrier {
            Carrier::Queue(ring, _) => Ok(ring),
            Carrier::Broadcast(_) | Carrier::Latest(_) => Err(self.not_this_kind()),
        }
    }

    fn rows(&self) -> Option<&Deliveries<'static>> {
        match &self.map.table.carrier {
            Carrier::Queue(_, rows) => rows.as_ref(),
            Carrier::Broadcast(_) | Carrier::Latest(_) => None,
        }
    }

    /// Whether somebody else has a message that may come to be delivered again.
    pub(super) fn may_be_returned(&self) -> bool {
        self.rows().is_some_and(|rows| rows.may_come_from_others(self.member.me.party))
    }

    /// Whether receivers acknowledge.
    pub(super) fn is_acknowledged(&self) -> bool {
        self.rows().is_some()
    }

    #[inline]
    pub(super) fn send_to_queue(
        &self,
        ring: &Ring<'_>,
        parcel: &Parcel<'_>,
    ) -> Result<(), NotSent> {
        loop {
            match self.send_once(ring, parcel) {
                Err(NotSent::Full) if self.settings().when_full == WhenFull::DropOldest => {
                    if !self.drop_oldest(ring).map_err(NotSent::Failed)? {
                        return Err(NotSent::Full);
                    }
                }
                other => return other,
            }
        }
    }

    #[inline]
    fn send_once(&self, ring: &Ring<'_>, parcel: &Parcel<'_>) -> Result<(), NotSent> {
        if self.members(End::Receiver).have_left() {
            return Err(NotSent::Disconnected);
        }
        let _room =
            if self.settings().bytes_max > 0 { Some(self.make_room(parcel)?) } else { None };
        let mut claim = match ring.claim(self.member.me.party) {
            Ok(claim) => claim,
            Err(Refused::Full(_)) => return Err(NotSent::Full),
            Err(Refused::Corrupt(why)) => return Err(NotSent::Failed(self.corrupt(why))),
        };
        if !parcel.arrays.is_empty() {
            ring.arm(&mut claim, parcel.words());
            self.hand_over(&parcel.arrays);
        }
        let is_awaited = ring.publish(claim, parcel.words());
        self.tell_sent(1, is_awaited);
        Ok(())
    }

    /// Whether the limit of bytes has room for a message. One sender at a time looks, and it looks at the queue
    /// itself: a counter could not be put right after a kill.
    #[cold]
    fn make_room(&self, parcel: &Parcel<'_>) -> Result<MutexGuard<'static, ()>, NotSent> {
        let bytes_max = self.settings().bytes_max;
        let wanted: u64 = parcel.arrays.iter().map(|array| array.len_bytes).sum();
        if wanted > bytes_max {
            let text = format!(
                "a message of {wanted} bytes never fits into channel {:?}, which has room for \
                 {bytes_max} (send it in parts, or make the channel with a greater limit)",
                self.name()
            );
            let error = Error::new(ErrorKind::LimitExceeded, text).named(self.name());
            return Err(NotSent::Failed(error));
        }
        let room = &self.map.table.control.ledger.room;
        // Whoever died here left nothing half-made.
        let guard = room.lock().unwrap_or_else(|poisoned| {
            room.clear_poison();
            poisoned.into_inner()
        });
        let queued = self.queued_bytes().map_err(NotSent::Failed)?;
        if queued.saturating_add(wanted) <= bytes_max {
            return Ok(guard);
        }
        self.refused_bytes.store(wanted, Ordering::Relaxed);
        Err(NotSent::Full)
    }

    /// Whether the limit of bytes has room for the message that was last refused in this process.
    pub(super) fn has_room_again(&self) -> bool {
        let bytes_max = self.settings().bytes_max;
        let wanted = self.refused_bytes.load(Ordering::Relaxed);
        bytes_max == 0
            || self.queued_bytes().is_ok_and(|queued| queued.saturating_add(wanted) <= bytes_max)
    }

    /// Bytes of the arrays in the queue, at about this moment; never fewer than there are.
    pub(crate) fn queued_bytes(&self) -> Result<u64> {
        let mut bytes = 0_u64;
        self.ring()?.for_each(|words| {
            let lens = tickets(words, self.settings()).into_iter().map(|ticket| ticket.len_bytes);
            bytes = lens.fold(bytes, u64::saturating_add);
        });
        Ok(bytes)
    }

    /// Throws the oldest message away: receives it, and drops it. Returns whether there was one.
    #[cold]
    fn drop_oldest(&self, ring: &Ring<'_>) -> Result<bool> {
        let _taking = self.taking.lock();
        loop {
            let Some(message) = ring.poll().map_err(|why| self.corrupt(why))? else {
                return Ok(false);
            };
            let mut inbox = Inbox::default();
            let is_sighted = self.sight(&ring.read(&message), &mut inbox).is_ok();
            if ring.take(&message, self.member.me.party) {
                if is_sighted {
                    // If it cannot be received, its memory is found when somebody needs it.
                    let _ = inbox.open(|ticket, region| self.adopt(ticket, region));
                }
                self.finish(ring, &message);
                self.map.table.control.ledger.add(Counter::Dropped, 1);
                return Ok(true);
            }
        }
    }

    /// Receives a message if there is one. In a channel whose receivers acknowledge, that is still to be done.
    #[inline]
    pub(super) fn try_recv(&self, inbox: &mut Inbox) -> Result<Option<Unsettled>, NotReceived> {
        self.check_ours().map_err(NotReceived::Failed)?;
        let ring = self.ring().map_err(NotReceived::Failed)?;
        if let Some(rows) = self.rows()
            && let Some(unsettled) = self.receive_again(rows, inbox).map_err(NotReceived::Failed)?
        {
            return Ok(Some(unsettled));
        }
        loop {
            let message = match ring.poll() {
                Ok(Some(message)) => message,
                Ok(None) if !self.members(End::Sender).have_left() || self.may_be_returned() => {
                    return Err(NotReceived::Empty);
                }
                Ok(None) => match ring.next() {
                    // The last sender may have sent just before it left.
                    Ok(Next::Ready(_)) => continue,
                    Ok(Next::Empty) => return Err(NotReceived::Disconnected),
                    // There may be a message behind somebody who is not done, and may be dead.
                    Ok(Next::Pending(_)) => return Err(NotReceived::Empty),
                    Err(why) => return Err(NotReceived::Failed(self.corrupt(why))),
                },
                Err(why) => return Err(NotReceived::Failed(self.corrupt(why))),
            };
            match self.receive(ring, &message, inbox) {
                Ok(Some(received)) => return Ok(received),
                Ok(None) => {}
                Err(error) => return Err(NotReceived::Failed(error)),
            }
        }
    }

    /// Looks at what a message leads to, before it is taken.
    #[inline]
    pub(super) fn sight_message(
        &self,
        ring: &Ring<'_>,
        message: &Message,
        inbox: &mut Inbox,
    ) -> Result<()> {
        if self.settings().arrays == 0 {
            return self.sight_records(inbox, message.len(), |words| ring.copy(message, words));
        }
        if message.len() <= SLOT_WORDS {
            let first = ring.first(message);
            self.sight(&first[..message.len()], inbox)
        } else {
            self.sight(&ring.read(message), inbox)
        }
    }

    /// Takes one message; `None` when another receiver was faster.
    #[inline]
    fn receive(
        &self,
        ring: &Ring<'_>,
        message: &Message,
        inbox: &mut Inbox,
    ) -> Result<Option<Option<Unsettled>>> {
        let me = self.member.me.party;
        match self.sight_message(ring, message, inbox) {
            Ok(()) => {}
            // Another receiver has taken it, and its bytes may have been anything.
            Err(_) if !ring.is_current(message) => return Ok(None),
            Err(error) => {
                // What can never be received must not block the queue; what may work later (no
                // descriptor, no address space) stays in it.
                if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Stale)
                    && ring.take(message, me)
                {
                    self.finish(ring, message);
                }
                return Err(error);
            }
        }
        if let Some(rows) = self.rows() {
            let words = ring.read(message);
            let row = self.take_to_acknowledge(ring, rows, message, &words)?;
            return row.map(|row| self.deliver(row, inbox)).transpose();
        }
        if self.settings().arrays == 0 {
            let is_mine = ring.take_briefly(message, me);
            if is_mine {
                self.tell_received(1, ring.finish_brief(message));
            }
            return Ok(is_mine.then_some(None));
        }
        if !ring.take(message, me) {
            return Ok(None);
        }
        let outcome = inbox.open(|ticket, region| self.adopt(ticket, region));
        self.finish(ring, message);
        outcome.map(|()| Some(None))
    }

    #[cold]
    fn take_to_acknowledge(
        &self,
        ring: &Ring<'_>,
        rows: &Deliveries<'_>,
        message: &Message,
        words: &[u64],
    ) -> Result<Option<Row>> {
        let me = self.member.me.party;
        let _taking = self.taking.lock();
        let Some(row) = rows.prepare(me, message.position(), words, now_ns()) else {
            let text = format!(
                "channel {:?} has {} messages that were delivered and not acknowledged, as many as it was \
                 made for (acknowledge, read its dead letters, or make it for more)",
                self.name(),
                rows.count()
            );
            return Err(Error::new(ErrorKind::LimitExceeded, text).named(self.name()));
        };
        if !ring.take(message, me) {
            rows.cancel(row);
            return Ok(None);
        }
        let row = rows.hold(row, me);
        self.finish(ring, message);
        Ok(Some(row))
    }

    /// Receives a message that was given back, if there is one.
    fn receive_again(&self, rows: &Deliveries<'_>, inbox: &mut Inbox) -> Result<Option<Unsettled>> {
        let ledger = &self.map.table.control.ledger;
        if !ledger.take_returned() {
            return Ok(None);
        }
        let taken = rows.take_returned(self.member.me.party, now_ns());
        let Some((row, words)) = taken.map_err(|why| self.corrupt(why))? else { return Ok(None) };
        // There may be more.
        ledger.note_returned();
        self.deliver_words(row, &words, inbox)
    }

    /// Takes a dead letter, if there is one in a row from number `first` on.
    pub(super) fn try_dead_letter(
        &self,
        first: usize,
        inbox: &mut Inbox,
    ) -> Result<Option<Unsettled>> {
        self.check_ours()?;
        let rows = self.rows().ok_or_else(|| self.not_acknowledged())?;
        let taken = rows.take_dead(self.member.me.party, first, now_ns());
        let Some((row, words)) = taken.map_err(|why| self.corrupt(why))? else { return Ok(None) };
        self.deliver_words(row, &words, inbox)
    }

    fn deliver_words(
        &self,
        row: Row,
        words: &[u64],
        inbox: &mut Inbox,
    ) -> Result<Option<Unsettled>> {
        match self.sight(words, inbox) {
            Ok(()) => self.deliver(row, inbox),
            Err(error) => {
                self.settle(row, false);
                Err(error)
            }
        }
    }

    /// Takes hold of what a delivered message leads to; the channel holds it as well until it is acknowledged.
    fn deliver(&self, row: Row, inbox: &mut Inbox) -> Result<Option<Unsettled>> {
        match inbox.open(|ticket, region| self.adopt_shared(ticket, &region)) {
            Ok(()) => Ok(Some(row)),
            Err(error) => {
                // It never can be received, so it is not to come again.
                self.settle(row, true);
                Err(error)
            }
        }
    }

    /// Waits until every message has been acknowledged, or given up as a dead letter, or nobody is left who might receive
    /// one; `None` when the deadline has passed before.
    #[cfg(feature = "process")]
    pub(crate) fn await_acknowledged(&self, deadline: Option<Deadline>) -> Result<Option<Outlook>> {
        self.check_ours()?;
        let (ring, rows) = (self.ring()?, self.rows().ok_or_else(|| self.not_acknowledged())?);
        // What leaves the queue is in a row before that. What is put while the rows are looked through may be taken into one
        // that has been passed already, so nothing may have been put.
        let is_done = || {
            let before = ring.totals();
            let is_empty = || matches!(ring.next(), Ok(Next::Empty));
            is_empty() && rows.is_settled() && is_empty() && ring.totals() == before
        };
        let is_alone = || self.is_over_for_putters();
        let attempt = || match is_done() {
            true => Some(Outlook::Ready),
            false => is_alone().then_some(Outlook::Over),
        };
        Ok(self.wait_for(End::Sender, deadline, attempt))
    }

    /// Wakes those who wait for that: a message has been acknowledged.
    #[cfg(feature = "process")]
    pub(crate) fn tell_acknowledged(&self) {
        self.map.table.control.not_full.notify_all();
    }

    /// Acknowledges a delivery or gives it back. Returns whether it still was this process's to settle.
    pub(super) fn settle(&self, unsettled: Unsettled, is_acknowledged: bool) -> bool {
        if self.check_ours().is_err() {
            return false;
        }
        let Some(rows) = self.rows() else { return false };
        if is_acknowledged {
            return rows.acknowledge(unsettled);
        }
        let reaped = rows.give_back(unsettled);
        self.map.table.note_reaped(reaped);
        if reaped.returned > 0 {
            self.map.table.control.not_empty.notify_all();
        }
        reaped.returned + reaped.dead > 0
    }

    /// Is done with a taken message, and wakes whom that may concern.
    #[inline]
    fn finish(&self, ring: &Ring<'_>, message: &Message) {
        self.tell_received(1, ring.finish(message));
    }

    pub(super) fn not_acknowledged(&self) -> Error {
        let text = format!(
            "messages of channel {:?} are not acknowledged (make it with ChannelOptions::redeliver)",
            self.name()
        );
        Error::new(ErrorKind::Unsupported, text).named(self.name())
    }
}
