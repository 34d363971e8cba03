//! The file of a channel.

use crate::Corrupt;
use crate::deliveries::{Deliveries, Reaped, row_words};
use crate::memory::{Memory, Shared};
use crate::party::{PARTIES_MAX, Party, PartySet};
use crate::primitive::AtomicU64;
use crate::ring::broadcast::{Broadcast, Readers};
use crate::ring::latest::Latest;
use crate::ring::{
    Armed, Arrays, Claimed, Cursor, Next, Refused, Ring, Taken, Written, messages_of,
};
use crate::settings::{Mode, Settings};
use crate::signal::Signal;
use crate::sync::Mutex;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

// SAFETY: a `#[repr(C)]` struct of atomics without pointers. The mutex in its ledger is `#[repr(C)]` as well, of one such
// word and a value of no bytes, so that nothing in it is ever read or written but by atomic operations.
unsafe impl Shared for ChannelControl {}
// SAFETY: a `#[repr(C)]` struct of atomics without pointers.
unsafe impl Shared for Readers {}
// SAFETY: a `#[repr(C)]` struct of atomics without pointers.
unsafe impl Shared for Claimed {}
// SAFETY: a `#[repr(C)]` struct of atomics without pointers.
unsafe impl Shared for Armed {}
// SAFETY: a `#[repr(C)]` struct of atomics without pointers.
unsafe impl Shared for Written {}
// SAFETY: a `#[repr(C)]` struct of atomics without pointers.
unsafe impl Shared for Taken {}
// SAFETY: an atomic.
unsafe impl Shared for AtomicU64 {}

/// One bit per party: who has an end of a channel.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Members {
    bits: [AtomicU64; MEMBER_WORDS],
    /// Who has been a member: nobody, one party (its number plus one), or [`SEVERAL`].
    ever: AtomicU64,
}

const SEVERAL: u64 = u64::MAX;

const MEMBER_WORDS: usize = PARTIES_MAX.div_ceil(64);

impl Members {
    /// Adds a party.
    pub fn join(&self, party: Party) {
        self.bits[party.index() / 64].fetch_or(1 << (party.index() % 64), AcqRel);
        let me = party.index() as u64 + 1;
        if self.ever.compare_exchange(0, me, AcqRel, Acquire).is_err_and(|before| before != me) {
            self.ever.store(SEVERAL, Release);
        }
    }

    /// Removes a party; nothing happens if it is no member.
    pub fn leave(&self, party: Party) {
        self.bits[party.index() / 64].fetch_and(!(1 << (party.index() % 64)), AcqRel);
    }

    /// Whether there is a member now.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|word| word.load(Acquire) == 0)
    }

    /// Whether there have been members and are none now: this side has gone.
    #[inline]
    #[must_use]
    pub fn have_left(&self) -> bool {
        self.ever.load(Acquire) != 0 && self.is_empty()
    }

    /// Whether others than `me` are members, or have been.
    #[must_use]
    pub fn have_others_come(&self, me: Party) -> bool {
        ![0, me.index() as u64 + 1].contains(&self.ever.load(Acquire))
    }

    /// Whether others than `me` are members.
    #[must_use]
    pub fn has_others(&self, me: Party) -> bool {
        self.iter().any(|party| party != me)
    }

    /// All members.
    pub fn iter(&self) -> impl Iterator<Item = Party> {
        Party::all().filter(|party| {
            self.bits[party.index() / 64].load(Acquire) & (1 << (party.index() % 64)) != 0
        })
    }
}

/// What a channel counts besides what its ring says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Counter {
    /// Messages that were dropped to make room.
    Dropped = 0,
    /// Messages that were delivered again.
    Redelivered = 1,
    /// Messages that became dead letters.
    DeadLetters = 2,
    /// Messages that were lost with the receiver that had just taken them.
    Lost = 3,
}

/// Numbers that change rarely.
#[repr(C, align(128))]
#[derive(Debug)]
pub struct Ledger {
    counts: [AtomicU64; 4],
    /// 1 if a message may be waiting to be delivered again.
    returned: AtomicU64,
    /// Held by the sender that makes room by bytes.
    pub room: Mutex<()>,
}

