//! A bounded many-to-many queue of fixed-size slots that survives the death of anyone at any step.
//!
//! The scheme is Vyukov's bounded queue (a sequence number per slot), changed so that a claim is made
//! in the slot's own word and names its maker: a dead claimant can be found and its slot passed over.
//! `head` and `tail` are only hints that anybody may advance.
//!
//! # States
//!
//! `word = lap << 20 | party << 4 | state`. The lap makes every state of a slot unique. A `READY` word
//! has, in place of the party, whether the payload reaches into the second cache line.
//!
//! | state | meaning | who may change it, to what |
//! |---|---|---|
//! | `FREE` | nothing in it | any sender, to `CLAIMED` by itself |
//! | `CLAIMED` | a sender is writing the payload | that sender, to `ARMED`; a reaper of that sender, to `HOLE` |
//! | `ARMED` | the payload is complete and names what is being handed over | that sender, to `READY`; its reaper, to `HOLE` |
//! | `READY` | sent: it stays valid whatever happens to the sender | any receiver, to `TAKEN` by itself |
//! | `TAKEN` | a receiver makes it its own | that receiver or its reaper, to `FREE` of the next lap |
//! | `HOLE` | its sender died before it was sent | any receiver, to `FREE` of the next lap |
//!
//! # Ordering
//!
//! Storing `READY` releases the payload; taking it (`Acquire`) sees it. Storing `FREE` releases the
//! reads of the payload; the next claim (`Acquire`) comes after them.
//!
//! # Owner death
//!
//! The one commit store of a send is `READY`, of a receive the exchange to `TAKEN`. A slot that is
//! `CLAIMED`, `ARMED` or `TAKEN` by a dead party holds everybody behind it up; [`Ring::next`] names that
//! party, and [`Ring::reap`] repairs what it left, any number of times.

use crate::Corrupt;
use crate::party::Party;
use crate::primitive::{AtomicU64, fence, spin_loop};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// Words of payload in a slot.
pub const PAYLOAD_WORDS: usize = 15;

/// Words of payload that lie in a slot's first cache line.
pub const SHORT_WORDS: usize = 7;

/// What a slot carries; words that were not sent are 0.
pub type Payload = [u64; PAYLOAD_WORDS];

/// Slots that a ring can have.
pub const CAPACITY_MAX: usize = 1 << INDEX_BITS;

const INDEX_BITS: u32 = 20;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
const LAP_ONE: u64 = 1 << INDEX_BITS;
const LAP_MASK: u64 = !INDEX_MASK;

const STATE_MASK: u64 = 0xf;
const PARTY_SHIFT: u32 = 4;
const FREE: u64 = 0;
const CLAIMED: u64 = 1;
const ARMED: u64 = 2;
const READY: u64 = 3;
const TAKEN: u64 = 4;
const HOLE: u64 = 5;
/// In the place of the party of a `READY` word: the payload is longer than [`SHORT_WORDS`].
const LONG: u64 = 1 << PARTY_SHIFT;

/// One place in a ring: two cache lines, the first of which is all that a 1-D or 2-D array needs.
#[repr(C, align(128))]
#[derive(Debug)]
pub struct Slot {
    word: AtomicU64,
    payload: [AtomicU64; PAYLOAD_WORDS],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Slot>() == 128);

impl Slot {
    /// A free slot of the first lap, for memory that is not shared (tests, models).
    #[must_use]
    pub fn new() -> Self {
        Self { word: AtomicU64::new(FREE), payload: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    #[inline]
    fn read(&self, is_long: bool) -> Payload {
        let mut payload = [0; PAYLOAD_WORDS];
        let words = if is_long { PAYLOAD_WORDS } else { SHORT_WORDS };
        for (value, word) in payload.iter_mut().zip(&self.payload).take(words) {
            *value = word.load(Relaxed);
        }
        payload
    }
}

impl Default for Slot {
    fn default() -> Self {
        Self::new()
    }
}

/// A position hint, alone in its pair of cache lines (adjacent lines are fetched in pairs).
#[repr(C, align(128))]
#[derive(Debug)]
pub struct Cursor(AtomicU64);

impl Cursor {
    /// A cursor at the first slot of the first lap, for memory that is not shared (tests, models).
    #[must_use]
    pub fn new() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl Default for Cursor {
    fn default() -> Self {
        Self::new()
    }
}

/// A ring in shared memory, seen by one process.
///
/// # Invariants
///
/// 1. There are between 1 and [`CAPACITY_MAX`] slots.
#[derive(Clone, Copy, Debug)]
pub struct Ring<'a> {
    head: &'a Cursor,
    tail: &'a Cursor,
    slots: &'a [Slot],
}

/// A slot that this process has claimed and not yet sent.
#[derive(Debug)]
#[must_use = "an unsent claim holds the queue up"]
pub struct Claim<'a> {
    slot: &'a Slot,
    position: u64,
    word: u64,
    is_long: bool,
}

/// A message at the head of the queue, not yet taken.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    position: u64,
    word: u64,
    /// What it carries. Valid if [`Ring::take`] says so.
    pub payload: Payload,
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

const NONSENSE: Corrupt = Corrupt("a queue position and its slot do not fit together");
/// Attempts after which a position and a slot that never fit are called corrupt, not busy.
const ATTEMPTS_MAX: u32 = 1 << 20;

fn word_of(lap: u64, party: Party, state: u64) -> u64 {
    lap | ((party.index() as u64) << PARTY_SHIFT) | state
}

fn party_of(word: u64) -> Option<Party> {
    Party::new(usize::try_from((word & INDEX_MASK) >> PARTY_SHIFT).ok()?)
}

impl<'a> Ring<'a> {
    /// A ring over these words, or `None` when there are no slots or too many.
    #[must_use]
    pub fn new(head: &'a Cursor, tail: &'a Cursor, slots: &'a [Slot]) -> Option<Self> {
        (1..=CAPACITY_MAX).contains(&slots.len()).then_some(Self { head, tail, slots })
    }

