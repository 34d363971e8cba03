//! `cargo xtask tidy`: the house rules that no other tool knows.
//!
//! `lines` tells code from comments, `source` holds the rules for one file, `layers` those for
//! the crates.

mod layers;
mod lines;
mod source;

use crate::step;
use std::process::ExitCode;
use std::{fmt, fs, io};

/// Check the house rules: file length, words, sleeps, layers.
#[derive(clap::Args)]
pub(crate) struct Args;

/// One broken rule.
#[derive(Debug, PartialEq)]
struct Violation {
    path: String,
    line: usize,
    message: String,
}

impl Violation {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, message } = self;
        write!(f, "{path}:{line}: {message}")
    }
}

pub(crate) fn run(_: Args) -> ExitCode {
    step::exit_code(report())
}

/// Prints every violation; true if there is none.
pub(crate) fn report() -> bool {
    println!("$ cargo xtask tidy");
    let violations = match paths() {
        Ok(paths) => violations(&paths),
        Err(err) => {
            eprintln!("error: cannot list the files of the repository: {err}");
            return false;
        }
    };
    for violation in &violations {
        eprintln!("{violation}");
    }
    violations.is_empty()
}

/// Every file that git tracks or would track, relative to the root.
fn paths() -> io::Result<Vec<String>> {
    let output = step::command("git", &["ls-files", "-co", "--exclude-standard", "-z"]).output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let names = String::from_utf8_lossy(&output.stdout);
    Ok(names.split_terminator('\0').map(str::to_owned).collect())
}

fn violations(paths: &[String]) -> Vec<Violation> {
    let mut violations = Vec::new();
    if !step::root().join("CHANGELOG.md").exists() {
        violations.push(Violation::new("CHANGELOG.md", 1, "the repository keeps a changelog"));
    }
    for path in paths {
        // Git also lists files that were deleted; other files may not be text.
        let Ok(text) = fs::read_to_string(step::root().join(path)) else { continue };
        violations.extend(source::check(path, &text));
        violations.extend(layers::check(path, &text));
    }
    violations
}
