//! Maps and lists that grow until there is no more, where there is no more for a while, and under the eyes of others.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod common;

use common::space::small_space;
use common::{Actor, Lab, await_cue, plays, say};
use crossdock::collections::CollectionOptions;
use crossdock::{Atomic, Error, ErrorKind, SharedList, SharedMap, Value};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::Ordering::SeqCst;

const MEBIBYTE: u64 = 1 << 20;

/// Does it until it fails; how often it did not, and why it failed.
fn until_it_fails(mut call: impl FnMut(u64) -> Result<(), Error>) -> (u64, Error) {
    let mut count = 0;
    loop {
        match call(count) {
            Ok(()) => count += 1,
            Err(error) => return (count, error),
        }
    }
}

#[test]
fn nine_tenths_of_the_bytes_that_it_may_have_can_be_filled() {
    let options = CollectionOptions::new().bytes_max(16 * MEBIBYTE);
    let list = options.anonymous_list::<Vec<u8>>().unwrap();
    let item = vec![7; 1000];
    let (pushed, error) = until_it_fails(|_| list.push(&item));
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
    let stats = list.stats().unwrap();
    assert_eq!(stats.len as u64, pushed);
    assert!(stats.reserved_bytes >= 15 * MEBIBYTE, "{stats:?}");
    assert!(stats.used_bytes >= stats.bytes_max / 10 * 9, "{stats:?}");
    for shards in [1, 16] {
        let map = options.shards(shards).anonymous_map::<u64, Vec<u8>>().unwrap();
        let (_, error) = until_it_fails(|key| map.insert(&key, &item).map(drop));
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
        let stats = map.stats().unwrap();
        assert!(stats.reserved_bytes >= 15 * MEBIBYTE, "{shards} shards: {stats:?}");
    }
}

// A file system that is full for a while.

/// Fills the file system but for a mebibyte, while it lives.
struct Ballast(PathBuf);

impl Ballast {
    fn new() -> Self {
        let path = PathBuf::from(std::env::var_os("CROSSDOCK_DIR").unwrap()).join(".ballast");
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path).unwrap();
        while file.write_all(&[0; 1 << 16]).is_ok() {}
        file.set_len(file.metadata().unwrap().len() - MEBIBYTE).unwrap();
        Self(path)
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

#[test]
fn grows_again_and_again() {
    if !plays("grows_again_and_again") {
        return;
    }
    let list = SharedList::<Vec<u8>>::create("l").unwrap();
    let map = SharedMap::<u64, Vec<u8>>::create("m").unwrap();
    let item = vec![7; 1000];
    for round in 0..6 {
        let ballast = Ballast::new();
        let (pushed, error) = until_it_fails(|_| list.push(&item));
        assert_eq!((error.kind(), error.name()), (ErrorKind::NoSpace, Some("l")), "{error}");
        assert!(pushed > 700, "{pushed} items of 1000 bytes in the mebibyte of round {round}");
        for again in 0..100 {
            let first = (round * 100 + again) << 32;
            let (_, error) = until_it_fails(|key| map.insert(&(first + key), &item).map(drop));
            assert_eq!((error.kind(), error.name()), (ErrorKind::NoSpace, Some("m")), "{error}");
            assert_eq!(list.push(&item).unwrap_err().kind(), ErrorKind::NoSpace);
        }
        drop(ballast);
    }
    let before = list.len().unwrap();
    (0..8000).for_each(|_| list.push(&item).unwrap());
    assert_eq!(list.len().unwrap(), before + 8000);
    assert!(list.iter().unwrap().all(|found| found.unwrap() == item));
}

#[test]
fn a_full_file_system_is_an_error_and_once_there_is_room_again_it_grows() {
    let Some((start, _)) = small_space() else { return };
    let lab = Lab::new();
    lab.start_through(&start, "grows_again_and_again").finish();
}

// Somebody who opens it while it is being filled.

const FILLED: u64 = 40;
const KEYS: u64 = 3000;

#[test]
fn fills() {
    if !plays("fills") {
        return;
    }
    let filled = Value::create("filled", Atomic::new(0_u64)).unwrap();
    say("fills");
    for round in 0..FILLED {
        let map = SharedMap::<u64, [u64; 30]>::create("m").unwrap();
        for key in 0..KEYS {
            map.insert(&key, &[key; 30]).unwrap();
        }
        SharedMap::<u64, [u64; 30]>::unlink("m").unwrap();
        filled.store(round + 1, SeqCst);
    }
    await_cue();
}

#[test]
fn opens_again_and_again() {
    if !plays("opens_again_and_again") {
        return;
    }
    let filled = Value::<Atomic<u64>>::open("filled").unwrap();
    let mut opened = 0;
    while filled.load(SeqCst) < FILLED {
        match SharedMap::<u64, [u64; 30]>::open("m") {
            Ok(map) => {
                let len = map.len().unwrap() as u64;
                if len > 0 {
                    assert_eq!(map.get(&(len - 1)).unwrap(), Some([len - 1; 30]));
                }
                opened += 1;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
        }
    }
    assert!(opened > 0);
}

#[test]
fn a_map_can_be_opened_at_any_moment_while_it_is_being_filled() {
    let lab = Lab::new();
    let mut filler = lab.start("fills");
    filler.expect("fills");
    let openers = [(); 2].map(|()| lab.start("opens_again_and_again"));
    openers.into_iter().for_each(Actor::finish);
    filler.cue();
    filler.finish();
}
