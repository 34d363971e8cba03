//! A worker of `races`.
//!
//! Two workers that are attached at the same time must see each other's marks in the shared memory.
//! Each mark is a number that is never used again; it stands on the board, which is not part of what is
//! tested, exactly while its worker is attached.

use super::WORKERS;
use crate::campaign::board::{Board, Row};
use crate::campaign::crew::{LIFE, STEPS, Seat};
use crate::campaign::rng::Rng;
use crate::campaign::{Violation, ensure};
use crossdock::channel::{Receiver, Sender, TryRecvError};
use crossdock::{Array, ArrayMut, Error, ErrorKind, SharedBlock, registry};
use std::time::Instant;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) seat: Seat,
    #[arg(long)]
    pub(crate) act: Act,
    #[arg(long)]
    pub(crate) sabotage: bool,
}

/// What the workers of a part do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Act {
    Block,
    Mix,
    Channel,
}

impl std::fmt::Display for Act {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Block => "block",
            Self::Mix => "mix",
            Self::Channel => "channel",
        })
    }
}

// Fields of a worker on the board.
pub(crate) const ATTACHES: usize = 0;
pub(crate) const CHECKS: usize = 1;
pub(crate) const BUSY: usize = 2;
pub(crate) const MAX_US: usize = 3;
/// The mark of the present attachment; 0 while detached.
const MARK: usize = 5;
const PID: usize = 6;

const BLOCK_BYTES: usize = 1000;
/// A worker leaves on its own about this often.
const LIFE_STEPS: u64 = 3000;

struct Worker {
    board: Board,
    row: Row,
    number: usize,
    life: u64,
    step: u64,
    rng: Rng,
}

pub(crate) fn run(args: Args) -> Result<(), Violation> {
    let seed = args.seat.seed ^ (args.seat.life << 8) ^ args.seat.worker as u64;
    let mut worker = Worker {
        board: Board::open(&args.seat.side)?,
        row: Row::Worker(args.seat.worker),
        number: args.seat.worker,
        life: args.seat.life,
        step: 0,
        rng: Rng::new(seed),
    };
    worker.board.set(worker.row, MARK, 0);
    worker.board.set(worker.row, PID, u64::from(std::process::id()));
    while !worker.board.is_stopped() && !worker.rng.one_in(LIFE_STEPS) {
        worker.step += 1;
        if args.sabotage && worker.rng.one_in(20) {
            // Nobody may have made the name yet; then there is nothing to spoil.
            let _ = std::fs::remove_file(registry::directory().join(args.act.to_string()));
        }
        if worker.rng.one_in(50) {
            worker.look_and_clean()?;
        }
        match args.act {
            Act::Block => worker.attach_block()?,
            Act::Mix => worker.mix()?,
            Act::Channel => worker.attach_channel()?,
        }
        worker.board.add(worker.row, STEPS, 1);
    }
    Ok(())
}

impl Worker {
    fn mark(&self) -> u64 {
        (self.life << 40) | self.step
    }

    /// A little work, so that the workers meet in all ways.
    fn dawdle(&mut self) {
        for _ in 0..self.rng.below(3000) {
            std::hint::spin_loop();
        }
    }

    /// Counts an attach that began at `start`.
    fn count(&self, start: Instant) {
        let us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.board.raise(self.row, MAX_US, us);
        self.board.add(self.row, ATTACHES, 1);
    }

    /// Opens or makes something; `None` when somebody excludes it for the moment.
    fn attach<T>(&self, open: impl FnOnce() -> Result<T, Error>) -> Result<Option<T>, Violation> {
        let start = Instant::now();
        match open() {
            Ok(found) => {
                self.count(start);
                Ok(Some(found))
            }
            Err(error) if error.kind() == ErrorKind::Busy => {
                self.board.add(self.row, BUSY, 1);
                Ok(None)
            }
            Err(error) => Err(Violation(format!("cannot attach: {error:?}"))),
        }
    }

    /// Calls `look` for every other worker that is attached now, with its mark. Whether it was all the
    /// time is found out afterwards; only then what `look` says counts.
    fn compare(&self, mut look: impl FnMut(usize, u64) -> Option<String>) -> Result<(), Violation> {
        for other in (0..WORKERS).filter(|other| *other != self.number) {
            let row = Row::Worker(other);
            let seen = || (self.board.get(row, LIFE), self.board.get(row, MARK));
            let (life, mark) = seen();
            if mark == 0 || life == 0 || mark >> 40 != life {
                continue;
            }
            let wrong = look(other, mark);
            if seen() == (life, mark) && self.board.get(row, LIFE) == life {
                self.board.add(self.row, CHECKS, 1);
                if let Some(wrong) = wrong {
                    return Err(Violation(format!("split brain: {wrong}")));
                }
            }
        }
        Ok(())
    }

    /// What somebody at a terminal may do at any time.
    fn look_and_clean(&mut self) -> Result<(), Violation> {
        let cannot = |what: &str, error: Error| Violation(format!("cannot {what}: {error:?}"));
        registry::gc(true).map_err(|error| cannot("clean", error))?;
        registry::list().map(drop).map_err(|error| cannot("list", error))
    }

