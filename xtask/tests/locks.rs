//! `xtask locks` in its short form.

use std::process::Command;

/// Runs the campaign: whether it succeeded, and all it said.
fn locks(args: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).arg("locks").args(args).output();
    let output = output.expect("xtask can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stderr) + &text(&output.stdout))
}

#[test]
fn every_lock_survives_random_kills() {
    let (succeeded, text) = locks(&["--short"]);
    let last = text.lines().last().unwrap_or_default();
    assert!(succeeded && last.starts_with("locks: 8 primitives"), "{text}");
}

#[test]
fn a_survivor_that_does_not_repair_would_be_noticed() {
    let (succeeded, text) = locks(&["--only=mutex", "--kills=3000", "--deaths=1", "--sabotage"]);
    assert!(!succeeded && text.contains("under the lock, without poison"), "{text}");
}
