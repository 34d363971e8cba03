//! One piece of an arena, and who holds it.
//!
//! # States
//!
//! Ownership is a bit per party, not a counter: a counter cannot be repaired after a kill, since nobody
//! knows who had counted; a bit can be cleared by anyone, any number of times.
//!
//! | bits | meaning | who may change it |
//! |---|---|---|
//! | none | free | the arena's owner, to its own bit |
//! | a process's | mapped and used by that process | that process; anyone once it is dead |
//! | a channel's | a ticket in that channel's ring may name the chunk | the sender sets it before the ticket is published; whoever takes the *sole* ticket, or proves that no ticket is left, clears it |
//!
//! # Moves
//!
//! A hold can move from one word to another while somebody reads the words one by one. Each word
//! therefore counts, in its upper 16 bits, how often a bit of it was *set*: two equal readings in a row
//! mean that nothing was taken in between, so a chunk that reads as unheld twice is unheld for good;
//! only a holder can make another holder.
//!
//! # Ordering
//!
//! Setting and clearing are `AcqRel`: what a process did to the memory before it let go happens before
//! what the next taker does with it.

use crate::Corrupt;
use crate::party::{PARTIES_MAX, Party, PartySet};
use crate::primitive::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

const HOLDER_BITS: usize = 48;
const HOLDER_MASK: u64 = (1 << HOLDER_BITS) - 1;
const SET_ONE: u64 = 1 << HOLDER_BITS;

/// Words of holder bits in a chunk.
pub const HOLDER_WORDS: usize = PARTIES_MAX.div_ceil(HOLDER_BITS);

/// Generation and holders of one piece of an arena: one cache line.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Chunk {
    /// Goes up each time the owner hands the memory out anew.
    generation: AtomicU64,
    holders: [AtomicU64; HOLDER_WORDS],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Chunk>() == 64);

/// The holder words of a chunk as they were at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot([u64; HOLDER_WORDS]);

impl PartialEq for Snapshot {
    // Written out: seven words are compared faster than a call for their bytes is made.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        (0..HOLDER_WORDS).fold(0, |all, index| all | (self.0[index] ^ other.0[index])) == 0
    }
}

impl Eq for Snapshot {}

impl Snapshot {
    /// Whether nobody holds the chunk.
    #[inline]
    #[must_use]
    pub fn is_unheld(&self) -> bool {
        self.0.iter().all(|word| word & HOLDER_MASK == 0)
    }

    /// Whether `party` holds the chunk.
    #[must_use]
    pub fn holds(&self, party: Party) -> bool {
        let (word, bit) = place(party);
        self.0[word] & bit != 0
    }

    /// Whether `party` and nobody else holds the chunk.
    #[must_use]
    pub fn holds_alone(&self, party: Party) -> bool {
        let (word, bit) = place(party);
        (0..HOLDER_WORDS)
            .all(|index| self.0[index] & HOLDER_MASK == if index == word { bit } else { 0 })
    }

    /// All who hold the chunk.
    pub fn holders(&self) -> impl Iterator<Item = Party> {
        Party::all().filter(|party| self.holds(*party))
    }
}

#[inline]
pub(crate) fn place(party: Party) -> (usize, u64) {
    (party.index() / HOLDER_BITS, 1 << (party.index() % HOLDER_BITS))
}

impl Chunk {
    /// A chunk that nobody holds, for memory that is not shared (tests, models).
    #[must_use]
    pub fn new() -> Self {
        Self { generation: AtomicU64::new(0), holders: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// The generation now in use.
    #[inline]
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Acquire)
    }

    /// Begins a new generation for `owner`, who has seen the chunk unheld and is the only one who
    /// hands it out. Returns the generation.
    #[inline]
    pub fn recycle(&self, owner: Party) -> u64 {
        let generation = self.generation.load(Relaxed).wrapping_add(1);
        self.generation.store(generation, Release);
        self.take(owner);
        generation
    }

    /// Adds `party` to the holders; says whether it already was one.
    #[inline]
    pub fn take(&self, party: Party) -> bool {
        let (word, bit) = place(party);
        let mut old = self.holders[word].load(Relaxed);
        loop {
            let new = (old | bit).wrapping_add(SET_ONE);
            match self.holders[word].compare_exchange_weak(old, new, AcqRel, Relaxed) {
                Ok(_) => return old & bit != 0,
                Err(now) => old = now,
            }
        }
    }

    /// Removes `party` from the holders; nothing happens if it is none.
    #[inline]
    pub fn release(&self, party: Party) {
        let (word, bit) = place(party);
        self.holders[word].fetch_and(!bit, AcqRel);
    }

    /// Lets go of what the dead hold. Returns how many of them did.
    pub fn release_all(&self, dead: &PartySet) -> u32 {
        let words = self.holders.iter().zip(dead.words());
        words
            .map(|(holders, dead)| match holders.load(Relaxed) & dead {
                0 => 0,
                _ => (holders.fetch_and(!dead, AcqRel) & dead).count_ones(),
            })
            .sum()
    }

