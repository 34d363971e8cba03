//! The campaign `bank` in its short form.

use std::process::Command;

/// Runs the campaign: whether it succeeded, and all it said.
fn bank(args: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(["bank"]).args(args).output();
    let output = output.expect("xtask can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stderr) + &text(&output.stdout))
}

#[test]
fn no_money_is_lost_when_those_who_move_it_are_killed() {
    let (succeeded, text) = bank(&["--short"]);
    let last = text.lines().last().unwrap_or_default();
    assert!(succeeded && last.starts_with("bank: "), "{text}");
    assert!(last.contains("left: 0 processes, 0 names, 0 bytes"), "{text}");
}

#[test]
fn a_worker_that_does_not_repair_would_be_noticed() {
    // It ends when it is noticed, within seconds on an idle machine.
    let (succeeded, text) = bank(&["--seconds", "120", "--sabotage"]);
    assert!(!succeeded && text.contains("the sum of all accounts is"), "{text}");
}
