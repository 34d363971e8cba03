//! What is in a channel, read without taking part in it.

use super::{ChannelKind, Counters};
use crate::channel::map::ChannelMap;
use crossdock_core::deliveries::Deliveries;
use crossdock_core::layout::{Carrier, Counter};
use crossdock_core::party::{Party, PartyId};
use crossdock_core::ticket::Ticket;
use crossdock_sys::clock::now_ns;
use std::collections::HashMap;
use std::time::Duration;

/// Looks at a queue until one of them meets no receiver at work; each takes it less than a microsecond.
const LOOKS_MAX: u32 = 64;

/// One piece of memory in one generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) arena: PartyId,
    pub(super) chunk: u32,
    pub(super) generation: u64,
}

impl Key {
    fn of(ticket: &Ticket) -> Self {
        Self { arena: ticket.arena, chunk: ticket.chunk, generation: ticket.generation }
    }
}

/// A channel and the tickets that were in it.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) map: ChannelMap,
    tickets: HashMap<Key, Ticket>,
    /// Whether `tickets` has all there were.
    is_complete: bool,
}

/// What a channel records besides the messages that are in it.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    pub(super) counters: Option<Counters>,
    /// How long a receiver has held what it has not acknowledged, the oldest of it.
    pub(super) held_for_by: HashMap<Party, Duration>,
}

impl Queue {
    /// Reads the queue of a channel that was mapped to look into it.
    pub(super) fn read(name: &str, map: ChannelMap) -> Self {
        let mut tickets = HashMap::new();
        let mut is_complete = false;
        for _ in 0..LOOKS_MAX {
            // `true` when it came to a slot that a receiver is at work in, and stopped there.
            let is_cut_short = map.table.any(|_| false);
            map.table.for_each(|words| {
                // What is just being overwritten may be anything.
                for ticket in crate::channel::parcel::tickets(words, &map.header.settings) {
                    tickets.insert(Key::of(&ticket), ticket);
                }
            });
            is_complete = !is_cut_short;
            if is_complete {
                break;
            }
            std::hint::spin_loop();
        }
        Self { name: name.to_owned(), map, tickets, is_complete }
    }

    /// The ticket for a piece of memory.
    pub(super) fn ticket(&self, key: &Key) -> Option<&Ticket> {
        self.tickets.get(key)
    }

    /// Whether the channel's hold on a piece of memory is for a message, as far as that can be told. (A
    /// hold for an array that was sent more than once stays until somebody needs the memory.)
    pub(super) fn may_carry(&self, key: &Key) -> bool {
        !self.is_complete || self.tickets.contains_key(key)
    }

    /// The number under which the channel holds memory.
    pub(super) fn party(&self) -> Party {
        self.map.party().party
    }

    /// To whom its messages go.
    pub(super) fn kind(&self) -> ChannelKind {
        ChannelKind::of(self.map.header.settings.mode)
    }

    /// What the channel records.
    pub(super) fn recorded(&self) -> Recorded {
        let ledger = &self.map.table.control.ledger;
        let sent = self.map.table.sent();
        let mut recorded = Recorded::default();
        let mut received = None;
        if let Carrier::Queue(ring, rows) = &self.map.table.carrier {
            received = Some(ring.totals().1.saturating_sub(ledger.count(Counter::Dropped)));
            let now = now_ns();
            for state in rows.iter().flat_map(Deliveries::states) {
                let Some(holder) = state.holder else { continue };
                let held_for = Duration::from_nanos(now.saturating_sub(state.since_ns));
                let oldest = recorded.held_for_by.entry(holder).or_default();
                *oldest = held_for.max(*oldest);
            }
        }
        recorded.counters = Some(Counters {
            sent,
            received,
            dropped: ledger.count(Counter::Dropped),
            redelivered: ledger.count(Counter::Redelivered),
            lost: ledger.count(Counter::Lost),
            dead_letters: ledger.count(Counter::DeadLetters),
        });
        recorded
    }
}
