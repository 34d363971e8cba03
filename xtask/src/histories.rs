//! `cargo xtask histories`: what three processes saw of one object, held against what one alone would see.
//!
//! Unlike the other campaigns, this one has a judge that uses the library: it reads what the workers
//! noted. So the judge is a process of its own, and the controller proves afterwards that nothing is left.
//!
//! In an episode, three workers make eight calls each on one object and note for every call when it began
//! and ended, by a clock that they share. A round is some groups of episodes: the workers meet at the
//! beginning of each group, then play its episodes in turns. Every round has fresh objects, but for the
//! queues and cells, which are empty between two rounds.

mod cell;
mod checker;
pub(crate) mod judge;
mod object;
mod queue;
mod table;
pub(crate) mod worker;

use crate::campaign::house::House;
use crate::campaign::{Violation, ensure, fresh_seed};
use clap::ValueEnum;
use std::process::{ExitCode, Stdio};
use worker::Sabotage;

/// Check that the objects of several processes are linearizable, also when some are killed.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// 20,000 histories.
    #[arg(long)]
    short: bool,
    /// Histories to check.
    #[arg(long, default_value_t = 1_000_000)]
    histories: u64,
    /// Histories between two kills, on average.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    kill_every: u64,
    /// Spoil something now and then, to see that it is noticed.
    #[arg(long, hide = true)]
    sabotage: Option<Sabotage>,
    /// Repeat the decisions of a run.
    #[arg(long)]
    seed: Option<u64>,
}

/// Processes that use an object.
const WORKERS: usize = 3;
/// Operations of each worker in an episode.
const OPERATIONS: usize = 8;
/// Episodes that are played in turns.
const GROUP: usize = 16;
/// Groups in a round in which nobody is killed.
const GROUPS: usize = 16;

pub(crate) fn run(mut args: Args) -> ExitCode {
    let seed = args.seed.unwrap_or_else(fresh_seed);
    if args.short {
        args.histories = args.histories.min(20_000);
    }
    match campaign(&args, seed) {
        Ok(line) => {
            println!("histories: {line} (seed {seed})");
            ExitCode::SUCCESS
        }
        Err(Violation(text)) => {
            eprintln!("violation in histories (--seed {seed}): {text}");
            ExitCode::FAILURE
        }
    }
}

fn campaign(args: &Args, seed: u64) -> Result<String, Violation> {
    let house = House::new("histories")?;
    let mut words = vec![
        "judge".to_owned(),
        format!("--histories={}", args.histories),
        format!("--kill-every={}", args.kill_every),
        format!("--seed={seed}"),
    ];
    let sabotage = args.sabotage.and_then(|what| what.to_possible_value());
    words.extend(sabotage.map(|what| format!("--sabotage={}", what.get_name())));
    let judge = house.role(&words).stdout(Stdio::piped()).spawn()?.wait_with_output()?;
    let status = judge.status;
    ensure(status.success(), || format!("the judge ended with {status}, and said why above"))?;
    let verdict = String::from_utf8_lossy(&judge.stdout).trim().to_owned();
    let proof = house.prove_empty()?;
    Ok(format!("{verdict}; {proof}"))
}
