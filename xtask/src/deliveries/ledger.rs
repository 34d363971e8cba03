//! Who sent and received what: a note before each send, one after it, one after each receive.
//!
//! A note is one word, written at the end of a file of its writer's own by one system call: what is written
//! is there whatever happens to the writer.

use super::{SENDERS, WORKERS};
use crate::campaign::{Violation, ensure};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

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
}

const EVENT_SHIFT: u32 = 62;
const NUMBER_MASK: u64 = (1 << EVENT_SHIFT) - 1;
const SENDER_SHIFT: u32 = 56;
const LIFE_SHIFT: u32 = 32;

/// The number of the message that a sender sends as the `nth` of its life.
pub(crate) fn number(sender: usize, life: u64, nth: u64) -> u64 {
    (sender as u64) << SENDER_SHIFT | life << LIFE_SHIFT | nth
}

/// The notes of one worker.
#[derive(Debug)]
pub(crate) struct Ledger(File);

impl Ledger {
    pub(crate) fn open(side: &Path, worker: usize) -> io::Result<Self> {
        OpenOptions::new().append(true).create(true).open(path(side, worker)).map(Self)
    }

    pub(crate) fn note(&mut self, event: Event, number: u64) -> io::Result<()> {
        self.0.write_all(&((event as u64) << EVENT_SHIFT | number).to_le_bytes())
    }
}

fn path(side: &Path, worker: usize) -> std::path::PathBuf {
    side.join(format!("ledger-{worker}"))
}

/// What happened to one message.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    is_offered: bool,
    is_sent: bool,
    is_back: bool,
    got: u32,
}

/// All ledgers together.
#[derive(Debug, Default)]
pub(crate) struct Account(HashMap<u64, Fate>);

impl Account {
    pub(crate) fn read(side: &Path) -> Result<Self, Violation> {
        let mut account = Self::default();
        for worker in 0..WORKERS {
            account.add(worker, &std::fs::read(path(side, worker))?)?;
        }
        Ok(account)
    }

    fn add(&mut self, worker: usize, notes: &[u8]) -> Result<(), Violation> {
        // A sender's messages arrive at a receiver in the order in which they were sent.
        let mut last = HashMap::new();
        for note in notes.chunks_exact(size_of::<u64>()) {
            let note = u64::from_le_bytes(note.try_into()?);
            let number = note & NUMBER_MASK;
            let fate = self.0.entry(number).or_default();
            match note >> EVENT_SHIFT {
                0 => fate.is_offered = true,
                1 => fate.is_sent = true,
                2 => fate.is_back = true,
                _ => {
                    fate.got += 1;
                    let before = last.insert(number >> SENDER_SHIFT, number);
                    ensure(before.is_none_or(|before| before <= number), || {
                        format!("receiver {worker} got message {number:#x} after {before:#x?}")
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Whether everything that was acknowledged was received once, but for what the dead took with them.
    pub(crate) fn check(&self, killed: &[u64; WORKERS]) -> Result<String, Violation> {
        let (mut sent, mut got, mut lost, mut unfinished) = (0, 0, 0, 0);
        for (number, fate) in &self.0 {
            let is_sound = fate.is_offered && fate.got <= 1 && !(fate.is_back && fate.got > 0);
            ensure(is_sound, || {
                let what = match fate {
                    Fate { is_offered: false, .. } => "though it was never sent",
                    Fate { is_back: true, .. } => "though it was given back",
                    _ => "twice",
                };
                format!("message {number:#x} was received {what}: {fate:?}")
            })?;
            sent += u64::from(fate.is_sent);
            got += u64::from(fate.got);
            lost += u64::from(fate.is_sent && fate.got == 0);
            unfinished += u64::from(!fate.is_sent && !fate.is_back);
        }
        let deaths = |workers: &[u64]| workers.iter().sum::<u64>();
        let (senders, receivers) = (deaths(&killed[..SENDERS]), deaths(&killed[SENDERS..]));
        ensure(lost <= receivers, || {
            format!("{lost} acknowledged messages lost, {receivers} deaths of receivers")
        })?;
        ensure(unfinished <= senders, || {
            format!("{unfinished} sends unfinished, {senders} deaths of senders")
        })?;
        Ok(format!(
            "{sent} acknowledged, {got} received, 0 twice, {lost} lost with a dead receiver, \
             {unfinished} unfinished by a dead sender"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(sender: &[(Event, u64)], receiver: &[(Event, u64)]) -> Result<String, Violation> {
        let mut account = Account::default();
        for (worker, notes) in [(0, sender), (SENDERS, receiver)] {
            let words = notes.iter().map(|(event, number)| (*event as u64) << EVENT_SHIFT | number);
            account.add(worker, &words.flat_map(u64::to_le_bytes).collect::<Vec<_>>())?;
        }
        account.check(&[0; WORKERS])
    }

    #[test]
    fn only_what_was_sent_and_received_once_and_in_order_is_sound() {
        use Event::{Back, Got, Offer, Sent};
        let both = [(Offer, 1), (Sent, 1), (Offer, 2), (Sent, 2)];
        assert!(account(&both, &[(Got, 1), (Got, 2)]).is_ok());
        for (wrong, received) in [
            ("order", &[(Got, 2), (Got, 1)][..]),
            ("lost", &[(Got, 1)]),
            ("twice", &[(Got, 1), (Got, 2), (Got, 2)]),
            ("never sent", &[(Got, 1), (Got, 2), (Got, 3)]),
        ] {
            assert!(account(&both, received).is_err(), "{wrong}");
        }
        assert!(account(&[(Offer, 1), (Back, 1)], &[]).is_ok());
        assert!(account(&[(Offer, 1), (Back, 1)], &[(Got, 1)]).is_err());
        assert!(account(&[(Offer, 1)], &[]).is_err(), "nobody died");
    }
}
