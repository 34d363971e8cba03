//! Who can hold memory: processes and channels, each with a small number.
//!
//! The table of parties is one file per directory of names. A party's number is its bit in every
//! [`Chunk`](crate::chunk::Chunk), so there is a written maximum; its epoch tells two parties apart
//! that had the same number one after the other.
//!
//! # Who writes
//!
//! Records change only under the directory's lock, which the kernel takes away from a dead holder.
//! Fields are written first and the word last, so a record whose writer died is still [`State::Free`].
//! Readers take no lock: they read word, fields, word and compare.

pub use crate::party_set::PartySet;

use crate::primitive::AtomicU64;
use crossdock_sys::process::ProcessId;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Parties that one directory of names can have at once.
pub const PARTIES_MAX: usize = 336;

/// The number of a party, below [`PARTIES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Party(u16);

impl Party {
    /// The party with this number, if there can be one.
    #[must_use]
    pub fn new(index: usize) -> Option<Self> {
        if index < PARTIES_MAX { u16::try_from(index).ok().map(Self) } else { None }
    }

    /// Its number.
    #[inline]
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Every party there can be.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PARTIES_MAX).filter_map(Self::new)
    }
}

/// A party at one time: number and epoch. Never reused while its table exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PartyId {
    /// Its number.
    pub party: Party,
    /// How often the number has been given out, below 2^48.
    pub epoch: u64,
}

impl PartyId {
    const EPOCH_BITS: u32 = 48;
    const EPOCH_MASK: u64 = (1 << Self::EPOCH_BITS) - 1;

    /// Both in one word: `number << 48 | epoch`.
    #[must_use]
    pub fn to_word(self) -> u64 {
        (u64::from(self.party.0) << Self::EPOCH_BITS) | self.epoch
    }

    /// The reverse; `None` for a number that no party has.
    #[must_use]
    pub fn from_word(word: u64) -> Option<Self> {
        let party = Party::new(usize::try_from(word >> Self::EPOCH_BITS).ok()?)?;
        Some(Self { party, epoch: word & Self::EPOCH_MASK })
    }
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody.
    Free,
    /// A process.
    Process(ProcessId),
    /// The channel whose file has this inode.
    Channel {
        /// Inode of the channel's file.
        inode: u64,
    },
}

const PROCESS: u64 = 1;
const CHANNEL: u64 = 2;
const STATE_BITS: u32 = 8;

fn epoch_of(word: u64) -> u64 {
    (word >> STATE_BITS) & PartyId::EPOCH_MASK
}

/// One row of the table of parties.
///
/// | word & 0xff | meaning |
/// |---|---|
/// | 0, or no other below | free; the other fields say nothing |
/// | 1 | a process, whose identity the other fields hold |
/// | 2 | a channel, whose inode `object` holds |
///
/// `word >> 8` is the epoch: it counts how often the row has been taken.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Record {
    word: AtomicU64,
    pid: AtomicU64,
    pid_namespace: AtomicU64,
    pidfd_inode: AtomicU64,
    start_ticks: AtomicU64,
    boot: [AtomicU64; 2],
    object: AtomicU64,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Record>() == 64);

impl Record {
    /// The epoch and what the record says, as they were at one moment.
    #[must_use]
    pub fn read(&self) -> (u64, State) {
        loop {
            let word = self.word.load(Acquire);
            let state = match word & 0xff {
                PROCESS => State::Process(ProcessId {
                    boot: [self.boot[0].load(Relaxed), self.boot[1].load(Relaxed)],
                    pid_namespace: self.pid_namespace.load(Relaxed),
                    pid: u32::try_from(self.pid.load(Relaxed)).unwrap_or(0),
                    pidfd_inode: self.pidfd_inode.load(Relaxed),
                    start_ticks: self.start_ticks.load(Relaxed),
                }),
                CHANNEL => State::Channel { inode: self.object.load(Relaxed) },
                _ => State::Free,
            };
            crate::primitive::fence(Acquire);
            if self.word.load(Relaxed) == word {
                return (epoch_of(word), state);
            }
        }
    }

    /// The epoch of a record that is in use now.
    #[inline]
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        let word = self.word.load(Acquire);
        matches!(word & 0xff, PROCESS | CHANNEL).then_some(epoch_of(word))
    }

    /// Gives a free record to a process; the caller holds the directory's lock.
    pub fn take_for_process(&self, id: &ProcessId) -> u64 {
        self.boot[0].store(id.boot[0], Relaxed);
        self.boot[1].store(id.boot[1], Relaxed);
        self.pid_namespace.store(id.pid_namespace, Relaxed);
        self.pidfd_inode.store(id.pidfd_inode, Relaxed);
        self.start_ticks.store(id.start_ticks, Relaxed);
        self.pid.store(u64::from(id.pid), Relaxed);
        self.commit(PROCESS)
    }

    /// Gives a free record to a channel; the caller holds the directory's lock.
    pub fn take_for_channel(&self, inode: u64) -> u64 {
        self.object.store(inode, Relaxed);
        self.commit(CHANNEL)
    }

    /// The commit store of a taking: the epoch goes up and the state appears together.
    fn commit(&self, state: u64) -> u64 {
        let epoch = (epoch_of(self.word.load(Relaxed)) + 1) & PartyId::EPOCH_MASK;
        self.word.store((epoch << STATE_BITS) | state, Release);
        epoch
    }

    /// Says from where on a record that nobody has had yet counts its epochs; the table has no name yet.
    ///
    /// Words of locks outlive the table, so a new table must not begin with epochs of an old one.
    pub fn begin_epochs(&self, first: u64) {
        self.word.store((first & PartyId::EPOCH_MASK) << STATE_BITS, Relaxed);
    }

    /// Makes the record free and keeps the epoch; the caller holds the directory's lock and has
    /// cleared the party's bit everywhere.
    pub fn free(&self) {
        let word = self.word.load(Relaxed);
        self.word.store(word & !0xff, Release);
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            word: AtomicU64::new(0),
            pid: AtomicU64::new(0),
            pid_namespace: AtomicU64::new(0),
            pidfd_inode: AtomicU64::new(0),
            start_ticks: AtomicU64::new(0),
            boot: [AtomicU64::new(0), AtomicU64::new(0)],
            object: AtomicU64::new(0),
        }
    }

    #[test]
    fn a_zeroed_record_is_free() {
        assert_eq!(record().read(), (0, State::Free));
        assert_eq!(record().epoch(), None);
    }

    #[test]
    fn each_taking_has_its_own_epoch() {
        let record = record();
        let id = ProcessId { pid: 7, pidfd_inode: 9, ..ProcessId::default() };
        assert_eq!(record.take_for_process(&id), 1);
        assert_eq!(record.read(), (1, State::Process(id)));
        record.free();
        assert_eq!(record.epoch(), None);
        assert_eq!(record.take_for_channel(55), 2);
        assert_eq!(record.read(), (2, State::Channel { inode: 55 }));
    }

    #[test]
    fn an_id_survives_its_word_and_a_wild_word_is_nobody() {
        let id = PartyId { party: Party::new(335).unwrap(), epoch: (1 << 48) - 1 };
        assert_eq!(PartyId::from_word(id.to_word()), Some(id));
        assert_eq!(PartyId::from_word(336 << 48), None);
        assert_eq!(PartyId::from_word(u64::MAX), None);
    }
}
