//! P7: a lock that nobody else wants, and one that two and eight threads want.

use std::time::Duration;

use super::Measure;
use crate::Result;
use crate::bench::{Bench, Stand};
use crate::clock::now_ns;
use crate::pair::{Pair, ask_for};
use crate::place::Priority;
use crate::stats::Samples;
use crate::subject::python;
use crate::table::{Comparison, Goal, Row};

pub(super) const MEASURE: Measure = Measure {
    id: "P7",
    title: "lock, add one, unlock: alone, 2 processes, 8 threads in 2 processes",
    run,
};

/// How a subject is started.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    /// Two processes where several threads take part.
    Shared(&'static str),
    /// One process, whatever takes part.
    Private(&'static str),
    /// A process for each that takes part.
    Python,
}

struct Player {
    start: Start,
    label: &'static str,
}

const FLOOR: usize = 0;
const SPINNING: usize = 1;
const OURS: usize = 2;
const PARKING_LOT: usize = 4;
const ROBUST: usize = 6;
const PLAYERS: &[Player] = &[
    Player { start: Start::Shared("lock-futex"), label: "floor: futex word" },
    Player { start: Start::Shared("lock-futex-spin"), label: "futex word, spinning as std" },
    Player { start: Start::Shared("lock-crossdock"), label: "crossdock Mutex" },
    Player { start: Start::Private("lock-std"), label: "std Mutex, one process" },
    Player { start: Start::Private("lock-parking-lot"), label: "parking_lot Mutex, one process" },
    Player { start: Start::Shared("lock-pthread"), label: "pthread mutex, shared" },
    Player { start: Start::Shared("lock-pthread-robust"), label: "pthread mutex, shared, robust" },
    Player { start: Start::Shared("lock-raw-sync"), label: "raw_sync Mutex" },
    Player { start: Start::Python, label: "Python mp.Lock" },
];

/// Ours over the futex word, over parking_lot and over the robust mutex.
const GOALS: [f64; 3] = [1.15, 1.1, 0.75];

/// Who takes part.
struct Situation {
    label: &'static str,
    threads: usize,
    /// How long a burst lasts; samples of a mean over many turns if there is nobody else.
    burst: Duration,
    /// Rounds of a full and of a quick run.
    rounds: [usize; 2],
}

/// Eight threads on two CPUs run under the ordinary scheduler, favoured over everybody else: under SCHED_FIFO
/// a thread keeps its CPU until it has to wait, so that most of the others would hardly come to compete.
/// A burst is long enough for each of them to get the CPU several times.
const SITUATIONS: &[Situation] = &[
    Situation { label: "alone", threads: 1, burst: Duration::ZERO, rounds: [60, 20] },
    Situation {
        label: "2 threads",
        threads: 2,
        burst: Duration::from_millis(10),
        rounds: [60, 20],
    },
    Situation {
        label: "8 threads",
        threads: 8,
        burst: Duration::from_millis(40),
        rounds: [60, 15],
    },
];

/// Samples of a burst without rivals.
const SAMPLES: usize = 50;
/// After so many rounds everybody starts anew, on other pages.
const ROUNDS_PER_SET: usize = 5;
/// From the request until the threads begin: they have to be started.
const LEAD: Duration = Duration::from_millis(2);

fn run(bench: &Bench) -> Result<Vec<Row>> {
    let no_python = python::missing(&bench.options.python, python::LOCK_MODULE);
    let mut rows = Vec::new();
    for situation in SITUATIONS {
        if situation.threads > 1 && bench.cpus[1].is_none() {
            let label = |player: &Player| format!("{}: {}", player.label, situation.label);
            let absent = |player| Row::absent("P7", &label(player), 0, "absent: one CPU");
            rows.extend(PLAYERS.iter().map(absent));
            continue;
        }
        let all = interleave(bench, situation, no_python.is_none())?;
        rows.extend(judge(situation, no_python.as_deref(), &all));
    }
    Ok(rows)
}

/// The processes of a player, and how many turns they have taken.
struct Running {
    pair: Pair,
    turns: u64,
}

/// Plays all of them in turn.
fn interleave(bench: &Bench, situation: &Situation, has_python: bool) -> Result<Vec<Samples>> {
    let [full, quick] = situation.rounds;
    let sets = bench.rounds(full, quick).div_ceil(ROUNDS_PER_SET);
    let bar = bench.progress("P7", sets * (ROUNDS_PER_SET + 1) * PLAYERS.len());
    let mut all = vec![Samples::default(); PLAYERS.len()];
    for _ in 0..sets {
        let mut running = Vec::new();
        for player in PLAYERS {
            bar.set_message(format!("starting {}", player.label));
            let is_missing = player.start == Start::Python && !has_python;
            running.push(if is_missing { None } else { Some(start(bench, player, situation)?) });
        }
        // The first round warms up and does not count.
        for round in 0..=ROUNDS_PER_SET {
            for ((running, player), samples) in running.iter_mut().zip(PLAYERS).zip(&mut all) {
                bar.set_message(format!("{}, {}", player.label, situation.label));
                let measured = running.as_mut().map(|running| running.burst(player, situation));
                match measured.transpose()? {
                    Some(measured) if round > 0 => samples.push_round(measured),
                    _ => {}
                }
                bar.inc(1);
            }
        }
        running.into_iter().flatten().try_for_each(|running| running.pair.quit())?;
    }
    bar.finish_and_clear();
    Ok(all)
}

fn start(bench: &Bench, player: &Player, situation: &Situation) -> Result<Running> {
    let threads = situation.threads;
    let stand = stand(bench, player, threads);
    let pair = match player.start {
        Start::Python => Pair::python_lock(bench, threads, &stand)?,
        Start::Shared(role) if threads > 1 => Pair::open_on(bench, role, 0, &stand)?,
        Start::Shared(role) | Start::Private(role) => Pair::alone_on(bench, role, 0, &stand)?,
    };
    Ok(Running { pair, turns: 0 })
}

/// Up to two threads have a CPU each, more of them share both.
fn stand(bench: &Bench, player: &Player, threads: usize) -> Stand {
    match (threads, player.start) {
        (1, _) | (2, Start::Shared(_)) => bench.apart(),
        (2, _) => bench.together(Priority::Fifo),
        _ => bench.together(Priority::Favoured),
    }
}

impl Running {
    /// Nanoseconds per turn.
    fn burst(&mut self, player: &Player, situation: &Situation) -> Result<Vec<f64>> {
        if situation.threads == 1 {
            return self.pair.burst(SAMPLES, 0);
        }
        let processes = if self.pair.b.is_some() { 2 } else { 1 };
        let start_ns = now_ns() + u64::try_from(LEAD.as_nanos())?;
        let end_ns = start_ns + u64::try_from(situation.burst.as_nanos())?;
        let threads = situation.threads / processes;
        let request = format!("contend {threads} {start_ns} {end_ns}");
        let stamps = self.pair.ask_both(&request, "contended")?;
        let (mut start_ns, mut end_ns, mut turns) = (f64::INFINITY, 0.0_f64, 0.0);
        for process in stamps.chunks_exact(3) {
            start_ns = start_ns.min(process[0]);
            end_ns = end_ns.max(process[1]);
            turns += process[2];
        }
        self.turns += turns as u64;
        let total = ask_for(&mut self.pair.a, "total", "total")?;
        if total != [self.turns as f64] {
            let (label, taken) = (player.label, self.turns);
            return Err(format!("{label}: {taken} turns were taken, {total:?} counted").into());
        }
        Ok(vec![(end_ns - start_ns) / turns])
    }
}

fn judge(situation: &Situation, no_python: Option<&str>, all: &[Samples]) -> Vec<Row> {
    let [floor_goal, parking_lot_goal, robust_goal] = GOALS.map(Goal::AtMost);
    let row = |(index, player): (usize, &Player)| {
        let label = format!("{}: {}", player.label, situation.label);
        if let (Start::Python, Some(why)) = (player.start, no_python) {
            return Row::absent("P7", &label, 0, why);
        }
        let against = |other: usize, name, goal| {
            Comparison::of(&all[index], &all[other], name, goal).filter(|_| index != other)
        };
        let row = Row::of("P7", &label, 0, &all[index]);
        if index == OURS {
            row.against(against(FLOOR, "futex word", floor_goal))
                .against(against(SPINNING, "spinning futex word", Goal::Ratio))
                .against(against(PARKING_LOT, "parking_lot", parking_lot_goal))
                .against(against(ROBUST, "pthread robust", robust_goal))
        } else {
            row.against(against(FLOOR, "futex word", Goal::Ratio))
        }
    };
    PLAYERS.iter().enumerate().map(row).collect()
}
