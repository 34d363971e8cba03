//! P9: a process is started, runs an empty task, and is joined.

use super::Measure;
use super::turns::{self, Turns};
use crate::Result;
use crate::bench::Bench;
use crate::subject::start::WAYS;
use crate::table::{Comparison, Goal, Row};

pub(super) const MEASURE: Measure =
    Measure { id: "P9", title: "start a process, run an empty task in it, join", run };

/// The row beside which another stands: its number, what it is called there, and what is wanted.
type Beside = Option<(usize, &'static str, Goal)>;

/// The rows, in the order in which `subject::start` takes them.
const ROWS: [(&str, Beside); WAYS] = [
    ("floor: posix_spawn of the same program, wait", None),
    ("crossdock: Spawn", Some((0, "posix_spawn", Goal::AtMost(1.3)))),
    ("floor: fork, wait", None),
    ("crossdock: ForkServer", Some((2, "fork", Goal::AtMost(2.0)))),
    ("crossdock: Fork", Some((2, "fork", Goal::Ratio))),
];

/// Starts of one burst, in each way.
const STARTS: usize = 20;

fn run(bench: &Bench) -> Result<Vec<Row>> {
    let turns: Turns<WAYS, 0> = turns::take(bench, "P9", "process-starts", None, STARTS)?;
    Ok(ROWS
        .iter()
        .enumerate()
        .map(|(way, (subject, beside))| {
            let comparison = beside.and_then(|(other, against, goal)| {
                Comparison::of(&turns.here[way], &turns.here[other], against, goal)
            });
            Row::of("P9", subject, 0, &turns.here[way]).against(comparison)
        })
        .collect())
}
