//! Maps and lists between real processes, some of which are killed.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod common;

use common::numbers::Numbers;
use common::{Actor, Lab, await_cue, plays, say};
use crossdock::collections::CollectionOptions;
use crossdock::{Atomic, SharedList, SharedMap, Value};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// How often two processes are killed in one run of the test.
const ROUNDS: u64 = 120;
/// Keys of each victim.
const KEYS: u64 = 40;

type Words = Value<[Atomic<u64>]>;

fn number(name: &str) -> u64 {
    std::env::var(name).unwrap().parse().unwrap()
}

// Two who count.

#[test]
fn counts() {
    if plays("counts") {
        let map = SharedMap::<String, u64>::open("m").unwrap();
        say("ready");
        await_cue();
        for _ in 0..100_000 {
            map.update("count", |count| Some(count.unwrap_or(0) + 1)).unwrap();
        }
    }
}

#[test]
fn makes_what_is_counted() {
    if plays("makes_what_is_counted") {
        let map = SharedMap::<String, u64>::create("m").unwrap();
        say("made");
        await_cue();
        assert_eq!(map.get("count").unwrap(), Some(200_000));
    }
}

#[test]
fn two_processes_that_count_lose_nothing() {
    let lab = Lab::new();
    let mut maker = lab.start("makes_what_is_counted");
    maker.expect("made");
    let mut counters = [lab.start("counts"), lab.start("counts")];
    counters.iter_mut().for_each(|counter| counter.expect("ready"));
    counters.iter_mut().for_each(Actor::cue);
    counters.into_iter().for_each(Actor::finish);
    maker.cue();
    maker.finish();
}

// Victims that insert, replace and remove until they are killed, and what must be true then.

/// One step of a victim, which its number and the victim's seed say.
#[derive(Clone, Copy, Debug)]
enum Step {
    Put(u64, usize),
    Remove(u64),
    Grow(u64),
}

fn step(numbers: &mut Numbers) -> Step {
    let key = numbers.below(KEYS);
    match numbers.below(5) {
        0 | 1 => Step::Put(key, numbers.below(400) as usize),
        2 => Step::Remove(key),
        _ => Step::Grow(key),
    }
}

fn value_of(key: u64, len: usize) -> Vec<u8> {
    vec![key as u8 + 1; len]
}

fn apply(model: &mut BTreeMap<u64, Vec<u8>>, step: Step) {
    match step {
        Step::Put(key, len) => drop(model.insert(key, value_of(key, len))),
        Step::Remove(key) => drop(model.remove(&key)),
        Step::Grow(key) => {
            if let Some(value) = model.get_mut(&key) {
                value.push(key as u8 + 1);
            }
        }
    }
}

#[test]
fn changes_until_it_is_killed() {
    if !plays("changes_until_it_is_killed") {
        return;
    }
    let (me, seed) = (number("ME"), number("SEED"));
    let map = SharedMap::<(u64, u64), Vec<u8>>::open("m").unwrap();
    let list = SharedList::<(u64, u64)>::open("l").unwrap();
    let done = Words::open("done").unwrap();
    let (map_done, list_done) = (&done[2 * me as usize], &done[2 * me as usize + 1]);
    let mut numbers = Numbers(seed);
    say("changes");
    for count in 1.. {
        match step(&mut numbers) {
            Step::Put(key, len) => drop(map.insert(&(me, key), &value_of(key, len)).unwrap()),
            Step::Remove(key) => drop(map.remove(&(me, key)).unwrap()),
            Step::Grow(key) => {
                let grown = map.update(&(me, key), |value| {
                    let mut value = value?;
                    value.push(key as u8 + 1);
                    Some(value)
                });
                grown.unwrap();
            }
        }
        map_done.store(count, SeqCst);
        list.extend([(me, 2 * count), (me, 2 * count + 1)]).unwrap();
        list_done.store(count, SeqCst);
    }
}

/// Whether what a victim has left is what it had said, and perhaps the one step that it was at.
fn check_map(
    found: &BTreeMap<u64, Vec<u8>>,
    model: &mut BTreeMap<u64, Vec<u8>>,
    seed: u64,
    done: u64,
) {
    let mut numbers = Numbers(seed);
    (0..done).for_each(|_| apply(model, step(&mut numbers)));
    if found != model {
        let last = step(&mut numbers);
        apply(model, last);
        assert!(found == model, "after {done} steps, and perhaps {last:?}");
    }
}

#[test]
fn keeps_the_books() {
    if !plays("keeps_the_books") {
        return;
    }
    let map = CollectionOptions::new().shards(4).create_map::<(u64, u64), Vec<u8>>("m").unwrap();
    let list = SharedList::<(u64, u64)>::create("l").unwrap();
    let done = Words::create_slice("done", 4, |_| Atomic::new(0)).unwrap();
    let mut models = [BTreeMap::new(), BTreeMap::new()];
    say("made");
    for round in 0..ROUNDS {
        await_cue();
        let entries = map.iter().map(Result::unwrap).collect::<Vec<_>>();
        assert_eq!(map.len().unwrap(), entries.len());
        let items = list.iter().unwrap().collect::<Result<Vec<_>, _>>().unwrap();
        for (me, model) in models.iter_mut().enumerate() {
            let mine = entries.iter().filter(|((owner, _), _)| *owner == me as u64);
            let mine = mine.map(|((_, key), value)| (*key, value.clone())).collect();
            check_map(&mine, model, round * 2 + me as u64 + 1, done[2 * me].load(SeqCst));
            let pushed = items.iter().filter(|(owner, _)| *owner == me as u64);
            let pushed = pushed.map(|(_, number)| *number).collect::<Vec<_>>();
            let count = done[2 * me + 1].load(SeqCst);
            let is_whole = pushed.len().is_multiple_of(2) && pushed.len() as u64 / 2 >= count;
            assert!(is_whole && pushed.len() as u64 / 2 <= count + 1, "{count}: {pushed:?}");
            assert!(pushed.iter().copied().eq(2..pushed.len() as u64 + 2), "in order");
            done[2 * me].store(0, SeqCst);
            done[2 * me + 1].store(0, SeqCst);
        }
        list.clear().unwrap();
        say("in order");
    }
    // No memory is lost: when all is removed, all is free.
    for (me, key) in
        models.iter().enumerate().flat_map(|(me, m)| m.keys().map(move |key| (me, *key)))
    {
        assert!(map.remove(&(me as u64, key)).unwrap().is_some());
    }
    map.clear().unwrap();
    let stats = map.stats().unwrap();
    assert_eq!((stats.len, stats.used_bytes), (0, 0));
    assert!(stats.reserved_bytes < 1 << 20, "{stats:?}");
}

