//! One channel as this process uses it; all its senders and receivers in the process share it.
//!
//! # Handing over
//!
//! A send claims a slot, writes the ticket into it, passes the hold on the chunk from this process to
//! the channel, and publishes the slot. A receive takes the slot, passes the hold from the channel to
//! this process, and frees the slot. At no step is the chunk unheld, and a process that dies at any
//! step leaves a slot that says what it was about to do.

use super::map::ChannelMap;
use super::recent::Recent;
use crate::arena::lease::Lease;
use crate::arena::map::Region;
use crate::error::{Error, ErrorKind, Result};
use crate::member::Member;
use crate::named::{Draft, Named, Share};
use crate::namespace::{check_name, retry};
use crossdock_core::element::DType;
use crossdock_core::header::{Header, Kind};
use crossdock_core::layout::{Members, channel_bytes};
use crossdock_core::party::Party;
use crossdock_core::ring::{CAPACITY_MAX, Message, Next, Refused};
use crossdock_core::signal::{SLICE, Signal};
use crossdock_core::ticket::Ticket;
use crossdock_sys::clock::{Deadline, now_ns};
use crossdock_sys::cpu::{allowed_cpus, prefetch_read, prefetch_write};
use crossdock_sys::file;
use crossdock_sys::map::Access;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// Looks at the queue before a process goes to sleep, about 2 microseconds.
const SPINS_MAX: u32 = 60;
/// Fruitless polls after which a poller looks at the clock, to see whether to look for the dead.
const POLLS_PER_LOOK: u32 = 64;

/// The two ends of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Sender,
    Receiver,
}

/// What kind of messages a channel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageType {
    pub(crate) dtype: DType,
    pub(crate) is_unique: bool,
}

impl std::fmt::Display for MessageType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let array = if self.is_unique { "ArrayMut" } else { "Array" };
        write!(f, "{array}<{}>", self.dtype)
    }
}

/// A channel in use.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) member: &'static Member,
    pub(super) map: ChannelMap,
    message: MessageType,
    /// Handles of this process: senders, receivers.
    handles: Mutex<[usize; 2]>,
    recent: Recent,
    polls: AtomicU32,
    looked_ns: AtomicU64,
    /// Last: the name is given up after everything else.
    named: Named,
}

/// A ticket that has been taken, and the hold that came with it.
pub(crate) struct Received {
    pub(crate) ticket: Ticket,
    pub(crate) lease: Arc<Lease>,
}

/// Why a ticket was not sent now.
pub(crate) enum NotSent {
    Full,
    Disconnected,
    Failed(Error),
}

/// Why no ticket was received now.
pub(crate) enum NotReceived {
    Empty,
    Disconnected,
    Failed(Error),
}

impl Core {
    /// Makes a channel.
    pub(crate) fn create(name: &str, capacity: usize, message: MessageType) -> Result<Arc<Self>> {
        check_name(name)?;
        if capacity == 0 || capacity > CAPACITY_MAX {
            let text =
                format!("channel {name:?} cannot have {capacity} slots (1 to {CAPACITY_MAX})");
            return Err(Error::new(ErrorKind::InvalidArgument, text).named(name));
        }
        let member = Member::current()?;
        let what = format!("channel {name:?}");
        retry(|_| {
            let namespace = &member.namespace;
            let mut header = Header::new(Kind::Channel, channel_bytes(capacity), 256);
            header.capacity = capacity as u64;
            header.dtype = Some(message.dtype);
            header.is_unique = message.is_unique;
            let mut draft = Draft::new(namespace, &what, header, 0o600)?;
            let inode = file::status(&draft.file)
                .map_err(|error| Error::os(format_args!("cannot create {what}"), error))?
                .inode;
            let lock = namespace.lock()?;
            let party = member.new_channel_party(&lock, inode)?;
            draft.header.party = party.to_word();
            let published = draft
                .write_header()
                .and_then(|()| Named::publish(namespace, Some(&lock), draft, name));
            if published.is_err() {
                member.drop_channel_party(&lock, party);
            }
            drop(lock);
            Self::new(member, published?, message)
        })
    }

