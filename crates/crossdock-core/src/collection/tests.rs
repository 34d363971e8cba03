//! Maps and lists in a vector: what they do, what a death leaves of them, and what damage does.

use super::heap::{Extent, Heap};
use super::segments::PAGE_BYTES;
use super::sequence::Sequence;
use super::table::Table;
use super::{Fault, Frame, first_segment};
use crate::Corrupt;
use crate::memory::Memory;
use std::collections::BTreeMap;
use std::ptr::NonNull;

const SHARDS: usize = 2;
const BYTES: usize = 512 << 10;

#[derive(Clone)]
#[repr(C, align(4096))]
struct Page([u8; 4096]);

/// A file in private memory.
struct File(Vec<Page>);

impl File {
    fn new() -> Self {
        Self(vec![Page([0; 4096]); BYTES / 4096])
    }

    fn memory(&self) -> Memory<'_> {
        let base = NonNull::from(&self.0[..]).cast();
        // SAFETY: the bytes live as long as `self` and are only reached through what this returns, but for the words
        // that a test damages while nothing of it is in use.
        unsafe { Memory::new(base, BYTES) }.unwrap()
    }

    fn heap(&self, index: usize) -> Heap<'_> {
        let frame = Frame::new(self.memory(), 256, SHARDS as u64).unwrap();
        frame.heap(index, self.memory()).unwrap()
    }

    /// Makes a change, with as much memory as it needs.
    fn change(&self, index: usize, change: impl Fn(Heap<'_>) -> Result<(), Fault>) {
        let heap = self.heap(index);
        loop {
            match change(heap) {
                Ok(()) => return,
                Err(Fault::Room(bytes)) => self.grow(index, bytes),
                Err(Fault::Corrupt(corrupt)) => panic!("{corrupt}"),
            }
        }
    }

    fn grow(&self, index: usize, bytes: u64) {
        let frame = Frame::new(self.memory(), 256, SHARDS as u64).unwrap();
        let place = frame.segments().next().unwrap().unwrap();
        let end = place.start + bytes.next_multiple_of(PAGE_BYTES);
        assert!(end <= BYTES as u64, "the test needs a larger file");
        assert!(frame.segments().claim(place, index, end));
        self.heap(index).add(place.start, end).unwrap();
    }
}

/// Writes nonsense over all bookkeeping, as if somebody had died in the middle of it.
fn forget(heap: &Heap<'_>) {
    let shard = heap.shard;
    let words = [&shard.live, &shard.used, &shard.held, &shard.taken, &shard.freed, &shard.reach];
    let all = words.into_iter().chain([&shard.wild, &shard.wild_end]).chain(&shard.bins);
    all.enumerate().for_each(|(index, word)| word.store(index as u64 * 0x1234_5677));
}

fn repair(
    heap: &Heap<'_>,
    extents: impl Iterator<Item = Result<Extent, Corrupt>>,
) -> Result<(), Corrupt> {
    let mut extents = extents.collect::<Result<Vec<_>, _>>()?;
    extents.sort_unstable();
    heap.refill(&extents)
}

fn entries(table: &Table<'_>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let entries = table.records().map(|record| {
        let record = record.unwrap();
        let (mut key, mut value) = (vec![0; record.key_bytes()], vec![0; record.value_bytes()]);
        record.copy_key(&mut key);
        record.copy_value(&mut value);
        (key, value)
    });
    entries.collect()
}

