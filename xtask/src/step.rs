//! Runs a command in the repository root and says which.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// The directory of the workspace manifest.
///
/// Cargo says at run time where xtask lies: two checkouts may share one target directory.
pub(crate) fn root() -> PathBuf {
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let root = xtask.as_deref().and_then(Path::parent);
    root.expect("xtask is run by cargo").to_owned()
}

/// `program args...`, to be run in the repository root.
pub(crate) fn command(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(root());
    command
}

/// Says which and runs `command`; true if it succeeded. Standard output is left to the command: it may
/// be a table or JSON for a program.
pub(crate) fn run(mut command: Command) -> bool {
    eprintln!("$ {}", display(&command));
    match command.status() {
        Ok(status) => status.success(),
        Err(err) => {
            eprintln!("error: cannot run {}: {err}", command.get_program().display());
            false
        }
    }
}

/// Whether `program args...` exists and succeeds; its output is dropped.
pub(crate) fn is_available(program: &str, args: &[&str]) -> bool {
    let status = command(program, args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// The exit code of a task that succeeded or did not.
pub(crate) fn exit_code(succeeded: bool) -> ExitCode {
    if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The command as one would type it in a shell.
fn display(command: &Command) -> String {
    let mut words = Vec::new();
    for (name, value) in command.get_envs() {
        let value = value.unwrap_or_default();
        words.push(format!("{}={}", name.display(), quoted(&value.to_string_lossy())));
    }
    words.push(command.get_program().to_string_lossy().into_owned());
    words.extend(command.get_args().map(|arg| quoted(&arg.to_string_lossy())));
    words.join(" ")
}

/// `word`, in single quotes if a shell would split or expand it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,:+".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{word}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_is_shown_as_typed_in_a_shell() {
        let mut command = command("cargo", &["test", "--test", "loom_*"]);
        command.env("RUSTFLAGS", "--cfg loom");
        assert_eq!(display(&command), "RUSTFLAGS='--cfg loom' cargo test --test 'loom_*'");
    }
}
