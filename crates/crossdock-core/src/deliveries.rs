//! Messages that receivers have taken from a queue and not yet acknowledged, so that they are not lost with
//! a receiver that dies.
//!
//! # States
//!
//! A row has a word, `deliveries << 32 | party << 4 | state`, and a copy of the message.
//!
//! | state | meaning | who may change it, to what |
//! |---|---|---|
//! | `FREE` | nothing | any receiver, to `COPYING` by itself |
//! | `COPYING` | a receiver copies a message that it means to take | that receiver, to `READY`; its reaper, to `FREE` |
//! | `READY` | the copy is complete, the message may have been taken | that receiver, to `HELD` or `FREE`; its reaper, to what the queue says |
//! | `HELD` | delivered, not acknowledged | that receiver, to `FREE` (acknowledged) or as its reaper; its reaper, to `RETURNED`, or `DEAD` after the last delivery |
//! | `RETURNED` | to be delivered again | any receiver, to `HELD` by itself |
//! | `DEAD` | delivered as often as is allowed: a dead letter | who reads it, to `READING` by itself |
//! | `READING` | a dead letter that somebody reads | that reader, to `FREE`; its reaper, to `DEAD` |
//!
//! # Ordering
//!
//! Storing `READY` releases the copy; who takes a row over acquires it.
//!
//! # Owner death
//!
//! The commit of a delivery is the taking in the queue: a reaper that finds a row `READY` asks the queue who
//! took the message of that position. So the reaper looks through the rows before it reaps the queue. If several
//! threads of the dead were about to take one message, all but one of their rows are freed before anything is given
//! back. The commit of an acknowledgement is the exchange to `FREE`.

use crate::Corrupt;
use crate::party::Party;
use crate::primitive::{AtomicU64, fence};
use crate::ring::{MESSAGE_WORDS_MAX, Words};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

const FREE: u64 = 0;
const COPYING: u64 = 1;
const READY: u64 = 2;
const HELD: u64 = 3;
const RETURNED: u64 = 4;
const DEAD: u64 = 5;
const READING: u64 = 6;

const STATE_MASK: u64 = 0xf;
const PARTY_SHIFT: u32 = 4;
const PARTY_MASK: u64 = 0xffff;
const DELIVERIES_SHIFT: u32 = 32;

const POSITION: usize = 1;
const SINCE: usize = 2;
const LEN: usize = 3;
const COPY: usize = 4;

/// Words that a row of a message of `message_words` takes: whole pairs of cache lines.
#[must_use]
pub fn row_words(message_words: usize) -> usize {
    (COPY + message_words).next_multiple_of(16)
}

/// The rows of a channel.
#[derive(Clone, Copy, Debug)]
pub struct Deliveries<'a> {
    words: &'a [AtomicU64],
    row_words: usize,
    /// Deliveries after which a message is a dead letter.
    deliveries_max: u64,
}

/// A row that this process has.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a row that nobody has is lost until its process ends"]
pub struct Row {
    index: usize,
    word: u64,
}

impl Row {
    /// Its number.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// How often the message has been delivered, this time included.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        self.word >> DELIVERIES_SHIFT
    }
}

/// What somebody who looks on sees of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowState {
    /// Who holds the message, if anybody.
    pub holder: Option<Party>,
    /// Since when it is as it is, on the monotonic clock.
    pub since_ns: u64,
    /// How often it was delivered.
    pub deliveries: u64,
    /// Whether it is a dead letter.
    pub is_dead: bool,
}

/// What a reaper found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Messages that are to be delivered again.
    pub returned: u64,
    /// Messages that have become dead letters.
    pub dead: u64,
}

impl<'a> Deliveries<'a> {
    /// Rows for messages of `message_words`.
    #[must_use]
    pub fn new(words: &'a [AtomicU64], message_words: usize, deliveries_max: u16) -> Self {
        Self { words, row_words: row_words(message_words), deliveries_max: deliveries_max.into() }
    }

    /// The number of rows.
    #[must_use]
    pub fn count(&self) -> usize {
        self.words.len() / self.row_words
    }

