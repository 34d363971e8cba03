//! This process's hold on one chunk.
//!
//! Inside a process an ordinary `Arc` counts the handles; the chunk's bitmap is touched once, when the
//! first handle appears and when the last one goes.

use super::map::Region;
use super::own::Handout;
use crate::error::{Error, Result};
use crate::member::Member;
use crate::reap;
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

    /// Whether this is the only thing in the process that leads to the chunk; if not, it can be found from now on by
    /// the taker of a ticket.
    #[inline]
    pub(crate) fn share_unless_sole(self: &Arc<Self>) -> bool {
        let is_only = Arc::strong_count(self) == 1;
        // Whoever had another handle has let go of it (`Release`) after it may have shared the lease.
        fence(Ordering::Acquire);
        let is_sole = is_only && !self.is_shared.load(Ordering::Acquire);
        if !is_sole {
            self.member.share(self);
        }
        is_sole
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
            let is_wanted = |ticket: &Ticket| self.is_named_by(ticket);
            let all_idle =
                others.iter().all(|party| !reap::may_come_from(channels, *party, is_wanted));
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

#[cfg(test)]
mod tests {
    use crate::channel::{Receiver, Sender, Waiting};
    use crate::member::Member;
    use crate::{Array, ArrayMut};
    use crossdock_core::party::Party;

    type Bytes = Array<u8>;

    fn party(end: &impl Waiting) -> Party {
        end.core().party()
    }

    /// What somebody leaves who is killed while he removes a channel, and a channel that has its number. `None` if a test
    /// beside this one was faster.
    fn remains(own: usize, attempt: usize) -> Option<(Sender<Bytes>, Receiver<Bytes>)> {
        let name = |number| format!("test-number-{}-{attempt}-{number}", std::process::id());
        let remains = Sender::create(&name(own), 1).unwrap();
        Member::current().unwrap().free(party(&remains));
        let mut others = Vec::new();
        for number in 1..20 {
            let rx = Receiver::create(&name(number), 1).unwrap();
            if party(&rx) == party(&remains) {
                return Some((remains, rx));
            }
            others.push(rx);
        }
        None
    }

    #[test]
    fn what_is_left_of_a_channel_says_nothing_of_the_one_that_has_its_number() {
        // Listed before the other one, and behind it.
        for own in [0, 999] {
            let (_remains, rx) = (0..20).find_map(|attempt| remains(own, attempt)).unwrap();
            let tx = Sender::open(rx.name()).unwrap();
            let array = Array::from_slice(&[1_u8, 2, 3]).unwrap();
            tx.send(array.clone()).unwrap();
            // Only the channel says that somebody else will have it.
            let array = array.try_into_mut().unwrap_err();
            drop(array);
            let others: Vec<_> = (0..100).map(|_| ArrayMut::<u8>::zeroed(3).unwrap()).collect();
            assert_eq!(rx.recv().unwrap()[..], [1, 2, 3]);
            drop(others);
        }
    }
}
