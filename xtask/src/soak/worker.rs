//! A worker of `soak`: sends, receives, keeps, checks.

use super::ledger::{Event, Key, Ledger, NO_NUMBER, any_queue, array_number};
use super::pattern::{self, PAGE};
use super::sabotage::{self, Sabotage};
use super::{THREADS, WORKERS};
use crate::campaign::board::{Board, Row};
use crate::campaign::crew::{STEPS, Seat};
use crate::campaign::rng::Rng;
use crate::campaign::{Violation, ensure};
use crossdock::channel::{Message, Receiver, RecvTimeoutError, SendTimeoutError, Sender};
use crossdock::{Array, ArrayMut, arena};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) seat: Seat,
    #[arg(long)]
    pub(crate) max_bytes: u64,
    #[arg(long)]
    pub(crate) sabotage: Option<Sabotage>,
}

// Fields of a worker on the board.
pub(crate) const SENT: usize = 0;
pub(crate) const GOT: usize = 1;
pub(crate) const MAX_HANG_US: usize = 2;
/// The life in which the worker has opened all its channels.
pub(crate) const READY: usize = 3;
/// The life in which the worker is to leave.
pub(crate) const LEAVE: usize = 4;
/// Of the controller: no more sends.
pub(crate) const DRAIN: usize = 1;

/// How long a worker waits for room.
const WAIT: Duration = Duration::from_millis(20);
/// How long it waits for a message in each of its queues.
const WAIT_RECEIVE: Duration = Duration::from_micros(200);
/// Slots of a worker's own queues, and of those for all, where receivers compete for each one.
const CAPACITY: usize = 4;
const CAPACITY_ALL: usize = 1;
/// Bytes in the arena of a worker beyond which it gives idle memory back and sends small arrays.
const ARENA_BYTES_MAX: u64 = 1_000_000_000;
const KEPT_MAX: usize = 6;

/// Both ends of one queue.
struct Ends<M: Message> {
    queue: u64,
    sender: Sender<M>,
    receiver: Option<Receiver<M>>,
}

/// An array that was received or sent and is looked at again later.
enum Kept {
    Shared(Array<u8>),
    Unique(ArrayMut<u8>),
}

struct Worker<'a> {
    args: &'a Args,
    row: Row,
    board: Board,
    ledger: Ledger,
    rng: Rng,
    arrays: u64,
    kept: Vec<(Kept, u64, u64)>,
    shared: Vec<Ends<Array<u8>>>,
    unique: Vec<Ends<ArrayMut<u8>>>,
}

pub(crate) fn run(args: &Args) -> Result<(), Violation> {
    arena::set_cache_max(64 << 20);
    std::thread::scope(|scope| {
        let others: Vec<_> =
            (1..THREADS).map(|thread| scope.spawn(move || work_or_end(args, thread))).collect();
        work_or_end(args, 0);
        let is_sound = others.into_iter().all(|other| other.join().is_ok());
        ensure(is_sound, || "a thread panicked".to_owned())
    })
}

/// The work of a thread; what it finds wrong ends the whole process.
fn work_or_end(args: &Args, thread: usize) {
    if let Err(Violation(text)) = work(args, thread) {
        match Board::open(&args.seat.side) {
            Ok(board) => board.report(&format!("thread {thread}: {text}")),
            Err(error) => eprintln!("{text}, and {error}"),
        }
        std::process::exit(3);
    }
}

/// The row of one thread of a worker; that of thread 0 is the worker's own.
pub(crate) fn row_of(worker: usize, thread: usize) -> Row {
    Row::Worker(worker + WORKERS * thread)
}

fn work(args: &Args, thread: usize) -> Result<(), Violation> {
    let board = Board::open(&args.seat.side)?;
    let row = row_of(args.seat.worker, thread);
    let mut worker = Worker {
        rng: Rng::new(
            args.seat.seed ^ (args.seat.life << 8) ^ (thread << 4 | args.seat.worker) as u64,
        ),
        ledger: Ledger::open(&args.seat.side, args.seat.worker)?,
        arrays: thread as u64,
        kept: Vec::new(),
        shared: open_all(args.seat.worker, false)?,
        unique: open_all(args.seat.worker, true)?,
        board,
        row,
        args,
    };
    worker.board.set(row, READY, args.seat.life);
    let own = Row::Worker(args.seat.worker);
    while !worker.board.is_stopped() && worker.board.get(own, LEAVE) != args.seat.life {
        if worker.board.get(Row::Controller, DRAIN) == 0 {
            worker.send()?;
        } else {
            worker.kept.clear();
        }
        worker.receive()?;
        if args.sabotage == Some(Sabotage::Write) {
            sabotage::spoil(&mut worker.rng);
        }
        worker.look_again()?;
        worker.board.add(row, STEPS, 1);
    }
    Ok(())
}

