//! What `top` says to programs.

use super::model::{Model, Row};
use crate::closeup_json::{CountersJson, SpaceJson};
use serde::Serialize;
use std::time::SystemTime;

/// One look.
#[derive(Serialize)]
pub(super) struct TopJson<'a> {
    /// Seconds since 1970.
    at_s: f64,
    directory: &'a str,
    channels: Vec<ChannelJson<'a>>,
    arenas: ArenasJson,
    space: Option<SpaceJson>,
}

#[derive(Serialize)]
struct ChannelJson<'a> {
    name: &'a str,
    kind: &'a str,
    message: &'a str,
    depth: usize,
    capacity: usize,
    /// Memory of the messages in it.
    in_flight_bytes: u64,
    senders: usize,
    receivers: usize,
    dead: usize,
    /// `null` when they are not recorded.
    counters: Option<CountersJson>,
    /// `null` at the first look, and when they are not recorded.
    messages_per_s: Option<f64>,
}

#[derive(Serialize)]
struct ArenasJson {
    count: usize,
    reserved_bytes: u64,
    held_bytes: u64,
    free_bytes: u64,
}

impl<'a> From<&'a Model> for TopJson<'a> {
    fn from(model: &'a Model) -> Self {
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let totals = model.totals;
        Self {
            at_s: at.map_or(0.0, |at| at.as_secs_f64()),
            directory: &model.directory,
            channels: model.rows.iter().map(ChannelJson::from).collect(),
            arenas: ArenasJson {
                count: totals.arenas,
                reserved_bytes: totals.reserved_bytes,
                held_bytes: totals.held_bytes,
                free_bytes: totals.free_bytes,
            },
            space: model.space.map(SpaceJson::from),
        }
    }
}

impl<'a> From<&'a Row> for ChannelJson<'a> {
    fn from(row: &'a Row) -> Self {
        Self {
            name: &row.name,
            kind: &row.kind,
            message: &row.message,
            depth: row.depth,
            capacity: row.capacity,
            in_flight_bytes: row.in_flight_bytes,
            senders: row.senders,
            receivers: row.receivers,
            dead: row.dead,
            counters: row.counters.map(CountersJson::from),
            messages_per_s: row.messages_per_s,
        }
    }
}
