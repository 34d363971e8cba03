//! A bounded many-to-many queue of fixed-size slots that survives the death of anyone at any step.
//!
//! The scheme descends from Vyukov's bounded queue (a sequence number per slot), changed in two ways. A
//! claim is made in the slot itself and names its maker, so a dead claimant can be found and its slot
//! passed over. And what senders claim, what receivers poll and what receivers take are three words in
//! three arrays: a receiver that spins on an empty queue disturbs no sender that is further on, and a hop costs the
//! one transfer of a cache line that it must.
//!
//! # States
//!
//! Each word is `lap << 20 | party << 4 | state`; the lap makes every state of a word unique. A position
//! is `lap << 20 | index of the slot`. `head` and `tail` are hints that anybody may advance.
//!
//! | word | state | meaning | who may change it, to what |
//! |---|---|---|---|
//! | claim | `FREE` | no sender is at work in this lap | any sender, to `CLAIMED` by itself |
//! | claim | `CLAIMED` | a sender is about to write | that sender, to `ARMED`; its reaper, to `FREE` of the next lap |
//! | claim | `ARMED`, `ARMED_LONG` | its payload, or that of the message, says what is being handed over | that sender or its reaper, to `FREE` of the next lap |
//! | message | `READY` | sent: it stays valid whatever happens to the sender | the sender of the next lap |
//! | message | `HOLE` | its sender died before it was sent | the sender of the next lap |
//! | take | `OPEN` | nobody has taken this lap's message | any receiver, to `TAKEN` by itself; past a hole, to `OPEN` of the next lap |
//! | take | `TAKEN` | a receiver makes it its own | that receiver or its reaper, to `OPEN` of the next lap |
//!
//! # Ordering
//!
//! Storing `READY` releases the payload; seeing it (`Acquire`) sees the payload. A sender overwrites a
//! message only after it has seen the head pass it, which its taker did (`AcqRel`) after reading it.
//!
//! A slot that its sender or its receiver of the lap before is not done with is waited for, asleep as well. So whoever is
//! done with a slot looks at the cursor after that, and whoever sleeps looks at the slot after the cursor has come round
//! to it: one of them sees the other (`Slots::leave`).
//!
//! # Owner death
//!
//! The one commit store of a send is `READY`, of a receive the exchange to `TAKEN`. A word that is
//! `CLAIMED`, `ARMED` or `TAKEN` by a dead party holds everybody behind it up; [`Ring::next`] names that
//! party, and [`Ring::reap`] repairs what it left, any number of times.

mod batch;
pub mod broadcast;
mod claim;
pub mod latest;
mod readers;
mod slot;
mod slots;
mod unseen;
mod way;

pub use batch::{RecvBatch, SendBatch};
pub use claim::Claim;
pub use slot::{
    Armed, Arrays, Claimed, Cursor, MESSAGE_WORDS_MAX, OwnedSlots, SHORT_WORDS, SLOT_WORDS, Taken,
    Words, Written, messages_of,
};

use crate::Corrupt;
use crate::party::Party;
use crate::primitive::{AtomicU64, fence, spin_loop};
use slot::{
    FREE, HOLE, INDEX_BITS, INDEX_MASK, LAP_MASK, LEN_MASK, OPEN, READY, STATE_MASK, Slot, TAKEN,
    is_done, len_of, next_lap, word_of, worker,
};
use slots::{Room, Slots};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// Slots that a ring can have.
pub const CAPACITY_MAX: usize = 1 << INDEX_BITS;

/// A ring in shared memory, seen by one process.
#[derive(Clone, Copy, Debug)]
pub struct Ring<'a> {
    head: &'a Cursor,
    tail: &'a Cursor,
    slots: Slots<'a>,
}

/// A message at the head of the queue, not yet taken.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    position: u64,
    word: u64,
}

impl Message {
    /// Its place in the order of all messages.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Words that it has.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        len_of(self.word)
    }

    /// Whether it has no words.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What is at the head of the queue.
#[derive(Clone, Copy, Debug)]
pub enum Next {
    /// A message.
    Ready(Message),
    /// Nothing.
    Empty,
    /// Something that this party has begun and not finished.
    Pending(Party),
}

/// Why a slot could not be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Every slot is in use; the oldest is being worked on by this party, if by anyone.
    Full(Option<Party>),
    /// The ring's words make no sense.
    Corrupt(Corrupt),
}

