//! Which events are told, and that messages are not among them.
#![cfg(feature = "tracing")]
#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::{Lab, await_cue, plays, say};
use crossdock::channel::{Receiver, RecvError, Sender};
use crossdock::{Array, ArrayMut, Error, ErrorKind, SharedBlock, arena, registry};
use std::fmt::{Debug, Write};
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// What has been told and not yet looked at, one line an event.
static HEARD: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A subscriber that only collects.
struct Collector;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.0.insert_str(0, &format!("{value:?}")),
            name => write!(self.0, " {name}={value:?}").unwrap(),
        }
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "crossdock"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        HEARD.lock().unwrap().push(format!("{} {}", event.metadata().level(), line.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn listen() {
    tracing::subscriber::set_global_default(Collector).unwrap();
}

/// What has been told since this was last asked.
fn heard() -> Vec<String> {
    std::mem::take(&mut HEARD.lock().unwrap())
}

#[test]
fn hold_and_die() {
    if !plays("hold_and_die") {
        return;
    }
    let tx = Sender::<ArrayMut<u8>>::open("frames").unwrap();
    let block = SharedBlock::create("block", 10).unwrap();
    let held = [tx.loan(100).unwrap(), tx.loan(200).unwrap()];
    tx.send(tx.loan(3000).unwrap()).unwrap();
    say("holds");
    await_cue();
    drop((block, held));
}

#[test]
fn listen_to_a_life_and_a_death() {
    if !plays("listen_to_a_life_and_a_death") {
        return;
    }
    listen();
    let rx = Receiver::<ArrayMut<u8>>::create("frames", 4).unwrap();
    let kind = "crossdock.kind=\"a queue (crossdock::channel)\"";
    let channel = "messaging.destination.name=\"frames\"";
    let told = heard();
    assert!(told[0].starts_with("DEBUG directory of names joined crossdock.party="), "{told:?}");
    assert!(told[1].starts_with("DEBUG name created crossdock.name=\"frames\""), "{told:?}");
    let created = format!("DEBUG channel created {channel} {kind} crossdock.capacity=4");
    assert_eq!(
        told[2..],
        [created, format!("DEBUG channel joined {channel} crossdock.end=Receiver")]
    );
    say("made");
    await_cue();
    // The other process has sent, holds more, and has been killed.
    let pid: u32 = std::env::var("PID_FILE").map(|path| read(&path)).unwrap();
    assert_eq!(rx.recv().unwrap().len(), 3000);
    let told = heard();
    assert!(told.len() == 1 && told[0].starts_with("DEBUG region mapped"), "{told:?}");
    assert_eq!(rx.recv().unwrap_err(), RecvError::Disconnected);
    let told = heard();
    let found = format!("WARN dead processes found while waiting {channel} crossdock.dead=1");
    assert_eq!(told[0], found, "{told:?}");
    assert!(
        told[1].starts_with(&format!("WARN process found dead process.pid={pid} ")),
        "{told:?}"
    );
    let left = "WARN what the dead left is put right crossdock.dead=1 crossdock.unsent=0 crossdock.lost=0 \
                crossdock.returned=0 crossdock.dead_letters=0 crossdock.holds=2 crossdock.arenas=1";
    assert_eq!(told[2..], [left]);
    drop(SharedBlock::create("block", 10).unwrap());
    let told = heard();
    let is_told = |start: &str| told.iter().any(|line| line.starts_with(start));
    assert!(is_told("INFO name of dead users reclaimed crossdock.name=\"block\""), "{told:?}");
    assert!(is_told("DEBUG name removed crossdock.name=\"block\""), "{told:?}");
    drop(rx);
    let told = heard();
    assert_eq!(told[0], format!("DEBUG channel left {channel} crossdock.end=Receiver"));
    assert!(told[1].starts_with("DEBUG name removed crossdock.name=\"frames\""), "{told:?}");
    say("heard");
}

fn read(path: &str) -> u32 {
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

#[test]
fn a_life_and_a_death_are_told() {
    let lab = Lab::new();
    let file = std::env::temp_dir().join(common::unique("pid"));
    let env = [("PID_FILE", file.to_str().unwrap())];
    let mut listener = lab.start_with("listen_to_a_life_and_a_death", &env);
    listener.expect("made");
    let mut victim = lab.start("hold_and_die");
    victim.expect("holds");
    std::fs::write(&file, victim.pid().to_string()).unwrap();
    victim.kill();
    listener.cue();
    listener.expect("heard");
    std::fs::remove_file(&file).unwrap();
    listener.finish();
}

#[test]
fn listen_to_messages_memory_and_damage() {
    if !plays("listen_to_messages_memory_and_damage") {
        return;
    }
    listen();
    let tx = Sender::<Array<u8>>::create("frames", 4).unwrap();
    let rx = Receiver::<Array<u8>>::open("frames").unwrap();
    let exchange = || {
        tx.send(Array::from_slice(&[7; 100]).unwrap()).unwrap();
        assert_eq!(rx.recv().unwrap()[99], 7);
    };
    exchange();
    heard();
    (0..1000).for_each(|_| exchange());
    assert_eq!(heard(), [""; 0], "nothing is told on the way of a message");

    let large = ArrayMut::<u8>::zeroed(2 << 20).unwrap();
    let told = heard();
    assert!(told.len() == 1 && told[0].starts_with("DEBUG region created"), "{told:?}");
    assert!(told[0].contains("crossdock.bytes=2097152"), "{told:?}");
    drop(large);
    arena::trim().unwrap();
    let told = heard();
    assert!(told.len() == 1 && told[0].starts_with("DEBUG region dropped"), "{told:?}");
    arena::set_max_bytes(1 << 21);
    let error = ArrayMut::<u8>::zeroed(8 << 20).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    let told = heard();
    let limit = "WARN limit of memory for arrays met crossdock.bytes=8388608";
    assert!(told.iter().any(|line| line.starts_with(limit)), "{told:?}");

    // Where the queue's head is, according to docs/layout.md, a number that no position has.
    let path = registry::directory().join("frames");
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut data_offset = [0; 8];
    file.read_exact_at(&mut data_offset, 40).unwrap();
    let head = u64::from_le_bytes(data_offset) + 256;
    file.write_all_at(&u64::MAX.to_le_bytes(), head).unwrap();
    let error = Error::from(rx.try_recv().unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let told = heard();
    let refused = "ERROR message cannot be received messaging.destination.name=\"frames\" \
                   error.type=Corrupt error.message=";
    assert!(told.len() == 1 && told[0].starts_with(refused), "{told:?}");
    say("heard");
}

#[test]
fn messages_are_not_told_but_memory_and_damage_are() {
    let lab = Lab::new();
    let mut listener = lab.start("listen_to_messages_memory_and_damage");
    listener.expect("heard");
    listener.finish();
}
