//! A worker of `histories`: calls the objects and notes when, and what they answered.

use super::cell::Cell;
use super::object::{CAPACITY, Call, OBJECTS, Object, PERMITS};
use super::queue::{POOL, Queue};
use super::table::{CONTROL, Control, Episode, Fifo, Pair, Patience, round_name};
use super::{GROUP, OPERATIONS, WORKERS};
use crate::campaign::Violation;
use crate::campaign::rng::{Rng, mix};
use crossdock::Value;
use crossdock::sync::{MutexGuard, Permit, RwLockWriteGuard};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::time::Duration;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    worker: usize,
    #[arg(long)]
    life: u64,
    #[arg(long)]
    seed: u64,
    #[arg(long)]
    sabotage: Option<Sabotage>,
}

/// What a worker spoils now and then, to see that the checker notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Sabotage {
    /// The FIFO gives its youngest item.
    WrongEnd,
    /// The FIFO says that it took an item, and does not have it.
    LostPush,
    /// A read lets go of the lock between the two halves.
    TornRead,
    /// A permit is said to be given back, and is kept.
    KeptPermit,
    /// The event is said to be cleared, and is not.
    DroppedClear,
    /// A call of the `Once` says that it ran the closure when another one did.
    SecondOnce,
    /// A message is received, and the receive says that there was none.
    LostMessage,
    /// A message is sent twice.
    SecondMessage,
    /// Of two messages the younger one is received first, and the older one sent again.
    LateMessage,
    /// A value is said to be put, and is not.
    LostPut,
    /// The value of a cell is said to be what it was at the beginning.
    StaleGet,
}

/// How long a call of a queue waits, if it does.
const QUEUE_WAIT: Duration = Duration::from_micros(100);
/// Once in so many calls something is spoilt.
const SABOTAGE_RARITY: u64 = 64;

/// The permits that a worker holds, by their numbers.
type Held<'a> = [Option<Permit<'a, PERMITS>>; PERMITS];

struct Worker<'a> {
    args: &'a Args,
    control: &'a Control,
    queues: Vec<Queue>,
    cells: Vec<Cell>,
    rng: Rng,
}

pub(crate) fn run(args: &Args) -> Result<(), Violation> {
    let control = Value::<Control>::open(CONTROL)?;
    let seat = &control.seats[args.worker];
    let (queues, cells) = (Queue::open_all()?, Cell::open_all()?);
    let mut worker = Worker { args, control: &control, queues, cells, rng: Rng::new(0) };
    let mut round = control.round.load(Acquire);
    seat.ready.store(args.life, Release);
    loop {
        let mut patience = Patience::default();
        while control.round.load(Acquire) == round {
            if control.is_over.load(Acquire) != 0 {
                return Ok(());
            }
            patience.turn();
        }
        round = control.round.load(Acquire);
        let table = Value::<[Episode]>::open(&round_name(round))?;
        worker.rng = Rng::new(mix(args.seed ^ mix(round)) ^ mix(args.worker as u64));
        seat.steps.store(0, Relaxed);
        for group in table.chunks(GROUP) {
            worker.meet(round, &group[0]);
            worker.play(group)?;
        }
        seat.done.store(round, Release);
    }
}

