//! P10: tasks in worker processes that are already there.

use super::Measure;
use super::turns::{self, Turns};
use crate::Result;
use crate::bench::Bench;
use crate::subject::pool::WAYS;
use crate::subject::python;
use crate::table::{Comparison, Goal, Row};

pub(super) const MEASURE: Measure = Measure {
    id: "P10",
    title: "an empty task in a pool: to and fro with 1 worker; each of many with 2 workers, called one by one; each of a map",
    run,
};

/// What is done, in the order of the samples of ours and of Python's.
const ACTS: [&str; 3] = ["to and fro", "each of many, one by one", "each of a map"];
const FLOOR: &str = "floor: raw futex, to and fro";
const OURS: &str = "crossdock: Pool";
const RIVAL: &str = "procspawn: Pool";
const PYTHON: [&str; 2] = ["Python Pool", "Python ProcessPoolExecutor"];
/// Samples of one burst.
const SAMPLES: usize = 5;

/// What is asked of ours against the floor, procspawn and Python's two; `None` where they do nothing like it.
const GOALS: [(Option<Goal>, Option<Goal>, Goal); ACTS.len()] = [
    (Some(Goal::AtMost(2.0)), Some(Goal::AtLeast(4.0)), Goal::AtLeast(10.0)),
    (None, Some(Goal::AtLeast(4.0)), Goal::AtLeast(10.0)),
    (None, None, Goal::AtLeast(10.0)),
];

fn run(bench: &Bench) -> Result<Vec<Row>> {
    let turns: Turns<WAYS, { PYTHON.len() * ACTS.len() }> =
        turns::take(bench, "P10", "pools", Some(python::POOL), SAMPLES)?;
    let [floor, ours @ .., rival, rival_many] = &turns.here;
    let rivals = [Some(rival), Some(rival_many), None];
    let mut rows = vec![Row::of("P10", FLOOR, 0, floor)];
    for (act, name) in ACTS.iter().enumerate() {
        let (over_floor, over_rival, over_python) = GOALS[act];
        let label = |subject: &str| format!("{subject}: {name}");
        let mut row = Row::of("P10", &label(OURS), 0, &ours[act]);
        if let Some(goal) = over_floor {
            row = row.against(Comparison::of(&ours[act], floor, "floor", goal));
        }
        if let (Some(rival), Some(goal)) = (rivals[act], over_rival) {
            row = row.against(Comparison::of(&ours[act], rival, "procspawn", goal));
        }
        for (which, subject) in PYTHON.iter().enumerate() {
            let theirs = &turns.python[which * ACTS.len() + act];
            row = row.against(Comparison::of(&ours[act], theirs, subject, over_python));
        }
        rows.push(row);
        rows.extend(rivals[act].map(|rival| Row::of("P10", &label(RIVAL), 0, rival)));
        for (which, subject) in PYTHON.iter().enumerate() {
            rows.push(turns.python_row("P10", &label(subject), 0, which * ACTS.len() + act));
        }
    }
    Ok(rows)
}
