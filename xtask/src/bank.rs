//! `cargo xtask bank`: money that moves between accounts while those who move it are killed.

pub(crate) mod teller;
pub(crate) mod vault;
pub(crate) mod worker;

use crate::campaign::board::{FIELDS, Row};
use crate::campaign::crew::Crew;
use crate::campaign::house::House;
use crate::campaign::rng::Rng;
use crate::campaign::{HANG_MAX, Progress, Violation, ensure, fresh_seed};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use worker::{AUDITS, CLEARED, FOUND_BY_PID, READY, RESTORED, TRANSFERS, WAIT_MAX_US};

/// Move money between locked accounts while the processes that do it are killed at random.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// 8 seconds.
    #[arg(long)]
    short: bool,
    /// Seconds to go on; longer if there were fewer than 200 kills.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Microseconds between two attempts to kill, on average.
    #[arg(long, default_value_t = 20_000)]
    pace_us: u64,
    /// One worker does not repair what the dead leave, to see that it is noticed.
    #[arg(long, hide = true)]
    sabotage: bool,
    /// Repeat the decisions of a run.
    #[arg(long)]
    seed: Option<u64>,
}

/// Processes that move money.
pub(crate) const WORKERS: usize = 4;
/// Accounts, and what each has at first.
pub(crate) const ACCOUNTS: usize = 100;
pub(crate) const BALANCE: i64 = 1000;
/// What all accounts have together, always.
pub(crate) const TOTAL: i64 = ACCOUNTS as i64 * BALANCE;

const SHORT_SECONDS: u64 = 8;
const KILLS_MIN: u64 = 200;
/// One in so many of those who are to be killed while they are not ready is.
const UNREADY_KILLS: u64 = 4;
/// Transfers of the crew that is killed all at once.
const LAST_TRANSFERS: u64 = 100;

pub(crate) fn run(mut args: Args) -> ExitCode {
    let seed = args.seed.unwrap_or_else(fresh_seed);
    if args.short {
        args.seconds = args.seconds.min(SHORT_SECONDS);
    }
    match campaign(&args, seed) {
        Ok(line) => {
            println!("bank: {line} (seed {seed})");
            ExitCode::SUCCESS
        }
        Err(Violation(text)) => {
            eprintln!("violation in bank (--seed {seed}): {text}");
            ExitCode::FAILURE
        }
    }
}

/// The numbers of all workers together.
struct Figures([u64; FIELDS]);

impl Figures {
    fn read(crew: &Crew<'_>) -> Self {
        let mut figures = std::array::from_fn(|field| crew.board.sum(field));
        figures[WAIT_MAX_US] = crew.board.max(WAIT_MAX_US);
        Self(figures)
    }

    /// A run in which nothing had to be repaired has shown nothing.
    fn check(&self) -> Result<(), Violation> {
        for (field, what) in [
            (TRANSFERS, "moved money"),
            (AUDITS, "checked the sum"),
            (RESTORED, "undid a half-made transfer"),
            (CLEARED, "cleared the poison of an account that is in order"),
        ] {
            ensure(self.0[field] > 0, || format!("nobody {what}"))?;
        }
        Ok(())
    }

    fn line(&self, kills: u64) -> String {
        let [transfers, audits, restored, by_pid, cleared, wait_max_us] =
            [TRANSFERS, AUDITS, RESTORED, FOUND_BY_PID, CLEARED, WAIT_MAX_US]
                .map(|field| self.0[field]);
        format!(
            "{transfers} transfers, {audits} audits, {kills} kills, {restored} repairs ({by_pid} found \
             by the pid of the dead), {cleared} poisons without damage, longest wait for a lock \
             {:.1} ms",
            wait_max_us as f64 / 1e3
        )
    }
}

fn campaign(args: &Args, seed: u64) -> Result<String, Violation> {
    let house = House::new("bank")?;
    let side = house.side().to_string_lossy().into_owned();
    let mut role = vec!["bank".to_owned()];
    role.extend(args.sabotage.then(|| "--sabotage".to_owned()));
    let mut crew = Crew::new(&house, WORKERS, &role, seed)?;
    let mut progress = Progress::new();
    turmoil(&mut crew, args, &mut Rng::new(seed), &mut progress)?;
    crew.stop(HANG_MAX)?;
    let figures = Figures::read(&crew);
    figures.check()?;
    let kills = crew.kills;
    check(&house, &side)?;

    let mut last = Crew::new(&house, WORKERS, &role, seed)?;
    all_at_once(&mut last)?;
    let verdict = check(&house, &side)?;
    let proof = house.prove_empty()?;
    Ok(format!(
        "{}, {:.0} s; after {WORKERS} kills at once: {verdict}; {proof}",
        figures.line(kills + last.kills),
        progress.elapsed().as_secs_f64(),
    ))
}

/// Kills a worker at random, again and again. Now and then that is one that is not ready: it still opens
/// the accounts, or repairs what its former life has left.
fn turmoil(
    crew: &mut Crew<'_>,
    args: &Args,
    rng: &mut Rng,
    progress: &mut Progress,
) -> Result<(), Violation> {
    let length = Duration::from_secs(args.seconds);
    while progress.elapsed() < length || crew.kills < KILLS_MIN {
        std::thread::sleep(Duration::from_micros(rng.below(2 * args.pace_us + 1)));
        crew.watch()?;
        let victim = rng.below(WORKERS as u64) as usize;
        let is_ready = crew.board.get(Row::Worker(victim), READY) == crew.life(victim);
        if is_ready || rng.one_in(UNREADY_KILLS) {
            crew.kill(victim)?;
        }
        progress.say(|| Figures::read(crew).line(crew.kills));
    }
    Ok(())
}

/// Kills all workers in the middle of their work: nobody is left to repair anything.
fn all_at_once(crew: &mut Crew<'_>) -> Result<(), Violation> {
    let start = Instant::now();
    while crew.board.sum(TRANSFERS) < LAST_TRANSFERS {
        crew.watch()?;
        ensure(start.elapsed() < HANG_MAX, || "the last workers do not work".to_owned())?;
        std::thread::sleep(Duration::from_millis(1));
    }
    crew.kill_all()
}

/// Has one process, alone with the accounts, repair what is left and check the sum.
fn check(house: &House, side: &str) -> Result<String, Violation> {
    let words = ["bank", &format!("--side={side}"), "--check"].map(str::to_owned);
    let checked = house.role(&words).output()?;
    let reports = house.reports();
    ensure(checked.status.success() && reports.is_empty(), || {
        let why = String::from_utf8_lossy(&checked.stderr).into_owned();
        format!("the check ended with {}: {reports:?} {why}", checked.status)
    })?;
    Ok(String::from_utf8_lossy(&checked.stdout).trim().to_owned())
}