impl Ledger {
    /// Adds to a counter.
    pub fn add(&self, counter: Counter, count: u64) {
        if count > 0 {
            self.counts[counter as usize].fetch_add(count, Relaxed);
        }
    }

    /// What a counter says.
    #[must_use]
    pub fn count(&self, counter: Counter) -> u64 {
        self.counts[counter as usize].load(Relaxed)
    }

    /// A message is waiting, or may be, to be delivered again.
    pub fn note_returned(&self) {
        self.returned.store(1, Release);
    }

    /// Whether such a message may be waiting.
    #[must_use]
    pub fn may_be_returned(&self) -> bool {
        self.returned.load(Acquire) != 0
    }

    /// Whether such a message may be waiting, which is forgotten by this. The caller looks at every row and, if it finds one, notes that
    /// there may be more; so does the reaper of whoever dies over that.
    #[inline]
    #[must_use]
    pub fn take_returned(&self) -> bool {
        self.returned.load(Relaxed) != 0 && self.returned.swap(0, AcqRel) != 0
    }
}

/// What a channel has besides its slots.
#[repr(C, align(128))]
#[derive(Debug)]
pub struct ChannelControl {
    /// Receivers sleep here.
    pub not_empty: Signal,
    /// Senders sleep here.
    pub not_full: Signal,
    /// Who can send.
    pub senders: Members,
    /// Who can receive.
    pub receivers: Members,
    head: Cursor,
    tail: Cursor,
    newest: Newest,
    /// What is counted.
    pub ledger: Ledger,
}

/// Which message is the newest, alone in its pair of cache lines.
#[repr(C, align(128))]
#[derive(Debug)]
struct Newest(AtomicU64);

#[cfg(not(loom))]
const _: () = assert!(size_of::<ChannelControl>() == 768);

/// What the dead left in a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remains {
    /// Slots of messages that they had begun to send. If a message was complete, it arrives all the same.
    pub unsent: u64,
    /// Messages that they had taken and nobody gets any more.
    pub lost: u64,
    /// Messages that are to be delivered again.
    pub returned: u64,
    /// Messages that have become dead letters.
    pub dead_letters: u64,
}

/// What carries the messages.
#[derive(Clone, Copy, Debug)]
pub enum Carrier<'a> {
    /// A queue, and the messages that were taken from it and not acknowledged.
    Queue(Ring<'a>, Option<Deliveries<'a>>),
    /// A ring that every receiver sees.
    Broadcast(Broadcast<'a>),
    /// The newest message.
    Latest(Latest<'a>),
}

/// A channel's words in a mapped file.
#[derive(Clone, Copy, Debug)]
pub struct ChannelTable<'a> {
    /// Signals and members.
    pub control: &'a ChannelControl,
    /// What carries the messages.
    pub carrier: Carrier<'a>,
}

/// Where the parts of a channel lie, from its data on.
struct Places {
    messages: usize,
    more: usize,
    rows: usize,
    armed: usize,
    takes: usize,
    claims: usize,
    end: usize,
}

impl Places {
    /// The sums saturate: such a channel does not fit into any file.
    fn new(capacity: usize, settings: &Settings) -> Self {
        let readers = if settings.mode == Mode::Queue { 0 } else { size_of::<Readers>() };
        let messages = size_of::<ChannelControl>() + readers;
        let after = |place: usize, count: usize, size: usize| {
            place.saturating_add(count.saturating_mul(size))
        };
        let behind = |place, size| after(place, capacity, size);
        let more = after(messages, messages_of(capacity), size_of::<Written>());
        let rows = behind(more, settings.more_words() * 8);
        let row_bytes = row_words(settings.message_words()) * 8;
        let armed = rows.saturating_add(row_bytes * settings.unacknowledged_max as usize);
        let takes = behind(armed, size_of::<Armed>());
        // What receivers write is in other cache lines than what senders do.
        let claims = behind(takes, size_of::<Taken>())
            .checked_next_multiple_of(size_of::<Armed>())
            .unwrap_or(usize::MAX);
        let end = behind(claims, size_of::<Claimed>());
        Self { messages, more, rows, armed, takes, claims, end }
    }
}

