//! Arrays that several processes change at once.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::{Lab, await_cue, plays, say, unique};
use crossdock::registry::{self, Kind};
use crossdock::{Array, ArrayMut, Atomic, AtomicElement, DType, ErrorKind, Order};
use std::fmt::Debug;
use std::io::{Seek, SeekFrom, Write};
use std::sync::atomic::Ordering::Relaxed;

const NAME: &str = "hits";
const BINS: usize = 64;
const ROUNDS: u64 = 200_000;

/// Makes the histogram, and says on each cue what is in it.
#[test]
fn maker() {
    if !plays("maker") {
        return;
    }
    let hits = Array::create(NAME, BINS, |_| Atomic::new(0_u64)).unwrap();
    let sums = Array::create("sums", BINS, |_| Atomic::new(0_f64)).unwrap();
    say("made");
    loop {
        await_cue();
        let bins: Vec<String> = hits.iter().map(|bin| bin.load(Relaxed).to_string()).collect();
        let sum: f64 = sums.iter().map(|bin| bin.load(Relaxed)).sum();
        say(&format!("{} sum {sum}", bins.join(" ")));
    }
}

/// Counts a number of events, evenly over all bins.
#[test]
fn counter() {
    if !plays("counter") {
        return;
    }
    let hits = Array::<Atomic<u64>>::open(NAME).unwrap();
    let sums = Array::<Atomic<f64>>::open("sums").unwrap();
    say("open");
    await_cue();
    for round in 0..ROUNDS {
        // Neighbours in the memory, so that the processes meet.
        let bin = (round % BINS as u64) as usize;
        hits[bin].fetch_add(1, Relaxed);
        sums[bin].fetch_add(0.5, Relaxed);
    }
    say("counted");
}

/// Counts a hundred events in the first bin, then events in the second until it is killed.
#[test]
fn victim() {
    if !plays("victim") {
        return;
    }
    let hits = Array::<Atomic<u64>>::open(NAME).unwrap();
    for _ in 0..100 {
        hits[0].fetch_add(1, Relaxed);
    }
    say("counted");
    loop {
        hits[1].fetch_add(1, Relaxed);
    }
}

/// Sees what the dead have left of the name, and takes it.
#[test]
fn heir() {
    if !plays("heir") {
        return;
    }
    let error = Array::<Atomic<u64>>::open(NAME).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let hits = Array::create(NAME, 1, |_| Atomic::new(0_u64)).unwrap();
    assert_eq!(hits[0].load(Relaxed), 0);
    let garbage = registry::gc(true).unwrap();
    say(&garbage.iter().map(|garbage| garbage.name.as_str()).collect::<Vec<_>>().join(" "));
}

#[test]
fn no_event_is_lost_when_two_processes_count() {
    let lab = Lab::new();
    let mut maker = lab.start("maker");
    maker.expect("made");
    let mut counters = [lab.start("counter"), lab.start("counter")];
    for counter in &mut counters {
        counter.expect("open");
    }
    for counter in &mut counters {
        counter.cue();
    }
    for mut counter in counters {
        counter.expect("counted");
        counter.finish();
    }
    maker.cue();
    let (bins, events) = (BINS as u64, 2 * ROUNDS);
    let expected = (0..bins).map(|bin| {
        let more = u64::from(bin < ROUNDS % bins);
        (2 * (ROUNDS / bins + more)).to_string()
    });
    let expected = expected.collect::<Vec<_>>().join(" ");
    maker.expect(&format!("{expected} sum {}", events as f64 / 2.0));
    maker.kill();
    let mut heir = lab.start("heir");
    heir.expect("sums");
    heir.finish();
}

#[test]
fn what_a_killed_process_has_counted_stays_and_the_others_go_on() {
    let lab = Lab::new();
    let mut maker = lab.start("maker");
    maker.expect("made");
    let mut victim = lab.start("victim");
    victim.expect("counted");
    victim.kill();
    let mut counts = || {
        maker.cue();
        maker.hear()
    };
    let at_death = counts();
    assert!(at_death.starts_with("100 "), "{at_death}");
    assert_eq!(counts(), at_death, "nobody counts any more");
    let mut victim = lab.start("victim");
    victim.expect("counted");
    victim.kill();
    assert!(counts().starts_with("200 "));
    maker.kill();
    let mut heir = lab.start("heir");
    heir.expect("sums");
    heir.finish();
}

