//! `crossdock send` and `crossdock recv`, as in two terminals.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::{World, text};
use crossdock::{Complex, Element, Order, bf16, f16, npy};
use std::fs;
use std::path::PathBuf;

/// A file of some type, whose bits are as irregular as the type allows.
type Save = fn(&World, &str, Order) -> PathBuf;

fn save<T: Element>(world: &World, name: &str, order: Order, value: fn(u64) -> T) -> PathBuf {
    let path = world.file(name);
    let values: Vec<T> =
        (0..30_u64).map(|i| value(i.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    npy::save(&path, &values, &[2, 3, 5], order).unwrap();
    path
}

const TYPES: [(&str, Save); 15] = [
    ("f16", |w, n, o| save(w, n, o, |x| f16::from_bits(x as u16))),
    ("bf16", |w, n, o| save(w, n, o, |x| bf16::from_bits(x as u16))),
    ("f32", |w, n, o| save(w, n, o, |x| f32::from_bits(x as u32))),
    ("f64", |w, n, o| save(w, n, o, f64::from_bits)),
    ("i8", |w, n, o| save(w, n, o, |x| x as i8)),
    ("i16", |w, n, o| save(w, n, o, |x| x as i16)),
    ("i32", |w, n, o| save(w, n, o, |x| x as i32)),
    ("i64", |w, n, o| save(w, n, o, |x| x as i64)),
    ("u8", |w, n, o| save(w, n, o, |x| x as u8)),
    ("u16", |w, n, o| save(w, n, o, |x| x as u16)),
    ("u32", |w, n, o| save(w, n, o, |x| x as u32)),
    ("u64", |w, n, o| save(w, n, o, |x| x)),
    ("bool", |w, n, o| save(w, n, o, |x| x & 4 != 0)),
    ("c64", |w, n, o| {
        save(w, n, o, |x| Complex::new(f32::from_bits(x as u32), f32::from_bits((x >> 32) as u32)))
    }),
    ("c128", |w, n, o| save(w, n, o, |x| Complex::new(f64::from_bits(x), f64::from_bits(!x)))),
];

#[test]
fn every_type_arrives_bit_by_bit_when_the_sender_is_first() {
    let world = World::new();
    for (dtype, save) in TYPES {
        for (order, name) in [(Order::C, "C"), (Order::F, "F")] {
            let (path, out) = (save(&world, "in.npy", order), world.file("out.npy"));
            let sender = world.start(&["send", text(&path), "--to", "frames"]);
            world.await_entry("frames", |entry| entry["channel"]["depth"] == 1);
            let received = world.run(&["recv", "frames", "-o", text(&out)]);
            assert!(received.status.success(), "{dtype}: {}", received.stderr);
            assert!(
                received.stdout.contains(&format!("2 x 3 x 5 x {dtype}")),
                "{}",
                received.stdout
            );
            let sent = sender.end();
            assert!(sent.status.success(), "{dtype}: {}", sent.stderr);
            assert_eq!(fs::read(&path).unwrap(), fs::read(&out).unwrap(), "{dtype} {name}");
        }
    }
    world.end();
}

#[test]
fn every_type_arrives_bit_by_bit_when_the_receiver_is_first() {
    let world = World::new();
    for (index, (dtype, save)) in TYPES.into_iter().enumerate() {
        let order = if index % 2 == 0 { Order::F } else { Order::C };
        let (path, out) = (save(&world, "in.npy", order), world.file("out.npy"));
        let mut receiver = world.start(&["recv", "frames", "-o", text(&out)]);
        receiver.await_stderr("waiting for channel \"frames\"");
        let sent = world.run(&["send", text(&path), "--to", "frames", "--capacity", "1"]);
        assert!(sent.status.success(), "{dtype}: {}", sent.stderr);
        let received = receiver.end();
        assert!(received.status.success(), "{dtype}: {}", received.stderr);
        assert_eq!(fs::read(&path).unwrap(), fs::read(&out).unwrap(), "{dtype}");
    }
    world.end();
}

#[test]
fn receiver_gives_up_after_its_timeout() {
    let world = World::new();
    let out = world.file("out.npy");
    let ended = world.run(&["recv", "nobody", "-o", text(&out), "--timeout", "20ms"]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("error: nobody made channel \"nobody\""), "{}", ended.stderr);
    assert!(!out.exists());
    world.end();
}

#[test]
fn sender_gives_up_after_its_timeout_and_leaves_nothing() {
    let world = World::new();
    let path = save(&world, "in.npy", Order::C, |x| x as u8);
    let ended = world.run(&["send", text(&path), "--to", "nobody", "--timeout", "20ms"]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("error: nobody took the array"), "{}", ended.stderr);
    assert_eq!(world.json(&["ls", "--json"]).as_array().unwrap().len(), 0);
    world.end();
}

#[test]
fn receiver_outlives_a_sender_that_is_killed_before_it_comes() {
    let world = World::new();
    let small = save(&world, "small.npy", Order::C, |x| x as u8);
    let path = save(&world, "in.npy", Order::C, |x| x as f64);
    let out = world.file("out.npy");
    let mut sender = world.start(&["send", text(&small), "--to", "frames"]);
    world.await_entry("frames", |entry| entry["channel"]["depth"] == 1);
    sender.kill();
    // Another sender, another type: what the dead one left is not in the way.
    let sender = world.start(&["send", text(&path), "--to", "frames"]);
    let received = world.run(&["recv", "frames", "-o", text(&out)]);
    assert!(received.status.success(), "{}", received.stderr);
    assert!(sender.end().status.success());
    assert_eq!(fs::read(&path).unwrap(), fs::read(&out).unwrap());
    world.end();
}

#[test]
fn nothing_is_taken_that_cannot_be_written() {
    let world = World::new();
    let out = world.file("no-such-folder/out.npy");
    let ended = world.run(&["recv", "frames", "-o", text(&out)]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("is no directory"), "{}", ended.stderr);
    world.end();
}
