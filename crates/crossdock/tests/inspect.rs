//! What can be seen of channels and memory from outside, while processes work and when one is killed.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::{Lab, PATIENCE, await_cue, plays, say};
use crossdock::channel::{Receiver, Sender};
use crossdock::inspect::{self, Arena, Holder, Life, Picture, Report, Traffic};
use crossdock::{Array, ArrayMut, ErrorKind, arena, registry};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::Path;

const MIB: usize = 1 << 20;

/// Makes a channel with three messages and reaps when it is told to.
#[test]
fn send_three_and_reap() {
    if plays("send_three_and_reap") {
        let tx = Sender::<ArrayMut<u8>>::create("c", 4).unwrap();
        for _ in 0..3 {
            tx.send(tx.loan(MIB).unwrap()).unwrap();
        }
        say("sent");
        await_cue();
        registry::gc(true).unwrap();
        say("reaped");
        await_cue();
    }
}

#[test]
fn take_one_and_hold_it() {
    if plays("take_one_and_hold_it") {
        let rx = Receiver::<ArrayMut<u8>>::open_timeout("c", PATIENCE).unwrap();
        let _held = rx.recv().unwrap();
        say("holds");
        await_cue();
    }
}

/// No party of the directory: says in one line what it sees, again and again.
#[test]
fn onlooker() {
    if plays("onlooker") {
        loop {
            let picture = inspect::look().unwrap();
            say(&summary(&picture));
            await_cue();
        }
    }
}

fn summary(picture: &Picture) -> String {
    let report = picture.reports.first().unwrap();
    let traffic = report.traffic.as_ref().unwrap();
    let members = traffic.members.iter().map(|member| {
        let (process, holds) = (member.process, member.holds);
        format!("{} {} {} holds {}", member.end, process.pid, process.life, holds.chunks)
    });
    let arenas = picture.arenas.iter().map(|arena| {
        let owner = arena.owner.map_or(0, |owner| owner.pid);
        format!("arena of {owner} {}+{}", arena.held.bytes, arena.free_bytes())
    });
    let parts: Vec<String> =
        members.chain([format!("{} in flight", traffic.in_flight.len())]).chain(arenas).collect();
    parts.join(", ")
}

#[test]
fn a_killed_receiver_is_shown_as_dead_with_what_it_held_until_it_is_reaped() {
    let lab = Lab::new();
    let mut sender = lab.start("send_three_and_reap");
    sender.expect("sent");
    let mut receiver = lab.start("take_one_and_hold_it");
    receiver.expect("holds");
    let (tx, rx) = (sender.pid(), receiver.pid());

    let mut onlooker = lab.start("onlooker");
    let three = 3 * MIB;
    let alive = format!(
        "sender {tx} alive holds 0, receiver {rx} alive holds 1, 2 in flight, arena of {tx} {three}+0"
    );
    onlooker.expect(&alive);
    onlooker.cue();
    onlooker.expect(&alive);

    receiver.kill();
    let dead = alive.replace(&format!("{rx} alive"), &format!("{rx} dead"));
    for _ in 0..2 {
        onlooker.cue();
        onlooker.expect(&dead);
    }

    sender.cue();
    sender.expect("reaped");
    onlooker.cue();
    let two = 2 * MIB;
    onlooker.expect(&format!("sender {tx} alive holds 0, 2 in flight, arena of {tx} {two}+{MIB}"));
    sender.cue();
    sender.finish();
}

/// Holds what it looks at itself.
#[test]
fn look_at_own_work() {
    if !plays("look_at_own_work") {
        return;
    }
    let me = std::process::id();
    assert!(inspect::look().unwrap().reports.is_empty());
    assert_eq!(inspect::look_at("c").unwrap_err().kind(), ErrorKind::NotFound);

    let tx = Sender::<Array<f32>>::create("c", 8).unwrap();
    let rx = Receiver::<Array<f32>>::open("c").unwrap();
    let kept = Array::from_fn([2, 3, 4], |at| at as f32).unwrap();
    tx.send(kept.clone()).unwrap();
    tx.send(Array::from_slice(&[1.0; 3000]).unwrap()).unwrap();
    let Report { entry, traffic, .. } = inspect::look_at("c").unwrap();
    let channel = entry.channel.unwrap();
    assert_eq!((channel.depth, channel.capacity, &*channel.message), (2, 8, "Array<f32>"));
    let Traffic { kind, members, in_flight, counters, .. } = traffic.unwrap();
    assert_eq!(kind.to_string(), "queue");
    let counters = counters.unwrap();
    assert_eq!((counters.sent, counters.received, counters.lost), (2, Some(0), 0));
    let ends: Vec<String> = members.iter().map(|member| member.end.to_string()).collect();
    assert_eq!(ends, ["sender", "receiver"]);
    assert!(members.iter().all(|member| member.process.pid == me && member.holds.chunks == 1));
    let shapes: Vec<_> = in_flight.iter().map(|piece| piece.shape.clone()).collect();
    assert_eq!(shapes, [vec![2, 3, 4], vec![3000]]);
    assert!(matches!(&in_flight[0].held_by[..], [Holder::Process(process)] if process.pid == me));
    assert!(in_flight[1].held_by.is_empty());

    drop((rx.recv().unwrap(), kept));
    let picture = inspect::look().unwrap();
    let in_flight = &picture.reports[0].traffic.as_ref().unwrap().in_flight;
    assert_eq!(in_flight.len(), 1, "a hold without a message is none");
    agrees(&picture.arenas[0]);
    let space = picture.space.unwrap();
    assert!(space.free_bytes <= space.total_bytes && space.total_bytes > 0);
    drop((tx, rx));
    agrees(&inspect::look().unwrap().arenas[0]);
    say("seen");
}

