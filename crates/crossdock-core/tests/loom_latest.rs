//! Models of the ring that keeps its newest message: what a reader sees is whole, kept while it takes hold of it,
//! and never older than what it saw before; every other message is let go of once; and a sender that dies
//! wherever holds nobody up.
//!
//! Preemptions are bounded, in each test by the number there; everything else is explored. (Loom holds an access
//! against the last one to the same word, and a sender looks before it writes. So readers are threads that begin
//! last, for a reader that came first would hide behind that look.) A thread that is to
//! die does so before any one of its accesses to the ring, all of which are tried in turn; then it comes back as
//! its own reaper, beside the survivors.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a panic is how a model says no")]
#![allow(clippy::print_stdout, reason = "how much was explored")]

mod loom_model;

use crossdock_core::model::{AtomicU64, Weakness, die_before, weaken};
use crossdock_core::party::Party;
use crossdock_core::ring::broadcast::Readers;
use crossdock_core::ring::latest::Latest;
use crossdock_core::ring::{Cursor, OwnedSlots, Refused};
use loom::thread;
use loom_model::{check_deaths, check_deaths_of, check_processes, party};
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};

/// Who dies, if anybody does.
const VICTIM: usize = 1;
/// Values of the models are below this.
const VALUES: usize = 24;

struct Memory {
    tail: Cursor,
    newest: AtomicU64,
    readers: Readers,
    slots: OwnedSlots,
    /// What the messages lead to: who holds it.
    holds: Vec<loom::sync::atomic::AtomicU64>,
}

/// The channel has let go.
const LET_GO: u64 = 1;
/// The reader has taken hold.
const HELD: u64 = 2;

impl Memory {
    fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            tail: Cursor::new(),
            newest: AtomicU64::new(0),
            readers: Readers::new(),
            slots: OwnedSlots::new(capacity),
            holds: (0..VALUES).map(|_| loom::sync::atomic::AtomicU64::new(0)).collect(),
        })
    }

    fn ring(&self) -> Latest<'_> {
        Latest::new(&self.tail, &self.newest, &self.readers, self.slots.arrays(), &[]).unwrap()
    }

    fn let_go(&self, words: &[u64]) {
        let before = self.holds[whole(words) as usize].fetch_or(LET_GO, AcqRel);
        assert_eq!(before & LET_GO, 0, "broken: {} is let go of twice", words[0]);
    }

    /// Sends these messages in order until one does not fit, and says which it sent.
    fn send(&self, me: Party, values: &[u64]) -> Vec<u64> {
        let ring = self.ring();
        let mut sent = Vec::new();
        for value in values {
            let claim = ring.claim(me).or_else(|_| {
                thread::yield_now();
                ring.claim(me)
            });
            match claim {
                Ok(mut claim) => {
                    let payload = [*value, !*value];
                    ring.arm(&mut claim, &payload);
                    ring.publish(claim, &payload, &mut |words| self.let_go(words));
                    sent.push(*value);
                }
                Err(Refused::Full(_)) => break,
                Err(Refused::Corrupt(why)) => panic!("{why}"),
            }
        }
        sent
    }

    /// Looks at the newest message `times` times, and again whether it still is.
    fn look(&self, times: usize) -> Option<u64> {
        self.look_as(times, Look::Twice)
    }

    fn look_as(&self, times: usize, look: Look) -> Option<u64> {
        let ring = self.ring();
        let (mut number, mut value) = (0, None);
        for _ in 0..times {
            let Some(message) = ring.newest().unwrap() else {
                thread::yield_now();
                continue;
            };
            let first = ring.first(&message);
            let hold = self.holds.get(first[0] as usize);
            let before = hold.map(|hold| hold.fetch_or(HELD, AcqRel));
            if look == Look::Once || ring.is_newest(&message) {
                let what = whole(&first);
                let has_gone = before.is_none_or(|before| before & LET_GO != 0);
                assert!(!has_gone, "broken: the hold on {what} came too late");
                assert!(ring.number_of(&message) >= number, "broken: {what} is older");
                number = ring.number_of(&message);
                value = Some(what);
            }
        }
        value
    }

    /// Nothing but the newest message is kept, all others of these were let go of, and all slots can be used.
    fn check_end(&self, sent: &[u64]) {
        let ring = self.ring();
        let newest = self.look(1);
        let mut kept = Vec::new();
        ring.any(|words| {
            kept.push(whole(words));
            false
        });
        assert_eq!(kept, newest.as_slice(), "broken: something else is kept");
        for value in sent {
            let is_kept = self.holds[*value as usize].load(Relaxed) & LET_GO == 0;
            assert_eq!(is_kept, newest == Some(*value), "broken: {value} is held, or not");
        }
        let senders: Vec<_> = ring.senders_at_work().collect();
        assert!(senders.is_empty(), "broken: {senders:?} hold everybody up");
        let more: Vec<_> = (0..).take(ring.capacity() + 1).collect();
        assert_eq!(self.send(party(2), &more), more, "broken: a slot is lost");
        assert_eq!(self.look(1), more.last().copied());
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Once,
    Twice,
}

#[track_caller]
fn whole(words: &[u64]) -> u64 {
    assert_eq!(words[1], !words[0], "broken: a message is not whole");
    words[0]
}

