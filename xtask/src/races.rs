//! `cargo xtask races`: create, open, unlink and kill on one name.
//!
//! Four workers attach to a name, look whether all who are attached share the same memory, and detach,
//! while the controller kills them at random.

pub(crate) mod worker;

use crate::campaign::crew::Crew;
use crate::campaign::house::House;
use crate::campaign::rng::Rng;
use crate::campaign::{Progress, Violation, ensure, fresh_seed};
use std::process::ExitCode;
use std::time::Duration;
use worker::{ATTACHES, Act, BUSY, CHECKS, MAX_US};

/// Attach to one name from four processes that are killed at random.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Fewer rounds: about 15 seconds.
    #[arg(long)]
    short: bool,
    /// So many times as many rounds.
    #[arg(long, default_value_t = 1)]
    times: u64,
    /// Remove the name under the hands of others now and then, to see that it is noticed.
    #[arg(long, hide = true)]
    sabotage: bool,
    /// Only this part.
    #[arg(long)]
    part: Option<Act>,
    /// Repeat the decisions of a run.
    #[arg(long)]
    seed: Option<u64>,
}

/// Workers on the one name.
pub(crate) const WORKERS: usize = 4;
/// A part that takes longer has failed.
const PART_MAX: Duration = Duration::from_secs(900);

/// One part of the campaign and how far it goes.
struct Part {
    act: Act,
    attaches: u64,
    kills: u64,
    /// Mean time between two kills.
    pace_us: u64,
}

const PARTS: [Part; 3] = [
    Part { act: Act::Block, attaches: 900_000, kills: 1500, pace_us: 15_000 },
    Part { act: Act::Mix, attaches: 200_000, kills: 500, pace_us: 15_000 },
    Part { act: Act::Channel, attaches: 40_000, kills: 1000, pace_us: 15_000 },
];

/// What a part came to.
#[derive(Default)]
struct Tally {
    attaches: u64,
    kills: u64,
}

pub(crate) fn run(args: Args) -> ExitCode {
    let seed = args.seed.unwrap_or_else(fresh_seed);
    let mut total = Tally::default();
    for part in PARTS.iter().filter(|part| args.part.is_none_or(|only| only == part.act)) {
        match campaign(part, &args, seed) {
            Ok(tally) => {
                total.attaches += tally.attaches;
                total.kills += tally.kills;
            }
            Err(Violation(text)) => {
                eprintln!("violation in races, {} (--seed {seed}): {text}", part.act);
                return ExitCode::FAILURE;
            }
        }
    }
    println!(
        "races: {} attaches, {} kills, 0 split-brains, 0 half-made names, 0 names left (seed {seed})",
        total.attaches, total.kills
    );
    ExitCode::SUCCESS
}

fn campaign(part: &Part, args: &Args, seed: u64) -> Result<Tally, Violation> {
    let house = House::new(&format!("races-{}", part.act))?;
    let mut role = vec!["races".to_owned(), format!("--act={}", part.act)];
    role.extend(args.sabotage.then(|| "--sabotage".to_owned()));
    let mut crew = Crew::new(&house, WORKERS, &role, seed)?;
    let mut rng = Rng::new(seed);
    let mut progress = Progress::new();
    let rounds = |full: u64| full * args.times / if args.short { 30 } else { 1 };
    let limit = PART_MAX * u32::try_from(args.times).unwrap_or(u32::MAX);
    let (attaches, kills) = (rounds(part.attaches), rounds(part.kills));
    loop {
        let done = crew.board.sum(ATTACHES);
        if done >= attaches && crew.kills >= kills {
            break;
        }
        ensure(progress.elapsed() < limit, || {
            format!("{done} attaches, {} kills after {limit:?}", crew.kills)
        })?;
        std::thread::sleep(Duration::from_micros(rng.below(part.pace_us * 2)));
        crew.watch()?;
        crew.kill(rng.below(WORKERS as u64) as usize)?;
        progress.say(|| format!("{}: {done} attaches, {} kills", part.act, crew.kills));
    }
    crew.stop(Duration::from_secs(30))?;
    house.prove_empty()?;
    let tally = Tally { attaches: crew.board.sum(ATTACHES), kills: crew.kills };
    let (checks, busy) = (crew.board.sum(CHECKS), crew.board.sum(BUSY));
    let longest_ms = crew.board.max(MAX_US) as f64 / 1e3;
    // Once more, and this time nobody is left to clean up.
    let mut last = Crew::new(&house, WORKERS, &role, seed)?;
    while last.board.sum(ATTACHES) < 200 {
        last.watch()?;
        std::thread::sleep(Duration::from_millis(1));
    }
    last.kill_all()?;
    let proof = house.prove_empty()?;
    println!(
        "{:8} {} attaches, {checks} pairs compared, {} kills, {} leaves, {busy} busy, \
         longest attach {longest_ms:.1} ms, {:.0} s; {proof}",
        part.act.to_string(),
        tally.attaches,
        tally.kills,
        crew.leaves,
        progress.elapsed().as_secs_f64(),
    );
    Ok(tally)
}
