//! Wild words in the file of a map and of a list while others use them: each call returns, with an answer or an error.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod common;

use common::numbers::Numbers;
use common::{Lab, plays, say};
use crossdock::collections::CollectionOptions;
use crossdock::{Atomic, Error, ErrorKind, SharedList, SharedMap, Value};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering::SeqCst;

/// Calls that the user of a damaged map makes.
const TURNS: u64 = 3_000;
/// Words that are damaged at least while it is used.
const WORDS: u64 = 300;
/// In the place of their number: there is nothing left to damage.
const OVER: u64 = u64::MAX;
/// Where a header says that the rest begins.
const DATA_OFFSET: u64 = 40;
/// What comes before the shards.
const CONTROL_BYTES: u64 = 128;
/// The lock of a shard, with which it begins: who has it is believed, as that of any lock.
const LOCK_BYTES: u64 = 1368;
const SHARD_BYTES: u64 = 2688;
/// Shards of the map.
const SHARDS: u64 = 2;

fn options() -> CollectionOptions {
    CollectionOptions::new().shards(SHARDS as usize).bytes_max(2 << 20)
}

/// Opens the file of a name, and says where its shards begin.
fn open(name: &str) -> io::Result<(File, u64)> {
    let path = PathBuf::from(std::env::var_os("CROSSDOCK_DIR").unwrap()).join(name);
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let first = read(&file, DATA_OFFSET)? + CONTROL_BYTES;
    Ok((file, first))
}

fn read(file: &File, place: u64) -> io::Result<u64> {
    let mut word = [0; 8];
    file.read_exact_at(&mut word, place)?;
    Ok(u64::from_le_bytes(word))
}

/// A wild word in a file; most of them are put back as they were, so that the next ones find something that is whole.
fn damage(numbers: &mut Numbers, name: &str) -> io::Result<()> {
    let (file, first) = open(name)?;
    let len = file.metadata()?.len().min(first + (32 << 10));
    let place = first + 8 * numbers.below((len - first) / 8 - 1);
    let shards = if name == "m" { SHARDS } else { 1 };
    let (shard, offset) = ((place - first) / SHARD_BYTES, (place - first) % SHARD_BYTES);
    if shard < shards && offset < LOCK_BYTES {
        return Ok(());
    }
    let old = read(&file, place)?;
    let new = match numbers.below(5) {
        0 => numbers.next(),
        1 => old ^ (1 << numbers.below(64)),
        2 => old.wrapping_add(numbers.below(5) * 16).wrapping_sub(32),
        3 => numbers.next() >> numbers.below(64),
        _ => numbers.below(len) & !15,
    };
    file.write_all_at(&new.to_le_bytes(), place)?;
    if numbers.below(6) > 0 {
        std::thread::yield_now();
        file.write_all_at(&old.to_le_bytes(), place)?;
    }
    Ok(())
}

#[test]
fn damages() {
    if !plays("damages") {
        return;
    }
    let damaged = Value::<Atomic<u64>>::open("damaged").unwrap();
    let mut numbers = Numbers(u64::from(std::process::id()) << 8 | 1);
    while damaged.load(SeqCst) != OVER {
        for name in ["m", "l"] {
            // It may just be being made anew, or be over.
            let more = damage(&mut numbers, name).is_ok();
            let add = |words: u64| (more && words != OVER).then(|| words + 1);
            let _ = damaged.fetch_update(SeqCst, SeqCst, add);
        }
    }
}

/// One call, and whether it was an error.
fn use_map(map: &SharedMap<u64, Vec<u8>>, numbers: &mut Numbers) -> Result<(), Error> {
    let (key, len) = (numbers.below(60), numbers.below(200) as usize);
    match numbers.below(12) {
        0..4 => drop(map.insert(&key, &vec![7; len])?),
        4..7 => drop(map.get(&key)?),
        7..9 => drop(map.remove(&key)?),
        9 => drop(map.update(&key, |value| value.filter(|value| value.len() > 50))?),
        10 => drop(map.iter().collect::<Result<Vec<_>, _>>()?),
        _ => drop(map.stats()?),
    }
    Ok(())
}

