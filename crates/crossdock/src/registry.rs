//! What there is on this machine under this user: list, inspect, remove, clean.
//!
//! Nothing here joins the directory of names or changes what others see, except [`remove`], and [`gc`]
//! when told to.
//!
//! # Examples
//!
//! ```
//! use crossdock::{SharedBlock, registry};
//!
//! let block = SharedBlock::create("registry-docs", 100)?;
//! let entry = registry::inspect("registry-docs")?;
//! assert_eq!((entry.len_bytes, entry.is_attached), (100, true));
//! # Ok::<(), crossdock::Error>(())
//! ```

use crate::arena::map::{ArenaMap, arena_names};
use crate::array::Order;
use crate::channel::map::ChannelMap;
use crate::error::{Error, ErrorKind, Result};
use crate::inspect::ChannelKind;
use crate::named::{is_in_use, read_header, read_text, reclaim, remove as remove_name};
use crate::namespace::{Namespace, check_name, path};
use crate::parties::{PARTIES_NAME, Parties};
use crate::reap;
use crossdock_core::element::DType;
use crossdock_core::header;
use crossdock_core::party::{Party, PartyId, State};
use crossdock_core::ticket::NDIM_MAX;
use crossdock_sys::file;
use crossdock_sys::process::Liveness;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What a name belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Raw bytes: [`SharedBlock`](crate::SharedBlock).
    Block,
    /// A named array: [`Array`](crate::Array).
    Array,
    /// A [`channel`](crate::channel).
    Channel,
    /// A typed cell: [`Value`](crate::Value).
    Value,
    /// A map: `SharedMap`.
    Map,
    /// A list: `SharedList`.
    List,
    /// A file that crossdock did not make, or another version did.
    Foreign,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Block => "block",
            Self::Array => "array",
            Self::Channel => "channel",
            Self::Value => "value",
            Self::Map => "map",
            Self::List => "list",
            Self::Foreign => "foreign",
        })
    }
}

/// One name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The name.
    pub name: String,
    /// What it belongs to.
    pub kind: Kind,
    /// Bytes asked for.
    pub len_bytes: u64,
    /// Bytes of memory that the file takes.
    pub file_bytes: u64,
    /// Whether a process has it open. A hint: it is also true for the moment in which somebody finds that
    /// nobody has, and removes it.
    pub is_attached: bool,
    /// Whether the name outlives its users.
    pub is_persistent: bool,
    /// Process that made it; the number may belong to somebody else by now.
    pub creator_pid: u32,
    /// When it was made.
    pub created: SystemTime,
    /// Element type of an array or of a channel's arrays.
    pub dtype: Option<DType>,
    /// Whether the elements of an array are [`Atomic`](crate::Atomic).
    pub is_atomic: bool,
    /// Extents of an array.
    pub shape: Vec<usize>,
    /// Which axis of an array varies fastest.
    pub order: Order,
    /// Layout of a value's type: `Mutex<i64>`; names of what a map or a list holds: `String, u64`.
    pub layout: Option<String>,
    /// Items of the slice that a value ends with; 0 if it has none.
    pub items: u64,
    /// More about a channel.
    pub channel: Option<ChannelEntry>,
}

/// What a channel has besides its name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChannelEntry {
    /// To whom its messages go.
    pub kind: ChannelKind,
    /// Messages that it has room for.
    pub capacity: usize,
    /// Messages in it.
    pub depth: usize,
    /// Message type: `ArrayMut<f32>`.
    pub message: String,
    /// Whether its messages are unique arrays.
    pub is_unique: bool,
    /// Processes that can send.
    pub senders: Vec<Peer>,
    /// Processes that can receive.
    pub receivers: Vec<Peer>,
}

/// A process at one end of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// Process id in its own pid namespace.
    pub pid: u32,
    /// Whether it lives.
    pub is_alive: bool,
}

/// Something that nobody uses any more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Garbage {
    /// Its name; those that begin with a dot are crossdock's own.
    pub name: String,
    /// Bytes of memory that it takes.
    pub bytes: u64,
    /// Why nobody uses it.
    pub reason: String,
}

/// The directory of names of this process.
#[must_use]
pub fn directory() -> PathBuf {
    path()
}

/// Every name, in alphabetical order.
///
/// # Errors
///
/// `PermissionDenied` when the directory belongs to somebody else.
pub fn list() -> Result<Vec<Entry>> {
    let Some(namespace) = Namespace::existing()? else { return Ok(Vec::new()) };
    // A name may go while it is looked at; then it is not listed.
    Ok(reap::names(&namespace).iter().filter_map(|name| entry(&namespace, name).ok()).collect())
}

/// One name.
///
/// # Errors
///
/// `NotFound`.
pub fn inspect(name: &str) -> Result<Entry> {
    check_name(name)?;
    match Namespace::existing()? {
        Some(namespace) => entry(&namespace, name),
        None => Err(not_found(name)),
    }
}

