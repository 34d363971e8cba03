//! Too little memory, too few descriptors, too little address space.

use super::ground::{Ground, NAME, use_block};
use crate::campaign::{Violation, ensure};
use crossdock::channel::{Receiver, Sender};
use crossdock::collections::CollectionOptions;
use crossdock::{Array, ArrayMut, Error, SharedBlock, SharedList, SharedMap, arena};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::fs::{self, File};
use std::io::Write;

type Done = Result<(), Violation>;

const TOO_MUCH: usize = 70 << 20;
const MEBIBYTE: usize = 1 << 20;

/// What a small block must still do after something did not fit.
fn still_works(ground: &Ground) -> Done {
    let block = ground.must("a small block", SharedBlock::create("small", 1000))?;
    ground.must("its bytes", use_block(&block))?;
    let array = ground.must("a small array", ArrayMut::<f32>::zeroed(1000))?;
    ensure(array.iter().all(|value| *value == 0.0), || "not zero".to_owned())
}

pub(crate) fn block(ground: &mut Ground) -> Done {
    ground.note(&SharedBlock::create(NAME, TOO_MUCH))?;
    ground.note(&SharedBlock::open_or_create(NAME, TOO_MUCH))?;
    still_works(ground)
}

pub(crate) fn block_grow(ground: &mut Ground) -> Done {
    let block = ground.must("create", SharedBlock::create(NAME, 1000))?;
    for len in [TOO_MUCH, 10 * TOO_MUCH] {
        ground.note(&block.grow(len))?;
        ensure(block.len() == 1000, || format!("{} bytes after a failure", block.len()))?;
    }
    ground.must("use", use_block(&block))?;
    ground.must("grow", block.grow(40 * MEBIBYTE))?;
    ground.must("use", use_block(&block))?;
    drop(block);
    still_works(ground)
}

pub(crate) fn array(ground: &mut Ground) -> Done {
    ground.note(&Array::<u8>::create(NAME, TOO_MUCH, |_| 1))?;
    still_works(ground)
}

pub(crate) fn channel(ground: &mut Ground) -> Done {
    ground.note(&Sender::<ArrayMut<u8>>::create(NAME, 1 << 20))?;
    ground.note(&Receiver::<Array<u8>>::open_or_create(NAME, 1 << 20))?;
    still_works(ground)
}

/// A map and a list until there is no memory left: what is in them stays, and what is removed makes room.
pub(crate) fn map(ground: &mut Ground) -> Done {
    // One shard: what is removed makes room for any other key.
    let options = CollectionOptions::new().shards(1);
    let map: SharedMap<u64, String> = ground.must("a map", options.create_map(NAME))?;
    let list = ground.must("a list", SharedList::<String>::create("list"))?;
    let value = "7".repeat(100_000);
    let mut count = 0;
    let error = loop {
        match map.insert(&count, &value).and_then(|_| list.push(&value)) {
            Ok(()) => count += 1,
            Err(error) => break error,
        }
    };
    ground.note(&Err::<(), _>(error))?;
    let len = ground.must("the length of the map", map.len())?;
    ensure(count > 200 && [count, count + 1].contains(&(len as u64)), || {
        format!("{len} entries of {count}")
    })?;
    for key in 0..count {
        let there = ground.must("an entry", map.get(&key))?;
        ensure(there.as_ref() == Some(&value), || format!("entry {key} has changed"))?;
    }
    for key in 0..count / 2 {
        ground.must("a removal", map.remove(&key))?;
    }
    for key in 0..count / 4 {
        ground.must("an insertion", map.insert(&(key + 1_000_000), &value))?;
    }
    ensure(ground.must("a list's length", list.len())? as u64 == count, || "items".to_owned())
}

/// Arrays until there is no memory left; then all are written, some are dropped, and others take
/// their place.
fn until_full(ground: &Ground, len: usize) -> Done {
    let mut arrays = Vec::new();
    let error = loop {
        match ArrayMut::<u8>::zeroed(len) {
            Ok(array) => arrays.push(array),
            Err(error) => break error,
        }
    };
    ground.note(&Err::<(), _>(error))?;
    let bytes = arrays.len() * len;
    ensure(bytes > 32 * MEBIBYTE, || format!("only {bytes} bytes in {} arrays", arrays.len()))?;
    for array in &mut arrays {
        array.fill(7);
    }
    arrays.truncate(arrays.len() / 2);
    ground.must("trim", arena::trim())?;
    arrays.push(ground.must("again", ArrayMut::<u8>::zeroed(len))?);
    ensure(arrays[0].iter().all(|byte| *byte == 7), || "an array has changed".to_owned())
}

