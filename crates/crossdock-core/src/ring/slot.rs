//! The words of a ring: slots, cursors, and what their bits mean.

use crate::party::Party;
use crate::primitive::{AtomicU64, fence};
use arrayvec::ArrayVec;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// Words of payload in a slot; the rest of a longer one lies beside the slots.
pub const SLOT_WORDS: usize = 15;

/// Words of payload that share a cache line with the word that receivers poll.
pub const SHORT_WORDS: usize = 7;

/// Words that a message can have.
pub const MESSAGE_WORDS_MAX: usize = 136;

/// All words of a message.
pub type Words = ArrayVec<u64, MESSAGE_WORDS_MAX>;

pub(super) const INDEX_BITS: u32 = 20;
pub(super) const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
pub(super) const LAP_ONE: u64 = 1 << INDEX_BITS;
pub(super) const LAP_MASK: u64 = !INDEX_MASK;

pub(super) const STATE_MASK: u64 = 0xf;
pub(super) const PARTY_SHIFT: u32 = 4;
/// Claim and take: at rest. Message: nothing yet, in the first lap.
pub(super) const FREE: u64 = 0;
pub(super) const OPEN: u64 = FREE;
pub(super) const CLAIMED: u64 = 1;
pub(super) const ARMED: u64 = 2;
pub(super) const READY: u64 = 3;
pub(super) const TAKEN: u64 = 4;
pub(super) const HOLE: u64 = 5;
/// As `ARMED`, but the payload is too long to be there twice: it lies where it will be sent.
pub(super) const ARMED_LONG: u64 = 6;
/// The sender of a broadcast is at work; what was here before is gone.
pub(super) const WRITING: u64 = 7;
/// In a `READY` word the words of the payload stand in the place of the party.
pub(super) const LEN_MASK: u64 = INDEX_MASK & !STATE_MASK;

/// One place in a ring, seen by one process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot<'a> {
    pub(super) claim: &'a Claimed,
    pub(super) message: &'a Written,
    pub(super) take: &'a Taken,
}

/// The senders' part of a slot. Eight of them share a cache line: a stream of records goes through all of them, and the
/// messages need the room in the processor's cache more than senders mind each other.
#[repr(C)]
#[derive(Debug)]
pub struct Claimed {
    pub(super) word: AtomicU64,
}

/// What an armed sender is handing over, for its reaper.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Armed {
    payload: [AtomicU64; SHORT_WORDS],
}

impl Armed {
    #[inline]
    pub(super) fn store(&self, payload: &[u64]) {
        for (word, value) in self.payload.iter().zip(payload) {
            word.store(*value, Relaxed);
        }
    }

    pub(super) fn load(&self) -> [u64; SHORT_WORDS] {
        std::array::from_fn(|index| self.payload[index].load(Relaxed))
    }
}

/// The part that receivers poll: one cache line is all that a 1-D or 2-D array needs.
#[repr(C, align(128))]
#[derive(Debug)]
pub struct Written {
    pub(super) word: AtomicU64,
    pub(super) payload: [AtomicU64; SLOT_WORDS],
}

/// The receivers' part of a slot.
#[repr(C, align(16))]
#[derive(Debug)]
pub struct Taken {
    pub(super) word: AtomicU64,
    /// Of a broadcast and of a latest-value cell: readers that take hold of what the message leads to.
    pub(super) pins: AtomicU64,
}

/// Messages among which places are dealt out, at most; see [`Arrays`].
const BLOCK_MAX: usize = 256;
/// From the place of one message to that of the next; odd, so that every place of a block has its turn.
const STEP: usize = 89;

/// The messages that there is memory for in a ring of `count` slots.
#[must_use]
pub const fn messages_of(count: usize) -> usize {
    count.saturating_add(block_mask(count)) & !block_mask(count)
}