fn use_list(list: &SharedList<Vec<u8>>, numbers: &mut Numbers) -> Result<(), Error> {
    let len = list.len()?;
    let (index, item) =
        (numbers.below(len as u64 + 1) as usize, vec![3; numbers.below(90) as usize]);
    match numbers.below(12) {
        0..4 if len < 200 => list.extend([&item, &item])?,
        4 if len < 200 => list.insert(index, &item)?,
        5 if index < len => drop(list.remove(index)?),
        6 if index < len => list.set(index, &item)?,
        7 => drop(list.iter()?.collect::<Result<Vec<_>, _>>()?),
        8 => drop(list.get(index)?),
        _ => drop(list.pop()?),
    }
    Ok(())
}

/// What a damaged map or list may say.
fn check(error: &Error, counts: &mut BTreeMap<String, u64>) {
    let kinds = [ErrorKind::Corrupt, ErrorKind::LimitExceeded, ErrorKind::InvalidArgument];
    assert!(kinds.contains(&error.kind()), "{error:?}");
    assert!(error.to_string().contains("map \"m\"") || error.to_string().contains("list \"l\""));
    *counts.entry(format!("{:?}", error.kind())).or_default() += 1;
}

#[test]
fn uses_what_is_damaged() {
    if !plays("uses_what_is_damaged") {
        return;
    }
    let damaged = Value::create("damaged", Atomic::new(0_u64)).unwrap();
    let mut map = options().create_map::<u64, Vec<u8>>("m").unwrap();
    let mut list = options().create_list::<Vec<u8>>("l").unwrap();
    let mut numbers = Numbers(u64::from(std::process::id()) << 8 | 3);
    let mut counts = BTreeMap::new();
    say("uses");
    let mut turns = 0_u64..;
    while turns.next() < Some(TURNS) || damaged.load(SeqCst) < WORDS {
        if let Err(error) = use_map(&map, &mut numbers) {
            check(&error, &mut counts);
            // What cannot be cleared is made anew, under the same name.
            if numbers.below(8) == 0 && map.clear().is_err() {
                SharedMap::<u64, Vec<u8>>::unlink("m").unwrap();
                map = options().create_map("m").unwrap();
            }
        }
        if let Err(error) = use_list(&list, &mut numbers) {
            check(&error, &mut counts);
            if numbers.below(8) == 0 && list.clear().is_err() {
                SharedList::<Vec<u8>>::unlink("l").unwrap();
                list = options().create_list("l").unwrap();
            }
        }
    }
    damaged.store(OVER, SeqCst);
    assert!(counts.contains_key("Corrupt"), "{counts:?}");
}

#[test]
fn wild_words_in_a_map_in_use_are_errors_and_never_crashes() {
    let lab = Lab::new();
    let mut user = lab.start("uses_what_is_damaged");
    user.expect("uses");
    let mutators = [lab.start("damages"), lab.start("damages")];
    user.finish();
    mutators.into_iter().for_each(common::Actor::finish);
}

// Bookkeeping that was damaged: what can be reached is as it was.

/// Words of a shard behind its lock and its root: entries, slots in use, bytes that it has, bytes in use, bytes given back, and
/// where its memory ends; then the lists of free blocks.
const ENTRIES: u64 = 1;
const USED: u64 = 2;
const HELD: u64 = 3;
const TAKEN: u64 = 4;
const REACH: u64 = 6;
const BINS: std::ops::Range<u64> = 9..9 + 148;
/// What no correct process writes there.
const WILD: [u64; 3] = [8, 1 << 41, u64::MAX];

/// Writes a word of every shard of a map.
fn overwrite(name: &str, word: u64, value: u64) {
    let (file, first) = open(name).unwrap();
    for shard in 0..if name == "m" { SHARDS } else { 1 } {
        let place = first + shard * SHARD_BYTES + LOCK_BYTES + 8 * word;
        file.write_all_at(&value.to_le_bytes(), place).unwrap();
    }
}

fn entry(key: u64) -> (u64, Vec<u8>) {
    (key, vec![key as u8; key as usize % 300])
}

