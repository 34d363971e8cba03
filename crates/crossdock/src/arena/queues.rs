//! Which chunks somebody can still come to hold, because a ticket for them stands in a queue.
//!
//! A channel can seem to hold a chunk to which none of its tickets leads any more. Who needs the memory looks
//! through the queues, at all of them once for any number of chunks.

use super::map::ArenaMap;
use super::own::Piece;
use crate::channel::map::ChannelMap;
use crate::member::Member;
use crossdock_core::chunk::Snapshot;
use crossdock_core::party::{Party, PartyId};
use std::collections::{HashMap, HashSet};

/// The tickets in the queues of all channels.
struct Queues(HashMap<Party, Queue>);

#[derive(Default)]
struct Queue {
    /// A receiver was just taking something, so any ticket may have been there.
    is_uncertain: bool,
    tickets: HashSet<(PartyId, u32, u64)>,
}

impl Queues {
    fn read(channels: &[ChannelMap]) -> Self {
        let mut queues = HashMap::<_, Queue>::new();
        for channel in channels {
            // What is left of another one may have the same number: see `reap::may_come_from`.
            let queue = queues.entry(channel.party().party).or_default();
            queue.is_uncertain |= channel.has_ticket(|ticket| {
                queue.tickets.insert((ticket.arena, ticket.chunk, ticket.generation));
                false
            });
        }
        Self(queues)
    }

    /// Whether anybody can still come to use a chunk that these seem to hold: a process may do so at any
    /// time, and so may a channel that is just going, whose bit its reaper clears.
    fn lead_to(&self, chunk: (PartyId, u32, u64), snapshot: Snapshot) -> bool {
        snapshot.holders().any(|holder| {
            let queue = self.0.get(&holder);
            queue.is_none_or(|queue| queue.is_uncertain || queue.tickets.contains(&chunk))
        })
    }
}

/// The numbers of those chunks of `member`'s own arena that nobody holds. What channels only seem to hold,
/// they let go of.
///
/// The caller hands chunks out, and nobody else does: what is unheld here stays so until it does.
#[expect(single_use_lifetimes, reason = "the compiler wants it to have a name")]
pub(super) fn unheld<'a>(
    member: &'static Member,
    map: &ArenaMap,
    pieces: impl Iterator<Item = &'a Piece>,
) -> HashSet<u32> {
    let mut unheld = HashSet::new();
    // The holders come first, then the queues, then the holders again: if those are the same, nothing has
    // moved meanwhile, and the queues were what they seemed to be.
    let mut doubtful = Vec::new();
    for piece in pieces {
        let Ok(entry) = map.entry(piece.chunk) else { continue };
        match entry.chunk.snapshot() {
            Some(snapshot) if snapshot.is_unheld() => _ = unheld.insert(piece.chunk),
            Some(snapshot) if !snapshot.holds(member.me.party) => {
                doubtful.push((piece.chunk, entry, snapshot));
            }
            _ => {}
        }
    }
    if doubtful.is_empty() {
        return unheld;
    }
    let queues = member.with_channels(Queues::read);
    for (number, entry, snapshot) in doubtful {
        let chunk = &entry.chunk;
        let is_awaited = queues.lead_to((map.id, number, chunk.generation()), snapshot);
        if !is_awaited && chunk.snapshot() == Some(snapshot) {
            snapshot.holders().for_each(|channel| chunk.release(channel));
            if chunk.snapshot().is_some_and(|now| now.is_unheld()) {
                unheld.insert(number);
            }
        }
    }
    unheld
}