fn not_found(name: &str) -> Error {
    let text = format!("nothing has the name {name:?} in {}", path().display());
    Error::new(ErrorKind::NotFound, text).named(name)
}

fn entry(namespace: &Arc<Namespace>, name: &str) -> Result<Entry> {
    let file = file::open(&namespace.directory, name, false).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            not_found(name)
        } else {
            Error::os(format_args!("cannot look at {name:?}"), error).named(name)
        }
    })?;
    let is_attached = is_in_use(&file);
    let status = file::status(&file)
        .map_err(|error| Error::os(format_args!("cannot look at {name:?}"), error))?;
    if status.links == 0 {
        // Its last user has left since it was opened here, and has taken the name along.
        return Err(not_found(name));
    }
    let mut entry = Entry {
        name: name.to_owned(),
        kind: Kind::Foreign,
        len_bytes: status.len,
        file_bytes: status.allocated_bytes,
        is_attached,
        is_persistent: false,
        creator_pid: 0,
        created: SystemTime::UNIX_EPOCH,
        dtype: None,
        is_atomic: false,
        shape: Vec::new(),
        order: Order::C,
        layout: None,
        items: 0,
        channel: None,
    };
    let Ok(header) = read_header(&file, name) else { return Ok(entry) };
    entry.len_bytes = header.len;
    entry.is_persistent = header.is_persistent();
    entry.creator_pid = header.creator_pid;
    entry.created = SystemTime::UNIX_EPOCH + Duration::from_nanos(header.created_ns);
    entry.dtype = header.dtype;
    entry.is_atomic = header.is_atomic;
    entry.kind = match header.kind {
        header::Kind::Block => Kind::Block,
        header::Kind::Array => Kind::Array,
        header::Kind::Channel => Kind::Channel,
        header::Kind::Value => Kind::Value,
        header::Kind::Map => Kind::Map,
        header::Kind::List => Kind::List,
        header::Kind::Parties | header::Kind::Arena => Kind::Foreign,
    };
    if entry.kind == Kind::Array {
        let axes = &header.shape[..usize::from(header.ndim).min(NDIM_MAX)];
        entry.shape = axes.iter().map(|extent| *extent as usize).collect();
        entry.order = if header.is_fortran { Order::F } else { Order::C };
    }
    if matches!(entry.kind, Kind::Value | Kind::Map | Kind::List) {
        entry.layout = Some(read_text(&file, &header));
        entry.items = header.items;
    }
    let message = read_text(&file, &header);
    drop(file);
    if entry.kind == Kind::Channel
        && let Ok(map) = ChannelMap::open(namespace, name)
    {
        entry.channel = Some(channel_entry(namespace, &map, message));
    }
    Ok(entry)
}

fn channel_entry(namespace: &Namespace, map: &ChannelMap, message: String) -> ChannelEntry {
    let parties = Parties::open(namespace).ok().flatten();
    let peer = |party: Party| {
        let Some(parties) = &parties else { return Peer { pid: 0, is_alive: false } };
        match parties.record(party).read().1 {
            State::Process(id) => {
                let is_alive = parties.liveness(party, &id) != Liveness::Dead;
                Peer { pid: id.pid, is_alive }
            }
            State::Free | State::Channel { .. } => Peer { pid: 0, is_alive: false },
        }
    };
    ChannelEntry {
        kind: ChannelKind::of(map.header.settings.mode),
        capacity: map.table.capacity(),
        depth: map.table.len(),
        message,
        is_unique: map.header.is_unique,
        senders: map.table.control.senders.iter().map(peer).collect(),
        receivers: map.table.control.receivers.iter().map(peer).collect(),
    }
}

/// Removes a name. Users of a block or an array keep their memory; a channel that is in use is not
/// removed, it goes with its last user.
///
/// # Errors
///
/// `NotFound`; `Busy` for a channel in use.
pub fn remove(name: &str) -> Result<()> {
    check_name(name)?;
    unlink(name, None)
}

