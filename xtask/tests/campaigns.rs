//! The campaigns in their short forms.

use std::process::Command;

/// Runs a campaign: whether it succeeded, and all it said.
fn campaign(args: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(args).output();
    let output = output.expect("xtask can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stderr) + &text(&output.stdout))
}

/// A campaign that must succeed; its last line must begin like this.
fn passes(args: &[&str], report: &str) {
    let (succeeded, text) = campaign(args);
    let last = text.lines().last().unwrap_or_default();
    assert!(succeeded && last.starts_with(report), "{text}");
}

/// A campaign that something was spoilt for must say what.
fn notices(args: &[&str], report: &str) {
    let (succeeded, text) = campaign(args);
    assert!(!succeeded && text.contains(report), "{text}");
}

#[test]
fn one_name_survives_create_open_unlink_and_kill() {
    passes(&["races", "--short"], "races: ");
}

#[test]
fn hostile_directories_files_and_words_are_typed_errors() {
    passes(&["hostile", "--short"], "hostile: ");
}

#[test]
fn hand_offs_survive_kills() {
    passes(&["soak", "--short"], "soak: ");
}

#[test]
fn pools_survive_the_deaths_of_workers_and_workers_no_death_of_a_pool() {
    passes(&["pool-kills", "--short"], "pool-kills: ");
}

#[test]
fn a_split_brain_would_be_noticed() {
    // A name is removed by hand under its users. Those of a channel open it again by its name, and may
    // miss it before two of them are found apart.
    for (part, report) in [("block", "split brain"), ("channel", "violation in races, channel")] {
        let args = ["races", "--short", "--times=10", "--part", part, "--sabotage"];
        notices(&args, report);
    }
}

#[test]
fn a_lost_message_would_be_noticed() {
    notices(&["soak", "--short", "--sabotage=lose"], "lost");
}

#[test]
fn a_foreign_write_would_be_noticed() {
    notices(&["soak", "--short", "--sabotage=write"], "array");
}
