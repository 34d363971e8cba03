//! `crossdock inspect`: all about one name.

use crate::failure::Result;
use crate::output;
use crate::shown::{self, EntryJson};
use crate::units;
use crossdock::registry::{self, Entry, Kind};

/// Show all that is known about one name
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The name, as `crossdock ls` lists it
    name: String,
    /// Print JSON instead of lines
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let entry = registry::inspect(&args.name)?;
    if args.json {
        return output::print_json(&EntryJson::from(&entry));
    }
    let lines = lines(&entry);
    let width = lines.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    let text: Vec<String> =
        lines.iter().map(|(key, value)| format!("{key:<width$}  {value}")).collect();
    output::print(&text.join("\n"))
}

fn lines(entry: &Entry) -> Vec<(&'static str, String)> {
    let size = |bytes| format!("{} bytes ({})", units::count(bytes), units::bytes(bytes));
    let mut lines = vec![
        ("name", entry.name.clone()),
        ("file", registry::directory().join(&entry.name).display().to_string()),
        ("kind", entry.kind.to_string()),
    ];
    if let Some(channel) = &entry.channel {
        lines.extend([
            ("carries", channel.message.clone()),
            ("messages", format!("{} of {}", channel.depth, channel.capacity)),
            ("senders", shown::peers(&channel.senders)),
            ("receivers", shown::peers(&channel.receivers)),
        ]);
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

fn state(entry: &Entry) -> &'static str {
    match shown::state(entry) {
        "in use" if entry.is_persistent => "in use, and kept when its users have gone",
        "kept" => "kept: nobody has it open, `crossdock rm` removes it",
        "stale" => "stale: its users are dead, `crossdock gc` removes it",
        "unknown" => "unknown: this version of crossdock did not make it",
        other => other,
    }
}
