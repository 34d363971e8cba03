//! `--plot`: the cost of a hop against the size of the array, as a drawing.

mod chart;
mod scale;
mod svg;

use std::fs;
use std::path::Path;

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

/// Measures every subject at every size and draws what came out.
///
/// One subject at a time, so that the large arrays of several are never there together. The drawing has an
/// axis of eight powers of ten, to which a drift of the machine is nothing.
pub(crate) fn run(bench: &Bench, file: &Path, note: impl FnOnce() -> String) -> Result<()> {
    // An unwritable file is better known before the minutes than after.
    fs::write(file, "")?;
    let sizes: Vec<usize> = std::iter::successors(Some(BYTES[0]), |bytes| Some(bytes * STEP))
        .take_while(|bytes| *bytes <= BYTES[1])
        .collect();
    let bar = bench.progress("plot", sizes.len() * SUBJECTS.len());
    let mut lines = Vec::new();
    for Subject { carrier, class, mark, is_ours } in SUBJECTS {
        let mut points = Vec::new();
        for bytes in &sizes {
            bar.set_message(format!("{} {}", carrier.label, size(*bytes)));
            match point(bench, carrier, *bytes) {
                Ok(point) => points.extend(point),
                Err(error) => {
                    interrupt::check()?;
                    if *is_ours {
                        return Err(format!("{} {}: {error}", carrier.label, size(*bytes)).into());
                    }
                    let left_out = format!("{} from {} on", carrier.label, size(*bytes));
                    bar.suspend(|| eprintln!("left out: {left_out}: {error}"));
                    break;
                }
            }
            bar.inc(1);
        }
        lines.push(Line { label: carrier.label, class, mark: *mark, points });
    }
    bar.finish_and_clear();
    lines.retain(|line| !line.points.is_empty());
    let drawing = chart::draw(&lines, &note()).ok_or("nothing was measured")?;
    Ok(fs::write(file, drawing)?)
}

/// The medians of a subject at one size; `None` if there is no Python. The first array warms up.
fn point(bench: &Bench, carrier: &Carrier, bytes: usize) -> Result<Option<Point>> {
    let [most, least] = ROUNDS;
    let rounds = bench.rounds((BYTES_PER_SIZE / bytes).clamp(least, most), least);
    let mut running = Running::start(bench, carrier, bytes)?;
    let (mut warming, mut measured) = (Measured::default(), Measured::default());
    for round in 0..=rounds {
        let samples = if round > 0 { &mut measured } else { &mut warming };
        running.play((round + 1) as f64, samples)?;
    }
    running.quit()?;
    let medians = [measured.hop, measured.total].map(|samples| samples.summary());
    Ok(match medians {
        [Some(hop), Some(total)] => Some(Point { bytes, ns: [hop.p50, total.p50] }),
        _ => None,
    })
}
