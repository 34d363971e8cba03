//! P8: a stream of records of 64 bytes, between one and between several ends.

use indicatif::ProgressBar;

use super::Measure;
use crate::Result;
use crate::bench::{Bench, Stand};
use crate::crew::Crew;
use crate::place::{Ends, Priority};
use crate::record::Record;
use crate::stats::Samples;
use crate::subject::python;
use crate::table::{Comparison, Goal, Row};

pub(super) const MEASURE: Measure = Measure {
    id: "P8",
    title: "time per record of 64 bytes in a stream: senders -> receivers, room for 256",
    run,
};

/// How the ends of a subject are started.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    /// A process each.
    Processes(&'static str),
    /// A thread each, in one process.
    Threads(&'static str),
    /// A process each, of Python's.
    Python,
}

struct Player {
    start: Start,
    label: &'static str,
    /// Records of a burst: more where each takes less time.
    records: u64,
    /// What is asked of it against each of [`RIVALS`], if it is ours.
    goals: Option<[Goal; 3]>,
    /// Whether every receiver needs a queue of its own.
    is_partitioned: bool,
}

const fn rival(start: Start, label: &'static str, records: u64) -> Player {
    Player { start, label, records, goals: None, is_partitioned: false }
}

const fn partitioned(start: Start, label: &'static str, records: u64) -> Player {
    Player { is_partitioned: true, ..rival(start, label, records) }
}

/// Times faster.
const GOALS: [Goal; 3] = [Goal::AtLeast(1.0), Goal::AtLeast(3.0), Goal::AtLeast(100.0)];
/// An array where a record would do is not what the goals are about.
const NO_GOALS: [Goal; 3] = [Goal::Ratio; 3];

/// Whom ours are held against: the player, and its short name.
const RIVALS: [(usize, &str); 3] = [(2, "crossbeam"), (3, "iceoryx2"), (5, "mp.Queue")];
const PLAYERS: &[Player] = &[
    Player {
        start: Start::Processes("crossdock-stream"),
        label: "crossdock: record",
        records: 25_600,
        goals: Some(GOALS),
        is_partitioned: false,
    },
    Player {
        start: Start::Processes("crossdock-stream-handle"),
        label: "crossdock: array of 64 bytes, by handle",
        records: 25_600,
        goals: Some(NO_GOALS),
        is_partitioned: false,
    },
    rival(Start::Threads("crossbeam-stream"), "crossbeam-channel, threads of one process", 25_600),
    partitioned(Start::Processes("iceoryx2-stream"), "iceoryx2 pub/sub, polled", 25_600),
    partitioned(Start::Processes("ipc-channel-stream"), "ipc-channel, bytes", 6_400),
    rival(Start::Python, "Python mp.Queue", 1_920),
];

/// Who takes part, and how the records travel.
struct Situation {
    label: &'static str,
    ends: Ends,
}

const fn ends(senders: usize, receivers: usize, batched: bool) -> Ends {
    Ends { senders, receivers, batched }
}

const SITUATIONS: &[Situation] = &[
    Situation { label: "1 -> 1", ends: ends(1, 1, false) },
    Situation { label: "2 -> 1", ends: ends(2, 1, false) },
    Situation { label: "2 -> 2", ends: ends(2, 2, false) },
    Situation { label: "1 -> 1, batches of 32", ends: ends(1, 1, true) },
];

/// Rounds of a full and of a quick run.
const ROUNDS: [usize; 2] = [30, 10];
/// After so many rounds everybody starts anew, on other pages.
const ROUNDS_PER_SET: usize = 5;

fn run(bench: &Bench) -> Result<Vec<Row>> {
    let no_python = python::missing(&bench.options.python, python::LOCK_MODULE);
    let sets = bench.rounds(ROUNDS[0], ROUNDS[1]).div_ceil(ROUNDS_PER_SET);
    let mut rows = Vec::new();
    for situation in SITUATIONS {
        let bar = bench.progress("P8", sets * (ROUNDS_PER_SET + 1) * PLAYERS.len());
        let mut all = vec![Samples::default(); PLAYERS.len()];
        for _ in 0..sets {
            play_set(bench, situation, no_python.is_none(), &mut all, &bar)?;
        }
        bar.finish_and_clear();
        rows.extend(judge(situation, no_python.as_deref(), &all));
    }
    Ok(rows)
}

/// A burst of each in turn; the first round warms up and does not count.
fn play_set(
    bench: &Bench,
    situation: &Situation,
    has_python: bool,
    all: &mut [Samples],
    bar: &ProgressBar,
) -> Result<()> {
    let mut crews = Vec::new();
    for player in PLAYERS {
        bar.set_message(format!("starting {}, {}", player.label, situation.label));
        let is_missing = player.start == Start::Python && !has_python;
        crews.push(if is_missing { None } else { Some(start(bench, player, situation.ends)?) });
    }
    for round in 0..=ROUNDS_PER_SET {
        for ((crew, player), samples) in crews.iter_mut().zip(PLAYERS).zip(&mut *all) {
            bar.set_message(format!("{}, {}", player.label, situation.label));
            let measured = crew.as_mut().map(|crew| crew.stream(player.records)).transpose()?;
            if round > 0 {
                samples.push_round(measured.into_iter().collect());
            }
            bar.inc(1);
        }
    }
    crews.into_iter().flatten().try_for_each(Crew::quit)
}

fn start(bench: &Bench, player: &Player, ends: Ends) -> Result<Crew> {
    let stand = stand(bench, player, ends);
    match player.start {
        Start::Processes(role) => Crew::processes(bench, role, ends, &stand),
        Start::Threads(role) => Crew::threads(bench, role, ends, &stand),
        Start::Python => Crew::python(bench, ends, &stand),
    }
}

/// Two ends have a CPU each, more of them share both: under SCHED_FIFO one that polls would keep the CPU
/// that the one it waits for needs.
fn stand(bench: &Bench, player: &Player, ends: Ends) -> Stand {
    match (ends.are_two(), player.start) {
        (true, Start::Processes(_)) => bench.apart(),
        (true, _) => bench.together(Priority::Fifo),
        (false, _) => bench.together(Priority::Favoured),
    }
}

fn judge(situation: &Situation, no_python: Option<&str>, all: &[Samples]) -> Vec<Row> {
    let row = |(index, player): (usize, &Player)| {
        let parts = if player.is_partitioned && situation.ends.receivers > 1 {
            ", a queue for each receiver"
        } else {
            ""
        };
        let label = format!("{}{parts}: {}", player.label, situation.label);
        if let (Start::Python, Some(why)) = (player.start, no_python) {
            return Row::absent("P8", &label, size_of::<Record>(), why);
        }
        let mut row = Row::of("P8", &label, size_of::<Record>(), &all[index]);
        row.note = row.summary.map(|summary| rate(summary.p50));
        for ((rival, name), goal) in RIVALS.into_iter().zip(player.goals.into_iter().flatten()) {
            row = row.against(Comparison::of(&all[index], &all[rival], name, goal));
        }
        row
    };
    PLAYERS.iter().enumerate().map(row).collect()
}

/// Records per second.
fn rate(ns: f64) -> String {
    let millions = 1e3 / ns;
    let digits = if millions < 1.0 { 3 } else { 1 };
    format!("{millions:.digits$} million/s")
}
