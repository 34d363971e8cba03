//! A worker of `bank`: moves money and checks the sum; or, alone, repairs what is left.

use super::WORKERS;
use super::teller::{Tally, Teller};
use super::vault::Vault;
use crate::campaign::board::{Board, Row};
use crate::campaign::crew::{STEPS, Seat};
use crate::campaign::rng::{Rng, mix};
use crate::campaign::{Violation, ensure};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) seat: Seat,
    #[arg(long)]
    pub(crate) sabotage: bool,
    /// Repair what is left and check the sum, alone.
    #[arg(long)]
    pub(crate) check: bool,
}

// Fields of a worker on the board.
pub(crate) const TRANSFERS: usize = 0;
pub(crate) const AUDITS: usize = 1;
pub(crate) const RESTORED: usize = 2;
pub(crate) const FOUND_BY_PID: usize = 3;
pub(crate) const CLEARED: usize = 4;
pub(crate) const WAIT_MAX_US: usize = 5;
/// The life in which the worker has opened everything and repaired what its former life left.
pub(crate) const READY: usize = 6;

/// A worker checks the sum about this often.
const STEPS_PER_AUDIT: u64 = 50;

pub(crate) fn run(args: &Args) -> Result<(), Violation> {
    if args.check { check() } else { work(args) }
}

fn work(args: &Args) -> Result<(), Violation> {
    let board = Board::open(&args.seat.side)?;
    let row = Row::Worker(args.seat.worker);
    let vault = Vault::open()?;
    let rng = Rng::new(args.seat.seed ^ mix(args.seat.life << 8 | args.seat.worker as u64));
    let mut teller = Teller::new(&vault, rng, args.sabotage && args.seat.worker == 0);
    teller.adopt(args.seat.worker)?;
    board.set(row, READY, args.seat.life);
    while !board.is_stopped() {
        if teller.one_in(STEPS_PER_AUDIT) {
            teller.audit()?;
        } else {
            teller.transfer(args.seat.worker)?;
        }
        publish(&board, row, &mut teller.tally);
        board.add(row, STEPS, 1);
    }
    Ok(())
}

/// Adds what was done since the last time to the board.
fn publish(board: &Board, row: Row, tally: &mut Tally) {
    let tally = std::mem::take(tally);
    for (field, count) in [
        (TRANSFERS, tally.transfers),
        (AUDITS, tally.audits),
        (RESTORED, tally.restored),
        (FOUND_BY_PID, tally.found_by_pid),
        (CLEARED, tally.cleared),
    ] {
        if count > 0 {
            board.add(row, field, count);
        }
    }
    let wait_us = u64::try_from(tally.wait_max.as_micros()).unwrap_or(u64::MAX);
    board.raise(row, WAIT_MAX_US, wait_us);
}

/// What one process finds when all others are gone.
fn check() -> Result<(), Violation> {
    let vault = Vault::open_existing()?;
    let mut teller = Teller::new(&vault, Rng::new(0), false);
    (0..WORKERS).try_for_each(|worker| teller.settle(worker))?;
    teller.audit()?;
    vault.check_settled()?;
    let Tally { restored, cleared, .. } = teller.tally;
    ensure(restored <= WORKERS as u64, || format!("{restored} repairs for {WORKERS} journals"))?;
    println!("{restored} repairs, {cleared} poisons without damage, the sum is right");
    Ok(())
}
