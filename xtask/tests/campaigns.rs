//! The campaigns in their short forms.

use std::process::Command;

/// Runs a campaign; its last line must begin like this.
fn campaign(args: &[&str], report: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(args).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    let last = stdout.lines().last().unwrap_or_default();
    assert!(last.starts_with(report), "the last line is {last:?}, not {report:?}...");
}

#[test]
fn one_name_survives_create_open_unlink_and_kill() {
    campaign(&["races", "--short"], "races: ");
}

#[test]
fn hostile_directories_files_and_words_are_typed_errors() {
    campaign(&["hostile", "--short"], "hostile: ");
}

#[test]
fn hand_offs_survive_kills() {
    campaign(&["soak", "--short"], "soak: ");
}