    fn row(&self, index: usize) -> Option<&'a [AtomicU64]> {
        self.words.get(index * self.row_words..)?.get(..self.row_words)
    }

    fn rows(&self) -> impl Iterator<Item = (usize, &'a [AtomicU64])> {
        self.words.chunks_exact(self.row_words).enumerate()
    }

    /// Copies a message that `me` is about to take; `None` if all rows are in use.
    #[must_use]
    pub fn prepare(&self, me: Party, position: u64, words: &[u64], now_ns: u64) -> Option<Row> {
        let copying = word_of(me, COPYING, 0);
        let (index, row) = self.rows().find(|(_, row)| {
            row[0].load(Relaxed) == FREE
                && row[0].compare_exchange(FREE, copying, AcqRel, Relaxed).is_ok()
        })?;
        row[POSITION].store(position, Relaxed);
        row[SINCE].store(now_ns, Relaxed);
        row[LEN].store(words.len() as u64, Relaxed);
        for (word, value) in row[COPY..].iter().zip(words) {
            word.store(*value, Relaxed);
        }
        let word = word_of(me, READY, 1);
        row[0].store(word, Release);
        Some(Row { index, word })
    }

    /// The message has been taken: it is delivered.
    pub fn hold(&self, row: Row, me: Party) -> Row {
        let word = word_of(me, HELD, row.deliveries());
        self.set(&row, word);
        Row { index: row.index, word }
    }

    /// The message has been taken by somebody else.
    pub fn cancel(&self, row: Row) {
        self.set(&row, FREE);
    }

    fn set(&self, row: &Row, word: u64) {
        if let Some(words) = self.row(row.index) {
            words[0].store(word, Release);
        }
    }

    /// Takes a message that is to be delivered again.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when a row's words make no sense.
    pub fn take_returned(&self, me: Party, now_ns: u64) -> Result<Option<(Row, Words)>, Corrupt> {
        self.take(RETURNED, 0, now_ns, |deliveries| word_of(me, HELD, deliveries + 1))
    }

    /// Takes a dead letter, from row number `first` on.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when a row's words make no sense.
    pub fn take_dead(
        &self,
        me: Party,
        first: usize,
        now_ns: u64,
    ) -> Result<Option<(Row, Words)>, Corrupt> {
        self.take(DEAD, first, now_ns, |deliveries| word_of(me, READING, deliveries))
    }

    fn take(
        &self,
        state: u64,
        first: usize,
        now_ns: u64,
        mine: impl Fn(u64) -> u64,
    ) -> Result<Option<(Row, Words)>, Corrupt> {
        for (index, row) in self.rows().skip(first) {
            let word = row[0].load(Acquire);
            if word & STATE_MASK != state {
                continue;
            }
            let mine = mine(word >> DELIVERIES_SHIFT);
            if row[0].compare_exchange(word, mine, AcqRel, Relaxed).is_ok() {
                row[SINCE].store(now_ns, Relaxed);
                return copy(row).map(|words| Some((Row { index, word: mine }, words)));
            }
        }
        Ok(None)
    }

    /// The message is done with. Returns whether it still was this process's.
    pub fn acknowledge(&self, row: Row) -> bool {
        self.row(row.index)
            .is_some_and(|words| words[0].compare_exchange(row.word, FREE, AcqRel, Relaxed).is_ok())
    }

    /// The message is to be delivered again, or is a dead letter now, or again. Returns which.
    pub fn give_back(&self, row: Row) -> Reaped {
        let Some(words) = self.row(row.index) else { return Reaped::default() };
        self.put_back(words, row.word, row.deliveries())
    }

    fn put_back(&self, row: &[AtomicU64], word: u64, deliveries: u64) -> Reaped {
        let is_dead = word & STATE_MASK == READING || deliveries >= self.deliveries_max;
        let state = if is_dead { DEAD } else { RETURNED };
        let changed = deliveries << DELIVERIES_SHIFT | state;
        if row[0].compare_exchange(word, changed, AcqRel, Relaxed).is_err() {
            return Reaped::default();
        }
        Reaped { returned: u64::from(!is_dead), dead: u64::from(is_dead) }
    }

    /// Gives back what the dead party `dead` held. `has_taken` says whether it took the message of a position
    /// from the queue, which is reaped after this.
    pub fn reap(&self, dead: Party, has_taken: impl Fn(u64) -> bool) -> Reaped {
        for (index, row) in self.rows() {
            let word = row[0].load(Acquire);
            let is_ready = word & STATE_MASK == READY && worker(word) == Some(dead);
            if is_ready && self.is_double(index, row, dead) {
                let _ = row[0].compare_exchange(word, FREE, AcqRel, Relaxed);
            }
        }
        let mut reaped = Reaped::default();
        for (_, row) in self.rows() {
            let word = row[0].load(Acquire);
            if worker(word) != Some(dead) {
                continue;
            }
            let is_delivered = match word & STATE_MASK {
                READY => has_taken(row[POSITION].load(Relaxed)),
                HELD | READING => true,
                _ => false,
            };
            if is_delivered {
                let one = self.put_back(row, word, word >> DELIVERIES_SHIFT);
                reaped.returned += one.returned;
                reaped.dead += one.dead;
            } else {
                let _ = row[0].compare_exchange(word, FREE, AcqRel, Relaxed);
            }
        }
        reaped
    }

    /// Everybody who has a row in hand.
    pub fn workers(&self) -> impl Iterator<Item = Party> {
        self.rows().filter_map(|(_, row)| worker(row[0].load(Acquire)))
    }

    /// Whether a message may come to be delivered again that others than `me` have now.
    #[must_use]
    pub fn may_come_from_others(&self, me: Party) -> bool {
        self.rows().any(|(_, row)| {
            let word = row[0].load(Acquire);
            match word & STATE_MASK {
                READY | HELD => worker(word) != Some(me),
                RETURNED => true,
                _ => false,
            }
        })
    }

    /// Whether every message that has been delivered is acknowledged or a dead letter.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.rows()
            .all(|(_, row)| matches!(row[0].load(Acquire) & STATE_MASK, FREE | DEAD | READING))
    }

    /// Calls `look` with every message in the rows, at about this moment.
    pub fn for_each(&self, mut look: impl FnMut(&[u64])) {
        for (_, row) in self.rows().filter(|(_, row)| row[0].load(Acquire) & STATE_MASK >= READY) {
            let _ = copy(row).map(|words| look(&words));
        }
    }

    /// Whether the dead party has another row of the same message that is to be preferred.
    fn is_double(&self, index: usize, row: &[AtomicU64], dead: Party) -> bool {
        let position = row[POSITION].load(Relaxed);
        self.rows().any(|(other, row)| {
            let word = row[0].load(Acquire);
            let is_preferred = match word & STATE_MASK {
                HELD => true,
                READY => other < index,
                _ => false,
            };
            is_preferred && worker(word) == Some(dead) && row[POSITION].load(Relaxed) == position
        })
    }

    /// Whether any row has, or may have, a payload that `wanted` recognises.
    pub fn any(&self, mut wanted: impl FnMut(&[u64]) -> bool) -> bool {
        let found = self.rows().any(|(_, row)| {
            let state = row[0].load(Acquire) & STATE_MASK;
            state >= READY && copy(row).map_or(true, |words| wanted(&words))
        });
        // What was read of the payloads came before what the caller looks at next.
        fence(Acquire);
        found
    }

    /// The rows in use, at about this moment.
    pub fn states(&self) -> impl Iterator<Item = RowState> {
        self.rows().filter_map(|(_, row)| {
            let word = row[0].load(Acquire);
            let state = word & STATE_MASK;
            (state >= HELD).then(|| RowState {
                holder: worker(word),
                since_ns: row[SINCE].load(Relaxed),
                deliveries: word >> DELIVERIES_SHIFT,
                is_dead: matches!(state, DEAD | READING),
            })
        })
    }
}

