//! MAP: small values in a map that processes share.

use super::Measure;
use crate::Result;
use crate::bench::Bench;
use crate::pair::Pair;
use crate::place::Priority;
use crate::stats::Samples;
use crate::subject::map::WAYS;
use crate::subject::python;
use crate::table::{Comparison, Goal, Row};

pub(super) const MEASURE: Measure = Measure {
    id: "MAP",
    title: "a map of 1000 numbers under numbers: set one, get one, add one to one; nobody else",
    run,
};

/// What is done; the subjects do it in this order.
const ACTS: [&str; 3] = ["insert", "get", "add one"];
const FLOOR: &str = "floor: parking_lot Mutex<HashMap>, one process";
const OURS: &str = "crossdock SharedMap";
const PYTHON: &str = "Python Manager().dict()";
/// Samples of one burst.
const SAMPLES: usize = 10;

fn run(bench: &Bench) -> Result<Vec<Row>> {
    let no_python = python::missing(&bench.options.python, python::MANAGER_MODULE);
    let rounds = bench.rounds(30, 10);
    let bar = bench.progress("MAP", rounds);
    let mut all: [Samples; WAYS] = Default::default();
    let mut of_python: [Samples; ACTS.len()] = Default::default();
    // Python's server needs a CPU as well, so everybody has both and no priority.
    let stand = bench.together(Priority::Ordinary);
    let mut pair = Pair::alone_on(bench, "maps", 0, &stand)?;
    let mut python = match no_python {
        None => Some(Pair::python_alone(bench, python::MAP, &stand)?),
        Some(_) => None,
    };
    // The first round makes the entries, and does not count.
    for round in 0..=rounds {
        super::push_in_turn(&mut all, &pair.burst(SAMPLES, 0)?, round > 0);
        if let Some(python) = &mut python {
            super::push_in_turn(&mut of_python, &python.burst(SAMPLES, 0)?, round > 0);
        }
        bar.inc(u64::from(round > 0));
    }
    pair.quit()?;
    python.map(Pair::quit).transpose()?;
    bar.finish_and_clear();
    let mut rows = Vec::new();
    for (act, name) in ACTS.iter().enumerate() {
        let [floor, ours] = [&all[act], &all[ACTS.len() + act]];
        let label = |subject: &str| format!("{subject}: {name}");
        rows.push(Row::of("MAP", &label(FLOOR), 0, floor));
        let theirs = &of_python[act];
        let over_floor = Comparison::of(ours, floor, "floor", Goal::Ratio);
        let over_python = Comparison::of(ours, theirs, "Manager().dict()", Goal::Speed);
        let ours = Row::of("MAP", &label(OURS), 0, ours);
        rows.push(ours.against(over_floor).against(over_python));
        rows.push(match &no_python {
            Some(why) => Row::absent("MAP", &label(PYTHON), 0, why),
            None => Row::of("MAP", &label(PYTHON), 0, theirs),
        });
    }
    Ok(rows)
}
