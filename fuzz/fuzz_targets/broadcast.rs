//! A broadcast whose other users write what they like, whenever they like.
#![no_main]

use crossdock_core::layout::{Carrier, ChannelTable, channel_bytes};
use crossdock_core::ring::broadcast::{Broadcast, READERS_MAX, Subscription};
use crossdock_core::ring::{Claim, Message};
use crossdock_core::settings::Mode;
use crossdock_fuzz::{Hostile, Input, LEN_MAX, payload, read_tickets, settings, word};
use libfuzzer_sys::fuzz_target;

/// Claims, readers and messages that are in hand at once.
const HANDS_MAX: usize = 4;
const STEPS_MAX: usize = 256;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let capacity = input.byte() % 8;
    let settings = settings(&mut input, Mode::Broadcast);
    let promised = usize::try_from(channel_bytes(capacity, &settings)).expect("few slots");
    let len = promised.min(LEN_MAX).saturating_sub(input.byte() & 7);
    let count = input.short();
    let hostile = Hostile::new(len, input.bytes(count));
    let table = ChannelTable::new(hostile.memory(), 0, capacity, &settings);
    assert_eq!(table.is_ok(), len >= promised && capacity > 0);
    let Ok(table) = table else { return };
    let Carrier::Broadcast(ring) = table.carrier else { panic!("a broadcast was asked for") };
    let mut hands = Hands::default();
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            return;
        }
        match input.byte() % 24 {
            step @ 0..4 => send(&ring, &mut hands, step, &mut input),
            step @ 4..11 => receive(&ring, &mut hands, step, &mut input),
            11 => look_on(&table, &ring),
            12 => table.reap(input.party(), &mut |payload| {
                read_tickets(payload);
            }),
            _ => hostile.poke(input.short(), word(&mut input)),
        }
        assert!(ring.len() <= ring.capacity());
    }
});

#[derive(Default)]
struct Hands<'a> {
    claims: Vec<Claim<'a>>,
    readers: Vec<Subscription>,
    messages: Vec<Message>,
}

fn send<'a>(ring: &Broadcast<'a>, hands: &mut Hands<'a>, step: usize, input: &mut Input<'_>) {
    let claims = &mut hands.claims;
    match step {
        0 | 1 if claims.len() < HANDS_MAX => {
            let on_last = &mut |payload: &[u64]| {
                read_tickets(payload);
            };
            claims.extend(ring.claim(input.party(), step == 1, on_last));
        }
        2 => {
            let words = payload(input);
            if let Some(claim) = claims.last_mut() {
                ring.arm(claim, &words);
            }
        }
        _ => {
            let words = payload(input);
            claims.pop().map(|claim| ring.publish(claim, &words));
        }
    }
}

fn receive(ring: &Broadcast<'_>, hands: &mut Hands<'_>, step: usize, input: &mut Input<'_>) {
    let Hands { readers, messages, .. } = hands;
    match step {
        4 if readers.len() < HANDS_MAX => readers.extend(ring.subscribe(input.party())),
        5 => {
            if let Some(reader) = readers.pop() {
                ring.unsubscribe(&reader, &mut |payload| {
                    read_tickets(payload);
                });
            }
        }
        6 => {
            // Another one's turn.
            if !readers.is_empty() {
                readers.rotate_left(1);
            }
        }
        7 | 8 if messages.len() < HANDS_MAX => {
            if let Some(reader) = readers.last_mut() {
                messages.extend(ring.poll(reader).ok().flatten());
            }
        }
        _ => {
            if let (Some(reader), Some(message)) = (readers.last_mut(), messages.pop()) {
                read_tickets(&ring.first(&message));
                read_tickets(&ring.read(&message));
                let _ = ring.is_current(reader, &message);
                let _ = ring.take(reader, &message);
                reader.take_lost();
                assert!(ring.lag(reader) <= ring.capacity());
            }
        }
    }
}

fn look_on(table: &ChannelTable<'_>, ring: &Broadcast<'_>) {
    let _ = ring.in_the_way();
    ring.settle();
    assert_eq!((table.len(), table.is_empty()), (ring.len(), ring.is_empty()));
    assert_eq!(table.sent(), ring.sent());
    assert!(ring.senders_at_work().count() <= ring.capacity());
    assert!(ring.readers().count() <= READERS_MAX);
    assert!(ring.readers().all(|reader| reader.lag <= ring.capacity()));
    table.for_each_in_the_way(|party| assert!(party.index() < 336));
    table.any(|payload| read_tickets(payload) > 0);
}
