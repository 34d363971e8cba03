//! P6: the first array of a size, and the steady state, against the memory itself.

use super::{MIB, Measure};
use crate::Result;
use crate::bench::Bench;
use crate::pair::Pair;
use crate::stats::Samples;
use crate::table::{Comparison, Goal, Row};

pub(super) const MEASURE: Measure =
    Measure { id: "P6", title: "obtain and fill an array, first and recycled", run };

const SIZES: &[usize] = &[MIB, 64 * MIB];
const FLOORS: [&str; 2] = ["memory-segment", "memory-private"];
const OURS: &str = "crossdock-fill";
/// Fills of one warm burst.
const FILLS: usize = 9;

fn run(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for bytes in SIZES {
        let (floor, ours) = cold(bench, *bytes)?;
        let names = [
            "floor: fresh memfd, MADV_POPULATE_WRITE, fill",
            "crossdock: first array of a size, fill",
        ];
        rows.extend(judge(*bytes, names, &floor, &ours, 1.1));
        let (floor, ours) = warm(bench, *bytes)?;
        let names = ["floor: warm private buffer, fill", "crossdock: recycled array, fill"];
        rows.extend(judge(*bytes, names, &floor, &ours, 1.05));
    }
    Ok(rows)
}

/// A new process for every first array.
fn cold(bench: &Bench, bytes: usize) -> Result<(Samples, Samples)> {
    let rounds = bench.rounds(30, 10);
    let bar = bench.progress("P6", rounds);
    let mut all = [Samples::default(), Samples::default()];
    for _ in 0..rounds {
        for (role, samples) in [FLOORS[0], OURS].into_iter().zip(&mut all) {
            bar.set_message(format!("{role}, first"));
            let mut pair = Pair::alone(bench, role, bytes)?;
            samples.push_round(pair.burst(1, 0)?);
            pair.quit()?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(all.into())
}

/// After so many rounds two new processes, whose buffers lie on other pages.
const ROUNDS_PER_SET: usize = 5;

/// Two processes, a burst each in turn.
fn warm(bench: &Bench, bytes: usize) -> Result<(Samples, Samples)> {
    let sets = bench.rounds(30, 10).div_ceil(ROUNDS_PER_SET);
    let bar = bench.progress("P6", sets);
    bar.set_message("recycled");
    let mut all = [Samples::default(), Samples::default()];
    for _ in 0..sets {
        warm_set(bench, bytes, &mut all)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(all.into())
}

/// The first round warms up and does not count.
fn warm_set(bench: &Bench, bytes: usize, all: &mut [Samples; 2]) -> Result<()> {
    let mut pairs = [Pair::alone(bench, FLOORS[1], bytes)?, Pair::alone(bench, OURS, bytes)?];
    for round in 0..=ROUNDS_PER_SET {
        for (pair, samples) in pairs.iter_mut().zip(&mut *all) {
            let measured = pair.burst(FILLS, 0)?;
            if round > 0 {
                samples.push_round(measured);
            }
        }
    }
    pairs.into_iter().try_for_each(Pair::quit)
}

fn judge(bytes: usize, names: [&str; 2], floor: &Samples, ours: &Samples, limit: f64) -> [Row; 2] {
    let comparison = Comparison::of(ours, floor, "floor", Goal::AtMost(limit));
    let rows = [Row::of("P6", names[0], bytes, floor), Row::of("P6", names[1], bytes, ours)];
    let [floor, ours] = rows;
    [floor, ours.against(comparison)]
}