impl<'a> ChannelTable<'a> {
    /// The channel whose data begin at `offset` in `memory`, with `capacity` slots according to its checked
    /// header.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when the file is too short.
    pub fn new(
        memory: Memory<'a>,
        offset: usize,
        capacity: usize,
        settings: &Settings,
    ) -> Result<Self, Corrupt> {
        const NO_SLOTS: Corrupt = Corrupt("a channel has too few slots, or too many");
        let places = Places::new(capacity, settings);
        let at = |place: usize| offset.saturating_add(place);
        let control: &ChannelControl = memory.at(offset)?;
        let slots = Arrays::new(
            memory.slice(at(places.claims), capacity)?,
            memory.slice(at(places.armed), capacity)?,
            memory.slice(at(places.messages), messages_of(capacity))?,
            memory.slice(at(places.takes), capacity)?,
        )
        .ok_or(NO_SLOTS)?;
        let more_words = capacity.saturating_mul(settings.more_words());
        let more = memory.slice(at(places.more), more_words)?;
        let (head, tail) = (&control.head, &control.tail);
        let carrier = match settings.mode {
            Mode::Queue => {
                let words = memory.slice(at(places.rows), (places.armed - places.rows) / 8)?;
                let deliveries_max = settings.deliveries_max;
                let rows = Deliveries::new(words, settings.message_words(), deliveries_max);
                let ring = Ring::with_more(head, tail, slots, more);
                ring.map(|ring| Carrier::Queue(ring, (deliveries_max > 0).then_some(rows)))
            }
            Mode::Broadcast => {
                let readers = memory.at(at(size_of::<ChannelControl>()))?;
                Broadcast::new(tail, readers, slots, more).map(Carrier::Broadcast)
            }
            Mode::Latest => {
                let readers = memory.at(at(size_of::<ChannelControl>()))?;
                Latest::new(tail, &control.newest.0, readers, slots, more).map(Carrier::Latest)
            }
        };
        Ok(Self { control, carrier: carrier.ok_or(NO_SLOTS)? })
    }

    /// The number of slots.
    #[must_use]
    pub fn capacity(&self) -> usize {
        match &self.carrier {
            Carrier::Queue(ring, _) => ring.capacity(),
            Carrier::Broadcast(ring) => ring.capacity(),
            Carrier::Latest(ring) => ring.capacity(),
        }
    }

