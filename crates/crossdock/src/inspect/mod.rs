//! A closer look: who is connected to a channel, what is on its way, and who holds which memory.
//!
//! [`registry`] says what there is; this module says what goes on in it. Looking joins nothing, reaps nobody
//! and waits for nobody: a process that has been killed is shown as dead, with what
//! it held, until somebody cleans up after it.
//!
//! Others keep working meanwhile, and nobody is held up so that the picture is sharp: two parts of it may
//! be from slightly different moments.
//!
//! # Examples
//!
//! ```
//! use crossdock::{ArrayMut, channel::Sender, inspect};
//!
//! let frames = Sender::<ArrayMut<f32>>::create("inspect-docs", 8)?;
//! frames.send(frames.loan([1080, 1920])?)?;
//!
//! let report = inspect::look_at("inspect-docs")?;
//! let traffic = report.traffic.expect("it is a channel");
//! assert_eq!(traffic.members[0].process.pid, std::process::id());
//! assert_eq!(traffic.in_flight[0].shape, [1080, 1920]);
//! # Ok::<(), crossdock::Error>(())
//! ```

mod memory;
mod queue;
mod who;

use crate::array::Order;
use crate::channel::map::ChannelMap;
use crate::error::Result;
use crate::namespace::Namespace;
use crate::registry::{self, Entry};
use crossdock_core::element::DType;
use crossdock_core::party::Party;
use crossdock_core::settings::Mode;
use crossdock_sys::map::shared_huge_bytes;
use memory::Held;
use queue::Queue;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use who::Who;

/// All that can be seen in this process's directory of names.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Picture {
    /// Every name, in alphabetical order.
    pub reports: Vec<Report>,
    /// Memory for arrays, one arena for each process that has made some, in the order of their owners.
    pub arenas: Vec<Arena>,
    /// The memory that everything lies in; `None` when there is no directory of names.
    pub space: Option<Space>,
}

/// One name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// What the registry says of it.
    pub entry: Entry,
    /// What goes on in it; `None` for everything but channels.
    pub traffic: Option<Traffic>,
}

/// What goes on in a channel.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Traffic {
    /// To whom a message goes.
    pub kind: ChannelKind,
    /// Who is connected: senders first. A process that has both ends is there twice.
    pub members: Vec<Member>,
    /// The pieces of memory that the channel holds for messages in it.
    pub in_flight: Vec<Piece>,
    /// What has gone through so far; `None` when the channel does not record it.
    pub counters: Option<Counters>,
}

/// To whom a message of a channel goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChannelKind {
    /// To one receiver.
    Queue,
    /// To every receiver.
    Broadcast,
    /// To whoever looks before the next one is sent.
    Latest,
}

impl ChannelKind {
    pub(crate) fn of(mode: Mode) -> Self {
        match mode {
            Mode::Queue => Self::Queue,
            Mode::Broadcast => Self::Broadcast,
            Mode::Latest => Self::Latest,
        }
    }
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Queue => "queue",
            Self::Broadcast => "broadcast",
            Self::Latest => "latest",
        })
    }
}

/// What has gone through a channel since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Messages sent.
    pub sent: u64,
    /// Messages received; `None` where each can be received by many.
    pub received: Option<u64>,
    /// Messages that made room for newer ones.
    pub dropped: u64,
    /// Messages given back by their receiver, or taken back when it died.
    pub redelivered: u64,
    /// Messages that a receiver was just taking when it died.
    pub lost: u64,
    /// Messages that were given up after the last delivery.
    pub dead_letters: u64,
}

/// An end of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Where messages are sent.
    Sender,
    /// Where messages are received.
    Receiver,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sender => "sender",
            Self::Receiver => "receiver",
        })
    }
}

/// A process at one end of a channel.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Member {
    /// Which end.
    pub end: End,
    /// Who it is.
    pub process: Process,
    /// What it holds, in all arenas together: a piece of memory does not say through which channel it came.
    pub holds: Amount,
    /// How long it has held what it received through this channel and has not acknowledged, if that is
    /// recorded.
    pub held_for: Option<Duration>,
}

/// A process as a party of the directory of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Process {
    /// Its process id, in its own pid namespace.
    pub pid: u32,
    /// Whether it lives.
    pub life: Life,
    /// Whether it is in another pid namespace than this process, where its `pid` says nothing here.
    pub is_elsewhere: bool,
}

/// Whether a process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Life {
    /// It does.
    Alive,
    /// It has ended, and nobody has cleaned up after it yet.
    Dead,
    /// It could not be looked up now.
    Unknown,
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Alive => "alive",
            Self::Dead => "dead",
            Self::Unknown => "unknown",
        })
    }
}

/// Some pieces of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Amount {
    /// How many.
    pub chunks: u64,
    /// Their bytes: arrays are rounded up to whole chunks.
    pub bytes: u64,
    /// How long ago the oldest of them was handed out: nobody has held any of them longer.
    pub oldest: Duration,
}

impl Amount {
    fn add(&mut self, other: Self) {
        self.chunks += other.chunks;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.oldest = self.oldest.max(other.oldest);
    }
}

