//! `cargo xtask check`: everything that a change must pass besides its tests.

use crate::{step, tidy};
use std::process::{Command, ExitCode};

/// Check formatting, lints, docs, dependencies, spelling and the tidy rules.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out the external tools that are not installed.
    #[arg(long)]
    fast: bool,
}

/// A tool that cargo does not bring along.
struct Tool {
    name: &'static str,
    version: (&'static str, &'static [&'static str]),
    command: (&'static str, &'static [&'static str]),
    install: &'static str,
}

const TOOLS: [Tool; 2] = [
    Tool {
        name: "typos",
        version: ("typos", &["--version"]),
        command: ("typos", &[]),
        install: "python3 -m pip install typos",
    },
    Tool {
        name: "cargo-deny",
        version: ("cargo", &["deny", "--version"]),
        command: ("cargo", &["deny", "check", "bans", "licenses", "sources"]),
        install: "cargo install --locked cargo-deny",
    },
];

/// Packages outside the workspace; their sources are formatted like all others.
const OTHER_MANIFESTS: [&str; 3] =
    ["benches/compare/Cargo.toml", "fuzz/Cargo.toml", "stepkill/Cargo.toml"];

pub(crate) fn run(args: Args) -> ExitCode {
    // Quickest first; a failure does not keep the others from being reported.
    let mut failed = Vec::new();
    let mut note = |name, succeeded: bool| {
        if !succeeded {
            failed.push(name);
        }
    };
    note("tidy", tidy::report());
    note("fmt", format());
    for tool in &TOOLS {
        note(tool.name, run_tool(tool, args.fast));
    }
    note("clippy", step::run(clippy()));
    note("doc", step::run(doc()));

    if failed.is_empty() {
        println!("check: passed");
    } else {
        eprintln!("check: failed: {}", failed.join(", "));
    }
    step::exit_code(failed.is_empty())
}

fn format() -> bool {
    let mut formatted = step::run(step::command("cargo", &["fmt", "--all", "--check"]));
    for manifest in OTHER_MANIFESTS {
        if step::root().join(manifest).exists() {
            let args = ["fmt", "--manifest-path", manifest, "--check"];
            formatted &= step::run(step::command("cargo", &args));
        }
    }
    formatted
}

fn run_tool(tool: &Tool, fast: bool) -> bool {
    let (program, args) = tool.version;
    if step::is_available(program, args) {
        let (program, args) = tool.command;
        step::run(step::command(program, args))
    } else if fast {
        println!("skipped: {} is not installed", tool.name);
        true
    } else {
        eprintln!("error: {} is not installed; run `{}`", tool.name, tool.install);
        false
    }
}

fn clippy() -> Command {
    let scope = ["clippy", "--workspace", "--all-targets", "--all-features"];
    let mut command = step::command("cargo", &scope);
    command.args(["--", "-D", "warnings"]);
    command
}

fn doc() -> Command {
    let mut command = step::command("cargo", &["doc", "--workspace", "--no-deps"]);
    command.env("RUSTDOCFLAGS", "-Dwarnings");
    command
}
