//! A sender or a receiver of `deliveries`.

use super::ends::{self, Inlet, Outlet};
use super::ledger::{Event, Ledger, number};
use super::message::{Kind, LEN_MIN, Parcel, Words, fill, number_of};
use super::{SENDERS, WORKERS};
use crate::campaign::board::{Board, Row};
use crate::campaign::crew::{STEPS, Seat};
use crate::campaign::rng::{Rng, mix};
use crate::campaign::{Violation, ensure};
use crossdock::channel::{
    RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
use crossdock::{Array, ArrayMut, Error, arena};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) seat: Seat,
    #[arg(long)]
    pub(super) kind: Kind,
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

/// How long a call waits at most.
const WAIT: Duration = Duration::from_millis(20);
/// How long a receiver waits when it is to find out that nothing is left: longer than it may take until
/// the dead are looked for.
const WAIT_LAST: Duration = Duration::from_millis(60);
/// How long it may take until a channel is closed whose users all leave.
const CLOSE_MAX: Duration = Duration::from_secs(1);
/// Words that most messages have at most, and that all have.
const LEN_USUAL: u64 = 1 << 13;
const LEN_MAX: u64 = 1 << 18;
/// Messages that are looked at again later.
const KEPT_MAX: usize = 4;
/// Once in so many messages something is spoilt.
const SABOTAGE_RARITY: u64 = 8;

pub(crate) struct Worker<'a, K> {
    pub(super) args: &'a Args,
    pub(super) row: Row,
    pub(super) board: Board,
    pub(super) ledger: Ledger,
    pub(super) rng: Rng,
    made: u64,
    /// Messages that are held for a while, and their numbers.
    pub(super) kept: Vec<(K, u64)>,
}

pub(crate) fn run(args: &Args) -> Result<(), Violation> {
    let is_sender = args.seat.worker < SENDERS;
    match args.kind {
        Kind::Unique if is_sender => send::<ArrayMut<u64>>(args, &ends::sender(args.kind)?),
        Kind::Unique => receive::<ArrayMut<u64>>(args, &ends::receiver(args.kind)?),
        Kind::Shared if is_sender => send::<Array<u64>>(args, &ends::sender(args.kind)?),
        Kind::Shared => receive::<Array<u64>>(args, &ends::receiver(args.kind)?),
        Kind::Batches if is_sender => {
            let sender = ends::sender::<ArrayMut<u64>>(args.kind)?;
            Worker::new(args)?.repeat(|worker| worker.send_batch(&sender))
        }
        Kind::Batches => {
            let receiver = ends::receiver::<ArrayMut<u64>>(args.kind)?;
            Worker::new(args)?.repeat(|worker| worker.receive_batch(&receiver))
        }
        Kind::Acknowledged if is_sender => send::<ArrayMut<u64>>(args, &ends::sender(args.kind)?),
        Kind::Acknowledged => {
            let receiver = ends::receiver(args.kind)?;
            Worker::new(args)?.repeat(|worker| worker.deliver(&receiver))
        }
        Kind::Broadcast if is_sender => send::<Array<u64>>(args, &ends::speaker()?),
        Kind::Broadcast => receive::<Array<u64>>(args, &ends::listener()?),
    }?;
    check_unheld()
}

