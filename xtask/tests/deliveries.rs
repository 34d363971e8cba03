//! `xtask deliveries` in its short form, and faults that must be noticed.

use std::process::Command;

/// Runs in one of which a fault must be noticed.
const RUNS_MAX: u32 = 5;

/// Runs the campaign: whether it succeeded, and all it said.
fn deliveries(args: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let output = command.args(["deliveries", "--short"]).args(args).output();
    let output = output.expect("xtask can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stderr) + &text(&output.stdout))
}

#[test]
fn each_message_is_received_as_promised_though_senders_and_receivers_are_killed() {
    let (succeeded, text) = deliveries(&[]);
    let last = text.lines().last().unwrap_or_default();
    assert!(succeeded && last.starts_with("deliveries: "), "{text}");
    assert_eq!(text.matches("left: 0 processes, 0 names, 0 bytes").count(), 5, "{text}");
}

#[test]
fn what_is_lost_doubled_damaged_kept_or_stuck_would_be_noticed() {
    for (kind, sabotage, report) in [
        ("unique", "lose", "acknowledged messages lost"),
        ("shared", "repeat", "was received twice"),
        ("unique", "damage", " words"),
        ("shared", "keep", "held though all has been dropped"),
        ("unique", "hang", "is stuck"),
        ("acknowledged", "lose", "is lost"),
        ("acknowledged", "repeat", "twice for the same time"),
        ("acknowledged", "hang", "is stuck"),
        ("broadcast", "lose", "is missing"),
        ("broadcast", "repeat", "is missing, before"),
        ("broadcast", "damage", " words"),
    ] {
        let args = ["--kills=40", "--stuck-ms=2000", "--kind", kind, "--sabotage", sabotage];
        // Who does wrong may be among the last to be killed, and leave nothing to be noticed.
        let mut runs = (0..RUNS_MAX).map(|_| deliveries(&args));
        let noticed = runs.find(|(succeeded, _)| !succeeded);
        let (_, text) = noticed.unwrap_or_else(|| panic!("{kind}, {sabotage}: nothing is noticed"));
        assert!(text.contains(report), "{kind}, {sabotage}: {text}");
    }
}
