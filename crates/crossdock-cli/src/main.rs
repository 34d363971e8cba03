//! The command `crossdock`: hand arrays over, see what is shared, clean up.
//!
//! One subcommand, one file (`handoff` and `top` have a folder): its `Args`, and `run(Args) -> Result<()>`.

#![forbid(unsafe_code)]
#![allow(clippy::print_stderr, reason = "a command-line tool says what it does")]

mod closeup;
mod closeup_json;
mod failure;
mod frame;
mod gc;
mod handoff;
mod helper;
mod inspect;
mod list;
mod near;
mod output;
mod progress;
mod recv;
mod remove;
mod sample;
mod send;
mod shown;
mod stats;
mod top;
mod units;

use clap::{Parser, Subcommand};
use failure::Failure;
use std::process::ExitCode;

/// Hand big arrays from process to process without copying or serialising them.
///
/// Everything lives in one directory per user in shared memory, or in the one that CROSSDOCK_DIR names.
#[derive(Parser)]
#[command(name = "crossdock", version)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Handoff(handoff::Args),
    Send(send::Args),
    Recv(recv::Args),
    Ls(list::Args),
    Inspect(inspect::Args),
    Top(top::Args),
    Rm(remove::Args),
    Gc(gc::Args),
    #[command(hide = true)]
    Consumer(handoff::consumer::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Handoff(args) => handoff::run(&args),
        Task::Send(args) => send::run(&args),
        Task::Recv(args) => recv::run(&args),
        Task::Ls(args) => list::run(&args),
        Task::Inspect(args) => inspect::run(&args),
        Task::Top(args) => top::run(&args),
        Task::Rm(args) => remove::run(&args),
        Task::Gc(args) => gc::run(&args),
        Task::Consumer(args) => handoff::consumer::run(&args),
    };
    match outcome {
        // Whoever reads our output has enough of it; that is no failure.
        Ok(()) | Err(Failure::OutputClosed) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&format!("error: {failure}"));
            ExitCode::FAILURE
        }
    }
}
