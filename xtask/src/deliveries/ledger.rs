//! Who sent and received what: a note before each send, one after it, one after each receive, and one before and
//! one after each acknowledgement.
//!
//! A note is one word, written at the end of a file of its writer's own by one system call: what is written
//! is there whatever happens to the writer.

use crate::campaign::Violation;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What is noted, in the highest bits of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A message is about to be sent.
    Offer = 0,
    /// Its send has returned: it is acknowledged.
    Sent = 1,
    /// It was given back.
    Back = 2,
    /// It has been received.
    Got = 3,
    /// A receiver begins a life, with this number.
    Joined = 4,
    /// A received message is about to be acknowledged.
    Settling = 5,
    /// That has returned.
    Settled = 6,
}

const EVENTS: [Event; 7] = [
    Event::Offer,
    Event::Sent,
    Event::Back,
    Event::Got,
    Event::Joined,
    Event::Settling,
    Event::Settled,
];

const EVENT_SHIFT: u32 = 60;
const SENDER_SHIFT: u32 = 56;
const DELIVERIES_SHIFT: u32 = 52;
const DELIVERIES_MASK: u64 = 0xf;
const LIFE_SHIFT: u32 = 32;
const NUMBER_MASK: u64 = !(0xf << EVENT_SHIFT | DELIVERIES_MASK << DELIVERIES_SHIFT);

/// The number of the message that a sender sends as the `nth` of its life.
pub(crate) fn number(sender: usize, life: u64, nth: u64) -> u64 {
    (sender as u64) << SENDER_SHIFT | life << LIFE_SHIFT | nth
}

/// The sender of a message.
pub(crate) fn sender_of(number: u64) -> u64 {
    number >> SENDER_SHIFT
}

/// One note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) event: Event,
    pub(crate) number: u64,
    /// How often the message had been delivered then, if that is counted.
    pub(crate) deliveries: u64,
}

impl Note {
    pub(crate) fn new(event: Event, number: u64) -> Self {
        Self { event, number, deliveries: 0 }
    }

    fn to_word(self) -> u64 {
        let deliveries = (self.deliveries & DELIVERIES_MASK) << DELIVERIES_SHIFT;
        (self.event as u64) << EVENT_SHIFT | deliveries | self.number & NUMBER_MASK
    }

    fn from_word(word: u64) -> Option<Self> {
        let event = *EVENTS.get((word >> EVENT_SHIFT) as usize)?;
        let deliveries = word >> DELIVERIES_SHIFT & DELIVERIES_MASK;
        Some(Self { event, number: word & NUMBER_MASK, deliveries })
    }
}

/// The notes of one worker.
#[derive(Debug)]
pub(crate) struct Ledger(File);

impl Ledger {
    pub(crate) fn open(side: &Path, worker: usize) -> io::Result<Self> {
        OpenOptions::new().append(true).create(true).open(path(side, worker)).map(Self)
    }

    pub(crate) fn note(&mut self, event: Event, number: u64) -> io::Result<()> {
        self.write(Note::new(event, number))
    }

    pub(crate) fn write(&mut self, note: Note) -> io::Result<()> {
        self.0.write_all(&note.to_word().to_le_bytes())
    }
}

fn path(side: &Path, worker: usize) -> PathBuf {
    side.join(format!("ledger-{worker}"))
}

/// All notes of a worker, in order.
pub(crate) fn read(side: &Path, worker: usize) -> Result<Vec<Note>, Violation> {
    let bytes = std::fs::read(path(side, worker))?;
    let words = bytes.chunks_exact(size_of::<u64>());
    let note = |word: &[u8]| {
        let word = u64::from_le_bytes(word.try_into()?);
        Note::from_word(word).ok_or_else(|| Violation(format!("worker {worker} noted {word:#x}")))
    };
    words.map(note).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_survives_being_written_down() {
        for event in EVENTS {
            let note =
                Note { event, number: number(3, 0xfffff, u64::from(u32::MAX)), deliveries: 3 };
            assert_eq!(Note::from_word(note.to_word()), Some(note));
        }
        assert_eq!(Note::from_word(u64::MAX), None);
        assert_eq!(sender_of(number(3, 0xfffff, 1)), 3);
    }
}
