//! Maps: ours, and the least that a map with a lock is, inside one process.
//!
//! One process plays all of them, in turn, so that whatever slows the machine down slows all of them down.

use std::collections::HashMap;
use std::hint::black_box;

use crossdock::SharedMap;
use parking_lot::Mutex;

use crate::Result;
use crate::clock::now_ns;
use crate::control::Control;
use crate::place::Place;
use crate::play::bursts;

/// What is done, in the order of the samples: insert, get and add one, in each of the two.
pub(crate) const WAYS: usize = 6;
/// Entries, all of which a sample goes through once.
const ENTRIES: u64 = 1000;

/// Goes through the entries as often as the parent wants; [`WAYS`] samples a time, in nanoseconds per entry.
pub(crate) fn maps(place: &Place, control: &mut Control) -> Result<()> {
    let floor = Mutex::new(HashMap::<u64, u64>::new());
    let ours = SharedMap::<u64, u64>::create(&place.id)?;
    control.token("")?;
    let mut round = 0;
    bursts(control, || {
        round += 1;
        all_ways(&floor, &ours, round)
    })
}

fn all_ways(
    floor: &Mutex<HashMap<u64, u64>>,
    ours: &SharedMap<u64, u64>,
    round: u64,
) -> Result<[f64; WAYS]> {
    let is_there = |key: u64, value: Option<u64>, wanted: u64| match value {
        Some(value) if value == wanted => Ok(()),
        other => Err(format!("{other:?} under {key}, where {wanted} is")),
    };
    Ok([
        timed(|key| {
            black_box(floor.lock().insert(key, key + round));
            Ok(())
        })?,
        timed(|key| Ok(is_there(key, floor.lock().get(&key).copied(), key + round)?))?,
        timed(|key| {
            let mut floor = floor.lock();
            *floor.entry(key).or_default() += 1;
            Ok(())
        })?,
        timed(|key| {
            black_box(ours.insert(&key, &(key + round))?);
            Ok(())
        })?,
        timed(|key| Ok(is_there(key, ours.get(&key)?, key + round)?))?,
        timed(|key| {
            let new = ours.update(&key, |value| Some(value.unwrap_or_default() + 1))?;
            Ok(is_there(key, new, key + round + 1)?)
        })?,
    ])
}

/// Nanoseconds per entry.
fn timed(mut each: impl FnMut(u64) -> Result<()>) -> Result<f64> {
    let start_ns = now_ns();
    for key in 0..ENTRIES {
        each(black_box(key))?;
    }
    Ok((now_ns() - start_ns) as f64 / ENTRIES as f64)
}
