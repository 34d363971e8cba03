//! A bounded ring of which every reader sees every message.
//!
//! The slots are those of the [queue](super), with another third word: not who takes the message, but who
//! has yet to see it, a bit per reader. So a sender has room when nobody has yet to see the oldest message,
//! a slow reader is never overwritten unless the channel is made to drop the oldest, and what a dead reader
//! has not seen is seen to by clearing its bit, any number of times.
//!
//! # States
//!
//! | word | state | meaning | who may change it, to what |
//! |---|---|---|---|
//! | claim | `FREE`, `CLAIMED`, `ARMED` | as in the queue | as in the queue |
//! | message | `WRITING` | its sender is at work; what was here before is gone | that sender, to `READY`; its reaper, to `HOLE` |
//! | message | `READY` | sent | the sender of the next lap, to `WRITING` |
//! | message | `HOLE` | its sender died before it was sent; readers see it, and pass it over | the sender of the next lap, to `WRITING` |
//! | unseen | bit *n* | reader *n* has yet to see this lap's message | reader *n* or its reaper clears it; a sender that drops the oldest clears all |
//! | unseen | bits 60 to 63 | the last four bits of the lap that the others are of | the sender of the next lap |
//!
//! | pins | bit *n* | reader *n* is just taking hold of what the message leads to | reader *n* or its reaper clears it |
//!
//! # What a message leads to
//!
//! The channel holds it as long as anybody has yet to see the message or has pinned it ([`Broadcast::any`]), and
//! then until somebody needs the memory. A reader pins the message, looks whether it still is to be seen, takes
//! hold of what it leads to, clears its bit, and unpins.
//!
//! # Ordering
//!
//! A reader clears its bit (`AcqRel`) after it has read the payload, a sender that drops the oldest swaps all
//! bits for none (`SeqCst`) before it writes: whichever is first, the other knows. A bit that was set again
//! meanwhile, a lap later, is told apart by the lap beside it; and 16 laps later, by the message's word, which
//! has gone through `WRITING` by then. (That word alone does not do: the next sender may write it as soon as the
//! last bit is cleared.)
//!
//! A sender looks for whom a message is and, after it has sent it, whether they are still there; a reader that
//! leaves says so before it clears its bits. All four are sequentially consistent, so one of them clears the
//! bit of a reader that has left.
//!
//! Who looks whether the channel's hold is still needed looks for bits first and for pins second, a reader pins first
//! and looks for its bit second, all sequentially consistent: one of them sees the other.
//!
//! A reader that comes says so before it looks where the tail is, and begins with the oldest message that is
//! still being sent: the sender of that may have seen it come, or not. So whoever a bit is for finds it.
//!
//! # Owner death
//!
//! As in the queue. A reaper clears the bits of a dead reader in every slot before its row is given out again.

pub use super::readers::{READERS_MAX, Reader, Readers};

use super::readers::owner;
use super::slot::{
    Arrays, Cursor, FREE, HOLE, LAP_MASK, LEN_MASK, READY, SLOT_WORDS, STATE_MASK, Slot, WRITING,
    Words, len_of, next_lap, worker,
};
use super::slots::{Room, Slots};
use super::unseen::{Lap, READERS, a_lap_before, is_over, is_unseen, relation, see, tag, unseen};
use super::{ATTEMPTS_MAX, Claim, Message, NONSENSE, Next, Refused, way};
use crate::Corrupt;
use crate::party::Party;
use crate::primitive::{AtomicU64, fence, spin_loop};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// A ring in shared memory, seen by one process.
#[derive(Clone, Copy, Debug)]
pub struct Broadcast<'a> {
    tail: &'a Cursor,
    readers: &'a Readers,
    slots: Slots<'a>,
}

/// One reader's place in the ring, in its own memory.
#[derive(Debug)]
pub struct Subscription {
    row: usize,
    position: u64,
    /// Messages from here on are for it; those before, which were being sent when it came, may be.
    first: u64,
    /// Messages that were dropped: in all, and those that the reader has not asked for.
    lost: u64,
    lost_new: u64,
    /// Whether it was the last to pass over a hole, so that there is room.
    has_freed: bool,
}

impl Subscription {
    #[inline]
    fn bit(&self) -> u64 {
        1 << self.row
    }

    /// Messages that were dropped since this was last asked.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost_new)
    }

    /// Whether looking for messages has made room for a sender since this was last asked.
    #[inline]
    pub fn take_freed(&mut self) -> bool {
        std::mem::take(&mut self.has_freed)
    }
}

