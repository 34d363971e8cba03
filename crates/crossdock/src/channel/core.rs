//! One channel as this process uses it; all its senders and receivers in the process share it.
//!
//! # Handing over
//!
//! A send claims a slot, writes the tickets into it, passes the holds on the chunks from this process to
//! the channel, and publishes the slot. A receive takes the slot, passes the holds from the channel to
//! this process, and frees the slot. At no step is a chunk unheld, and a process that dies at any
//! step leaves a slot that says what it was about to do. The three kinds of channels do this in files of
//! their own; what they share is here.

use super::map::{ChannelMap, TEXT_OFFSET, kind_name, new_header};
use super::message::MessageType;
use super::parcel::{Inbox, Outgoing, Parcel};
use super::recent::Recent;
use super::waiting::PAUSES_MAX;
use crate::arena::lease::Lease;
use crate::arena::map::Region;
use crate::error::{Error, ErrorKind, Result};
use crate::member::Member;
use crate::named::{Draft, Named, Share, read_text};
use crate::namespace::{check_name, retry};
use crate::trace;
use crossdock_core::element::DType;
use crossdock_core::layout::{Carrier, Members};
use crossdock_core::ring::CAPACITY_MAX;
use crossdock_core::settings::{Mode, Settings, WhenFull};
use crossdock_core::signal::Signal;
use crossdock_core::ticket::Ticket;
use crossdock_sys::clock::now_ns;
use crossdock_sys::cpu::{prefetch_read, prefetch_write};
use crossdock_sys::file;
use crossdock_sys::map::Access;
use parking_lot::Mutex;
use std::os::unix::fs::FileExt;
#[cfg(feature = "process")]
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, Weak};

/// The two ends of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    Sender,
    Receiver,
}

/// A channel in use.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) member: &'static Member,
    pub(super) map: ChannelMap,
    /// Whether messages have no arrays, and there is no limit of bytes.
    pub(super) is_of_records: bool,
    /// Handles of this process: senders, receivers.
    handles: Mutex<[usize; 2]>,
    /// Handles with both ends that this process has ever had.
    #[cfg(feature = "process")]
    pub(super) users: AtomicUsize,
    recent: Recent,
    /// Bytes of the message that the limit of bytes last had no room for.
    pub(super) refused_bytes: AtomicU64,
    /// Held by the thread that takes a message which is to be acknowledged, or drops one: a reaper tells by the
    /// process, not by the thread, who took it.
    pub(super) taking: Mutex<()>,
    /// Pauses before this process gives its processor away: see `waiting`.
    pub(super) pauses_max: AtomicU32,
    pub(super) polls: AtomicU32,
    pub(super) looked_ns: AtomicU64,
    /// Last: the name is given up after everything else.
    named: Named,
}

/// Why a message was not sent now.
pub(crate) enum NotSent {
    Full,
    Disconnected,
    Failed(Error),
}

/// Why no message was received now.
pub(crate) enum NotReceived {
    Empty,
    Disconnected,
    Failed(Error),
}

impl Core {
    /// Makes a channel.
    pub(crate) fn create(
        name: &str,
        capacity: usize,
        settings: Settings,
        message: &MessageType,
    ) -> Result<Arc<Self>> {
        check_name(name)?;
        if capacity == 0 || capacity > CAPACITY_MAX {
            let text =
                format!("channel {name:?} cannot have {capacity} slots (1 to {CAPACITY_MAX})");
            return Err(Error::new(ErrorKind::InvalidArgument, text).named(name));
        }
        let member = Member::current()?;
        let what = format!("channel {name:?}");
        let header = new_header(capacity, message.settings(settings), message);
        retry(|_| {
            let namespace = &member.namespace;
            let mut draft = Draft::new(namespace, &what, header.clone(), 0o600)?;
            let cannot = |error| Error::os(format_args!("cannot create {what}"), error);
            let inode = file::status(&draft.file).map_err(cannot)?.inode;
            draft.file.write_all_at(message.file_text().as_bytes(), TEXT_OFFSET).map_err(cannot)?;
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
            let core = Self::new(member, published?, message, settings.mode)?;
            trace::channel_created(name, kind_name(settings.mode), capacity);
            Ok(core)
        })
    }

