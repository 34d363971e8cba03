//! What maps and lists say when something is wrong, and that their figures fit each other.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod common;

use common::unique;
use crossdock::collections::CollectionOptions;
use crossdock::{Error, ErrorKind, SharedList, SharedMap};
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

/// An even number. Nothing keeps a program from writing an odd one, and nobody reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
struct Even(u64);

impl TryFrom<u64> for Even {
    type Error = &'static str;

    fn try_from(number: u64) -> Result<Self, Self::Error> {
        if number.is_multiple_of(2) { Ok(Self(number)) } else { Err("an odd number") }
    }
}

impl From<Even> for u64 {
    fn from(even: Even) -> Self {
        even.0
    }
}

fn kind_of<T>(outcome: Result<T, Error>) -> Option<ErrorKind> {
    outcome.err().map(|error| error.kind())
}

#[test]
fn a_value_that_nobody_can_read_can_be_replaced_and_removed() {
    let map = SharedMap::<u8, Even>::anonymous().unwrap();
    assert_eq!(map.insert(&1, &Even(1)).unwrap(), None);
    assert_eq!(kind_of(map.get(&1)), Some(ErrorKind::Corrupt));
    assert_eq!(kind_of(map.update(&1, |_| None)), Some(ErrorKind::Corrupt));
    assert_eq!(kind_of(map.get_or_insert_with(&1, || Even(2))), Some(ErrorKind::Corrupt));
    assert_eq!(kind_of(map.retain(|_, _| false)), Some(ErrorKind::Corrupt));
    assert_eq!(kind_of(map.insert_if_absent(&1, &Even(2))), Some(ErrorKind::Corrupt));
    assert!(map.values().all(|value| kind_of(value) == Some(ErrorKind::Corrupt)));
    assert_eq!(map.len().unwrap(), 1, "none of these has changed anything");
    // What was there cannot be told, and it is not there any more.
    assert_eq!(kind_of(map.insert(&1, &Even(2))), Some(ErrorKind::Corrupt));
    assert_eq!(map.insert(&1, &Even(3)).unwrap(), Some(Even(2)));
    assert_eq!(kind_of(map.remove(&1)), Some(ErrorKind::Corrupt));
    assert!(map.is_empty().unwrap());

    let list = SharedList::<Even>::anonymous().unwrap();
    list.extend([Even(1), Even(3), Even(5)]).unwrap();
    assert_eq!(kind_of(list.get(1)), Some(ErrorKind::Corrupt));
    assert_eq!(kind_of(list.update(1, |item| item)), Some(ErrorKind::Corrupt));
    assert_eq!(list.len().unwrap(), 3);
    assert_eq!(kind_of(list.pop()), Some(ErrorKind::Corrupt));
    assert_eq!(kind_of(list.remove(0)), Some(ErrorKind::Corrupt));
    assert_eq!(list.len().unwrap(), 1);
    list.set(0, &Even(4)).unwrap();
    assert_eq!(list.pop().unwrap(), Some(Even(4)));
}

#[test]
fn an_error_says_which_map_or_list_it_is_about() {
    let (name, list_name) = (unique("map"), unique("list"));
    let options = CollectionOptions::new().shards(1).bytes_max(1 << 20);
    let map = options.create_map::<String, Vec<u8>>(&name).unwrap();
    let list = options.create_list::<Vec<u8>>(&list_name).unwrap();
    let mut inside = None;
    map.update("a", |_| {
        inside = map.get("a").err();
        None
    })
    .unwrap();
    let too_long = vec![1; 2 << 20];
    let too_long_a_key = String::from_utf8(too_long.clone()).unwrap();
    for (kind, error) in [
        (ErrorKind::LimitExceeded, map.insert("a", &too_long).unwrap_err()),
        (ErrorKind::LimitExceeded, map.get(too_long_a_key.as_str()).unwrap_err()),
        (ErrorKind::LimitExceeded, map.insert("a", &too_long[..1_040_000].to_vec()).unwrap_err()),
        (ErrorKind::Busy, inside.unwrap()),
    ] {
        assert_eq!((error.kind(), error.name()), (kind, Some(&*name)), "{error}");
        assert!(error.to_string().contains(&format!("map {name:?}")), "{error}");
    }
    for (kind, error) in [
        (ErrorKind::LimitExceeded, list.push(&too_long).unwrap_err()),
        (ErrorKind::InvalidArgument, list.set(0, &vec![]).unwrap_err()),
    ] {
        assert_eq!((error.kind(), error.name()), (kind, Some(&*list_name)), "{error}");
    }
    let nameless = SharedList::<u8>::anonymous().unwrap().set(0, &1).unwrap_err();
    assert_eq!(nameless.name(), None);
    // Those of its bytes as well, as another program finds them.
    let odd = SharedMap::<u8, Even>::create(&unique("odd")).unwrap();
    odd.insert(&1, &Even(1)).unwrap();
    assert_eq!(odd.get(&1).unwrap_err().name(), odd.name());
}

#[test]
fn the_figures_of_a_shard_are_those_of_one_moment() {
    let map = CollectionOptions::new().shards(1).anonymous_map::<u8, [u8; 20]>().unwrap();
    let list = SharedList::<[u8; 20]>::anonymous().unwrap();
    map.insert(&1, &[1; 20]).unwrap();
    list.push(&[1; 20]).unwrap();
    let without = (map.stats().unwrap(), list.stats().unwrap());
    map.insert(&2, &[2; 20]).unwrap();
    list.push(&[2; 20]).unwrap();
    let with = (map.stats().unwrap(), list.stats().unwrap());
    assert!(with.0.used_bytes > without.0.used_bytes && with.1.used_bytes > without.1.used_bytes);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..30_000 {
                map.remove(&2).unwrap();
                list.pop().unwrap();
                map.insert(&2, &[2; 20]).unwrap();
                list.push(&[2; 20]).unwrap();
            }
            is_over.store(true, SeqCst);
        });
        while !is_over.load(SeqCst) {
            let (of_map, of_list) = (map.stats().unwrap(), list.stats().unwrap());
            assert!(of_map == with.0 || of_map == without.0, "{of_map:?}: {with:?}, {without:?}");
            assert!(
                of_list == with.1 || of_list == without.1,
                "{of_list:?}: {with:?}, {without:?}"
            );
        }
    });
}
