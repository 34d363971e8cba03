//! VAL: serde values from process to process: to and fro over a pipe, and in a stream through a queue.

use super::Measure;
use super::turns::{self, Turns};
use crate::Result;
use crate::bench::Bench;
use crate::subject::python;
use crate::subject::values::{BYTES, WAYS};
use crate::table::{Comparison, Goal, Row};

pub(super) const MEASURE: Measure = Measure {
    id: "VAL",
    title: "a value of a number, a text and 16 more numbers: to and fro over a pipe; in a stream through a queue",
    run,
};

/// What is done; each subject does it in this order.
const ACTS: [&str; 2] = ["to and fro", "each of a stream"];
const OURS: [&str; 2] = ["crossdock: Connection", "crossdock: Queue"];
const IPC_CHANNEL: &str = "ipc-channel, serde";
const PYTHON: [&str; 2] = ["Python Pipe()", "Python mp.Queue"];
/// Samples of one burst.
const SAMPLES: usize = 5;

fn run(bench: &Bench) -> Result<Vec<Row>> {
    let turns: Turns<WAYS, { ACTS.len() }> =
        turns::take(bench, "VAL", "values", Some(python::VALUES), SAMPLES)?;
    let mut rows = Vec::new();
    for (act, name) in ACTS.iter().enumerate() {
        let [ours, rival] = [&turns.here[act], &turns.here[ACTS.len() + act]];
        let label = |subject: &str| format!("{subject}: {name}");
        let over_rival = Comparison::of(ours, rival, "ipc-channel", Goal::Speed);
        let over_python = Comparison::of(ours, &turns.python[act], PYTHON[act], Goal::Speed);
        let row = Row::of("VAL", &label(OURS[act]), BYTES, ours);
        rows.push(row.against(over_rival).against(over_python));
        rows.push(Row::of("VAL", &label(IPC_CHANNEL), BYTES, rival));
        rows.push(turns.python_row("VAL", &label(PYTHON[act]), BYTES, act));
    }
    Ok(rows)
}
