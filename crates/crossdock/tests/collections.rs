//! Maps and lists in one process: what they do, what they refuse, how they grow.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod common;

use common::numbers::Numbers;
use common::unique;
use crossdock::collections::CollectionOptions;
use crossdock::process::{self, Process};
use crossdock::{ErrorKind, SharedList, SharedMap, registry};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};

process::init_before_main!();

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Key {
    Number(u64),
    Text(String),
    Pair(i8, Vec<u8>),
}

fn key(numbers: &mut Numbers) -> Key {
    let number = numbers.below(300);
    match number % 3 {
        0 => Key::Number(number),
        1 => Key::Text(format!("key number {number}")),
        _ => Key::Pair(number as i8, vec![number as u8; number as usize % 40]),
    }
}

#[test]
fn a_map_does_what_a_map_of_the_standard_library_does() {
    for shards in [1, 16] {
        let map = CollectionOptions::new().shards(shards).anonymous_map::<Key, Vec<u8>>().unwrap();
        let mut model = HashMap::new();
        let mut numbers = Numbers(88 + shards as u64);
        for step in 0..30_000_u64 {
            let key = key(&mut numbers);
            let value = vec![step as u8; numbers.below(120) as usize];
            match numbers.below(20) {
                0..8 => {
                    let old = map.insert(&key, &value).unwrap();
                    assert_eq!(old, model.insert(key, value));
                }
                8..14 => assert_eq!(map.remove(&key).unwrap(), model.remove(&key)),
                14 => {
                    let there = map.insert_if_absent(&key, &value).unwrap();
                    assert_eq!(there, model.get(&key).cloned());
                    model.entry(key).or_insert(value);
                }
                15 => {
                    let made = map.get_or_insert_with(&key, || value.clone()).unwrap();
                    assert_eq!(made, *model.entry(key).or_insert(value));
                }
                16 => {
                    let there = model.get(&key).cloned();
                    let new = map.update(&key, |old| {
                        assert_eq!(old, there);
                        old.map(|mut old| {
                            old.push(1);
                            old
                        })
                    });
                    if let Some(old) = model.get_mut(&key) {
                        old.push(1);
                    }
                    assert_eq!(new.unwrap(), model.get(&key).cloned());
                }
                17 => {
                    let current = model.get(&key).cloned();
                    let other = vec![7; 200];
                    let refused = map.compare_exchange(&key, Some(&other), None).unwrap();
                    assert_eq!(refused, Err(current.clone()));
                    let done = map.compare_exchange(&key, current.as_ref(), Some(&value)).unwrap();
                    assert_eq!(done, Ok(()));
                    model.insert(key, value);
                }
                _ => {
                    assert_eq!(map.contains_key(&key).unwrap(), model.contains_key(&key));
                    assert_eq!(map.get(&key).unwrap(), model.get(&key).cloned());
                }
            }
        }
        assert_eq!(map.len().unwrap(), model.len());
        let entries = map.iter().collect::<Result<HashMap<_, _>, _>>().unwrap();
        assert_eq!(entries, model);
        assert_eq!(map.keys().count(), model.len());
        let bytes = map.values().map(|value| value.unwrap().len()).sum::<usize>();
        assert_eq!(bytes, model.values().map(Vec::len).sum());
        map.retain(|key, _| matches!(key, Key::Text(_))).unwrap();
        model.retain(|key, _| matches!(key, Key::Text(_)));
        assert_eq!(map.iter().collect::<Result<HashMap<_, _>, _>>().unwrap(), model);
        map.clear().unwrap();
        assert!(map.is_empty().unwrap() && map.iter().next().is_none());
        assert_eq!(map.stats().unwrap().used_bytes, 0);
        map.extend([(Key::Number(1), vec![1]), (Key::Number(2), vec![])]).unwrap();
        assert_eq!(map.len().unwrap(), 2);
    }
}