/// Removes a name, of one kind only if so wished.
pub(crate) fn unlink(name: &str, wanted: Option<header::Kind>) -> Result<()> {
    let Some(namespace) = Namespace::existing()? else { return Err(not_found(name)) };
    let lock = namespace.lock()?;
    let cannot = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => not_found(name),
        _ => Error::os(format_args!("cannot remove {name:?}"), error).named(name),
    };
    let header = match file::open(&namespace.directory, name, false) {
        Ok(file) => read_header(&file, name).map(|header| (file, header)),
        Err(error) => Err(cannot(error)),
    };
    match header {
        Ok((_, header)) if wanted.is_some_and(|wanted| wanted != header.kind) => {
            let wanted = wanted.map_or_else(String::new, |kind| kind.to_string());
            Err(crate::block::wrong_kind(name, header.kind, &wanted))
        }
        Ok((file, header)) if header.kind == header::Kind::Channel => {
            if !file::lock_exclusive(&file).map_err(cannot)? {
                let text = format!(
                    "cannot remove channel {name:?}: it is in use (it goes with its last user)"
                );
                return Err(Error::new(ErrorKind::Busy, text).named(name));
            }
            remove_name(&namespace, &lock, name, &file, &header);
            Ok(())
        }
        Ok((file, header)) => {
            remove_name(&namespace, &lock, name, &file, &header);
            Ok(())
        }
        // A user who asks for it by name may remove what is none of ours, too.
        Err(error) if wanted.is_none() && error.kind() != ErrorKind::NotFound => {
            namespace.directory.unlink(name).map_err(cannot)?;
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// What the dead left behind; removes it if `apply`.
///
/// # Errors
///
/// `Busy` when the directory's lock cannot be had.
pub fn gc(apply: bool) -> Result<Vec<Garbage>> {
    let Some(namespace) = Namespace::existing()? else { return Ok(Vec::new()) };
    let lock = namespace.lock()?;
    let mut garbage = stale_names(&namespace);
    let parties = Parties::open(&namespace)?;
    let is_alive = |party: Party| {
        parties.as_ref().is_some_and(|parties| {
            let state = parties.record(party).read().1;
            matches!(state, State::Process(id) if parties.liveness(party, &id) != Liveness::Dead)
        })
    };
    let has_owner = |id: PartyId| {
        let epoch = parties.as_ref().and_then(|parties| parties.record(id.party).epoch());
        epoch == Some(id.epoch) && is_alive(id.party)
    };
    let has_alive = parties
        .as_ref()
        .is_some_and(|parties| parties.in_use().any(|(party, _, _)| is_alive(party)));
    for (id, names) in arena_names(&namespace)? {
        if !has_owner(id) && !is_needed(&namespace, id, &is_alive) {
            let reason = "its owner is dead and nobody holds anything of it";
            garbage.extend(names.into_iter().map(|name| described(&namespace, name, reason)));
        }
    }
    let keeps_name = keeps_name(&namespace, &garbage);
    if parties.is_some() && !has_alive && !keeps_name {
        let reason = "no process is left in it";
        garbage.push(described(&namespace, PARTIES_NAME.to_owned(), reason));
    }
    if apply {
        if let Some(parties) = &parties {
            reap::everything(&namespace, &lock, parties, None);
            reap::empty_house(&namespace, parties);
        } else {
            for name in reap::names(&namespace) {
                // In use, persistent, not ours or unreadable: all of these stay.
                let _ = reclaim(&namespace, Some(&lock), &name);
            }
            namespace.directory.remove_if_empty();
        }
    }
    garbage.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(garbage)
}

/// Names that no process has open and nobody asked to keep.
fn stale_names(namespace: &Arc<Namespace>) -> Vec<Garbage> {
    let is_stale = |name: &String| {
        entry(namespace, name).is_ok_and(|entry| {
            entry.kind != Kind::Foreign && !entry.is_attached && !entry.is_persistent
        })
    };
    reap::names(namespace)
        .into_iter()
        .filter(is_stale)
        .map(|name| described(namespace, name, "every process that used it is dead"))
        .collect()
}

/// Whether a living process, or a channel that stays, holds anything of an arena.
fn is_needed(namespace: &Arc<Namespace>, id: PartyId, is_alive: &impl Fn(Party) -> bool) -> bool {
    let Ok(map) = ArenaMap::open(namespace, id) else { return false };
    let channels: Vec<ChannelMap> = reap::names(namespace)
        .iter()
        .filter(|name| {
            entry(namespace, name).is_ok_and(|entry| entry.is_attached || entry.is_persistent)
        })
        .filter_map(|name| ChannelMap::open(namespace, name).ok())
        .collect();
    map.is_held(|chunk, snapshot, index| {
        snapshot.holders().any(|holder| {
            let is_channel = channels.iter().any(|channel| channel.party().party == holder);
            if is_channel {
                return reap::is_awaited(&channels, id, chunk, snapshot, index);
            }
            is_alive(holder)
        })
    })
}

/// Whether a name stays that is not garbage: then the table stays, too.
fn keeps_name(namespace: &Arc<Namespace>, garbage: &[Garbage]) -> bool {
    reap::names(namespace).iter().any(|name| garbage.iter().all(|garbage| garbage.name != *name))
}

fn described(namespace: &Namespace, name: String, reason: &str) -> Garbage {
    let bytes = file::open(&namespace.directory, &name, false)
        .and_then(|file| file::status(&file))
        .map_or(0, |status| status.allocated_bytes);
    Garbage { name, bytes, reason: reason.to_owned() }
}