    /// Opens a channel.
    pub(crate) fn open(name: &str, mode: Mode, message: &MessageType) -> Result<Arc<Self>> {
        check_name(name)?;
        let member = Member::current()?;
        // The lock: another thread may just be giving up this process's last handle of the channel.
        let mut channels = member.channels.lock();
        channels.retain(|_, core| core.strong_count() > 0);
        let inode = member.namespace.directory.inode_of(name);
        if let Some(core) = inode.and_then(|inode| channels.get(&inode)).and_then(Weak::upgrade) {
            core.check(name, message, mode)?;
            return Ok(core);
        }
        drop(channels);
        let named = Named::open(&member.namespace, None, name, Share::Write)?;
        let core = Self::new(member, named, message, mode)?;
        trace::channel_opened(name, kind_name(mode));
        Ok(core)
    }

    fn new(
        member: &'static Member,
        named: Named,
        message: &MessageType,
        mode: Mode,
    ) -> Result<Arc<Self>> {
        let map = ChannelMap::new(named.file(), named.header.clone(), named.name())?;
        let inode = named.inode();
        let Settings { arrays, is_varied, bytes_max, .. } = map.header.settings;
        let core = Self {
            member,
            map,
            is_of_records: arrays == 0 && !is_varied && bytes_max == 0,
            handles: Mutex::new([0; 2]),
            #[cfg(feature = "process")]
            users: AtomicUsize::new(0),
            recent: Recent::default(),
            refused_bytes: AtomicU64::new(0),
            taking: Mutex::default(),
            pauses_max: AtomicU32::new(PAUSES_MAX),
            polls: AtomicU32::new(0),
            looked_ns: AtomicU64::new(now_ns()),
            named,
        };
        core.check(core.name(), message, mode)?;
        let core = Arc::new(core);
        let mut channels = member.channels.lock();
        if let Some(other) = channels.get(&inode).and_then(Weak::upgrade) {
            // Another thread was faster; one counts this process's handles.
            return Ok(other);
        }
        channels.insert(inode, Arc::downgrade(&core));
        Ok(core)
    }

    /// Whether this is a channel of the wanted kind, for the wanted messages.
    fn check(&self, name: &str, wanted: &MessageType, mode: Mode) -> Result<()> {
        let header = &self.map.header;
        if header.settings.mode != mode {
            let text = format!(
                "cannot open {name:?} as {}: it is {}",
                kind_name(mode),
                kind_name(header.settings.mode)
            );
            return Err(Error::new(ErrorKind::WrongKind, text).named(name));
        }
        let is_lone_array = header.dtype.is_some() && !header.is_unique;
        let fits = header.type_hash == wanted.hash()
            && header.settings == wanted.settings(header.settings);
        if fits || wanted.takes_any_array() && is_lone_array {
            return Ok(());
        }
        let found = read_text(self.named.file(), header);
        let text = format!(
            "cannot open channel {name:?} of {}: it carries {found} (both programs must define the \
             messages alike)",
            wanted.text
        );
        Err(Error::new(ErrorKind::WrongType, text).named(name))
    }

    /// The error of using a channel as one of another kind, which its handles do not allow.
    #[cold]
    pub(super) fn not_this_kind(&self) -> Error {
        let text = format!("channel {:?} is {}", self.name(), kind_name(self.settings().mode));
        Error::new(ErrorKind::WrongKind, text).named(self.name())
    }

    /// Whether senders wait when there is no room.
    #[inline]
    pub(super) fn is_waiting_kind(&self) -> bool {
        self.settings().when_full != WhenFull::Fail
    }

    #[inline]
    pub(super) fn settings(&self) -> &Settings {
        &self.map.header.settings
    }