#[test]
fn writers_that_are_killed_anywhere_leave_what_they_have_said_and_at_most_one_step_more() {
    let lab = Lab::new();
    let mut keeper = lab.start("keeps_the_books");
    keeper.expect("made");
    let mut numbers = Numbers(std::process::id().into());
    for round in 0..ROUNDS {
        let mut victims = [0, 1].map(|me| {
            let seed = round * 2 + me + 1;
            let env = [("ME", &*me.to_string()), ("SEED", &*seed.to_string())];
            lab.start_with("changes_until_it_is_killed", &env)
        });
        victims.iter_mut().for_each(|victim| victim.expect("changes"));
        for victim in &mut victims {
            // This only bounds how many steps it makes; where it is then is for chance to say.
            std::thread::sleep(Duration::from_micros(numbers.below(3000)));
            victim.kill();
        }
        keeper.cue();
        keeper.expect("in order");
    }
    keeper.finish();
}

// Somebody who is killed while others cannot go on without him.

#[test]
fn stays_in_a_closure() {
    if plays("stays_in_a_closure") {
        let map = SharedMap::<u8, u64>::open("m").unwrap();
        let list = SharedList::<u8>::open("l").unwrap();
        map.update(&1, |_| {
            list.update(0, |_| {
                say("inside");
                await_cue();
                7
            })
            .unwrap();
            None
        })
        .unwrap();
    }
}

#[test]
fn goes_on_without_the_dead() {
    if plays("goes_on_without_the_dead") {
        let map = CollectionOptions::new().shards(1).create_map::<u8, u64>("m").unwrap();
        let list = SharedList::<u8>::create("l").unwrap();
        map.insert(&1, &100).unwrap();
        list.push(&1).unwrap();
        say("made");
        await_cue();
        // Several at once, one of whom puts it in order.
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| assert_eq!(map.get(&1).unwrap(), Some(100)));
                scope.spawn(|| assert_eq!(list.get(0).unwrap(), Some(1)));
            }
        });
        assert_eq!(map.insert(&1, &101).unwrap(), Some(100));
        assert_eq!((map.len().unwrap(), list.pop().unwrap()), (1, Some(1)));
    }
}

#[test]
fn a_process_that_is_killed_in_its_closure_has_changed_nothing_and_keeps_nobody_out() {
    let lab = Lab::new();
    let mut survivor = lab.start("goes_on_without_the_dead");
    survivor.expect("made");
    let mut victim = lab.start("stays_in_a_closure");
    victim.expect("inside");
    victim.kill();
    survivor.cue();
    survivor.finish();
}

// Growth under the eyes of readers.

#[test]
fn reads_while_it_grows() {
    if !plays("reads_while_it_grows") {
        return;
    }
    let map = SharedMap::<u64, Vec<u64>>::open("m").unwrap();
    let list = SharedList::<u64>::open("l").unwrap();
    let written = Value::<Atomic<u64>>::open("written").unwrap();
    let mut numbers = Numbers(std::process::id().into());
    say("reads");
    let mut rounds = 0;
    while written.load(SeqCst) < GROWN {
        let count = written.load(SeqCst);
        if count > 0 {
            let key = numbers.below(count);
            let len = (key % 30) as usize;
            assert_eq!(map.get(&key).unwrap(), Some(vec![key; len]), "key {key} of {count}");
            assert_eq!(list.get(key as usize).unwrap(), Some(key));
        }
        if rounds % 500 == 0 {
            assert!(map.keys().map(Result::unwrap).count() as u64 >= count);
            assert!(list.iter().unwrap().map(Result::unwrap).take(count as usize).eq(0..count));
        }
        rounds += 1;
    }
}

const GROWN: u64 = 30_000;

#[test]
fn grows() {
    if plays("grows") {
        let map = SharedMap::<u64, Vec<u64>>::create("m").unwrap();
        let list = SharedList::<u64>::create("l").unwrap();
        let written = Value::create("written", Atomic::new(0_u64)).unwrap();
        say("made");
        await_cue();
        for key in 0..GROWN {
            map.insert(&key, &vec![key; (key % 30) as usize]).unwrap();
            list.push(&key).unwrap();
            written.store(key + 1, SeqCst);
        }
        await_cue();
        assert_eq!(map.len().unwrap() as u64, GROWN);
    }
}

#[test]
fn readers_see_every_entry_while_the_map_grows() {
    let lab = Lab::new();
    let mut writer = lab.start("grows");
    writer.expect("made");
    let mut readers = [lab.start("reads_while_it_grows"), lab.start("reads_while_it_grows")];
    readers.iter_mut().for_each(|reader| reader.expect("reads"));
    writer.cue();
    readers.into_iter().for_each(Actor::finish);
    writer.cue();
    writer.finish();
}
