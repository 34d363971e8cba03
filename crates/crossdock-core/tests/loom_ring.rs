//! Models of the ring: every message arrives once, whole and in order, whoever dies wherever.
//!
//! Preemptions are bounded, in each test by the number there; everything else is explored. A thread
//! that is to die does so before any one of its accesses to the ring, all of which are tried in turn;
//! then it comes back as its own reaper, beside the survivors.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a panic is how a model says no")]
#![allow(clippy::print_stdout, reason = "how much was explored")]

mod loom_model;

use crossdock_core::model::{Weakness, die_before, weaken};
use crossdock_core::party::Party;
use crossdock_core::ring::{Cursor, Next, OwnedSlots, Refused, Ring};
use loom::sync::atomic::AtomicBool;
use loom::thread;
use loom_model::{check, party};
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

/// Who dies, if anybody does.
const VICTIM: usize = 1;

struct Memory {
    head: Cursor,
    tail: Cursor,
    slots: OwnedSlots,
}

impl Memory {
    fn new(capacity: usize) -> Arc<Self> {
        let slots = OwnedSlots::new(capacity);
        Arc::new(Self { head: Cursor::new(), tail: Cursor::new(), slots })
    }

    fn ring(&self) -> Ring<'_> {
        Ring::new(&self.head, &self.tail, self.slots.arrays()).unwrap()
    }
}

/// Sends these messages in order until one does not fit, and says which it sent.
fn send(ring: &Ring<'_>, me: Party, values: &[u64]) -> Vec<u64> {
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
                let _ = ring.publish(claim, &payload);
                sent.push(*value);
            }
            Err(Refused::Full(_)) => break,
            Err(Refused::Corrupt(why)) => panic!("{why}"),
        }
    }
    sent
}

/// Looks `times` times for a message and adds what it receives to `received`.
fn receive(ring: &Ring<'_>, me: Party, times: usize, received: &mut Vec<u64>) {
    for _ in 0..times {
        match ring.next().unwrap() {
            Next::Ready(message) => {
                let first = ring.first(&message);
                if ring.take(&message, me) {
                    assert_eq!(first[1], !first[0], "broken: a taken message is not whole");
                    let _ = ring.finish(&message);
                    received.push(first[0]);
                }
            }
            Next::Empty | Next::Pending(_) => thread::yield_now(),
        }
    }
}

/// Receives what is left and shows that every slot can be used again.
fn drain(ring: &Ring<'_>, me: Party, received: &mut Vec<u64>) {
    loop {
        match ring.next().unwrap() {
            Next::Empty => break,
            Next::Ready(_) => receive(ring, me, 1, received),
            Next::Pending(party) => panic!("broken: {party:?} holds everybody up"),
        }
    }
    let fill = vec![99; ring.capacity()];
    assert_eq!(send(ring, me, &fill), fill, "broken: a slot of {ring:?} is lost");
    let mut filled = Vec::new();
    receive(ring, me, fill.len(), &mut filled);
    assert_eq!(filled, fill);
}

#[track_caller]
fn assert_in_order(received: &[u64], sender: u64) {
    let of_sender: Vec<_> = received.iter().filter(|value| *value / 10 == sender).collect();
    assert!(of_sender.is_sorted(), "broken: {received:?} overtake each other");
}

#[track_caller]
fn assert_same(mut left: Vec<u64>, mut right: Vec<u64>) {
    left.sort_unstable();
    right.sort_unstable();
    assert_eq!(left, right, "broken: a message is lost or doubled");
}

fn two_senders_and_a_receiver(capacity: usize, messages: u64) {
    let memory = Memory::new(capacity);
    let senders = [1, 2].map(|sender: u64| {
        let memory = Arc::clone(&memory);
        let values: Vec<_> = (sender * 10..).take(messages as usize).collect();
        thread::spawn(move || send(&memory.ring(), party(sender as usize), &values))
    });
    let ring = memory.ring();
    let mut received = Vec::new();
    receive(&ring, party(3), 2, &mut received);
    let sent = senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect();
    drain(&ring, party(3), &mut received);
    assert_in_order(&received, 1);
    assert_in_order(&received, 2);
    assert_same(received, sent);
}

fn a_sender_and_two_receivers(capacity: usize, messages: u64) {
    let memory = Memory::new(capacity);
    let receivers = [1, 2].map(|receiver| {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let mut received = Vec::new();
            receive(&memory.ring(), party(receiver), 2, &mut received);
            received
        })
    });
    let ring = memory.ring();
    let values: Vec<_> = (10..10 + messages).collect();
    let sent = send(&ring, party(3), &values);
    let mut received = Vec::new();
    for receiver in receivers {
        let some = receiver.join().unwrap();
        assert_in_order(&some, 1);
        received.extend(some);
    }
    drain(&ring, party(3), &mut received);
    assert_same(received, sent);
}

