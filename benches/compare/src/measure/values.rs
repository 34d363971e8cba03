//! VAL: serde values from process to process: to and fro over a pipe, and in a stream through a queue.

use super::Measure;
use crate::Result;
use crate::bench::Bench;
use crate::pair::Pair;
use crate::place::Priority;
use crate::stats::Samples;
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
    let no_python = python::missing(&bench.options.python, python::LOCK_MODULE);
    let rounds = bench.rounds(30, 10);
    let bar = bench.progress("VAL", rounds);
    let mut all: [Samples; WAYS] = Default::default();
    let mut of_python: [Samples; ACTS.len()] = Default::default();
    // Python's queue has a thread beside its process.
    let stand = bench.together(Priority::Ordinary);
    let mut pair = Pair::alone_on(bench, "values", 0, &stand)?;
    let mut python = match no_python {
        None => Some(Pair::python_alone(bench, python::VALUES, &stand)?),
        Some(_) => None,
    };
    // The first round warms up, and does not count.
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
        let [ours, rival] = [&all[act], &all[ACTS.len() + act]];
        let label = |subject: &str| format!("{subject}: {name}");
        let over_rival = Comparison::of(ours, rival, "ipc-channel", Goal::Speed);
        let over_python = Comparison::of(ours, &of_python[act], PYTHON[act], Goal::Speed);
        let row = Row::of("VAL", &label(OURS[act]), BYTES, ours);
        rows.push(row.against(over_rival).against(over_python));
        rows.push(Row::of("VAL", &label(IPC_CHANNEL), BYTES, rival));
        rows.push(match &no_python {
            Some(why) => Row::absent("VAL", &label(PYTHON[act]), BYTES, why),
            None => Row::of("VAL", &label(PYTHON[act]), BYTES, &of_python[act]),
        });
    }
    Ok(rows)
}
