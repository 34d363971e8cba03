//! This process as a party of its directory of names.
//!
//! A process joins when it first makes or receives an array, and leaves at its normal exit; if it dies,
//! whoever notices puts right what it left ([`crate::reap`]).
#![allow(unsafe_code, reason = "one pointer to a membership that is never freed")]

use crate::arena::lease::Lease;
use crate::arena::map::{ArenaMap, Region};
use crate::arena::own::OwnArena;
use crate::channel::core::Core;
use crate::channel::map::ChannelMap;
use crate::error::{Error, ErrorKind, Result};
use crate::namespace::{HouseLock, Namespace};
use crate::parties::Parties;
use crate::reap;
use crate::trace;
use crossdock_core::owner::{self, Owner};
use crossdock_core::party::{PARTIES_MAX, Party, PartyId, PartySet, State};
use crossdock_core::ticket::Ticket;
use crossdock_sys::process::{Liveness, ProcessId, Watch};
use crossdock_sys::token::Token;
use crossdock_sys::{exit, fork};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Arc, OnceLock, Weak};

/// The membership that this process, or the parent that forked it, joined with last; null before.
static CURRENT: AtomicPtr<Member> = AtomicPtr::new(std::ptr::null_mut());
/// Held while a thread joins, so that a process joins once.
static JOINING: Mutex<()> = Mutex::new(());

/// The membership of this process.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) namespace: Arc<Namespace>,
    pub(crate) me: PartyId,
    parties: Parties,
    /// Held until this process leaves: see [`crate::parties`].
    token: Mutex<Option<Token>>,
    generation: u64,
    own: OnceLock<OwnArena>,
    arenas: Mutex<HashMap<PartyId, Arc<ArenaMap>>>,
    regions: Mutex<HashMap<(PartyId, u32), Arc<Region>>>,
    retired_seen: Mutex<HashMap<PartyId, u64>>,
    /// Leases to which a ticket can lead that is not sole.
    shared: Mutex<HashMap<(PartyId, u32), Weak<Lease>>>,
    pub(crate) channels: Mutex<HashMap<u64, Weak<Core>>>,
    watches: Mutex<HashMap<Party, (u64, Watch)>>,
    /// Whether other processes may have memory from this one, or the other way round, that has no name.
    shares_unnamed: AtomicBool,
    has_left: AtomicBool,
}