    /// Opens a channel.
    pub(crate) fn open(name: &str, message: MessageType) -> Result<Arc<Self>> {
        check_name(name)?;
        let member = Member::current()?;
        // The lock: another thread may just be giving up this process's last handle of the channel.
        let mut channels = member.channels.lock();
        channels.retain(|_, core| core.strong_count() > 0);
        let inode = member.namespace.directory.inode_of(name);
        if let Some(core) = inode.and_then(|inode| channels.get(&inode)).and_then(Weak::upgrade) {
            core.check(name, message)?;
            return Ok(core);
        }
        drop(channels);
        let named = Named::open(&member.namespace, None, name, Share::Write)?;
        Self::new(member, named, message)
    }

    fn new(member: &'static Member, named: Named, message: MessageType) -> Result<Arc<Self>> {
        let map = ChannelMap::new(named.file(), named.header.clone(), named.name())?;
        let inode = named.inode();
        let core = Self {
            member,
            map,
            message,
            handles: Mutex::new([0; 2]),
            recent: Recent::default(),
            polls: AtomicU32::new(0),
            looked_ns: AtomicU64::new(now_ns()),
            named,
        };
        core.check(core.name(), message)?;
        let core = Arc::new(core);
        let mut channels = member.channels.lock();
        if let Some(other) = channels.get(&inode).and_then(Weak::upgrade) {
            // Another thread was faster; one counts this process's handles.
            return Ok(other);
        }
        channels.insert(inode, Arc::downgrade(&core));
        Ok(core)
    }

    fn check(&self, name: &str, wanted: MessageType) -> Result<()> {
        let header = &self.map.header;
        let found = header.dtype.map(|dtype| MessageType { dtype, is_unique: header.is_unique });
        if found == Some(wanted) {
            return Ok(());
        }
        let found = found.map_or_else(|| "nothing known".to_owned(), |found| found.to_string());
        let text = format!("cannot open channel {name:?} of {wanted}: it carries {found}");
        Err(Error::new(ErrorKind::WrongType, text).named(name))
    }

    pub(crate) fn name(&self) -> &str {
        self.named.name()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.map.table.ring.capacity()
    }

    pub(crate) fn len(&self) -> usize {
        self.map.table.ring.len()
    }

    pub(super) fn members(&self, end: End) -> &Members {
        match end {
            End::Sender => &self.map.table.control.senders,
            End::Receiver => &self.map.table.control.receivers,
        }
    }

    pub(super) fn signal(&self, end: End) -> &Signal {
        match end {
            End::Sender => &self.map.table.control.not_full,
            End::Receiver => &self.map.table.control.not_empty,
        }
    }

    /// Whether the other side has been there and has gone, as far as is known now.
    pub(crate) fn is_alone(&self, end: End) -> bool {
        self.note_fruitless_poll();
        self.members(if end == End::Sender { End::Receiver } else { End::Sender }).have_left()
    }

    /// Counts another handle of this process; the first one makes it a member.
    pub(crate) fn join(&self, end: End) {
        let mut handles = self.handles.lock();
        handles[end as usize] += 1;
        if handles[end as usize] == 1 && self.named.is_ours() {
            self.members(end).join(self.member.me.party);
            // The other side may be waiting to know that it is not alone.
            self.signal(End::Sender).notify_all();
            self.signal(End::Receiver).notify_all();
        }
    }

    /// Discounts a handle; the last one ends the membership and tells the other side.
    pub(crate) fn leave(&self, end: End) {
        let mut handles = self.handles.lock();
        handles[end as usize] -= 1;
        if handles[end as usize] == 0 && self.named.is_ours() && self.member.is_ours() {
            self.members(end).leave(self.member.me.party);
            self.signal(End::Sender).notify_all();
            self.signal(End::Receiver).notify_all();
        }
        #[cfg(feature = "async")]
        if *handles == [0; 2] {
            drop(handles);
            super::asynchronous::let_go(self);
        }
    }

    /// Whether both sides of a hand-over are this process's own.
    pub(super) fn check_ours(&self) -> Result<()> {
        if self.named.is_ours() && self.member.is_ours() {
            Ok(())
        } else {
            Err(Error::forked("this end of a channel").named(self.name()))
        }
    }

