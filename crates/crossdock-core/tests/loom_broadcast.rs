//! Models of the broadcast ring: every reader sees every message whole and in order, unless it is told that it
//! lost some; exactly one party is told that nobody has yet to see a message; and who leaves or dies, reader or
//! sender, wherever, holds nobody up.
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

use crossdock_core::model::{Weakness, die_before, weaken};
use crossdock_core::party::Party;
use crossdock_core::ring::broadcast::{Broadcast, Readers, Subscription, Taken};
use crossdock_core::ring::{Cursor, OwnedSlots, Refused};
use loom::thread;
use loom_model::{check_deaths, check_processes, party};
use std::sync::Arc;

/// Who dies, if anybody does.
const VICTIM: usize = 1;

struct Memory {
    tail: Cursor,
    readers: Readers,
    slots: OwnedSlots,
}

impl Memory {
    fn new(capacity: usize) -> Arc<Self> {
        let slots = OwnedSlots::new(capacity);
        Arc::new(Self { tail: Cursor::new(), readers: Readers::new(), slots })
    }

    fn ring(&self) -> Broadcast<'_> {
        Broadcast::new(&self.tail, &self.readers, self.slots.arrays(), &[]).unwrap()
    }
}

/// What a thread has done: sent, seen, and been told that nobody has yet to see.
#[derive(Debug, Default)]
struct Log {
    sent: Vec<u64>,
    seen: Vec<u64>,
    ended: Vec<u64>,
}

impl Log {
    fn with(mut self, other: Self) -> Self {
        self.sent.extend(other.sent);
        self.seen.extend(other.seen);
        self.ended.extend(other.ended);
        self
    }
}

/// Sends these messages in order until one does not fit.
fn send(ring: &Broadcast<'_>, me: Party, values: &[u64], is_dropping: bool, log: &mut Log) {
    for value in values {
        let on_last = &mut |words: &[u64]| log.ended.push(whole(words));
        let claim = ring.claim(me, is_dropping, on_last).or_else(|_| {
            thread::yield_now();
            ring.claim(me, is_dropping, on_last)
        });
        match claim {
            Ok(mut claim) => {
                let payload = [*value, !*value];
                ring.arm(&mut claim, &payload);
                if ring.publish(claim, &payload).is_seen {
                    log.ended.push(*value);
                }
                log.sent.push(*value);
            }
            Err(Refused::Full(_)) => return,
            Err(Refused::Corrupt(why)) => panic!("{why}"),
        }
    }
}

/// Looks `times` times for a message.
fn receive(ring: &Broadcast<'_>, reader: &mut Subscription, times: usize, log: &mut Log) {
    for _ in 0..times {
        let Some(message) = ring.poll(reader).unwrap() else {
            thread::yield_now();
            continue;
        };
        let first = ring.first(&message);
        if let Taken::Mine { is_last } = ring.take(reader, &message) {
            log.seen.push(whole(&first));
            if is_last {
                log.ended.push(first[0]);
            }
        }
    }
}

#[track_caller]
fn whole(words: &[u64]) -> u64 {
    assert_eq!(words[1], !words[0], "broken: a message is not whole");
    words[0]
}

/// Receives what is left, and ends.
fn drain(ring: &Broadcast<'_>, reader: &mut Subscription, log: &mut Log) {
    while ring.poll(reader).unwrap().is_some() {
        receive(ring, reader, 1, log);
    }
}

/// Shows that every slot can be used again.
fn fill(ring: &Broadcast<'_>, me: Party) {
    let values = vec![99; ring.capacity()];
    let mut log = Log::default();
    send(ring, me, &values, false, &mut log);
    assert_eq!(log.sent, values, "broken: {:?} is in the way", ring.in_the_way(false));
    assert_eq!(log.ended, values, "broken: there is a reader yet");
}

fn unsubscribe(ring: &Broadcast<'_>, reader: &Subscription, log: &mut Log) {
    ring.unsubscribe(reader, &mut |words| log.ended.push(whole(words)));
}

#[track_caller]
fn assert_in_order(seen: &[u64], sender: u64) {
    let of_sender: Vec<_> = seen.iter().filter(|value| *value / 10 == sender).collect();
    assert!(of_sender.is_sorted(), "broken: {seen:?} overtake each other");
}

