//! Many ways to do one thing, all in one process, and Python's in another one: the two take turns.

use crate::Result;
use crate::bench::Bench;
use crate::pair::Pair;
use crate::place::Priority;
use crate::stats::Samples;
use crate::subject::python::Subject;
use crate::table::Row;

/// What was measured in turn: samples of each way.
pub(super) struct Turns<const HERE: usize, const PYTHON: usize> {
    pub(super) here: [Samples; HERE],
    /// Without any if there is no Python.
    pub(super) python: [Samples; PYTHON],
    no_python: Option<String>,
}

/// A burst of so many samples of each way, in turn in the process that plays `role` and in Python's, every round.
pub(super) fn take<const HERE: usize, const PYTHON: usize>(
    bench: &Bench,
    measure: &'static str,
    role: &str,
    python: Option<Subject>,
    samples: usize,
) -> Result<Turns<HERE, PYTHON>> {
    let no_python = python.and_then(|subject| subject.missing(&bench.options.python));
    let rounds = bench.rounds(30, 10);
    let bar = bench.progress(measure, rounds);
    let mut here: [Samples; HERE] = std::array::from_fn(|_| Samples::default());
    let mut of_python: [Samples; PYTHON] = std::array::from_fn(|_| Samples::default());
    // Whoever is started beside these two needs a CPU as well, and would inherit their place: so everybody has both CPUs,
    // and no priority.
    let stand = bench.together(Priority::Ordinary);
    let mut pair = Pair::alone_on(bench, role, 0, &stand)?;
    let python = python.filter(|_| no_python.is_none());
    let mut python =
        python.map(|subject| Pair::python_alone(bench, subject, &stand)).transpose()?;
    // The first round warms up: it starts servers and makes entries, and does not count.
    for round in 0..=rounds {
        push(&mut here, &pair.burst(samples, 0)?, round > 0);
        if let Some(python) = &mut python {
            push(&mut of_python, &python.burst(samples, 0)?, round > 0);
        }
        bar.inc(u64::from(round > 0));
    }
    pair.quit()?;
    python.map(Pair::quit).transpose()?;
    bar.finish_and_clear();
    Ok(Turns { here, python: of_python, no_python })
}

impl<const HERE: usize, const PYTHON: usize> Turns<HERE, PYTHON> {
    /// The row of one of Python's ways, or the row that says why there is none.
    pub(super) fn python_row(
        &self,
        measure: &'static str,
        subject: &str,
        bytes: usize,
        way: usize,
    ) -> Row {
        match &self.no_python {
            Some(why) => Row::absent(measure, subject, bytes, why),
            None => Row::of(measure, subject, bytes, &self.python[way]),
        }
    }
}

/// Sorts what was measured in turn.
fn push<const WAYS: usize>(all: &mut [Samples; WAYS], measured: &[f64], counts: bool) {
    for (way, samples) in all.iter_mut().enumerate() {
        if counts {
            samples.push_round(measured.iter().skip(way).step_by(WAYS).copied().collect());
        }
    }
}