pub(crate) fn arena(ground: &mut Ground) -> Done {
    until_full(ground, 3 * MEBIBYTE)
}

pub(crate) fn arena_small(ground: &mut Ground) -> Done {
    until_full(ground, 50_000)
}

/// Not one byte is left.
pub(crate) fn full(ground: &mut Ground) -> Done {
    ground.make_names()?;
    let filler = ground.names.with_file_name("filler");
    let mut file = File::create(&filler)?;
    while file.write_all(&[1; 4096]).is_ok() {}
    ground.note(&SharedBlock::create(NAME, 1))?;
    ground.note(&SharedBlock::open_or_create(NAME, 1))?;
    ground.note(&Array::<u8>::create(NAME, 1, |_| 1))?;
    ground.note(&Sender::<ArrayMut<u8>>::create(NAME, 1))?;
    ground.note(&Receiver::<ArrayMut<u8>>::open_or_create(NAME, 1))?;
    ground.note(&ArrayMut::<u8>::zeroed(1))?;
    ground.note(&Array::<u8>::from_slice(&[1]))?;
    fs::remove_file(filler)?;
    drop(file);
    still_works(ground)
}

pub(crate) fn few_inodes(ground: &mut Ground) -> Done {
    let mut blocks = Vec::new();
    let error = loop {
        match SharedBlock::create(&format!("block-{}", blocks.len()), 1) {
            Ok(block) => blocks.push(block),
            Err(error) => break error,
        }
    };
    ground.note(&Err::<(), _>(error))?;
    ground.note(&ArrayMut::<u8>::zeroed(1))?;
    ground.note(&Sender::<ArrayMut<u8>>::create(NAME, 1))?;
    drop(blocks);
    still_works(ground)
}

fn limit(resource: Resource, most: u64) -> Done {
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

pub(crate) fn few_descriptors(ground: &mut Ground) -> Done {
    limit(Resource::Nofile, 32)?;
    let mut arrays: Vec<Array<u8>> = Vec::new();
    let make = |number: usize| Array::<u8>::create(&format!("{NAME}-{number}"), 100, |_| 1);
    let error: Error = loop {
        match make(arrays.len()) {
            Ok(array) => arrays.push(array),
            Err(error) => break error,
        }
    };
    ensure(error.raw_os_error().is_some(), || format!("no number in {error:?}"))?;
    ground.note(&Err::<(), _>(error))?;
    ground.note(&SharedBlock::create(NAME, 1))?;
    arrays.truncate(arrays.len() / 2);
    let number = arrays.len() + 100;
    arrays.push(ground.must("after some were dropped", make(number))?);
    Ok(())
}

pub(crate) fn few_descriptors_arena(ground: &mut Ground) -> Done {
    limit(Resource::Nofile, 32)?;
    let channel = Sender::<ArrayMut<u8>>::create(NAME, 64)?;
    let receiver = Receiver::<ArrayMut<u8>>::open(NAME)?;
    let mut arrays = Vec::new();
    for size in 0..200 {
        let array = ArrayMut::<u8>::zeroed(1 + size * 20_000);
        ground.note(&array)?;
        ground.note(&channel.send(array?).map_err(Error::from))?;
        arrays.push(receiver.recv().map_err(Error::from)?);
    }
    Ok(())
}

pub(crate) fn little_address_space(ground: &mut Ground) -> Done {
    limit(Resource::As, 400 << 20)?;
    // A block reserves a gibibyte to grow into unless it is told otherwise.
    ground.note(&SharedBlock::create(NAME, 1000))?;
    ground.note(&SharedBlock::open_or_create(NAME, 1000))?;
    let options = SharedBlock::options().reserve(MEBIBYTE);
    let block = ground.must("a block that reserves less", options.create("modest", 1000))?;
    ground.must("use", use_block(&block))?;
    let mut arrays = Vec::new();
    let error = loop {
        match ArrayMut::<u8>::zeroed(20 * MEBIBYTE) {
            Ok(array) => arrays.push(array),
            Err(error) => break error,
        }
    };
    ground.note(&Err::<(), _>(error))?;
    arrays.truncate(arrays.len() / 2);
    ground.must("trim", arena::trim())?;
    arrays.push(ground.must("after some were dropped", ArrayMut::zeroed(15 * MEBIBYTE))?);
    Ok(())
}