    fn attach_block(&mut self) -> Result<(), Violation> {
        let open = || SharedBlock::open_or_create("block", BLOCK_BYTES);
        let Some(block) = self.attach(open)? else { return Ok(()) };
        ensure(block.len() == BLOCK_BYTES, || format!("half-made: {} bytes", block.len()))?;
        let lane = |worker: usize| 64 * worker;
        let mark = self.mark();
        block.write_at(lane(self.number), &mark.to_le_bytes())?;
        self.board.set(self.row, MARK, mark);
        let read = |worker: usize| {
            let mut bytes = [0; 8];
            block.read_at(lane(worker), &mut bytes).map(|()| u64::from_le_bytes(bytes))
        };
        self.compare(|other, mark| match read(other) {
            Ok(found) if found == mark => None,
            found => Some(format!("worker {other} has {mark:#x} in its lane, here is {found:#x?}")),
        })?;
        self.dawdle();
        let own = read(self.number)?;
        ensure(own == mark, || format!("own lane has {own:#x}, not {mark:#x}"))?;
        self.board.set(self.row, MARK, 0);
        Ok(())
    }

    /// Any operation on the name of a block, and on that of an array.
    fn mix(&mut self) -> Result<(), Violation> {
        let start = Instant::now();
        let (found, allowed): (Result<bool, Error>, &[ErrorKind]) = match self.rng.below(9) {
            0 => (
                SharedBlock::create("b", BLOCK_BYTES).map(check_block),
                &[ErrorKind::AlreadyExists],
            ),
            1 => (SharedBlock::open("b").map(check_block), &[ErrorKind::NotFound, ErrorKind::Busy]),
            2 => {
                (SharedBlock::open_or_create("b", BLOCK_BYTES).map(check_block), &[ErrorKind::Busy])
            }
            3 => (SharedBlock::unlink("b").map(|()| true), &[ErrorKind::NotFound]),
            4 => (self.create_array(), &[ErrorKind::AlreadyExists]),
            5 | 6 => (
                Array::<u64>::open("a").map(|array| check_array(&array)),
                &[ErrorKind::NotFound, ErrorKind::Busy],
            ),
            7 => (
                ArrayMut::<u64>::open("a").map(|array| check_array(&array)),
                &[ErrorKind::NotFound, ErrorKind::Busy],
            ),
            _ => (Array::<u64>::unlink("a").map(|()| true), &[ErrorKind::NotFound]),
        };
        match found {
            Ok(is_right) => {
                ensure(is_right, || "half-made: wrong length or contents".to_owned())?;
                self.count(start);
            }
            Err(error) if allowed.contains(&error.kind()) => {
                let is_busy = error.kind() == ErrorKind::Busy;
                self.board.add(self.row, BUSY, u64::from(is_busy));
            }
            Err(error) => return Err(Violation(format!("an error not documented: {error:?}"))),
        }
        self.dawdle();
        Ok(())
    }

    fn create_array(&mut self) -> Result<bool, Error> {
        let (mark, rows) = (self.mark(), 1 + self.rng.below(500) as usize);
        let array = Array::<u64>::create("a", [rows, 2], |index| mark + index as u64)?;
        if self.rng.one_in(4) {
            match array.persist() {
                // Somebody may have removed the name meanwhile; the array lives on without it.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                other => other?,
            }
        }
        self.dawdle();
        Ok(check_array(&array))
    }

    fn attach_channel(&mut self) -> Result<(), Violation> {
        let open = || Sender::<ArrayMut<u64>>::open_or_create("channel", 4);
        let Some(sender) = self.attach(open)? else { return Ok(()) };
        // The sender holds the name, so it is there and leads to the same channel.
        let receiver = Receiver::<ArrayMut<u64>>::open("channel")?;
        ensure(sender.capacity() == 4 && receiver.capacity() == 4, || "half-made".to_owned())?;
        self.board.set(self.row, MARK, self.mark());
        let senders = senders_of("channel")?;
        let me = std::process::id();
        ensure(senders.contains(&me), || {
            format!("split brain: under the name are {senders:?}, not {me}")
        })?;
        self.compare(|other, _| {
            let pid = self.board.get(Row::Worker(other), PID);
            match senders_of("channel") {
                Ok(senders) if senders.iter().any(|sender| u64::from(*sender) == pid) => None,
                senders => Some(format!("under the name are {senders:?}, not {pid}")),
            }
        })?;
        let mark = self.mark();
        let message = ArrayMut::from_fn(8, |index| mark + index as u64)?;
        // The queue may be full of what others have sent.
        let _ = sender.try_send(message);
        match receiver.try_recv() {
            Ok(array) => ensure(check_array(&array), || "a message is damaged".to_owned())?,
            Err(TryRecvError::Empty) => {}
            Err(error) => return Err(Violation(format!("cannot receive: {error:?}"))),
        }
        self.dawdle();
        self.board.set(self.row, MARK, 0);
        if self.rng.one_in(2) {
            drop(sender);
        }
        Ok(())
    }
}

/// The processes that can send into the channel that has a name now.
fn senders_of(name: &str) -> Result<Vec<u32>, Error> {
    let channel = registry::inspect(name)?.channel;
    let senders = channel.map(|channel| channel.senders).unwrap_or_default();
    Ok(senders.iter().map(|peer| peer.pid).collect())
}

fn check_block(block: SharedBlock) -> bool {
    block.len() == BLOCK_BYTES
}

/// Whether the elements count up, as every maker writes them.
fn check_array(array: &[u64]) -> bool {
    array.iter().zip(array[0]..).all(|(found, wanted)| *found == wanted)
}
