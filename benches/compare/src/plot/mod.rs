//! `--plot`: the cost of a hop against the size of the array, as a drawing.

mod chart;
mod scale;
mod svg;

use std::fs::{self, OpenOptions};
use std::path::Path;

use indicatif::ProgressBar;

use crate::Result;
use crate::bench::Bench;
use crate::interrupt;
use crate::measure::carry::{Carrier, Measured, PAUSE_NS, Running, Start};
use crate::table::size;
use chart::{Line, Mark, Point};

/// A line of the drawing.
struct Subject {
    carrier: Carrier,
    class: &'static str,
    mark: Mark,
    /// Whether it has to do every size; a rival is left out where it cannot.
    is_ours: bool,
}

/// A carrier and, where only a handle travels, the role that plays the hop alone.
const fn carrier(start: Start, label: &'static str, hop: Option<(&'static str, u64)>) -> Carrier {
    Carrier { start, label, hop }
}

const fn rival(carrier: Carrier, class: &'static str, mark: Mark) -> Subject {
    Subject { carrier, class, mark, is_ours: false }
}

const SUBJECTS: &[Subject] = &[
    Subject {
        carrier: carrier(
            Start::Role("crossdock-carry-awake"),
            "crossdock, receiver awake",
            Some(("crossdock-awake", 0)),
        ),
        class: "ours blue",
        mark: Mark::Circle,
        is_ours: true,
    },
    Subject {
        carrier: carrier(
            Start::Role("crossdock-carry"),
            "crossdock, receiver asleep",
            Some(("crossdock-asleep", PAUSE_NS)),
        ),
        class: "ours dashed blue",
        mark: Mark::Circle,
        is_ours: true,
    },
    rival(
        carrier(
            Start::Role("iceoryx2-carry"),
            "iceoryx2 pub/sub, polled",
            Some(("iceoryx2-poll", 0)),
        ),
        "orange",
        Mark::Square,
    ),
    rival(
        carrier(
            Start::Role("raw-sync-carry"),
            "shared_memory + raw_sync, asleep",
            Some(("raw-sync-event", PAUSE_NS)),
        ),
        "dashed green",
        Mark::Diamond,
    ),
    rival(
        carrier(Start::Role("ipc-channel-bytes"), "ipc-channel, bytes", None),
        "brown",
        Mark::Square,
    ),
    rival(
        carrier(Start::Python("oob"), "Python pickle 5 out of band, pipe", None),
        "purple",
        Mark::Diamond,
    ),
    rival(
        carrier(Start::Role("postcard-pipe"), "postcard through a pipe", None),
        "grey",
        Mark::Circle,
    ),
    rival(carrier(Start::Python("queue"), "Python mp.Queue", None), "red", Mark::Triangle),
];

/// The least and the greatest size, and from one to the next.
const BYTES: [usize; 2] = [64, 1 << 30];
const STEP: usize = 4;

/// Arrays of a small size, and of a large one.
const ROUNDS: [usize; 2] = [40, 3];
/// So many bytes are carried of a size between.
const BYTES_PER_SIZE: usize = 256 << 20;
/// Round trips of a burst of hops alone.
const TRIPS: usize = 100;
/// Up to this size all subjects take turns; the larger arrays of all would not fit into every machine.
const TOGETHER_BYTES_MAX: usize = 64 << 20;

/// Up to this size an array that does not count goes first: what the others have left in the caches would
/// cost more than a small array does.
const WARMED_BYTES_MAX: usize = 1 << 20;

/// What has been measured of a subject.
struct Series {
    subject: &'static Subject,
    points: Vec<Point>,
    /// Whether it could not do a size.
    is_out: bool,
}

/// Measures every subject at every size and draws what came out.
pub(crate) fn run(bench: &Bench, file: &Path, note: impl FnOnce() -> String) -> Result<()> {
    // A file that cannot be written is better known before the minutes than after; a drawing that is there
    // stays until there is another.
    OpenOptions::new().append(true).create(true).open(file)?;
    let start = |subject| Series { subject, points: Vec::new(), is_out: false };
    let mut all: Vec<Series> = SUBJECTS.iter().map(start).collect();
    let sizes: Vec<usize> = std::iter::successors(Some(BYTES[0]), |bytes| Some(bytes * STEP))
        .take_while(|bytes| *bytes <= BYTES[1])
        .collect();
    let bar = bench.progress("plot", sizes.len() * all.len());
    for bytes in sizes {
        let together = if bytes <= TOGETHER_BYTES_MAX { all.len() } else { 1 };
        for group in all.chunks_mut(together) {
            measure(bench, group, bytes, &bar)?;
        }
    }
    bar.finish_and_clear();
    let line = |Series { subject, points, .. }: Series| Line {
        label: subject.carrier.label,
        class: subject.class,
        mark: subject.mark,
        points,
    };
    let lines: Vec<Line> =
        all.into_iter().filter(|series| !series.points.is_empty()).map(line).collect();
    let drawing = chart::draw(&lines, &note()).ok_or("nothing was measured")?;
    Ok(fs::write(file, drawing)?)
}

/// Plays one size of some subjects in turn; the first round warms up and does not count.
fn measure(bench: &Bench, group: &mut [Series], bytes: usize, bar: &ProgressBar) -> Result<()> {
    let [most, least] = ROUNDS;
    let rounds = bench.rounds((BYTES_PER_SIZE / bytes).clamp(least, most), least);
    let mut playing = Vec::new();
    for series in &mut *group {
        bar.set_message(format!("{} {}", series.subject.carrier.label, size(bytes)));
        let carrier = &series.subject.carrier;
        playing.push(if series.is_out {
            None
        } else {
            let started = Running::start(bench, carrier, bytes, TRIPS);
            series.or_out(started, bytes, bar)?.map(|running| (running, Measured::default()))
        });
        bar.inc(1);
    }
    for round in 0..=rounds {
        for (series, slot) in group.iter_mut().zip(&mut playing) {
            let Some((running, measured)) = slot else { continue };
            let mut warming = Measured::default();
            let mut played = Ok(());
            if round == 0 || bytes <= WARMED_BYTES_MAX {
                played = running.play((2 * round + 1) as f64, &mut warming);
            }
            if round > 0 {
                played = played.and_then(|()| running.play((2 * round + 2) as f64, measured));
            }
            if series.or_out(played, bytes, bar)?.is_none() {
                *slot = None;
            }
        }
    }
    for (series, slot) in group.iter_mut().zip(playing) {
        if let Some((running, Measured { hop, total, .. })) = slot {
            running.quit()?;
            // Nothing was measured where there is no Python.
            if let (Some(hop), Some(total)) = (hop.summary(), total.summary()) {
                series.points.push(Point { bytes, ns: [hop.p50, total.p50] });
            }
        }
    }
    Ok(())
}

impl Series {
    /// What was done; if that failed, `None` for a rival, which is out from then on.
    fn or_out<T>(&mut self, done: Result<T>, bytes: usize, bar: &ProgressBar) -> Result<Option<T>> {
        let error = match done {
            Ok(value) => return Ok(Some(value)),
            Err(error) => error,
        };
        interrupt::check()?;
        let what = format!("{} {}", self.subject.carrier.label, size(bytes));
        if self.subject.is_ours {
            return Err(format!("{what}: {error}").into());
        }
        self.is_out = true;
        bar.suspend(|| eprintln!("left out from here on: {what}: {error}"));
        Ok(None)
    }
}
