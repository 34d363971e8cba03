//! Who holds which memory: every arena of a directory, chunk by chunk.

use super::queue::{Key, Queue};
use super::who::Who;
use super::{Amount, Arena, Holder, Holding, Piece};
use crate::arena::map::{ArenaMap, arena_names};
use crate::array::Order;
use crate::error::Result;
use crate::namespace::Namespace;
use crossdock_core::chunk::Chunk;
use crossdock_core::layout::Entry;
use crossdock_core::party::{Party, PartyId};
use crossdock_core::ticket::Ticket;
use crossdock_sys::clock::now_coarse_ms;
use crossdock_sys::file;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Looks at the holders of a chunk until two in a row agree.
const LOOKS_MAX: u32 = 8;

/// The arenas, and what others want to know of them.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) arenas: Vec<Arena>,
    /// For each queue, the pieces that its channel holds for messages.
    pub(super) in_flight: Vec<Vec<(Key, Piece)>>,
    by_party: HashMap<Party, Amount>,
}

/// An arena that is being looked through.
struct Scan<'a> {
    id: PartyId,
    who: &'a Who,
    queues: &'a [Queue],
    /// Which of the queues a party is.
    places: &'a HashMap<Party, usize>,
    /// Regions that still have their file; chunks of others have been given back.
    region_bytes: HashMap<u32, u64>,
    chunks: u64,
    held: Amount,
    /// In the order of the numbers of the parties.
    by_party: BTreeMap<Party, Amount>,
}

impl Held {
    pub(super) fn read(namespace: &Arc<Namespace>, who: &Who, queues: &[Queue]) -> Result<Self> {
        let in_flight = queues.iter().map(|_| Vec::new()).collect();
        let mut held = Self { arenas: Vec::new(), in_flight, by_party: HashMap::new() };
        let places =
            queues.iter().enumerate().map(|(place, queue)| (queue.party(), place)).collect();
        let mut found = arena_names(namespace)?;
        found.sort_by_key(|(id, _)| id.to_word());
        for (id, names) in found {
            // It may go while it is looked at, or be damaged: then it is not in the picture.
            let Ok(map) = ArenaMap::open(namespace, id) else { continue };
            let mut scan = Scan {
                id,
                who,
                queues,
                places: &places,
                region_bytes: regions(namespace, &names),
                chunks: 0,
                held: Amount::default(),
                by_party: BTreeMap::new(),
            };
            map.for_each_entry(|chunk, entry| scan.visit(chunk, entry, &mut held.in_flight));
            for (party, amount) in &scan.by_party {
                held.by_party.entry(*party).or_default().add(*amount);
            }
            held.arenas.push(scan.finish());
        }
        Ok(held)
    }

    /// What a party holds in all arenas together.
    pub(super) fn by(&self, party: Party) -> Amount {
        self.by_party.get(&party).copied().unwrap_or_default()
    }
}

impl Scan<'_> {
    fn visit(&mut self, chunk: u32, entry: &Entry, in_flight: &mut [Vec<(Key, Piece)>]) {
        let (region, _, bytes) = entry.extent();
        if !self.region_bytes.contains_key(&region) {
            return;
        }
        self.chunks += 1;
        // The generation first: if the chunk is handed out anew meanwhile, no ticket has this one.
        let key = Key { arena: self.id, chunk, generation: entry.chunk.generation() };
        let holders: Vec<Party> = holders(&entry.chunk)
            .into_iter()
            .filter(|party| {
                self.queue(*party).is_none_or(|index| self.queues[index].may_carry(&key))
            })
            .collect();
        if holders.is_empty() {
            return;
        }
        let age_ms = now_coarse_ms().saturating_sub(entry.handed_out_ms());
        let age = Duration::from_millis(age_ms);
        let one = Amount { chunks: 1, bytes, oldest: age };
        self.held.add(one);
        for party in &holders {
            self.by_party.entry(*party).or_default().add(one);
            if let Some(index) = self.queue(*party) {
                let others = holders.iter().filter(|other| *other != party);
                let piece = Piece {
                    owner: self.who.exactly(self.id),
                    chunk,
                    region,
                    bytes,
                    held_by: others.map(|other| self.holder(*other)).collect(),
                    age,
                    ..described(self.queues[index].ticket(&key))
                };
                in_flight[index].push((key, piece));
            }
        }
    }

    fn queue(&self, party: Party) -> Option<usize> {
        self.places.get(&party).copied()
    }

    fn holder(&self, party: Party) -> Holder {
        match self.queue(party) {
            Some(index) => Holder::Channel(self.queues[index].name.clone()),
            None => self.who.holder(party),
        }
    }

    fn finish(self) -> Arena {
        let holding = |(party, amount): (&Party, &Amount)| Holding {
            holder: self.holder(*party),
            amount: *amount,
        };
        Arena {
            owner: self.who.exactly(self.id),
            regions: self.region_bytes.len() as u64,
            reserved_bytes: self
                .region_bytes
                .values()
                .fold(0, |sum, bytes| sum.saturating_add(*bytes)),
            chunks: self.chunks,
            held: self.held,
            holders: self.by_party.iter().map(holding).collect(),
        }
    }
}

/// A piece of which only what its ticket says is known.
fn described(ticket: Option<&Ticket>) -> Piece {
    let axes = ticket.map_or(&[][..], |ticket| &ticket.shape[..usize::from(ticket.ndim)]);
    let is_fortran = ticket.is_some_and(|ticket| ticket.is_fortran);
    Piece {
        owner: None,
        chunk: 0,
        region: 0,
        bytes: 0,
        dtype: ticket.map(|ticket| ticket.dtype),
        shape: axes.iter().map(|extent| *extent as usize).collect(),
        order: if is_fortran { Order::F } else { Order::C },
        held_by: Vec::new(),
        age: Duration::ZERO,
    }
}

/// All who hold a chunk, as nearly at one moment as can be had without holding anybody up.
fn holders(chunk: &Chunk) -> Vec<Party> {
    for _ in 0..LOOKS_MAX {
        match chunk.snapshot() {
            Some(now) if now.is_unheld() => return Vec::new(),
            Some(now) => return now.holders().collect(),
            None => std::hint::spin_loop(),
        }
    }
    Party::all().filter(|party| chunk.is_held_by(*party)).collect()
}

/// The numbers and the bytes of the regions among the files of an arena: `.arena.PARTY.EPOCH.REGION`.
fn regions(namespace: &Namespace, names: &[String]) -> HashMap<u32, u64> {
    let region = |name: &String| {
        let number = name.split('.').nth(4)?.parse().ok()?;
        let file = file::open(&namespace.directory, name, false).ok()?;
        Some((number, file::status(&file).ok()?.allocated_bytes))
    };
    names.iter().filter_map(region).collect()
}
