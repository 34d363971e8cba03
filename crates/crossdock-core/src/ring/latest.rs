//! A ring that keeps its newest message, for whoever looks before the next one is sent.
//!
//! The slots are those of the [queue](super), used one after the other; a word beside them says which message
//! is the newest. A reader reads, pins the message's slot, and asks whether the message is still the newest. If so,
//! the channel holds what it leads to until it is unpinned ([`Latest::any`]), and the reader takes a hold of its
//! own. So readers hold up neither senders nor each other. A sender waits for another sender only: in each slot at
//! work or kept there is one message, and there are more slots than senders at work.
//!
//! # States
//!
//! | word | state | meaning | who may change it, to what |
//! |---|---|---|---|
//! | claim | `FREE`, `CLAIMED`, `ARMED` | as in the queue | as in the queue |
//! | message | `WRITING`, `READY`, `HOLE` | as in [`broadcast`](super::broadcast) | as there |
//! | kept | lap and `KEPT` | the channel holds what the message of this lap leads to | who makes another message the newest, or finds that its own never was, clears it |
//! | pins | bit *n* | reader *n* is just taking hold of what the message leads to | reader *n* or its reaper clears it |
//! | newest | 0 | nothing was sent yet | any sender, to its position plus one |
//! | newest | position plus one | the newest message | any sender of a later one |
//!
//! # Ordering
//!
//! A sender stores `READY` before it makes the message the newest, and clears what was kept after that. Who looks
//! whether the channel's hold is still needed looks for what is kept first and for pins second; a reader pins first and
//! looks for the newest second, all sequentially consistent: one of them sees the other.
//!
//! # Owner death
//!
//! As in the queue. A sender ends its claim after all else, so its reaper finds it, and clears what it had not
//! cleared; the lap in the word keeps the reaper from clearing what has come since.

use super::broadcast::Readers;
use super::slot::{
    Arrays, Cursor, FREE, HOLE, INDEX_MASK, LAP_MASK, LEN_MASK, READY, SLOT_WORDS, STATE_MASK,
    Slot, WRITING, Words, len_of, next_lap, worker,
};
use super::slots::{Room, Slots};
use super::{ATTEMPTS_MAX, Claim, Message, NONSENSE, Refused, way};
use crate::Corrupt;
use crate::party::Party;
use crate::primitive::{AtomicU64, fence, spin_loop};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

const KEPT: u64 = 1;

/// Slots that a ring needs at least: one for the newest message, one for the next.
pub const CAPACITY_MIN: usize = 2;

/// A ring in shared memory, seen by one process.
#[derive(Clone, Copy, Debug)]
pub struct Latest<'a> {
    tail: &'a Cursor,
    newest: &'a AtomicU64,
    readers: &'a Readers,
    slots: Slots<'a>,
}

impl<'a> Latest<'a> {
    /// A ring over these words, or `None` when there are too few slots or too many; `more` as in
    /// [`Ring::with_more`](super::Ring::with_more).
    #[must_use]
    pub fn new(
        tail: &'a Cursor,
        newest: &'a AtomicU64,
        readers: &'a Readers,
        slots: Arrays<'a>,
        more: &'a [AtomicU64],
    ) -> Option<Self> {
        let slots = Slots::new(slots, more)?;
        (slots.count() >= CAPACITY_MIN).then_some(Self { tail, newest, readers, slots })
    }