fn round_trip<T: AtomicElement + PartialEq + Debug>(a: T, b: T) {
    let name = unique(T::DTYPE.name());
    let array = Array::create(&name, [2, 3], |i| Atomic::new(if i == 5 { a } else { b })).unwrap();
    let same = Array::<Atomic<T>>::open(&name).unwrap();
    assert_eq!((same.dtype(), same.shape()), (T::DTYPE, &[2, 3][..]));
    assert_eq!((same[5].load(Relaxed), same[0].load(Relaxed)), (a, b));
    same[0].store(a, Relaxed);
    assert_eq!(array[0].load(Relaxed), a, "{}", T::DTYPE);
}

#[test]
fn every_atomic_type_goes_there_and_back() {
    round_trip(1_u8, 255);
    round_trip(1_u16, 65_535);
    round_trip(1_u32, u32::MAX);
    round_trip(1_u64, u64::MAX);
    round_trip(1_i8, -128);
    round_trip(1_i16, i16::MIN);
    round_trip(1_i32, i32::MIN);
    round_trip(1_i64, i64::MIN);
    round_trip(0.5_f32, -0.5);
    round_trip(0.5_f64, -0.5);
    round_trip(true, false);
}

#[test]
fn atomic_and_plain_elements_are_not_confused() {
    let (atomic, plain) = (unique("atomic"), unique("plain"));
    let _hits = Array::create(&atomic, 4, |_| Atomic::new(0_u64)).unwrap();
    let _squares = Array::create(&plain, 4, |i| (i * i) as u64).unwrap();
    let errors = [
        (Array::<u64>::open(&atomic).unwrap_err(), " of u64: its elements are Atomic<u64> "),
        (
            Array::<Atomic<i64>>::open(&atomic).unwrap_err(),
            " of Atomic<i64>: its elements are Atomic<u64> ",
        ),
        (Array::<Atomic<u64>>::open(&plain).unwrap_err(), " of Atomic<u64>: its elements are u64 "),
    ];
    for (error, text) in errors {
        assert_eq!(error.kind(), ErrorKind::WrongType);
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[test]
fn an_atomic_array_persists_and_nobody_has_it_alone() {
    let name = unique("persistent");
    let hits = Array::create(&name, 8, |i| Atomic::new(i as i32)).unwrap();
    hits.persist().unwrap();
    hits[3].fetch_sub(100, Relaxed);
    drop(hits);
    assert_eq!(ArrayMut::<i32>::open(&name).unwrap_err().kind(), ErrorKind::WrongType);
    let hits = Array::<Atomic<i32>>::open(&name).unwrap();
    assert_eq!(hits[3].load(Relaxed), -97);
    Array::<Atomic<i32>>::unlink(&name).unwrap();
    assert_eq!(Array::<Atomic<i32>>::open(&name).unwrap_err().kind(), ErrorKind::NotFound);
    hits[3].store(1, Relaxed);
}

#[test]
fn parts_and_clones_are_the_same_memory() {
    let name = unique("parts");
    let hits = Array::<Atomic<u16>>::create_with(&name, [4, 3], Order::F, |hits| {
        hits.iter().for_each(|hit| hit.store(7, Relaxed));
    });
    let hits = hits.unwrap();
    let last = hits.clone().slice(2..).reshape(4).unwrap();
    last[1].fetch_add(1, Relaxed);
    assert_eq!(hits[9].load(Relaxed), 8);
    assert_eq!(hits.iter().map(|hit| u32::from(hit.load(Relaxed))).sum::<u32>(), 12 * 7 + 1);
    let text = format!("Array<Atomic<u16>>[4] {name:?} [7, 8, 7, 7]");
    assert_eq!(format!("{last:?}"), text);
}

#[test]
fn the_registry_tells_atomic_arrays_from_others() {
    let (atomic, plain) = (unique("listed"), unique("listed"));
    let _hits = Array::create(&atomic, [2, 2], |_| Atomic::new(false)).unwrap();
    let _flags = Array::create(&plain, [2, 2], |_| false).unwrap();
    for (name, is_atomic) in [(atomic, true), (plain, false)] {
        let entry = registry::inspect(&name).unwrap();
        assert_eq!((entry.kind, entry.dtype), (Kind::Array, Some(DType::Bool)));
        assert_eq!((entry.is_atomic, entry.shape), (is_atomic, vec![2, 2]));
    }
}

#[test]
fn a_wild_byte_is_a_true_bool() {
    let name = unique("wild");
    let flags = Array::create(&name, 4, |_| Atomic::new(false)).unwrap();
    let path = registry::directory().join(&name);
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::End(-3)).unwrap();
    file.write_all(&[2, 255]).unwrap();
    let same = Array::<Atomic<bool>>::open(&name).unwrap();
    let old: Vec<bool> = same.iter().map(|flag| flag.fetch_xor(true, Relaxed)).collect();
    assert_eq!(old, [false, true, true, false]);
    assert!(flags.iter().zip(old).all(|(flag, old)| flag.load(Relaxed) != old));
}
