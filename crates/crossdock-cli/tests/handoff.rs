//! `crossdock handoff` from outside.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::{World, has_numpy, text};
use crossdock::{Order, npy};
use serde_json::{Value, json};
use std::fs;

fn row<'a>(report: &'a Value, way: &str) -> &'a Value {
    let rows = report["rows"].as_array().unwrap();
    rows.iter().find(|row| row["way"] == way).unwrap()
}

/// Hands 1 MB of a type over, and asserts what every report must say.
fn hand_over(dtype: &str, size: u64) -> Value {
    let world = World::new();
    let report = world.json(&["handoff", "--size", "1MB", "--dtype", dtype, "--json"]);
    assert_eq!(report["array"]["dtype"], dtype);
    assert_eq!(report["array"]["len_bytes"], 1_000_000 / size * size);
    assert_eq!(report["array"]["shape"], json!([1_000_000 / size]));
    assert_eq!(report["found"]["elements"], 1_000_000 / size);
    for way in ["crossdock", "postcard_pipe"] {
        let row = row(&report, way);
        assert_eq!(row["is_measured"], true, "{row}");
        let hop = row["hop_one_way"]["median_ns"].as_u64().unwrap();
        let until_sum = row["hop_and_sum"]["median_ns"].as_u64().unwrap();
        assert!(hop > 0 && until_sum > hop, "{row}");
    }
    world.end();
    report
}

#[test]
fn reals_are_handed_over() {
    let report = hand_over("f64", 8);
    // 984 periods of 0 + 1 + ... + 126, and 0 + 1 + ... + 31.
    assert_eq!(report["found"]["sum"], 984.0 * 8001.0 + 496.0);
    assert_eq!(report["found"]["max"], 126.0);
    assert!(report["conclusion"].as_str().unwrap().starts_with("hop: "));
}

#[test]
fn half_precision_is_handed_over() {
    assert_eq!(hand_over("f16", 2)["found"]["min"], 0.0);
    let report = hand_over("bf16", 2);
    assert_eq!(row(&report, "python_queue")["reason"], "absent (numpy has no bf16)");
}

#[test]
fn integers_are_handed_over() {
    assert_eq!(hand_over("i8", 1)["found"]["max"], 126);
    assert_eq!(hand_over("u64", 8)["found"]["sum"], 984 * 8001 + 496);
}

#[test]
fn bools_and_complex_numbers_are_handed_over() {
    assert_eq!(hand_over("bool", 1)["found"]["max"], 1);
    // 492 periods, and 0 + 1 + ... + 15.
    let sum = 492.0 * 8001.0 + 120.0;
    assert_eq!(hand_over("c128", 16)["found"]["sum"], json!([sum, -sum]));
}

#[test]
fn pythons_queue_takes_part_where_there_is_numpy() {
    if !has_numpy() {
        eprintln!("skipped: python3 with numpy not found");
        return;
    }
    for dtype in ["f64", "f16", "u8", "bool", "c64"] {
        let world = World::new();
        let report = world.json(&["handoff", "--size", "100kB", "--dtype", dtype, "--json"]);
        let row = row(&report, "python_queue");
        assert_eq!(row["is_measured"], true, "{row}");
        assert!(row["versions"]["numpy"].is_string(), "{row}");
        world.end();
    }
}

#[test]
fn pythons_queue_is_absent_without_python() {
    let world = World::new();
    let report = |args: &[&str]| {
        let mut command = world.command();
        command.args(["handoff", "--size", "10kB"]).args(args).env("PATH", world.file("empty"));
        let ended = common::Running::start(command).end();
        assert!(ended.status.success(), "{}", ended.stderr);
        ended.stdout
    };
    let absent = "absent (python3 with numpy not found)";
    let json: Value = serde_json::from_str(&report(&["--json"])).unwrap();
    assert_eq!(row(&json, "python_queue")["reason"], absent);
    let table = report(&[]);
    assert!(table.contains(absent) && table.contains("serde queue in Rust"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    world.end();
}

#[test]
fn fortran_file_keeps_its_shape_and_order() {
    let world = World::new();
    let path = world.file("fortran.npy");
    let values: Vec<i32> = (0..6).map(|i| i * 1000 - 2000).collect();
    npy::save(&path, &values, &[2, 3], Order::F).unwrap();
    let report = world.json(&["handoff", text(&path), "--json"]);
    assert_eq!(report["array"]["order"], "F");
    assert_eq!(report["array"]["shape"], json!([2, 3]));
    assert_eq!(report["array"]["dtype"], "i32");
    assert_eq!(report["found"]["sum"], 3000);
    assert_eq!(report["found"]["min"], -2000);
    world.end();
}

#[test]
fn what_is_no_number_survives_the_way() {
    let world = World::new();
    let path = world.file("nan.npy");
    npy::save(&path, &[f32::NAN, 1.0, f32::NEG_INFINITY], &[3], Order::C).unwrap();
    let report = world.json(&["handoff", text(&path), "--json"]);
    assert_eq!(report["found"]["sum"], Value::Null);
    assert_eq!(report["found"]["max"], 1.0);
    world.end();
}

#[test]
fn empty_file_of_elements_is_handed_over() {
    let world = World::new();
    let path = world.file("empty.npy");
    npy::save::<u16>(&path, &[], &[0, 5], Order::C).unwrap();
    let report = world.json(&["handoff", text(&path), "--json"]);
    assert_eq!(report["found"]["sum"], 0);
    assert_eq!(report["found"]["max"], Value::Null);
    world.end();
}

#[test]
fn damaged_file_is_a_readable_error() {
    let world = World::new();
    let path = world.file("damaged.npy");
    npy::save(&path, &[1.0_f64; 100], &[100], Order::C).unwrap();
    let bytes = fs::read(&path).unwrap();
    for (damaged, why) in [
        (&bytes[..bytes.len() - 1], "it is cut short"),
        (&bytes[..20], "it has no .npy header"),
        (b"hello".as_slice(), "it has no .npy header"),
        (&[], "it has no .npy header"),
    ] {
        fs::write(&path, damaged).unwrap();
        let ended = world.run(&["handoff", text(&path)]);
        assert_eq!(ended.status.code(), Some(1));
        assert!(ended.stderr.starts_with("error: cannot read "), "{}", ended.stderr);
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
    let ended = world.run(&["handoff", text(&world.file("nothing.npy"))]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.starts_with("error: cannot read "), "{}", ended.stderr);
    world.end();
}

#[test]
fn chart_is_written() {
    let world = World::new();
    let path = world.file("chart.svg");
    let ended = world.run(&["handoff", "--size", "10kB", "--plot", text(&path)]);
    assert!(ended.status.success(), "{}", ended.stderr);
    let svg = fs::read_to_string(&path).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert!(svg.contains(">crossdock</text>") && svg.contains(">hop + sum</text>"));
    world.end();
}

#[test]
fn wrong_sizes_and_types_are_refused() {
    let world = World::new();
    for (args, code, why) in [
        (["--size", "12 apples"], 2, "is not a size like 500MB"),
        (["--dtype", "f128"], 2, "unknown element type"),
        (["--size", "3B"], 1, "an element of f64 has more than 3 B"),
        (["--size", "9000000TB"], 1, "error: "),
    ] {
        let ended = world.run(&["handoff", args[0], args[1]]);
        assert_eq!(ended.status.code(), Some(code), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(why), "{args:?}: {}", ended.stderr);
    }
    world.end();
}
