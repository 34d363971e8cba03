//! Models of a ring with the signals of a channel: who waits for a slot that somebody is still at work in is woken when
//! that is done.
//!
//! A sleep in a model has no time-out, so a wake-up that is forgotten is a deadlock, which loom reports. A fence stands
//! for the sequentially consistent exchange of a cursor, which loom cannot tell from a weaker one.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a panic is how a model says no")]
#![allow(clippy::print_stdout, reason = "how much was explored")]

mod loom_model;

use crossdock_core::ring::{Cursor, OwnedSlots, RecvBatch, Refused, Ring, SendBatch};
use crossdock_core::signal::Signal;
use loom::sync::atomic::fence;
use loom::thread;
use loom_model::{check, party};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

/// What the ends of the channel do beside sending and receiving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    /// They wake whoever may be asleep until just this.
    Tell,
    /// A bug: they do not.
    Forget,
}

/// How messages are sent and received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    One,
    /// Received by somebody who is done at once.
    Brief,
    Batch,
}

struct Channel {
    head: Cursor,
    tail: Cursor,
    slots: OwnedSlots,
    not_empty: Signal,
    not_full: Signal,
    ends: Ends,
    verb: Verb,
}

impl Channel {
    fn new(capacity: usize, ends: Ends, verb: Verb) -> Arc<Self> {
        let slots = OwnedSlots::new(capacity);
        let (head, tail) = (Cursor::new(), Cursor::new());
        let (not_empty, not_full) = (Signal::new(), Signal::new());
        Arc::new(Self { head, tail, slots, not_empty, not_full, ends, verb })
    }

    fn ring(&self) -> Ring<'_> {
        Ring::new(&self.head, &self.tail, self.slots.arrays()).unwrap()
    }

    /// Sends a message if there is room; whether there was, and whether a slot was awaited.
    fn try_send(&self, me: usize, value: u64) -> Option<bool> {
        let ring = self.ring();
        if self.verb == Verb::Batch {
            let mut batch = SendBatch::new(&ring, party(me));
            let claim = claimed(batch.claim());
            let is_sent = claim.map(|claim| batch.publish(claim, &[value])).is_some();
            let is_awaited = batch.end();
            return is_sent.then_some(is_awaited);
        }
        claimed(ring.claim(party(me))).map(|claim| ring.publish(claim, &[value]))
    }

    /// Receives a message if there is one; whether a slot was awaited.
    fn try_recv(&self, me: usize) -> Option<(u64, bool)> {
        let ring = self.ring();
        loop {
            let mut batch = RecvBatch::new(&ring, party(me));
            let message = batch.poll().unwrap()?;
            let value = ring.first(&message)[0];
            if self.verb == Verb::Batch {
                if batch.take(&message) {
                    return Some((value, batch.end()));
                }
                continue;
            }
            if self.verb == Verb::Brief {
                if ring.take_briefly(&message, party(me)) {
                    return Some((value, ring.finish_brief(&message)));
                }
            } else if ring.take(&message, party(me)) {
                return Some((value, ring.finish(&message)));
            }
        }
    }

    /// As a channel does it: looks, announces itself, looks again, sleeps.
    fn send(&self, me: usize, value: u64) {
        let attempt = || self.try_send(me, value);
        let is_awaited = self.wait(&self.not_full, attempt);
        fence(SeqCst);
        self.not_empty.notify();
        if is_awaited && self.ends == Ends::Tell {
            self.not_full.notify_all();
        }
    }

    fn recv(&self, me: usize) -> u64 {
        let (value, is_awaited) = self.wait(&self.not_empty, || self.try_recv(me));
        fence(SeqCst);
        self.not_full.notify();
        if is_awaited && self.ends == Ends::Tell {
            self.not_empty.notify_all();
        }
        value
    }

    fn wait<R>(&self, signal: &Signal, attempt: impl Fn() -> Option<R>) -> R {
        loop {
            if let Some(answer) = attempt() {
                return answer;
            }
            let key = signal.announce();
            self.ring().settle();
            if let Some(answer) = attempt() {
                return answer;
            }
            signal.sleep(key, None);
        }
    }
}

fn claimed<C>(claim: Result<C, Refused>) -> Option<C> {
    match claim {
        Ok(claim) => Some(claim),
        Err(Refused::Full(_)) => None,
        Err(Refused::Corrupt(why)) => panic!("{why}"),
    }
}

/// Two send one message each, for which there is one slot.
fn two_senders(ends: Ends, verb: Verb) {
    let channel = Channel::new(1, ends, verb);
    let other = {
        let channel = Arc::clone(&channel);
        thread::spawn(move || channel.send(2, 2))
    };
    let receiver = {
        let channel = Arc::clone(&channel);
        thread::spawn(move || [channel.recv(3), channel.recv(3)])
    };
    channel.send(1, 1);
    other.join().unwrap();
    let mut received = receiver.join().unwrap();
    received.sort_unstable();
    assert_eq!(received, [1, 2]);
}

/// Three messages go through two slots, one to somebody and two to somebody else.
fn two_receivers(ends: Ends, verb: Verb) {
    let channel = Channel::new(2, ends, verb);
    (1..3).for_each(|value| channel.send(3, value));
    let other = {
        let channel = Arc::clone(&channel);
        thread::spawn(move || [channel.recv(2), channel.recv(2)])
    };
    let sender = {
        let channel = Arc::clone(&channel);
        thread::spawn(move || channel.send(3, 3))
    };
    let first = channel.recv(1);
    sender.join().unwrap();
    let [second, third] = other.join().unwrap();
    let mut received = [first, second, third];
    received.sort_unstable();
    assert_eq!(received, [1, 2, 3]);
}

#[test]
fn a_sender_is_woken_when_the_one_before_it_in_the_slot_is_done() {
    check(2, || two_senders(Ends::Tell, Verb::One));
}

#[test]
fn a_sender_is_woken_when_the_batch_before_it_in_the_slot_is_done() {
    check(2, || two_senders(Ends::Tell, Verb::Batch));
}

#[test]
fn a_receiver_is_woken_when_the_one_before_it_in_the_slot_is_done() {
    check(2, || two_receivers(Ends::Tell, Verb::One));
}

#[test]
fn a_receiver_is_woken_when_the_brief_one_before_it_in_the_slot_is_done() {
    check(2, || two_receivers(Ends::Tell, Verb::Brief));
}

#[test]
fn a_receiver_is_woken_when_the_batch_before_it_in_the_slot_is_done() {
    check(2, || two_receivers(Ends::Tell, Verb::Batch));
}

// The models again, with a bug in them: each must be noticed.

#[test]
#[should_panic(expected = "deadlock")]
fn a_sender_that_wakes_no_other_sender_is_noticed() {
    check(3, || two_senders(Ends::Forget, Verb::One));
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_batch_that_wakes_no_sender_is_noticed() {
    check(3, || two_senders(Ends::Forget, Verb::Batch));
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_receiver_that_wakes_no_other_receiver_is_noticed() {
    check(3, || two_receivers(Ends::Forget, Verb::One));
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_brief_receiver_that_wakes_no_other_is_noticed() {
    check(3, || two_receivers(Ends::Forget, Verb::Brief));
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_batch_that_wakes_no_receiver_is_noticed() {
    check(3, || two_receivers(Ends::Forget, Verb::Batch));
}
