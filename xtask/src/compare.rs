//! `cargo xtask compare`: crossdock beside its rivals and its floors, in one table.

use crate::step;
use std::ffi::OsString;
use std::process::ExitCode;

/// Measure crossdock against its rivals in one interleaved run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Handed to the benchmark as they are: `--json` for JSON instead of a table, `--plot FILE.svg` for a
    /// drawing. A path is relative to the repository root.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

pub(crate) fn run(args: Args) -> ExitCode {
    let scope = ["run", "--release", "--manifest-path", "benches/compare/Cargo.toml", "--"];
    let mut command = step::command("cargo", &scope);
    command.args(args.args);
    step::exit_code(step::run(command))
}
