//! A queue whose other users write what they like, whenever they like, with what was taken from it and not
//! acknowledged.
#![no_main]

use crossdock_core::deliveries::{Deliveries, Row};
use crossdock_core::layout::{Carrier, ChannelTable, Remains, channel_bytes};
use crossdock_core::ring::{Claim, Message, Next, Ring};
use crossdock_core::settings::Mode;
use crossdock_fuzz::{Hostile, Input, LEN_MAX, payload, read_tickets, settings, word};
use libfuzzer_sys::fuzz_target;

/// Claims, messages and rows that are in hand at once.
const HANDS_MAX: usize = 4;
const STEPS_MAX: usize = 256;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let kind = input.byte();
    let capacity = match kind % 8 {
        0 => usize::try_from(input.word()).unwrap_or(usize::MAX),
        small => small,
    };
    let settings = settings(&mut input, Mode::Queue);
    // As long as the header promises, or not.
    let promised = usize::try_from(channel_bytes(capacity, &settings)).unwrap_or(usize::MAX);
    let len = promised.min(LEN_MAX).saturating_sub((kind >> 4) & 7);
    let count = input.short();
    let hostile = Hostile::new(len, input.bytes(count));
    let table = ChannelTable::new(hostile.memory(), 0, capacity, &settings);
    assert_eq!(table.is_ok(), len >= promised && (1..=1 << 20).contains(&capacity));
    let Ok(table) = table else { return };
    let Carrier::Queue(ring, rows) = table.carrier else { panic!("a queue was asked for") };
    assert_eq!(rows.map_or(0, |rows| rows.count()), settings.unacknowledged_max as usize);
    let mut hands = Hands::default();
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            return;
        }
        match input.byte() % 32 {
            step @ 0..10 => use_ring(&ring, &mut hands, step, &mut input),
            10 => look_on(&table, &ring),
            11 => use_control(&table, &mut input),
            12 => table.reap(
                &[input.party(), input.party()].into_iter().collect(),
                &mut Remains::default(),
            ),
            step @ 13..24 => {
                if let Some(rows) = &rows {
                    use_rows(&ring, rows, &mut hands, step, &mut input);
                }
            }
            _ => hostile.poke(input.short(), word(&mut input)),
        }
        assert!(ring.len() <= ring.capacity());
    }
});

#[derive(Default)]
struct Hands<'a> {
    claims: Vec<Claim<'a>>,
    messages: Vec<Message>,
    rows: Vec<Row>,
}

fn use_ring<'a>(ring: &Ring<'a>, hands: &mut Hands<'a>, step: usize, input: &mut Input<'_>) {
    let Hands { claims, messages, .. } = hands;
    match step {
        0 if claims.len() < HANDS_MAX => claims.extend(ring.claim(input.party())),
        1 | 2 => {
            let words = payload(input);
            if let Some(claim) = claims.last_mut() {
                ring.arm(claim, &words);
            }
        }
        3 => {
            let words = payload(input);
            if let Some(claim) = claims.pop() {
                let _ = ring.publish(claim, &words);
            }
        }
        4 if messages.len() < HANDS_MAX => messages.extend(ring.poll().ok().flatten()),
        5 => match ring.next() {
            Ok(Next::Ready(message)) if messages.len() < HANDS_MAX => messages.push(message),
            _ => {}
        },
        6 => {
            if let Some(message) = messages.last() {
                read_tickets(&ring.first(message));
                read_tickets(&ring.read(message));
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
        _ => {
            ring.any(|payload| read_tickets(payload) > 0);
        }
    }
}

fn look_on(table: &ChannelTable<'_>, ring: &Ring<'_>) {
    let _ = ring.in_the_way();
    ring.settle();
    assert_eq!((table.len(), table.is_empty()), (ring.len(), ring.is_empty()));
    assert_eq!(table.sent(), ring.totals().0);
    let mut seen = 0;
    ring.for_each(|payload| {
        read_tickets(payload);
        seen += 1;
    });
    assert!(seen <= ring.capacity());
    table.for_each_in_the_way(|party| assert!(party.index() < 336));
    table.any(|payload| read_tickets(payload) > 0);
}

fn use_control(table: &ChannelTable<'_>, input: &mut Input<'_>) {
    table.control.senders.join(input.party());
    table.control.receivers.leave(input.party());
    let members = table.control.senders.iter().count();
    assert!(table.control.senders.have_left() || members > 0);
    let _ = table.control.not_empty.announce();
    table.control.not_empty.notify();
    table.control.not_full.notify_all();
    let ledger = &table.control.ledger;
    ledger.note_returned();
    assert!(ledger.take_returned() && !ledger.take_returned());
}

/// Rows are used as a receiver does, or in no order at all.
fn use_rows(
    ring: &Ring<'_>,
    rows: &Deliveries<'_>,
    hands: &mut Hands<'_>,
    step: usize,
    input: &mut Input<'_>,
) {
    let me = input.party();
    let hold = &mut hands.rows;
    match step {
        13 | 14 if hold.len() < HANDS_MAX => {
            if let Some(message) = hands.messages.last() {
                hold.extend(rows.prepare(me, message.position(), &ring.read(message), 1));
            }
        }
        15 => {
            if let Some(row) = hold.pop() {
                let deliveries = row.deliveries();
                let row = rows.hold(row, me);
                assert_eq!(row.deliveries(), deliveries);
                hold.push(row);
            }
        }
        16 => {
            if let Some(row) = hold.pop() {
                rows.cancel(row);
            }
        }
        17 => {
            hold.pop().map(|row| rows.acknowledge(row));
        }
        18 => {
            let given = hold.pop().map(|row| rows.give_back(row)).unwrap_or_default();
            assert!(given.returned + given.dead <= 1);
        }
        19 | 20 if hold.len() < HANDS_MAX => {
            let taken = if step == 19 {
                rows.take_returned(me, 2)
            } else {
                rows.take_dead(me, input.byte().into(), 2)
            };
            if let Ok(Some((row, words))) = taken {
                read_tickets(&words);
                hold.push(row);
            }
        }
        21 => {
            let reaped = rows.reap(me, |position| ring.is_taken_by(position, me));
            assert!(reaped.returned + reaped.dead <= rows.count() as u64);
            assert_eq!(rows.reap(me, |_| true), Default::default(), "something is left to reap");
        }
        22 => {
            rows.any(|payload| read_tickets(payload) > 0);
        }
        _ => assert!(rows.states().count() <= rows.count()),
    }
}