#[test]
fn goes_on_with_damaged_bookkeeping() {
    if !plays("goes_on_with_damaged_bookkeeping") {
        return;
    }
    let map = options().create_map::<u64, Vec<u8>>("m").unwrap();
    let list = options().create_list::<Vec<u8>>("l").unwrap();
    let check = |keys: u64| {
        let mut entries = map.iter().collect::<Result<Vec<_>, _>>().unwrap();
        entries.sort_unstable();
        assert!(entries.into_iter().eq((0..keys).map(entry)));
        assert!(list.iter().unwrap().map(Result::unwrap).eq((0..keys).map(|key| entry(key).1)));
        assert_eq!((map.len().unwrap(), list.len().unwrap()), (keys as usize, keys as usize));
    };
    let add = |key: u64| {
        let (key, value) = entry(key);
        assert_eq!(map.insert(&key, &vec![1; 77]).unwrap(), None);
        assert_eq!(map.insert(&key, &value).unwrap(), Some(vec![1; 77]));
        list.push(&vec![1; 77]).unwrap();
        list.set(key as usize, &value).unwrap();
    };
    (0..100).for_each(add);
    let mut keys = 100;
    for wild in WILD {
        for name in ["m", "l"] {
            BINS.for_each(|bin| overwrite(name, bin, wild));
        }
        (keys..keys + 50).for_each(add);
        keys += 50;
        check(keys);
        let reach = wild | 1 << 41;
        ["m", "l"].into_iter().for_each(|name| overwrite(name, REACH, reach));
        assert_eq!(map.len().unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(list.len().unwrap_err().name(), Some("l"));
        // Each goes into one of the shards; so do so many of them into both.
        (keys..keys + 50).for_each(add);
        keys += 50;
        check(keys);
    }
    // The tables seem to be empty until they are full.
    for _ in 0..700 {
        overwrite("m", USED, 0);
        add(keys);
        keys += 1;
    }
    check(keys);
}

#[test]
fn damaged_bookkeeping_is_made_anew_by_the_next_change() {
    let lab = Lab::new();
    lab.start("goes_on_with_damaged_bookkeeping").finish();
}

#[test]
fn counts_wild_numbers() {
    if !plays("counts_wild_numbers") {
        return;
    }
    let map = options().create_map::<u64, Vec<u8>>("m").unwrap();
    map.extend((0..20).map(entry)).unwrap();
    [ENTRIES, HELD, TAKEN].into_iter().for_each(|word| overwrite("m", word, u64::MAX));
    let stats = map.stats().unwrap();
    assert_eq!((stats.len, stats.used_bytes), (usize::MAX, u64::MAX));
    assert_eq!((stats.reserved_bytes, map.len().unwrap()), (u64::MAX, usize::MAX));
    assert_eq!(map.iter().map(Result::unwrap).count(), 20);
    map.clear().unwrap();
    assert_eq!((map.len().unwrap(), map.stats().unwrap().used_bytes), (0, 0));
}

#[test]
fn wild_counts_of_several_shards_add_up_to_wild_counts() {
    let lab = Lab::new();
    lab.start("counts_wild_numbers").finish();
}

#[test]
fn opens_with_a_wild_seed() {
    if !plays("opens_with_a_wild_seed") {
        return;
    }
    let map = options().create_map::<u64, Vec<u8>>("m").unwrap();
    map.extend((0..20).map(entry)).unwrap();
    let (file, first) = open("m").unwrap();
    let seed = read(&file, first - CONTROL_BYTES).unwrap();
    for wild in [0, seed & !1] {
        file.write_all_at(&wild.to_le_bytes(), first - CONTROL_BYTES).unwrap();
        let error = SharedMap::<u64, Vec<u8>>::open("m").unwrap_err();
        assert_eq!((error.kind(), error.name()), (ErrorKind::Corrupt, Some("m")), "{error}");
    }
    file.write_all_at(&seed.to_le_bytes(), first - CONTROL_BYTES).unwrap();
    let same = SharedMap::<u64, Vec<u8>>::open("m").unwrap();
    assert_eq!(same.get(&5).unwrap(), Some(entry(5).1));
}

#[test]
fn a_seed_that_no_maker_sets_is_damage() {
    let lab = Lab::new();
    lab.start("opens_with_a_wild_seed").finish();
}
