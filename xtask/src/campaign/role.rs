//! `xtask role`: what the campaigns' worker processes do. Not for people.

use super::board::Board;
use super::{Violation, ensure};
use crossdock::registry;
use rustix::process::{Signal, set_parent_process_death_signal};
use std::path::Path;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    role: Role,
}

#[derive(clap::Subcommand)]
enum Role {
    /// A worker of `bank`.
    Bank(crate::bank::worker::Args),
    /// A worker of `deliveries`.
    Deliveries(crate::deliveries::worker::Args),
    /// Clean the directory of names and say what was found.
    Gc,
    /// A helper of a row of `hostile`.
    Helper(crate::hostile::live::Args),
    /// A worker of `histories`.
    Histories(crate::histories::worker::Args),
    /// The judge of `histories`.
    Judge(crate::histories::judge::Args),
    /// A row of `hostile`.
    Row(crate::hostile::ground::Args),
    /// A worker of `locks`.
    Locks(crate::locks::worker::Args),
    /// Looks at what the workers of `locks` left.
    LocksCheck(crate::locks::worker::CheckArgs),
    /// The owner or the waiter of a lock whose recovery `locks` times.
    LocksRecovery(crate::locks::recovery::Args),
    /// A process with a pool, of `pool-kills`.
    PoolOwner(crate::pool_kills::owner::Args),
    /// A worker of `races`.
    Races(crate::races::worker::Args),
    /// A worker of `soak`.
    Soak(crate::soak::worker::Args),
}

pub(crate) fn run(args: Args) -> ExitCode {
    // A controller that is interrupted leaves no worker behind.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    match args.role {
        Role::Bank(args) => finish(Some(&args.seat.side.clone()), crate::bank::worker::run(&args)),
        Role::Deliveries(args) => {
            finish(Some(&args.seat.side.clone()), crate::deliveries::worker::run(&args))
        }
        Role::Gc => finish(None, sweep()),
        Role::Helper(args) => finish(None, crate::hostile::live::help(&args)),
        Role::Histories(args) => finish(None, crate::histories::worker::run(&args)),
        Role::Judge(args) => finish(None, crate::histories::judge::run(&args)),
        Role::Row(args) => finish(None, crate::hostile::ground::run(&args)),
        Role::Locks(args) => {
            finish(Some(&args.seat.side.clone()), crate::locks::worker::run(&args))
        }
        Role::LocksCheck(args) => {
            finish(Some(&args.side.clone()), crate::locks::worker::check(&args))
        }
        Role::LocksRecovery(args) => {
            finish(Some(&args.side.clone()), crate::locks::recovery::run(&args))
        }
        Role::PoolOwner(args) => finish(None, crate::pool_kills::owner::run(&args)),
        Role::Races(args) => finish(Some(&args.seat.side.clone()), crate::races::worker::run(args)),
        Role::Soak(args) => finish(Some(&args.seat.side.clone()), crate::soak::worker::run(&args)),
    }
}

fn finish(side: Option<&Path>, result: Result<(), Violation>) -> ExitCode {
    let Err(Violation(text)) = result else { return ExitCode::SUCCESS };
    match side.map(Board::open) {
        Some(Ok(board)) => board.report(&format!("pid {}: {text}", std::process::id())),
        _ => eprintln!("violation: {text}"),
    }
    ExitCode::from(3)
}

/// Removes what the dead left, and names that were made to stay.
fn sweep() -> Result<(), Violation> {
    let mut removed = 0;
    for entry in registry::list()? {
        ensure(!entry.is_attached, || format!("{} {:?} is attached", entry.kind, entry.name))?;
        if entry.is_persistent {
            registry::remove(&entry.name)?;
            removed += 1;
        }
    }
    let garbage = registry::gc(true)?;
    println!("gc removed {} stale, {removed} persistent", garbage.len());
    let left = registry::list()?;
    ensure(left.is_empty(), || format!("names left: {left:?}"))
}