impl Member {
    /// The membership of this process; joins on first use. A forked child joins anew.
    #[inline]
    pub(crate) fn current() -> Result<&'static Self> {
        match Self::known() {
            Some(member) if member.is_ours() => Ok(member),
            _ => Self::join_once(),
        }
    }

    /// The membership that this process or its parent last had.
    #[inline]
    pub(crate) fn known() -> Option<&'static Self> {
        // SAFETY: the pointer is null or was leaked by `join_once`, so what it leads to lives for ever
        // and is only ever shared.
        unsafe { CURRENT.load(Ordering::Acquire).as_ref() }
    }

    #[cold]
    fn join_once() -> Result<&'static Self> {
        fork::watch();
        let joining = JOINING.lock();
        if let Some(member) = Self::known().filter(|member| member.is_ours()) {
            return Ok(member);
        }
        let member = Box::leak(Box::new(Self::join()?));
        let member: *mut Self = member;
        if CURRENT.swap(member, Ordering::AcqRel).is_null() {
            // Room for an exit handler is only ever lacking when memory is.
            let _ = exit::at_exit(leave_at_exit);
        }
        crate::owners::install();
        if let Some(member) = Self::known() {
            owner::set(Some(Owner::of(member.me)));
        }
        drop(joining);
        Self::known().ok_or_else(|| Error::new(ErrorKind::Io, "no membership"))
    }

    fn join() -> Result<Self> {
        let identity = ProcessId::current().map_err(|error| {
            Error::os("cannot tell who this process is (is /proc there?)", error)
        })?;
        let join = |namespace: &Arc<Namespace>| {
            let lock = namespace.lock()?;
            let parties = Parties::open_or_create(namespace, &lock)?;
            reap::former_self(namespace, &lock, &parties, &identity);
            reap::everything(namespace, &lock, &parties, None);
            // If all were dead, then the table has gone with the last name, and perhaps the directory.
            let parties = Parties::open_or_create(namespace, &lock)?;
            let (party, token) = parties.first_free_with_token(&lock)?.ok_or_else(too_many)?;
            let epoch = parties.record(party).take_for_process(&identity);
            lock.afterwards(move || trace::directory_joined(party.index()));
            Ok(Self {
                namespace: Arc::clone(namespace),
                me: PartyId { party, epoch },
                parties,
                token: Mutex::new(Some(token)),
                generation: fork::generation(),
                own: OnceLock::new(),
                arenas: Mutex::default(),
                regions: Mutex::default(),
                retired_seen: Mutex::default(),
                shared: Mutex::default(),
                channels: Mutex::default(),
                watches: Mutex::default(),
                shares_unnamed: AtomicBool::new(fork::generation() > 1),
                has_left: AtomicBool::new(false),
            })
        };
        // The owners of locks that a child has inherited are parties of its parent's directory.
        let parents = Self::known().filter(|known| known.generation != fork::generation());
        match parents.filter(|parent| parent.namespace.directory.is_linked()) {
            Some(parent) => join(&parent.namespace),
            None => crate::namespace::retry(join),
        }
    }

    /// Whether this process made the membership and has not left.
    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        self.generation == fork::generation() && !self.has_left.load(Ordering::Relaxed)
    }

    /// The arena of this process, made on first use.
    pub(crate) fn own_arena(&'static self) -> Result<&'static OwnArena> {
        if let Some(own) = self.own.get() {
            return Ok(own);
        }
        let mut arenas = self.arenas.lock();
        if self.own.get().is_none() {
            let own = OwnArena::new(ArenaMap::create(&self.namespace, self.me)?);
            arenas.insert(self.me, Arc::clone(&own.map));
            // The lock is held, so the place is empty.
            let _ = self.own.set(own);
        }
        drop(arenas);
        self.own.get().ok_or_else(|| Error::new(ErrorKind::NoSpace, "no arena"))
    }

    /// Any arena, opened on first use.
    pub(crate) fn arena(&self, id: PartyId) -> Result<Arc<ArenaMap>> {
        let mut arenas = self.arenas.lock();
        if let Some(map) = arenas.get(&id) {
            return Ok(Arc::clone(map));
        }
        // Arenas of the dead that nobody here uses any more.
        arenas.retain(|_, map| Arc::strong_count(map) > 1 || !map.table().control.is_orphan());
        let map = Arc::new(ArenaMap::open(&self.namespace, id)?);
        arenas.insert(id, Arc::clone(&map));
        Ok(map)
    }

    /// Any region of any arena, opened on first use and kept mapped.
    pub(crate) fn region(&self, arena: PartyId, number: u32) -> Result<Arc<Region>> {
        let map = self.arena(arena)?;
        let mut regions = self.regions.lock();
        let retired = map.table().control.retired();
        if self.retired_seen.lock().insert(arena, retired).is_some_and(|seen| seen != retired) {
            // Some region was given back: drop mappings of files that have gone.
            regions.retain(|_, region| {
                Arc::strong_count(region) > 1 || region.map.has_region(region.number)
            });
        }
        if let Some(region) = regions.get(&(arena, number)) {
            return Ok(Arc::clone(region));
        }
        regions.retain(|_, region| {
            Arc::strong_count(region) > 1 || !region.map.table().control.is_orphan()
        });
        let region = Arc::new(Region::open(&map, number)?);
        regions.insert((arena, number), Arc::clone(&region));
        Ok(region)
    }

    /// Keeps a region that this process has made itself.
    pub(crate) fn keep_region(&self, region: &Arc<Region>) {
        self.regions.lock().insert((region.map.id, region.number), Arc::clone(region));
    }

    /// Forgets a region that this process has given back.
    pub(crate) fn forget_region(&self, arena: PartyId, number: u32) {
        self.regions.lock().remove(&(arena, number));
    }

    /// The lease for a taken ticket that is not sole: there may be one already.
    pub(crate) fn adopt_shared(
        &'static self,
        ticket: &Ticket,
        region: &Arc<Region>,
    ) -> Result<Arc<Lease>> {
        let mut shared = self.shared.lock();
        let key = (ticket.arena, ticket.chunk);
        if let Some(lease) = shared.get(&key).and_then(Weak::upgrade) {
            return Ok(lease);
        }
        let entry = region.map.entry(ticket.chunk)?;
        entry.chunk.take(self.me.party);
        let lease = Arc::new(Lease::of_ticket(self, Arc::clone(region), entry, ticket, true));
        shared.insert(key, Arc::downgrade(&lease));
        Ok(lease)
    }

    /// Makes a lease findable before a ticket that is not sole is sent.
    pub(crate) fn share(&self, lease: &Arc<Lease>) {
        if !lease.is_shared.load(Ordering::Acquire) {
            let mut shared = self.shared.lock();
            shared.insert((lease.region.map.id, lease.chunk), Arc::downgrade(lease));
            lease.is_shared.store(true, Ordering::Release);
        }
    }

    /// Lets go of a shared lease that is being dropped, unless another has taken its place.
    pub(crate) fn release_shared(&self, lease: &Lease) {
        let mut shared = self.shared.lock();
        let key = (lease.region.map.id, lease.chunk);
        // If the entry is another lease's, or none, then the hold has become somebody else's, who lets
        // go of it, or already has.
        if shared.get(&key).is_some_and(|entry| std::ptr::eq(entry.as_ptr(), lease)) {
            shared.remove(&key);
            lease.chunk().release(self.me.party);
        }
    }

    /// Calls `look` with every channel of the directory.
    pub(crate) fn with_channels<R>(&self, look: impl FnOnce(&[ChannelMap]) -> R) -> R {
        // If they cannot be looked at now, none is known, and what a channel seems to hold stays held.
        look(&reap::channels(&self.namespace).unwrap_or_default())
    }

    /// Whether a party will never act again.
    pub(crate) fn is_dead(&self, party: Party) -> bool {
        let (epoch, state) = self.parties.record(party).read();
        let State::Process(id) = state else { return state == State::Free };
        if party == self.me.party {
            return false;
        }
        let mut watches = self.watches.lock();
        let watch = watches.entry(party).or_insert_with(|| (epoch, Watch::new(id)));
        if watch.0 != epoch {
            *watch = (epoch, Watch::new(id));
        }
        let liveness = self.parties.liveness_of(party, &watch.1);
        if liveness == Liveness::Unknown {
            // Perhaps for want of a file descriptor: look anew the next time.
            watches.remove(&party);
        }
        liveness == Liveness::Dead
    }

    /// Gives a number back as if nobody had it.
    #[cfg(test)]
    pub(crate) fn free(&self, party: Party) {
        self.parties.record(party).free();
    }

    /// What a party is now, and in which epoch.
    pub(crate) fn state_of(&self, party: Party) -> (u64, State) {
        self.parties.record(party).read()
    }

    /// Puts right what parties left that have been found dead.
    pub(crate) fn reap(&self, found: &PartySet) {
        // If the lock cannot be had now, the next look finds them dead again.
        let Ok(lock) = self.namespace.lock() else { return };
        // Somebody else may have been faster, and their numbers may be others'.
        let is_dead = |party: &Party| match self.parties.record(*party).read().1 {
            State::Free => true,
            State::Process(id) => self.parties.liveness(*party, &id) == Liveness::Dead,
            State::Channel { .. } => false,
        };
        let dead = found.iter().filter(|party| *party != self.me.party).filter(is_dead).collect();
        reap::processes(&self.namespace, &lock, &self.parties, &dead);
    }

    /// Puts right what the process left that had this pid, and has ended.
    ///
    /// # Errors
    ///
    /// Why that cannot be done now: no descriptor, no memory, or the directory's lock is not to be had.
    #[cfg(feature = "process")]
    pub(crate) fn reap_process(&self, pid: u32) -> Result<()> {
        // The pid may be another's by now, who lives.
        let find = |wanted: fn(Liveness) -> bool| -> PartySet {
            let rows = self.parties.in_use().filter_map(|(party, _, state)| match state {
                State::Process(id) if id.pid == pid => Some((party, id)),
                _ => None,
            });
            let rows = rows.filter(|(party, id)| wanted(self.parties.liveness(*party, id)));
            rows.map(|(party, _)| party).collect()
        };
        let is_left = |liveness| liveness != Liveness::Alive;
        if find(is_left).is_empty() {
            return Ok(());
        }
        let lock = self.namespace.lock()?;
        let dead = find(|liveness| liveness == Liveness::Dead);
        reap::processes(&self.namespace, &lock, &self.parties, &dead);
        drop(lock);
        if find(is_left).is_empty() {
            return Ok(());
        }
        let text = format!(
            "what process {pid} held when it ended cannot be looked through now (no descriptor, or no memory)"
        );
        Err(Error::new(ErrorKind::Busy, text))
    }

    /// Puts right what all the dead left.
    pub(crate) fn reap_everything(&self) {
        if let Ok(lock) = self.namespace.lock() {
            reap::everything(&self.namespace, &lock, &self.parties, Some(self.me.party));
        }
    }

    /// Gives a channel that is being made its party.
    pub(crate) fn new_channel_party(&self, lock: &HouseLock, inode: u64) -> Result<PartyId> {
        if self.parties.first_free().is_none() {
            reap::everything(&self.namespace, lock, &self.parties, Some(self.me.party));
        }
        let party = self.parties.first_free().ok_or_else(too_many)?;
        let epoch = self.parties.record(party).take_for_channel(inode);
        Ok(PartyId { party, epoch })
    }

    /// Takes back the party of a channel that could not be given its name.
    pub(crate) fn drop_channel_party(&self, _lock: &HouseLock, id: PartyId) {
        self.parties.record(id.party).free();
    }

    /// Removes arenas that have neither owner nor holders.
    pub(crate) fn clean_orphans(&self) {
        if let Ok(_lock) = self.namespace.lock() {
            reap::orphans(&self.namespace, &self.parties);
        }
    }

    /// Keeps the idle memory of large arrays within its limit.
    pub(crate) fn limit_cache(&'static self) {
        if let Some(own) = self.own.get() {
            own.limit_cache(self);
        }
    }

    /// Leaves the directory. What other processes hold of this one's arena stays until they let go.
    fn leave(&self) {
        #[cfg(feature = "async")]
        let watcher = crate::channel::asynchronous::stop();
        #[cfg(not(feature = "async"))]
        let watcher = None;
        #[cfg(feature = "process")]
        let reaper = crate::process::reaper_thread();
        #[cfg(not(feature = "process"))]
        let reaper = None;
        let Ok(lock) = self.namespace.lock() else { return };
        let parties = &self.parties;
        let is_alive = |party, id| parties.liveness(party, &id) != Liveness::Dead;
        let are_others_alive = parties.in_use().any(|(party, _, state)| {
            party != self.me.party && matches!(state, State::Process(id) if is_alive(party, id))
        });
        if thread_count([watcher, reaper]) != Some(1) && (are_others_alive || self.may_have_locks())
            || are_others_alive && self.is_holding()
        {
            // Threads may still be at work in arrays that others would be given, or under locks. The others,
            // or those who come, will see that this process has ended.
            return;
        }
        self.has_left.store(true, Ordering::Relaxed);
        owner::set(None);
        let me = PartySet::from_iter([self.me.party]);
        reap::processes(&self.namespace, &lock, parties, &me);
        drop(self.token.lock().take());
        reap::everything(&self.namespace, &lock, parties, None);
        reap::empty_house(&self.namespace, parties);
    }

    /// Whether there is anything that another process could come to lock.
    fn may_have_locks(&self) -> bool {
        self.shares_unnamed.load(Ordering::Relaxed) || !reap::names(&self.namespace).is_empty()
    }

    /// There may be locks from now on in memory that has no name here.
    pub(crate) fn share_unnamed(&self) {
        self.shares_unnamed.store(true, Ordering::Relaxed);
    }

    /// A name is about to go while this process, or a child that it has forked, may still use what it led to.
    pub(crate) fn lose_a_name() {
        if let Some(member) = Self::known() {
            member.share_unnamed();
        }
    }

    fn is_holding(&self) -> bool {
        let arenas = self.arenas.lock();
        let mut is_holding = false;
        for map in arenas.values() {
            map.for_each_entry(|_, entry| {
                is_holding = is_holding || entry.chunk.is_held_by(self.me.party);
            });
        }
        is_holding
    }
}

/// Threads of this process but those that are `idle` for good, if that can be told.
fn thread_count(idle: [Option<u64>; 2]) -> Option<usize> {
    let is_idle = |id: u64| idle.contains(&Some(id));
    let tasks = std::fs::read_dir("/proc/self/task").ok()?.flatten();
    let ids = tasks.map(|task| task.file_name().to_str().and_then(|id| id.parse().ok()));
    Some(ids.filter(|id| !id.is_some_and(is_idle)).count())
}

fn too_many() -> Error {
    let text = format!(
        "all {PARTIES_MAX} places for processes and channels are taken (`crossdock ls` shows the \
         channels; set CROSSDOCK_DIR to give a group of processes a directory of its own)"
    );
    Error::new(ErrorKind::TooManyPeers, text)
}

/// What a normal exit does.
pub(crate) extern "C" fn leave_at_exit() {
    trace::end();
    if let Some(member) = Member::known()
        && member.is_ours()
    {
        member.leave();
    }
}
