//! Maps: what the dead were doing has happened or has not, nothing else has changed, and no memory is lost.

use super::Play;
use super::traffic::keep;
use crate::library::board::{Actor, Done, Wrong, wrong};
use crate::library::case::Case;
use crossdock::SharedMap;
use crossdock::collections::CollectionOptions;
use std::collections::BTreeMap;

const NAME: &str = "map";
/// What the victim says of what it does, and whoever recovers of what he does.
const OF_VICTIM: usize = 1;
const OF_RECOVERER: usize = 2;
/// The key of whoever recovers, and of the house.
const RECOVERERS: u8 = 100;
const HOUSES: u8 = 101;
/// Bytes of the record of each entry.
const RECORD_BYTES: u64 = 48;

/// With its tag it takes one size of block, whatever it is.
type Data = [u8; 20];
type Map = SharedMap<u8, Data>;
type Model = BTreeMap<u8, Data>;

pub(super) fn play() -> Play {
    let cases = vec![
        case::<INSERT>("insert").brief().recoverer(recovers),
        case::<REPLACE>("insert, in place of another").brief().recoverer(recovers),
        case::<REMOVE>("remove").recoverer(recovers),
        case::<UPDATE>("update").recoverer(recovers),
        case::<FIRST>("insert, the first one: a table and memory").recoverer(recovers),
        case::<GROW>("insert, the table grows").recoverer(recovers),
        case::<MEMORY>("insert, the memory grows"),
        case::<TIDY>("insert, free memory is put together").recoverer(recovers),
        case::<CLEAR>("clear"),
        case::<GET>("get"),
        Case::new("create", creates, newcomer).newcomer(),
        Case::new("open", opens, lives::<GET>),
    ];
    Play { name: "map", cases }
}

const INSERT: u8 = 0;
const REPLACE: u8 = 1;
const REMOVE: u8 = 2;
const UPDATE: u8 = 3;
const FIRST: u8 = 4;
const GROW: u8 = 5;
const MEMORY: u8 = 6;
const TIDY: u8 = 7;
const CLEAR: u8 = 8;
const GET: u8 = 9;

fn case<const WHAT: u8>(name: &'static str) -> Case {
    Case::new(name, dies::<WHAT>, lives::<WHAT>)
}

fn data(number: u8) -> Data {
    [number; 20]
}

/// What is in the map when the victim begins.
fn before(what: u8) -> Model {
    let count = match what {
        FIRST => 0,
        // A table of eight has room for six.
        GROW => 6,
        // Two pages are not enough for more.
        MEMORY => 76,
        _ => 5,
    };
    (1..=count).map(|key| (key, data(key))).collect()
}

/// What it does to the map.
fn act(what: u8, map: &Map) -> Done {
    match what {
        REPLACE => drop(map.insert(&3, &data(50))?),
        REMOVE => drop(map.remove(&3)?),
        UPDATE => drop(map.update(&3, |old| old.map(|old| data(old[0] + 50)))?),
        CLEAR => map.clear()?,
        GET => drop(map.get(&3)?),
        _ => drop(map.insert(&90, &data(90))?),
    }
    Ok(())
}

/// What is in the map when it is done.
fn after(what: u8) -> Model {
    let mut model = before(what);
    match what {
        REPLACE => drop(model.insert(3, data(50))),
        REMOVE => drop(model.remove(&3)),
        UPDATE => drop(model.insert(3, data(53))),
        CLEAR => model.clear(),
        GET => {}
        _ => drop(model.insert(90, data(90))),
    }
    model
}

fn make(what: u8) -> Result<Map, Wrong> {
    let map: Map = CollectionOptions::new().shards(1).create_map(NAME)?;
    if what == TIDY {
        // All of two pages is in use, and then most of it is free, in pieces.
        (1..=76).try_for_each(|key| map.insert(&key, &data(key)).map(drop))?;
        (6..=76).try_for_each(|key| map.remove(&key).map(drop))?;
        return Ok(map);
    }
    for (key, value) in before(what) {
        map.insert(&key, &value)?;
    }
    Ok(map)
}