    pub(crate) fn name(&self) -> &str {
        self.named.name()
    }

    /// The number of the channel among those who hold memory.
    #[cfg(test)]
    pub(crate) fn party(&self) -> crossdock_core::party::Party {
        self.map.party().party
    }

    pub(crate) fn capacity(&self) -> usize {
        self.map.table.capacity()
    }

    pub(crate) fn len(&self) -> usize {
        self.map.table.len()
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

    /// Handles of this process.
    #[cfg(feature = "process")]
    pub(super) fn handles(&self, end: End) -> usize {
        self.handles.lock()[end as usize]
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
            drop(handles);
            trace::channel_joined(self.name(), end);
        }
    }

    /// Discounts a handle; the last one ends the membership and tells the other side.
    pub(crate) fn leave(&self, end: End) {
        let mut handles = self.handles.lock();
        handles[end as usize] -= 1;
        let has_left = handles[end as usize] == 0 && self.named.is_ours() && self.member.is_ours();
        if has_left {
            self.members(end).leave(self.member.me.party);
            self.signal(End::Sender).notify_all();
            self.signal(End::Receiver).notify_all();
        }
        #[cfg(feature = "async")]
        let is_idle = *handles == [0; 2];
        drop(handles);
        if has_left {
            trace::channel_left(self.name(), end);
        }
        #[cfg(feature = "async")]
        if is_idle {
            super::asynchronous::let_go(self);
        }
    }

    /// Whether both sides of a hand-over are this process's own.
    #[inline]
    pub(super) fn check_ours(&self) -> Result<()> {
        if self.named.is_ours() && self.member.is_ours() { Ok(()) } else { Err(self.not_ours()) }
    }

    #[cold]
    fn not_ours(&self) -> Error {
        Error::forked("this end of a channel").named(self.name())
    }

    pub(super) fn corrupt(&self, why: crossdock_core::Corrupt) -> Error {
        let error = Error::corrupt(format_args!("channel {:?}", self.name()), why);
        trace::message_refused(self.name(), &error);
        error.named(self.name())
    }

    /// Sends a message if there is room, or makes room if the channel is made so. On success the holds behind
    /// sole tickets have been passed on.
    #[inline]
    pub(super) fn offer(&self, parcel: &Parcel<'_>) -> Result<(), NotSent> {
        self.check_ours().map_err(NotSent::Failed)?;
        match &self.map.table.carrier {
            Carrier::Queue(ring, _) => self.send_to_queue(ring, parcel),
            Carrier::Broadcast(ring) => self.send_to_all(ring, parcel),
            Carrier::Latest(ring) => self.send_as_newest(ring, parcel),
        }
    }

