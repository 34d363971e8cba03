//! Histories of several processes in their short form, and faults that must be noticed.

use std::process::Command;

/// Runs the campaign: whether it succeeded, and all it said.
fn histories(args: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let output = command.args(["histories", "--short"]).args(args).output();
    let output = output.expect("xtask can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stderr) + &text(&output.stdout))
}

#[test]
fn histories_with_kills_are_linearizable() {
    let (succeeded, text) = histories(&[]);
    let last = text.lines().last().unwrap_or_default();
    assert!(succeeded && last.starts_with("histories: "), "{text}");
    assert!(last.contains("left: 0 processes, 0 names, 0 bytes"), "{text}");
}

#[test]
fn a_fault_of_any_object_would_be_noticed() {
    for (sabotage, object) in [
        ("wrong-end", "Fifo"),
        ("lost-push", "Fifo"),
        ("torn-read", "Pair"),
        ("kept-permit", "Permits"),
        ("dropped-clear", "Event"),
        ("second-once", "Once"),
        ("lost-message", "Queue"),
        ("second-message", "Queue"),
        ("late-message", "Queue"),
        ("lost-put", "Cell"),
        ("stale-get", "Cell"),
    ] {
        let (succeeded, text) = histories(&["--sabotage", sabotage]);
        let is_found = text.contains(&format!("violation: {object} in round"));
        assert!(!succeeded && is_found, "{sabotage}: {text}");
    }
}