/// The least there is: one message, for which one receiver looks.
fn a_sender_and_a_receiver() {
    let memory = Memory::new(1);
    let sender = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || send(&memory.ring(), party(1), &[10]))
    };
    let ring = memory.ring();
    let mut received = Vec::new();
    receive(&ring, party(2), 1, &mut received);
    let sent = sender.join().unwrap();
    drain(&ring, party(2), &mut received);
    assert_same(received, sent);
}

/// What somebody looks at who does not take it is whole as well, if it is still there.
fn an_onlooker(capacity: usize) {
    let memory = Memory::new(capacity);
    let sender = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let ring = memory.ring();
            let sent = send(&ring, party(1), &[10]);
            receive(&ring, party(1), 1, &mut Vec::new());
            [sent, send(&ring, party(1), &[11])]
        })
    };
    if let Next::Ready(message) = memory.ring().next().unwrap() {
        let first = memory.ring().first(&message);
        let is_current = memory.ring().is_current(&message);
        assert!(!is_current || first[1] == !first[0], "broken: a current message is not whole");
    }
    sender.join().unwrap();
}

/// Runs `model` with a death before every access in turn, until there are no more accesses.
fn check_deaths(preemptions: usize, model: impl Fn(u32) -> bool + Copy + Send + Sync + 'static) {
    use std::sync::atomic::AtomicBool;
    for accesses in 0.. {
        let has_died = std::sync::Arc::new(AtomicBool::new(false));
        let seen = std::sync::Arc::clone(&has_died);
        check(preemptions, move || {
            seen.fetch_or(model(accesses), AcqRel);
        });
        if !has_died.load(Acquire) {
            assert!(accesses > 0, "the model has no death in it");
            return;
        }
    }
}

/// A sender dies. Returns whether it did.
fn a_dying_sender(capacity: usize, messages: usize, accesses: u32, is_reaped: bool) -> bool {
    let memory = Memory::new(capacity);
    let is_dead = Arc::new(AtomicBool::new(false));
    let victim = {
        let (memory, is_dead) = (Arc::clone(&memory), Arc::clone(&is_dead));
        thread::spawn(move || {
            let ring = memory.ring();
            let sent = die_before(accesses, || send(&ring, party(VICTIM), &[10]));
            is_dead.store(sent.is_none(), Release);
            if sent.is_none() && is_reaped {
                ring.reap(party(VICTIM));
            }
            sent
        })
    };
    let survivor = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || send(&memory.ring(), party(2), &[20, 21][..messages]))
    };
    let ring = memory.ring();
    let mut received = Vec::new();
    receive(&ring, party(3), 1, &mut received);
    if is_reaped && is_dead.load(Acquire) {
        // A second reaper at the same time.
        ring.reap(party(VICTIM));
    }
    receive(&ring, party(3), 1, &mut received);
    let sent = victim.join().unwrap();
    let mut expected = survivor.join().unwrap();
    drain(&ring, party(3), &mut received);
    assert!(ring.reap(party(VICTIM)).is_empty(), "broken: something is left to reap");
    assert_in_order(&received, 2);
    let has_died = sent.is_none();
    // It may have died after the commit.
    expected.extend(
        sent.unwrap_or_else(|| received.iter().copied().find(|v| *v == 10).into_iter().collect()),
    );
    assert_same(received, expected);
    has_died
}

/// A receiver dies. Returns whether it did.
fn a_dying_receiver(capacity: usize, looks: usize, accesses: u32) -> bool {
    let memory = Memory::new(capacity);
    let is_dead = Arc::new(AtomicBool::new(false));
    let victim = {
        let (memory, is_dead) = (Arc::clone(&memory), Arc::clone(&is_dead));
        thread::spawn(move || {
            let ring = memory.ring();
            let mut received = Vec::new();
            let end = die_before(accesses, || receive(&ring, party(VICTIM), looks, &mut received));
            is_dead.store(end.is_none(), Release);
            if end.is_none() {
                ring.reap(party(VICTIM));
            }
            (end.is_none(), received)
        })
    };
    let sender = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || send(&memory.ring(), party(2), &[20, 21]))
    };
    let ring = memory.ring();
    let mut received = Vec::new();
    receive(&ring, party(3), 1, &mut received);
    if is_dead.load(Acquire) {
        // A second reaper at the same time.
        ring.reap(party(VICTIM));
    }
    let (has_died, received_too) = victim.join().unwrap();
    let mut sent = sender.join().unwrap();
    drain(&ring, party(3), &mut received);
    assert!(ring.reap(party(VICTIM)).is_empty(), "broken: something is left to reap");
    assert_in_order(&received, 2);
    assert_in_order(&received_too, 2);
    received.extend(received_too);
    if has_died && received.len() < sent.len() {
        // It took one with it, and only one.
        let lost = sent.iter().position(|value| !received.contains(value)).unwrap();
        sent.remove(lost);
    }
    assert_same(received, sent);
    has_died
}

