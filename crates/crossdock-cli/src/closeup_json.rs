//! What `inspect` and `top` say about channels and memory, for programs.

use crate::shown::{EntryJson, order};
use crossdock::inspect::{
    Arena, Counters, Holder, Holding, Member, Piece, Process, Report, Space, Traffic,
};
use serde::Serialize;

/// One name with all that goes on in it.
#[derive(Serialize)]
pub(crate) struct ReportJson {
    #[serde(flatten)]
    entry: EntryJson,
    /// `null` for everything but channels.
    traffic: Option<TrafficJson>,
    arenas: Vec<ArenaJson>,
}

impl ReportJson {
    pub(crate) fn new(report: &Report, arenas: &[&Arena]) -> Self {
        Self {
            entry: EntryJson::from(&report.entry),
            traffic: report.traffic.as_ref().map(TrafficJson::from),
            arenas: arenas.iter().map(|arena| ArenaJson::from(*arena)).collect(),
        }
    }
}

#[derive(Serialize)]
struct TrafficJson {
    kind: String,
    members: Vec<MemberJson>,
    in_flight: Vec<PieceJson>,
    counters: Option<CountersJson>,
}

impl From<&Traffic> for TrafficJson {
    fn from(traffic: &Traffic) -> Self {
        Self {
            kind: traffic.kind.to_string(),
            members: traffic.members.iter().map(MemberJson::from).collect(),
            in_flight: traffic.in_flight.iter().map(PieceJson::from).collect(),
            counters: traffic.counters.map(CountersJson::from),
        }
    }
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct CountersJson {
    sent: u64,
    /// `null` where each message can be received by many.
    received: Option<u64>,
    dropped: u64,
    redelivered: u64,
    lost: u64,
    dead_letters: u64,
}

impl From<Counters> for CountersJson {
    fn from(counters: Counters) -> Self {
        Self {
            sent: counters.sent,
            received: counters.received,
            dropped: counters.dropped,
            redelivered: counters.redelivered,
            lost: counters.lost,
            dead_letters: counters.dead_letters,
        }
    }
}

#[derive(Serialize)]
struct MemberJson {
    end: String,
    #[serde(flatten)]
    process: ProcessJson,
    held_chunks: u64,
    held_bytes: u64,
    held_for_s: Option<f64>,
}

impl From<&Member> for MemberJson {
    fn from(member: &Member) -> Self {
        Self {
            end: member.end.to_string(),
            process: ProcessJson::from(&member.process),
            held_chunks: member.holds.chunks,
            held_bytes: member.holds.bytes,
            held_for_s: member.held_for.map(|time| time.as_secs_f64()),
        }
    }
}

#[derive(Serialize)]
struct ProcessJson {
    pid: u32,
    life: String,
    is_elsewhere: bool,
}

impl From<&Process> for ProcessJson {
    fn from(process: &Process) -> Self {
        let (pid, is_elsewhere) = (process.pid, process.is_elsewhere);
        Self { pid, life: process.life.to_string(), is_elsewhere }
    }
}

#[derive(Serialize)]
struct PieceJson {
    owner: Option<ProcessJson>,
    chunk: u32,
    region: u32,
    bytes: u64,
    dtype: Option<&'static str>,
    shape: Option<Vec<usize>>,
    order: Option<&'static str>,
    held_by: Vec<HolderJson>,
    age_s: f64,
}

impl From<&Piece> for PieceJson {
    fn from(piece: &Piece) -> Self {
        Self {
            owner: piece.owner.as_ref().map(ProcessJson::from),
            chunk: piece.chunk,
            region: piece.region,
            bytes: piece.bytes,
            dtype: piece.dtype.map(|dtype| dtype.name()),
            shape: piece.dtype.map(|_| piece.shape.clone()),
            order: piece.dtype.map(|_| order(piece.order)),
            held_by: piece.held_by.iter().map(HolderJson::from).collect(),
            age_s: piece.age.as_secs_f64(),
        }
    }
}

/// Either of them, or neither for somebody who comes or goes.
#[derive(Serialize)]
struct HolderJson {
    process: Option<ProcessJson>,
    channel: Option<String>,
}

impl From<&Holder> for HolderJson {
    fn from(holder: &Holder) -> Self {
        match holder {
            Holder::Process(process) => Self { process: Some(process.into()), channel: None },
            Holder::Channel(name) => Self { process: None, channel: Some(name.clone()) },
            _ => Self { process: None, channel: None },
        }
    }
}

#[derive(Serialize)]
struct ArenaJson {
    owner: Option<ProcessJson>,
    regions: u64,
    reserved_bytes: u64,
    free_bytes: u64,
    chunks: u64,
    held_chunks: u64,
    held_bytes: u64,
    holders: Vec<HoldingJson>,
}

impl From<&Arena> for ArenaJson {
    fn from(arena: &Arena) -> Self {
        Self {
            owner: arena.owner.as_ref().map(ProcessJson::from),
            regions: arena.regions,
            reserved_bytes: arena.reserved_bytes,
            free_bytes: arena.free_bytes(),
            chunks: arena.chunks,
            held_chunks: arena.held.chunks,
            held_bytes: arena.held.bytes,
            holders: arena.holders.iter().map(HoldingJson::from).collect(),
        }
    }
}

#[derive(Serialize)]
struct HoldingJson {
    #[serde(flatten)]
    holder: HolderJson,
    chunks: u64,
    bytes: u64,
}

impl From<&Holding> for HoldingJson {
    fn from(holding: &Holding) -> Self {
        let (chunks, bytes) = (holding.amount.chunks, holding.amount.bytes);
        Self { holder: HolderJson::from(&holding.holder), chunks, bytes }
    }
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct SpaceJson {
    total_bytes: u64,
    free_bytes: u64,
    huge_bytes: Option<u64>,
}

impl From<Space> for SpaceJson {
    fn from(space: Space) -> Self {
        let Space { total_bytes, free_bytes, huge_bytes, .. } = space;
        Self { total_bytes, free_bytes, huge_bytes }
    }
}