    fn corrupt(&self, why: crossdock_core::Corrupt) -> Error {
        Error::corrupt(format_args!("channel {:?}", self.name()), why).named(self.name())
    }

    /// Sends a ticket if there is room. On success the hold behind a sole ticket has been passed on.
    #[inline]
    pub(crate) fn try_send(&self, ticket: &Ticket, lease: &Arc<Lease>) -> Result<(), NotSent> {
        self.check_ours().map_err(NotSent::Failed)?;
        if self.members(End::Receiver).have_left() {
            return Err(NotSent::Disconnected);
        }
        let chunk = lease.chunk();
        let me = self.member.me.party;
        let ring = &self.map.table.ring;
        let mut claim = match ring.claim(me) {
            Ok(claim) => claim,
            Err(Refused::Full(_)) => return Err(NotSent::Full),
            Err(Refused::Corrupt(why)) => return Err(NotSent::Failed(self.corrupt(why))),
        };
        let (words, used) = ticket.to_words();
        ring.arm(&mut claim, &words[..used]);
        if ticket.is_sole {
            if chunk.hand_over(me, self.map.party().party).is_ok() {
                lease.forget_hold();
            }
        } else {
            chunk.take(self.map.party().party);
        }
        ring.publish(claim, &words[..used]);
        self.map.table.control.not_empty.notify();
        Ok(())
    }

    /// Receives a ticket if there is one.
    #[inline]
    pub(crate) fn try_recv(&self) -> Result<Received, NotReceived> {
        self.check_ours().map_err(NotReceived::Failed)?;
        let ring = &self.map.table.ring;
        loop {
            let message = match ring.poll() {
                Ok(Some(message)) => message,
                Ok(None) if !self.members(End::Sender).have_left() => {
                    return Err(NotReceived::Empty);
                }
                // The last sender may have sent just before it left.
                Ok(None) if matches!(ring.poll(), Ok(None)) => {
                    return Err(NotReceived::Disconnected);
                }
                Ok(None) => continue,
                Err(why) => return Err(NotReceived::Failed(self.corrupt(why))),
            };
            match self.receive(&message) {
                Ok(Some(received)) => return Ok(received),
                Ok(None) => {}
                Err(error) => return Err(NotReceived::Failed(error)),
            }
        }
    }