/// A sender and a receiver have died at one of their steps, and now their first reaper does. Returns
/// whether it did.
fn a_dying_reaper(sender_accesses: u32, receiver_accesses: u32, reaper_accesses: u32) -> bool {
    let memory = Memory::new(2);
    let ring = memory.ring();
    let victim = party(VICTIM);
    assert_eq!(send(&ring, party(3), &[30]), [30]);
    let mut received = Vec::new();
    let end = die_before(receiver_accesses, || receive(&ring, victim, 1, &mut received));
    assert_eq!((end, &*received), (None, &[][..]));
    let sent = die_before(sender_accesses, || send(&ring, victim, &[10]));
    assert_eq!(sent, None);
    let survivor = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || send(&memory.ring(), party(2), &[20, 21]))
    };
    let end = die_before(reaper_accesses, || ring.reap(victim));
    if end.is_none() {
        ring.reap(victim);
    }
    receive(&ring, party(3), 2, &mut received);
    let mut expected = survivor.join().unwrap();
    drain(&ring, party(3), &mut received);
    assert!(ring.reap(victim).is_empty(), "broken: something is left to reap");
    // Either may have died on either side of its commit.
    let optional = received.iter().copied().filter(|value| [10, 30].contains(value));
    expected.extend(optional);
    assert_same(received, expected);
    end.is_none()
}

#[test]
fn a_message_is_whole_and_comes_once() {
    check(4, a_sender_and_a_receiver);
}

#[test]
fn two_senders_and_a_receiver_share_one_slot() {
    check(1, || two_senders_and_a_receiver(1, 2));
    check(3, || two_senders_and_a_receiver(1, 1));
}

#[test]
fn two_senders_and_a_receiver_share_two_slots() {
    check(2, || two_senders_and_a_receiver(2, 2));
}

#[test]
fn a_sender_and_two_receivers_share_one_slot() {
    check(2, || a_sender_and_two_receivers(1, 2));
}

#[test]
fn a_sender_and_two_receivers_share_two_slots() {
    check(1, || a_sender_and_two_receivers(2, 3));
}

#[test]
fn an_onlooker_sees_whole_messages() {
    check(4, || an_onlooker(1));
}

#[test]
fn a_sender_dies_at_any_step_with_one_slot() {
    check_deaths(2, |accesses| a_dying_sender(1, 1, accesses, true));
}

#[test]
fn a_sender_dies_at_any_step_with_two_slots() {
    check_deaths(1, |accesses| a_dying_sender(2, 2, accesses, true));
}

#[test]
fn a_receiver_dies_at_any_step_with_one_slot() {
    check_deaths(2, |accesses| a_dying_receiver(1, 1, accesses));
}

#[test]
fn a_receiver_dies_at_any_step_with_two_slots() {
    check_deaths(1, |accesses| a_dying_receiver(2, 2, accesses));
}

#[test]
fn a_reaper_dies_at_any_step() {
    // Taken; taken and the head moved on.
    for receiver_accesses in [11, 12] {
        // Claimed, armed, sent.
        for sender_accesses in [4, 7, 10] {
            check_deaths(1, move |accesses| {
                a_dying_reaper(sender_accesses, receiver_accesses, accesses)
            });
        }
    }
}

// The models again, with a bug in them: each must be noticed.

#[test]
#[should_panic(expected = "broken: a taken message is not whole")]
fn a_publish_that_does_not_release_is_noticed() {
    weaken(Weakness::Stores);
    check(2, a_sender_and_a_receiver);
}

#[test]
#[should_panic(expected = "broken: a taken message is not whole")]
fn a_look_that_does_not_acquire_is_noticed() {
    weaken(Weakness::Loads);
    check(2, a_sender_and_a_receiver);
}

#[test]
#[should_panic(expected = "broken: a current message")]
fn a_missing_fence_is_noticed() {
    weaken(Weakness::Fences);
    check(4, || an_onlooker(1));
}

#[test]
#[should_panic(expected = "broken: Party(1) holds everybody up")]
fn a_missing_reaper_is_noticed() {
    check_deaths(2, |accesses| a_dying_sender(2, 2, accesses, false));
}
