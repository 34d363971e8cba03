//! A sender or a receiver of `deliveries`.

use super::ledger::{Event, Ledger, number};
use super::message::{Kind, LEN_MIN, Parcel, fill, number_of};
use super::{SENDERS, WORKERS};
use crate::campaign::board::{Board, Row};
use crate::campaign::crew::STEPS;
use crate::campaign::rng::{Rng, mix};
use crate::campaign::{Violation, ensure};
use crossdock::channel::{
    Receiver, RecvTimeoutError, SendError, SendTimeoutError, Sender, TryRecvError, TrySendError,
};
use crossdock::{Array, ArrayMut, Error, arena};
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    kind: Kind,
    #[arg(long)]
    pub(crate) side: PathBuf,
    #[arg(long)]
    worker: usize,
    #[arg(long)]
    life: u64,
    #[arg(long)]
    seed: u64,
    #[arg(long)]
    sabotage: Option<Sabotage>,
}

/// What a worker spoils.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Sabotage {
    /// A message is received and not noted.
    Lose,
    /// A message is sent a second time.
    Repeat,
    /// A word of a message is another one.
    Damage,
    /// An array is never dropped.
    Keep,
    /// A receiver stops for ever.
    Hang,
}

// Fields of a worker on the board.
pub(crate) const SENT: usize = 0;
pub(crate) const GOT: usize = 1;
/// How much longer than allowed a call took at most.
pub(crate) const LATE_US: usize = 2;
/// The life in which the worker has opened the channel.
pub(crate) const READY: usize = 3;
/// Of a sender: it has seen that no more is to be sent.
pub(crate) const IDLE: usize = 4;
/// Of a receiver: so often in turn it has found nothing since nobody has sent any more.
pub(crate) const EMPTY: usize = 5;
/// Of the controller: no more sends (1), and none in progress (2).
pub(crate) const DRAIN: usize = 1;

const CHANNEL: &str = "work";
const CAPACITY: usize = 8;
/// How long a call waits at most.
const WAIT: Duration = Duration::from_millis(20);
/// How long a receiver waits when it is to find out that nothing is left: longer than it may take until
/// the dead are looked for.
const WAIT_LAST: Duration = Duration::from_millis(60);
/// Words that most messages have at most, and that all have.
const LEN_USUAL: u64 = 1 << 13;
const LEN_MAX: u64 = 1 << 18;
/// Messages that are looked at again later.
const KEPT_MAX: usize = 4;
/// Once in so many messages something is spoilt.
const SABOTAGE_RARITY: u64 = 8;

struct Worker<'a, M> {
    args: &'a Args,
    row: Row,
    board: Board,
    ledger: Ledger,
    rng: Rng,
    made: u64,
    kept: Vec<(M, u64)>,
}

pub(crate) fn run(args: &Args) -> Result<(), Violation> {
    match args.kind {
        Kind::Unique => work::<ArrayMut<u64>>(args),
        Kind::Shared => work::<Array<u64>>(args),
    }
}

fn work<M: Parcel>(args: &Args) -> Result<(), Violation> {
    let seed = mix(args.seed ^ mix(args.life * WORKERS as u64 + args.worker as u64));
    let mut worker = Worker::<M> {
        args,
        row: Row::Worker(args.worker),
        board: Board::open(&args.side)?,
        ledger: Ledger::open(&args.side, args.worker)?,
        rng: Rng::new(seed),
        made: 0,
        kept: Vec::new(),
    };
    if args.worker < SENDERS {
        let sender = Sender::<M>::open_or_create(CHANNEL, CAPACITY)?;
        worker.repeat(|worker| worker.send(&sender))?;
        ensure(sender.is_empty(), || format!("{} messages left", sender.len()))?;
    } else {
        let receiver = Receiver::<M>::open_or_create(CHANNEL, CAPACITY)?;
        worker.repeat(|worker| worker.receive(&receiver))?;
    }
    let stats = arena::stats()?;
    ensure(stats.held_bytes == 0, || format!("held though all has been dropped: {stats:?}"))
}

