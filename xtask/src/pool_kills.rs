//! `cargo xtask pool-kills`: pools whose workers are killed at random, then pools whose process is.

pub(crate) mod owner;

use crate::campaign::house::House;
use crate::campaign::rng::Rng;
use crate::campaign::{HANG_MAX, Progress, Violation, ensure, fresh_seed};
use owner::Start;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Kill the workers of a pool, and the process of a pool, at random.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// 5,000 tasks, 50 kills and 6 processes.
    #[arg(long)]
    short: bool,
    /// Tasks of each pool.
    #[arg(long, default_value_t = 100_000)]
    tasks: u64,
    /// Kills in each pool.
    #[arg(long, default_value_t = 1000)]
    kills: u64,
    /// Processes that have a pool and are killed.
    #[arg(long, default_value_t = 100)]
    owners: u64,
    /// Repeat the decisions of a run.
    #[arg(long)]
    seed: Option<u64>,
}

/// How long a worker may outlive the process of its pool.
const ORPHANS_MAX: Duration = Duration::from_secs(1);
/// How long one waits for what should be a matter of milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn run(mut args: Args) -> ExitCode {
    let seed = args.seed.unwrap_or_else(fresh_seed);
    if args.short {
        (args.tasks, args.kills) = (args.tasks.min(5000), args.kills.min(50));
        args.owners = args.owners.min(6);
    }
    let campaign = || -> Result<String, Violation> {
        let house = House::new("pool-kills")?;
        let workers = workers_die(&house, &args, seed)?;
        let owners = owners_die(&house, &args, seed)?;
        Ok(format!("{workers}; {owners}; {}", house.prove_empty()?))
    };
    match campaign() {
        Ok(line) => {
            println!("pool-kills: {line} (seed {seed})");
            ExitCode::SUCCESS
        }
        Err(Violation(text)) => {
            eprintln!("violation in pool-kills (--seed {seed}): {text}");
            ExitCode::FAILURE
        }
    }
}

/// One pool for each way to start workers, without and with retries.
fn workers_die(house: &House, args: &Args, seed: u64) -> Result<String, Violation> {
    let mut lines = Vec::new();
    for (start, retries) in [(Start::ForkServer, 0), (Start::Spawn, 3)] {
        let mut role = vec!["pool-owner".to_owned(), format!("--start={start}")];
        role.extend([
            format!("--tasks={}", args.tasks),
            format!("--kills={}", args.kills),
            format!("--retries={retries}"),
            format!("--seed={seed}"),
        ]);
        let output = house.role(&role).output()?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        ensure(output.status.success(), || {
            format!("{start}: {} {said} {}", output.status, String::from_utf8_lossy(&output.stderr))
        })?;
        house.prove_empty()?;
        lines.push(format!("{start}: {said}"));
    }
    Ok(lines.join("; "))
}

/// Kills processes that have a pool at work, and sees how long their workers last.
fn owners_die(house: &House, args: &Args, seed: u64) -> Result<String, Violation> {
    let mut rng = Rng::new(seed);
    let mut progress = Progress::new();
    let mut longest = Duration::ZERO;
    for number in 0..args.owners {
        let start = [Start::Spawn, Start::ForkServer][(number % 2) as usize];
        let role = ["pool-owner".to_owned(), format!("--start={start}"), "--endless".to_owned()];
        let mut owner = house.spawn(&role)?;
        // Workers come one after the other; any moment is good enough.
        std::thread::sleep(Duration::from_millis(rng.below(100)));
        owner.kill()?;
        owner.wait()?;
        let killed = Instant::now();
        while !house.users().is_empty() {
            ensure(killed.elapsed() < PATIENCE, || format!("orphans: {:?}", house.users()))?;
            std::thread::sleep(Duration::from_millis(1));
        }
        longest = longest.max(killed.elapsed());
        // The short form is a test, which says nothing of how quick a busy machine is.
        ensure(longest < if args.short { HANG_MAX } else { ORPHANS_MAX }, || {
            format!("workers outlived their pool's process by {longest:?}")
        })?;
        progress.say(|| format!("{number} owners killed, orphans for {longest:?} at most"));
    }
    house.prove_empty()?;
    Ok(format!("{} owners killed, orphans for {longest:.1?} at most", args.owners))
}
