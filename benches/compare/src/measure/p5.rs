//! P5: arrays against queues that serialise: the hop alone, and written + hop + read.

use indicatif::ProgressBar;

use super::{MIB, Measure};
use crate::Result;
use crate::bench::Bench;
use crate::pair::Pair;
use crate::stats::Samples;
use crate::table::{Comparison, Goal, Row, size};

pub(super) const MEASURE: Measure =
    Measure { id: "P5", title: "hop alone, and written + hop + read, receiver asleep", run };

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

/// How a carrier is started.
#[derive(Clone, Copy)]
enum Start {
    Role(&'static str),
    Python(&'static str),
}

struct Carrier {
    start: Start,
    label: &'static str,
}

const FLOOR: usize = 0;
const OURS: usize = 1;
const QUEUE: usize = 2;
const OUT_OF_BAND: usize = 3;
const CARRIERS: &[Carrier] = &[
    Carrier { start: Start::Role("floor-carry"), label: "floor: one shared block + raw futex" },
    Carrier { start: Start::Role("crossdock-carry"), label: "crossdock" },
    Carrier { start: Start::Python("queue"), label: "Python mp.Queue" },
    Carrier { start: Start::Python("oob"), label: "Python pickle 5 out of band, pipe" },
    Carrier { start: Start::Role("ipc-channel-serde"), label: "ipc-channel, Vec<f64> by serde" },
    Carrier { start: Start::Role("ipc-channel-bytes"), label: "ipc-channel, bytes" },
    Carrier { start: Start::Role("postcard-pipe"), label: "postcard through a pipe" },
];

/// What was measured of one carrier.
#[derive(Default)]
struct Measured {
    hop: Samples,
    total: Samples,
}

fn run(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for wanted in SIZES {
        let [full, quick] = wanted.rounds;
        let rounds = bench.rounds(full, quick);
        let bar = bench.progress("P5", (rounds + 1) * CARRIERS.len());
        let all = carry(bench, wanted.bytes, rounds, &bar)?;
        bar.finish_and_clear();
        let hops: Vec<&Samples> = all.iter().map(|measured| &measured.hop).collect();
        let totals: Vec<&Samples> = all.iter().map(|measured| &measured.total).collect();
        let hop_goals = [wanted.hop_goal, Goal::None];
        rows.extend(judge(bench, wanted.bytes, "hop", &hops, hop_goals));
        let whole = "written + hop + read";
        rows.extend(judge(bench, wanted.bytes, whole, &totals, TOTAL_GOALS));
    }
    Ok(rows)
}

/// Interleaves one array of each carrier; the first round warms up and does not count.
fn carry(bench: &Bench, bytes: usize, rounds: usize, bar: &ProgressBar) -> Result<Vec<Measured>> {
    let mut pairs = Vec::new();
    for carrier in CARRIERS {
        pairs.push(match carrier.start {
            Start::Role(role) => Some(Pair::open(bench, role, bytes)?),
            Start::Python(_) if bench.python_missing.is_some() => None,
            Start::Python(kind) => Some(Pair::python(bench, kind, bytes)?),
        });
    }
    let mut all: Vec<Measured> = CARRIERS.iter().map(|_| Measured::default()).collect();
    for round in 0..=rounds {
        for ((pair, carrier), measured) in pairs.iter_mut().zip(CARRIERS).zip(&mut all) {
            bar.set_message(format!("{} {}", carrier.label, size(bytes)));
            if let Some(pair) = pair {
                let passage = pair.pass((round + 1) as f64)?;
                if round > 0 {
                    measured.hop.push_round(vec![passage.hop_ns]);
                    measured.total.push_round(vec![passage.total_ns]);
                }
            }
            bar.inc(1);
        }
    }
    pairs.into_iter().flatten().try_for_each(Pair::quit)?;
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
        rows.push(if index == OURS {
            row.against(against(FLOOR, "floor", Goal::None))
                .against(against(QUEUE, "mp.Queue", goals[0]))
                .against(against(OUT_OF_BAND, "out of band", goals[1]))
        } else {
            row.against(against(QUEUE, "mp.Queue", Goal::None))
        });
    }
    rows
}