    /// Passes the hold of `from` to `to`, which has none: at no moment is the chunk unheld.
    ///
    /// The cache line comes from another processor, so it is fetched once, by the write itself.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when `from` was no holder or `to` was one: then `to` is a holder in any case, so the
    /// memory is at worst not reused.
    #[inline]
    pub fn hand_over(&self, from: Party, to: Party) -> Result<(), Corrupt> {
        const WRONG: Corrupt = Corrupt("a hold was passed on that was not there");
        let (from_word, from_bit) = place(from);
        let (to_word, to_bit) = place(to);
        if from_word == to_word && from != to {
            // Right if `from` is set and `to` is clear: one bit moves and the count of settings goes up.
            let change = SET_ONE.wrapping_add(to_bit).wrapping_sub(from_bit);
            let old = self.holders[to_word].fetch_add(change, AcqRel);
            if old & from_bit != 0 && old & to_bit == 0 {
                return Ok(());
            }
            // Additions commute, so taking this one back leaves everybody else's bits as they were.
            self.holders[to_word].fetch_sub(change, AcqRel);
            self.holders[to_word].fetch_or(from_bit | to_bit, AcqRel);
            return Err(WRONG);
        }
        if from == to {
            return Err(WRONG);
        }
        let change = SET_ONE.wrapping_add(to_bit);
        let old = self.holders[to_word].fetch_add(change, AcqRel);
        if old & to_bit != 0 {
            self.holders[to_word].fetch_sub(change, AcqRel);
            return Err(WRONG);
        }
        let old = self.holders[from_word].fetch_and(!from_bit, AcqRel);
        if old & from_bit == 0 { Err(WRONG) } else { Ok(()) }
    }

    /// Whether `party` is among the holders now.
    #[inline]
    #[must_use]
    pub fn is_held_by(&self, party: Party) -> bool {
        let (word, bit) = place(party);
        self.holders[word].load(Acquire) & bit != 0
    }

    /// The holders at one moment, or `None` while they keep changing.
    #[inline]
    #[must_use]
    pub fn snapshot(&self) -> Option<Snapshot> {
        let first = self.read();
        (self.read() == first).then_some(first)
    }

    #[inline]
    fn read(&self) -> Snapshot {
        Snapshot(std::array::from_fn(|index| self.holders[index].load(Acquire)))
    }
}

impl Default for Chunk {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn party(index: usize) -> Party {
        Party::new(index).unwrap()
    }

    #[test]
    fn taking_and_releasing_are_exact_for_every_party() {
        let chunk = Chunk::new();
        for p in Party::all() {
            assert!(!chunk.take(p));
            assert!(chunk.take(p), "a second taking sees the first");
            assert!(chunk.snapshot().unwrap().holds_alone(p));
            assert_eq!(chunk.snapshot().unwrap().holders().collect::<Vec<_>>(), [p]);
            chunk.release(p);
            chunk.release(p);
            assert!(chunk.snapshot().unwrap().is_unheld());
        }
    }

    #[test]
    fn handing_over_moves_the_hold_within_and_across_words() {
        for (from, to) in [(0, 1), (0, 335), (47, 48), (47, 0)] {
            let chunk = Chunk::new();
            chunk.take(party(from));
            chunk.hand_over(party(from), party(to)).unwrap();
            assert!(chunk.snapshot().unwrap().holds_alone(party(to)), "{from} to {to}");
        }
    }

    #[test]
    fn passing_on_what_is_not_there_is_noticed_and_frees_nothing() {
        for (from, to) in [(0, 1), (0, 335)] {
            let chunk = Chunk::new();
            assert!(chunk.hand_over(party(from), party(to)).is_err(), "nobody has {from}");
            assert!(chunk.is_held_by(party(to)));
        }
        for (from, to) in [(0, 1), (0, 335), (5, 5)] {
            let chunk = Chunk::new();
            chunk.take(party(to));
            chunk.take(party(4));
            assert!(chunk.hand_over(party(from), party(to)).is_err(), "{from} to {to}");
            assert!(chunk.is_held_by(party(to)) && chunk.is_held_by(party(4)));
            assert!(chunk.snapshot().unwrap().holders().count() <= 3, "nobody else appears");
        }
    }

    #[test]
    fn a_hold_that_left_and_came_back_is_seen() {
        let chunk = Chunk::new();
        let before = chunk.snapshot().unwrap();
        chunk.take(party(3));
        chunk.release(party(3));
        assert_ne!(chunk.snapshot().unwrap(), before);
        assert!(chunk.snapshot().unwrap().is_unheld());
    }

    #[test]
    fn the_set_counter_wraps_without_touching_the_holders() {
        let chunk = Chunk::new();
        chunk.take(party(0));
        for _ in 0..70_000 {
            chunk.take(party(47));
        }
        chunk.release(party(47));
        assert!(chunk.snapshot().unwrap().holds_alone(party(0)));
    }

    #[test]
    fn many_dead_let_go_at_once_and_the_living_do_not() {
        let chunk = Chunk::new();
        assert!(![0, 47, 48, 335].into_iter().any(|index| chunk.take(party(index))));
        let dead: PartySet = [1, 47, 48, 100, 335].into_iter().map(party).collect();
        assert_eq!((chunk.release_all(&dead), chunk.release_all(&dead)), (3, 0));
        assert!(chunk.snapshot().unwrap().holds_alone(party(0)));
    }

    #[test]
    fn each_recycling_is_a_generation() {
        let chunk = Chunk::new();
        assert_eq!(chunk.recycle(party(1)), 1);
        chunk.release(party(1));
        assert_eq!(chunk.recycle(party(1)), 2);
        assert_eq!(chunk.generation(), 2);
        assert!(chunk.is_held_by(party(1)));
    }
}
