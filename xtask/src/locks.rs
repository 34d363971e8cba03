//! `cargo xtask locks`: every lock and meeting point among four processes that are killed at random, and
//! how long it takes to notice a death.

mod play;
pub(crate) mod recovery;
mod shared;
pub(crate) mod worker;

use crate::campaign::board::Row;
use crate::campaign::crew::{Crew, STEPS};
use crate::campaign::house::House;
use crate::campaign::rng::Rng;
use crate::campaign::{HANG_MAX, Progress, Violation, ensure, fresh_seed};
use clap::ValueEnum;
use play::Primitive;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use worker::{ACKNOWLEDGED, LONGEST_US, REPAIRS};

/// Kill processes at random while they use every lock and meeting point.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// 40 kills for each primitive, 20 deaths to be noticed.
    #[arg(long)]
    short: bool,
    /// Kills for each primitive.
    #[arg(long, default_value_t = 10_000)]
    kills: u64,
    /// Deaths of an owner whose noticing is timed.
    #[arg(long, default_value_t = 500)]
    deaths: u64,
    /// Only these.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Primitive>,
    /// Survivors do not repair, to see that it is noticed.
    #[arg(long, hide = true)]
    sabotage: bool,
    /// Repeat the decisions of a run.
    #[arg(long)]
    seed: Option<u64>,
}

/// Processes that use a primitive at the same time.
const WORKERS: usize = 4;
/// The most that a process works before it is killed.
const PACE_US: u64 = 3000;

pub(crate) fn run(mut args: Args) -> ExitCode {
    let seed = args.seed.unwrap_or_else(fresh_seed);
    if args.short {
        (args.kills, args.deaths) = (args.kills.min(40), args.deaths.min(20));
    }
    match campaign(&args, seed) {
        Ok(line) => {
            println!("locks: {line} (seed {seed})");
            ExitCode::SUCCESS
        }
        Err(Violation(text)) => {
            eprintln!("violation in locks (--seed {seed}): {text}");
            ExitCode::FAILURE
        }
    }
}

fn campaign(args: &Args, seed: u64) -> Result<String, Violation> {
    let mut kills = 0;
    let start = Instant::now();
    let chosen: Vec<_> = Primitive::value_variants()
        .iter()
        .filter(|primitive| args.only.is_empty() || args.only.contains(primitive))
        .collect();
    for primitive in &chosen {
        kills += turmoil(args, **primitive, seed)?;
    }
    let noticed = recovery::measure(args.deaths, seed)?;
    Ok(format!(
        "{} primitives, {kills} kills, 0 deadlocks, 0 acknowledged changes lost, {:.0} s; {noticed}",
        chosen.len(),
        start.elapsed().as_secs_f64(),
    ))
}

/// One primitive: workers use it and are killed. Returns the number of kills.
fn turmoil(args: &Args, primitive: Primitive, seed: u64) -> Result<u64, Violation> {
    let name = primitive.name();
    let within = |Violation(text)| Violation(format!("{name}: {text}"));
    let house = House::new(&format!("locks-{name}"))?;
    let mut role = vec!["locks".to_owned(), format!("--primitive={name}")];
    role.extend(args.sabotage.then(|| "--sabotage".to_owned()));
    let mut rng = Rng::new(seed ^ primitive as u64);
    let mut crew = Crew::new(&house, WORKERS, &role, seed)?;
    let mut progress = Progress::new();
    wait_until_working(&mut crew).map_err(within)?;
    while crew.kills < args.kills {
        std::thread::sleep(Duration::from_micros(rng.below(PACE_US)));
        crew.kill(rng.below(WORKERS as u64) as usize).map_err(within)?;
        crew.watch().map_err(within)?;
        progress.say(|| format!("{name}: {} kills", crew.kills));
    }
    crew.stop(HANG_MAX).map_err(within)?;
    let acknowledged = crew.board.sum(ACKNOWLEDGED);
    let longest_ms = crew.board.max(LONGEST_US) as f64 / 1e3;
    let (repairs, kills) = (crew.board.sum(REPAIRS), crew.kills);
    check(&house, primitive, acknowledged).map_err(within)?;
    house.prove_empty().map_err(within)?;
    println!(
        "{name:>10}: {kills} kills, {acknowledged} acknowledged, {repairs} repairs, longest wait \
         {longest_ms:.1} ms, {:.0} s",
        progress.elapsed().as_secs_f64()
    );
    Ok(kills)
}

/// What is left holds all that was acknowledged, and can be used.
fn check(house: &House, primitive: Primitive, acknowledged: u64) -> Result<(), Violation> {
    let words = [
        "locks-check".to_owned(),
        format!("--side={}", house.side().display()),
        format!("--primitive={}", primitive.name()),
        format!("--acknowledged={acknowledged}"),
    ];
    let status = house.role(&words).status()?;
    let reports = house.reports();
    ensure(status.success() && reports.is_empty(), || format!("afterwards: {reports:?}"))
}

/// Waits until every worker has done something.
fn wait_until_working(crew: &mut Crew<'_>) -> Result<(), Violation> {
    let start = Instant::now();
    while !(0..WORKERS).all(|worker| crew.board.get(Row::Worker(worker), STEPS) > 0) {
        crew.watch()?;
        ensure(start.elapsed() < HANG_MAX, || "a worker does not begin".to_owned())?;
        std::thread::sleep(Duration::from_micros(500));
    }
    Ok(())
}