    /// The error of sending an array of another type than the channel's, which only an untyped sender can try.
    #[inline]
    pub(super) fn check_types(&self, arrays: &[Outgoing<'_>]) -> Result<()> {
        let Some(dtype) = self.map.header.dtype else { return Ok(()) };
        match arrays.iter().find(|array| array.dtype != dtype) {
            None => Ok(()),
            Some(array) => Err(self.not_this_type(array.dtype, dtype)),
        }
    }

    #[cold]
    fn not_this_type(&self, found: DType, wanted: DType) -> Error {
        let text = format!(
            "cannot send an array of {found} into channel {:?}: it carries arrays of {wanted}",
            self.name()
        );
        Error::new(ErrorKind::WrongType, text).named(self.name())
    }

    /// Passes the holds behind a message that is about to be published to the channel. Those of sole tickets
    /// are this process's no more.
    #[inline]
    pub(super) fn hand_over(&self, arrays: &[Outgoing<'_>]) {
        let (me, channel) = (self.member.me.party, self.map.party().party);
        for array in arrays {
            let chunk = array.lease.chunk();
            if !array.is_sole {
                chunk.take(channel);
            } else if chunk.hand_over(me, channel).is_ok() {
                array.lease.forget_hold();
            }
        }
    }

    /// Looks at what a message leads to, before it is taken.
    #[inline]
    pub(super) fn sight(&self, words: &[u64], inbox: &mut Inbox) -> Result<()> {
        inbox.sight(words, self.settings(), |why| self.corrupt(why), |ticket| self.locate(ticket))
    }

    /// As [`sight`](Self::sight), of a message of so many words without arrays; `copy` gets the words.
    #[inline]
    pub(super) fn sight_records(
        &self,
        inbox: &mut Inbox,
        words: usize,
        copy: impl FnOnce(&mut [u64]),
    ) -> Result<()> {
        inbox.sight_records(words, self.settings(), copy, |why| self.corrupt(why))
    }

    /// Makes the hold behind a ticket that was taken from the channel this process's own.
    #[inline]
    pub(super) fn adopt(&self, ticket: &Ticket, region: Arc<Region>) -> Result<Arc<Lease>> {
        if !ticket.is_sole {
            return self.adopt_shared(ticket, &region);
        }
        let entry = region.map.entry(ticket.chunk)?;
        entry
            .chunk
            .hand_over(self.map.party().party, self.member.me.party)
            .map_err(|why| self.corrupt(why))?;
        let lease = Arc::new(Lease::of_ticket(self.member, region, entry, ticket, false));
        self.check_generation(lease, ticket)
    }

    /// Takes hold of what a ticket leads to, beside the channel, which keeps its own hold until somebody needs the
    /// memory: another ticket in the channel may lead there, and nobody could say so in one step with that.
    pub(super) fn adopt_shared(&self, ticket: &Ticket, region: &Arc<Region>) -> Result<Arc<Lease>> {
        self.check_generation(self.member.adopt_shared(ticket, region)?, ticket)
    }

    /// An error about a message, saying in which channel it was met.
    #[cold]
    pub(super) fn within(&self, error: Error) -> Error {
        trace::message_refused(self.name(), &error);
        error.within(format_args!("channel {:?}", self.name())).named(self.name())
    }

    #[inline]
    fn check_generation(&self, lease: Arc<Lease>, ticket: &Ticket) -> Result<Arc<Lease>> {
        // The hold came first: whatever the generation is now, it stays.
        if lease.chunk().generation() == ticket.generation { Ok(lease) } else { Err(self.stale()) }
    }

    #[cold]
    fn stale(&self) -> Error {
        let text = format!("a message in channel {:?} leads to reused memory", self.name());
        let error = Error::new(ErrorKind::Stale, text).named(self.name());
        trace::message_refused(self.name(), &error);
        error
    }

    /// The region of a ticket, mapped and long enough for it.
    #[inline]
    fn locate(&self, ticket: &Ticket) -> Result<Arc<Region>> {
        let region = match self.recent.region(ticket.arena, ticket.region) {
            Some(region) => region,
            None => {
                let region = self
                    .member
                    .region(ticket.arena, ticket.region)
                    .map_err(|error| self.within(error))?;
                self.recent.remember(&region);
                region
            }
        };
        // Both come from the sender's processor: the sooner they are asked for, the better.
        let entry = region.map.entry(ticket.chunk)?;
        prefetch_write(entry);
        if ticket.len_bytes + ticket.offset_bytes > region.len {
            return Err(self.corrupt(crossdock_core::Corrupt("an array beyond its region")));
        }
        let (number, first, len) = entry.extent();
        let is_inside = ticket.offset_bytes.checked_sub(first).is_some_and(|offset| {
            offset.checked_add(ticket.len_bytes).is_some_and(|end| end <= len)
        });
        if number != ticket.region || !is_inside {
            return Err(self.corrupt(crossdock_core::Corrupt("an array beyond its chunk")));
        }
        let access = if ticket.is_unique { Access::ReadWrite } else { Access::ReadOnly };
        let first = region.mapping(access)?.as_ptr().wrapping_add(ticket.offset_bytes as usize);
        prefetch_read(first);
        Ok(region)
    }
}