/// Opens what a worker sends to (the next one's queue, everybody's) and receives from (its own,
/// everybody's).
fn open_all<M: Message>(worker: usize, is_unique: bool) -> Result<Vec<Ends<M>>, Violation> {
    let mut all = Vec::new();
    for pair in [worker, (worker + 1) % WORKERS, WORKERS] {
        let queue = 2 * pair as u64 + u64::from(is_unique);
        let name = format!("queue-{queue}");
        let capacity = if pair == WORKERS { CAPACITY_ALL } else { CAPACITY };
        let sender = Sender::open_or_create(&name, capacity)?;
        let is_receiver = pair == worker || pair == WORKERS;
        let receiver = if is_receiver { Some(Receiver::open(&name)?) } else { None };
        all.push(Ends { queue, sender, receiver });
    }
    Ok(all)
}

impl Worker<'_> {
    /// Notes how much longer than allowed a call took.
    fn time<R>(&self, call: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = call();
        let beyond = start.elapsed().saturating_sub(WAIT);
        let us = u64::try_from(beyond.as_micros()).unwrap_or(u64::MAX);
        self.board.raise(self.row, MAX_HANG_US, us);
        result
    }

    /// A number for an array that nobody uses again.
    fn next_number(&mut self) -> u64 {
        self.arrays += THREADS as u64;
        array_number(self.args.seat.worker, self.args.seat.life, self.arrays)
    }

    fn new_array(&mut self) -> Result<(ArrayMut<u8>, u64), Violation> {
        let mut len = self.rng.log_uniform(self.args.max_bytes) as usize;
        if arena::stats()?.reserved_bytes > ARENA_BYTES_MAX {
            arena::trim()?;
            if arena::stats()?.reserved_bytes > ARENA_BYTES_MAX {
                len = len.min(100_000);
            }
        }
        let mut array = ArrayMut::<u8>::uninit(len)?;
        let number = self.next_number();
        pattern::fill(&mut array, number, 0);
        Ok((array, number))
    }

    /// Makes an array and sends it, or parts of it.
    fn send(&mut self) -> Result<(), Violation> {
        let (array, number) = self.new_array()?;
        let pages = array.len().div_ceil(PAGE) as u64;
        let cut = PAGE * (pages / 2) as usize;
        match self.rng.below(5) {
            0 | 1 => self.send_unique(array, number, 0),
            2 if cut > 0 => {
                let (first, second) = array.split_at(cut);
                self.send_unique(first, number, 0)?;
                self.send_unique(second, number, pages / 2)
            }
            3 if cut > 0 => {
                let array = array.freeze();
                let (first, second) = (array.slice(..cut), array.slice(cut..));
                self.keep(Kept::Shared(array), number, 0);
                self.send_shared(first, number, 0)?;
                self.send_shared(second, number, pages / 2)
            }
            _ => {
                let array = array.freeze();
                if self.rng.one_in(2) {
                    self.keep(Kept::Shared(array.clone()), number, 0);
                }
                self.send_shared(array, number, 0)
            }
        }
    }

    fn send_unique(
        &mut self,
        array: ArrayMut<u8>,
        number: u64,
        page: u64,
    ) -> Result<(), Violation> {
        let queue = any_queue(self.args.seat.worker, true, &mut self.rng);
        let key = key_of(queue, &array, number, page);
        let ends = self.unique.iter().find(|ends| ends.queue == queue);
        let sender = ends.map(|ends| ends.sender.clone()).ok_or_else(|| no_queue(queue))?;
        self.ledger.note(Event::Offer, key)?;
        let result = self.time(|| sender.send_timeout(array, WAIT));
        self.finish_send(result, key, Kept::Unique, page)
    }

    fn send_shared(&mut self, array: Array<u8>, number: u64, page: u64) -> Result<(), Violation> {
        let queue = any_queue(self.args.seat.worker, false, &mut self.rng);
        let key = key_of(queue, &array, number, page);
        let ends = self.shared.iter().find(|ends| ends.queue == queue);
        let sender = ends.map(|ends| ends.sender.clone()).ok_or_else(|| no_queue(queue))?;
        self.ledger.note(Event::Offer, key)?;
        let result = self.time(|| sender.send_timeout(array, WAIT));
        self.finish_send(result, key, Kept::Shared, page)
    }

    fn finish_send<M>(
        &mut self,
        result: Result<(), SendTimeoutError<M>>,
        key: Key,
        keep: impl FnOnce(M) -> Kept,
        page: u64,
    ) -> Result<(), Violation> {
        match result {
            Ok(()) => {
                self.ledger.note(Event::Sent, key)?;
                self.board.add(self.row, SENT, 1);
            }
            // No room, or the receiver is just being replaced.
            Err(SendTimeoutError::Timeout(array) | SendTimeoutError::Disconnected(array)) => {
                self.ledger.note(Event::Back, key)?;
                if key.1 != NO_NUMBER {
                    self.keep(keep(array), key.1, page);
                }
            }
            Err(error) => return Err(Violation(format!("cannot send {key:x?}: {error:?}"))),
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<(), Violation> {
        for index in 0..self.shared.len() {
            let ends = &self.shared[index];
            let Some(receiver) = ends.receiver.clone() else { continue };
            let queue = ends.queue;
            if let Some(array) = self.take(&receiver, queue)? {
                let (number, page) = self.note_received(queue, &array)?;
                self.use_shared(array, number, page)?;
            }
        }
        for index in 0..self.unique.len() {
            let ends = &self.unique[index];
            let Some(receiver) = ends.receiver.clone() else { continue };
            let queue = ends.queue;
            if let Some(array) = self.take(&receiver, queue)? {
                let (number, page) = self.note_received(queue, &array)?;
                self.use_unique(array, number, page)?;
            }
        }
        Ok(())
    }

    /// Keeps an array that came, passes it on, or takes it over if nobody else holds it.
    fn use_shared(&mut self, array: Array<u8>, number: u64, page: u64) -> Result<(), Violation> {
        match self.rng.below(5) {
            0 => self.keep(Kept::Shared(array), number, page),
            1 if self.board.get(Row::Controller, DRAIN) == 0 => {
                self.send_shared(array, number, page)?;
            }
            2 => match array.try_into_mut() {
                Ok(array) => self.use_unique(array, number, page)?,
                Err(array) => self.keep(Kept::Shared(array), number, page),
            },
            _ => {}
        }
        Ok(())
    }

    /// Writes into an array that came, and keeps it or passes it on.
    fn use_unique(
        &mut self,
        mut array: ArrayMut<u8>,
        number: u64,
        page: u64,
    ) -> Result<(), Violation> {
        if self.rng.one_in(2) {
            return Ok(());
        }
        let own = self.next_number();
        pattern::fill(&mut array, own, page);
        let is_full = self.board.get(Row::Controller, DRAIN) != 0;
        if is_full || self.rng.one_in(2) || number == NO_NUMBER {
            self.keep(Kept::Unique(array), own, page);
            return Ok(());
        }
        self.send_unique(array, own, page)
    }

    fn take<M: Message>(&self, receiver: &Receiver<M>, queue: u64) -> Result<Option<M>, Violation> {
        match self.time(|| receiver.recv_timeout(WAIT_RECEIVE)) {
            Ok(array) => Ok(Some(array)),
            // All senders may just be being replaced.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(None),
            Err(error) => Err(Violation(format!("cannot receive from queue {queue}: {error:?}"))),
        }
    }

    fn note_received(&mut self, queue: u64, bytes: &[u8]) -> Result<(u64, u64), Violation> {
        let (number, page) = pattern::label(bytes).unwrap_or((NO_NUMBER, 0));
        if self.args.sabotage != Some(Sabotage::Lose) || !self.rng.one_in(4) {
            self.ledger.note(Event::Got, (queue, number, page))?;
        }
        self.board.add(self.row, GOT, 1);
        pattern::check(bytes, number, page, &mut self.rng)
            .map_err(|why| Violation(format!("received from queue {queue}: {why}")))?;
        Ok((number, page))
    }

    fn keep(&mut self, array: Kept, number: u64, page: u64) {
        if self.kept.len() == KEPT_MAX {
            let oldest = self.rng.below(KEPT_MAX as u64) as usize;
            self.kept.swap_remove(oldest);
        }
        self.kept.push((array, number, page));
    }

    /// Looks whether what is held has stayed as it was.
    fn look_again(&mut self) -> Result<(), Violation> {
        if self.kept.is_empty() {
            return Ok(());
        }
        let index = self.rng.below(self.kept.len() as u64) as usize;
        let (kept, number, page) = &self.kept[index];
        let bytes: &[u8] = match kept {
            Kept::Shared(array) => array,
            Kept::Unique(array) => array,
        };
        pattern::check(bytes, *number, *page, &mut self.rng)
            .map_err(|why| Violation(format!("changed while it was held: {why}")))
    }
}

fn key_of(queue: u64, bytes: &[u8], number: u64, page: u64) -> Key {
    let has_number = pattern::label(bytes).is_some();
    if has_number { (queue, number, page) } else { (queue, NO_NUMBER, 0) }
}

fn no_queue(queue: u64) -> Violation {
    Violation(format!("no queue {queue}"))
}
