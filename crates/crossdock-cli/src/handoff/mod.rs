//! `crossdock handoff`: one array, another process, and what it costs to get it there.

mod chart;
pub(crate) mod consumer;
mod json;
mod ours;
mod plot;
mod python;
mod queue;
mod report;
mod source;
mod spread;

use crate::failure::{Failure, Result};
use crate::output;
use crate::progress::Progress;
use crate::sample::{Sample, with_dtype};
use crate::stats::{Number, Summary};
use crate::units;
use crossdock::DType;
use report::{Outcome, Report, Row};
use source::Source;
use std::path::PathBuf;
use std::time::Duration;

/// What a helper may take, whatever the size.
const LIMIT_BASE: Duration = Duration::from_secs(60);
/// The slowest way that is still waited for.
const BYTES_PER_SECOND_MIN: u64 = 20_000_000;
/// How many copies of the array a serialising queue has in memory at its worst moment.
const COPIES_MAX: u64 = 6;

const METHOD: &str = "\
How it is measured: a consumer is started as a separate process, and both processes read the same clock \
(CLOCK_MONOTONIC) right before and right after each step. What reading the clock costs is not taken off.

  hop        From the call that sends the array until the other process has it in hand. crossdock: \
median of up to 4,000 hops of the very same array, there and back, in bursts, while both processes poll, \
each on a CPU of its own if there are two. The others: median of a few rounds.
  hop + sum  From the same call until the other process has read every element and knows the sum.

Sums, extremes and means of both processes are compared; a mismatch is an error.";

/// Hand one array to another process, and compare with queues that serialise
///
/// Takes a .npy file of any element type and order, or makes an array. Nothing is left behind.
#[derive(clap::Args)]
#[command(after_long_help = METHOD)]
pub(crate) struct Args {
    /// The .npy file to hand over; without one, an array is made
    file: Option<PathBuf>,
    /// Bytes of the array that is made: 500MB, 64MiB, 4096
    #[arg(long, default_value = "500MB", conflicts_with = "file", value_parser = units::parse_bytes)]
    size: u64,
    /// Element type of the array that is made
    #[arg(long, default_value = "f64", conflicts_with = "file")]
    dtype: DType,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Write a bar chart, too
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let source = match &args.file {
        Some(path) => Source::open(path)?,
        None => Source::made(args.size, args.dtype)?,
    };
    let report = with_dtype!(source.dtype(), T => measure::<T>(&source))?;
    if let Some(path) = &args.plot {
        std::fs::write(path, plot::svg(&report))
            .map_err(Failure::os(format!("cannot write {:?}", path.display().to_string())))?;
    }
    if args.json { json::print(&report) } else { output::print(&report.to_string()) }
}

fn measure<T: Sample>(source: &Source) -> Result<Report> {
    let progress = Progress::new(4);
    let size = units::bytes(source.len_bytes());
    progress.stage(&format!("{} {size} of {}", source.verb(), T::DTYPE));
    let array = source.load::<T>()?;
    let limit = limit(source.len_bytes());
    let summary = Summary::of(&array);
    let shape = array.shape().to_vec();
    let order = array.order();

    progress.still_stage("handing it over with crossdock");
    let (ours, array) = ours::measure(array, limit)?;
    agree("crossdock", &summary, &ours.summary)?;

    let lack = lack_of_memory(source.len_bytes());
    progress.stage("handing it over with a serialising queue in Rust (postcard over a pipe)");
    let queue = if let Some(lack) = &lack {
        Outcome::Absent(lack.clone())
    } else {
        let theirs = queue::measure(&array, limit)?;
        agree("the serialising queue", &summary, &theirs.summary)?;
        Outcome::Measured(theirs.timing)
    };

    progress.stage("handing it over with multiprocessing.Queue in Python");
    let python = if let Some(lack) = lack {
        python::Outcome::Absent(lack)
    } else {
        python::measure::<T>(source, limit)?
    };
    let python = match python {
        python::Outcome::Absent(reason) => Row::absent("python_queue", python::NAME, reason),
        python::Outcome::Measured { versions, timing, sum } => {
            agree_nearly(&summary, &sum)?;
            Row { versions: Some(versions), ..Row::measured("python_queue", python::NAME, timing) }
        }
    };
    let rows = vec![
        Row::measured("crossdock", "crossdock", ours.timing),
        Row::new("postcard_pipe", queue::NAME, queue),
        python,
    ];
    let (len_bytes, origin) = (source.len_bytes(), source.origin());
    Ok(Report { origin, dtype: T::DTYPE, shape, order, len_bytes, summary, rows })
}

/// Two processes that ran the same code over the same bytes.
fn agree(way: &str, here: &Summary, there: &Summary) -> Result<()> {
    if here.is_same(there) {
        return Ok(());
    }
    let text =
        format!("{way} delivered another array: the producer found {here}, the consumer {there}");
    Err(Failure::Mismatch(text))
}

/// numpy adds in another order and wraps integers at 64 bits.
fn agree_nearly(here: &Summary, there: &Number) -> Result<()> {
    let wrapped = match here.sum {
        Number::Integer(sum) => Number::Integer(sum & i128::from(u64::MAX)),
        other => other,
    };
    let largest = [here.min, here.max].into_iter().flatten().map(|n| n.magnitude());
    let slack = 1e-12 * here.elements as f64 * largest.fold(0.0, f64::max);
    if wrapped.is_close(there, slack) {
        return Ok(());
    }
    let text = format!(
        "multiprocessing.Queue delivered another array: the producer found a sum of {wrapped}, the \
         consumer {there}"
    );
    Err(Failure::Mismatch(text))
}

fn limit(len_bytes: u64) -> Duration {
    LIMIT_BASE + Duration::from_secs(len_bytes / BYTES_PER_SECOND_MIN)
}

/// Why the queues that copy are left out, if the machine has no memory for their copies.
fn lack_of_memory(len_bytes: u64) -> Option<String> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let free = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.saturating_mul(1024);
    let needed = len_bytes.saturating_mul(COPIES_MAX);
    (needed > free).then(|| {
        format!(
            "left out: its copies need {}, {} are free",
            units::bytes(needed),
            units::bytes(free)
        )
    })
}