#[test]
fn a_list_does_what_a_vector_does() {
    let list = SharedList::<String>::anonymous().unwrap();
    let mut model = Vec::new();
    let mut numbers = Numbers(5);
    for step in 0..20_000 {
        let text = "x".repeat(numbers.below(60) as usize) + &step.to_string();
        let index = numbers.below(model.len() as u64 + 1) as usize;
        match numbers.below(12) {
            0..4 => {
                list.push(&text).unwrap();
                model.push(text);
            }
            4..6 => assert_eq!(list.pop().unwrap(), model.pop()),
            6 => {
                list.insert(index, &text).unwrap();
                model.insert(index, text);
            }
            7 if index < model.len() => {
                assert_eq!(list.remove(index).unwrap(), model.remove(index));
            }
            8 if index < model.len() => {
                list.set(index, &text).unwrap();
                model[index] = text;
            }
            9 if index < model.len() => {
                let new = list.update(index, |old| old + "!").unwrap();
                model[index].push('!');
                assert_eq!(new, model[index]);
            }
            10 if step % 10 == 0 => {
                list.extend([&text, &text, &text]).unwrap();
                model.extend([text.clone(), text.clone(), text]);
            }
            _ => assert_eq!(list.get(index).unwrap().as_ref(), model.get(index)),
        }
    }
    assert_eq!(list.len().unwrap(), model.len());
    assert_eq!(list.iter().unwrap().collect::<Result<Vec<_>, _>>().unwrap(), model);
    for error in [
        list.set(model.len(), &String::new()).unwrap_err(),
        list.insert(model.len() + 1, &String::new()).unwrap_err(),
        list.remove(model.len()).unwrap_err(),
        list.update(model.len(), |item| item).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    }
    list.clear().unwrap();
    assert_eq!((list.len().unwrap(), list.pop().unwrap()), (0, None));
    assert_eq!(list.stats().unwrap().used_bytes, 0);
}

#[test]
fn memory_of_what_is_replaced_or_removed_is_used_again() {
    let map = CollectionOptions::new().shards(1).anonymous_map::<u32, Vec<u8>>().unwrap();
    // Each round has values of another size, so that no block fits where one was before.
    let mut reserved = Vec::new();
    for round in 0..60_usize {
        let bytes = 40 + round % 30 * 23;
        for key in 0..20_000 / bytes as u32 {
            map.insert(&key, &vec![1; bytes]).unwrap();
        }
        for key in 0..20_000 / bytes as u32 {
            map.insert(&key, &vec![2; bytes]).unwrap();
            map.remove(&key).unwrap();
        }
        reserved.push(map.stats().unwrap().reserved_bytes);
    }
    assert!(map.is_empty().unwrap());
    assert_eq!(reserved[30], reserved[59], "it grows no more: {reserved:?}");
    assert!(reserved[59] <= 4 * 32_000, "{reserved:?}");
}

#[test]
fn a_map_grows_from_nothing_and_all_entries_stay() {
    let map = SharedMap::<u64, u64>::anonymous().unwrap();
    assert_eq!(map.stats().unwrap().reserved_bytes, 0);
    for key in 0..100_000 {
        assert_eq!(map.insert(&key, &(key * 3)).unwrap(), None);
    }
    for key in 0..100_000 {
        assert_eq!(map.get(&key).unwrap(), Some(key * 3));
    }
    let stats = map.stats().unwrap();
    assert_eq!(stats.len, 100_000);
    assert!(stats.capacity >= stats.len && stats.used_bytes <= stats.reserved_bytes);
    assert!(stats.reserved_bytes < 20_000_000, "{stats:?}");
}

