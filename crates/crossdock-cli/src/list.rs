//! `crossdock ls`: every name.

use crate::failure::Result;
use crate::output;
use crate::shown::{self, EntryJson};
use crate::units;
use crossdock::registry::{self, Entry};

/// List what is shared under a name
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let entries = registry::list()?;
    if args.json {
        return output::print_json(&entries.iter().map(EntryJson::from).collect::<Vec<_>>());
    }
    let mut text = if entries.is_empty() {
        let path = registry::directory();
        format!("nothing is shared in {} (CROSSDOCK_DIR names another directory)", path.display())
    } else {
        let head = ["name", "kind", "contents", "size", "state", "messages", "made by", "age"];
        output::table(&head, entries.iter().map(row).collect(), &[3, 5])
    };
    let garbage: u64 = registry::gc(false)?.iter().map(|piece| piece.bytes).sum();
    if garbage > 0 {
        let bytes = units::bytes(garbage);
        text += &format!("\n\ndead processes left {bytes}: `crossdock gc --yes` frees it");
    }
    output::print(&text)
}

fn row(entry: &Entry) -> Vec<String> {
    let messages = entry.channel.as_ref().map_or_else(
        || "-".to_owned(),
        |channel| format!("{}/{}", channel.depth, channel.capacity),
    );
    vec![
        entry.name.clone(),
        shown::kind(entry),
        shown::contents(entry),
        units::bytes(entry.len_bytes),
        shown::state(entry).to_owned(),
        messages,
        format!("pid {}", entry.creator_pid),
        shown::age(entry.created),
    ]
}