/// A piece of memory with a message's array in it, which the channel holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Piece {
    /// Whose arena it lies in; `None` when its owner has gone.
    pub owner: Option<Process>,
    /// Its number in the arena.
    pub chunk: u32,
    /// The region of the arena that it is a part of.
    pub region: u32,
    /// Its bytes.
    pub bytes: u64,
    /// Element type of the array in it. `None` when the message could not be read: one is just being sent
    /// or received, or its receiver died in the middle of it.
    pub dtype: Option<DType>,
    /// Extents of the array; empty when it could not be read.
    pub shape: Vec<usize>,
    /// Which axis varies fastest.
    pub order: Order,
    /// Who else holds it: senders that keep a clone, other channels.
    pub held_by: Vec<Holder>,
    /// How long ago its memory was handed out: nobody has held the array longer.
    pub age: Duration,
}

/// Who holds a piece of memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Holder {
    /// A process.
    Process(Process),
    /// The channel with this name.
    Channel(String),
    /// Somebody who has just come or gone.
    Unknown,
}

/// The memory for arrays that one process has made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Arena {
    /// The process; `None` when it has gone and others still hold something.
    pub owner: Option<Process>,
    /// Files of memory.
    pub regions: u64,
    /// Bytes of these files: what the arena takes from the system.
    pub reserved_bytes: u64,
    /// All pieces that it has been cut into, whether anybody holds them or not.
    pub chunks: u64,
    /// The pieces that somebody holds.
    pub held: Amount,
    /// Who holds how much. A piece that two of them hold counts for both.
    pub holders: Vec<Holding>,
}

impl Arena {
    /// Bytes that nobody holds.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.reserved_bytes.saturating_sub(self.held.bytes)
    }
}

/// What somebody holds of an arena.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Holding {
    /// Who.
    pub holder: Holder,
    /// How much.
    pub amount: Amount,
}

/// The file system that everything lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Space {
    /// Bytes that it can have.
    pub total_bytes: u64,
    /// Bytes of those that are free.
    pub free_bytes: u64,
    /// Bytes of shared memory of the whole machine that lie in huge pages, if the system says.
    pub huge_bytes: Option<u64>,
}

/// Looks at everything.
///
/// What goes while it is looked at, or cannot be looked at, is not in the picture.
///
/// # Errors
///
/// `PermissionDenied` when the directory of names belongs to somebody else; `WrongVersion` or `Corrupt`
/// when its table of processes is none of this version's.
///
/// # Examples
///
/// ```
/// use crossdock::{ArrayMut, inspect};
///
/// let array = ArrayMut::<f64>::zeroed(1000)?;
/// let picture = inspect::look()?;
/// let reserved: u64 = picture.arenas.iter().map(|arena| arena.reserved_bytes).sum();
/// assert!(reserved >= array.len_bytes() as u64);
/// # Ok::<(), crossdock::Error>(())
/// ```
pub fn look() -> Result<Picture> {
    let Some(namespace) = Namespace::existing()? else { return Ok(Picture::default()) };
    let entries = registry::list()?;
    let who = Who::read(&namespace)?;
    // A channel may go while it is looked at; then it is a name without traffic.
    let queues: Vec<Queue> = entries
        .iter()
        .filter(|entry| entry.channel.is_some())
        .filter_map(|entry| Some((entry, ChannelMap::open(&namespace, &entry.name).ok()?)))
        .map(|(entry, map)| Queue::read(&entry.name, map))
        .collect();
    let mut held = Held::read(&namespace, &who, &queues)?;
    let reports = entries
        .into_iter()
        .map(|entry| {
            let index = queues.iter().position(|queue| queue.name == entry.name);
            let traffic = index.map(|index| traffic(&queues[index], &who, &mut held, index));
            Report { entry, traffic }
        })
        .collect();
    Ok(Picture { reports, arenas: held.arenas, space: space(&namespace) })
}

/// Looks at one name.
///
/// # Errors
///
/// `NotFound`; as [`look`].
pub fn look_at(name: &str) -> Result<Report> {
    // First, for its errors.
    let entry = registry::inspect(name)?;
    let found = look()?.reports.into_iter().find(|report| report.entry.name == name);
    Ok(found.unwrap_or(Report { entry, traffic: None }))
}

fn traffic(queue: &Queue, who: &Who, held: &mut Held, index: usize) -> Traffic {
    let recorded = queue.recorded();
    let member = |end, party: Party| {
        // Nobody any more: its reaper is just at work.
        let process = who.process(party)?;
        let held_for = recorded.held_for_by.get(&party).copied();
        Some(Member { end, process, holds: held.by(party), held_for })
    };
    let control = queue.map.table.control;
    let senders = control.senders.iter().filter_map(|party| member(End::Sender, party));
    let receivers = control.receivers.iter().filter_map(|party| member(End::Receiver, party));
    let members = senders.chain(receivers).collect();
    let mut in_flight = std::mem::take(&mut held.in_flight[index]);
    in_flight.sort_by_key(|(key, _)| (key.arena.to_word(), key.chunk));
    let in_flight = in_flight.into_iter().map(|(_, piece)| piece).collect();
    Traffic { kind: queue.kind(), members, in_flight, counters: recorded.counters }
}

fn space(namespace: &Arc<Namespace>) -> Option<Space> {
    let (free_bytes, total_bytes) = namespace.directory.space().ok()?;
    Some(Space { total_bytes, free_bytes, huge_bytes: shared_huge_bytes().ok() })
}