/// Each message has ended once, whoever was told.
#[track_caller]
fn assert_ended_once(log: &Log) {
    let (mut sent, mut ended) = (log.sent.clone(), log.ended.clone());
    sent.sort_unstable();
    ended.sort_unstable();
    assert_eq!(ended, sent, "broken: a message ends twice or never");
}

/// As after a death: what ends twice is let go of twice.
#[track_caller]
fn assert_ended_at_most_once(log: &Log) {
    let mut ended = log.ended.clone();
    ended.sort_unstable();
    assert!(ended.is_sorted_by(|left, right| left < right), "broken: {ended:?} end twice");
}

/// What is done by a thread of its own.
fn spawn(
    memory: &Arc<Memory>,
    act: impl FnOnce(&Broadcast<'_>, &mut Log) + Send + 'static,
) -> thread::JoinHandle<Log> {
    let memory = Arc::clone(memory);
    thread::spawn(move || {
        let mut log = Log::default();
        act(&memory.ring(), &mut log);
        log
    })
}

/// A reader that looks so many times.
fn spawn_reader(
    memory: &Arc<Memory>,
    mut reader: Subscription,
    looks: usize,
) -> thread::JoinHandle<(Subscription, Log)> {
    let memory = Arc::clone(memory);
    thread::spawn(move || {
        let mut log = Log::default();
        receive(&memory.ring(), &mut reader, looks, &mut log);
        (reader, log)
    })
}

fn a_sender_and_two_readers(capacity: usize, messages: u64) {
    let memory = Memory::new(capacity);
    let ring = memory.ring();
    let readers = [1, 2].map(|index| {
        let reader = ring.subscribe(party(index)).unwrap();
        spawn_reader(&memory, reader, 2)
    });
    let mut all = Log::default();
    let values: Vec<_> = (10..10 + messages).collect();
    send(&ring, party(3), &values, false, &mut all);
    for reader in readers {
        let (mut reader, mut log) = reader.join().unwrap();
        drain(&ring, &mut reader, &mut log);
        assert_eq!(log.seen, all.sent, "broken: a reader has missed a message");
        assert_eq!(reader.take_lost(), 0, "broken: nothing is ever dropped");
        all.ended.extend(log.ended);
    }
    assert_ended_once(&all);
}

fn two_senders_and_a_reader(capacity: usize, messages: usize) {
    let memory = Memory::new(capacity);
    let ring = memory.ring();
    let reader = ring.subscribe(party(3)).unwrap();
    let [mine, others] = [10, 20].map(|first: u64| (first..).take(messages).collect::<Vec<_>>());
    let sender = spawn(&memory, move |ring, log| send(ring, party(2), &others, false, log));
    let reader = spawn_reader(&memory, reader, 2);
    let mut all = Log::default();
    send(&ring, party(1), &mine, false, &mut all);
    all = all.with(sender.join().unwrap());
    let (mut reader, log) = reader.join().unwrap();
    all = all.with(log);
    drain(&ring, &mut reader, &mut all);
    assert_in_order(&all.seen, 1);
    assert_in_order(&all.seen, 2);
    assert_eq!(reader.take_lost(), 0, "broken: nothing is ever dropped");
    let (mut seen, mut sent) = (all.seen.clone(), all.sent.clone());
    seen.sort_unstable();
    sent.sort_unstable();
    assert_eq!(seen, sent, "broken: a message is missed or seen twice");
    assert_ended_once(&all);
}

/// Looks for a message, asks whether it still is there, and takes it.
fn look_twice(ring: &Broadcast<'_>, reader: &mut Subscription, log: &mut Log) {
    let Some(message) = ring.poll(reader).unwrap() else { return };
    let first = ring.first(&message);
    if ring.is_current(reader, &message) {
        whole(&first);
    }
    if let Taken::Mine { is_last } = ring.take(reader, &message) {
        log.seen.push(whole(&first));
        assert!(is_last, "broken: there is no other reader");
        log.ended.push(first[0]);
    }
}

/// A sender drops the oldest, beside a reader that looks, looks again and takes.
fn dropping_the_oldest(capacity: usize, messages: u64) {
    let memory = Memory::new(capacity);
    let ring = memory.ring();
    let mut reader = ring.subscribe(party(3)).unwrap();
    let values: Vec<_> = (10..10 + messages).collect();
    let onlooker = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let mut log = Log::default();
            look_twice(&memory.ring(), &mut reader, &mut log);
            look_twice(&memory.ring(), &mut reader, &mut log);
            (reader, log)
        })
    };
    let mut all = Log::default();
    send(&ring, party(1), &values, true, &mut all);
    let (mut reader, log) = onlooker.join().unwrap();
    all = all.with(log);
    drain(&ring, &mut reader, &mut all);
    assert_in_order(&all.seen, 1);
    let known = all.seen.len() as u64 + reader.take_lost();
    assert_eq!(known, messages, "broken: a message is neither seen nor lost, or both");
    assert_ended_once(&all);
}

