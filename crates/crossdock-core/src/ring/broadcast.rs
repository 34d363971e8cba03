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
//! | message | `READY`, `HOLE` | as in the queue | the sender of the next lap, to `WRITING` |
//! | unseen | lap, bit *n* | reader *n* has yet to see this lap's message | reader *n* or its reaper clears it; a sender that drops the oldest clears all |
//! | pins | bit *n* | reader *n* is just taking hold of what the message leads to | reader *n* or its reaper clears it |
//!
//! The unseen word has the lower 16 bits of the lap above its 48 bits, and its bits are cleared by exchanges of
//! the whole word: a bit that was set again for the next message is not mistaken for the old one. (A reader that
//! stood still for exactly 2^16 laps could be, in a channel that drops the oldest; it loses one message more.)
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
//! bits for none (`SeqCst`) before it writes: whichever is first, the other knows. Who looks whether the channel's
//! hold is still needed looks for bits first and for pins second, a reader pins first and looks for its bit second,
//! all sequentially consistent: one of them sees the other.
//!
//! A sender looks for whom a message is and, after it has sent it, whether they are still there; a reader that
//! leaves says so before it clears its bits. All four are sequentially consistent, so one of them clears the
//! bit of a reader that has left.
//!
//! # Owner death
//!
//! As in the queue. A reaper clears the bits of a dead reader in every slot before its row is given out again.

use super::slot::{
    Cursor, FREE, HOLE, INDEX_BITS, INDEX_MASK, LAP_MASK, LEN_MASK, READY, STATE_MASK, Slot,
    WRITING, Words, len_of, next_lap, worker,
};
use super::slots::{Room, Slots};
use super::{ATTEMPTS_MAX, Claim, Message, NONSENSE, Refused};
use crate::Corrupt;
use crate::party::Party;
use crate::primitive::{AtomicU64, fence, spin_loop};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// Readers that a ring can have.
pub const READERS_MAX: usize = 48;

/// The readers' bits in an unseen word.
const BITS: u64 = (1 << READERS_MAX) - 1;

/// One reader's row.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Reader {
    /// The number of its party plus one; 0 if the row is free.
    owner: AtomicU64,
    /// The message that it reads next. For those who look on.
    position: AtomicU64,
    /// Messages that were dropped before it had seen them.
    lost: AtomicU64,
}

/// All readers of a ring.
#[repr(C, align(128))]
#[derive(Debug)]
pub struct Readers {
    /// A bit for each reader that messages are for.
    active: AtomicU64,
    rows: [Reader; READERS_MAX],
}

impl Readers {
    /// No readers, for memory that is not shared (tests, models).
    #[must_use]
    pub fn new() -> Self {
        let row = |_| Reader {
            owner: AtomicU64::new(0),
            position: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        };
        Self { active: AtomicU64::new(0), rows: std::array::from_fn(row) }
    }

    pub(super) fn take_row(&self, me: Party) -> Option<usize> {
        let mine = me.index() as u64 + 1;
        self.rows
            .iter()
            .position(|row| row.owner.compare_exchange(0, mine, AcqRel, Relaxed).is_ok())
    }

    pub(super) fn free_row(&self, row: usize) {
        self.rows[row].owner.store(0, Release);
    }

    pub(super) fn row_of(&self, party: Party) -> Option<usize> {
        self.rows.iter().position(|row| owner(row) == Some(party))
    }

    pub(super) fn owners(&self) -> impl Iterator<Item = Party> {
        self.rows.iter().filter_map(owner)
    }
}

