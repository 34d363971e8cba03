//! `cargo xtask soak`: hand-offs of all sizes among three processes that are killed at random.

pub(crate) mod ledger;
pub(crate) mod pattern;
pub(crate) mod sabotage;
pub(crate) mod worker;

use crate::campaign::board::Row;
use crate::campaign::crew::Crew;
use crate::campaign::house::{House, contents};
use crate::campaign::rng::Rng;
use crate::campaign::{HANG_MAX, Progress, Violation, ensure, fresh_seed};
use clap::ValueEnum;
use ledger::Account;
use sabotage::Sabotage;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use worker::{DRAIN, GOT, LEAVE, MAX_HANG_US, READY, SENT, row_of};

/// Hand arrays from process to process while the processes are killed at random.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// 2,000 hand-offs of at most 4 MB.
    #[arg(long)]
    short: bool,
    /// Hand-offs to make.
    #[arg(long, default_value_t = 10_000)]
    hand_offs: u64,
    /// Bytes that an array has at most.
    #[arg(long, default_value_t = 256_000_000)]
    max_bytes: u64,
    /// Milliseconds between two kills, on average.
    #[arg(long, default_value_t = 400)]
    pace_ms: u64,
    /// Spoil something now and then, to see that it is noticed.
    #[arg(long, hide = true)]
    sabotage: Option<Sabotage>,
    /// Repeat the decisions of a run.
    #[arg(long)]
    seed: Option<u64>,
}

/// Processes, each of which sends to the next one and to all.
pub(crate) const WORKERS: usize = 3;
/// Threads of each process, all of which send and receive.
pub(crate) const THREADS: usize = 2;

pub(crate) fn run(mut args: Args) -> ExitCode {
    let seed = args.seed.unwrap_or_else(fresh_seed);
    if args.short {
        (args.hand_offs, args.max_bytes) =
            (args.hand_offs.min(2000), args.max_bytes.min(4_000_000));
        args.pace_ms = args.pace_ms.min(60);
    }
    match campaign(&args, seed) {
        Ok(line) => {
            println!("soak: {line} (seed {seed})");
            ExitCode::SUCCESS
        }
        Err(Violation(text)) => {
            eprintln!("violation in soak (--seed {seed}): {text}");
            ExitCode::FAILURE
        }
    }
}

fn campaign(args: &Args, seed: u64) -> Result<String, Violation> {
    let house = House::new("soak")?;
    let mut role = vec!["soak".to_owned(), format!("--max-bytes={}", args.max_bytes)];
    let sabotage = args.sabotage.and_then(|what| what.to_possible_value());
    role.extend(sabotage.map(|what| format!("--sabotage={}", what.get_name())));
    let mut crew = Crew::new(&house, WORKERS, &role, seed)?;
    let mut progress = Progress::new();
    let (killed, peak_bytes) =
        turmoil(&house, &mut crew, args, &mut Rng::new(seed), &mut progress)?;
    drain(&mut crew)?;
    crew.stop(Duration::from_secs(30))?;
    let account = Account::read(&house.side())?;
    let verdict = account.check(&killed)?;
    let (kills, leaves) = (crew.kills, crew.leaves);
    let longest_ms = crew.board.max(MAX_HANG_US) as f64 / 1e3;
    house.prove_empty()?;
    all_at_once(&house, &role, seed)?;
    let proof = house.prove_empty()?;
    Ok(format!(
        "{verdict}, {kills} kills, {leaves} leaves, 0 stale, 0 corrupt, longest wait beyond its \
         limit {longest_ms:.1} ms, at most {} MB in use, {:.0} s; {proof}",
        peak_bytes / 1_000_000,
        progress.elapsed().as_secs_f64(),
    ))
}

/// Kills workers, and asks them to leave, until enough was handed over. Returns how often each was
/// killed, and the most memory that was in use.
fn turmoil(
    house: &House,
    crew: &mut Crew<'_>,
    args: &Args,
    rng: &mut Rng,
    progress: &mut Progress,
) -> Result<([u64; WORKERS], u64), Violation> {
    let mut peak_bytes = 0;
    let mut killed = [0; WORKERS];
    wait_until_ready(crew)?;
    let mut next_kill = Instant::now();
    while crew.board.sum(GOT) < args.hand_offs {
        std::thread::sleep(Duration::from_millis(5));
        crew.watch()?;
        let bytes: u64 = contents(&house.names()).iter().map(|(_, bytes)| bytes).sum();
        peak_bytes = peak_bytes.max(bytes);
        if Instant::now() > next_kill {
            let victim = rng.below(WORKERS as u64) as usize;
            if rng.one_in(4) {
                let life = crew.life(victim);
                crew.board.set(Row::Worker(victim), LEAVE, life);
                crew.replace(victim)?;
            } else {
                crew.kill(victim)?;
                killed[victim] += 1;
            }
            // Only one is absent at a time, so that no channel loses its last user.
            wait_until_ready(crew)?;
            next_kill = Instant::now() + Duration::from_millis(rng.below(2 * args.pace_ms + 1));
        }
        progress.say(|| {
            let (sent, got) = (crew.board.sum(SENT), crew.board.sum(GOT));
            format!("{sent} sent, {got} received, {} kills, {} MB", crew.kills, bytes >> 20)
        });
    }
    Ok((killed, peak_bytes))
}

/// Kills all workers in the middle of their work: nobody is left to clean up.
fn all_at_once(house: &House, role: &[String], seed: u64) -> Result<(), Violation> {
    let mut crew = Crew::new(house, WORKERS, role, seed)?;
    wait_until_ready(&mut crew)?;
    while crew.board.sum(GOT) < 20 {
        crew.watch()?;
        std::thread::sleep(Duration::from_millis(1));
    }
    crew.kill_all()
}

/// Waits until every worker has opened all its channels.
fn wait_until_ready(crew: &mut Crew<'_>) -> Result<(), Violation> {
    let start = Instant::now();
    let is_ready = |crew: &Crew<'_>, worker: usize| {
        let life = crew.life(worker);
        (0..THREADS).all(|thread| crew.board.get(row_of(worker, thread), READY) == life)
    };
    while !(0..WORKERS).all(|worker| is_ready(crew, worker)) {
        crew.watch()?;
        ensure(start.elapsed() < HANG_MAX, || "a worker cannot open its channels".to_owned())?;
        std::thread::sleep(Duration::from_micros(500));
    }
    Ok(())
}

/// Has the workers receive what is left, and send no more.
fn drain(crew: &mut Crew<'_>) -> Result<(), Violation> {
    crew.board.set(Row::Controller, DRAIN, 1);
    let start = Instant::now();
    let (mut got, mut since) = (crew.board.sum(GOT), Instant::now());
    while since.elapsed() < Duration::from_secs(1) {
        crew.watch()?;
        ensure(start.elapsed() < 4 * HANG_MAX, || "the queues do not drain".to_owned())?;
        std::thread::sleep(Duration::from_millis(5));
        let now = crew.board.sum(GOT);
        if now != got {
            (got, since) = (now, Instant::now());
        }
    }
    Ok(())
}