/// A sender sends while a reader comes, looks and goes, `times` times.
fn coming_and_going(capacity: usize, messages: u64, times: usize, looks: usize) {
    let memory = Memory::new(capacity);
    let ring = memory.ring();
    let values: Vec<_> = (10..10 + messages).collect();
    let reader = spawn(&memory, move |ring, log| come_and_go(ring, times, looks, log));
    let mut all = Log::default();
    send(&ring, party(1), &values, false, &mut all);
    all = all.with(reader.join().unwrap());
    assert_ended_once(&all);
    fill(&ring, party(1));
}

fn come_and_go(ring: &Broadcast<'_>, times: usize, looks: usize, all: &mut Log) {
    for _ in 0..times {
        let mut reader = ring.subscribe(party(3)).unwrap();
        let mut log = Log::default();
        receive(ring, &mut reader, looks, &mut log);
        assert!(log.seen.is_sorted_by(|left, right| left + 1 == *right), "broken: {log:?}");
        assert_eq!(reader.take_lost(), 0, "broken: nothing is ever dropped");
        unsubscribe(ring, &reader, &mut log);
        all.ended.extend(log.ended);
    }
}
/// A sender dies beside another one with so many messages, and beside a reader that looks so many times.
fn a_dying_sender(
    capacity: usize,
    is_dropping: bool,
    [messages, looks]: [usize; 2],
    accesses: u32,
    is_reaped: bool,
) {
    let memory = Memory::new(capacity);
    let ring = memory.ring();
    let reader = ring.subscribe(party(3)).unwrap();
    let mut all = Log::default();
    if is_dropping {
        // So that there is something to drop.
        send(&ring, party(2), &[20], true, &mut all);
    }
    let victim = spawn(&memory, move |ring, log| {
        let me = party(VICTIM);
        let end = die_before(accesses, || send(ring, me, &[10], is_dropping, log));
        if end.is_none() && is_reaped {
            ring.reap(me, &mut |words| log.ended.push(whole(words)));
        }
    });
    let reader = spawn_reader(&memory, reader, looks);
    send(&ring, party(2), &[21][..messages], is_dropping, &mut all);
    let victim = victim.join().unwrap();
    let has_died = victim.sent.is_empty();
    let (mut reader, log) = reader.join().unwrap();
    all = all.with(victim).with(log);
    drain(&ring, &mut reader, &mut all);
    let senders: Vec<_> = ring.senders_at_work().collect();
    assert!(senders.is_empty(), "broken: {senders:?} hold everybody up");
    assert!(!ring.reap(party(VICTIM), &mut |_| {}), "broken: something is left to reap");
    assert_in_order(&all.seen, 2);
    if is_dropping {
        assert_ended_at_most_once(&all);
    } else {
        assert_eq!(reader.take_lost(), 0, "broken: nothing is ever dropped");
        // The victim may have died after the commit.
        if has_died && all.seen.contains(&10) {
            all.sent.push(10);
        }
        assert_ended_once(&all);
    }
    unsubscribe(&ring, &reader, &mut all);
    fill(&ring, party(2));
}

