//! `cargo xtask hostile`: everything that can be wrong with a directory, a name, a file or the memory.
//!
//! Each row runs in a process of its own and must end with one of the errors that are written down for
//! it, in words that name the object, and never by a signal.

pub(crate) mod foreign;
pub(crate) mod ground;
pub(crate) mod live;
pub(crate) mod mutator;
pub(crate) mod rows;
pub(crate) mod space;

use crate::campaign::house::House;
use crate::campaign::{Progress, Violation, ensure, fresh_seed};
use rows::{Needs, ROWS, Row};
use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Give the library damaged files, full disks, wrong owners and wild words.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Fewer of the rows that are repeated: about 15 seconds.
    #[arg(long)]
    short: bool,
    /// Only the rows whose name contains this.
    #[arg(long)]
    row: Option<String>,
    /// Repeat the decisions of a run.
    #[arg(long)]
    seed: Option<u64>,
}

/// A row that takes longer hangs.
const ROW_MAX: Duration = Duration::from_secs(60);
/// A file system of this size is what a container gets by default.
const SMALL: &str = "size=64m,mode=700";

/// What the processes of one row came to: how often each outcome, and the last text of each.
type Outcomes = BTreeMap<String, (u64, String)>;

pub(crate) fn run(args: Args) -> ExitCode {
    let seed = args.seed.unwrap_or_else(fresh_seed);
    let (mut passed, mut skipped, mut failed) = (0, 0, 0);
    let mut progress = Progress::new();
    println!("{:44} {:28} got", "row", "expected");
    for (index, row) in ROWS.iter().enumerate() {
        if args.row.as_deref().is_some_and(|part| !row.name.contains(part)) {
            continue;
        }
        progress.say(|| row.name.to_owned());
        let expected = row.expected.join(", ");
        match check(index, row, &args, seed) {
            Ok(Some(outcomes)) => {
                passed += 1;
                println!("{:44} {expected:28} {}", row.name, summary(&outcomes));
            }
            Ok(None) => {
                skipped += 1;
                println!("{:44} {expected:28} skipped: {}", row.name, row.needs.lack());
            }
            Err(Violation(text)) => {
                failed += 1;
                println!("{:44} {expected:28} VIOLATION: {text}", row.name);
            }
        }
    }
    println!(
        "hostile: {passed} rows as expected, {skipped} skipped, {failed} violations, 0 processes left \
         (seed {seed}, {:.0} s)",
        progress.elapsed().as_secs_f64()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn summary(outcomes: &Outcomes) -> String {
    let count = |(kind, (count, _)): (&String, &(u64, String))| format!("{kind} x {count}");
    outcomes.iter().map(count).collect::<Vec<_>>().join(", ")
}

/// Runs a row as often as it asks for; `None` if this machine cannot.
fn check(index: usize, row: &Row, args: &Args, seed: u64) -> Result<Option<Outcomes>, Violation> {
    let Some(prefix) = row.needs.prefix() else { return Ok(None) };
    let step = if args.short { (row.times / 10).max(row.times.min(4)) } else { 1 };
    let mut outcomes = Outcomes::new();
    for nth in (0..row.times).step_by(step as usize) {
        one(index, row, nth, (seed, args.short), prefix, &mut outcomes)
            .map_err(|Violation(text)| Violation(format!("time {nth}: {text}")))?;
    }
    for (kind, (_, text)) in &outcomes {
        let is_typed = row.expected.contains(&"typed") && kind != "Io";
        ensure(is_typed || row.expected.contains(&kind.as_str()), || format!("{kind}: {text}"))?;
    }
    // What is written down must also be what happens.
    for kind in row.expected.iter().filter(|_| row.is_exact && !args.short) {
        ensure(outcomes.contains_key(*kind), || format!("no {kind}: {}", summary(&outcomes)))?;
    }
    Ok(Some(outcomes))
}

/// Runs a row once.
fn one(
    index: usize,
    row: &Row,
    nth: u64,
    (seed, is_short): (u64, bool),
    prefix: &[&str],
    outcomes: &mut Outcomes,
) -> Result<(), Violation> {
    let house = House::new("hostile")?;
    let mut command = in_mount(&house, prefix, row.needs);
    command.args(["role", "row", &format!("--index={index}"), &format!("--nth={nth}")]);
    command.arg(format!("--seed={}", seed ^ nth));
    if is_short {
        command.arg("--short");
    }
    let output = fs::File::create(house.side().join("output"))?;
    let mut child = command.stdout(output.try_clone()?).stderr(output).spawn()?;
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if start.elapsed() > ROW_MAX {
            child.kill()?;
            child.wait()?;
            break None;
        }
        std::thread::sleep(Duration::from_micros(500));
    };
    let text = fs::read_to_string(house.side().join("output")).unwrap_or_default();
    let last = || text.lines().rev().take(3).collect::<Vec<_>>().join(" | ");
    let status = status.ok_or_else(|| Violation(format!("hangs after: {}", last())))?;
    ensure(status.success(), || format!("ended with {status} after: {}", last()))?;
    for line in text.lines().filter_map(|line| line.strip_prefix("got ")) {
        let (kind, text) = line.split_once('\t').unwrap_or((line, ""));
        let entry = outcomes.entry(kind.to_owned()).or_default();
        *entry = (entry.0 + 1, text.to_owned());
    }
    let users = house.users();
    ensure(users.is_empty(), || format!("processes left: {users:?}"))?;
    if row.is_swept { house.prove_empty().map(drop) } else { Ok(()) }
}

/// This program, in a mount namespace with a small file system if the row needs one.
fn in_mount(house: &House, prefix: &[&str], needs: Needs) -> Command {
    let program = std::env::current_exe().unwrap_or_default();
    let Some((unshare, options)) = prefix.split_first() else {
        let mut command = Command::new(program);
        command.env("CROSSDOCK_DIR", house.names()).stdin(Stdio::null());
        return command;
    };
    let small = house.side().join("small");
    let more = if needs == Needs::FewInodes { ",nr_inodes=12" } else { "" };
    let script = format!(
        "mkdir {0} && mount -t tmpfs -o {SMALL}{more} tmpfs {0} && exec \"$0\" \"$@\"",
        small.display()
    );
    let mut command = Command::new(unshare);
    command.args(options).args(["sh", "-c", &script]).arg(program);
    command.env("CROSSDOCK_DIR", small.join("names")).stdin(Stdio::null());
    command
}