/// Whether nobody holds any of this process's memory. The others leave as well: while the last one closes the
/// channel, what that seemed to hold counts as held.
fn check_unheld() -> Result<(), Violation> {
    let start = Instant::now();
    loop {
        let stats = arena::stats()?;
        if stats.held_bytes == 0 {
            return Ok(());
        }
        ensure(start.elapsed() < CLOSE_MAX, || {
            format!("held though all has been dropped: {stats:?}")
        })?;
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn send<M: Parcel>(args: &Args, outlet: &impl Outlet<M>) -> Result<(), Violation> {
    Worker::<M>::new(args)?.repeat(|worker| worker.send(outlet))?;
    ensure(outlet.len() == 0, || format!("{} messages left", outlet.len()))
}

fn receive<M: Parcel>(args: &Args, inlet: &impl Inlet<M>) -> Result<(), Violation> {
    let mut worker = Worker::<M>::new(args)?;
    if args.kind == Kind::Broadcast {
        worker.ledger.note(Event::Joined, args.seat.life)?;
    }
    worker.repeat(|worker| worker.receive(inlet))
}

impl<'a, K: Words> Worker<'a, K> {
    pub(super) fn new(args: &'a Args) -> Result<Self, Violation> {
        let seed =
            mix(args.seat.seed ^ mix(args.seat.life * WORKERS as u64 + args.seat.worker as u64));
        Ok(Self {
            args,
            row: Row::Worker(args.seat.worker),
            board: Board::open(&args.seat.side)?,
            ledger: Ledger::open(&args.seat.side, args.seat.worker)?,
            rng: Rng::new(seed),
            made: 0,
            kept: Vec::new(),
        })
    }

    pub(super) fn repeat(
        &mut self,
        mut turn: impl FnMut(&mut Self) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        self.board.set(self.row, READY, self.args.seat.life);
        while !self.board.is_stopped() {
            turn(self)?;
            self.look_again()?;
            self.board.add(self.row, STEPS, 1);
        }
        Ok(())
    }

    /// How far the controller is with the end.
    pub(super) fn drain(&self) -> u64 {
        self.board.get(Row::Controller, DRAIN)
    }

    /// Whether somebody who is never killed is not there yet.
    fn is_early(&self) -> bool {
        (WORKERS..self.args.kind.workers()).any(|it| self.board.get(Row::Worker(it), READY) == 0)
    }

    /// Receives by one of the verbs, if there is something.
    pub(super) fn receive_any_way(
        &mut self,
        inlet: &impl Inlet<K>,
        is_last: bool,
    ) -> Result<Option<K>, Violation> {
        let cannot = |error: Error| Violation(format!("cannot receive: {error:?}"));
        if !is_last && self.rng.one_in(4) {
            return match self.time(Duration::ZERO, || inlet.try_recv()) {
                Ok(message) => Ok(Some(message)),
                // Nothing there, or all senders are just being replaced.
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => Ok(None),
                Err(error) => Err(cannot(error.into())),
            };
        }
        let limit = if is_last { WAIT_LAST } else { WAIT };
        match self.time(limit, || inlet.recv_timeout(limit)) {
            Ok(message) => Ok(Some(message)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(None),
            Err(error) => Err(cannot(error.into())),
        }
    }

    /// Counts what was received, or that nothing was when nothing more is to come.
    pub(super) fn count(&mut self, is_received: bool, is_last: bool) {
        if is_received {
            self.board.set(self.row, EMPTY, 0);
            self.board.add(self.row, GOT, 1);
        } else if is_last {
            self.board.add(self.row, EMPTY, 1);
        }
        if is_received && self.spoils(Sabotage::Hang) {
            loop {
                std::thread::park();
            }
        }
    }

    /// Makes room among the messages that are held; the one that has to go, if there is one.
    pub(super) fn displaced(&mut self) -> Option<(K, u64)> {
        let oldest = self.rng.below(KEPT_MAX as u64) as usize;
        (self.kept.len() == KEPT_MAX).then(|| self.kept.swap_remove(oldest))
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

    pub(super) fn spoils(&mut self, what: Sabotage) -> bool {
        self.args.sabotage == Some(what) && self.rng.one_in(SABOTAGE_RARITY)
    }

    /// Notes how much longer than allowed a call took.
    pub(super) fn time<R>(&self, limit: Duration, call: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = call();
        let late = start.elapsed().saturating_sub(limit);
        let late_us = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.board.raise(self.row, LATE_US, late_us);
        result
    }
}

impl<M: Parcel> Worker<'_, M> {
    pub(super) fn new_message(&mut self) -> Result<(M, u64), Violation> {
        let max = if self.rng.one_in(64) { LEN_MAX } else { LEN_USUAL };
        let len = (self.rng.log_uniform(max) as usize).max(LEN_MIN);
        let mut array = ArrayMut::uninit(len)?;
        self.made += 1;
        let number = number(self.args.seat.worker, self.args.seat.life, self.made);
        fill(&mut array, number);
        if self.spoils(Sabotage::Damage) {
            array[len / 2] ^= 1;
        }
        Ok((M::new(array), number))
    }

    /// Whether nothing is to be sent now: a turn of a sender is over then.
    pub(super) fn rests(&mut self) -> bool {
        let is_over = self.drain() != 0;
        let rests = is_over || self.is_early();
        if rests {
            self.kept.clear();
            self.board.set(self.row, IDLE, u64::from(is_over));
            std::thread::sleep(Duration::from_millis(1));
        }
        rests
    }

    fn send(&mut self, outlet: &impl Outlet<M>) -> Result<(), Violation> {
        if self.rests() {
            return Ok(());
        }
        let (message, number) = self.new_message()?;
        if self.rng.one_in(3)
            && let Some(copy) = message.copy()
        {
            self.keep(copy, number);
        }
        self.ledger.note(Event::Offer, number)?;
        let back = self.send_any_way(outlet, message)?;
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
            let _ = outlet.try_send(M::new(again));
        }
        Ok(())
    }

    /// Sends a message by one of the verbs; the message if it comes back.
    fn send_any_way(
        &mut self,
        outlet: &impl Outlet<M>,
        message: M,
    ) -> Result<Option<M>, Violation> {
        let cannot = |error: Error| Violation(format!("cannot send: {error:?}"));
        match self.rng.below(4) {
            // Full, or all receivers are just being replaced.
            0 => match self.time(Duration::ZERO, || outlet.try_send(message)) {
                Ok(()) => Ok(None),
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => Ok(Some(back)),
                Err(error) => Err(cannot(error.into())),
            },
            1 => match self.time(Duration::ZERO, || outlet.send(message)) {
                Ok(()) => Ok(None),
                Err(SendError::Disconnected(back)) => Ok(Some(back)),
                Err(error) => Err(cannot(error.into())),
            },
            _ => match self.time(WAIT, || outlet.send_timeout(message, WAIT)) {
                Ok(()) => Ok(None),
                Err(SendTimeoutError::Timeout(back) | SendTimeoutError::Disconnected(back)) => {
                    Ok(Some(back))
                }
                Err(error) => Err(cannot(error.into())),
            },
        }
    }

    pub(super) fn receive(&mut self, inlet: &impl Inlet<M>) -> Result<(), Violation> {
        let drain = self.drain();
        if drain != 0 {
            self.kept.clear();
        }
        let received = self.receive_any_way(inlet, drain == 2)?;
        let missed = inlet.missed();
        ensure(missed == 0, || format!("{missed} messages missed"))?;
        match received {
            Some(message) => self.accept(message),
            None => {
                self.count(false, drain == 2);
                Ok(())
            }
        }
    }

    /// Looks at a message that was received, notes it, and holds it or not.
    pub(super) fn accept(&mut self, mut message: M) -> Result<(), Violation> {
        let number = number_of(message.words()).map_err(Violation)?;
        if !self.spoils(Sabotage::Lose) {
            self.ledger.note(Event::Got, number)?;
        }
        self.count(true, false);
        if self.spoils(Sabotage::Keep) {
            std::mem::forget(message);
        } else if self.rng.one_in(2) {
            message.scribble(number);
            self.keep(message, number);
        }
        Ok(())
    }

    pub(super) fn keep(&mut self, message: M, number: u64) {
        drop(self.displaced());
        self.kept.push((message, number));
    }
}
