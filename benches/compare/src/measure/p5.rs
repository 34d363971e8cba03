//! P5: arrays against queues that serialise: the hop alone, and written + hop + read.

use std::ops::RangeInclusive;

use indicatif::ProgressBar;

use super::carry::{Carrier, Measured, PAUSE_NS, Running, Start};
use super::{MIB, Measure};
use crate::Result;
use crate::bench::Bench;
use crate::stats::Samples;
use crate::table::{Comparison, Goal, Row, size};

pub(super) const MEASURE: Measure =
    Measure { id: "P5", title: "hop alone, and written + hop + read", run };

const MB: usize = 1_000_000;

/// A size, and what it asks of us.
struct Size {
    bytes: usize,
    /// Rounds of a full and of a quick run.
    rounds: [usize; 2],
    /// How many times faster than `multiprocessing.Queue` the hop must be.
    hop_goal: Goal,
}

const SIZES: &[Size] = &[
    Size { bytes: MIB, rounds: [120, 20], hop_goal: Goal::AtLeast(300.0) },
    Size { bytes: 16 * MIB, rounds: [40, 6], hop_goal: Goal::AtLeast(300.0) },
    Size { bytes: 100 * MB, rounds: [15, 3], hop_goal: Goal::AtLeast(300.0) },
    Size { bytes: 500 * MB, rounds: [8, 2], hop_goal: Goal::AtLeast(100_000.0) },
];

/// Written + hop + read against the queue, and against out of band, at every size.
const TOTAL_GOALS: [Goal; 2] = [Goal::AtLeast(10.0), Goal::AtLeast(3.0)];

/// Round trips of a burst of hops alone.
const TRIPS: usize = 20;

const fn carrier(start: Start, label: &'static str) -> Carrier {
    Carrier { start, label, hop: None }
}

const FLOOR: usize = 0;
/// Ours, with the receiver awake and asleep.
const OURS: RangeInclusive<usize> = 1..=2;
const QUEUE: usize = 3;
const OUT_OF_BAND: usize = 4;
const CARRIERS: &[Carrier] = &[
    Carrier {
        start: Start::Role("floor-carry"),
        label: "floor: one shared block + raw futex",
        hop: Some(("floor-futex", PAUSE_NS)),
    },
    Carrier {
        start: Start::Role("crossdock-carry-awake"),
        label: "crossdock, awake",
        hop: Some(("crossdock-awake", 0)),
    },
    Carrier {
        start: Start::Role("crossdock-carry"),
        label: "crossdock, asleep",
        hop: Some(("crossdock-asleep", PAUSE_NS)),
    },
    carrier(Start::Python("queue"), "Python mp.Queue"),
    carrier(Start::Python("oob"), "Python pickle 5 out of band, pipe"),
    carrier(Start::Role("ipc-channel-serde"), "ipc-channel, Vec<f64> by serde"),
    carrier(Start::Role("ipc-channel-bytes"), "ipc-channel, bytes"),
    carrier(Start::Role("postcard-pipe"), "postcard through a pipe"),
];

fn run(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for wanted in SIZES {
        let [full, quick] = wanted.rounds;
        let rounds = bench.rounds(full, quick);
        let bar = bench.progress("P5", (rounds + 1) * CARRIERS.len());
        let all = carry(bench, wanted.bytes, rounds, &bar)?;
        bar.finish_and_clear();
        let part = |what, goals, pick: fn(&Measured) -> &Samples| {
            let samples: Vec<&Samples> = all.iter().map(pick).collect();
            judge(bench, wanted.bytes, what, &samples, goals)
        };
        rows.extend(part("hop", [wanted.hop_goal, Goal::Speed], |measured| &measured.hop));
        let written = part("hop after writing", [Goal::Speed; 2], |measured| &measured.written_hop);
        rows.extend(written.into_iter().take(*OURS.end() + 1));
        rows.extend(part("written + hop + read", TOTAL_GOALS, |measured| &measured.total));
    }
    Ok(rows)
}

/// Interleaves one array of each carrier; the first round warms up and does not count.
fn carry(bench: &Bench, bytes: usize, rounds: usize, bar: &ProgressBar) -> Result<Vec<Measured>> {
    let mut running = Vec::new();
    for carrier in CARRIERS {
        bar.set_message(format!("starting {} {}", carrier.label, size(bytes)));
        running.push(Running::start(bench, carrier, bytes, TRIPS)?);
    }
    let mut all: Vec<Measured> = CARRIERS.iter().map(|_| Measured::default()).collect();
    for round in 0..=rounds {
        for ((running, carrier), measured) in running.iter_mut().zip(CARRIERS).zip(&mut all) {
            bar.set_message(format!("{} {}", carrier.label, size(bytes)));
            let mut kept = Measured::default();
            running.play((round + 1) as f64, if round > 0 { measured } else { &mut kept })?;
            bar.inc(1);
        }
    }
    running.into_iter().try_for_each(Running::quit)?;
    Ok(all)
}

/// The rows of one part; `goals` are ours against the queue and against out of band.
fn judge(bench: &Bench, bytes: usize, what: &str, all: &[&Samples], goals: [Goal; 2]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, carrier) in CARRIERS.iter().enumerate() {
        let label = format!("{}: {what}", carrier.label);
        if let (Start::Python(_), Some(why)) = (carrier.start, &bench.python_missing) {
            rows.push(Row::absent("P5", &label, bytes, why));
            continue;
        }
        let row = Row::of("P5", &label, bytes, all[index]);
        let against = |other: usize, name, goal| {
            Comparison::of(all[index], all[other], name, goal).filter(|_| index != other)
        };
        let of_queue = if index == FLOOR { Goal::Speed } else { Goal::Ratio };
        rows.push(if OURS.contains(&index) {
            row.against(against(FLOOR, "floor", Goal::Ratio))
                .against(against(QUEUE, "mp.Queue", goals[0]))
                .against(against(OUT_OF_BAND, "out of band", goals[1]))
        } else {
            row.against(against(QUEUE, "mp.Queue", of_queue))
        });
    }
    rows
}
