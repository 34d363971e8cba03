//! Putting right what the dead left, and cleaning up after those who leave.
//!
//! Everything here is done under the directory's lock and can be done again from the start: a reaper
//! that dies in the middle leaves the rest to the next one. The number of a party is given out again
//! only after its bit has been cleared in every arena and every channel.

use crate::arena::map::{ArenaMap, arena_names};
use crate::channel::map::ChannelMap;
use crate::error::{Error, ErrorKind, Result};
use crate::namespace::{HouseLock, Namespace};
use crate::parties::{PARTIES_NAME, Parties};
use crate::trace;
use crossdock_core::chunk::{Chunk, Snapshot};
use crossdock_core::header::Header;
use crossdock_core::layout::Remains;
use crossdock_core::party::{Party, PartyId, PartySet, State};
use crossdock_core::ticket::Ticket;
use crossdock_sys::process::{Liveness, ProcessId};
use std::sync::Arc;

/// Clears what processes hold that have died or are leaving, and frees their numbers. If not everything can
/// be looked at now (no file descriptor, no memory), the numbers stay taken and the next look tries again.
///
/// However many they are, each channel and each arena is looked through once.
pub(crate) fn processes(
    namespace: &Arc<Namespace>,
    lock: &HouseLock,
    parties: &Parties,
    dead: &PartySet,
) {
    if dead.is_empty() {
        return;
    }
    let (Ok(channels), Ok(arenas)) = (channels(namespace), arenas(namespace)) else { return };
    let mut remains = Remains::default();
    let mut holds = 0;
    for channel in &channels {
        channel.table.reap(dead, &mut remains);
    }
    for map in &arenas {
        map.for_each_entry(|_, entry| holds += u64::from(entry.chunk.release_all(dead)));
        if dead.contains(map.id.party) {
            map.table().control.set_orphan();
        }
    }
    let ownerless = arenas.iter().filter(|map| dead.contains(map.id.party)).count();
    drop(arenas);
    orphans(namespace, parties);
    // After all that: who waits on a channel looks at its members only, so as long as they are members, they are
    // found dead again, should this process die here.
    for channel in &channels {
        channel.table.remove_members(dead);
    }
    for party in dead.iter() {
        let pid = parties.pid(party);
        lock.afterwards(move || trace::process_died(pid, party.index()));
        parties.record(party).free();
    }
    let count = dead.iter().count();
    lock.afterwards(move || trace::dead_reaped(count, &remains, holds, ownerless));
}

/// Reaps what this very process held before it replaced its program by `exec`: its identity has
/// survived that, its handles and tokens have not. (A second copy of the library in one process, in a plugin,
/// say, has the same identity and holds its token.)
pub(crate) fn former_self(
    namespace: &Arc<Namespace>,
    lock: &HouseLock,
    parties: &Parties,
    identity: &ProcessId,
) {
    let ours: PartySet = parties
        .in_use()
        .filter(|(_, _, state)| *state == State::Process(*identity))
        .filter(|(party, _, _)| parties.is_token_free(*party))
        .map(|(party, _, _)| party)
        .collect();
    processes(namespace, lock, parties, &ours);
}

/// Takes a channel that is about to be unlinked out of the table of parties.
pub(crate) fn channel(namespace: &Arc<Namespace>, _lock: &HouseLock, header: &Header) {
    let Some(id) = PartyId::from_word(header.party) else { return };
    let Ok(Some(parties)) = Parties::open(namespace) else { return };
    if parties.record(id.party).epoch() != Some(id.epoch) {
        return;
    }
    if clear_everywhere(namespace, id.party) {
        parties.record(id.party).free();
    }
    orphans(namespace, &parties);
}

/// Reaps every dead process, every channel that never got its name, and all that became unneeded.
/// Returns whether any number became free.
pub(crate) fn everything(
    namespace: &Arc<Namespace>,
    lock: &HouseLock,
    parties: &Parties,
    me: Option<Party>,
) -> bool {
    let mut dead = PartySet::default();
    let mut are_others_alive = false;
    let mut unnamed = Vec::new();
    for (party, _, state) in parties.in_use() {
        match state {
            State::Process(id) if Some(party) != me => {
                if parties.liveness(party, &id) == Liveness::Dead {
                    dead.insert(party);
                } else {
                    are_others_alive = true;
                }
            }
            State::Channel { inode } => unnamed.push((party, inode)),
            State::Process(_) | State::Free => {}
        }
    }
    processes(namespace, lock, parties, &dead);
    let mut found = !dead.is_empty();
    found |= stale_names(namespace, lock);
    // A channel whose file is nowhere: its maker died before it got its name, or somebody removed the
    // name by hand. In the second case its users may still be at work, so wait until all have gone.
    if !are_others_alive && me.is_none() {
        let named: Vec<u64> =
            names(namespace).iter().filter_map(|name| namespace.directory.inode_of(name)).collect();
        for (party, inode) in unnamed {
            if !named.contains(&inode) && parties.record(party).epoch().is_some() {
                clear_everywhere(namespace, party);
                parties.record(party).free();
                found = true;
            }
        }
    }
    orphans(namespace, parties);
    found
}

/// Removes the names that nobody uses and nobody asked to keep.
fn stale_names(namespace: &Arc<Namespace>, lock: &HouseLock) -> bool {
    let mut found = false;
    for name in names(namespace) {
        // In use, persistent, not ours or unreadable: all of these stay.
        found |= matches!(crate::named::reclaim(namespace, Some(lock), &name), Ok(true));
    }
    found
}