    /// The number of slots.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slots.count()
    }

    /// How many messages have been sent or begun.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.slots.number(self.tail.position.load(Acquire))
    }

    /// The number of the newest message; it changes with each. 0 before the first one.
    #[inline]
    #[must_use]
    pub fn number(&self) -> u64 {
        self.newest.load(Acquire)
    }

    /// Claims the next slot for `me`.
    ///
    /// # Errors
    ///
    /// [`Refused`] when the senders of earlier messages are not done.
    pub fn claim(&self, me: Party) -> Result<Claim<'a>, Refused> {
        let room = |slot: Slot<'a>, position| {
            let kept = kept(slot).load(Acquire);
            if kept == 0 {
                Room::Free
            } else if self.is_newest_kept(kept, position) {
                // All slots between are holes of the dead.
                Room::Taken
            } else if self.tail.position.load(Acquire) == position {
                Room::Full(None)
            } else {
                Room::Moving
            }
        };
        let claim = self.slots.claim(self.tail, me, room)?;
        claim.slot.message.word.store((claim.position & LAP_MASK) | WRITING, Release);
        fence(Release);
        Ok(claim)
    }

    /// Writes down what a claimed slot is about to hand over; see [`Ring::arm`](super::Ring::arm).
    pub fn arm(&self, claim: &mut Claim<'a>, payload: &[u64]) {
        self.slots.arm(claim, payload);
    }

    /// Sends a claimed slot, with the same payload if it was armed. `on_last` is called with a message that the
    /// channel keeps no more: the one before, or this one if a newer one is there already.
    pub fn publish(&self, claim: Claim<'a>, payload: &[u64], on_last: &mut dyn FnMut(&[u64])) {
        let ready = self.slots.write(&claim, payload);
        kept(claim.slot).store((claim.position & LAP_MASK) | KEPT, Release);
        claim.slot.message.word.store(ready, Release);
        self.promote(claim.position, on_last);
        // Another sender may be asleep until just this; but here whoever has sent wakes the next one in any case.
        let _ = self.slots.end(self.tail, &claim);
    }

    /// Makes a message the newest one, unless a newer one is there.
    #[inline]
    fn promote(&self, position: u64, on_last: &mut dyn FnMut(&[u64])) {
        let mine = position.wrapping_add(1);
        let mut newest = self.newest.load(Acquire);
        while newest < mine {
            match self.newest.compare_exchange_weak(newest, mine, SeqCst, Acquire) {
                Ok(before) => {
                    if let Some(before) = before.checked_sub(1) {
                        self.let_go(before, on_last);
                    }
                    return;
                }
                Err(now) => newest = now,
            }
        }
        if newest > mine {
            self.let_go(position, on_last);
        }
    }

    /// Ends the keeping of a message, if it is kept.
    fn let_go(&self, position: u64, on_last: &mut dyn FnMut(&[u64])) {
        let Some(slot) = self.slots.at(position) else { return };
        let word = slot.message.word.load(Acquire);
        if word & !LEN_MASK != (position & LAP_MASK) | READY {
            // Its sender is about to send it, and will find that it is not the newest.
            return;
        }
        let words = self.slots.words(position, len_of(word));
        let keeps = (position & LAP_MASK) | KEPT;
        // Until this the slot is not used again, so what was read is whole.
        if kept(slot).compare_exchange(keeps, 0, SeqCst, Relaxed).is_ok() {
            on_last(&words);
        }
    }

    /// The newest message, if there is any.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when the ring's words make no sense.
    #[inline]
    pub fn newest(&self) -> Result<Option<Message>, Corrupt> {
        for _ in 0..ATTEMPTS_MAX {
            let Some(position) = self.newest.load(Acquire).checked_sub(1) else { return Ok(None) };
            let slot = self.slots.at(position).ok_or(NONSENSE)?;
            let word = slot.message.word.load(Acquire);
            if word & !LEN_MASK == (position & LAP_MASK) | READY {
                return Ok(Some(Message { position, word }));
            }
            spin_loop();
        }
        Err(NONSENSE)
    }

    /// Gives a reader a row; `None` if there are too many.
    #[must_use]
    pub fn subscribe(&self, me: Party) -> Option<usize> {
        self.readers.take_row(me)
    }

    /// Gives a reader's row back.
    pub fn unsubscribe(&self, reader: usize) {
        for slot in self.slots.iter() {
            slot.take.pins.fetch_and(!(1 << reader), SeqCst);
        }
        self.readers.free_row(reader);
    }

    /// All readers.
    pub fn readers(&self) -> impl Iterator<Item = Party> {
        self.readers.owners()
    }

    /// Pins a message that a reader has looked at. Returns whether it still is the newest: then what was read of it
    /// is right, and the channel holds what it leads to until [`unpin`](Self::unpin).
    #[inline]
    #[must_use]
    pub fn pin(&self, reader: usize, message: &Message) -> bool {
        let Some(slot) = self.slots.at(message.position) else { return false };
        // The payload was read before this.
        slot.take.pins.fetch_or(1 << reader, SeqCst);
        self.newest.load(SeqCst) == message.position.wrapping_add(1)
    }

    /// The reader holds what the message leads to itself, or does not want it.
    #[inline]
    pub fn unpin(&self, reader: usize, message: &Message) {
        if let Some(slot) = self.slots.at(message.position) {
            slot.take.pins.fetch_and(!(1 << reader), SeqCst);
        }
    }

    /// Whether a message is still the newest.
    #[must_use]
    pub fn is_newest(&self, message: &Message) -> bool {
        // What was read of the payload came before this look.
        fence(Acquire);
        self.newest.load(Acquire) == message.position.wrapping_add(1)
    }

    /// The number of a message, as [`number`](Self::number) gave it when it was the newest.
    #[must_use]
    pub fn number_of(&self, message: &Message) -> u64 {
        message.position.wrapping_add(1)
    }

    /// The first words of a message; words that were not sent are 0. Valid as [`read`](Self::read) is.
    #[inline]
    #[must_use]
    pub fn first(&self, message: &Message) -> [u64; SLOT_WORDS] {
        self.slots.first(message)
    }

    /// All words of a message. Valid if [`pin`](Self::pin) or [`is_newest`](Self::is_newest) says so.
    #[must_use]
    pub fn read(&self, message: &Message) -> Words {
        self.slots.read(message)
    }

    /// Why [`claim`](Self::claim) would find no slot now, if so.
    #[must_use]
    pub fn in_the_way(&self) -> Option<Refused> {
        way::in_the_way(&self.slots, self.tail, |slot, position| match kept(slot).load(Acquire) {
            0 => Room::Free,
            kept if self.is_newest_kept(kept, position) => Room::Taken,
            _ => Room::Full(None),
        })
    }

    /// Whether what a kept word is about, in the slot of a position, is the newest message.
    fn is_newest_kept(&self, kept: u64, position: u64) -> bool {
        position_of(kept, position).wrapping_add(1) == self.number()
    }

    /// Everybody who has begun to send and has not ended.
    pub fn senders_at_work(&self) -> impl Iterator<Item = Party> {
        self.slots.iter().filter_map(|slot| worker(slot.claim.word.load(Acquire)))
    }

    /// Before a last look at the ring ahead of a sleep.
    pub fn settle(&self) {
        let _ = self.tail.position.load(Acquire);
        let _ = self.newest.load(Acquire);
    }

    /// Repairs what the dead party `dead` left. The caller is the only reaper now. Returns whether anything
    /// changed.
    pub fn reap(&self, dead: Party, on_last: &mut dyn FnMut(&[u64])) -> bool {
        let mut changed = false;
        while let Some(row) = self.readers.row_of(dead) {
            self.unsubscribe(row);
            changed = true;
        }
        for (index, slot) in (0..).zip(self.slots.iter()) {
            let claim = slot.claim.word.load(Acquire);
            if worker(claim) != Some(dead) {
                continue;
            }
            changed = true;
            let lap = claim & LAP_MASK;
            if slot.message.word.load(Acquire) & !LEN_MASK == lap | READY {
                self.promote(lap | index, on_last);
            } else {
                kept(slot).store(0, Release);
                slot.message.word.store(lap | HOLE, Release);
            }
            self.let_go_of_old(on_last);
            let free = next_lap(lap) | FREE;
            let _ = slot.claim.word.compare_exchange(claim, free, AcqRel, Relaxed);
        }
        changed
    }

    /// Ends the keeping of every message before the newest one.
    fn let_go_of_old(&self, on_last: &mut dyn FnMut(&[u64])) {
        for (index, slot) in (0..).zip(self.slots.iter()) {
            let kept = kept(slot).load(Acquire);
            let position = position_of(kept, index);
            if kept != 0 && position.wrapping_add(1) < self.newest.load(Acquire) {
                self.let_go(position, on_last);
            }
        }
    }

    /// Calls `look` with every message in the ring, at about this moment. What is replaced meanwhile may be among
    /// them, whole or not.
    pub fn for_each(&self, mut look: impl FnMut(&[u64])) {
        for (index, slot) in (0..).zip(self.slots.iter()) {
            let word = slot.message.word.load(Acquire);
            if word & STATE_MASK == READY && kept(slot).load(Acquire) != 0 {
                look(&self.slots.words(index, len_of(word)));
            }
        }
    }

    /// Whether a payload that `wanted` recognises is kept, is about to be sent, or may be; see
    /// [`Ring::any`](super::Ring::any).
    pub fn any(&self, mut wanted: impl FnMut(&[u64]) -> bool) -> bool {
        let found = (0..self.slots.count() as u64).any(|index| {
            let Some(slot) = self.slots.at(index) else { return false };
            if self.slots.is_about_to_carry(index, &mut wanted) {
                return true;
            }
            fence(Acquire);
            let word = slot.message.word.load(Acquire);
            let is_kept = kept(slot).load(SeqCst) != 0;
            if word & STATE_MASK == READY
                && is_kept
                && wanted(&self.slots.words(index, len_of(word)))
            {
                return true;
            }
            // After that: what a reader has pinned may be any message that was here.
            slot.take.pins.load(SeqCst) != 0
        });
        // What was read of the payloads came before what the caller looks at next.
        fence(Acquire);
        found
    }
}

/// The position of the message that a kept word is about, in the slot with that index.
#[inline]
fn position_of(kept: u64, index: u64) -> u64 {
    (kept & LAP_MASK) | (index & INDEX_MASK)
}

/// The word of a slot that says whether its message is kept.
#[inline]
fn kept(slot: Slot<'_>) -> &AtomicU64 {
    &slot.take.word
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
