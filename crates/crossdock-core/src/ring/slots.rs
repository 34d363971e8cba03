//! The slots of a ring, and the rest of messages that are too long for them.

use super::slot::{
    ARMED, ARMED_LONG, Armed, Arrays, Cursor, FREE, INDEX_BITS, INDEX_MASK, LAP_MASK, LAP_ONE,
    SHORT_WORDS, SLOT_WORDS, Slot, Words, Written, next_lap, ready, word_of, worker,
};
use super::{ATTEMPTS_MAX, CAPACITY_MAX, Claim, Message, NONSENSE, Refused};
use crate::party::Party;
use crate::primitive::{AtomicU64, HAS_CACHES, fence, prefetch_read, prefetch_write, spin_loop};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// Messages whose memory is asked for at a time.
const FETCHED: u64 = 8;
/// How far before its use the first of them is asked for.
const FETCH_FROM: u64 = 4;

/// Bytes of payload in a slot.
const SLOT_BYTES: usize = SLOT_WORDS * 8;

#[inline]
fn store_bytes(words: &[AtomicU64], bytes: &[u8]) {
    let (whole, rest) = bytes.as_chunks::<8>();
    for (word, bytes) in words.iter().zip(whole) {
        word.store(bytemuck::cast(*bytes), Relaxed);
    }
    if let Some(word) = words.get(whole.len()).filter(|_| !rest.is_empty()) {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        word.store(bytemuck::cast(last), Relaxed);
    }
}

