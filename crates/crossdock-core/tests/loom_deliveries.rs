//! Models of a queue whose receivers acknowledge, as in the channel: every message is acknowledged once, by
//! whoever it was delivered to last, whoever dies wherever.
//!
//! Preemptions are bounded, in each test by the number there; everything else is explored. A thread that is to
//! die does so before any one of its accesses to the ring and the rows, all of which are tried in turn; then it
//! comes back as its own reaper, beside the survivors.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a panic is how a model says no")]
#![allow(clippy::print_stdout, reason = "how much was explored")]

mod loom_model;

use crossdock_core::deliveries::{Deliveries, Row, row_words};
use crossdock_core::model::{AtomicU64, die_before};
use crossdock_core::party::Party;
use crossdock_core::ring::{Cursor, Message, OwnedSlots, Ring, SLOT_WORDS};
use loom::thread;
use loom_model::{check_deaths, check_deaths_of, check_processes, party};
use std::sync::Arc;

/// Who dies, if anybody does.
const VICTIM: usize = 1;
const WORDS: usize = 2;
const ROWS: usize = 2;
const DELIVERIES_MAX: u16 = 2;

struct Memory {
    head: Cursor,
    tail: Cursor,
    slots: OwnedSlots,
    rows: Vec<AtomicU64>,
}

/// In which order a reaper looks at the two.
#[derive(Clone, Copy)]
enum Reaper {
    RowsFirst,
    RingFirst,
    RowsOnly,
}

impl Memory {
    /// With these messages in the queue.
    fn new(values: &[u64]) -> Arc<Self> {
        let memory = Arc::new(Self {
            head: Cursor::new(),
            tail: Cursor::new(),
            slots: OwnedSlots::new(2),
            rows: (0..ROWS * row_words(WORDS)).map(|_| AtomicU64::new(0)).collect(),
        });
        memory.send(values);
        memory
    }

    fn ring(&self) -> Ring<'_> {
        Ring::new(&self.head, &self.tail, self.slots.arrays()).unwrap()
    }

    fn rows(&self) -> Deliveries<'_> {
        Deliveries::new(&self.rows, WORDS, DELIVERIES_MAX)
    }

    fn send(&self, values: &[u64]) {
        for value in values {
            let payload = [*value, !*value];
            let claim = self.ring().claim(party(9)).unwrap();
            let _ = self.ring().publish(claim, &payload);
        }
    }

    /// A message that is looked at, and the row that says so.
    fn prepare(&self, me: Party) -> Option<(Message, [u64; SLOT_WORDS], Row)> {
        let message = self.ring().poll().unwrap()?;
        let words = self.ring().first(&message);
        let row = self.rows().prepare(me, message.position(), &words[..message.len()], 0);
        Some((message, words, row.expect("a row for each who looks")))
    }

    /// Delivers a message, one that was given back if there is one.
    fn deliver(&self, me: Party) -> Option<(u64, Row)> {
        let (ring, rows) = (self.ring(), self.rows());
        if let Some((row, words)) = rows.take_returned(me, 0).unwrap() {
            assert_eq!(row.deliveries(), 2, "broken: it was given back once");
            return Some((whole(&words), row));
        }
        let (message, words, row) = self.prepare(me)?;
        if !ring.take(&message, me) {
            rows.cancel(row);
            return None;
        }
        let row = rows.hold(row, me);
        let _ = ring.finish(&message);
        assert_eq!(row.deliveries(), 1, "broken: it was never delivered before");
        Some((whole(&words), row))
    }

    /// Looks `times` times for a message and acknowledges it.
    fn receive(&self, me: Party, times: usize, done: &mut Vec<u64>) {
        for _ in 0..times {
            match self.deliver(me) {
                Some((value, row)) => {
                    assert!(self.rows().acknowledge(row), "broken: it was taken from the living");
                    done.push(value);
                }
                None => thread::yield_now(),
            }
        }
    }

    fn reap(&self, dead: Party, order: Reaper) {
        let (ring, rows) = (self.ring(), self.rows());
        if matches!(order, Reaper::RingFirst) {
            ring.reap(dead);
        }
        let reaped = rows.reap(dead, |position| ring.is_taken_by(position, dead));
        assert_eq!(reaped.dead, 0, "broken: it was delivered once");
        if matches!(order, Reaper::RowsFirst) {
            ring.reap(dead);
        }
    }

    /// Receives what is left; then these have been acknowledged, and all can be used again.
    fn check_end(&self, mut done: Vec<u64>, expected: &[u64]) {
        let (ring, rows) = (self.ring(), self.rows());
        let me = party(3);
        while let Some((value, row)) = self.deliver(me) {
            assert!(rows.acknowledge(row));
            done.push(value);
        }
        done.sort_unstable();
        assert_eq!(done, expected, "broken: a message is lost, or was acknowledged twice");
        assert!(ring.reap(party(VICTIM)).is_empty(), "broken: something is left to reap");
        assert_eq!(rows.states().count(), 0, "broken: somebody has a row");
        let all: Vec<_> = (0..ROWS).filter_map(|_| rows.prepare(me, 0, &[0; WORDS], 0)).collect();
        assert_eq!(all.len(), ROWS, "broken: a row is lost");
    }
}