/// A reader dies while it comes, looks or goes, beside another one and a sender.
fn a_dying_reader(capacity: usize, looks: usize, accesses: u32, is_reaped: bool) {
    let memory = Memory::new(capacity);
    let ring = memory.ring();
    let reader = ring.subscribe(party(3)).unwrap();
    let victim = spawn(&memory, move |ring, log| {
        let end = die_before(accesses, || {
            let mut reader = ring.subscribe(party(VICTIM)).unwrap();
            receive(ring, &mut reader, looks, log);
            unsubscribe(ring, &reader, log);
        });
        if end.is_none() && is_reaped {
            ring.reap(party(VICTIM), &mut |words| log.ended.push(whole(words)));
        }
    });
    let reader = spawn_reader(&memory, reader, 2);
    let mut all = Log::default();
    send(&ring, party(2), &[20, 21], false, &mut all);
    let victim = victim.join().unwrap();
    let (mut reader, mut log) = reader.join().unwrap();
    drain(&ring, &mut reader, &mut log);
    assert_eq!(log.seen, all.sent, "broken: a reader has missed a message");
    assert_eq!(reader.take_lost(), 0, "broken: nothing is ever dropped");
    all = all.with(victim).with(log);
    assert!(!ring.reap(party(VICTIM), &mut |_| {}), "broken: something is left to reap");
    assert_ended_at_most_once(&all);
    unsubscribe(&ring, &reader, &mut all);
    fill(&ring, party(2));
}

#[test]
fn a_sender_and_two_readers_share_one_slot() {
    check_processes(2, || a_sender_and_two_readers(1, 2));
}

#[test]
fn a_sender_and_two_readers_share_two_slots() {
    check_processes(1, || a_sender_and_two_readers(2, 3));
}

#[test]
fn two_senders_and_a_reader_share_one_slot() {
    check_processes(2, || two_senders_and_a_reader(1, 1));
}

#[test]
fn two_senders_and_a_reader_share_two_slots() {
    check_processes(1, || two_senders_and_a_reader(2, 2));
}

#[test]
fn what_is_dropped_is_lost_and_what_is_seen_is_whole() {
    check_processes(2, || dropping_the_oldest(1, 3));
    check_processes(2, || dropping_the_oldest(2, 3));
}

#[test]
fn a_reader_that_leaves_while_a_sender_sends_holds_nobody_up() {
    check_processes(3, || coming_and_going(1, 2, 1, 1));
    check_processes(3, || coming_and_going(2, 2, 2, 0));
    check_processes(2, || coming_and_going(2, 3, 2, 1));
}

#[test]
fn a_sender_dies_at_any_step_with_one_slot() {
    check_deaths(1, |accesses| a_dying_sender(1, false, [1, 2], accesses, true));
}

#[test]
fn a_sender_dies_at_any_step_with_two_slots() {
    check_deaths(1, |accesses| a_dying_sender(2, false, [1, 2], accesses, true));
}

#[test]
fn a_sender_that_drops_the_oldest_dies_at_any_step() {
    check_deaths(2, |accesses| a_dying_sender(1, true, [1, 0], accesses, true));
    check_deaths(2, |accesses| a_dying_sender(1, true, [0, 2], accesses, true));
}

#[test]
fn a_reader_dies_at_any_step() {
    check_deaths(1, |accesses| a_dying_reader(1, 1, accesses, true));
    check_deaths(1, |accesses| a_dying_reader(2, 1, accesses, true));
}

// The models again, with a bug in them: each must be noticed.

#[test]
#[should_panic(expected = "broken")]
fn a_store_that_does_not_release_is_noticed() {
    weaken(Weakness::Stores);
    check_processes(2, || two_senders_and_a_reader(1, 1));
}

#[test]
#[should_panic(expected = "broken")]
fn missing_fences_are_noticed() {
    weaken(Weakness::Fences);
    check_processes(3, || coming_and_going(1, 2, 1, 1));
}

#[test]
#[should_panic(expected = "broken: [Party(1)] hold everybody up")]
fn a_missing_reaper_of_a_sender_is_noticed() {
    check_deaths(1, |accesses| a_dying_sender(2, false, [1, 2], accesses, false));
}

#[test]
#[should_panic(expected = "broken: something is left to reap")]
fn a_missing_reaper_of_a_reader_is_noticed() {
    check_deaths(1, |accesses| a_dying_reader(2, 1, accesses, false));
}