/// What is done by a thread of its own.
fn spawn<R: 'static>(
    memory: &Arc<Memory>,
    act: impl FnOnce(&Memory) -> R + 'static,
) -> thread::JoinHandle<R> {
    let memory = Arc::clone(memory);
    thread::spawn(move || act(&memory))
}

fn two_senders_and_a_reader(capacity: usize, messages: usize, looks: usize) {
    let memory = Memory::new(capacity);
    let [mine, others] = [10, 20].map(|first: u64| (first..).take(messages).collect::<Vec<_>>());
    let sender = spawn(&memory, move |memory| memory.send(party(2), &others));
    let reader = spawn(&memory, move |memory| memory.look(looks));
    let mut sent = memory.send(party(1), &mine);
    sent.extend(sender.join().unwrap());
    reader.join().unwrap();
    assert!(!sent.is_empty(), "broken: each is in the other's way");
    memory.check_end(&sent);
}

/// A sender goes round and round under a reader; there is a message already.
fn a_sender_and_a_reader(messages: u64, looks: usize, look: Look) {
    let memory = Memory::new(2);
    assert_eq!(memory.send(party(1), &[9]), [9]);
    let values: Vec<_> = (10..10 + messages).collect();
    let reader = spawn(&memory, move |memory| memory.look_as(looks, look));
    let mut sent = memory.send(party(1), &values);
    reader.join().unwrap();
    assert_eq!(sent.len() as u64, messages, "broken: a sender waits for a reader");
    sent.push(9);
    memory.check_end(&sent);
}

/// A sender dies beside another one with so many messages, and beside a reader that looks so many times; there is
/// a message already.
fn a_dying_sender(capacity: usize, messages: usize, looks: usize, accesses: u32, is_reaped: bool) {
    let memory = Memory::new(capacity);
    assert_eq!(memory.send(party(2), &[19]), [19]);
    let victim = spawn(&memory, move |memory| {
        let me = party(VICTIM);
        let end = die_before(accesses, || memory.send(me, &[10]));
        if end.is_none() && is_reaped {
            memory.ring().reap(me, &mut |words| memory.let_go(words));
        }
        end
    });
    let reader = (looks > 0).then(|| spawn(&memory, move |memory| memory.look(looks)));
    let mut sent = memory.send(party(2), &[20, 21][..messages]);
    sent.push(19);
    sent.extend(victim.join().unwrap().into_iter().flatten());
    reader.map(|reader| reader.join().unwrap());
    memory.check_end(&sent);
    assert!(!memory.ring().reap(party(VICTIM), &mut |_| {}), "broken: something is left to reap");
}

/// A sender has died at one of its steps, and now its first reaper does, beside another sender. Returns whether
/// the reaper did.
fn a_dying_reaper(sender_accesses: u32, reaper_accesses: u32) -> bool {
    let memory = Memory::new(2);
    assert_eq!(memory.send(party(2), &[19]), [19]);
    let victim = party(VICTIM);
    let sent = die_before(sender_accesses, || memory.send(victim, &[10]));
    assert_eq!(sent, None);
    let survivor = spawn(&memory, |memory| memory.send(party(2), &[20]));
    let reap = || memory.ring().reap(victim, &mut |words| memory.let_go(words));
    let end = die_before(reaper_accesses, reap);
    if end.is_none() {
        reap();
    }
    let mut sent = survivor.join().unwrap();
    sent.push(19);
    assert!(!reap(), "broken: something is left to reap");
    memory.check_end(&sent);
    end.is_none()
}

#[test]
fn two_senders_and_a_reader_share_two_slots() {
    check_processes(2, || two_senders_and_a_reader(2, 1, 2));
}

#[test]
fn two_senders_and_a_reader_share_three_slots() {
    check_processes(2, || two_senders_and_a_reader(3, 1, 1));
    check_processes(1, || two_senders_and_a_reader(3, 2, 1));
}

#[test]
fn a_reader_takes_hold_in_time_of_what_is_whole() {
    check_processes(3, || a_sender_and_a_reader(2, 2, Look::Twice));
}

#[test]
fn a_sender_dies_at_any_step_beside_a_sender() {
    check_deaths(2, |accesses| a_dying_sender(2, 1, 0, accesses, true));
    check_deaths(1, |accesses| a_dying_sender(3, 2, 0, accesses, true));
}

#[test]
fn a_sender_dies_at_any_step_beside_a_reader() {
    check_deaths(2, |accesses| a_dying_sender(2, 0, 2, accesses, true));
}

#[test]
fn a_reaper_dies_at_any_step() {
    // Writing; armed; kept; sent; the newest; the one before let go of.
    for sender_accesses in [5, 8, 11, 12, 14, 18] {
        check_deaths_of(1, move |accesses| a_dying_reaper(sender_accesses, accesses));
    }
}

// The models again, with a bug in them: each must be noticed.

#[test]
#[should_panic(expected = "broken")]
fn a_reader_that_does_not_look_again_is_noticed() {
    check_processes(2, || a_sender_and_a_reader(2, 1, Look::Once));
}

#[test]
#[should_panic(expected = "broken")]
fn missing_fences_are_noticed() {
    weaken(Weakness::Fences);
    check_processes(3, || a_sender_and_a_reader(2, 1, Look::Twice));
}

#[test]
#[should_panic(expected = "broken: [Party(1)] hold everybody up")]
fn a_missing_reaper_is_noticed() {
    check_deaths(1, |accesses| a_dying_sender(3, 2, 0, accesses, false));
}