#[track_caller]
fn whole(words: &[u64]) -> u64 {
    assert_eq!(words[1], !words[0], "broken: a message is not whole");
    words[0]
}

fn two_receivers(values: &'static [u64], looks: usize) {
    let memory = Memory::new(values);
    let other = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let mut done = Vec::new();
            memory.receive(party(1), looks, &mut done);
            done
        })
    };
    let mut done = Vec::new();
    memory.receive(party(2), looks, &mut done);
    done.extend(other.join().unwrap());
    memory.check_end(done, values);
}

/// A receiver gives a message back while another one looks.
fn giving_back() {
    let memory = Memory::new(&[10]);
    let other = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let mut done = Vec::new();
            memory.receive(party(2), 2, &mut done);
            done
        })
    };
    if let Some((value, row)) = memory.deliver(party(1)) {
        assert_eq!(value, 10);
        // The second delivery is the last one.
        if row.deliveries() == 1 {
            assert_eq!(memory.rows().give_back(row).returned, 1, "broken: it is nobody's");
        } else {
            assert!(memory.rows().acknowledge(row));
        }
    }
    let done = other.join().unwrap();
    memory.check_end(done, &[10]);
}

/// A receiver dies beside another one. At its death, another thread of it was about to take a message too, or not.
fn a_dying_receiver(values: &'static [u64], has_threads: bool, accesses: u32, reaper: Reaper) {
    let memory = Memory::new(values);
    let me = party(VICTIM);
    if has_threads {
        let _ = memory.prepare(me);
    }
    let victim = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let mut done = Vec::new();
            let end = die_before(accesses, || memory.receive(me, 1, &mut done));
            if end.is_none() || has_threads {
                memory.reap(me, reaper);
            }
            done
        })
    };
    let mut done = Vec::new();
    // A row for each of those who look.
    memory.receive(party(2), if has_threads { 0 } else { 2 }, &mut done);
    done.extend(victim.join().unwrap());
    memory.check_end(done, values);
}

/// A receiver has died at one of its steps, and now its first reaper does, beside another receiver. Returns
/// whether the reaper did.
fn a_dying_reaper(receiver_accesses: u32, reaper_accesses: u32) -> bool {
    let memory = Memory::new(&[10]);
    let me = party(VICTIM);
    let mut done = Vec::new();
    let end = die_before(receiver_accesses, || memory.receive(me, 1, &mut done));
    assert_eq!(end, None);
    let survivor = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let mut done = Vec::new();
            memory.receive(party(2), 2, &mut done);
            done
        })
    };
    let reap = || memory.reap(me, Reaper::RowsFirst);
    let end = die_before(reaper_accesses, reap);
    if end.is_none() {
        reap();
    }
    done.extend(survivor.join().unwrap());
    memory.check_end(done, &[10]);
    end.is_none()
}

#[test]
fn two_receivers_acknowledge_each_message_once() {
    check_processes(3, || two_receivers(&[10], 1));
    check_processes(1, || two_receivers(&[10, 11], 2));
}

#[test]
fn what_is_given_back_is_delivered_again() {
    check_processes(3, giving_back);
}

#[test]
fn a_receiver_dies_at_any_step() {
    check_deaths(2, |accesses| a_dying_receiver(&[10], false, accesses, Reaper::RowsFirst));
    check_deaths(1, |accesses| a_dying_receiver(&[10, 11], false, accesses, Reaper::RowsFirst));
}

#[test]
fn a_receiver_with_threads_dies_at_any_step() {
    check_deaths(2, |accesses| a_dying_receiver(&[10], true, accesses, Reaper::RowsFirst));
}

#[test]
fn a_reaper_dies_at_any_step() {
    // Copying; copied; taken; held; done with the queue.
    for receiver_accesses in [14, 20, 21, 23, 24] {
        check_deaths_of(1, move |accesses| a_dying_reaper(receiver_accesses, accesses));
    }
}

// The models again, with a bug in them: each must be noticed. (No one ordering is such a bug: each row is handed
// over by two that release, or acquire.)

#[test]
#[should_panic(expected = "broken: a message is lost")]
fn a_reaper_that_begins_with_the_queue_is_noticed() {
    check_deaths(1, |accesses| {
        a_dying_receiver(&[10, 11], false, accesses, Reaper::RingFirst);
    });
}

#[test]
#[should_panic(expected = "broken: something is left to reap")]
fn a_reaper_that_forgets_the_queue_is_noticed() {
    check_deaths(1, |accesses| {
        a_dying_receiver(&[10, 11], false, accesses, Reaper::RowsOnly);
    });
}