/// What a dead party left in a ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remains {
    /// Slots that it had claimed.
    pub claimed: u64,
    /// Messages that it had taken and was not done with.
    pub taken: u64,
}

impl Remains {
    /// Whether there were none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

const NONSENSE: Corrupt = Corrupt("a queue position and its slot do not fit together");
/// Attempts after which a position and a slot that never fit are called corrupt, not busy.
const ATTEMPTS_MAX: u32 = 1 << 16;

impl<'a> Ring<'a> {
    /// A ring over these words, or `None` when there are no slots or too many.
    #[must_use]
    pub fn new(head: &'a Cursor, tail: &'a Cursor, slots: Arrays<'a>) -> Option<Self> {
        Self::with_more(head, tail, slots, &[])
    }

    /// As [`new`](Self::new), for messages of more than [`SLOT_WORDS`] words: `more` is divided among the
    /// slots.
    #[must_use]
    pub fn with_more(
        head: &'a Cursor,
        tail: &'a Cursor,
        slots: Arrays<'a>,
        more: &'a [AtomicU64],
    ) -> Option<Self> {
        Slots::new(slots, more).map(|slots| Self { head, tail, slots })
    }

    /// The number of slots.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slots.count()
    }

    #[inline]
    fn slot(&self, position: u64) -> Option<Slot<'a>> {
        self.slots.at(position)
    }

    #[inline]
    fn advance(&self, cursor: &Cursor, position: u64) {
        self.slots.advance(cursor, position);
    }

    /// Before a last look at the queue ahead of a sleep: sees what was published before the cursors
    /// were moved to where they are.
    pub fn settle(&self) {
        let _ = self.tail.position.load(Acquire);
        let _ = self.head.position.load(Acquire);
    }

    #[inline]
    fn distance(&self, head: u64, tail: u64) -> usize {
        self.slots.distance(head, tail)
    }

    /// Messages and claims in the queue, at about this moment. What somebody has sent or taken who died before it moved a
    /// cursor on, up to a batch of it, is counted wrongly until somebody comes to that place.
    #[must_use]
    pub fn len(&self) -> usize {
        let head = self.head.position.load(Acquire);
        let tail = self.tail.position.load(Acquire);
        if head & LAP_MASK == next_lap(tail & LAP_MASK) {
            // The head was read first and has been overtaken by nobody: the tail is late.
            return 0;
        }
        self.distance(head, tail)
    }

    /// Whether nothing is in the queue, at about this moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the message of the lap before has left the slot at the tail.
    #[inline]
    fn has_room(&self, tail: u64) -> bool {
        let capacity = self.slots.count();
        if self.distance(self.tail.head_seen.load(Acquire), tail) < capacity {
            return true;
        }
        let head = self.head.position.load(Acquire);
        self.tail.head_seen.store(head, Release);
        self.distance(head, tail) < capacity
    }

    /// Claims the next free slot for `me`.
    ///
    /// # Errors
    ///
    /// [`Refused`] when there is none.
    #[inline]
    pub fn claim(&self, me: Party) -> Result<Claim<'a>, Refused> {
        let room = |slot, position| self.room(slot, position);
        let claim = self.slots.claim(self.tail, me, room)?;
        self.fetch_ahead(&claim);
        Ok(claim)
    }

    #[inline]
    fn fetch_ahead(&self, claim: &Claim<'_>) {
        self.slots.fetch_ahead(claim.position, || {
            let head = self.tail.head_seen.load(Relaxed);
            self.capacity() - self.distance(head, claim.position)
        });
    }

    /// Looks closer at a slot that the head seems not to have passed: helps the head on if it is late.
    #[cold]
    fn full(&self, slot: Slot<'_>, position: u64) -> Room {
        let lap = position & LAP_MASK;
        let head = self.head.position.load(Acquire);
        let take = slot.take.word.load(Acquire);
        // A position beyond the tail is one whose predecessors' senders have not moved it on yet.
        let tail = self.slots.number(self.tail.position.load(Acquire));
        let is_moving = tail.wrapping_sub(self.slots.number(position)).cast_signed() > 0;
        if is_moving || slot.claim.word.load(Acquire) != lap | FREE {
            return Room::Moving;
        }
        let is_being_taken = next_lap(take & LAP_MASK) == lap && take & STATE_MASK == TAKEN;
        if take & LAP_MASK == lap || is_being_taken {
            // The message has been taken, but its taker has not moved the head on.
            let is_same_slot = head & INDEX_MASK == position & INDEX_MASK;
            if is_same_slot && next_lap(head & LAP_MASK) == lap {
                self.advance(self.head, head);
                return Room::Moving;
            }
        }
        Room::Full(worker(take))
    }

    /// Why a slot could not be claimed now, if so: who is in the senders' way.
    #[must_use]
    pub fn in_the_way(&self) -> Option<Refused> {
        way::in_the_way(&self.slots, self.tail, |slot, position| self.room(slot, position))
    }

    #[inline]
    fn room(&self, slot: Slot<'_>, position: u64) -> Room {
        if self.has_room(position) { Room::Free } else { self.full(slot, position) }
    }

    /// Writes down what a claimed slot is about to hand over, for whoever has to reap this process. A message
    /// that hands nothing over need not be armed.
    ///
    /// Words for which a slot has no room are ignored.
    #[inline]
    pub fn arm(&self, claim: &mut Claim<'a>, payload: &[u64]) {
        self.slots.arm(claim, payload);
    }

    /// Sends a claimed slot, with the same payload if it was armed: the commit store.
    ///
    /// Returns whether the tail had come round to the slot before it was free for the next lap: then another sender may
    /// be asleep until just this.
    #[inline]
    #[must_use]
    pub fn publish(&self, claim: Claim<'a>, payload: &[u64]) -> bool {
        self.commit(&claim, payload);
        self.slots.end(self.tail, &claim)
    }

    #[inline]
    fn commit(&self, claim: &Claim<'a>, payload: &[u64]) {
        let ready = self.slots.write(claim, payload);
        claim.slot.message.word.store(ready, Release);
    }

    /// As [`publish`](Self::publish), of a record's bytes, which hands nothing over and is not armed. There must be no more
    /// than a message has room for.
    #[inline]
    #[must_use]
    pub fn publish_bytes(&self, claim: Claim<'a>, record: &[u8]) -> bool {
        self.commit_bytes(&claim, record);
        self.slots.end(self.tail, &claim)
    }

    #[inline]
    fn commit_bytes(&self, claim: &Claim<'a>, record: &[u8]) {
        let ready = self.slots.write_bytes(claim, record);
        claim.slot.message.word.store(ready, Release);
    }

    /// As [`copy`](Self::copy), into bytes.
    #[inline]
    pub fn copy_bytes(&self, message: &Message, bytes: &mut [u8]) {
        self.slots.copy_bytes(message.position, bytes);
    }

    /// The first words of a message; words that were not sent are 0. Valid if [`take`](Self::take) says so
    /// afterwards.
    #[inline]
    #[must_use]
    pub fn first(&self, message: &Message) -> [u64; SLOT_WORDS] {
        self.slots.first(message)
    }

    /// Copies words of a message, from the first on, as many as there are places for in both. Valid if
    /// [`take`](Self::take) says so afterwards.
    #[inline]
    pub fn copy(&self, message: &Message, words: &mut [u64]) {
        self.slots.copy(message.position, words);
    }

    /// All words of a message. Valid if [`take`](Self::take) says so afterwards.
    pub fn read(&self, message: &Message) -> Words {
        self.slots.read(message)
    }

    /// Looks for a message and changes nothing; `None` when there is none, or none yet.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when the ring's words make no sense.
    #[inline]
    pub fn poll(&self) -> Result<Option<Message>, Corrupt> {
        for _ in 0..ATTEMPTS_MAX {
            let position = self.head.position.load(Acquire);
            let slot = self.slot(position).ok_or(NONSENSE)?;
            let lap = position & LAP_MASK;
            let word = slot.message.word.load(Acquire);
            if word & LAP_MASK == next_lap(lap) {
                self.advance(self.head, position);
            } else if word & !LEN_MASK == lap | READY {
                match self.look_at_take(slot, position)? {
                    Take::Mine => return Ok(Some(self.look(position, word))),
                    Take::Before => return Ok(None),
                    Take::Past => self.advance(self.head, position),
                }
            } else if word == lap | HOLE {
                let open = next_lap(lap) | OPEN;
                let _ = slot.take.word.compare_exchange(lap | OPEN, open, AcqRel, Relaxed);
                match self.look_at_take(slot, position)? {
                    Take::Mine => {}
                    Take::Before => return Ok(None),
                    Take::Past => self.advance(self.head, position),
                }
            } else if word == lap | FREE || is_done(word, lap) {
                return Ok(None);
            } else if self.head.position.load(Acquire) == position {
                return Err(NONSENSE);
            }
            spin_loop();
        }
        Err(NONSENSE)
    }

    #[inline]
    fn look(&self, position: u64, word: u64) -> Message {
        self.slots
            .fetch_ready(position, || self.distance(position, self.tail.position.load(Relaxed)));
        Message { position, word }
    }

    /// Whether the message of `position` can be taken.
    #[inline]
    fn look_at_take(&self, slot: Slot<'_>, position: u64) -> Result<Take, Corrupt> {
        let lap = position & LAP_MASK;
        let word = slot.take.word.load(Acquire);
        if word == lap | OPEN {
            Ok(Take::Mine)
        } else if word & LAP_MASK == lap || word & LAP_MASK == next_lap(lap) {
            Ok(Take::Past)
        } else if next_lap(word & LAP_MASK) == lap && word & STATE_MASK == TAKEN {
            // The head has come round to a slot whose last receiver is not done with it.
            Ok(Take::Before)
        } else if self.head.position.load(Acquire) == position {
            Err(NONSENSE)
        } else {
            Ok(Take::Past)
        }
    }

    /// As [`poll`](Self::poll), and says who is in the way when there is no message yet.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when the ring's words make no sense.
    pub fn next(&self) -> Result<Next, Corrupt> {
        if let Some(message) = self.poll()? {
            return Ok(Next::Ready(message));
        }
        let position = self.head.position.load(Acquire);
        let slot = self.slot(position).ok_or(NONSENSE)?;
        let lap = position & LAP_MASK;
        let claim = slot.claim.word.load(Acquire);
        let take = slot.take.word.load(Acquire);
        let sender = if claim & LAP_MASK == lap { worker(claim) } else { None };
        let is_late = take & LAP_MASK != lap && claim & LAP_MASK == next_lap(lap);
        let receiver = if is_late { worker(take) } else { None };
        Ok(sender.or(receiver).map_or(Next::Empty, Next::Pending))
    }

    /// Whether a message that was looked at is still there.
    #[inline]
    #[must_use]
    pub fn is_current(&self, message: &Message) -> bool {
        // What was read of the payload came before this look at the words.
        fence(Acquire);
        self.slot(message.position).is_some_and(|slot| {
            slot.message.word.load(Relaxed) == message.word
                && slot.take.word.load(Relaxed) == (message.position & LAP_MASK) | OPEN
        })
    }

    /// Takes a message for `me`: the commit store of a receive. `false` when somebody else has it, and
    /// then its payload may be anything.
    #[inline]
    pub fn take(&self, message: &Message, me: Party) -> bool {
        let is_mine = self.take_briefly(message, me);
        if is_mine {
            self.advance(self.head, message.position);
        }
        is_mine
    }

    /// As [`take`](Self::take), by somebody who is done with the message at once: the head stays until
    /// [`finish_brief`](Self::finish_brief), unless somebody moves it on who cannot wait for that.
    #[inline]
    pub fn take_briefly(&self, message: &Message, me: Party) -> bool {
        let Some(slot) = self.slot(message.position) else { return false };
        let lap = message.position & LAP_MASK;
        let mine = word_of(lap, me, TAKEN);
        slot.take.word.compare_exchange(lap | OPEN, mine, AcqRel, Relaxed).is_ok()
    }

    /// Whether `party` has taken the message of a position and is not done with it.
    #[must_use]
    pub fn is_taken_by(&self, position: u64, party: Party) -> bool {
        let taken = word_of(position & LAP_MASK, party, TAKEN);
        self.slot(position).is_some_and(|slot| slot.take.word.load(Acquire) == taken)
    }

    /// How many messages have been sent or begun, and how many received.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        let head = self.head.position.load(Acquire);
        let tail = self.tail.position.load(Acquire);
        let (sent, received) = (self.slots.number(tail), self.slots.number(head));
        // The tail may be late.
        (sent.max(received), received)
    }

    /// Calls `look` with every message in the queue, at about this moment. What is received meanwhile may be
    /// among them, whole or not.
    pub fn for_each(&self, mut look: impl FnMut(&[u64])) {
        let tail = self.tail.position.load(Acquire);
        let mut position = self.head.position.load(Acquire);
        let known = self.distance(position, tail);
        for count in 0..self.capacity() {
            let Some(slot) = self.slot(position) else { return };
            let word = slot.message.word.load(Acquire);
            if word & !LEN_MASK == (position & LAP_MASK) | READY {
                look(&self.slots.words(position, len_of(word)));
            } else if count >= known {
                // The tail may have been late, but here nothing has been sent.
                return;
            }
            position = self.slots.after(position);
        }
    }

    /// Is done with a taken message: the slot's next one can be taken, and the head is behind it. (Its room has been
    /// free for senders since it was taken.)
    ///
    /// Returns whether the head had come round to the slot before that: then another receiver may be asleep until just
    /// this. Nobody who sleeps is overlooked: the head is looked at after the slot is open for all to see, and a
    /// sleeper has looked at the slot after the head.
    #[inline]
    #[must_use]
    pub fn finish(&self, message: &Message) -> bool {
        if let Some(slot) = self.slot(message.position) {
            // An exchange, so that the head is looked at after it.
            slot.take.word.swap(next_lap(message.position & LAP_MASK) | OPEN, SeqCst);
        }
        Slots::has_come_round(self.head, message.position)
    }

    /// As [`finish`](Self::finish), after [`take_briefly`](Self::take_briefly): moves the head as well.
    #[inline]
    #[must_use]
    pub fn finish_brief(&self, message: &Message) -> bool {
        self.open(message.position);
        self.slots.leave(self.head, message.position)
    }

    /// The slot's next message can be taken.
    #[inline]
    fn open(&self, position: u64) {
        if let Some(slot) = self.slot(position) {
            slot.take.word.store(next_lap(position & LAP_MASK) | OPEN, Release);
        }
    }

    /// Everybody who has claimed a slot or taken a message and is not done.
    pub fn workers(&self) -> impl Iterator<Item = Party> {
        let words = self.slots.iter().flat_map(|slot| [&slot.claim.word, &slot.take.word]);
        words.filter_map(|word| worker(word.load(Acquire)))
    }

    /// Repairs what the dead party `dead` left: what it had not sent becomes holes, what it had taken is
    /// done with.
    ///
    /// A chunk that a lost ticket names seems to be held by the channel from then on, until somebody who
    /// needs it finds with [`any`](Self::any) that no ticket is left.
    pub fn reap(&self, dead: Party) -> Remains {
        let mut remains = Remains::default();
        for slot in self.slots.iter() {
            let claim = slot.claim.word.load(Acquire);
            if worker(claim) == Some(dead) {
                Self::reap_claim(slot, claim);
                remains.claimed += 1;
            }
            let take = slot.take.word.load(Acquire);
            if worker(take) == Some(dead) {
                let open = next_lap(take & LAP_MASK) | OPEN;
                let _ = slot.take.word.compare_exchange(take, open, AcqRel, Relaxed);
                remains.taken += 1;
            }
        }
        remains
    }

    /// Passes over a slot whose sender died, unless it had sent already.
    fn reap_claim(slot: Slot<'_>, claim: u64) {
        let lap = claim & LAP_MASK;
        let message = slot.message.word.load(Acquire);
        // Only over what was there before this lap: neither over what the dead has sent, nor, if another
        // reaper was faster, over what a sender of the next lap has.
        if message == lap | FREE || is_done(message, lap) {
            let _ = slot.message.word.compare_exchange(message, lap | HOLE, AcqRel, Relaxed);
        }
        let free = next_lap(lap) | FREE;
        let _ = slot.claim.word.compare_exchange(claim, free, AcqRel, Relaxed);
    }

    /// Whether any slot carries, or is about to carry, a payload that `wanted` recognises, or may do so:
    /// what a receiver is just taking is not looked at but counted.
    ///
    /// A slot that changes meanwhile may be missed; the caller finds that out from the holders of what
    /// it looks for (see [`Chunk`](crate::chunk::Chunk)).
    pub fn any(&self, mut wanted: impl FnMut(&[u64]) -> bool) -> bool {
        let mut indices = 0..self.slots.count() as u64;
        let found = indices.any(|index| self.slots.may_carry(index, &mut wanted));
        // What was read of the payloads came before what the caller looks at next.
        fence(Acquire);
        found
    }
}

/// How the take word of a slot stands to a message.
enum Take {
    /// It can be taken.
    Mine,
    /// The receiver of the message before is not done.
    Before,
    /// It has been taken.
    Past,
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
