//! Several messages in a row, for which a cursor moves once.
//!
//! Each of them is claimed or taken, committed, and if its maker dies repaired, as any other. Only the cursor, a hint, is
//! late: whoever cannot wait for it moves it on message by message, as after a death.

use super::slot::{FREE, LAP_MASK, LEN_MASK, OPEN, READY};
use super::{Claim, Message, Refused, Ring};
use crate::Corrupt;
use crate::party::Party;
use std::sync::atomic::Ordering::Acquire;

/// The first position of a row, the last one, and how many there are.
#[derive(Clone, Copy, Debug)]
struct Row {
    first: u64,
    last: u64,
    count: usize,
}

impl Row {
    /// A row with another position behind it.
    #[inline]
    fn with(row: Option<Self>, position: u64) -> Self {
        match row {
            None => Self { first: position, last: position, count: 1 },
            Some(row) => Self { last: position, count: row.count + 1, ..row },
        }
    }
}

/// Messages that one sender sends.
#[derive(Debug)]
#[must_use = "receivers that sleep are to be woken when the batch has ended"]
pub struct SendBatch<'r, 'a> {
    ring: &'r Ring<'a>,
    me: Party,
    sent: Option<Row>,
    /// Another sender may be asleep until a slot of this batch is free.
    is_awaited: bool,
}

impl<'r, 'a> SendBatch<'r, 'a> {
    /// An empty batch.
    #[inline]
    pub fn new(ring: &'r Ring<'a>, me: Party) -> Self {
        Self { ring, me, sent: None, is_awaited: false }
    }

    /// Claims a slot for the next message; behind the last one, if nobody else has that.
    ///
    /// # Errors
    ///
    /// [`Refused`] when there is none.
    #[inline]
    pub fn claim(&mut self) -> Result<Claim<'a>, Refused> {
        // The tail is never more than a lap late, or nobody could tell the laps apart.
        let sent = self.sent.filter(|sent| sent.count < self.ring.capacity());
        match sent.and_then(|sent| self.claim_behind(sent.last)) {
            Some(claim) => Ok(claim),
            None => {
                // The next slot is looked for from the tail on.
                self.move_tail();
                self.ring.claim(self.me)
            }
        }
    }

    #[inline]
    fn claim_behind(&self, last: u64) -> Option<Claim<'a>> {
        let ring = self.ring;
        let position = ring.slots.after(last);
        let slot = ring.slot(position)?;
        let is_free = slot.claim.word.load(Acquire) == (position & LAP_MASK) | FREE;
        if !is_free || !ring.has_room(position) {
            return None;
        }
        let claim = Claim::new(slot, position, self.me)?;
        ring.fetch_ahead(&claim);
        Some(claim)
    }

    /// See [`Ring::arm`].
    #[inline]
    pub fn arm(&self, claim: &mut Claim<'a>, payload: &[u64]) {
        self.ring.arm(claim, payload);
    }

    /// See [`Ring::publish`].
    #[inline]
    pub fn publish(&mut self, claim: Claim<'a>, payload: &[u64]) {
        self.ring.commit(&claim, payload);
        self.note_sent(&claim);
    }

    /// See [`Ring::publish_bytes`].
    #[inline]
    pub fn publish_bytes(&mut self, claim: Claim<'a>, record: &[u8]) {
        self.ring.commit_bytes(&claim, record);
        self.note_sent(&claim);
    }

    #[inline]
    fn note_sent(&mut self, claim: &Claim<'a>) {
        claim.free();
        self.sent = Some(Row::with(self.sent, claim.position));
    }

    #[inline]
    fn move_tail(&mut self) {
        if let Some(sent) = self.sent.take() {
            let end = self.ring.slots.after(sent.last);
            self.is_awaited |= self.ring.slots.leave_row(self.ring.tail, sent.first, end);
        }
    }

    /// Moves the tail behind what was sent. Returns what [`Ring::publish`] does, of all messages.
    #[inline]
    #[must_use]
    pub fn end(mut self) -> bool {
        self.move_tail();
        self.is_awaited
    }
}

/// Messages that one receiver takes.
#[derive(Debug)]
#[must_use = "what was taken holds the queue up until the batch has ended"]
pub struct RecvBatch<'r, 'a> {
    ring: &'r Ring<'a>,
    me: Party,
    taken: Option<Row>,
}

impl<'r, 'a> RecvBatch<'r, 'a> {
    /// An empty batch.
    #[inline]
    pub fn new(ring: &'r Ring<'a>, me: Party) -> Self {
        Self { ring, me, taken: None }
    }

    /// Looks for the next message: the one behind the last, or if there is no last one the first in the queue.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when the ring's words make no sense.
    #[inline]
    pub fn poll(&self) -> Result<Option<Message>, Corrupt> {
        match self.taken {
            None => self.ring.poll(),
            Some(taken) => Ok(self.poll_behind(taken.last)),
        }
    }

    #[inline]
    fn poll_behind(&self, last: u64) -> Option<Message> {
        let ring = self.ring;
        let position = ring.slots.after(last);
        let slot = ring.slot(position)?;
        let lap = position & LAP_MASK;
        let word = slot.message.word.load(Acquire);
        let is_there =
            word & !LEN_MASK == lap | READY && slot.take.word.load(Acquire) == lap | OPEN;
        is_there.then(|| ring.look(position, word))
    }

    /// See [`Ring::take`].
    #[inline]
    pub fn take(&mut self, message: &Message) -> bool {
        let is_mine = self.ring.take_briefly(message, self.me);
        if is_mine {
            self.taken = Some(Row::with(self.taken, message.position));
        }
        is_mine
    }

    /// Is done with what was taken, and moves the head behind it: see [`Ring::finish`].
    #[inline]
    #[must_use]
    pub fn end(mut self) -> bool {
        self.settle()
    }

    #[inline]
    fn settle(&mut self) -> bool {
        let Some(taken) = self.taken.take() else { return false };
        let slots = self.ring.slots;
        let mut position = taken.first;
        for _ in 0..taken.count {
            self.ring.open(position);
            position = slots.after(position);
        }
        slots.leave_row(self.ring.head, taken.first, position)
    }
}

impl Drop for RecvBatch<'_, '_> {
    /// After a panic: nobody is to wait for what was taken. Who sleeps looks again after its slice.
    fn drop(&mut self) {
        let _ = self.settle();
    }
}
