//! Models of batches: a cursor that is late, or that others move on, loses and doubles nothing, whoever dies wherever.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a panic is how a model says no")]
#![allow(clippy::print_stdout, reason = "how much was explored")]

mod loom_model;

use crossdock_core::model::die_before;
use crossdock_core::party::Party;
use crossdock_core::ring::{Cursor, OwnedSlots, RecvBatch, Ring, SendBatch};
use loom::thread;
use loom_model::{check, check_deaths_of, party};
use std::sync::Arc;

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

/// Sends these messages in a batch until one does not fit; `sent` has those that were sent.
fn send(ring: &Ring<'_>, me: Party, values: &[u64], sent: &mut Vec<u64>) {
    let mut batch = SendBatch::new(ring, me);
    for value in values {
        let Ok(mut claim) = batch.claim() else { break };
        let payload = [*value, !*value];
        batch.arm(&mut claim, &payload);
        batch.publish(claim, &payload);
        sent.push(*value);
    }
    let _ = batch.end();
}

/// Receives what is there in a batch, `max` messages at most.
fn receive(ring: &Ring<'_>, me: Party, max: usize, received: &mut Vec<u64>) {
    let mut batch = RecvBatch::new(ring, me);
    for _ in 0..max {
        let Some(message) = batch.poll().unwrap() else { break };
        let first = ring.first(&message);
        if !batch.take(&message) {
            break;
        }
        assert_eq!(first[1], !first[0], "broken: a taken message is not whole");
        received.push(first[0]);
    }
    let _ = batch.end();
}

/// Receives what is left, and sees that every slot can be used again.
fn drain(ring: &Ring<'_>, me: Party, received: &mut Vec<u64>) {
    let mut before = usize::MAX;
    while before != received.len() {
        before = received.len();
        receive(ring, me, ring.capacity(), received);
    }
    for _ in 0..2 {
        let fill = vec![99; ring.capacity()];
        let (mut sent, mut filled) = (Vec::new(), Vec::new());
        send(ring, me, &fill, &mut sent);
        assert_eq!(sent, fill, "broken: a slot of {ring:?} is lost");
        receive(ring, me, fill.len(), &mut filled);
        assert_eq!(filled, fill);
    }
    assert_eq!(ring.len(), 0);
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

fn two_senders_and_a_receiver(capacity: usize) {
    let memory = Memory::new(capacity);
    let senders = [1, 2].map(|sender: u64| {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let mut sent = Vec::new();
            let values = [sender * 10, sender * 10 + 1];
            send(&memory.ring(), party(sender as usize), &values, &mut sent);
            sent
        })
    });
    let ring = memory.ring();
    let mut received = Vec::new();
    receive(&ring, party(3), 2, &mut received);
    receive(&ring, party(3), 2, &mut received);
    let sent = senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect();
    drain(&ring, party(3), &mut received);
    assert_in_order(&received, 1);
    assert_in_order(&received, 2);
    assert_same(received, sent);
}

fn a_sender_and_two_receivers(capacity: usize) {
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
    let mut sent = Vec::new();
    send(&ring, party(3), &[10, 11], &mut sent);
    send(&ring, party(3), &[12], &mut sent);
    let mut received = Vec::new();
    for receiver in receivers {
        let some = receiver.join().unwrap();
        assert_in_order(&some, 1);
        received.extend(some);
    }
    drain(&ring, party(3), &mut received);
    assert_same(received, sent);
}

/// Returns whether the sender died.
fn a_dying_sender(capacity: usize, accesses: u32) -> bool {
    let memory = Memory::new(capacity);
    let victim = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let ring = memory.ring();
            let mut sent = Vec::new();
            let end = die_before(accesses, || send(&ring, party(VICTIM), &[10, 11], &mut sent));
            if end.is_none() {
                ring.reap(party(VICTIM));
            }
            (end.is_none(), sent)
        })
    };
    let survivor = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let mut sent = Vec::new();
            send(&memory.ring(), party(2), &[20], &mut sent);
            sent
        })
    };
    let ring = memory.ring();
    let mut received = Vec::new();
    receive(&ring, party(3), 2, &mut received);
    let (has_died, mut sent) = victim.join().unwrap();
    sent.extend(survivor.join().unwrap());
    drain(&ring, party(3), &mut received);
    assert!(ring.reap(party(VICTIM)).is_empty(), "broken: something is left to reap");
    assert_in_order(&received, 1);
    // It may have died between the commit of one more and saying so.
    let more = received.iter().find(|value| !sent.contains(value)).copied();
    assert!(more.is_none() || has_died && *more.as_ref().unwrap() / 10 == 1);
    sent.extend(more);
    assert_same(received, sent);
    has_died
}

/// Returns whether the receiver died.
fn a_dying_receiver(capacity: usize, accesses: u32) -> bool {
    let memory = Memory::new(capacity);
    let ring = memory.ring();
    let mut sent = Vec::new();
    send(&ring, party(2), &[20], &mut sent);
    let victim = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let ring = memory.ring();
            let mut received = Vec::new();
            let end = die_before(accesses, || receive(&ring, party(VICTIM), 2, &mut received));
            if end.is_none() {
                ring.reap(party(VICTIM));
            }
            (end.is_none(), received)
        })
    };
    let survivor = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let mut received = Vec::new();
            receive(&memory.ring(), party(4), 1, &mut received);
            received
        })
    };
    send(&ring, party(2), &[21, 22], &mut sent);
    let (has_died, mut received) = victim.join().unwrap();
    received.extend(survivor.join().unwrap());
    drain(&ring, party(3), &mut received);
    assert!(ring.reap(party(VICTIM)).is_empty(), "broken: something is left to reap");
    // One that it had taken and not yet said so may have gone with it.
    if has_died && let Some(lost) = sent.iter().position(|value| !received.contains(value)) {
        sent.remove(lost);
    }
    assert_same(received, sent);
    has_died
}

#[test]
fn two_senders_share_one_slot() {
    check(2, || two_senders_and_a_receiver(1));
}

#[test]
fn two_senders_share_three_slots() {
    check(1, || two_senders_and_a_receiver(3));
}

#[test]
fn two_receivers_share_two_slots() {
    check(2, || a_sender_and_two_receivers(2));
}

#[test]
fn two_receivers_share_three_slots() {
    check(2, || a_sender_and_two_receivers(3));
}

#[test]
fn a_sender_dies_at_any_step() {
    for capacity in [1, 2, 3] {
        check_deaths_of(2, move |accesses| a_dying_sender(capacity, accesses));
    }
}

#[test]
fn a_receiver_dies_at_any_step() {
    for capacity in [2, 3] {
        check_deaths_of(2, move |accesses| a_dying_receiver(capacity, accesses));
    }
}
