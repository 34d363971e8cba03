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

const QUEUE: usize = 1;
const OUT_OF_BAND: usize = 2;
const CARRIERS: &[Carrier] = &[
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
        rows.extend(judge(bench, wanted, &all));
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

fn judge(bench: &Bench, wanted: &Size, all: &[Measured]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (what, part) in [("hop", hop as fn(&Measured) -> &Samples), ("written + hop + read", total)]
    {
        let (queue, oob) = (part(&all[QUEUE]), part(&all[OUT_OF_BAND]));
        for (carrier, measured) in CARRIERS.iter().zip(all) {
            let (own, label) = (part(measured), format!("{}: {what}", carrier.label));
            if let (Start::Python(_), Some(why)) = (carrier.start, &bench.python_missing) {
                rows.push(Row::absent("P5", &label, wanted.bytes, why));
                continue;
            }
            let row = Row::of("P5", &label, wanted.bytes, own);
            let ours = carrier.label == "crossdock";
            let goals = match what {
                _ if !ours => [Goal::None; 2],
                "hop" => [wanted.hop_goal, Goal::None],
                _ => [Goal::AtLeast(10.0), Goal::AtLeast(3.0)],
            };
            let against_queue = Comparison::of(own, queue, "mp.Queue", goals[0]);
            let against_oob = Comparison::of(own, oob, "out of band", goals[1]);
            let is_queue = matches!(carrier.start, Start::Python("queue"));
            rows.push(
                row.against(against_queue.filter(|_| !is_queue))
                    .against(against_oob.filter(|_| ours)),
            );
        }
    }
    rows
}

fn hop(measured: &Measured) -> &Samples {
    &measured.hop
}

fn total(measured: &Measured) -> &Samples {
    &measured.total
}
