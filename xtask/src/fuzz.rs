//! `cargo xtask fuzz`: hostile bytes for everything that reads shared memory.

use crate::step;
use std::fs;
use std::process::ExitCode;

/// Fuzz one target, or all of them in turn.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Executions per target.
    #[arg(long, default_value_t = 1_000_000)]
    runs: u64,
    /// A file of fuzz/fuzz_targets, without `.rs`.
    target: Option<String>,
}

pub(crate) fn run(args: Args) -> ExitCode {
    if !step::is_available("cargo", &["+nightly", "fuzz", "--version"]) {
        eprintln!(
            "error: cargo-fuzz or the nightly toolchain is not installed; run `rustup toolchain \
             install nightly && cargo install --locked cargo-fuzz`"
        );
        return ExitCode::FAILURE;
    }
    let targets = args.target.map_or_else(targets, |target| vec![target]);
    if targets.is_empty() {
        eprintln!("error: fuzz/fuzz_targets has no target");
    }
    let runs = format!("-runs={}", args.runs);
    let passed = targets.iter().all(|target| {
        let args = ["+nightly", "fuzz", "run", target, "--", &runs];
        let mut command = step::command("cargo", &args);
        command.current_dir(step::root().join("fuzz"));
        step::run(command)
    });
    step::exit_code(passed && !targets.is_empty())
}

/// The stems of fuzz/fuzz_targets/*.rs, sorted.
fn targets() -> Vec<String> {
    let Ok(entries) = fs::read_dir(step::root().join("fuzz/fuzz_targets")) else {
        return Vec::new();
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut targets: Vec<_> =
        names.filter_map(|name| name.strip_suffix(".rs").map(str::to_owned)).collect();
    targets.sort();
    targets
}
