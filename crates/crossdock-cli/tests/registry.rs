//! `crossdock ls`, `inspect`, `rm` and `gc`.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::{Running, World, text};
use crossdock::channel::{broadcast, latest};
use crossdock::{Array, Atomic, Order, SharedBlock, npy};
use serde_json::{Value, json};
use std::io::{self, Read};
use std::process::Command;

/// Tells the other process of some tests that it is one.
const ROLE: &str = "CROSSDOCK_TEST_ROLE";

/// The other process of some tests: has a block and three arrays until its input ends.
#[test]
fn holder() {
    if std::env::var(ROLE).is_err() {
        return;
    }
    let block = SharedBlock::create("block", 1000).unwrap();
    let plain = Array::create("plain", [2, 3], |i| i as f32).unwrap();
    let kept =
        Array::<u16>::create_with("kept", [4, 5], Order::F, |values| values.fill(7)).unwrap();
    kept.persist().unwrap();
    let hits = Array::create("hits", [16, 16], |_| Atomic::new(0_u64)).unwrap();
    let news = broadcast::Sender::<u64>::create("news", 2).unwrap();
    let state = latest::Sender::<u64>::create("state", 2).unwrap();
    eprintln!("\nready");
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
    drop((block, plain, kept, hits, news, state));
}

fn start_holder(world: &World) -> Running {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "holder", "--nocapture"])
        .env(ROLE, "holder")
        .env("CROSSDOCK_DIR", &world.names);
    let mut holder = Running::start(command);
    holder.await_stderr("\nready\n");
    holder
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect()
}

#[test]
fn what_a_process_has_is_listed_and_inspected() {
    let world = World::new();
    let holder = start_holder(&world);
    let list = world.json(&["ls", "--json"]);
    assert_eq!(names(&list), ["block", "hits", "kept", "news", "plain", "state"]);

    let block = world.json(&["inspect", "block", "--json"]);
    assert_eq!((&block["kind"], &block["len_bytes"]), (&json!("block"), &json!(1000)));
    assert_eq!((&block["is_attached"], &block["shape"]), (&json!(true), &Value::Null));
    let kept = world.json(&["inspect", "kept", "--json"]);
    assert_eq!((&kept["kind"], &kept["dtype"]), (&json!("array"), &json!("u16")));
    assert_eq!((&kept["shape"], &kept["order"]), (&json!([4, 5]), &json!("F")));
    assert_eq!((&kept["is_persistent"], &kept["is_atomic"]), (&json!(true), &json!(false)));
    let hits = world.json(&["inspect", "hits", "--json"]);
    assert_eq!((&hits["dtype"], &hits["is_atomic"]), (&json!("u64"), &json!(true)));

    let table = world.run(&["ls"]).stdout;
    assert!(table.contains("u16 4 x 5, F") && table.contains("in use"), "{table}");
    assert!(table.contains("Atomic<u64> 16 x 16 "), "{table}");
    for (name, kind) in [("news", "broadcast"), ("state", "latest")] {
        assert_eq!(world.json(&["inspect", name, "--json"])["channel"]["kind"], kind);
        assert!(table.contains(&format!("channel, {kind}")), "{table}");
    }
    let lines = world.run(&["inspect", "plain"]).stdout;
    assert!(lines.contains("elements  f32\nshape     2 x 3\n"), "{lines}");
    let lines = world.run(&["inspect", "hits"]).stdout;
    assert!(lines.contains("elements  Atomic<u64>\nshape     16 x 16\n"), "{lines}");

    assert!(holder.end().status.success());
    assert_eq!(names(&world.json(&["ls", "--json"])), ["kept"]);
    assert!(world.run(&["ls"]).stdout.contains("kept"));
    assert_eq!(world.json(&["gc", "--yes", "--json"])["garbage"], json!([]));
    assert_eq!(world.json(&["rm", "kept", "--json"])["removed"], json!(["kept"]));
    world.end();
}

