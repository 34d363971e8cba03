//! MAP: small values in a map that processes share.

use super::Measure;
use super::turns::{self, Turns};
use crate::Result;
use crate::bench::Bench;
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
    let turns: Turns<WAYS, { ACTS.len() }> =
        turns::take(bench, "MAP", "maps", Some(python::MAP), SAMPLES)?;
    let mut rows = Vec::new();
    for (act, name) in ACTS.iter().enumerate() {
        let [floor, ours] = [&turns.here[act], &turns.here[ACTS.len() + act]];
        let label = |subject: &str| format!("{subject}: {name}");
        rows.push(Row::of("MAP", &label(FLOOR), 0, floor));
        let over_floor = Comparison::of(ours, floor, "floor", Goal::Ratio);
        let over_python = Comparison::of(ours, &turns.python[act], "Manager().dict()", Goal::Speed);
        let ours = Row::of("MAP", &label(OURS), 0, ours);
        rows.push(ours.against(over_floor).against(over_python));
        rows.push(turns.python_row("MAP", &label(PYTHON), 0, act));
    }
    Ok(rows)
}