impl Worker<'_> {
    /// Waits until all workers are here; not for one that was killed in this round.
    fn meet(&self, round: u64, first: &Episode) {
        let mut patience = Patience::default();
        first.arrived.fetch_add(1, SeqCst);
        while first.arrived.load(SeqCst) < WORKERS as u32 && self.control.lost.load(SeqCst) != round
        {
            patience.turn();
        }
    }

    /// Plays the episodes of a group in turns: the first operation of each, then the second.
    fn play(&mut self, group: &[Episode]) -> Result<(), Violation> {
        let mut held: [Held<'_>; GROUP] = Default::default();
        for step in 0..OPERATIONS {
            for (episode, held) in group.iter().zip(&mut held) {
                let steps = &self.control.seats[self.args.worker].steps;
                steps.store(steps.load(Relaxed) + 1, Relaxed);
                self.operate(episode, step, held)?;
            }
        }
        // Giving them back would be operations that nobody notes.
        held.into_iter().flatten().flatten().for_each(std::mem::forget);
        Ok(())
    }

    fn operate<'e>(
        &mut self,
        episode: &'e Episode,
        step: usize,
        held: &mut Held<'e>,
    ) -> Result<(), Violation> {
        let (worker, is_slow) = (self.args.worker, episode.is_slow != 0);
        // Every number that is written is another one.
        let number = (1 + worker * OPERATIONS + step) as u32;
        let object = OBJECTS[episode.object as usize % OBJECTS.len()];
        let call = self.choose(object, number, held);
        episode.begin(worker, step, call);
        self.dwell(is_slow);
        let reply = match object {
            Object::Queue => self.use_queue(episode, call)?,
            Object::Cell => self.use_cell(episode, call)?,
            _ => self.act(episode, call, held),
        };
        self.dwell(is_slow);
        episode.end(worker, step, reply);
        Ok(())
    }

    fn choose(&mut self, object: Object, number: u32, held: &Held<'_>) -> Call {
        let dice = self.rng.below(6);
        match object {
            Object::Fifo => [Call::Push(number), Call::Pop][dice as usize % 2],
            Object::Pair => {
                [Call::Write(number), Call::Add(number << 8), Call::Read][dice as usize % 3]
            }
            Object::Permits => match held.iter().position(Option::is_some) {
                Some(index) if dice < 4 => Call::Release(index as u32),
                _ => Call::Acquire,
            },
            Object::Event => [Call::Set, Call::Clear, Call::IsSet][dice as usize % 3],
            Object::Once if dice < 3 => Call::Run,
            Object::Once => Call::IsDone,
            Object::Queue => [Call::Send(number), Call::Receive][dice as usize % 2],
            Object::Cell => [Call::Put(number), Call::Get][dice as usize % 2],
        }
    }

    fn act<'e>(&mut self, episode: &'e Episode, call: Call, held: &mut Held<'e>) -> u64 {
        match call {
            Call::Push(item) => self.push(episode, item),
            Call::Pop => self.pop(episode),
            Call::Write(value) => {
                self.update(episode, |_| value);
                0
            }
            Call::Add(value) => self.update(episode, |old| old.wrapping_add(value)),
            Call::Read => self.read(episode),
            Call::Acquire => match episode.permits.try_acquire() {
                Some(permit) => {
                    let index = permit.index();
                    held[index] = Some(permit);
                    index as u64 + 1
                }
                None => 0,
            },
            Call::Release(index) => {
                let permit = held[index as usize].take();
                if self.spoils(Sabotage::KeptPermit) {
                    std::mem::forget(permit);
                }
                0
            }
            // It is the judge who notes a death; queues and cells have methods of their own.
            Call::Abandon | Call::Send(_) | Call::Receive | Call::Put(_) | Call::Get => 0,
            Call::Set => {
                episode.event.set();
                0
            }
            Call::Clear => {
                if !self.spoils(Sabotage::DroppedClear) {
                    episode.event.clear();
                }
                0
            }
            Call::IsSet => u64::from(episode.event.is_set()),
            Call::Run => self.run_once(episode),
            Call::IsDone => u64::from(episode.once.is_completed()),
        }
    }

    fn push(&mut self, episode: &Episode, item: u32) -> u64 {
        let fifo = self.lock(episode);
        self.dwell(episode.is_slow != 0);
        let ends = fifo.ends.load(Relaxed);
        let (popped, pushed) = (ends as u32, (ends >> 32) as u32);
        if pushed.wrapping_sub(popped) as usize == CAPACITY {
            return 0;
        }
        fifo.items[pushed as usize % CAPACITY].store(item, Relaxed);
        self.dwell(episode.is_slow != 0);
        if !self.spoils(Sabotage::LostPush) {
            fifo.ends.store(u64::from(popped) | u64::from(pushed + 1) << 32, Release);
        }
        1
    }

    fn pop(&mut self, episode: &Episode) -> u64 {
        let fifo = self.lock(episode);
        self.dwell(episode.is_slow != 0);
        let ends = fifo.ends.load(Relaxed);
        let (mut popped, mut pushed) = (ends as u32, (ends >> 32) as u32);
        if pushed == popped {
            return 0;
        }
        let index = if self.spoils(Sabotage::WrongEnd) {
            pushed -= 1;
            pushed
        } else {
            popped += 1;
            popped - 1
        };
        let item = fifo.items[index as usize % CAPACITY].load(Relaxed);
        self.dwell(episode.is_slow != 0);
        fifo.ends.store(u64::from(popped) | u64::from(pushed) << 32, Release);
        u64::from(item)
    }

    fn lock<'e>(&self, episode: &'e Episode) -> MutexGuard<'e, Fifo> {
        episode.fifo.lock().unwrap_or_else(|poisoned| {
            // See `Fifo`: there is nothing to put right.
            episode.fifo.clear_poison();
            self.count_repair();
            poisoned.into_inner()
        })
    }

    /// Changes the number; returns the old one.
    fn update(&mut self, episode: &Episode, change: impl FnOnce(u32) -> u32) -> u64 {
        let pair = self.write(episode);
        self.dwell(episode.is_slow != 0);
        let old = pair.left.load(Relaxed);
        let new = change(old);
        pair.left.store(new, Relaxed);
        self.dwell(episode.is_slow != 0);
        pair.right.store(new, Release);
        u64::from(old)
    }

    fn write<'e>(&self, episode: &'e Episode) -> RwLockWriteGuard<'e, Pair> {
        episode.pair.write().unwrap_or_else(|poisoned| {
            let pair = poisoned.into_inner();
            pair.right.store(pair.left.load(Relaxed), Relaxed);
            episode.pair.clear_poison();
            self.count_repair();
            pair
        })
    }

    fn read(&mut self, episode: &Episode) -> u64 {
        let mut pair = loop {
            match episode.pair.read() {
                Ok(pair) => break pair,
                // A reader cannot repair.
                Err(poisoned) => drop(poisoned),
            }
            drop(self.write(episode));
        };
        let left = pair.left.load(Acquire);
        if self.spoils(Sabotage::TornRead) {
            drop(pair);
            std::thread::yield_now();
            pair = episode.pair.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        } else {
            self.dwell(episode.is_slow != 0);
        }
        u64::from(left) | u64::from(pair.right.load(Acquire)) << 32
    }

    fn run_once(&mut self, episode: &Episode) -> u64 {
        let mut has_run = false;
        let mut run = |worker: &mut Self| {
            worker.dwell(episode.is_slow != 0);
            has_run = true;
        };
        if episode.once.call_once(|| run(self)).is_err() {
            // Who was at it was killed: what it did counts for nothing, and somebody begins anew.
            self.count_repair();
            episode.once.call_once_force(|_| run(self));
        }
        u64::from(has_run || self.spoils(Sabotage::SecondOnce))
    }

    /// Sends or receives, in one of the ways in which that ends soon.
    fn use_queue(&mut self, episode: &Episode, call: Call) -> Result<u64, Violation> {
        let index = episode.channel as usize % POOL;
        let limit = self.rng.one_in(4).then_some(QUEUE_WAIT);
        let Call::Send(item) = call else {
            let mut item = self.queues[index].receive(limit)?;
            if item != 0 && self.spoils(Sabotage::LateMessage) {
                let next = self.queues[index].receive(None)?;
                if next != 0 && self.queues[index].send(item, None)? {
                    item = next;
                }
            }
            return Ok(if self.spoils(Sabotage::LostMessage) { 0 } else { item });
        };
        let is_sent = self.queues[index].send(u64::from(item), limit)?;
        if is_sent && self.spoils(Sabotage::SecondMessage) {
            self.queues[index].send(u64::from(item), None)?;
        }
        Ok(u64::from(is_sent))
    }

    fn use_cell(&mut self, episode: &Episode, call: Call) -> Result<u64, Violation> {
        let index = episode.channel as usize % POOL;
        if let Call::Put(value) = call {
            if !self.spoils(Sabotage::LostPut) {
                self.cells[index].put(u64::from(value))?;
            }
            return Ok(0);
        }
        let value = self.cells[index].get()?;
        Ok(if self.spoils(Sabotage::StaleGet) { 0 } else { value })
    }

    /// Stays where it is for a random while: for others to come between, or to be killed.
    fn dwell(&mut self, is_slow: bool) {
        let dice = self.rng.next();
        let (rarity, spins_max) = if is_slow { (2, 512) } else { (8, 64) };
        if dice.is_multiple_of(rarity) {
            (0..dice >> 32 & (spins_max - 1)).for_each(|_| std::hint::spin_loop());
        }
        if (dice >> 8).is_multiple_of(256) {
            std::thread::yield_now();
        }
    }

    fn spoils(&mut self, what: Sabotage) -> bool {
        self.args.sabotage == Some(what) && self.rng.one_in(SABOTAGE_RARITY)
    }

    fn count_repair(&self) {
        self.control.seats[self.args.worker].repairs.fetch_add(1, Relaxed);
    }
}
