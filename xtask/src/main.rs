//! Repository tooling: what every change must pass, and the campaigns too long for `cargo test`.
//!
//! One subcommand, one file: its `Args`, and `run(Args) -> ExitCode`.

#![forbid(unsafe_code)]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a command-line tool prints")]

mod bank;
mod campaign;
mod check;
mod compare;
mod deliveries;
mod fuzz;
mod histories;
mod hostile;
mod locks;
mod loom;
mod pool_kills;
mod races;
mod soak;
mod step;
mod stepkill;
mod tidy;

use clap::Parser;
use std::process::ExitCode;

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "Repository tooling of crossdock")]
enum Task {
    Bank(bank::Args),
    Check(check::Args),
    Compare(compare::Args),
    Deliveries(deliveries::Args),
    Fuzz(fuzz::Args),
    Histories(histories::Args),
    Hostile(hostile::Args),
    Locks(locks::Args),
    Loom(loom::Args),
    PoolKills(pool_kills::Args),
    Races(races::Args),
    #[command(hide = true)]
    Role(campaign::role::Args),
    Soak(soak::Args),
    Stepkill(stepkill::Args),
    Tidy(tidy::Args),
}

fn main() -> ExitCode {
    crossdock::process::init();
    match Task::parse() {
        Task::Bank(args) => bank::run(args),
        Task::Check(args) => check::run(args),
        Task::Compare(args) => compare::run(args),
        Task::Deliveries(args) => deliveries::run(args),
        Task::Fuzz(args) => fuzz::run(args),
        Task::Histories(args) => histories::run(args),
        Task::Hostile(args) => hostile::run(args),
        Task::Locks(args) => locks::run(args),
        Task::Loom(args) => loom::run(args),
        Task::PoolKills(args) => pool_kills::run(args),
        Task::Races(args) => races::run(args),
        Task::Role(args) => campaign::role::run(args),
        Task::Soak(args) => soak::run(args),
        Task::Stepkill(args) => stepkill::run(args),
        Task::Tidy(args) => tidy::run(args),
    }
}