impl<M: Parcel> Worker<'_, M> {
    fn repeat(
        &mut self,
        mut turn: impl FnMut(&mut Self) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        self.board.set(self.row, READY, self.args.life);
        while !self.board.is_stopped() {
            turn(self)?;
            self.look_again()?;
            self.board.add(self.row, STEPS, 1);
        }
        Ok(())
    }

    /// Notes how much longer than allowed a call took.
    fn time<R>(&self, limit: Duration, call: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = call();
        let late = start.elapsed().saturating_sub(limit);
        let late_us = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.board.raise(self.row, LATE_US, late_us);
        result
    }

    fn new_message(&mut self) -> Result<(M, u64), Violation> {
        let max = if self.rng.one_in(64) { LEN_MAX } else { LEN_USUAL };
        let len = (self.rng.log_uniform(max) as usize).max(LEN_MIN);
        let mut array = ArrayMut::uninit(len)?;
        self.made += 1;
        let number = number(self.args.worker, self.args.life, self.made);
        fill(&mut array, number);
        if self.spoils(Sabotage::Damage) {
            array[len / 2] ^= 1;
        }
        Ok((M::new(array), number))
    }

    fn send(&mut self, sender: &Sender<M>) -> Result<(), Violation> {
        if self.board.get(Row::Controller, DRAIN) != 0 {
            self.kept.clear();
            self.board.set(self.row, IDLE, 1);
            std::thread::sleep(Duration::from_millis(1));
            return Ok(());
        }
        let (message, number) = self.new_message()?;
        if self.rng.one_in(3)
            && let Some(copy) = message.copy()
        {
            self.keep(copy, number);
        }
        self.ledger.note(Event::Offer, number)?;
        let back = self.send_any_way(sender, message)?;
        let event = if back.is_some() { Event::Back } else { Event::Sent };
        self.ledger.note(event, number)?;
        if let Some(message) = back {
            self.keep(message, number);
            return Ok(());
        }
        self.board.add(self.row, SENT, 1);
        if self.spoils(Sabotage::Repeat) {
            let mut again = ArrayMut::uninit(LEN_MIN)?;
            fill(&mut again, number);
            // There may be no room, or nobody there; the next time will do.
            let _ = sender.try_send(M::new(again));
        }
        Ok(())
    }

    /// Sends a message by one of the verbs; the message if it comes back.
    fn send_any_way(&mut self, sender: &Sender<M>, message: M) -> Result<Option<M>, Violation> {
        let cannot = |error: Error| Violation(format!("cannot send: {error:?}"));
        match self.rng.below(4) {
            // Full, or all receivers are just being replaced.
            0 => match self.time(Duration::ZERO, || sender.try_send(message)) {
                Ok(()) => Ok(None),
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => Ok(Some(back)),
                Err(error) => Err(cannot(error.into())),
            },
            1 => match self.time(Duration::ZERO, || sender.send(message)) {
                Ok(()) => Ok(None),
                Err(SendError::Disconnected(back)) => Ok(Some(back)),
                Err(error) => Err(cannot(error.into())),
            },
            _ => match self.time(WAIT, || sender.send_timeout(message, WAIT)) {
                Ok(()) => Ok(None),
                Err(SendTimeoutError::Timeout(back) | SendTimeoutError::Disconnected(back)) => {
                    Ok(Some(back))
                }
                Err(error) => Err(cannot(error.into())),
            },
        }
    }

    fn receive(&mut self, receiver: &Receiver<M>) -> Result<(), Violation> {
        let drain = self.board.get(Row::Controller, DRAIN);
        if drain != 0 {
            self.kept.clear();
        }
        let Some(mut message) = self.receive_any_way(receiver, drain == 2)? else {
            if drain == 2 {
                self.board.add(self.row, EMPTY, 1);
            }
            return Ok(());
        };
        self.board.set(self.row, EMPTY, 0);
        let number = number_of(message.words()).map_err(Violation)?;
        if !self.spoils(Sabotage::Lose) {
            self.ledger.note(Event::Got, number)?;
        }
        self.board.add(self.row, GOT, 1);
        if self.spoils(Sabotage::Hang) {
            loop {
                std::thread::park();
            }
        }
        if self.spoils(Sabotage::Keep) {
            std::mem::forget(message);
        } else if self.rng.one_in(2) {
            message.scribble(number);
            self.keep(message, number);
        }
        Ok(())
    }

    /// Receives a message by one of the verbs, if there is one.
    fn receive_any_way(
        &mut self,
        receiver: &Receiver<M>,
        is_last: bool,
    ) -> Result<Option<M>, Violation> {
        let cannot = |error: Error| Violation(format!("cannot receive: {error:?}"));
        if !is_last && self.rng.one_in(4) {
            return match self.time(Duration::ZERO, || receiver.try_recv()) {
                Ok(message) => Ok(Some(message)),
                // Nothing there, or all senders are just being replaced.
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => Ok(None),
                Err(error) => Err(cannot(error.into())),
            };
        }
        let limit = if is_last { WAIT_LAST } else { WAIT };
        match self.time(limit, || receiver.recv_timeout(limit)) {
            Ok(message) => Ok(Some(message)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(None),
            Err(error) => Err(cannot(error.into())),
        }
    }

    fn keep(&mut self, message: M, number: u64) {
        if self.kept.len() == KEPT_MAX {
            let oldest = self.rng.below(KEPT_MAX as u64) as usize;
            self.kept.swap_remove(oldest);
        }
        self.kept.push((message, number));
    }

    /// Looks whether what is held has stayed as it was.
    fn look_again(&mut self) -> Result<(), Violation> {
        if self.kept.is_empty() {
            return Ok(());
        }
        let index = self.rng.below(self.kept.len() as u64) as usize;
        let (message, number) = &self.kept[index];
        match number_of(message.words()) {
            Ok(found) if found == *number => Ok(()),
            found => Err(Violation(format!("{number:#x} changed while it was held: {found:x?}"))),
        }
    }

    fn spoils(&mut self, what: Sabotage) -> bool {
        self.args.sabotage == Some(what) && self.rng.one_in(SABOTAGE_RARITY)
    }
}
