//! A channel whose other users write what they like, whenever they like.
#![no_main]

use crossdock_core::layout::{ChannelTable, channel_bytes};
use crossdock_core::ring::{Claim, Message, Next, SLOT_WORDS};
use crossdock_fuzz::{Hostile, Input, LEN_MAX, read_ticket};
use libfuzzer_sys::fuzz_target;

/// Claims and messages that are in hand at once.
const HANDS_MAX: usize = 4;
const STEPS_MAX: usize = 256;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let kind = input.byte();
    let capacity = match kind % 8 {
        0 => usize::try_from(input.word()).unwrap_or(usize::MAX),
        small => small,
    };
    // As long as the header promises, or not.
    let promised =
        usize::try_from(channel_bytes(capacity)).unwrap_or(usize::MAX).saturating_add(256);
    let len = promised.min(LEN_MAX).saturating_sub((kind >> 4) & 7);
    let count = input.short();
    let hostile = Hostile::new(len, input.bytes(count));
    let table = ChannelTable::new(hostile.memory(), capacity);
    assert_eq!(table.is_ok(), len >= promised && (1..=1 << 20).contains(&capacity));
    if let Ok(table) = table {
        use_channel(&hostile, &table, &mut input);
    }
});

fn use_channel(hostile: &Hostile, table: &ChannelTable<'_>, input: &mut Input<'_>) {
    let ring = &table.ring;
    let mut claims: Vec<Claim<'_>> = Vec::new();
    let mut messages: Vec<Message> = Vec::new();
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            return;
        }
        match input.byte() % 16 {
            0 if claims.len() < HANDS_MAX => claims.extend(ring.claim(input.party())),
            1 | 2 => {
                let words = payload(input);
                let count = input.byte() % (SLOT_WORDS + 1);
                if let Some(claim) = claims.last_mut() {
                    ring.arm(claim, &words[..count]);
                }
            }
            3 => {
                let words = payload(input);
                if let Some(claim) = claims.pop() {
                    ring.publish(claim, &words[..input.byte() % (SLOT_WORDS + 1)]);
                }
            }
            4 if messages.len() < HANDS_MAX => messages.extend(ring.poll().ok().flatten()),
            5 => match ring.next() {
                Ok(Next::Ready(message)) if messages.len() < HANDS_MAX => messages.push(message),
                _ => {}
            },
            6 => {
                if let Some(message) = messages.last() {
                    read_ticket(&message.first);
                    let _ = ring.is_current(message);
                    ring.take(message, input.party());
                }
            }
            7 => {
                if let Some(message) = messages.pop() {
                    let _ = ring.finish(&message);
                }
            }
            8 => {
                ring.reap(input.party());
            }
            9 => {
                ring.any(|payload| read_ticket(payload).is_some());
            }
            10 => {
                let _ = ring.in_the_way();
                ring.settle();
                assert_eq!(ring.is_empty(), ring.len() == 0);
            }
            11 => {
                table.control.senders.join(input.party());
                table.control.receivers.leave(input.party());
                let members = table.control.senders.iter().count();
                assert!(table.control.senders.have_left() || members > 0);
            }
            12 => {
                let _ = table.control.not_empty.announce();
                table.control.not_empty.notify();
                table.control.not_full.notify_all();
            }
            _ => hostile.poke(input.short(), word(input)),
        }
        assert!(ring.len() <= ring.capacity());
    }
}

/// Payloads are tickets more often than not.
fn payload(input: &mut Input<'_>) -> [u64; SLOT_WORDS] {
    let mut words = [0; SLOT_WORDS];
    for word in words.iter_mut().take(input.byte() % (SLOT_WORDS + 1)) {
        *word = input.word();
    }
    words
}

/// Words are lap, party and state more often than not.
fn word(input: &mut Input<'_>) -> u64 {
    let kind = input.byte();
    if kind % 4 == 0 {
        return input.word();
    }
    let lap = (kind as u64 / 4 % 8).wrapping_sub(2);
    let bits = input.short() as u64;
    (lap << 20) | (bits & if kind % 4 == 1 { 0xf } else { 0xffff })
}
