//! What `inspect` and `top` say about one name, for people.

use crate::output;
use crate::shown;
use crate::units;
use crossdock::inspect::{
    Amount, Arena, Counters, Holder, Life, Member, Piece, Process, Report, Traffic,
};
use crossdock::registry::{self, Entry, Kind};
use std::time::Duration;

/// Rows of a table, after which the rest is only counted.
const ROWS_MAX: usize = 20;

/// Everything, in lines.
pub(crate) fn text(report: &Report, arenas: &[&Arena]) -> String {
    let lines = lines(report);
    let width = lines.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    let lines = lines.iter().map(|(key, value)| format!("{key:<width$}  {value}"));
    let mut text = lines.collect::<Vec<_>>().join("\n");
    if let Some(traffic) = &report.traffic {
        for part in [members(&traffic.members), in_flight(&traffic.in_flight), memory(arenas)] {
            text += &part.map_or_else(String::new, |part| format!("\n\n{part}"));
        }
    }
    text
}

/// The arenas that a channel, or somebody who is connected to it, has to do with.
pub(crate) fn arenas_of<'a>(report: &Report, arenas: &'a [Arena]) -> Vec<&'a Arena> {
    let Some(traffic) = &report.traffic else { return Vec::new() };
    let is_member = |process: &Process| traffic.members.iter().any(|is| is.process == *process);
    let is_of_it = |holder: &Holder| match holder {
        Holder::Process(process) => is_member(process),
        Holder::Channel(name) => *name == report.entry.name,
        _ => false,
    };
    let is_wanted = |arena: &&Arena| {
        arena.owner.as_ref().is_some_and(is_member)
            || arena.holders.iter().any(|holding| is_of_it(&holding.holder))
    };
    arenas.iter().filter(is_wanted).collect()
}

fn lines(report: &Report) -> Vec<(&'static str, String)> {
    let entry = &report.entry;
    let size = |bytes| format!("{} bytes ({})", units::count(bytes), units::bytes(bytes));
    let mut lines = vec![
        ("name", entry.name.clone()),
        ("file", registry::directory().join(&entry.name).display().to_string()),
        ("kind", shown::kind(entry)),
    ];
    if let Some(channel) = &entry.channel {
        lines.push(("carries", channel.message.clone()));
        lines.push(("messages", format!("{} of {}", channel.depth, channel.capacity)));
        if let Some(traffic) = &report.traffic {
            lines.push(("so far", counters(traffic)));
        }
    } else if let Some(elements) = shown::elements(entry) {
        lines.extend([
            ("elements", elements),
            ("shape", shown::shape(&entry.shape)),
            ("order", shown::order(entry.order).to_owned()),
        ]);
    } else if let Some(value) = shown::value(entry) {
        lines.push(("type", value));
    }
    lines.push(("size", size(entry.len_bytes)));
    lines.push(("memory", size(entry.file_bytes)));
    lines.push(("state", state(entry).to_owned()));
    if entry.kind != Kind::Foreign {
        let age = shown::age(entry.created);
        lines.push(("made", format!("{age} ago by pid {}", entry.creator_pid)));
    }
    lines
}

fn counters(traffic: &Traffic) -> String {
    let Some(counters) = traffic.counters else {
        return "not recorded".to_owned();
    };
    let count = |number: u64| units::count(number);
    let Counters { sent, received, dropped, redelivered, lost, dead_letters, .. } = counters;
    let received = received.map(|received| format!("{} received, ", count(received)));
    format!(
        "{} sent, {}{} dropped, {} redelivered, {} lost, {} dead letters",
        count(sent),
        received.unwrap_or_default(),
        count(dropped),
        count(redelivered),
        count(lost),
        count(dead_letters)
    )
}

fn state(entry: &Entry) -> &'static str {
    match shown::state(entry) {
        "in use" if entry.is_persistent => "in use, and kept when its users have gone",
        "kept" => "kept: nobody has it open, `crossdock rm` removes it",
        "stale" => "stale: its users are dead, `crossdock gc` removes it",
        "unknown" => "unknown: this version of crossdock did not make it",
        other => other,
    }
}