/// The places of a block, a power of two, less one.
const fn block_mask(count: usize) -> usize {
    if count < BLOCK_MAX { count.next_power_of_two() - 1 } else { BLOCK_MAX - 1 }
}

/// Where the slots of a ring lie: their parts in four arrays.
///
/// A processor that goes through memory in order, or in even steps, fetches the lines that come next. A receiver
/// that is close behind a sender would take from it, time and again, the memory that it is about to write, and a record
/// of 64 bytes would take three times as long. So what senders claim lies apart from what receivers read, and
/// messages that follow each other lie 89 places apart in blocks of 256, or of as many as there are: from 128 on in
/// other pages of memory.
#[derive(Clone, Copy, Debug)]
pub struct Arrays<'a> {
    claims: &'a [Claimed],
    armed: &'a [Armed],
    messages: &'a [Written],
    takes: &'a [Taken],
    block_mask: usize,
}

impl<'a> Arrays<'a> {
    /// Slots in these arrays, of which there are as many as `claims`; `None` if the others have not as many as that
    /// takes ([`messages_of`]).
    #[must_use]
    pub fn new(
        claims: &'a [Claimed],
        armed: &'a [Armed],
        messages: &'a [Written],
        takes: &'a [Taken],
    ) -> Option<Self> {
        let count = claims.len();
        let fits =
            armed.len() == count && takes.len() == count && messages.len() == messages_of(count);
        fits.then_some(Self { claims, armed, messages, takes, block_mask: block_mask(count) })
    }

    #[inline]
    pub(super) fn count(&self) -> usize {
        self.claims.len()
    }

    /// A slot, if there is one of this number.
    #[inline]
    pub(super) fn at(&self, index: usize) -> Option<Slot<'a>> {
        Some(Slot {
            claim: self.claims.get(index)?,
            message: self.message(index)?,
            take: self.takes.get(index)?,
        })
    }

    #[inline]
    pub(super) fn armed(&self, index: usize) -> Option<&'a Armed> {
        self.armed.get(index)
    }

    #[inline]
    pub(super) fn message(&self, index: usize) -> Option<&'a Written> {
        let place = (index & !self.block_mask) | (index.wrapping_mul(STEP) & self.block_mask);
        self.messages.get(place)
    }
}

/// Free slots of the first lap in memory that is not shared (tests, models).
#[derive(Debug)]
pub struct OwnedSlots {
    claims: Vec<Claimed>,
    armed: Vec<Armed>,
    messages: Vec<Written>,
    takes: Vec<Taken>,
}

impl OwnedSlots {
    /// So many slots.
    #[must_use]
    pub fn new(count: usize) -> Self {
        fn zeroes<const N: usize>() -> [AtomicU64; N] {
            std::array::from_fn(|_| AtomicU64::new(0))
        }
        let claim = |_| Claimed { word: AtomicU64::new(FREE) };
        let armed = |_| Armed { payload: zeroes() };
        let message = |_| Written { word: AtomicU64::new(FREE), payload: zeroes() };
        let take = |_| Taken { word: AtomicU64::new(OPEN), pins: AtomicU64::new(0) };
        Self {
            claims: (0..count).map(claim).collect(),
            armed: (0..count).map(armed).collect(),
            messages: (0..messages_of(count)).map(message).collect(),
            takes: (0..count).map(take).collect(),
        }
    }

    /// The arrays to make a ring of.
    #[must_use]
    pub fn arrays(&self) -> Arrays<'_> {
        Arrays {
            claims: &self.claims,
            armed: &self.armed,
            messages: &self.messages,
            takes: &self.takes,
            block_mask: block_mask(self.claims.len()),
        }
    }
}

#[cfg(not(loom))]
const _: () = assert!(
    size_of::<Claimed>() == 8
        && size_of::<Armed>() == 64
        && size_of::<Written>() == 128
        && size_of::<Taken>() == 16
);