    /// Takes one message; `None` when another receiver was faster.
    #[inline]
    fn receive(&self, message: &Message) -> Result<Option<Received>> {
        let ring = &self.map.table.ring;
        let me = self.member.me.party;
        let found = Ticket::from_words(&message.payload)
            .map_err(|why| self.corrupt(why))
            .and_then(|ticket| self.locate(&ticket).map(|region| (ticket, region)));
        let (ticket, region) = match found {
            Ok(found) => found,
            // Another receiver has taken it, and its bytes may have been anything.
            Err(_) if !ring.is_current(message) => return Ok(None),
            Err(error) => {
                // What can never be received must not block the queue; what may work later (no
                // descriptor, no address space) stays in it.
                if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Stale)
                    && ring.take(message, me)
                {
                    self.finish(message);
                }
                return Err(error);
            }
        };
        if !ring.take(message, me) {
            return Ok(None);
        }
        let received = self.adopt(ticket, region);
        self.finish(message);
        received.map(Some)
    }

    /// Is done with a taken message, and wakes whom that may concern.
    #[inline]
    fn finish(&self, message: &Message) {
        let is_awaited = self.map.table.ring.finish(message);
        self.map.table.control.not_full.notify();
        if is_awaited {
            self.map.table.control.not_empty.notify_all();
        }
    }

    /// Makes the hold behind a taken ticket this process's own.
    #[inline]
    fn adopt(&self, ticket: Ticket, region: Arc<Region>) -> Result<Received> {
        let lease = if ticket.is_sole {
            let entry = region.map.entry(ticket.chunk)?;
            entry
                .chunk
                .hand_over(self.map.party().party, self.member.me.party)
                .map_err(|why| self.corrupt(why))?;
            Arc::new(Lease::of_ticket(self.member, region, entry, &ticket, false))
        } else {
            self.member.adopt_shared(&ticket, &region)?
        };
        // The hold came first: whatever the generation is now, it stays.
        if lease.chunk().generation() != ticket.generation {
            let text = format!("a message in channel {:?} leads to reused memory", self.name());
            return Err(Error::new(ErrorKind::Stale, text).named(self.name()));
        }
        Ok(Received { ticket, lease })
    }

    /// The region of a ticket, mapped and long enough for it.
    #[inline]
    fn locate(&self, ticket: &Ticket) -> Result<Arc<Region>> {
        if ticket.dtype != self.message.dtype || ticket.is_unique != self.message.is_unique {
            return Err(self.corrupt(crossdock_core::Corrupt("a message of another type")));
        }
        let region = match self.recent.region(ticket.arena, ticket.region) {
            Some(region) => region,
            None => {
                let region = self
                    .member
                    .region(ticket.arena, ticket.region)
                    .map_err(|error| error.within(format_args!("channel {:?}", self.name())))
                    .map_err(|error| error.named(self.name()))?;
                self.recent.remember(&region);
                region
            }
        };
        // Both come from the sender's processor: the sooner they are asked for, the better.
        prefetch_write(region.map.entry(ticket.chunk)?);
        if ticket.len_bytes + ticket.offset_bytes > region.len {
            return Err(self.corrupt(crossdock_core::Corrupt("an array beyond its region")));
        }
        let access = if ticket.is_unique { Access::ReadWrite } else { Access::ReadOnly };
        let first = region.mapping(access)?.as_ptr().wrapping_add(ticket.offset_bytes as usize);
        prefetch_read(first);
        Ok(region)
    }

    /// Tries `attempt` until it has an answer or the time is over: first spinning, then asleep in
    /// slices, after each of which the other side is asked whether it lives.
    pub(crate) fn wait_for<R>(
        &self,
        end: End,
        deadline: Option<Deadline>,
        mut attempt: impl FnMut() -> Option<R>,
    ) -> Option<R> {
        let spins = if allowed_cpus() > 1 { SPINS_MAX } else { 1 };
        loop {
            for _ in 0..spins {
                if let Some(answer) = attempt() {
                    return Some(answer);
                }
                std::hint::spin_loop();
            }
            let key = self.signal(end).announce();
            self.map.table.ring.settle();
            if let Some(answer) = attempt() {
                return Some(answer);
            }
            // Not only after a long sleep: others may keep waking this one, or its time be short.
            self.look_for_dead_now_and_then();
            if deadline.is_some_and(Deadline::is_past) {
                return None;
            }
            self.signal(end).sleep(key, deadline);
        }
    }

    /// For pollers, who never sleep: now and then asks whether the other side lives.
    pub(crate) fn note_fruitless_poll(&self) {
        let polls = self.polls.load(Ordering::Relaxed).wrapping_add(1);
        self.polls.store(polls, Ordering::Relaxed);
        if !polls.is_multiple_of(POLLS_PER_LOOK) {
            return;
        }
        self.look_for_dead_now_and_then();
    }

    /// Looks for the dead if the last look in this process is a slice ago.
    pub(crate) fn look_for_dead_now_and_then(&self) {
        let now = now_ns();
        let before = self.looked_ns.load(Ordering::Relaxed);
        if u128::from(now.saturating_sub(before)) >= SLICE.as_nanos() {
            self.looked_ns.store(now, Ordering::Relaxed);
            self.look_for_dead();
        }
    }

    /// Reaps the members, and the party that is in the way, if they have died.
    #[cold]
    fn look_for_dead(&self) {
        let table = &self.map.table;
        let receiving = match table.ring.next() {
            Ok(Next::Pending(party)) => Some(party),
            _ => None,
        };
        let sending = match table.ring.in_the_way() {
            Some(Refused::Full(party)) => party,
            _ => None,
        };
        let members = table.control.senders.iter().chain(table.control.receivers.iter());
        let parties: Vec<Party> = members.chain(receiving).chain(sending).collect();
        for party in parties {
            if self.member.is_dead(party) {
                self.member.reap(party);
            }
        }
    }
}
