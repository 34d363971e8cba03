//! Who sent and received what: a note before each send, one after it, one after each receive.

use crate::campaign::rng::Rng;
use crate::campaign::{Violation, ensure};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::{THREADS, WORKERS};

/// Bytes of a note: what, queue, array, first page.
const NOTE: usize = 32;
/// The array number of arrays too short for one.
pub(crate) const NO_NUMBER: u64 = u64::MAX;
/// Queues of one worker: for unique arrays, for shared ones; then the two for all.
pub(crate) const QUEUES: u64 = 2 * WORKERS as u64 + 2;

/// What is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A message is about to be sent.
    Offer = 1,
    /// It has been sent.
    Sent = 2,
    /// It was given back.
    Back = 3,
    /// It has been received.
    Got = 4,
}

/// The notes of one worker.
#[derive(Debug)]
pub(crate) struct Ledger(File);

/// A message: queue, array, first page.
pub(crate) type Key = (u64, u64, u64);

impl Ledger {
    pub(crate) fn open(side: &Path, worker: usize) -> io::Result<Self> {
        let path = side.join(format!("ledger-{worker}"));
        OpenOptions::new().append(true).create(true).open(path).map(Self)
    }

    pub(crate) fn note(&mut self, event: Event, key: Key) -> io::Result<()> {
        let mut note = [0; NOTE];
        for (place, word) in note.chunks_mut(8).zip([event as u64, key.0, key.1, key.2]) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        self.0.write_all(&note)
    }
}

/// How often each thing happened to one message.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    offers: u64,
    sent: u64,
    back: u64,
    got: u64,
}

/// All ledgers together.
#[derive(Debug, Default)]
pub(crate) struct Account(HashMap<Key, Counts>);

impl Account {
    pub(crate) fn read(side: &Path) -> io::Result<Self> {
        let mut account = Self::default();
        for worker in 0..WORKERS {
            let bytes = std::fs::read(side.join(format!("ledger-{worker}"))).unwrap_or_default();
            for note in bytes.chunks_exact(NOTE) {
                let word = |index: usize| {
                    let bytes = note[8 * index..8 * index + 8].try_into().unwrap_or_default();
                    u64::from_le_bytes(bytes)
                };
                let counts = account.0.entry((word(1), word(2), word(3))).or_default();
                match word(0) {
                    1 => counts.offers += 1,
                    2 => counts.sent += 1,
                    3 => counts.back += 1,
                    _ => counts.got += 1,
                }
            }
        }
        Ok(account)
    }

    /// Whether everything that was sent was received once, but for what the dead took with them.
    pub(crate) fn check(&self, killed: &[u64; WORKERS]) -> Result<String, Violation> {
        let (mut sent, mut got, mut unfinished) = (0, 0, 0);
        let mut lost = [0; QUEUES as usize];
        for (key, counts) in &self.0 {
            let begun = counts.offers - counts.back;
            ensure(counts.got <= begun, || format!("{key:x?} was received too often: {counts:?}"))?;
            sent += counts.sent;
            got += counts.got;
            unfinished += begun - counts.sent;
            lost[key.0 as usize] += counts.sent.saturating_sub(counts.got);
        }
        let all: u64 = killed.iter().sum();
        for (queue, lost) in lost.iter().enumerate() {
            // Each thread that is killed may have taken one message that it has not noted yet.
            let deaths = killed.get(queue / 2).copied().unwrap_or(all);
            ensure(*lost <= deaths * THREADS as u64, || {
                format!("queue {queue} lost {lost} messages, its receivers died {deaths} times")
            })?;
        }
        let lost: u64 = lost.iter().sum();
        ensure(unfinished <= all * THREADS as u64, || {
            format!("{unfinished} sends unfinished, {all} deaths")
        })?;
        Ok(format!(
            "{sent} sent, {got} received, {lost} lost with a dead receiver, {unfinished} unfinished \
             by a dead sender"
        ))
    }
}

/// A number for an array that nobody uses again.
pub(crate) fn array_number(worker: usize, life: u64, count: u64) -> u64 {
    ((worker as u64) << 56) | (life << 32) | count
}

/// A queue to send to: the next worker's or everybody's, for unique or for shared arrays.
pub(crate) fn any_queue(worker: usize, is_unique: bool, rng: &mut Rng) -> u64 {
    let pair = if rng.one_in(3) { WORKERS } else { (worker + 1) % WORKERS };
    2 * pair as u64 + u64::from(is_unique)
}