    /// Messages that somebody has yet to receive; whether there is one, if only the newest counts.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.carrier {
            Carrier::Queue(ring, _) => ring.len(),
            Carrier::Broadcast(ring) => ring.len(),
            Carrier::Latest(ring) => usize::from(ring.number() > 0),
        }
    }

    /// Whether there is no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Messages that were sent, or begun.
    #[must_use]
    pub fn sent(&self) -> u64 {
        match &self.carrier {
            Carrier::Queue(ring, _) => ring.totals().0,
            Carrier::Broadcast(ring) => ring.sent(),
            Carrier::Latest(ring) => ring.sent(),
        }
    }

    /// Calls `look` with every party that has begun something which others may be waiting for.
    pub fn for_each_in_the_way(&self, mut look: impl FnMut(Party)) {
        let refused = match &self.carrier {
            Carrier::Queue(ring, rows) => {
                if let Ok(Next::Pending(party)) = ring.next() {
                    look(party);
                }
                rows.iter().flat_map(Deliveries::workers).for_each(&mut look);
                ring.in_the_way()
            }
            Carrier::Broadcast(ring) => {
                ring.senders_at_work().for_each(&mut look);
                ring.readers().for_each(|reader| look(reader.party));
                None
            }
            Carrier::Latest(ring) => {
                ring.senders_at_work().for_each(&mut look);
                ring.readers().for_each(&mut look);
                None
            }
        };
        if let Some(Refused::Full(Some(party))) = refused {
            look(party);
        }
    }

    /// Before a last look at the channel ahead of a sleep: sees what was published before the cursors were
    /// moved to where they are.
    pub fn settle(&self) {
        match &self.carrier {
            Carrier::Queue(ring, _) => ring.settle(),
            Carrier::Broadcast(ring) => ring.settle(),
            Carrier::Latest(ring) => ring.settle(),
        }
    }

    /// Calls `look` with every message in the channel, at about this moment. What is received meanwhile may be among
    /// them, whole or not.
    pub fn for_each(&self, mut look: impl FnMut(&[u64])) {
        match &self.carrier {
            Carrier::Queue(ring, rows) => {
                ring.for_each(&mut look);
                rows.iter().for_each(|rows| rows.for_each(&mut look));
            }
            Carrier::Broadcast(ring) => ring.for_each(look),
            Carrier::Latest(ring) => ring.for_each(look),
        }
    }

    /// Whether a payload that `wanted` recognises is in the channel, is about to be, or may be. See
    /// [`Ring::any`].
    pub fn any(&self, mut wanted: impl FnMut(&[u64]) -> bool) -> bool {
        match &self.carrier {
            // A message goes from the ring to the rows, never back.
            Carrier::Queue(ring, rows) => {
                ring.any(&mut wanted) || rows.is_some_and(|rows| rows.any(&mut wanted))
            }
            Carrier::Broadcast(ring) => ring.any(wanted),
            Carrier::Latest(ring) => ring.any(wanted),
        }
    }

    /// Repairs what the dead left; only one reaper does so at a time. What the channel holds for nobody any more it
    /// holds until somebody needs the memory. Adds what there was to `remains`.
    pub fn reap(&self, dead: &PartySet, remains: &mut Remains) {
        // However many have died, few of them did so in the middle of something.
        for party in self.workers().iter().filter(|party| dead.contains(*party)) {
            self.reap_worker(party, remains);
        }
        if matches!(self.carrier, Carrier::Queue(_, Some(_))) {
            // They may have died while they looked for messages to be delivered again.
            self.control.ledger.note_returned();
        }
        self.control.not_empty.notify_all();
        self.control.not_full.notify_all();
    }

    /// Everybody who has anything in hand here.
    fn workers(&self) -> PartySet {
        match &self.carrier {
            Carrier::Queue(ring, rows) => {
                ring.workers().chain(rows.iter().flat_map(Deliveries::workers)).collect()
            }
            Carrier::Broadcast(ring) => {
                ring.senders_at_work().chain(ring.readers().map(|reader| reader.party)).collect()
            }
            Carrier::Latest(ring) => ring.senders_at_work().chain(ring.readers()).collect(),
        }
    }

    fn reap_worker(&self, dead: Party, remains: &mut Remains) {
        let on_last = &mut |_: &[u64]| {};
        let count_of = |workers: &mut dyn Iterator<Item = Party>| {
            workers.filter(|party| *party == dead).count() as u64
        };
        match &self.carrier {
            Carrier::Queue(ring, rows) => {
                if let Some(rows) = rows {
                    let reaped = rows.reap(dead, |position| ring.is_taken_by(position, dead));
                    self.note_reaped(reaped);
                    remains.returned += reaped.returned;
                    remains.dead_letters += reaped.dead;
                }
                let left = ring.reap(dead);
                remains.unsent += left.claimed;
                if rows.is_none() {
                    self.control.ledger.add(Counter::Lost, left.taken);
                    remains.lost += left.taken;
                }
            }
            Carrier::Broadcast(ring) => {
                remains.unsent += count_of(&mut ring.senders_at_work());
                ring.reap(dead, on_last);
            }
            Carrier::Latest(ring) => {
                remains.unsent += count_of(&mut ring.senders_at_work());
                ring.reap(dead, on_last);
            }
        }
    }

    /// The dead are members no more. This comes last: until then others find them dead.
    pub fn remove_members(&self, dead: &PartySet) {
        for party in dead.iter() {
            self.control.senders.leave(party);
            self.control.receivers.leave(party);
        }
        self.control.not_empty.notify_all();
        self.control.not_full.notify_all();
    }

    /// Counts what was given back, and says that it can be had.
    pub fn note_reaped(&self, reaped: Reaped) {
        self.control.ledger.add(Counter::Redelivered, reaped.returned);
        self.control.ledger.add(Counter::DeadLetters, reaped.dead);
        if reaped.returned > 0 {
            self.control.ledger.note_returned();
        }
    }
}

/// Bytes of the data of a channel with `capacity` slots.
#[must_use]
pub fn channel_bytes(capacity: usize, settings: &Settings) -> u64 {
    Places::new(capacity, settings).end as u64
}
