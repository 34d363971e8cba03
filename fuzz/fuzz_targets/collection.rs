//! A map and a list whose other users write what they like, whenever they like.
#![no_main]

use crossdock_core::Corrupt;
use crossdock_core::collection::hash::hash;
use crossdock_core::collection::heap::{Extent, Heap};
use crossdock_core::collection::sequence::Sequence;
use crossdock_core::collection::table::Table;
use crossdock_core::collection::{Fault, Frame};
use crossdock_fuzz::{Hostile, Input, LEN_MAX, word};
use libfuzzer_sys::fuzz_target;

const STEPS_MAX: usize = 256;
/// Requests for memory that one change can make.
const REQUESTS_MAX: usize = 8;
const MAP: usize = 0;
const LIST: usize = 1;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let len = LEN_MAX - (input.byte() & 7);
    let count = input.short();
    let hostile = Hostile::new(len, input.bytes(count));
    let memory = hostile.memory();
    let frame = Frame::new(memory, 0, 2).expect("it is long enough");
    let (map, list) = (
        frame.heap(MAP, memory).expect("the first shard"),
        frame.heap(LIST, memory).expect("the second shard"),
    );
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            return;
        }
        match input.byte() % 24 {
            step @ 0..7 => use_map(&frame, map, step, &mut input),
            step @ 7..15 => use_list(&frame, list, step, &mut input),
            15 => repair(map, Table::new(map).extents()),
            16 => repair(list, Sequence::new(list).extents()),
            _ => hostile.poke(input.short(), word(&mut input)),
        }
    }
});

/// Makes a change, with as much memory as it asks for while there is some.
fn change(
    frame: &Frame<'_>,
    index: usize,
    heap: Heap<'_>,
    mut change: impl FnMut() -> Result<(), Fault>,
) {
    for _ in 0..REQUESTS_MAX {
        let Err(Fault::Room(bytes)) = change() else { return };
        let Ok(Some(place)) = frame.segments().next() else { return };
        let end =
            bytes.checked_next_multiple_of(4096).and_then(|bytes| bytes.checked_add(place.start));
        let Some(end) = end.filter(|end| *end <= LEN_MAX as u64) else { return };
        if !frame.segments().claim(place, index, end) || heap.add(place.start, end).is_err() {
            return;
        }
    }
}

fn use_map(frame: &Frame<'_>, heap: Heap<'_>, step: usize, input: &mut Input<'_>) {
    let table = Table::new(heap);
    let count = input.byte() % 20;
    let key = input.bytes(count).to_vec();
    let hash = hash(frame.control.seed().unwrap_or([1, 2]), &key);
    // What comes of these is not known: only that they come to an end.
    match step {
        0..3 => {
            let value = vec![7; input.byte()];
            change(frame, MAP, heap, || table.put(hash, &key, &value));
        }
        3 => drop(table.remove(hash, &key)),
        4 => {
            if let Ok(Some(record)) = table.get(hash, &key) {
                let mut value = vec![0; record.value_bytes().min(LEN_MAX)];
                record.copy_value(&mut value);
            }
        }
        5 => drop(table.records().filter(Result::is_ok).count()),
        _ => drop(table.clear()),
    }
}

fn use_list(frame: &Frame<'_>, heap: Heap<'_>, step: usize, input: &mut Input<'_>) {
    let list = Sequence::new(heap);
    let (index, value) = (input.byte(), vec![3; input.byte()]);
    match step {
        7 | 8 => change(frame, LIST, heap, || list.extend(&[&value, &value])),
        9 => change(frame, LIST, heap, || list.insert(index, &value)),
        10 => change(frame, LIST, heap, || list.remove(index)),
        11 => change(frame, LIST, heap, || list.set(index, &value)),
        12 => drop(list.pop()),
        13 => drop(list.records().filter(Result::is_ok).count()),
        _ => drop(list.clear()),
    }
}

/// Makes the bookkeeping anew, as whoever gets the lock of somebody dead.
fn repair(heap: Heap<'_>, extents: impl Iterator<Item = Result<Extent, Corrupt>>) {
    let Ok(mut extents) = extents.collect::<Result<Vec<_>, _>>() else { return };
    extents.sort_unstable();
    let _ = heap.refill(&extents);
}
