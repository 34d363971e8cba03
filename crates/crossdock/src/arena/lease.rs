//! This process's hold on one chunk.
//!
//! Inside a process an ordinary `Arc` counts the handles; the chunk's bitmap is touched once, when the
//! first handle appears and when the last one goes.

use super::map::Region;
use super::own::Handout;
use crate::error::{Error, Result};
use crate::member::Member;
use crossdock_core::chunk::Chunk;
use crossdock_core::layout::Entry;
use crossdock_core::party::Party;
use crossdock_core::ticket::Ticket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

/// A hold on a chunk, let go on drop.
///
/// # Invariants
///
/// 1. While `is_held`, this process's bit is set in the chunk, so its memory is not handed out again.
/// 2. There is at most one lease of a chunk in a process that is not being dropped.
/// 3. `entry` lies in the map that `region` keeps.
/// 4. If a ticket for the chunk exists that is not sole, the lease is shared: it stands in the member's
///    table, where the taker of such a ticket finds it.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) member: &'static Member,
    pub(crate) region: Arc<Region>,
    entry: &'static Entry,
    pub(crate) chunk: u32,
    pub(crate) generation: u64,
    pub(crate) is_shared: AtomicBool,
    is_held: AtomicBool,
    is_large: bool,
}

impl Lease {
    /// A lease of a chunk that has just been allocated here.
    pub(crate) fn of_handout(member: &'static Member, handout: Handout) -> Self {
        let piece = handout.piece;
        Self {
            member,
            is_large: piece.bytes > super::class::CLASS_BYTES_MAX,
            region: piece.region,
            entry: handout.entry,
            chunk: piece.chunk,
            generation: handout.generation,
            is_shared: AtomicBool::new(false),
            is_held: AtomicBool::new(true),
        }
    }

    /// A lease of a chunk whose hold a taken ticket has passed to this process.
    pub(crate) fn of_ticket(
        member: &'static Member,
        region: Arc<Region>,
        entry: &'static Entry,
        ticket: &Ticket,
        is_shared: bool,
    ) -> Self {
        Self {
            member,
            region,
            entry,
            chunk: ticket.chunk,
            generation: ticket.generation,
            is_shared: AtomicBool::new(is_shared),
            is_held: AtomicBool::new(true),
            is_large: false,
        }
    }

    /// The chunk's record.
    #[inline]
    pub(crate) fn chunk(&self) -> &Chunk {
        &self.entry.chunk
    }

    /// Whether this lease belongs to this process, not to a parent that forked it.
    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        self.member.is_ours()
    }

    /// Whether this handle is the only one in any process.
    pub(crate) fn is_alone(self: &Arc<Self>) -> bool {
        let me = self.member.me.party;
        let chunk = self.chunk();
        // Looked at after the queues: who took a ticket from one has added to the count before it was
        // done with the slot.
        let is_only_here = || {
            let is_only = Arc::strong_count(self) == 1;
            fence(Ordering::Acquire);
            is_only
        };
        let Some(snapshot) = chunk.snapshot().filter(|snapshot| snapshot.holds(me)) else {
            return false;
        };
        if snapshot.holds_alone(me) {
            return is_only_here() && chunk.snapshot() == Some(snapshot);
        }
        // Channels may only seem to hold it.
        self.member.with_channels(|channels| {
            let others: Vec<Party> = snapshot.holders().filter(|party| *party != me).collect();
            let all_idle = others.iter().all(|party| {
                channels.iter().any(|channel| {
                    channel.party().party == *party
                        && !channel.has_ticket(|ticket| self.is_named_by(ticket))
                })
            });
            let is_alone = all_idle && is_only_here() && chunk.snapshot() == Some(snapshot);
            if is_alone {
                others.iter().for_each(|channel| chunk.release(*channel));
            }
            is_alone
        })
    }

    fn is_named_by(&self, ticket: &Ticket) -> bool {
        ticket.arena == self.region.map.id
            && ticket.chunk == self.chunk
            && ticket.generation == self.generation
    }

    /// The hold has been passed on: dropping the lease must not let go of it.
    #[inline]
    pub(crate) fn forget_hold(&self) {
        self.is_held.store(false, Ordering::Relaxed);
    }

    /// The error of using a handle of the parent in a forked child.
    #[inline]
    pub(crate) fn check_ours(&self) -> Result<()> {
        if self.is_ours() { Ok(()) } else { Err(Error::forked("this array")) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !*self.is_held.get_mut() || !self.is_ours() {
            return;
        }
        if *self.is_shared.get_mut() {
            self.member.release_shared(self);
        } else {
            self.chunk().release(self.member.me.party);
        }
        if self.region.map.table().control.is_orphan() {
            self.member.clean_orphans();
        } else if self.is_large {
            self.member.limit_cache();
        }
    }
}
