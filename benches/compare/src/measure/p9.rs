//! P9: a process is started, runs an empty task, and is joined.

use super::Measure;
use crate::Result;
use crate::bench::Bench;
use crate::pair::Pair;
use crate::place::Priority;
use crate::stats::Samples;
use crate::subject::start::WAYS;
use crate::table::{Comparison, Goal, Row};

pub(super) const MEASURE: Measure =
    Measure { id: "P9", title: "start a process, run an empty task in it, join", run };

/// The rows, in the order in which `subject::start` takes them; the row beside which one stands.
const ROWS: [(&str, Option<(usize, &str, Goal)>); WAYS] = [
    ("floor: posix_spawn of the same program, wait", None),
    ("crossdock: Spawn", Some((0, "posix_spawn", Goal::AtMost(1.3)))),
    ("floor: fork, wait", None),
    ("crossdock: ForkServer", Some((2, "fork", Goal::AtMost(2.0)))),
    ("crossdock: Fork", Some((2, "fork", Goal::Ratio))),
];

/// Starts of one burst, in each way.
const STARTS: usize = 20;

fn run(bench: &Bench) -> Result<Vec<Row>> {
    let rounds = bench.rounds(30, 10);
    let bar = bench.progress("P9", rounds);
    let mut all: [Samples; WAYS] = Default::default();
    // Parent and child have both CPUs, and nobody has a priority that a child would inherit.
    let stand = bench.together(Priority::Ordinary);
    let mut pair = Pair::alone_on(bench, "process-starts", 0, &stand)?;
    // The first round starts the fork server, and does not count.
    for round in 0..=rounds {
        let measured = pair.burst(STARTS, 0)?;
        for (way, samples) in all.iter_mut().enumerate() {
            if round > 0 {
                samples.push_round(measured.iter().skip(way).step_by(WAYS).copied().collect());
            }
        }
        bar.inc(u64::from(round > 0));
    }
    pair.quit()?;
    bar.finish_and_clear();
    Ok(ROWS
        .iter()
        .enumerate()
        .map(|(way, (subject, beside))| {
            let comparison = beside.and_then(|(other, against, goal)| {
                Comparison::of(&all[way], &all[other], against, goal)
            });
            Row::of("P9", subject, 0, &all[way]).against(comparison)
        })
        .collect())
}
