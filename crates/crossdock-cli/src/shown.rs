//! What `ls`, `inspect` and the others say about one name.

use crate::units;
use crossdock::Order;
use crossdock::registry::{Entry, Kind, Peer};
use serde::Serialize;
use std::time::SystemTime;

/// `1,080 x 1,920`.
pub(crate) fn shape(extents: &[usize]) -> String {
    extents.iter().map(units::count).collect::<Vec<_>>().join(" x ")
}

pub(crate) fn order(order: Order) -> &'static str {
    match order {
        Order::C => "C",
        Order::F => "F",
    }
}

/// `12 s`, `3 min`, `2 h`, `5 d`: how long ago.
pub(crate) fn age(created: SystemTime) -> String {
    let seconds = created.elapsed().map_or(0, |age| age.as_secs());
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// `block`, or `channel, queue`.
pub(crate) fn kind(entry: &Entry) -> String {
    match &entry.channel {
        Some(channel) => format!("{}, {}", entry.kind, channel.kind),
        None => entry.kind.to_string(),
    }
}

/// Who has it open.
pub(crate) fn state(entry: &Entry) -> &'static str {
    match (entry.kind, entry.is_attached, entry.is_persistent) {
        (Kind::Foreign, ..) => "unknown",
        (_, true, _) => "in use",
        (_, false, true) => "kept",
        (_, false, false) => "stale",
    }
}

/// The element type of an array.
pub(crate) fn elements(entry: &Entry) -> Option<String> {
    let dtype = entry.dtype?;
    Some(if entry.is_atomic { format!("Atomic<{dtype}>") } else { dtype.to_string() })
}

/// The type of what is in it.
pub(crate) fn contents(entry: &Entry) -> String {
    match (&entry.channel, elements(entry)) {
        (Some(channel), _) => channel.message.clone(),
        (None, Some(elements)) => {
            let order = if entry.order == Order::F { ", F" } else { "" };
            format!("{elements} {}{order}", shape(&entry.shape))
        }
        (None, None) => value(entry).unwrap_or_else(|| "-".to_owned()),
    }
}

/// The type of a value: `Mutex<[f64]>, 1,000 items`.
pub(crate) fn value(entry: &Entry) -> Option<String> {
    let layout = entry.layout.as_ref()?;
    match entry.items {
        0 => Some(layout.clone()),
        items => Some(format!("{layout}, {} items", units::count(items))),
    }
}

/// One name for programs.
#[derive(Serialize)]
pub(crate) struct EntryJson {
    name: String,
    kind: String,
    len_bytes: u64,
    file_bytes: u64,
    is_attached: bool,
    is_persistent: bool,
    creator_pid: u32,
    /// Seconds since 1970.
    created_s: f64,
    dtype: Option<&'static str>,
    is_atomic: Option<bool>,
    shape: Option<Vec<usize>>,
    order: Option<&'static str>,
    layout: Option<String>,
    items: Option<u64>,
    channel: Option<ChannelJson>,
}

#[derive(Serialize)]
struct ChannelJson {
    kind: String,
    capacity: usize,
    depth: usize,
    message: String,
    is_unique: bool,
    senders: Vec<PeerJson>,
    receivers: Vec<PeerJson>,
}

#[derive(Serialize)]
struct PeerJson {
    pid: u32,
    is_alive: bool,
}

impl From<&Entry> for EntryJson {
    fn from(entry: &Entry) -> Self {
        let peers = |peers: &[Peer]| {
            peers.iter().map(|peer| PeerJson { pid: peer.pid, is_alive: peer.is_alive }).collect()
        };
        let is_array = entry.kind == Kind::Array;
        let created = entry.created.duration_since(SystemTime::UNIX_EPOCH);
        Self {
            name: entry.name.clone(),
            kind: entry.kind.to_string(),
            len_bytes: entry.len_bytes,
            file_bytes: entry.file_bytes,
            is_attached: entry.is_attached,
            is_persistent: entry.is_persistent,
            creator_pid: entry.creator_pid,
            created_s: created.map_or(0.0, |since| since.as_secs_f64()),
            dtype: entry.dtype.map(|dtype| dtype.name()),
            is_atomic: is_array.then_some(entry.is_atomic),
            shape: is_array.then(|| entry.shape.clone()),
            order: is_array.then(|| order(entry.order)),
            layout: entry.layout.clone(),
            items: entry.layout.as_ref().map(|_| entry.items),
            channel: entry.channel.as_ref().map(|channel| ChannelJson {
                kind: channel.kind.to_string(),
                capacity: channel.capacity,
                depth: channel.depth,
                message: channel.message.clone(),
                is_unique: channel.is_unique,
                senders: peers(&channel.senders),
                receivers: peers(&channel.receivers),
            }),
        }
    }
}
