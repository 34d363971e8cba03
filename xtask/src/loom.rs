//! `cargo xtask loom`: the model checks of `crossdock-core`.

use crate::step;
use std::process::ExitCode;

/// Explore the thread interleavings of every primitive.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Bound every model: at most two preemptions, at most 20 seconds for each death in it.
    #[arg(long)]
    short: bool,
    /// Only the models whose name contains this.
    filter: Option<String>,
}

pub(crate) fn run(args: Args) -> ExitCode {
    // `--cfg loom` changes every crate: a directory of its own keeps the ordinary build warm.
    let scope = ["test", "--release", "-p", "crossdock-core", "--target-dir", "target/loom"];
    let mut command = step::command("cargo", &scope);
    command.args(["--test", "loom_*"]);
    command.args(args.filter);
    command.env("RUSTFLAGS", "--cfg loom");
    if args.short {
        for (name, value) in [("LOOM_MAX_PREEMPTIONS", "2"), ("LOOM_MAX_DURATION", "20")] {
            if std::env::var_os(name).is_none() {
                command.env(name, value);
            }
        }
    }
    step::exit_code(step::run(command))
}
