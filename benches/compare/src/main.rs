//! crossdock, its floors and its rivals, measured side by side in one interleaved run.
//!
//! Two real processes per subject, pinned to two CPUs and under SCHED_FIFO where that is allowed;
//! every reply and every count is checked; the parent only directs, so that a child that hangs is an error after
//! some seconds.

mod bench;
mod clock;
mod contest;
mod control;
mod crew;
mod interrupt;
mod markdown;
mod measure;
mod pair;
mod peer;
mod place;
mod play;
mod plot;
mod record;
mod stats;
mod stream;
mod subject;
mod sum;
mod table;
mod within;

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use bench::{Bench, Options};
use clap::{Parser, Subcommand};
use control::Control;
use measure::MEASURES;
use place::Place;
use table::Row;

/// Any failure ends the run, with a sentence that names the process.
pub(crate) type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Measures crossdock beside its floors and its rivals; times are per array, one way, or per turn of a lock.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    /// Fewer rounds: about one minute instead of three.
    #[arg(long)]
    quick: bool,
    /// Only these measures.
    #[arg(long, value_delimiter = ',', value_name = "P1,P5")]
    only: Vec<String>,
    /// The same number of rounds for every measure.
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Markdown instead of a table, one for each measure: the body of docs/benchmarks.md.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Draws the cost of a hop against the size of the array into a file instead; some minutes.
    #[arg(long, value_name = "FILE.svg", conflicts_with_all = ["only", "json", "markdown"])]
    plot: Option<PathBuf>,
    /// The Python to compare with.
    #[arg(long, default_value = "python3", value_name = "PROGRAM")]
    python: String,
    #[command(subcommand)]
    role: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plays one end of a subject; the parent starts it.
    #[command(hide = true)]
    Role(Place),
}

fn main() -> ExitCode {
    crossdock::process::init();
    procspawn::init();
    if subject::start::is_nothing() {
        return ExitCode::SUCCESS;
    }
    let cli = Cli::parse();
    let (who, done) = match &cli.role {
        Some(Command::Role(place)) => {
            let who = format!("{} {:?}: ", place.role, place.side);
            (who, subject::serve(place, &mut Control::new()))
        }
        None => (String::new(), compare(&cli)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crossdock-compare: {who}{error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(cli: &Cli) -> Result<()> {
    if let Some(wrong) = cli.only.iter().find(|id| MEASURES.iter().all(|known| known.id != *id)) {
        let known: Vec<&str> = MEASURES.iter().map(|measure| measure.id).collect();
        return Err(format!("there is no measure {wrong}; there are {}", known.join(", ")).into());
    }
    interrupt::install();
    let start = Instant::now();
    let (quick, rounds, python) = (cli.quick, cli.rounds, cli.python.clone());
    let bench = Bench::start(Options { quick, rounds, python })?;
    if let Some(file) = &cli.plot {
        return plot::run(&bench, file, || header(&bench, start));
    }
    let mut rows = Vec::new();
    let mut failure = None;
    for measure in MEASURES {
        if cli.only.is_empty() || cli.only.iter().any(|id| id == measure.id) {
            match (measure.run)(&bench) {
                Ok(measured) => rows.extend(measured),
                Err(error) => {
                    failure = Some(format!("{}: {error}", measure.id));
                    break;
                }
            }
        }
    }
    let header = header(&bench, start);
    if cli.json {
        println!("{:#}", table::json(&header, &rows));
    } else if cli.markdown {
        println!("{header}");
        for measure in MEASURES {
            let of_it: Vec<&Row> = rows.iter().filter(|row| row.measure == measure.id).collect();
            if !of_it.is_empty() {
                println!("\n## {}: {}\n\n{}", measure.id, measure.title, markdown::table(&of_it));
            }
        }
    } else if !rows.is_empty() {
        println!("{header}\n{}", table::text(&rows));
        for measure in
            MEASURES.iter().filter(|known| rows.iter().any(|row| row.measure == known.id))
        {
            println!("{:>4}  {}", measure.id, measure.title);
        }
    }
    failure.map_or(Ok(()), |failure| Err(failure.into()))
}

/// One line: the machine, and under which conditions it was measured.
fn header(bench: &Bench, start: Instant) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("CPU");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = match bench.cpus {
        [Some(a), Some(b)] => format!("pairs on CPU {a} and CPU {b}"),
        _ => "one CPU".to_owned(),
    };
    let fifo =
        if bench.fifo { "bursts under SCHED_FIFO" } else { "without SCHED_FIFO (not permitted)" };
    let seconds = start.elapsed().as_secs();
    format!("{model}, Linux {}, {cpus}, {fifo}, {seconds} s", kernel.trim())
}