#[inline]
fn load_bytes(words: &[AtomicU64], bytes: &mut [u8]) {
    let (whole, rest) = bytes.as_chunks_mut::<8>();
    for (bytes, word) in whole.iter_mut().zip(words) {
        *bytes = bytemuck::cast(word.load(Relaxed));
    }
    if let Some(word) = words.get(whole.len()).filter(|_| !rest.is_empty()) {
        let last: [u8; 8] = bytemuck::cast(word.load(Relaxed));
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

/// All slots of a ring.
///
/// # Invariants
///
/// 1. There are between 1 and [`CAPACITY_MAX`] slots.
/// 2. `more` has at least `more_words` words for each slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots<'a> {
    slots: Arrays<'a>,
    more: &'a [AtomicU64],
    more_words: usize,
}

/// What a sender finds in a slot that no other sender is at work in.
pub(super) enum Room {
    /// It can be used.
    Free,
    /// The message of the lap before is still there; this party is at work on it, if any.
    Full(Option<Party>),
    /// It is to stay as it is in this lap.
    Taken,
    /// The tail has moved, or something else has just changed.
    Moving,
}

impl<'a> Slots<'a> {
    pub(super) fn new(slots: Arrays<'a>, more: &'a [AtomicU64]) -> Option<Self> {
        let count = slots.count();
        let more_words = more.len().checked_div(count)?;
        (count <= CAPACITY_MAX).then_some(Self { slots, more, more_words })
    }

    #[inline]
    pub(super) fn count(&self) -> usize {
        self.slots.count()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Slot<'a>> {
        (0..self.count() as u64).filter_map(|index| self.at(index))
    }

    /// The slot of a position, if there can be one.
    #[inline]
    pub(super) fn at(&self, position: u64) -> Option<Slot<'a>> {
        self.slots.at((position & INDEX_MASK) as usize)
    }

    #[inline]
    fn armed(&self, position: u64) -> Option<&'a Armed> {
        self.slots.armed((position & INDEX_MASK) as usize)
    }

    /// Where the rest of a long message of a position lies.
    fn more(&self, position: u64) -> &'a [AtomicU64] {
        let start = (position & INDEX_MASK) as usize * self.more_words;
        self.more.get(start..start + self.more_words).unwrap_or_default()
    }

    /// The position behind `position`.
    #[inline]
    pub(super) fn after(&self, position: u64) -> u64 {
        if (position & INDEX_MASK) + 1 == self.count() as u64 {
            next_lap(position & LAP_MASK)
        } else {
            position + 1
        }
    }

    /// How many positions there are before `position`, from the first lap on.
    pub(super) fn number(&self, position: u64) -> u64 {
        let laps = (position & LAP_MASK) >> INDEX_BITS;
        laps.wrapping_mul(self.count() as u64).wrapping_add(position & INDEX_MASK)
    }

    /// Moves a cursor on by one if it is still where the caller saw it. Sequentially consistent in
    /// either case, for the sake of those who sleep until it moves (see [`Signal`](crate::signal::Signal)).
    #[inline]
    pub(super) fn advance(&self, cursor: &Cursor, position: u64) {
        let next = self.after(position);
        if cursor.position.compare_exchange(position, next, SeqCst, Relaxed).is_err() {
            fence(SeqCst);
        }
    }

    /// As [`advance`](Self::advance), by somebody who has just left the slot of `position` to the next lap. Returns
    /// whether the cursor had come round to that slot before: then somebody may be asleep who found it in use.
    ///
    /// Who sleeps has looked at the slot after the cursor came round to it. If the exchange succeeds, it comes round
    /// later, and whoever sees that sees the slot as it was left. If not, the slot was left before the fence, and the
    /// cursor is looked at behind it: one of the two sees the other.
    #[inline]
    pub(super) fn leave(&self, cursor: &Cursor, position: u64) -> bool {
        let next = self.after(position);
        let exchanged = cursor.position.compare_exchange(position, next, SeqCst, Relaxed);
        exchanged.is_err() && {
            fence(SeqCst);
            Self::has_come_round(cursor, position)
        }
    }

    /// As [`leave`](Self::leave), of a row of slots, and to a position behind them that is at most a lap further.
    #[inline]
    pub(super) fn leave_row(&self, cursor: &Cursor, from: u64, to: u64) -> bool {
        let mut position = from;
        // Each exchange that fails has found the cursor further on.
        for _ in 0..=self.count() {
            let exchanged = cursor.position.compare_exchange(position, to, SeqCst, Relaxed);
            let Err(now) = exchanged else { return false };
            let left = self.number(to).wrapping_sub(self.number(now));
            if left == 0 || left > self.count() as u64 {
                break;
            }
            position = now;
        }
        fence(SeqCst);
        Self::has_come_round(cursor, from)
    }

    /// Whether a cursor is a lap behind a position, or further.
    #[inline]
    pub(super) fn has_come_round(cursor: &Cursor, position: u64) -> bool {
        cursor.position.load(SeqCst).wrapping_sub(position) >= LAP_ONE
    }

    /// Positions from `head` to `tail`, never more than there are slots.
    #[inline]
    pub(super) fn distance(&self, head: u64, tail: u64) -> usize {
        let capacity = self.count() as u64;
        let laps = (tail & LAP_MASK).wrapping_sub(head & LAP_MASK) >> INDEX_BITS;
        let ahead = (laps.min(2) * capacity + (tail & INDEX_MASK))
            .saturating_sub(head & INDEX_MASK)
            .min(capacity);
        ahead as usize
    }

    /// Claims the slot at the tail for `me`, if `room` finds it free.
    #[inline]
    pub(super) fn claim(
        &self,
        tail: &Cursor,
        me: Party,
        mut room: impl FnMut(Slot<'a>, u64) -> Room,
    ) -> Result<Claim<'a>, Refused> {
        for _ in 0..ATTEMPTS_MAX {
            let position = tail.position.load(Acquire);
            let slot = self.at(position).ok_or(Refused::Corrupt(NONSENSE))?;
            let lap = position & LAP_MASK;
            let word = slot.claim.word.load(Acquire);
            if word == lap | FREE {
                match room(slot, position) {
                    Room::Free => {
                        if let Some(claim) = Claim::new(slot, position, me) {
                            return Ok(claim);
                        }
                    }
                    Room::Full(party) => return Err(Refused::Full(party)),
                    Room::Taken => {
                        let next = next_lap(lap) | FREE;
                        let _ = slot.claim.word.compare_exchange(word, next, AcqRel, Relaxed);
                    }
                    Room::Moving => {}
                }
            } else if word & LAP_MASK == lap || word & LAP_MASK == next_lap(lap) {
                // Claimed, perhaps long ago, by somebody who has not moved the tail yet.
                self.advance(tail, position);
            } else if tail.position.load(Acquire) == position {
                // A sender of the lap before is not done, though everybody after it was.
                if next_lap(word & LAP_MASK) != lap {
                    return Err(Refused::Corrupt(NONSENSE));
                }
                return Err(Refused::Full(worker(word)));
            }
            spin_loop();
        }
        Err(Refused::Corrupt(NONSENSE))
    }

    /// Asks for messages that will be written soon, now and then: they come from the processors of those who
    /// received the ones before. Not for the next ones, which receivers may be polling, nor beyond the `room` that there
    /// is: what lies there has yet to be received.
    #[inline]
    pub(super) fn fetch_ahead(&self, position: u64, room: impl FnOnce() -> usize) {
        if HAS_CACHES && position.is_multiple_of(FETCHED) {
            for ahead in FETCH_FROM..(FETCH_FROM + FETCHED).min(room() as u64) {
                if let Some(message) = self.message(position, ahead) {
                    prefetch_write(&message.word);
                    prefetch_write(&message.payload[SHORT_WORDS]);
                }
            }
        }
    }

    /// Asks for the messages behind that of a position, now and then, of which `ready` have been sent, it among them.
    #[inline]
    pub(super) fn fetch_ready(&self, position: u64, ready: impl FnOnce() -> usize) {
        if HAS_CACHES && position.is_multiple_of(FETCHED) {
            for ahead in 1..(1 + FETCHED).min(ready() as u64) {
                if let Some(message) = self.message(position, ahead) {
                    prefetch_read(std::ptr::from_ref(&message.word).cast());
                    prefetch_read(std::ptr::from_ref(&message.payload[SHORT_WORDS]).cast());
                }
            }
        }
    }

    /// The message `ahead` positions behind a position, which are fewer than there are slots.
    #[inline]
    fn message(&self, position: u64, ahead: u64) -> Option<&'a Written> {
        let index = (position & INDEX_MASK) + ahead;
        let count = self.count() as u64;
        let index = if index < count { index } else { index - count };
        self.slots.message(index as usize)
    }

    /// Is done with a claim: the slot can be claimed in the next lap. Returns what [`leave`](Self::leave) does.
    #[inline]
    pub(super) fn end(&self, tail: &Cursor, claim: &Claim<'a>) -> bool {
        claim.free();
        self.leave(tail, claim.position)
    }

    /// Writes down what a claimed slot is about to hand over.
    #[inline]
    pub(super) fn arm(&self, claim: &Claim<'a>, payload: &[u64]) {
        // Whoever sees a word of this payload also sees that the slot has been claimed, so a reader
        // who looked at the word before notices when it looks again.
        fence(Release);
        let state = if payload.len() <= SHORT_WORDS {
            if let Some(armed) = self.armed(claim.position) {
                armed.store(payload);
            }
            ARMED
        } else {
            self.store(claim, payload);
            ARMED_LONG
        };
        let armed = word_of(claim.position & LAP_MASK, claim.party, state);
        claim.slot.claim.word.store(armed, Release);
    }

    /// Writes the payload of a message and returns the word that will say that it is there.
    #[inline]
    pub(super) fn write(&self, claim: &Claim<'a>, payload: &[u64]) -> u64 {
        fence(Release);
        self.store(claim, payload);
        ready(claim.position & LAP_MASK, payload.len().min(SLOT_WORDS + self.more_words))
    }

    #[inline]
    fn store(&self, claim: &Claim<'a>, payload: &[u64]) {
        let (first, rest) = payload.split_at(payload.len().min(SLOT_WORDS));
        for (word, value) in claim.slot.message.payload.iter().zip(first) {
            word.store(*value, Relaxed);
        }
        if !rest.is_empty() {
            for (word, value) in self.more(claim.position).iter().zip(rest) {
                word.store(*value, Relaxed);
            }
        }
    }

    /// As [`write`](Self::write), of bytes. Those of the last word that there are none for are 0.
    #[inline]
    pub(super) fn write_bytes(&self, claim: &Claim<'a>, bytes: &[u8]) -> u64 {
        fence(Release);
        let (first, rest) = bytes.split_at(bytes.len().min(SLOT_BYTES));
        store_bytes(&claim.slot.message.payload, first);
        if !rest.is_empty() {
            store_bytes(self.more(claim.position), rest);
        }
        ready(claim.position & LAP_MASK, bytes.len().div_ceil(8))
    }

    /// As [`copy`](Self::copy), of bytes.
    #[inline]
    pub(super) fn copy_bytes(&self, position: u64, bytes: &mut [u8]) {
        let Some(slot) = self.at(position) else { return };
        let (first, rest) = bytes.split_at_mut(bytes.len().min(SLOT_BYTES));
        load_bytes(&slot.message.payload, first);
        if !rest.is_empty() {
            load_bytes(self.more(position), rest);
        }
    }

    /// The first words of a message; words that were not sent are 0.
    #[inline]
    pub(super) fn first(&self, message: &Message) -> [u64; SLOT_WORDS] {
        let words = if message.len() <= SHORT_WORDS { SHORT_WORDS } else { SLOT_WORDS };
        let mut first = [0; SLOT_WORDS];
        self.copy(message.position, &mut first[..words]);
        first
    }

    /// Copies the first words of what is in the slot of a position.
    #[inline]
    pub(super) fn copy(&self, position: u64, words: &mut [u64]) {
        let Some(slot) = self.at(position) else { return };
        for (value, word) in words.iter_mut().zip(&slot.message.payload) {
            *value = word.load(Relaxed);
        }
        if let Some(rest) = words.get_mut(SLOT_WORDS..) {
            for (value, word) in rest.iter_mut().zip(self.more(position)) {
                *value = word.load(Relaxed);
            }
        }
    }

    /// All words of a message, if it is still there.
    pub(super) fn read(&self, message: &Message) -> Words {
        self.words(message.position, message.len())
    }

    /// The first `len` words of what is in the slot of a position.
    pub(super) fn words(&self, position: u64, len: usize) -> Words {
        let words = self.at(position).map(|slot| slot.read_all(self.more(position), len));
        words.unwrap_or_default()
    }

    /// See [`Slot::is_about_to_carry`].
    pub(super) fn is_about_to_carry(
        &self,
        index: u64,
        wanted: &mut impl FnMut(&[u64]) -> bool,
    ) -> bool {
        self.at(index)
            .zip(self.armed(index))
            .is_some_and(|(slot, armed)| slot.is_about_to_carry(armed, self.more(index), wanted))
    }

    /// See [`Slot::may_carry`].
    pub(super) fn may_carry(&self, index: u64, wanted: &mut impl FnMut(&[u64]) -> bool) -> bool {
        self.at(index)
            .zip(self.armed(index))
            .is_some_and(|(slot, armed)| slot.may_carry(armed, self.more(index), wanted))
    }
}