fn number(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

#[test]
fn a_table_is_what_was_put_into_it_also_after_its_bookkeeping_was_lost() {
    let file = File::new();
    let mut models = [BTreeMap::new(), BTreeMap::new()];
    let mut state = 7;
    for step in 0..6000 {
        let index = number(&mut state) % SHARDS;
        let key =
            format!("{:>width$}", number(&mut state) % 90, width = number(&mut state) % 3 * 8);
        let hash = super::hash::hash([1, 2], key.as_bytes());
        let value = vec![step as u8; number(&mut state) % 200];
        if number(&mut state).is_multiple_of(3) {
            let there = Table::new(file.heap(index)).remove(hash, key.as_bytes()).unwrap();
            assert_eq!(there, models[index].remove(key.as_bytes()).is_some());
        } else {
            file.change(index, |heap| Table::new(heap).put(hash, key.as_bytes(), &value));
            models[index].insert(key.clone().into_bytes(), value);
        }
        if step % 100 == 0 {
            let heap = file.heap(index);
            let table = Table::new(heap);
            let (held, taken, _) = heap.shard.bytes();
            let load = table.load().unwrap();
            let used = heap.shard.used.load();
            forget(&heap);
            repair(&heap, table.extents()).unwrap();
            table.recount().unwrap();
            let (held_now, taken_now, freed) = heap.shard.bytes();
            assert_eq!((held, taken, freed), (held_now, taken_now, 0), "the counts were right");
            assert_eq!((load, used), (table.load().unwrap(), heap.shard.used.load()));
        }
        let table = Table::new(file.heap(index));
        assert_eq!(table.len(), models[index].len() as u64);
        let found = table.get(hash, key.as_bytes()).unwrap().map(|record| record.value_bytes());
        assert_eq!(found, models[index].get(key.as_bytes()).map(Vec::len));
    }
    for (index, model) in models.iter().enumerate() {
        assert_eq!(entries(&Table::new(file.heap(index))), *model);
    }
    let heap = file.heap(0);
    Table::new(heap).clear().unwrap();
    assert_eq!((heap.shard.bytes().1, Table::new(heap).records().count()), (0, 0));
    assert_eq!(entries(&Table::new(file.heap(1))), models[1], "the other shard is as it was");
}

#[test]
fn a_sequence_is_in_order_also_after_its_bookkeeping_was_lost() {
    let file = File::new();
    let mut model: Vec<Vec<u8>> = Vec::new();
    let mut state = 3;
    for step in 0..4000 {
        let value = vec![step as u8; number(&mut state) % 100];
        let index = number(&mut state) % (model.len() + 1);
        match number(&mut state) % 6 {
            0 | 1 if model.len() < 300 => {
                file.change(1, |heap| Sequence::new(heap).extend(&[&value, &value]));
                model.extend([value.clone(), value]);
            }
            2 if model.len() < 300 => {
                file.change(1, |heap| Sequence::new(heap).insert(index, &value));
                model.insert(index, value);
            }
            3 if index < model.len() => {
                file.change(1, |heap| Sequence::new(heap).remove(index));
                model.remove(index);
            }
            4 if index < model.len() => {
                file.change(1, |heap| Sequence::new(heap).set(index, &value));
                model[index] = value;
            }
            _ => {
                Sequence::new(file.heap(1)).pop().unwrap();
                model.pop();
            }
        }
        if step % 50 == 0 {
            let heap = file.heap(1);
            let (held, taken, _) = heap.shard.bytes();
            forget(&heap);
            repair(&heap, Sequence::new(heap).extents()).unwrap();
            assert_eq!((held, taken, 0), heap.shard.bytes(), "the counts were right");
        }
    }
    let items = Sequence::new(file.heap(1)).records().map(|record| {
        let record = record.unwrap();
        let mut bytes = vec![0; record.value_bytes()];
        record.copy_value(&mut bytes);
        bytes
    });
    assert!(items.eq(model));
}

#[test]
fn blocks_that_cannot_be_leave_the_bookkeeping_as_it_was() {
    let file = File::new();
    for step in 0..40_u8 {
        file.change(0, |heap| Table::new(heap).put(u64::from(step), &[step], &[step; 40]));
    }
    let heap = file.heap(0);
    let table = Table::new(heap);
    (0..20_u8).for_each(|step| assert!(table.remove(u64::from(step), &[step]).unwrap()));
    let words = || {
        let shard = heap.shard;
        let counts = [&shard.held, &shard.taken, &shard.freed, &shard.reach];
        let free = shard.bins.iter().chain([&shard.wild, &shard.wild_end]);
        counts.into_iter().chain(free).map(super::Word::load).collect::<Vec<_>>()
    };
    let before = words();
    let mut extents = table.extents().collect::<Result<Vec<_>, _>>().unwrap();
    extents.sort_unstable();
    let wild = Extent { at: extents[10].at + 16, bytes: 16 };
    for wild in [wild, Extent { at: 16 << 20, bytes: 16 }] {
        let mut extents = extents.clone();
        extents.push(wild);
        extents.sort_unstable();
        assert!(heap.refill(&extents).is_err());
        assert_eq!(words(), before);
    }
    heap.refill(&extents).unwrap();
    assert_ne!(words(), before);
}

#[test]
fn what_cannot_be_done_for_want_of_memory_changes_nothing_and_takes_nothing() {
    let file = File::new();
    let all = [[1_u8; 900]; 8];
    file.change(0, |heap| Sequence::new(heap).extend(&all[..2]));
    let heap = file.heap(0);
    let before = heap.shard.bytes().1;
    let list = Sequence::new(heap);
    assert!(matches!(list.extend(&all), Err(Fault::Room(bytes)) if bytes > 900));
    assert_eq!(list.len(), Ok(2));
    // The array may have grown: that is not an item.
    let array = heap.shard.bytes().1 - before;
    assert!(matches!(list.extend(&all), Err(Fault::Room(_))));
    assert_eq!(heap.shard.bytes().1 - before, array, "what was taken was given back");
}

#[test]
fn damaged_words_are_errors_or_wrong_data_and_never_more() {
    let mut state = 11;
    for round in 0..400 {
        let mut file = File::new();
        for step in 0..60_u8 {
            let (hash, key) = (super::hash::hash([1, 2], &[step]), [step]);
            file.change(0, |heap| Table::new(heap).put(hash, &key, &[step; 40]));
            file.change(1, |heap| Sequence::new(heap).extend(&[[step; 40]]));
        }
        for _ in 0..=round % 4 {
            let end = first_segment(256, SHARDS) as usize + 24 * 1024;
            let at = (256 + number(&mut state) % (end - 256)) & !7;
            let nearby = (at as u64 + number(&mut state) as u64 % 4096) & !15;
            let word = [0, 1, u64::MAX, nearby, number(&mut state) as u64][number(&mut state) % 5];
            file.0[at / 4096].0[at % 4096..][..8].copy_from_slice(&word.to_le_bytes());
        }
        let Ok(frame) = Frame::new(file.memory(), 256, SHARDS as u64) else { continue };
        let (heap, other) =
            (frame.heap(0, file.memory()).unwrap(), frame.heap(1, file.memory()).unwrap());
        let (table, list) = (Table::new(heap), Sequence::new(other));
        for step in 0..80_u8 {
            let hash = super::hash::hash([1, 2], &[step]);
            // What comes of these is not known: only that they come to an end.
            let _ = table.get(hash, &[step]).map(|record| record.map(|found| found.value_bytes()));
            let _ = table.put(hash, &[step], &[step; 60]);
            let _ = table.remove(hash, &[step]);
            let _ = list.extend(&[[step; 70]]);
            let _ = list.insert(step as usize, &[1]);
            let _ = list.remove(3);
            let _ = list.pop();
        }
        let _ = table.records().filter(Result::is_ok).count();
        let repaired = repair(&heap, table.extents()).and_then(|()| table.recount());
        let _ = repair(&other, list.extents());
        if repaired.is_err() && heap.end_of_segments().is_ok() {
            let _ = table.clear();
        }
    }
}