    /// The number of slots.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    #[inline]
    fn slot(&self, position: u64) -> Option<&'a Slot> {
        self.slots.get((position & INDEX_MASK) as usize)
    }

    #[inline]
    fn after(&self, position: u64) -> u64 {
        if (position & INDEX_MASK) + 1 == self.slots.len() as u64 {
            (position & LAP_MASK).wrapping_add(LAP_ONE)
        } else {
            position + 1
        }
    }

    /// Moves a cursor on by one if it is still where the caller saw it.
    #[inline]
    fn advance(&self, cursor: &Cursor, position: u64) {
        let _ = cursor.0.compare_exchange(position, self.after(position), AcqRel, Relaxed);
    }

    /// Messages and claims in the queue, at about this moment.
    #[must_use]
    pub fn len(&self) -> usize {
        let head = self.head.0.load(Acquire);
        let tail = self.tail.0.load(Acquire);
        let capacity = self.slots.len() as u64;
        let laps = (tail & LAP_MASK).wrapping_sub(head & LAP_MASK) >> INDEX_BITS;
        let ahead = (laps.min(1) * capacity + (tail & INDEX_MASK))
            .saturating_sub(head & INDEX_MASK)
            .min(capacity);
        ahead as usize
    }

    /// Whether nothing is in the queue, at about this moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Claims the next free slot for `me`.
    ///
    /// # Errors
    ///
    /// [`Refused`] when there is none.
    #[inline]
    pub fn claim(&self, me: Party) -> Result<Claim<'a>, Refused> {
        for _ in 0..ATTEMPTS_MAX {
            let position = self.tail.0.load(Acquire);
            let slot = self.slot(position).ok_or(Refused::Corrupt(NONSENSE))?;
            let lap = position & LAP_MASK;
            let word = slot.word.load(Acquire);
            if word == lap | FREE {
                let mine = word_of(lap, me, CLAIMED);
                if slot.word.compare_exchange(word, mine, AcqRel, Relaxed).is_ok() {
                    return Ok(Claim { slot, position, word: mine, is_long: false });
                }
            } else if word & LAP_MASK == lap || word & LAP_MASK == lap.wrapping_add(LAP_ONE) {
                // Claimed, perhaps long ago, by somebody who has not moved the tail yet.
                self.advance(self.tail, position);
            } else if self.tail.0.load(Acquire) == position {
                if word & LAP_MASK != lap.wrapping_sub(LAP_ONE) {
                    return Err(Refused::Corrupt(NONSENSE));
                }
                let busy = matches!(word & STATE_MASK, CLAIMED | ARMED | TAKEN);
                return Err(Refused::Full(if busy { party_of(word) } else { None }));
            }
            spin_loop();
        }
        Err(Refused::Corrupt(NONSENSE))
    }

    /// Writes the payload of a claimed slot. From now on a reaper can read what is being handed over.
    ///
    /// At most [`PAYLOAD_WORDS`] words are sent; more are ignored.
    #[inline]
    pub fn arm(&self, claim: &mut Claim<'a>, payload: &[u64]) {
        // Whoever sees a word of this payload also sees that the slot has been claimed, so a reader
        // who looked at the word before notices when it looks again.
        fence(Release);
        for (word, value) in claim.slot.payload.iter().zip(payload) {
            word.store(*value, Relaxed);
        }
        claim.is_long = payload.len() > SHORT_WORDS;
        claim.word = (claim.word & !STATE_MASK) | ARMED;
        claim.slot.word.store(claim.word, Release);
    }

    /// Sends an armed slot: the commit store.
    #[inline]
    pub fn publish(&self, claim: Claim<'a>) {
        let long = if claim.is_long { LONG } else { 0 };
        claim.slot.word.store((claim.position & LAP_MASK) | long | READY, Release);
        self.advance(self.tail, claim.position);
    }

    /// Looks at the head of the queue and changes nothing there.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when the ring's words make no sense.
    #[inline]
    pub fn next(&self) -> Result<Next, Corrupt> {
        for _ in 0..ATTEMPTS_MAX {
            let position = self.head.0.load(Acquire);
            let slot = self.slot(position).ok_or(NONSENSE)?;
            let lap = position & LAP_MASK;
            let word = slot.word.load(Acquire);
            if word & !LONG == lap | READY {
                let payload = slot.read(word & LONG != 0);
                return Ok(Next::Ready(Message { position, word, payload }));
            }
            if word == lap | FREE {
                return Ok(Next::Empty);
            }
            if word & LAP_MASK == lap {
                match word & STATE_MASK {
                    CLAIMED | ARMED => return party_of(word).map(Next::Pending).ok_or(NONSENSE),
                    HOLE => self.free(slot, word),
                    TAKEN => self.advance(self.head, position),
                    _ => return Err(NONSENSE),
                }
            } else if word & LAP_MASK == lap.wrapping_add(LAP_ONE) {
                self.advance(self.head, position);
            } else if word & LAP_MASK == lap.wrapping_sub(LAP_ONE) && word & STATE_MASK == TAKEN {
                // The head has come round to a slot whose last receiver is not done with it.
                return Ok(Next::Empty);
            } else if self.head.0.load(Acquire) == position {
                return Err(NONSENSE);
            }
            spin_loop();
        }
        Err(NONSENSE)
    }

    /// Whether a message that was looked at is still there.
    #[inline]
    #[must_use]
    pub fn is_current(&self, message: &Message) -> bool {
        // What was read of the payload came before this look at the word.
        fence(Acquire);
        self.slot(message.position).is_some_and(|slot| slot.word.load(Relaxed) == message.word)
    }

    /// Takes a message for `me`: the commit store of a receive. `false` when somebody else has it, and
    /// then its payload may be anything.
    #[inline]
    pub fn take(&self, message: &Message, me: Party) -> bool {
        let Some(slot) = self.slot(message.position) else { return false };
        let mine = word_of(message.position & LAP_MASK, me, TAKEN);
        if slot.word.compare_exchange(message.word, mine, AcqRel, Relaxed).is_err() {
            return false;
        }
        self.advance(self.head, message.position);
        true
    }

    /// Gives the slot of a taken message back to the senders.
    #[inline]
    pub fn finish(&self, message: &Message) {
        if let Some(slot) = self.slot(message.position) {
            slot.word.store((message.position & LAP_MASK).wrapping_add(LAP_ONE) | FREE, Release);
        }
    }

    /// Frees a slot for the next lap if it is still as the caller saw it.
    fn free(&self, slot: &Slot, word: u64) {
        let free = (word & LAP_MASK).wrapping_add(LAP_ONE) | FREE;
        let _ = slot.word.compare_exchange(word, free, AcqRel, Relaxed);
    }

    /// Repairs what the dead party `dead` left: its unsent slots become holes, its taken ones free.
    ///
    /// `found` gets the payload of each armed or taken slot before the slot changes, so that a reaper
    /// that dies here leaves it to the next one; words that were not sent may be anything. Returns whether anything changed.
    pub fn reap(&self, dead: Party, mut found: impl FnMut(&Payload)) -> bool {
        let mut changed = false;
        for slot in self.slots {
            let word = slot.word.load(Acquire);
            if party_of(word) != Some(dead) {
                continue;
            }
            match word & STATE_MASK {
                CLAIMED | ARMED => {
                    if word & STATE_MASK == ARMED {
                        found(&slot.read(true));
                    }
                    let hole = (word & LAP_MASK) | HOLE;
                    changed |= slot.word.compare_exchange(word, hole, AcqRel, Relaxed).is_ok();
                }
                TAKEN => {
                    found(&slot.read(true));
                    self.free(slot, word);
                    changed = true;
                }
                _ => {}
            }
        }
        changed
    }

    /// Whether any slot carries, or is about to carry, a payload that `wanted` recognises.
    ///
    /// A slot that changes meanwhile may be missed; the caller finds that out from the holders of what
    /// it looks for (see [`Chunk`](crate::chunk::Chunk)).
    pub fn any(&self, mut wanted: impl FnMut(&Payload) -> bool) -> bool {
        let found = self.slots.iter().any(|slot| {
            let word = slot.word.load(Acquire);
            // A claimed slot has no payload yet; its sender still holds what it sends.
            matches!(word & STATE_MASK, ARMED | READY | TAKEN) && wanted(&slot.read(true))
        });
        // What was read of the payloads came before what the caller looks at next.
        fence(Acquire);
        found
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
