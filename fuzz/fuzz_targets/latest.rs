//! A cell with the newest message, whose other users write what they like, whenever they like.
#![no_main]

use crossdock_core::layout::{Carrier, ChannelTable, channel_bytes};
use crossdock_core::ring::latest::{CAPACITY_MIN, Latest};
use crossdock_core::ring::{Claim, Message};
use crossdock_core::settings::Mode;
use crossdock_fuzz::{Hostile, Input, LEN_MAX, payload, read_tickets, settings, word};
use libfuzzer_sys::fuzz_target;

/// Claims that are in hand at once.
const HANDS_MAX: usize = 4;
const STEPS_MAX: usize = 256;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let capacity = input.byte() % 8;
    let settings = settings(&mut input, Mode::Latest);
    let promised = usize::try_from(channel_bytes(capacity, &settings)).expect("few slots");
    let len = promised.min(LEN_MAX).saturating_sub(input.byte() & 7);
    let count = input.short();
    let hostile = Hostile::new(len, input.bytes(count));
    let table = ChannelTable::new(hostile.memory(), 0, capacity, &settings);
    assert_eq!(table.is_ok(), len >= promised && capacity >= CAPACITY_MIN);
    let Ok(table) = table else { return };
    let Carrier::Latest(ring) = table.carrier else { panic!("the newest was asked for") };
    let mut claims: Vec<Claim<'_>> = Vec::new();
    let mut message: Option<Message> = None;
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            return;
        }
        match input.byte() % 20 {
            step @ 0..4 => send(&ring, &mut claims, step, &mut input),
            4 => message = ring.newest().ok().flatten(),
            5 => {
                if let Some(message) = &message {
                    read_tickets(&ring.first(message));
                    read_tickets(&ring.read(message));
                    assert_eq!(ring.is_newest(message), ring.number() == ring.number_of(message));
                }
            }
            6 => look_on(&table, &ring),
            7 => table.reap(input.party(), &mut |payload| {
                read_tickets(payload);
            }),
            _ => hostile.poke(input.short(), word(&mut input)),
        }
    }
});

fn send<'a>(ring: &Latest<'a>, claims: &mut Vec<Claim<'a>>, step: usize, input: &mut Input<'_>) {
    match step {
        0 | 1 if claims.len() < HANDS_MAX => claims.extend(ring.claim(input.party())),
        2 => {
            let words = payload(input);
            if let Some(claim) = claims.last_mut() {
                ring.arm(claim, &words);
            }
        }
        _ => {
            let on_last = &mut |payload: &[u64]| {
                read_tickets(payload);
            };
            let words = payload(input);
            if let Some(claim) = claims.pop() {
                ring.publish(claim, &words, on_last);
            }
        }
    }
}

fn look_on(table: &ChannelTable<'_>, ring: &Latest<'_>) {
    let _ = ring.in_the_way();
    ring.settle();
    assert!(ring.senders_at_work().count() <= ring.capacity());
    assert_eq!(table.sent(), ring.sent());
    assert_eq!(table.is_empty(), ring.number() == 0);
    table.for_each_in_the_way(|party| assert!(party.index() < 336));
    table.any(|payload| read_tickets(payload) > 0);
}
