//! `crossdock gc`: remove what the dead left.

use crate::failure::Result;
use crate::output;
use crate::units;
use crossdock::registry::{self, Garbage};
use serde::Serialize;

/// Show what dead processes left behind, and remove it with --yes
///
/// What a living process uses, and what was asked to be kept, stays.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Remove it
    #[arg(long)]
    yes: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct GarbageJson<'a> {
    is_removed: bool,
    bytes: u64,
    garbage: Vec<PieceJson<'a>>,
}

#[derive(Serialize)]
struct PieceJson<'a> {
    name: &'a str,
    bytes: u64,
    reason: &'a str,
}

impl<'a> From<&'a Garbage> for PieceJson<'a> {
    fn from(piece: &'a Garbage) -> Self {
        Self { name: &piece.name, bytes: piece.bytes, reason: &piece.reason }
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let garbage = registry::gc(args.yes)?;
    let bytes = garbage.iter().map(|piece| piece.bytes).sum();
    if args.json {
        let garbage = garbage.iter().map(PieceJson::from).collect();
        return output::print_json(&GarbageJson { is_removed: args.yes, bytes, garbage });
    }
    if garbage.is_empty() {
        let path = registry::directory();
        return output::print(&format!("nothing to clean up in {}", path.display()));
    }
    let row =
        |piece: &Garbage| vec![piece.name.clone(), units::bytes(piece.bytes), piece.reason.clone()];
    let table = output::table(&["name", "memory", "why"], garbage.iter().map(row).collect(), &[1]);
    let bytes = units::bytes(bytes);
    let last = if args.yes {
        format!("{bytes} freed")
    } else {
        format!("{bytes} can be freed: `crossdock gc --yes` does it")
    };
    output::print(&format!("{table}\n\n{last}"))
}