impl Default for Readers {
    fn default() -> Self {
        Self::new()
    }
}

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
    /// Messages that were dropped: in all, and those that the reader has not asked for.
    lost: u64,
    lost_new: u64,
    /// Whether a message has been for this reader yet: those sent while it came may not be.
    has_begun: bool,
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
        slots: &'a [Slot],
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
        self.slots.iter().filter(|slot| unseen(slot).load(Acquire) & BITS != 0).count()
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
        let mine = me.index() as u64 + 1;
        let row = self
            .readers
            .rows
            .iter()
            .position(|row| row.owner.compare_exchange(0, mine, AcqRel, Relaxed).is_ok())?;
        self.readers.rows[row].lost.store(0, Relaxed);
        // First the bit, so that nothing is missed; what is seen twice this way is passed over.
        self.readers.active.fetch_or(1 << row, SeqCst);
        let position = self.tail.position.load(SeqCst);
        self.readers.rows[row].position.store(position, Release);
        Some(Subscription { row, position, lost: 0, lost_new: 0, has_begun: false })
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

    /// Clears bits of the message in the slot of a position, whatever its lap.
    fn clear(&self, position: u64, bits: u64, on_last: &mut dyn FnMut(&[u64])) {
        let Some(slot) = self.slots.at(position) else { return };
        fence(SeqCst);
        let before = unseen(slot).load(SeqCst);
        let Some(is_last) = clear_bits(slot, before & !BITS, bits) else { return };
        if is_last {
            let word = slot.message.word.load(Acquire);
            on_last(&self.slots.words(position, len_of(word)));
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
        let room = |slot: &Slot, position| {
            if is_dropping || unseen(slot).load(Acquire) & BITS == 0 {
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
    fn clear_out(&self, slot: &Slot, position: u64, on_last: &mut dyn FnMut(&[u64])) {
        let before = unseen(slot).load(Acquire);
        if before & BITS != 0 {
            // Nobody but this sender changes the message now.
            let word = slot.message.word.load(Acquire);
            let words = self.slots.words(position, len_of(word));
            if unseen(slot).swap(before & !BITS, SeqCst) & BITS != 0 && word & STATE_MASK == READY {
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

    /// Sends a claimed slot, with the same payload if it was armed. Returns whether nobody has yet to see the
    /// message.
    #[inline]
    #[must_use]
    pub fn publish(&self, claim: Claim<'a>, payload: &[u64]) -> bool {
        let slot = claim.slot;
        let ready = self.slots.write(&claim, payload);
        let readers = self.readers.active.load(SeqCst);
        let lap = tag(claim.position);
        unseen(slot).store(lap | readers & BITS, Release);
        slot.message.word.store(ready, Release);
        let is_unread = readers == 0 || self.clear_gone(slot, lap, readers);
        self.slots.end(self.tail, &claim);
        is_unread
    }

    /// Clears the bits of readers that have left. Returns whether there were such bits, and no others.
    #[inline]
    fn clear_gone(&self, slot: &Slot, lap: u64, readers: u64) -> bool {
        fence(SeqCst);
        let gone = readers & !self.readers.active.load(SeqCst) & BITS;
        gone != 0 && clear_bits(slot, lap, gone) == Some(true)
    }

    /// Looks for the next message of a reader and changes nothing but its place.
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
            let seen = unseen(slot).load(Acquire);
            let is_mine = seen & reader.bit() != 0 && seen & !BITS == tag(word);
            match relation(word & LAP_MASK, lap) {
                Lap::Same if word & STATE_MASK == READY && is_mine => {
                    let first = slot.read(len_of(word));
                    return Ok(Some(Message { position, word, first }));
                }
                Lap::Same if word & STATE_MASK == READY => {
                    // It was dropped, or sent while this reader came.
                    self.lose(reader, u64::from(reader.has_begun));
                    self.go_to(reader, self.slots.after(position));
                }
                Lap::Same if word == lap | HOLE => {
                    self.go_to(reader, self.slots.after(position));
                }
                Lap::Before if is_mine => {
                    // Sent while this reader came, from a place before its first.
                    clear_bits(slot, tag(word), reader.bit());
                }
                Lap::Same | Lap::Before => return Ok(None),
                Lap::After => self.catch_up(reader)?,
            }
            spin_loop();
        }
        Err(NONSENSE)
    }

    #[inline]
    fn go_to(&self, reader: &mut Subscription, position: u64) {
        reader.position = position;
        self.readers.rows[reader.row].position.store(position, Release);
    }

    fn lose(&self, reader: &mut Subscription, count: u64) {
        reader.lost = reader.lost.saturating_add(count);
        reader.lost_new = reader.lost_new.saturating_add(count);
        self.readers.rows[reader.row].lost.store(reader.lost, Relaxed);
    }

    /// Goes on with the oldest message that can still be there.
    #[cold]
    fn catch_up(&self, reader: &mut Subscription) -> Result<(), Corrupt> {
        let tail = self.tail.position.load(Acquire);
        let oldest = (tail & INDEX_MASK) | (tail & LAP_MASK).wrapping_sub(next_lap(0));
        let missed = self.slots.number(oldest).wrapping_sub(self.slots.number(reader.position));
        let position = if missed == 0 || missed > u64::MAX / 2 {
            self.lose(reader, 1);
            self.slots.after(reader.position)
        } else {
            self.lose(reader, missed);
            oldest
        };
        if self.slots.at(position).is_none() {
            return Err(NONSENSE);
        }
        self.go_to(reader, position);
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
        now & reader.bit() != 0
            && now & !BITS == tag(message.position)
            && slot.message.word.load(Acquire) == message.word
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
        let cleared = clear_bits(slot, tag(message.position), reader.bit());
        reader.has_begun = true;
        if cleared.is_none() {
            self.lose(reader, 1);
        }
        self.go_to(reader, self.slots.after(message.position));
        cleared.map_or(Taken::Lost, |is_last| Taken::Mine { is_last })
    }

    /// Whether a message that a reader looked at is still there.
    #[must_use]
    pub fn is_current(&self, reader: &Subscription, message: &Message) -> bool {
        // What was read of the payload came before this look at the words.
        fence(Acquire);
        self.slots.at(message.position).is_some_and(|slot| {
            let now = unseen(slot).load(Acquire);
            let is_unseen = now & reader.bit() != 0 && now & !BITS == tag(message.position);
            is_unseen && slot.message.word.load(Relaxed) == message.word
        })
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

    /// Why a slot could not be claimed now, if so.
    #[must_use]
    pub fn in_the_way(&self) -> Option<Refused> {
        let position = self.tail.position.load(Acquire);
        let slot = self.slots.at(position)?;
        let claim = slot.claim.word.load(Acquire);
        let is_free = claim == (position & LAP_MASK) | FREE;
        (!is_free || unseen(slot).load(Acquire) & BITS != 0).then(|| Refused::Full(worker(claim)))
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

    fn reap_claim(&self, slot: &Slot, claim: u64) {
        let lap = claim & LAP_MASK;
        if slot.message.word.load(Acquire) & !LEN_MASK == lap | READY {
            // Sent, perhaps to readers that have left. What nobody sees is let go of when it is needed.
            self.clear_gone(slot, tag(lap), unseen(slot).load(Acquire));
        } else {
            unseen(slot).store(tag(lap), Release);
            slot.message.word.store(lap | HOLE, Release);
        }
        let free = next_lap(lap) | FREE;
        let _ = slot.claim.word.compare_exchange(claim, free, AcqRel, Relaxed);
    }

    /// Calls `look` with every message in the ring, at about this moment. What is replaced meanwhile may be among
    /// them, whole or not.
    pub fn for_each(&self, mut look: impl FnMut(&[u64])) {
        for (index, slot) in (0..).zip(self.slots.iter()) {
            let word = slot.message.word.load(Acquire);
            if word & STATE_MASK == READY && unseen(slot).load(Acquire) & BITS != 0 {
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
            let is_unseen = unseen(slot).load(SeqCst) & BITS != 0;
            if word & STATE_MASK == READY
                && is_unseen
                && wanted(&self.slots.words(index, len_of(word)))
            {
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

/// How the lap of a word stands to a position's.
enum Lap {
    Before,
    Same,
    After,
}

#[inline]
fn relation(word: u64, lap: u64) -> Lap {
    match word.wrapping_sub(lap) {
        0 => Lap::Same,
        ahead if ahead < 1 << 63 => Lap::After,
        _ => Lap::Before,
    }
}

/// The word of a slot that says who has yet to see its message.
#[inline]
fn unseen(slot: &Slot) -> &AtomicU64 {
    &slot.take.word
}

/// What an unseen word says of the lap of a position or of a message's word.
#[inline]
fn tag(word: u64) -> u64 {
    (word & LAP_MASK) << (64 - 16 - INDEX_BITS)
}

/// Clears bits of a message if it still is the one of that lap. Returns whether they were the last ones; `None` if
/// none of them was set.
#[inline]
fn clear_bits(slot: &Slot, lap: u64, bits: u64) -> Option<bool> {
    let word = unseen(slot);
    let mut now = word.load(Acquire);
    while now & !BITS == lap && now & bits != 0 {
        match word.compare_exchange_weak(now, now & !bits, AcqRel, Acquire) {
            Ok(_) => return Some(now & !bits & BITS == 0),
            Err(changed) => now = changed,
        }
    }
    None
}

fn owner(row: &Reader) -> Option<Party> {
    let number = row.owner.load(Acquire).checked_sub(1)?;
    Party::new(usize::try_from(number).ok()?)
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