/// Who is connected.
fn members(members: &[Member]) -> Option<String> {
    let row = |member: &Member| {
        let elsewhere = if member.process.is_elsewhere { " (other pid namespace)" } else { "" };
        vec![
            member.end.to_string(),
            member.process.pid.to_string(),
            format!("{}{elsewhere}", member.process.life),
            amount(member.holds),
            time(member.held_for.unwrap_or(member.holds.oldest)),
        ]
    };
    if members.is_empty() {
        return Some("nobody is connected".to_owned());
    }
    let mut text = table(&["who", "pid", "state", "holds", "for"], members, row, &[1, 4])?;
    if members.iter().any(|member| member.process.life == Life::Dead) {
        text += "\n what the dead hold comes back when somebody waits for it, or by `crossdock gc --yes`";
    }
    Some(text)
}

fn amount(amount: Amount) -> String {
    match amount.chunks {
        0 => "nothing".to_owned(),
        1 => format!("1 chunk, {}", units::bytes(amount.bytes)),
        chunks => format!("{} chunks, {}", units::count(chunks), units::bytes(amount.bytes)),
    }
}

fn time(time: Duration) -> String {
    if time.is_zero() {
        return "-".to_owned();
    }
    units::nanoseconds(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

/// What is in the queue.
fn in_flight(pieces: &[Piece]) -> Option<String> {
    let row = |piece: &Piece| {
        vec![
            contents(piece),
            units::bytes(piece.bytes),
            owner(piece.owner.as_ref()),
            piece.chunk.to_string(),
            if piece.held_by.is_empty() {
                "nobody".to_owned()
            } else {
                piece.held_by.iter().map(holder).collect::<Vec<_>>().join(", ")
            },
            time(piece.age),
        ]
    };
    let head = ["in flight", "memory", "arena of", "chunk", "also held by", "for"];
    table(&head, pieces, row, &[1, 3, 5])
}

fn contents(piece: &Piece) -> String {
    match piece.dtype {
        Some(dtype) => {
            let order = if piece.order == crossdock::Order::F { ", F" } else { "" };
            format!("{dtype} {}{order}", shown::shape(&piece.shape))
        }
        None => "just being sent or received".to_owned(),
    }
}

/// Whose memory it is.
fn memory(arenas: &[&Arena]) -> Option<String> {
    let row = |arena: &&Arena| {
        let holding = |holding: &crossdock::inspect::Holding| {
            format!("{} {}", holder(&holding.holder), units::bytes(holding.amount.bytes))
        };
        let by: Vec<String> = arena.holders.iter().map(holding).collect();
        vec![
            owner(arena.owner.as_ref()),
            units::bytes(arena.reserved_bytes),
            units::bytes(arena.held.bytes),
            units::bytes(arena.free_bytes()),
            format!("{} of {}", units::count(arena.held.chunks), units::count(arena.chunks)),
            if by.is_empty() { "nobody".to_owned() } else { by.join(", ") },
        ]
    };
    let head = ["arena of", "reserved", "held", "free", "chunks", "held by"];
    table(&head, arenas, row, &[1, 2, 3, 4])
}

fn owner(process: Option<&Process>) -> String {
    process.map_or_else(|| "one that has gone".to_owned(), pid)
}

fn pid(process: &Process) -> String {
    let mut notes = Vec::new();
    if process.life != Life::Alive {
        notes.push(process.life.to_string());
    }
    if process.is_elsewhere {
        notes.push("other pid namespace".to_owned());
    }
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
    format!("pid {}{notes}", process.pid)
}

fn holder(holder: &Holder) -> String {
    match holder {
        Holder::Process(process) => pid(process),
        Holder::Channel(name) => name.clone(),
        _ => "somebody who comes or goes".to_owned(),
    }
}

/// A table of the first rows; `None` when there is none.
fn table<T>(
    head: &[&str],
    items: &[T],
    row: impl Fn(&T) -> Vec<String>,
    right_aligned: &[usize],
) -> Option<String> {
    if items.is_empty() {
        return None;
    }
    let rows = items.iter().take(ROWS_MAX).map(row).collect();
    let mut text = output::table(head, rows, right_aligned);
    if items.len() > ROWS_MAX {
        let more = units::count(items.len() - ROWS_MAX);
        text += &format!("\n and {more} more, which --json shows");
    }
    Some(text)
}
