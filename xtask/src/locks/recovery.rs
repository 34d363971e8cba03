//! How long it takes from the death of an owner until a waiter has its lock.

use crate::campaign::board::{Board, Row};
use crate::campaign::house::House;
use crate::campaign::rng::Rng;
use crate::campaign::{HANG_MAX, Violation, ensure};
use crossdock::Value;
use crossdock::sync::Mutex;
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    pub(crate) side: PathBuf,
    /// The owner, who is killed; else the waiter.
    #[arg(long)]
    owner: bool,
    /// Which death it is.
    #[arg(long)]
    number: u64,
}

// Fields of the board.
/// The number of the death whose owner has the lock.
const OWNED: usize = 0;
/// The number of the death whose waiter waits.
const WAITING: usize = 1;
/// The number of the death whose waiter has the lock, and when it got it.
const GOT: usize = 2;
const GOT_NS: usize = 3;

const OWNER: Row = Row::Worker(0);
const WAITER: Row = Row::Worker(1);
/// The goal for the slowest of a hundred.
const P99_MAX_MS: f64 = 30.0;
/// The most that an owner keeps the lock while somebody waits: some slices.
const KEEP_MAX_US: u64 = 60_000;

/// Kills owners while somebody waits; returns a line for people.
pub(super) fn measure(deaths: u64, seed: u64) -> Result<String, Violation> {
    let house = House::new("locks-recovery")?;
    let board = Board::open(&house.side())?;
    board.clear();
    let lock = role(&house, false, 0);
    let mut waiter = house.spawn(&lock)?;
    let mut rng = Rng::new(seed);
    let mut times_ms = Vec::new();
    for number in 1..=deaths {
        let mut owner = house.spawn(&role(&house, true, number))?;
        until(&board, OWNER, OWNED, number)?;
        board.set(Row::Controller, WAITING, number);
        until(&board, WAITER, WAITING, number)?;
        // The death comes anywhere in a slice.
        std::thread::sleep(Duration::from_micros(rng.below(KEEP_MAX_US)));
        let killed_ns = super::play::now_ns();
        owner.kill()?;
        until(&board, WAITER, GOT, number)?;
        owner.wait()?;
        let got_ns = board.get(WAITER, GOT_NS);
        times_ms.push(got_ns.saturating_sub(killed_ns) as f64 / 1e6);
    }
    board.set(Row::Controller, crate::campaign::board::STOP, 1);
    let status = waiter.wait()?;
    let reports = house.reports();
    ensure(status.success() && reports.is_empty(), || format!("the waiter: {reports:?}"))?;
    house.prove_empty()?;
    times_ms.sort_by(f64::total_cmp);
    let at = |part: f64| times_ms[((times_ms.len() - 1) as f64 * part) as usize];
    let line = format!(
        "{deaths} deaths of an owner noticed after p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms \
         (goal: p99 {P99_MAX_MS} ms)",
        at(0.5),
        at(0.99),
        at(1.0)
    );
    Ok(line)
}

fn role(house: &House, is_owner: bool, number: u64) -> Vec<String> {
    let mut words = vec!["locks-recovery".to_owned(), format!("--side={}", house.side().display())];
    words.push(format!("--number={number}"));
    words.extend(is_owner.then(|| "--owner".to_owned()));
    words
}

fn until(board: &Board, row: Row, field: usize, value: u64) -> Result<(), Violation> {
    let start = Instant::now();
    while board.get(row, field) != value {
        ensure(start.elapsed() < HANG_MAX, || format!("death {value}: nobody noticed it"))?;
        std::thread::sleep(Duration::from_micros(100));
    }
    Ok(())
}

pub(crate) fn run(args: &Args) -> Result<(), Violation> {
    let board = Board::open(&args.side)?;
    let lock = Value::open_or_create("lock", Mutex::new(0_u64))?;
    if args.owner {
        // Never given back.
        let _guard = lock.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        board.set(OWNER, OWNED, args.number);
        loop {
            std::thread::park();
        }
    }
    let mut last = 0;
    while !board.is_stopped() {
        let number = board.get(Row::Controller, WAITING);
        if number == last {
            std::thread::sleep(Duration::from_micros(200));
            continue;
        }
        last = number;
        board.set(WAITER, WAITING, number);
        let locked = lock.lock();
        let got_ns = super::play::now_ns();
        ensure(locked.is_err(), || "the owner died, and the waiter was not told".to_owned())?;
        drop(locked);
        lock.clear_poison();
        board.set(WAITER, GOT_NS, got_ns);
        board.set(WAITER, GOT, number);
    }
    Ok(())
}