/// What became of a message that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "another sender may be asleep"]
pub struct Published {
    /// Nobody has yet to see it.
    pub is_seen: bool,
    /// Another sender may be asleep until just this: see [`Ring::publish`](super::Ring::publish).
    pub is_awaited: bool,
}

/// What became of a message that a reader wanted to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is the reader's, which is the last one to see it or not.
    Mine {
        /// Whether nobody has yet to see it now.
        is_last: bool,
    },
    /// It was dropped meanwhile, and what was read of it may be anything.
    Lost,
}

/// What is known of one reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReaderState {
    /// Its party.
    pub party: Party,
    /// Messages that it has yet to see.
    pub lag: usize,
    /// Messages that were dropped before it had seen them.
    pub lost: u64,
}

impl<'a> Broadcast<'a> {
    /// A ring over these words, or `None` when there are no slots or too many; `more` as in
    /// [`Ring::with_more`](super::Ring::with_more).
    #[must_use]
    pub fn new(
        tail: &'a Cursor,
        readers: &'a Readers,
        slots: Arrays<'a>,
        more: &'a [AtomicU64],
    ) -> Option<Self> {
        Slots::new(slots, more).map(|slots| Self { tail, readers, slots })
    }

    /// The number of slots.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slots.count()
    }

    /// Messages that somebody has yet to see, at about this moment.
    #[must_use]
    pub fn len(&self) -> usize {
        let is_hole = |slot: Slot<'a>| slot.message.word.load(Acquire) & STATE_MASK == HOLE;
        self.slots.iter().filter(|slot| is_unseen(*slot) && !is_hole(*slot)).count()
    }

    /// Whether everybody has seen everything, at about this moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages have been sent or begun, modulo 2^44 laps.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.slots.number(self.tail.position.load(Acquire))
    }

    /// All readers.
    pub fn readers(&self) -> impl Iterator<Item = ReaderState> {
        let (slots, tail) = (self.slots, self.tail.position.load(Acquire));
        self.readers.rows.iter().filter_map(move |row| {
            let party = owner(row)?;
            let lag = slots.distance(row.position.load(Acquire), tail);
            Some(ReaderState { party, lag, lost: row.lost.load(Relaxed) })
        })
    }

    /// Adds a reader, who sees every message whose sending begins from now on; `None` if there are too many.
    #[must_use]
    pub fn subscribe(&self, me: Party) -> Option<Subscription> {
        let row = self.readers.take_row(me)?;
        self.readers.rows[row].lost.store(0, Relaxed);
        self.readers.active.fetch_or(1 << row, SeqCst);
        let tail = self.tail.position.load(SeqCst);
        let position = self.oldest_for(1 << row, tail);
        let is_begun = self
            .slots
            .at(tail)
            .is_some_and(|slot| slot.claim.word.load(SeqCst) != (tail & LAP_MASK) | FREE);
        let first = if is_begun { self.slots.after(tail) } else { tail };
        self.readers.rows[row].position.store(position, Release);
        Some(Subscription { row, position, first, lost: 0, lost_new: 0, has_freed: false })
    }

    /// The oldest message from the last lap before the tail that has a bit, or may get it.
    fn oldest_for(&self, bit: u64, tail: u64) -> u64 {
        let mut position = if tail & LAP_MASK == 0 { 0 } else { a_lap_before(tail) };
        for _ in 0..self.slots.count() {
            let is_over = self.slots.at(position).is_some_and(|slot| is_over(slot, position, bit));
            if position == tail || !is_over {
                break;
            }
            position = self.slots.after(position);
        }
        position
    }

    /// Removes a reader. `on_last` is called with each message that nobody has yet to see now.
    pub fn unsubscribe(&self, subscription: &Subscription, on_last: &mut dyn FnMut(&[u64])) {
        self.remove_reader(subscription.row, on_last);
    }

    fn remove_reader(&self, row: usize, on_last: &mut dyn FnMut(&[u64])) {
        let bit = 1 << row;
        self.readers.active.fetch_and(!bit, SeqCst);
        for (index, slot) in (0..).zip(self.slots.iter()) {
            self.clear(index, bit, on_last);
            slot.take.pins.fetch_and(!bit, SeqCst);
        }
        self.readers.free_row(row);
    }

    /// Clears the bit of a reader that has left in a slot.
    fn clear(&self, index: u64, bit: u64, on_last: &mut dyn FnMut(&[u64])) {
        let Some(slot) = self.slots.at(index) else { return };
        fence(SeqCst);
        if unseen(slot).load(SeqCst) & bit == 0 {
            return;
        }
        let word = slot.message.word.load(Acquire);
        if !matches!(word & STATE_MASK, READY | HOLE) {
            // Its sender will look whether the reader is still there, or the sender's reaper.
            return;
        }
        let words = self.slots.words(index, len_of(word));
        if see(slot, word, bit) == Some(0) && word & STATE_MASK == READY {
            on_last(&words);
        }
    }

    /// Claims the next slot for `me`. If somebody has yet to see the message in it and `is_dropping`, that is
    /// dropped: `on_last` is called with it.
    ///
    /// # Errors
    ///
    /// [`Refused`] when there is none.
    #[inline]
    pub fn claim(
        &self,
        me: Party,
        is_dropping: bool,
        on_last: &mut dyn FnMut(&[u64]),
    ) -> Result<Claim<'a>, Refused> {
        let room = |slot: Slot<'a>, position| {
            if is_dropping || !is_unseen(slot) {
                Room::Free
            } else if self.tail.position.load(Acquire) == position {
                Room::Full(None)
            } else {
                Room::Moving
            }
        };
        let claim = self.slots.claim(self.tail, me, room)?;
        self.clear_out(claim.slot, claim.position, on_last);
        Ok(claim)
    }

    /// Takes the message of the lap before out of a slot that was just claimed.
    #[inline]
    fn clear_out(&self, slot: Slot<'_>, position: u64, on_last: &mut dyn FnMut(&[u64])) {
        if is_unseen(slot) {
            // Nobody but this sender changes the message now.
            let word = slot.message.word.load(Acquire);
            let words = self.slots.words(position, len_of(word));
            if unseen(slot).swap(0, SeqCst) & READERS != 0 && word & STATE_MASK == READY {
                on_last(&words);
            }
        }
        slot.message.word.store((position & LAP_MASK) | WRITING, Release);
        fence(Release);
    }

    /// Writes down what a claimed slot is about to hand over; see [`Ring::arm`](super::Ring::arm).
    #[inline]
    pub fn arm(&self, claim: &mut Claim<'a>, payload: &[u64]) {
        self.slots.arm(claim, payload);
    }

    /// Sends a claimed slot, with the same payload if it was armed.
    #[inline]
    pub fn publish(&self, claim: Claim<'a>, payload: &[u64]) -> Published {
        let slot = claim.slot;
        let ready = self.slots.write(&claim, payload);
        let readers = self.readers.active.load(SeqCst) & READERS;
        unseen(slot).store(tag(claim.position) | readers, Release);
        slot.message.word.store(ready, Release);
        let is_seen = readers == 0 || self.clear_gone(slot, readers);
        Published { is_seen, is_awaited: self.slots.end(self.tail, &claim) }
    }

    /// Clears the bits of readers that have left. Returns whether there were such bits, and no others.
    #[inline]
    fn clear_gone(&self, slot: Slot<'_>, readers: u64) -> bool {
        fence(SeqCst);
        let gone = readers & READERS & !self.readers.active.load(SeqCst);
        if gone == 0 {
            return false;
        }
        let before = unseen(slot).fetch_and(!gone, AcqRel);
        before & gone != 0 && before & READERS & !gone == 0
    }

    /// Looks for the next message of a reader and changes nothing but its place, and which holes it has passed
    /// ([`Subscription::take_freed`]).
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when the ring's words make no sense.
    #[inline]
    pub fn poll(&self, reader: &mut Subscription) -> Result<Option<Message>, Corrupt> {
        for _ in 0..ATTEMPTS_MAX {
            let position = reader.position;
            let slot = self.slots.at(position).ok_or(NONSENSE)?;
            let lap = position & LAP_MASK;
            let word = slot.message.word.load(Acquire);
            let is_mine = unseen(slot).load(Acquire) & reader.bit() != 0;
            match relation(word & LAP_MASK, lap) {
                Lap::Same if word & STATE_MASK == READY && is_mine => {
                    return Ok(Some(Message { position, word }));
                }
                Lap::Same if word & STATE_MASK == READY => {
                    // It was dropped, or sent while this reader came.
                    self.pass(reader, self.slots.after(position), 1);
                }
                Lap::Same if word == lap | HOLE => {
                    reader.has_freed |= see(slot, word, reader.bit()) == Some(0);
                    self.go_to(reader, self.slots.after(position));
                }
                Lap::Same | Lap::Before => return Ok(None),
                Lap::After => self.catch_up(reader)?,
            }
            spin_loop();
        }
        Err(NONSENSE)
    }

    /// As [`poll`](Self::poll), and says who is in the way when there is no message yet.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when the ring's words make no sense.
    pub fn next(&self, reader: &mut Subscription) -> Result<Next, Corrupt> {
        if let Some(message) = self.poll(reader)? {
            return Ok(Next::Ready(message));
        }
        let slot = self.slots.at(reader.position).ok_or(NONSENSE)?;
        let claim = slot.claim.word.load(Acquire);
        let is_of_lap = claim & LAP_MASK == reader.position & LAP_MASK;
        let sender = if is_of_lap { worker(claim) } else { None };
        Ok(sender.map_or(Next::Empty, Next::Pending))
    }

    #[inline]
    fn go_to(&self, reader: &mut Subscription, position: u64) {
        reader.position = position;
        self.readers.rows[reader.row].position.store(position, Release);
    }

    /// Goes on at a position, `count` messages further, none of which it has seen.
    fn pass(&self, reader: &mut Subscription, position: u64, count: u64) {
        let number = |position| self.slots.number(position);
        // What was being sent when it came need not be for it.
        let early = match relation(reader.first, reader.position) {
            Lap::After => number(reader.first).wrapping_sub(number(reader.position)),
            Lap::Same | Lap::Before => 0,
        };
        let lost = count.saturating_sub(early);
        reader.lost = reader.lost.saturating_add(lost);
        reader.lost_new = reader.lost_new.saturating_add(lost);
        self.readers.rows[reader.row].lost.store(reader.lost, Relaxed);
        self.go_to(reader, position);
    }

    /// Goes on with the oldest message that can still be there.
    #[cold]
    fn catch_up(&self, reader: &mut Subscription) -> Result<(), Corrupt> {
        let number = |position| self.slots.number(position);
        let oldest = a_lap_before(self.tail.position.load(Acquire));
        let behind = number(oldest).wrapping_sub(number(reader.position));
        let (position, passed) = if behind == 0 || behind > u64::MAX / 2 {
            (self.slots.after(reader.position), 1)
        } else {
            (oldest, behind)
        };
        if self.slots.at(position).is_none() {
            return Err(NONSENSE);
        }
        self.pass(reader, position, passed);
        Ok(())
    }

    /// Pins a message that a reader has looked at. Returns whether it still is to be seen: then what was read of it
    /// is right, and the channel holds what it leads to until [`unpin`](Self::unpin).
    #[inline]
    #[must_use]
    pub fn pin(&self, reader: &Subscription, message: &Message) -> bool {
        let Some(slot) = self.slots.at(message.position) else { return false };
        // The payload was read before this.
        slot.take.pins.fetch_or(reader.bit(), SeqCst);
        let now = unseen(slot).load(SeqCst);
        let is_unseen = now & reader.bit() != 0 && now & !READERS == tag(message.word);
        is_unseen && slot.message.word.load(Acquire) == message.word
    }

    /// The reader holds what the message leads to itself, or does not want it.
    #[inline]
    pub fn unpin(&self, reader: &Subscription, message: &Message) {
        if let Some(slot) = self.slots.at(message.position) {
            slot.take.pins.fetch_and(!reader.bit(), SeqCst);
        }
    }

    /// Takes a message: the commit store of a receive.
    #[inline]
    pub fn take(&self, reader: &mut Subscription, message: &Message) -> Taken {
        let Some(slot) = self.slots.at(message.position) else { return Taken::Lost };
        let next = self.slots.after(message.position);
        if let Some(left) = see(slot, message.word, reader.bit()) {
            self.go_to(reader, next);
            Taken::Mine { is_last: left == 0 }
        } else {
            self.pass(reader, next, 1);
            Taken::Lost
        }
    }

    /// Whether a message that a reader looked at is still there.
    #[must_use]
    pub fn is_current(&self, reader: &Subscription, message: &Message) -> bool {
        // What was read of the payload came before this look at the words.
        fence(Acquire);
        self.slots.at(message.position).is_some_and(|slot| {
            let is_unseen = unseen(slot).load(Acquire) & reader.bit() != 0;
            is_unseen && slot.message.word.load(Relaxed) == message.word
        })
    }

    /// The first words of a message; words that were not sent are 0. Valid as [`read`](Self::read) is.
    #[inline]
    #[must_use]
    pub fn first(&self, message: &Message) -> [u64; SLOT_WORDS] {
        self.slots.first(message)
    }

    /// All words of a message. Valid if [`take`](Self::take) says so.
    #[must_use]
    pub fn read(&self, message: &Message) -> Words {
        self.slots.read(message)
    }

    /// Messages that a reader has yet to see, at about this moment.
    #[must_use]
    pub fn lag(&self, reader: &Subscription) -> usize {
        self.slots.distance(reader.position, self.tail.position.load(Acquire))
    }

    /// Everybody who has begun to send and has not ended.
    pub fn senders_at_work(&self) -> impl Iterator<Item = Party> {
        self.slots.iter().filter_map(|slot| worker(slot.claim.word.load(Acquire)))
    }

    /// Why [`claim`](Self::claim) would find no slot now, if so.
    #[must_use]
    pub fn in_the_way(&self, is_dropping: bool) -> Option<Refused> {
        way::in_the_way(&self.slots, self.tail, |slot, _| {
            if is_dropping || !is_unseen(slot) { Room::Free } else { Room::Full(None) }
        })
    }

    /// Before a last look at the ring ahead of a sleep: sees what was published before the tail was moved to
    /// where it is.
    pub fn settle(&self) {
        let _ = self.tail.position.load(Acquire);
    }

    /// Repairs what the dead party `dead` left: what it had not sent becomes holes, what it had not seen is
    /// seen to. The caller is the only reaper now. Returns whether anything changed.
    pub fn reap(&self, dead: Party, on_last: &mut dyn FnMut(&[u64])) -> bool {
        let mut changed = false;
        while let Some(row) = self.readers.row_of(dead) {
            self.remove_reader(row, on_last);
            changed = true;
        }
        for slot in self.slots.iter() {
            let claim = slot.claim.word.load(Acquire);
            if worker(claim) == Some(dead) {
                self.reap_claim(slot, claim);
                changed = true;
            }
        }
        changed
    }

    fn reap_claim(&self, slot: Slot<'_>, claim: u64) {
        let lap = claim & LAP_MASK;
        let word = slot.message.word.load(Acquire);
        if word & !LEN_MASK != lap | READY && word != lap | HOLE {
            // A hole is sent as a message is: or else a reader that is overtaken here took it for one.
            let readers = self.readers.active.load(SeqCst) & READERS;
            unseen(slot).store(tag(lap) | readers, Release);
            slot.message.word.store(lap | HOLE, Release);
        }
        // What nobody sees is let go of when it is needed.
        self.clear_gone(slot, unseen(slot).load(Acquire));
        let free = next_lap(lap) | FREE;
        let _ = slot.claim.word.compare_exchange(claim, free, AcqRel, Relaxed);
    }

    /// Calls `look` with every message in the ring, at about this moment. What is replaced meanwhile may be among
    /// them, whole or not.
    pub fn for_each(&self, mut look: impl FnMut(&[u64])) {
        for (index, slot) in (0..).zip(self.slots.iter()) {
            let word = slot.message.word.load(Acquire);
            if word & STATE_MASK == READY && is_unseen(slot) {
                look(&self.slots.words(index, len_of(word)));
            }
        }
    }

    /// Whether a payload that `wanted` recognises is to be seen, is about to be sent, or may be; see
    /// [`Ring::any`](super::Ring::any).
    pub fn any(&self, mut wanted: impl FnMut(&[u64]) -> bool) -> bool {
        let found = (0..self.slots.count() as u64).any(|index| {
            let Some(slot) = self.slots.at(index) else { return false };
            if self.slots.is_about_to_carry(index, &mut wanted) {
                return true;
            }
            fence(Acquire);
            let word = slot.message.word.load(Acquire);
            let is_there = word & STATE_MASK == READY;
            let is_unseen = unseen(slot).load(SeqCst) & READERS != 0;
            if is_there && is_unseen && wanted(&self.slots.words(index, len_of(word))) {
                return true;
            }
            // After the bits: what a reader has pinned may be any message that was here.
            slot.take.pins.load(SeqCst) != 0
        });
        // What was read of the payloads came before what the caller looks at next.
        fence(Acquire);
        found
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