#[test]
fn a_channel_shows_its_peers() {
    let world = World::new();
    let path = world.file("in.npy");
    npy::save(&path, &[1_i64; 10], &[10], Order::C).unwrap();
    let mut sender = world.start(&["send", text(&path), "--to", "frames", "--capacity", "3"]);
    let entry = world.await_entry("frames", |entry| entry["channel"]["depth"] == 1);
    assert_eq!(entry["kind"], "channel");
    let channel = &entry["channel"];
    assert_eq!((&channel["capacity"], &channel["message"]), (&json!(3), &json!("ArrayMut<i64>")));
    assert_eq!(channel["senders"].as_array().unwrap().len(), 1);
    assert_eq!(channel["senders"][0]["is_alive"], true);
    assert_eq!(channel["receivers"], json!([]));

    let table = world.run(&["ls"]).stdout;
    assert!(table.contains("ArrayMut<i64>") && table.contains("1/3"), "{table}");
    assert!(table.contains("channel, queue"), "{table}");
    let refused = world.run(&["rm", "frames"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("in use"), "{}", refused.stderr);
    sender.kill();
    assert!(world.run(&["gc", "--yes"]).status.success());
    world.end();
}

#[test]
fn what_a_killed_sender_leaves_is_shown_and_then_removed() {
    let world = World::new();
    let path = world.file("in.npy");
    npy::save(&path, &[7_u8; 100_000], &[100_000], Order::C).unwrap();
    let mut sender = world.start(&["send", text(&path), "--to", "frames"]);
    world.await_entry("frames", |entry| entry["channel"]["depth"] == 1);
    assert_eq!(world.json(&["gc", "--json"])["garbage"], json!([]), "the sender lives");
    sender.kill();

    let dry = world.json(&["gc", "--json"]);
    assert_eq!(dry["is_removed"], false);
    let found = names(&dry["garbage"]);
    assert!(found.contains(&"frames") && found.len() > 1, "{found:?}");
    assert!(dry["bytes"].as_u64().unwrap() >= 100_000, "{dry}");
    let shown = world.run(&["gc"]).stdout;
    assert!(shown.contains("frames") && shown.contains("crossdock gc --yes"), "{shown}");
    assert_eq!(names(&world.json(&["ls", "--json"])), ["frames"], "a dry run removes nothing");
    assert!(world.run(&["ls"]).stdout.contains("dead processes left "));

    let wet = world.json(&["gc", "--yes", "--json"]);
    assert_eq!((&wet["is_removed"], &wet["bytes"]), (&json!(true), &dry["bytes"]));
    assert_eq!(world.json(&["gc", "--json"])["garbage"], json!([]));
    assert_eq!(world.json(&["ls", "--json"]), json!([]));
    world.end();
}

#[test]
fn an_empty_directory_is_said_to_be_empty() {
    let world = World::new();
    let directory = text(&world.names).to_owned();
    for (args, text) in [(["ls"], "nothing is shared in "), (["gc"], "nothing to clean up in ")] {
        let ended = world.run(&args);
        assert!(ended.status.success());
        assert!(ended.stdout.starts_with(&format!("{text}{directory}")), "{}", ended.stdout);
    }
    for args in [["inspect", "nothing"], ["rm", "nothing"]] {
        let ended = world.run(&args);
        assert_eq!(ended.status.code(), Some(1));
        assert!(ended.stderr.starts_with("error: nothing has the name \"nothing\""));
    }
    assert!(!world.names.exists(), "looking makes nothing");
    world.end();
}

#[test]
fn several_names_are_removed_until_one_cannot_be() {
    let world = World::new();
    let holder = start_holder(&world);
    let ended = world.run(&["rm", "block", "nothing", "plain", "--json"]);
    assert_eq!(ended.status.code(), Some(1));
    let removed: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(removed["removed"], json!(["block"]));
    assert_eq!(names(&world.json(&["ls", "--json"])), ["hits", "kept", "news", "plain", "state"]);
    assert!(world.run(&["rm", "kept"]).status.success());
    assert!(holder.end().status.success(), "who has it open keeps the memory");
    world.end();
}

#[test]
fn closed_standard_output_is_no_panic() {
    let world = World::new();
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let mut command = world.command();
    command.args(["ls"]).stdout(writer);
    let output = command.output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    world.end();
}
