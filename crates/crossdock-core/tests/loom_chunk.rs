//! Models of the holders of a chunk: what looks unheld is unheld for good.
//!
//! Preemptions are bounded, in each test by the number there.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a panic is how a model says no")]
#![allow(clippy::print_stdout, reason = "how much was explored")]

mod loom_model;

use crossdock_core::chunk::Chunk;
use crossdock_core::model::{Weakness, weaken};
use crossdock_core::party::Party;
use crossdock_core::ring::{Cursor, OwnedSlots, Ring};
use loom::sync::atomic::AtomicU64;
use loom::thread;
use loom_model::{check, party};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Looks once at each bit, as nobody should.
fn seems_unheld(chunk: &Chunk, parties: &[usize]) -> bool {
    parties.iter().all(|index| !chunk.is_held_by(party(*index)))
}

/// A hold goes along `route`, each hop a hand-over or a taking and a release, and never ends.
fn a_moving_hold(route: &'static [usize], is_handed_over: bool, is_unheld: fn(&Chunk) -> bool) {
    let chunk = Arc::new(Chunk::new());
    chunk.take(party(route[0]));
    let mover = {
        let chunk = Arc::clone(&chunk);
        thread::spawn(move || {
            for hop in route.windows(2) {
                let (from, to) = (party(hop[0]), party(hop[1]));
                if is_handed_over {
                    chunk.hand_over(from, to).unwrap();
                } else {
                    chunk.take(to);
                    chunk.release(from);
                }
            }
        })
    };
    assert!(!is_unheld(&chunk), "broken: a moving hold is not seen");
    assert!(!is_unheld(&chunk), "broken: a moving hold is not seen");
    mover.join().unwrap();
    assert!(chunk.snapshot().unwrap().holds_alone(party(*route.last().unwrap())));
}

fn by_snapshot(chunk: &Chunk) -> bool {
    chunk.snapshot().is_some_and(|snapshot| snapshot.is_unheld())
}

/// Processes 0, 1 and 2 and the channels 48 and 96 lie in three words.
const ROUND_TRIP: &[usize] = &[0, 48, 1, 48, 0];
const BACKWARDS: &[usize] = &[96, 48, 0, 96];

#[test]
fn a_hold_that_is_handed_over_is_seen_on_every_route() {
    check(4, || a_moving_hold(ROUND_TRIP, true, by_snapshot));
    check(4, || a_moving_hold(BACKWARDS, true, by_snapshot));
    check(4, || a_moving_hold(&[0, 1, 2, 0], true, by_snapshot));
}

#[test]
fn a_hold_that_is_taken_before_it_is_released_is_seen_on_every_route() {
    check(4, || a_moving_hold(ROUND_TRIP, false, by_snapshot));
    check(4, || a_moving_hold(BACKWARDS, false, by_snapshot));
}

/// The last holders write, let go, and the owner hands the memory out anew.
fn a_recycled_chunk() {
    const HOLDERS: [usize; 2] = [1, 48];
    let chunk = Arc::new(Chunk::new());
    let data = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    HOLDERS.iter().for_each(|holder| assert!(!chunk.take(party(*holder))));
    let holders = HOLDERS.map(|holder| {
        let (chunk, data) = (Arc::clone(&chunk), Arc::clone(&data));
        thread::spawn(move || {
            data[holder % 2].store(1, Relaxed);
            chunk.release(party(holder));
        })
    });
    if by_snapshot(&chunk) {
        assert_eq!(chunk.recycle(party(0)), 1);
        let seen = [data[0].load(Relaxed), data[1].load(Relaxed)];
        assert_eq!(seen, [1, 1], "broken: the owner reuses memory that is still being written");
    }
    holders.into_iter().for_each(|holder| holder.join().unwrap());
}

#[test]
fn what_holders_did_comes_before_what_the_owner_does() {
    check(4, a_recycled_chunk);
}

const SENDER: usize = 1;
const RECEIVER: usize = 2;
const CHANNEL: usize = 48;
const TICKET: u64 = 7;
const OTHER: u64 = 8;

