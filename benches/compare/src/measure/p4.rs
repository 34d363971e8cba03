//! P4: an array written by one process and read by another, against two threads of one process.

use indicatif::ProgressBar;

use super::carry::Start;
use super::{MIB, Measure};
use crate::Result;
use crate::bench::Bench;
use crate::stats::Samples;
use crate::table::{Comparison, Goal, Row, size};

pub(super) const MEASURE: Measure = Measure {
    id: "P4",
    title: "written + hop + read: two processes against two threads with a reused Vec",
    run,
};

/// A size, and the rounds of a full and of a quick run.
struct Size {
    bytes: usize,
    rounds: [usize; 2],
}

const SIZES: &[Size] =
    &[Size { bytes: MIB, rounds: [100, 20] }, Size { bytes: 64 * MIB, rounds: [50, 10] }];

struct Player {
    start: Start,
    label: &'static str,
    /// The player that does the same between threads, and what is asked of this one.
    rival: Option<(usize, Goal)>,
}

const GOAL: Goal = Goal::AtMost(1.05);
const FLOOR: usize = 0;
const THREADS_AWAKE: usize = 1;
const THREADS_ASLEEP: usize = 2;
const PLAYERS: &[Player] = &[
    Player {
        start: Start::Role("floor-carry"),
        label: "floor: one shared block + raw futex",
        rival: Some((THREADS_ASLEEP, Goal::Ratio)),
    },
    Player {
        start: Start::Threads("crossbeam-carry-awake"),
        label: "two threads, Vec through crossbeam-channel, awake",
        rival: None,
    },
    Player {
        start: Start::Threads("crossbeam-carry"),
        label: "two threads, Vec through crossbeam-channel, asleep",
        rival: None,
    },
    Player {
        start: Start::Role("crossdock-carry-awake"),
        label: "crossdock, two processes, awake",
        rival: Some((THREADS_AWAKE, GOAL)),
    },
    Player {
        start: Start::Role("crossdock-carry"),
        label: "crossdock, two processes, asleep",
        rival: Some((THREADS_ASLEEP, GOAL)),
    },
];

/// Arrays of one burst.
const PASSES: usize = 3;
/// After so many rounds everybody starts anew, on other pages.
const ROUNDS_PER_SET: usize = 5;

fn run(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for Size { bytes, rounds: [full, quick] } in SIZES {
        let sets = bench.rounds(*full, *quick).div_ceil(ROUNDS_PER_SET);
        let bar = bench.progress("P4", sets * (ROUNDS_PER_SET + 1) * PLAYERS.len());
        let mut all = vec![Samples::default(); PLAYERS.len()];
        for _ in 0..sets {
            play_set(bench, *bytes, &mut all, &bar)?;
        }
        bar.finish_and_clear();
        rows.extend(judge(*bytes, &all));
    }
    Ok(rows)
}

/// A burst of each in turn; the first round warms up and does not count.
fn play_set(bench: &Bench, bytes: usize, all: &mut [Samples], bar: &ProgressBar) -> Result<()> {
    let mut pairs = Vec::new();
    for player in PLAYERS {
        bar.set_message(format!("starting {} {}", player.label, size(bytes)));
        pairs.push(player.start.open(bench, bytes)?.ok_or("nobody here needs Python")?);
    }
    for round in 0..=ROUNDS_PER_SET {
        for ((pair, player), samples) in pairs.iter_mut().zip(PLAYERS).zip(&mut *all) {
            bar.set_message(format!("{} {}", player.label, size(bytes)));
            let mut totals = Vec::with_capacity(PASSES);
            for pass in 0..PASSES {
                totals.push(pair.pass((round * PASSES + pass + 1) as f64)?.total_ns);
            }
            if round > 0 {
                samples.push_round(totals);
            }
            bar.inc(1);
        }
    }
    pairs.into_iter().try_for_each(|pair| pair.quit())
}

fn judge(bytes: usize, all: &[Samples]) -> Vec<Row> {
    let row = |(index, player): (usize, &Player)| {
        let against =
            |other: usize, name, goal| Comparison::of(&all[index], &all[other], name, goal);
        let rival = player.rival.and_then(|(other, goal)| against(other, "two threads", goal));
        // The floor is asleep as well.
        let is_asleep = matches!(player.rival, Some((THREADS_ASLEEP, _))) && index != FLOOR;
        Row::of("P4", player.label, bytes, &all[index])
            .against(rival)
            .against(against(FLOOR, "floor", Goal::Ratio).filter(|_| is_asleep))
    };
    PLAYERS.iter().enumerate().map(row).collect()
}