fn word_of(party: Party, state: u64, deliveries: u64) -> u64 {
    deliveries << DELIVERIES_SHIFT | (party.index() as u64) << PARTY_SHIFT | state
}

fn worker(word: u64) -> Option<Party> {
    let has_worker = matches!(word & STATE_MASK, COPYING | READY | HELD | READING);
    let index = usize::try_from((word >> PARTY_SHIFT) & PARTY_MASK).ok()?;
    has_worker.then(|| Party::new(index)).flatten()
}

fn copy(row: &[AtomicU64]) -> Result<Words, Corrupt> {
    let len = usize::try_from(row[LEN].load(Relaxed)).unwrap_or(usize::MAX);
    let words = row[COPY..].get(..len).filter(|words| words.len() <= MESSAGE_WORDS_MAX);
    let words = words.ok_or(Corrupt("a row has more words than room"))?;
    Ok(words.iter().map(|word| word.load(Relaxed)).collect())
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn party(index: usize) -> Party {
        Party::new(index).unwrap()
    }

    fn memory(rows: usize) -> Vec<AtomicU64> {
        (0..rows * row_words(2)).map(|_| AtomicU64::new(0)).collect()
    }

    fn deliver(rows: &Deliveries<'_>, me: usize, value: u64) -> Row {
        let row = rows.prepare(party(me), 7, &[value, !value], 1).unwrap();
        rows.hold(row, party(me))
    }

    #[test]
    fn an_acknowledged_message_is_gone_and_its_row_free() {
        let memory = memory(2);
        let rows = Deliveries::new(&memory, 2, 3);
        for value in 0..10 {
            let row = deliver(&rows, 1, value);
            assert!(rows.any(|words| words[0] == value));
            assert!(rows.acknowledge(row));
            assert!(!rows.any(|_| true));
            assert_eq!(rows.take_returned(party(2), 1), Ok(None));
        }
        let _held = [deliver(&rows, 1, 1), deliver(&rows, 1, 2)];
        assert_eq!(rows.prepare(party(1), 0, &[3], 1), None, "all rows are in use");
        assert_eq!(rows.states().count(), 2);
    }

    #[test]
    fn what_a_dead_receiver_held_is_delivered_again_and_then_a_dead_letter() {
        let memory = memory(1);
        let rows = Deliveries::new(&memory, 2, 2);
        let mut row = deliver(&rows, 1, 5);
        for (dead, deliveries) in [(1, 1), (2, 2)] {
            assert_eq!(row.deliveries(), deliveries);
            let reaped = rows.reap(party(dead), |_| unreachable!());
            assert_eq!(rows.reap(party(dead), |_| unreachable!()), Reaped::default());
            if deliveries == 2 {
                assert_eq!(reaped, Reaped { returned: 0, dead: 1 });
                assert_eq!(rows.take_returned(party(3), 9), Ok(None));
                break;
            }
            assert_eq!(reaped, Reaped { returned: 1, dead: 0 });
            let old = row;
            let (again, words) = rows.take_returned(party(dead + 1), 9).unwrap().unwrap();
            assert_eq!(words[..], [5, !5]);
            assert!(!rows.acknowledge(old), "the dead have no say");
            row = again;
        }
        let (letter, words) = rows.take_dead(party(3), 0, 9).unwrap().unwrap();
        assert_eq!((letter.deliveries(), words[0]), (2, 5));
        assert_eq!(rows.reap(party(3), |_| unreachable!()).dead, 1, "its reader died");
        let (letter, _) = rows.take_dead(party(4), 0, 9).unwrap().unwrap();
        assert!(rows.acknowledge(letter));
        assert_eq!(rows.states().count(), 0);
    }

    #[test]
    fn the_queue_says_whether_a_prepared_message_was_taken() {
        for has_taken in [false, true] {
            let memory = memory(1);
            let rows = Deliveries::new(&memory, 2, 2);
            let _row = rows.prepare(party(1), 42, &[8, !8], 1).unwrap();
            let reaped = rows.reap(party(1), |position| {
                assert_eq!(position, 42);
                has_taken
            });
            assert_eq!(reaped, Reaped { returned: u64::from(has_taken), dead: 0 });
            assert_eq!(rows.take_returned(party(2), 1).unwrap().is_some(), has_taken);
        }
    }

    #[test]
    fn a_message_that_two_threads_of_the_dead_were_about_to_take_comes_again_once() {
        for is_held in [false, true] {
            let memory = memory(3);
            let rows = Deliveries::new(&memory, 2, 2);
            let _late = rows.prepare(party(1), 42, &[8, !8], 1).unwrap();
            let row = rows.prepare(party(1), 42, &[8, !8], 1).unwrap();
            let living = rows.prepare(party(2), 42, &[8, !8], 1).unwrap();
            let _row = if is_held { rows.hold(row, party(1)) } else { row };
            let reaped = rows.reap(party(1), |position| position == 42);
            assert_eq!(reaped, Reaped { returned: 1, dead: 0 });
            rows.cancel(living);
            assert_eq!(rows.states().count(), 1);
        }
    }

    #[test]
    fn a_message_can_be_given_back() {
        let memory = memory(1);
        let rows = Deliveries::new(&memory, 2, 2);
        let row = deliver(&rows, 1, 6);
        assert_eq!(rows.give_back(row), Reaped { returned: 1, dead: 0 });
        let (row, _) = rows.take_returned(party(1), 2).unwrap().unwrap();
        assert_eq!(rows.give_back(row), Reaped { returned: 0, dead: 1 });
        let (letter, _) = rows.take_dead(party(1), 0, 3).unwrap().unwrap();
        assert_eq!(rows.give_back(letter), Reaped { returned: 0, dead: 1 });
        let states: Vec<_> = rows.states().collect();
        assert_eq!(states, [RowState { holder: None, since_ns: 3, deliveries: 2, is_dead: true }]);
    }

    #[test]
    fn wild_words_are_an_error_and_never_a_panic() {
        for wild in [u64::MAX, 1 << 63 | RETURNED, 0xffff_0004, 4] {
            let memory = memory(2);
            let rows = Deliveries::new(&memory, 2, 2);
            memory[0].store(wild, Relaxed);
            memory[LEN].store(u64::MAX, Relaxed);
            let _ = rows.take_returned(party(1), 1);
            let _ = rows.any(|_| false);
            assert!(rows.states().count() <= 1);
            rows.reap(party(1), |_| true);
        }
    }
}