/// The names that users gave, as far as they can be listed.
pub(crate) fn names(namespace: &Namespace) -> Vec<String> {
    try_names(namespace).unwrap_or_default()
}

fn try_names(namespace: &Namespace) -> Result<Vec<String>> {
    let listed = namespace.directory.names();
    let mut names = listed.map_err(|error| Error::os("cannot list the names", error))?;
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    Ok(names)
}

/// Every channel in the directory; an error if one of them cannot be looked at now.
pub(crate) fn channels(namespace: &Arc<Namespace>) -> Result<Vec<ChannelMap>> {
    let names = try_names(namespace)?;
    let opened = names.iter().map(|name| ChannelMap::open(namespace, name));
    opened.filter(|channel| !is_none_of_ours(channel)).collect()
}

/// Every arena in the directory; an error if one of them cannot be looked at now.
fn arenas(namespace: &Arc<Namespace>) -> Result<Vec<ArenaMap>> {
    let opened = arena_names(namespace)?.into_iter().map(|(id, _)| ArenaMap::open(namespace, id));
    opened.filter(|arena| !is_none_of_ours(arena)).collect()
}

/// Whether a file could not be opened because there is nothing to look at in it, now or later.
fn is_none_of_ours<T>(opened: &Result<T>) -> bool {
    opened.as_ref().is_err_and(|error| {
        matches!(
            error.kind(),
            ErrorKind::NotFound
                | ErrorKind::Stale
                | ErrorKind::PermissionDenied
                | ErrorKind::WrongKind
                | ErrorKind::WrongVersion
                | ErrorKind::Corrupt
        )
    })
}

/// Clears the bit of a party that has no users any more; `false` if that cannot be done now.
fn clear_everywhere(namespace: &Arc<Namespace>, party: Party) -> bool {
    let Ok(arenas) = arenas(namespace) else { return false };
    for map in arenas {
        map.for_each_entry(|_, entry| entry.chunk.release(party));
    }
    true
}

/// Removes the arenas whose owner has gone and that nobody holds anything of.
pub(crate) fn orphans(namespace: &Arc<Namespace>, parties: &Parties) {
    let has_owner = |id: PartyId| parties.record(id.party).epoch() == Some(id.epoch);
    let Ok(arenas) = arenas(namespace) else { return };
    let is_ownerless = |map: &ArenaMap| map.table().control.is_orphan() || !has_owner(map.id);
    let ownerless: Vec<_> = arenas.into_iter().filter(is_ownerless).collect();
    if ownerless.is_empty() {
        return;
    }
    let Ok(channels) = channels(namespace) else { return };
    for map in ownerless {
        map.table().control.set_orphan();
        if !map.is_held(|chunk, now, index| is_awaited(&channels, map.id, chunk, now, index)) {
            map.unlink_all();
        }
    }
}

/// Whether anybody can still come to use a chunk that somebody seems to hold: a process may do so at
/// any time, a channel only if its queue has a ticket for the chunk.
///
/// The caller compares `snapshot` with a later one: if they are equal, nothing moved meanwhile.
pub(crate) fn is_awaited(
    channels: &[ChannelMap],
    arena: PartyId,
    chunk: &Chunk,
    snapshot: Snapshot,
    index: u32,
) -> bool {
    let generation = chunk.generation();
    let is_wanted = |ticket: &Ticket| {
        ticket.arena == arena && ticket.chunk == index && ticket.generation == generation
    };
    snapshot.holders().any(|holder| may_come_from(channels, holder, is_wanted))
}

/// Whether a holder can still come to hand something out to which a ticket leads that `is_wanted` recognises: a
/// process may do so at any time, and so may a channel that is just going, whose bit its reaper clears.
pub(crate) fn may_come_from(
    channels: &[ChannelMap],
    holder: Party,
    is_wanted: impl Fn(&Ticket) -> bool,
) -> bool {
    // More than one can have the number: whoever removes a channel may be killed between giving its number back
    // and unlinking its name.
    let mut named = channels.iter().filter(|channel| channel.party().party == holder).peekable();
    named.peek().is_none() || named.any(|channel| channel.has_ticket(&is_wanted))
}

/// Tidies up after a name was removed, which may have been the last: see [`empty_house`]. The caller holds
/// the directory's lock.
pub(crate) fn last_name(namespace: &Namespace) {
    match Parties::open(namespace) {
        Ok(Some(parties)) => empty_house(namespace, &parties),
        Ok(None) => namespace.directory.remove_if_empty(),
        // It cannot be looked at now; the next one to leave does it.
        Err(_) => {}
    }
}

/// Removes the table of parties when nobody is in it and no name is left, and the directory when nothing
/// is. What has a name may hold locks, whose words say by the table's epochs who had them last.
///
/// Damaged rows may say that nobody is there; the tokens of those who are do not.
pub(crate) fn empty_house(namespace: &Namespace, parties: &Parties) {
    if parties.in_use().next().is_some() || parties.is_any_token_held() {
        return;
    }
    // Nobody is left who could hold anything.
    let arenas = arena_names(namespace).unwrap_or_default();
    for name in arenas.into_iter().flat_map(|(_, names)| names) {
        let _ = namespace.directory.unlink(&name);
    }
    if names(namespace).is_empty() {
        let _ = namespace.directory.unlink(PARTIES_NAME);
        namespace.directory.remove_if_empty();
    }
}
