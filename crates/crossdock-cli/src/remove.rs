//! `crossdock rm`: remove names.

use crate::failure::Result;
use crate::output;
use crossdock::registry;
use serde::Serialize;

/// Remove names at once; who has them open keeps the memory
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names, as `crossdock ls` lists them
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Print JSON instead of lines
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Removed<'a> {
    removed: &'a [String],
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut outcome = Ok(());
    let mut count = 0;
    for name in &args.names {
        outcome = registry::remove(name);
        if outcome.is_err() {
            break;
        }
        count += 1;
    }
    let removed = &args.names[..count];
    if args.json {
        output::print_json(&Removed { removed })?;
    } else if !removed.is_empty() {
        output::print(&format!("removed {}", removed.join(", ")))?;
    }
    Ok(outcome?)
}