struct Channel {
    head: Cursor,
    tail: Cursor,
    slots: OwnedSlots,
    chunk: Chunk,
}

impl Channel {
    fn ring(&self) -> Ring<'_> {
        Ring::new(&self.head, &self.tail, self.slots.arrays()).unwrap()
    }

    /// As the library: the hold is passed on between arming and publishing.
    fn send(&self, me: Party, value: u64) {
        let ring = self.ring();
        let Ok(mut claim) = ring.claim(me) else { return };
        ring.arm(&mut claim, &[value]);
        if value == TICKET {
            self.chunk.hand_over(me, party(CHANNEL)).unwrap();
        }
        let _ = ring.publish(claim, &[value]);
    }

    /// As the library: the hold is passed on between taking and finishing.
    fn receive(&self, me: Party) {
        let ring = self.ring();
        let Some(message) = ring.poll().unwrap() else { return thread::yield_now() };
        let first = ring.first(&message);
        if ring.take(&message, me) {
            if first[0] == TICKET {
                self.chunk.hand_over(party(CHANNEL), me).unwrap();
            }
            let _ = ring.finish(&message);
        }
    }

    /// What the owner of a chunk asks before it reuses it: whether anybody holds it, and if only the
    /// channel seems to, whether a ticket for it is under way.
    fn is_held(&self, is_looking_again: bool) -> bool {
        let Some(before) = self.chunk.snapshot() else { return true };
        let is_awaited = before.holders().any(|holder| {
            holder != party(CHANNEL) || self.ring().any(|payload| payload[0] == TICKET)
        });
        is_awaited || (is_looking_again && self.chunk.snapshot() != Some(before))
    }
}

/// A ticket goes through a channel, others follow in its slot, and its receiver keeps what it got. The
/// owner must never find the chunk unheld.
fn an_awaited_chunk(capacity: usize, is_looking_again: bool) {
    let slots = OwnedSlots::new(capacity);
    let (head, tail) = (Cursor::new(), Cursor::new());
    let channel = Arc::new(Channel { head, tail, slots, chunk: Chunk::new() });
    channel.chunk.take(party(SENDER));
    let receiver = {
        let channel = Arc::clone(&channel);
        thread::spawn(move || (0..2).for_each(|_| channel.receive(party(RECEIVER))))
    };
    let sender = {
        let channel = Arc::clone(&channel);
        thread::spawn(move || {
            [TICKET, OTHER].iter().for_each(|value| channel.send(party(SENDER), *value));
        })
    };
    assert!(channel.is_held(is_looking_again), "broken: a chunk under way is reused");
    receiver.join().unwrap();
    sender.join().unwrap();
    assert!(channel.is_held(is_looking_again), "broken: a chunk is reused");
}

#[test]
fn a_chunk_under_way_is_never_reused() {
    check(5, || an_awaited_chunk(1, true));
    check(4, || an_awaited_chunk(2, true));
}

// The models again, with a bug in them: each must be noticed.

#[test]
#[should_panic(expected = "broken: a moving hold is not seen")]
fn a_single_look_is_noticed() {
    check(3, || a_moving_hold(ROUND_TRIP, true, |chunk| seems_unheld(chunk, &[0, 1, 48])));
}

#[test]
#[should_panic(expected = "broken: a moving hold is not seen")]
fn a_look_that_does_not_acquire_is_noticed() {
    weaken(Weakness::Loads);
    check(4, || a_moving_hold(ROUND_TRIP, true, by_snapshot));
}

#[test]
#[should_panic(expected = "broken: the owner reuses memory")]
fn a_release_that_does_not_release_is_noticed() {
    weaken(Weakness::Exchanges);
    check(3, a_recycled_chunk);
}

#[test]
#[should_panic(expected = "broken: a chunk under way is reused")]
fn an_owner_that_does_not_look_again_is_noticed() {
    check(3, || an_awaited_chunk(1, false));
}