/// What is seen of this process's arena is what it says itself.
fn agrees(seen: &Arena) {
    let own = arena::stats().unwrap();
    assert_eq!(seen.owner.unwrap().life, Life::Alive);
    assert_eq!((seen.regions, seen.chunks), (own.regions, own.chunks));
    assert_eq!((seen.held.chunks, seen.held.bytes), (own.held_chunks, own.held_bytes));
    assert_eq!(seen.reserved_bytes, own.reserved_bytes);
}

#[test]
fn what_is_seen_from_outside_is_what_a_process_says_of_itself() {
    let lab = Lab::new();
    let mut actor = lab.start("look_at_own_work");
    actor.expect("seen");
    actor.finish();
}

#[test]
fn send_until_nobody_listens() {
    if plays("send_until_nobody_listens") {
        let tx = Sender::<ArrayMut<u64>>::create("c", 5).unwrap();
        say("made");
        for len in (1..4000).step_by(37).cycle() {
            let Ok(()) = tx.send(tx.loan(len).unwrap()) else { return };
        }
    }
}

#[test]
fn receive_until_told() {
    if plays("receive_until_told") {
        let rx = Receiver::<ArrayMut<u64>>::open_timeout("c", PATIENCE).unwrap();
        say("open");
        std::thread::spawn(|| {
            await_cue();
            std::process::exit(0);
        });
        while let Ok(array) = rx.recv() {
            drop(array);
        }
    }
}

#[test]
fn look_at_a_busy_channel() {
    if plays("look_at_a_busy_channel") {
        for _ in 0..500 {
            let picture = inspect::look().unwrap();
            let [report] = &picture.reports[..] else { panic!("{:?}", picture.reports) };
            let traffic = report.traffic.as_ref().unwrap();
            let channel = report.entry.channel.as_ref().unwrap();
            assert!(channel.depth <= 5);
            assert_eq!(traffic.members.len(), 2);
            assert!(traffic.members.iter().all(|member| member.process.life == Life::Alive));
            for piece in &traffic.in_flight {
                assert_eq!(piece.bytes % 1024, 0, "{piece:?}");
                assert!(piece.shape.iter().product::<usize>() * 8 <= piece.bytes as usize);
            }
            let [arena] = &picture.arenas[..] else { panic!("{:?}", picture.arenas) };
            assert!(arena.held.chunks <= arena.chunks && arena.held.bytes <= arena.reserved_bytes);
        }
        say("seen");
    }
}

#[test]
fn a_channel_that_is_at_work_can_be_looked_at() {
    let lab = Lab::new();
    let mut sender = lab.start("send_until_nobody_listens");
    sender.expect("made");
    let mut receiver = lab.start("receive_until_told");
    receiver.expect("open");
    let mut onlooker = lab.start("look_at_a_busy_channel");
    onlooker.expect("seen");
    onlooker.finish();
    receiver.cue();
    receiver.finish();
    sender.finish();
}

/// Spoils the files of its directory, word by word, and looks at what has become of them.
#[test]
fn look_at_garbage() {
    if plays("look_at_garbage") {
        let directory = registry::directory();
        let mut files: Vec<_> =
            std::fs::read_dir(&directory).unwrap().map(|file| file.unwrap()).collect();
        files.sort_by_key(std::fs::DirEntry::file_name);
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let mut seen = 0;
        for round in 0..2000 {
            let file = &files[next() as usize % files.len()];
            let words = file.metadata().unwrap().len().min(1 << 14) / 8;
            let opened = std::fs::File::options().write(true).open(file.path()).unwrap();
            // Small numbers lead further than big ones, which a first check catches.
            let word = if round % 2 == 0 { next() } else { next() % 64 };
            // The header of the table of processes stays, or there would be nothing to see from then on.
            let first = if file.file_name() == ".parties" { 32 } else { 0 };
            let at = first + next() % (words - first);
            opened.write_all_at(&word.to_le_bytes(), at * 8).unwrap();
            let picture = inspect::look().unwrap();
            seen += picture.reports.len() + picture.arenas.len();
        }
        assert!(seen > 0);
        say("looked");
    }
}

#[test]
fn garbage_is_shown_or_refused_but_never_followed() {
    let lab = Lab::new();
    let mut sender = lab.start("send_three_and_reap");
    sender.expect("sent");
    let mut receiver = lab.start("take_one_and_hold_it");
    receiver.expect("holds");
    // A copy, so that those who made it are spared.
    let spoilt = Lab::new();
    copy(lab.dir(), spoilt.dir());
    let mut onlooker = spoilt.start("look_at_garbage");
    onlooker.expect("looked");
    onlooker.finish();
    std::fs::remove_dir_all(spoilt.dir()).unwrap();
    for mut actor in [receiver, sender] {
        actor.kill();
    }
    let mut reaper = lab.start("reap_everything");
    reaper.expect("reaped");
    reaper.finish();
}

#[test]
fn reap_everything() {
    if plays("reap_everything") {
        registry::gc(true).unwrap();
        say("reaped");
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::DirBuilder::new().mode(0o700).create(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}