// Who dies.

fn dies<const WHAT: u8>(a: Actor) -> Done {
    let map = Map::open(NAME)?;
    a.sending(OF_VICTIM);
    a.begin();
    act(WHAT, &map)?;
    a.sent(OF_VICTIM);
    keep(map)
}

/// Comes after the victim, looks at the map, and adds to it.
fn recovers(a: Actor) -> Done {
    let map = Map::open(NAME)?;
    a.sending(OF_RECOVERER);
    a.await_go();
    map.len()?;
    map.insert(&RECOVERERS, &data(RECOVERERS))?;
    a.sent(OF_RECOVERER);
    keep(map)
}

fn creates(a: Actor) -> Done {
    // The process is a party before.
    let first = Map::anonymous()?;
    a.begin();
    let map = Map::create(NAME)?;
    map.insert(&1, &data(1))?;
    keep((first, map))
}

fn opens(a: Actor) -> Done {
    let first = Map::anonymous()?;
    a.begin();
    keep((first, Map::open(NAME)?))
}

// The house.

fn lives<const WHAT: u8>(a: Actor) -> Done {
    let map = make(WHAT)?;
    a.ready();
    a.await_go();
    let mut found = map.iter().collect::<Result<Model, _>>()?;
    a.go_on();
    check_recoverer(a, &mut found)?;
    let is_done = a.sends(OF_VICTIM..OF_VICTIM + 1).contains(&(OF_VICTIM, true));
    if found != after(WHAT) && (is_done || found != before(WHAT)) {
        let keys: Vec<_> = found.keys().collect();
        return wrong(format_args!("the map has the keys {keys:?}, and was {is_done} to be changed"));
    }
    goes_on(&map)
}

/// Whether the entry of whoever recovered is as he has said; takes it out of what was found.
fn check_recoverer(a: Actor, found: &mut Model) -> Done {
    let is_done = a.sends(OF_RECOVERER..OF_RECOVERER + 1).contains(&(OF_RECOVERER, true));
    match found.remove(&RECOVERERS) {
        None if is_done => wrong("what the second one to die had inserted is lost"),
        Some(value) if value != data(RECOVERERS) => wrong("a value is not whole"),
        _ => Ok(()),
    }
}

/// Uses the map, and looks whether its memory is all there.
fn goes_on(map: &Map) -> Done {
    let before = map.iter().collect::<Result<Model, _>>()?;
    check_memory(map, before.len())?;
    for round in 0..3 {
        for key in HOUSES..HOUSES + 12 {
            map.insert(&key, &data(key + round))?;
        }
        check_memory(map, before.len() + 12)?;
        for key in HOUSES..HOUSES + 12 {
            if map.remove(&key)? != Some(data(key + round)) {
                return wrong("what was inserted is not there");
            }
        }
    }
    check_memory(map, before.len())?;
    if map.iter().collect::<Result<Model, _>>()? != before {
        return wrong("the map has changed by itself");
    }
    map.clear()?;
    map.insert(&1, &data(1))?;
    check_memory(map, 1)
}

/// As much is in use as so many entries and their table take.
fn check_memory(map: &Map, entries: usize) -> Done {
    let stats = map.stats()?;
    let table = (stats.capacity / 3 * 4 * 8) as u64;
    let wanted = table + entries as u64 * RECORD_BYTES;
    if (stats.len, stats.used_bytes) == (entries, wanted) && stats.reserved_bytes >= wanted {
        return Ok(());
    }
    wrong(format_args!("{stats:?}, where {entries} entries take {wanted} bytes"))
}

/// Has the name, or makes it anew.
fn newcomer(a: Actor) -> Done {
    a.await_go();
    let map: Map = CollectionOptions::new().shards(1).open_or_create_map(NAME)?;
    map.insert(&2, &data(2))?;
    a.go_on();
    goes_on(&map)
}