#[test]
fn what_is_too_long_is_refused_and_the_array_named() {
    let map = SharedMap::<String, Vec<u8>>::anonymous().unwrap();
    let longest = vec![1; crossdock::process::INLINE_BYTES_MAX - 3];
    map.insert("longest", &longest).unwrap();
    assert_eq!(map.get("longest").unwrap(), Some(longest.clone()));
    let error = map.insert("longest", &vec![1; longest.len() + 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.to_string().contains("crossdock::Array"), "{error}");
    assert_eq!(map.get("longest").unwrap(), Some(longest));
    let list = SharedList::<Vec<u8>>::anonymous().unwrap();
    assert_eq!(list.push(&vec![1; 2 << 20]).unwrap_err().kind(), ErrorKind::LimitExceeded);
}

#[test]
fn a_map_that_may_not_grow_says_so_and_stays_as_it_is() {
    let options = CollectionOptions::new().shards(1).bytes_max(64 << 10);
    let map = options.anonymous_map::<u32, [u8; 32]>().unwrap();
    let mut keys = 0..;
    let error = loop {
        if let Err(error) = map.insert(&keys.next().unwrap(), &[7; 32]) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.to_string().contains("64.0 KiB"), "{error}");
    let len = map.len().unwrap();
    assert!(len > 300, "{len} entries");
    assert_eq!(map.iter().collect::<Result<HashMap<_, _>, _>>().unwrap().len(), len);
    for key in 0..len as u32 / 2 {
        assert!(map.remove(&key).unwrap().is_some());
    }
    map.insert(&1_000_000, &[8; 32]).unwrap();
    for entries in [usize::MAX, usize::MAX / 16, 1 << 30] {
        let many = options.capacity(entries).anonymous_map::<u8, u8>().unwrap_err();
        assert_eq!(many.kind(), ErrorKind::LimitExceeded, "{many}");
    }
    let tiny = CollectionOptions::new().bytes_max(1000).anonymous_map::<u8, u8>().unwrap_err();
    assert_eq!(tiny.kind(), ErrorKind::InvalidArgument);
    let none = CollectionOptions::new().shards(0).anonymous_map::<u8, u8>().unwrap_err();
    assert_eq!(none.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn another_type_is_an_error_that_names_both() {
    let name = unique("map");
    let map = SharedMap::<String, u64>::create(&name).unwrap();
    map.insert("one", &1).unwrap();
    let error = SharedMap::<String, i64>::open(&name).unwrap_err();
    assert_eq!((error.kind(), error.name()), (ErrorKind::WrongType, Some(&*name)));
    assert!(error.to_string().contains("String, i64"), "{error}");
    assert!(error.to_string().contains("String, u64"), "{error}");
    assert_eq!(SharedList::<u64>::open(&name).unwrap_err().kind(), ErrorKind::WrongKind);
    assert_eq!(SharedList::<u64>::unlink(&name).unwrap_err().kind(), ErrorKind::WrongKind);
    let again = SharedMap::<String, u64>::create(&name).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    let same = SharedMap::<String, u64>::open_or_create(&name).unwrap();
    assert_eq!(same.get("one").unwrap(), Some(1));
}

#[test]
fn names_are_listed_with_their_types_and_go_with_the_last_user() {
    let (map_name, list_name) = (unique("map"), unique("list"));
    let map = SharedMap::<String, Vec<Key>>::create(&map_name).unwrap();
    let list = SharedList::<f64>::create(&list_name).unwrap();
    let entry = registry::inspect(&map_name).unwrap();
    assert_eq!(entry.kind, registry::Kind::Map);
    assert_eq!(entry.layout.as_deref(), Some("String, Vec<Key>"));
    assert!(entry.is_attached && !entry.is_persistent);
    let before = entry.len_bytes;
    map.insert("many", &vec![Key::Number(1); 1000]).unwrap();
    assert!(registry::inspect(&map_name).unwrap().len_bytes > before);
    assert_eq!(registry::inspect(&list_name).unwrap().kind, registry::Kind::List);
    assert!(format!("{map:?} {list:?}").contains(&list_name));
    assert_eq!((map.name(), list.name()), (Some(&*map_name), Some(&*list_name)));
    let clone = map.clone();
    drop(map);
    assert_eq!(clone.len().unwrap(), 1);
    drop((clone, list));
    for name in [map_name, list_name] {
        assert_eq!(registry::inspect(&name).unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[test]
fn a_persistent_map_is_there_when_nobody_uses_it() {
    let name = unique("map");
    let map = SharedMap::<u8, u8>::create(&name).unwrap();
    map.insert(&1, &2).unwrap();
    map.persist().unwrap();
    drop(map);
    assert_eq!(SharedMap::<u8, u8>::open(&name).unwrap().get(&1).unwrap(), Some(2));
    SharedMap::<u8, u8>::unlink(&name).unwrap();
    assert_eq!(SharedMap::<u8, u8>::open(&name).unwrap_err().kind(), ErrorKind::NotFound);
    let anonymous = SharedMap::<u8, u8>::anonymous().unwrap();
    assert_eq!(anonymous.persist().unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn a_closure_that_calls_back_is_refused_and_one_that_panics_changes_nothing() {
    let map = SharedMap::<u8, u64>::anonymous().unwrap();
    let (same, other) = (map.clone(), SharedMap::<u8, u64>::anonymous().unwrap());
    let list = SharedList::<u64>::anonymous().unwrap();
    list.push(&1).unwrap();
    map.insert(&1, &10).unwrap();
    let new = map.update(&1, |old| {
        for error in [
            same.get(&1).unwrap_err(),
            same.insert(&2, &1).unwrap_err(),
            same.len().unwrap_err(),
            same.iter().next().unwrap().unwrap_err(),
            same.clear().unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        }
        assert!(format!("{same:?}").contains("Busy"));
        other.insert(&1, &1).unwrap();
        let changed = list.update(0, |one| {
            assert_eq!(list.len().unwrap_err().kind(), ErrorKind::Busy);
            assert_eq!(same.get(&1).unwrap_err().kind(), ErrorKind::Busy);
            one + other.get(&1).unwrap().unwrap()
        });
        old.map(|old| old + changed.unwrap())
    });
    assert_eq!(new.unwrap(), Some(12));
    for shot in [
        catch_unwind(AssertUnwindSafe(|| map.update(&1, |_| panic!("a panic")).is_ok())),
        catch_unwind(AssertUnwindSafe(|| map.get_or_insert_with(&9, || panic!("a panic")).is_ok())),
        catch_unwind(AssertUnwindSafe(|| map.retain(|_, _| panic!("a panic")).is_ok())),
        catch_unwind(AssertUnwindSafe(|| list.update(0, |_| panic!("a panic")).is_ok())),
    ] {
        assert_eq!(*shot.unwrap_err().downcast::<&str>().unwrap(), "a panic");
    }
    assert_eq!((map.get(&1).unwrap(), map.len().unwrap()), (Some(12), 1));
    assert_eq!(list.get(0).unwrap(), Some(2));
}

#[test]
fn threads_lose_no_update_and_no_push() {
    let map = SharedMap::<String, u64>::anonymous().unwrap();
    let list = SharedList::<u64>::anonymous().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (map, list) = (&map, &list);
            scope.spawn(move || {
                for step in 0..2500 {
                    map.update("count", |count| Some(count.unwrap_or(0) + 1)).unwrap();
                    map.insert(&format!("{thread}/{step}"), &step).unwrap();
                    list.push(&(thread * 10_000 + step)).unwrap();
                }
            });
        }
    });
    assert_eq!(map.get("count").unwrap(), Some(10_000));
    assert_eq!(map.len().unwrap(), 10_001);
    let items = list.iter().unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    let mut of_thread = BTreeMap::<u64, Vec<u64>>::new();
    items.iter().for_each(|item| of_thread.entry(item / 10_000).or_default().push(item % 10_000));
    assert!(of_thread.values().all(|steps| steps.iter().copied().eq(0..2500)));
}

#[test]
fn keys_of_zero_bytes_and_borrowed_keys_are_keys() {
    let map = SharedMap::<(), u8>::anonymous().unwrap();
    assert_eq!((map.insert(&(), &1).unwrap(), map.insert(&(), &2).unwrap()), (None, Some(1)));
    let set = SharedMap::<Vec<u16>, ()>::anonymous().unwrap();
    set.insert(&[1, 2][..], &()).unwrap();
    assert!(set.contains_key(&vec![1, 2]).unwrap());
    assert_eq!(set.keys().next().unwrap().unwrap(), [1, 2]);
}

/// Counts words in a map, and says which came first.
fn count((words, map, list): (Vec<String>, SharedMap<String, u64>, SharedList<String>)) -> usize {
    for word in &words {
        let count = map.update(word.as_str(), |count| Some(count.unwrap_or(0) + 1)).unwrap();
        if count == Some(1) {
            list.push(word).unwrap();
        }
    }
    words.len()
}

#[test]
fn maps_and_lists_travel_to_other_processes() {
    let map = SharedMap::create(&unique("map")).unwrap();
    let list = SharedList::create(&unique("list")).unwrap();
    let words = ["to", "be", "or", "not", "to", "be"].map(str::to_owned).to_vec();
    let started =
        [0, 1].map(|_| Process::spawn(count, (words.clone(), map.clone(), list.clone())).unwrap());
    for child in started {
        assert_eq!(child.join().unwrap(), 6);
    }
    assert_eq!(map.get("be").unwrap(), Some(4));
    assert_eq!((map.len().unwrap(), list.len().unwrap()), (4, 4));
    let nameless = SharedMap::<u8, u8>::anonymous().unwrap();
    let error = Process::spawn(|map: SharedMap<u8, u8>| map.len().unwrap(), nameless).unwrap_err();
    assert!(error.to_string().contains("a SharedMap without a name"), "{error}");
}

#[test]
fn what_is_no_bytes_is_refused_as_a_value() {
    let map = SharedMap::<u8, crossdock::Array<f32>>::anonymous().unwrap();
    let array = crossdock::Array::from_slice(&[1.0_f32; 8]).unwrap();
    let error = map.insert(&1, &array).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert!(map.is_empty().unwrap());
}

#[test]
fn a_handle_that_has_not_seen_it_grow_retains_what_it_is_to() {
    let name = common::unique("retained");
    let small = SharedMap::<u64, String>::create(&name).unwrap();
    let other = SharedMap::<u64, String>::open(&name).unwrap();
    for key in 0..2000 {
        small.insert(&key, &"x".repeat(500)).unwrap();
    }
    other.retain(|key, _| *key < 100).unwrap();
    assert_eq!(small.len().unwrap(), 100);
}
