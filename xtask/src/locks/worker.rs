//! A worker of `locks`: uses one primitive until it is killed.

use super::play::{self, Primitive};
use crate::campaign::Violation;
use crate::campaign::board::{Board, Row};
use crate::campaign::crew::{STEPS, Seat};
use crate::campaign::rng::Rng;
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) seat: Seat,
    #[arg(long)]
    primitive: Primitive,
    #[arg(long)]
    sabotage: bool,
}

#[derive(clap::Args)]
pub(crate) struct CheckArgs {
    #[arg(long)]
    pub(crate) side: PathBuf,
    #[arg(long)]
    primitive: Primitive,
    #[arg(long)]
    acknowledged: u64,
}

// Fields of a worker on the board.
pub(crate) const ACKNOWLEDGED: usize = 0;
pub(crate) const LONGEST_US: usize = 1;
pub(crate) const REPAIRS: usize = 2;

/// Longer than any wait for somebody who lives, or who is found dead: then somebody was passed over.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(10);

/// One life of a worker.
pub(super) struct Worker {
    board: Board,
    row: Row,
    /// The worker's place among the workers.
    pub(super) index: usize,
    /// A number that no other life of any worker has.
    pub(super) number: u64,
    pub(super) rng: Rng,
    pub(super) sabotage: bool,
}

impl Worker {
    pub(super) fn is_stopped(&self) -> bool {
        self.board.is_stopped()
    }

    /// Waits for something, and keeps the longest wait.
    pub(super) fn wait<R>(&self, wait: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = wait();
        self.board.raise(self.row, LONGEST_US, start.elapsed().as_micros() as u64);
        result
    }

    pub(super) fn repaired(&self) {
        self.board.add(self.row, REPAIRS, 1);
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Violation> {
    let mut worker = Worker {
        board: Board::open(&args.seat.side)?,
        row: Row::Worker(args.seat.worker),
        index: args.seat.worker,
        number: args.seat.life << 8 | args.seat.worker as u64,
        rng: Rng::new(args.seat.seed ^ args.seat.life << 8 ^ args.seat.worker as u64),
        sabotage: args.sabotage,
    };
    let mut step = play::begin(args.primitive)?;
    while !worker.is_stopped() {
        let acknowledged = step(&mut worker)?;
        worker.board.add(worker.row, ACKNOWLEDGED, acknowledged);
        worker.board.add(worker.row, STEPS, 1);
    }
    Ok(())
}

pub(crate) fn check(args: &CheckArgs) -> Result<(), Violation> {
    play::check(args.primitive, args.acknowledged)
}