impl Slot<'_> {
    /// All words of a payload, those beside the slots as well.
    pub(super) fn read_all(&self, more: &[AtomicU64], len: usize) -> Words {
        let words = self.message.payload.iter().chain(more).take(len.min(MESSAGE_WORDS_MAX));
        words.map(|word| word.load(Relaxed)).collect()
    }

    /// Whether a payload that `wanted` recognises is in the slot, is about to be, or may be. `more` is where
    /// the rest of a long one lies.
    pub(super) fn may_carry(
        &self,
        armed: &Armed,
        more: &[AtomicU64],
        wanted: &mut impl FnMut(&[u64]) -> bool,
    ) -> bool {
        // First what is about to be sent, then what has been: nothing goes the other way.
        if self.is_about_to_carry(armed, more, wanted) {
            return true;
        }
        fence(Acquire);
        let message = self.message.word.load(Acquire);
        let take = self.take.word.load(Acquire);
        if take & STATE_MASK == TAKEN {
            // The next message may be overwriting the ticket of somebody who has not yet got the hold.
            return true;
        }
        if message & STATE_MASK != READY || message & LAP_MASK != take & LAP_MASK {
            return false;
        }
        let found = wanted(&self.read_all(more, len_of(message)));
        fence(Acquire);
        found || self.take.word.load(Relaxed) != take
    }

    /// Whether a sender is about to send a payload that `wanted` recognises. A claim that is not armed has no
    /// payload yet; its sender still holds what it sends.
    pub(super) fn is_about_to_carry(
        &self,
        armed: &Armed,
        more: &[AtomicU64],
        wanted: &mut impl FnMut(&[u64]) -> bool,
    ) -> bool {
        match self.claim.word.load(Acquire) & STATE_MASK {
            ARMED => wanted(&armed.load()),
            ARMED_LONG => wanted(&self.read_all(more, SLOT_WORDS + more.len())),
            _ => false,
        }
    }
}

/// A position hint, alone in its pair of cache lines (adjacent lines are fetched in pairs).
#[repr(C, align(128))]
#[derive(Debug)]
pub struct Cursor {
    pub(super) position: AtomicU64,
    /// In the tail: where the head was when a sender last looked, so that it need not look each time.
    pub(super) head_seen: AtomicU64,
}

impl Cursor {
    /// A cursor at the first slot of the first lap, for memory that is not shared (tests, models).
    #[must_use]
    pub fn new() -> Self {
        Self { position: AtomicU64::new(0), head_seen: AtomicU64::new(0) }
    }
}

impl Default for Cursor {
    fn default() -> Self {
        Self::new()
    }
}

pub(super) fn word_of(lap: u64, party: Party, state: u64) -> u64 {
    lap | ((party.index() as u64) << PARTY_SHIFT) | state
}

pub(super) fn party_of(word: u64) -> Option<Party> {
    Party::new(usize::try_from((word & INDEX_MASK) >> PARTY_SHIFT).ok()?)
}

/// Who is at work in a claim or take word, if anybody.
pub(super) fn worker(word: u64) -> Option<Party> {
    matches!(word & STATE_MASK, CLAIMED | ARMED | ARMED_LONG | TAKEN)
        .then(|| party_of(word))
        .flatten()
}

/// Words of the payload behind a `READY` word.
#[inline]
pub(super) fn len_of(word: u64) -> usize {
    ((word & LEN_MASK) >> PARTY_SHIFT) as usize
}

/// The word of a message of so many words.
#[inline]
pub(super) fn ready(lap: u64, len: usize) -> u64 {
    lap | ((len as u64) << PARTY_SHIFT) | READY
}

/// Whether a message word is what the lap before left.
#[inline]
pub(super) fn is_done(word: u64, lap: u64) -> bool {
    next_lap(word & LAP_MASK) == lap && matches!(word & STATE_MASK, READY | HOLE)
}

#[inline]
pub(super) fn next_lap(lap: u64) -> u64 {
    lap.wrapping_add(LAP_ONE)
}
