//! The judge of `histories`: has the workers play, kills some, and checks what they noted.

use super::cell::{self, Cell};
use super::checker::{Checker, NEVER, Operation, overlapping};
use super::object::{Call, NAMELESS, OBJECTS, Object, PERMITS};
use super::queue::{self, POOL, Queue};
use super::table::{CONTROL, Control, Episode, Patience, round_name};
use super::worker::Sabotage;
use super::{GROUP, GROUPS, OPERATIONS, WORKERS};
use crate::campaign::rng::{Rng, mix};
use crate::campaign::{HANG_MAX, Progress, Violation, ensure};
use clap::ValueEnum;
use crossdock::Value;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    histories: u64,
    #[arg(long)]
    kill_every: u64,
    #[arg(long)]
    seed: u64,
    #[arg(long)]
    sabotage: Option<Sabotage>,
}

/// Operations that begin in a group: where a worker may be killed.
const GROUP_STEPS: u64 = (GROUP * OPERATIONS) as u64;
/// A worker is killed up to so many turns of a loop after the operation that was chosen has begun.
const AIM_SPINS: u64 = 256;

struct Judge<'a> {
    args: &'a Args,
    control: Value<Control>,
    queues: Vec<Queue>,
    cells: Vec<Cell>,
    workers: Vec<Worker>,
    rng: Rng,
    round: u64,
    /// What the workers play now: it keeps its name until they have ended, whatever happens here.
    table: Option<Value<[Episode]>>,
    checker: Checker,
    tally: Tally,
}

struct Worker {
    child: Child,
    life: u64,
}

/// A round that has been played.
struct Played {
    round: u64,
    table: Value<[Episode]>,
    victim: Option<Victim>,
    /// Per episode, what the judge did itself.
    drained: Vec<Vec<Operation>>,
}

/// Who was killed, and after which time of each episode.
struct Victim {
    worker: usize,
    times: Vec<u64>,
}

#[derive(Default)]
struct Tally {
    histories: [u64; OBJECTS.len()],
    operations: u64,
    overlapping: u64,
    kills: u64,
    cut: u64,
    pending: u64,
    longest: Duration,
    places_max: usize,
}

impl Tally {
    fn histories(&self) -> u64 {
        self.histories.iter().sum()
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Violation> {
    let control = Value::create(CONTROL, Control::default())?;
    let mut judge = Judge {
        args,
        control,
        queues: Queue::create_all()?,
        cells: Cell::create_all()?,
        workers: Vec::new(),
        rng: Rng::new(mix(args.seed)),
        round: 0,
        table: None,
        checker: Checker::default(),
        tally: Tally::default(),
    };
    for worker in 0..WORKERS {
        judge.start(worker, 1)?;
    }
    let mut progress = Progress::new();
    let mut played: Option<Played> = None;
    let mut next_kill = judge.rng.below(2 * args.kill_every);
    while judge.tally.histories() < args.histories {
        let is_kill = judge.tally.histories() >= next_kill;
        if is_kill {
            next_kill += 1 + judge.rng.below(2 * args.kill_every);
        }
        // The last round is checked while this one is played, unless a kill needs all attention.
        if is_kill && let Some(played) = played.take() {
            judge.check(&played)?;
        }
        let table = judge.begin(is_kill)?;
        let victim = if is_kill { Some(judge.kill(&table)?) } else { None };
        if let Some(played) = played.take() {
            judge.check(&played)?;
        }
        judge.finish(victim.as_ref())?;
        let drained = judge.drain(&table)?;
        played = Some(Played { round: judge.round, table, victim, drained });
        let tally = &judge.tally;
        progress.say(|| format!("{} histories, {} kills", tally.histories(), tally.kills));
    }
    judge.stop()?;
    judge.report(progress.elapsed());
    Ok(())
}

impl Judge<'_> {
    /// Starts a worker, which waits for the next round.
    fn start(&mut self, worker: usize, life: u64) -> Result<(), Violation> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["role", "histories"]);
        command.args([format!("--worker={worker}"), format!("--life={life}")]);
        command.arg(format!("--seed={}", self.args.seed));
        let sabotage = self.args.sabotage.and_then(|what| what.to_possible_value());
        command.args(sabotage.map(|what| format!("--sabotage={}", what.get_name())));
        let started = Worker { child: command.spawn()?, life };
        if worker < self.workers.len() {
            self.workers[worker] = started;
        } else {
            self.workers.push(started);
        }
        let control = self.control.clone();
        self.wait("a worker does not come", || control.seats[worker].ready.load(Acquire) == life)
    }

    /// Has the workers play a round: one group if one of them is to be killed.
    fn begin(&mut self, is_kill: bool) -> Result<Value<[Episode]>, Violation> {
        self.round += 1;
        let episodes = GROUP * if is_kill { 1 } else { GROUPS };
        let name = round_name(self.round);
        let rng = &mut self.rng;
        // Each episode with a queue or a cell has one of its own, as long as there are any.
        let (first, mut used) = (rng.below(POOL as u64) as usize, [0; OBJECTS.len()]);
        let table = Value::<[Episode]>::create_slice(&name, episodes, |_| {
            let mut object = rng.below(OBJECTS.len() as u64) as usize;
            if object >= NAMELESS && used[object] == POOL {
                object = rng.below(NAMELESS as u64) as usize;
            }
            let channel = (first + used[object]) % POOL;
            used[object] += 1;
            Episode::new(object as u32, channel as u32, is_kill)
        })?;
        self.table = Some(table.clone());
        self.control.round.store(self.round, Release);
        Ok(table)
    }

    /// Kills a worker in the middle of an operation, if it can be hit. The others go on without it.
    fn kill(&mut self, table: &Value<[Episode]>) -> Result<Victim, Violation> {
        let worker = self.rng.below(WORKERS as u64) as usize;
        let (step, spins) = (1 + self.rng.below(GROUP_STEPS), self.rng.below(AIM_SPINS));
        let (control, round) = (self.control.clone(), self.round);
        let seat = &control.seats[worker];
        // The number of steps is that of the last round until all have come to this one.
        let has_come = || table[0].arrived.load(SeqCst) == WORKERS as u32;
        let is_there = || has_come() && seat.steps.load(Relaxed) >= step;
        self.wait("a round does not begin", || is_there() || seat.done.load(Acquire) == round)?;
        (0..spins).for_each(|_| std::hint::spin_loop());
        // From these times on, what it held may come back.
        let times = table.iter().map(Episode::tick).collect();
        let child = &mut self.workers[worker].child;
        child.kill()?;
        let status = child.wait()?;
        ensure(status.signal() == Some(9), || format!("worker {worker} ended with {status}"))?;
        self.control.lost.store(self.round, SeqCst);
        self.tally.kills += 1;
        Ok(Victim { worker, times })
    }

    /// Waits until the round is over, and replaces who was killed in it.
    fn finish(&mut self, victim: Option<&Victim>) -> Result<(), Violation> {
        let dead = victim.map(|victim| victim.worker);
        if let Some(worker) = dead {
            self.start(worker, self.workers[worker].life + 1)?;
        }
        let (control, round) = (self.control.clone(), self.round);
        let is_done =
            |worker| dead == Some(worker) || control.seats[worker].done.load(Acquire) == round;
        self.wait("a round does not end", || (0..WORKERS).all(is_done))
    }

    /// Empties the queues and cells of a round, which is over: nobody is left in the middle of a call, and who was
    /// killed has been reaped by the one that came in its place.
    fn drain(&self, table: &Value<[Episode]>) -> Result<Vec<Vec<Operation>>, Violation> {
        let drain = |episode: &Episode| match object_of(episode) {
            Object::Queue => queue::drain(&self.queues[channel_of(episode)], episode),
            Object::Cell => cell::drain(&self.cells[channel_of(episode)], episode),
            _ => Ok(Vec::new()),
        };
        table.iter().map(drain).collect()
    }

    /// Waits until something holds, and looks now and then whether the workers live.
    fn wait(&mut self, what: &str, holds: impl Fn() -> bool) -> Result<(), Violation> {
        let (start, mut patience, mut turns) = (Instant::now(), Patience::default(), 0_u32);
        while !holds() {
            patience.turn();
            turns += 1;
            if turns.is_multiple_of(256) {
                ensure(start.elapsed() < HANG_MAX, || format!("{what} (round {})", self.round))?;
                for (index, worker) in self.workers.iter_mut().enumerate() {
                    if let Some(status) = worker.child.try_wait()? {
                        return Err(Violation(format!("worker {index} ended with {status}")));
                    }
                }
            }
        }
        Ok(())
    }

    /// Checks every history of a round.
    fn check(&mut self, played: &Played) -> Result<(), Violation> {
        for (index, episode) in played.table.iter().enumerate() {
            let object = object_of(episode);
            let victim = played.victim.as_ref().map(|it| (it.worker, it.times[index]));
            let noted = history(episode, object, victim)?;
            let drained = &played.drained[index];
            let (history, first) = if object == Object::Queue {
                (queue::evidence(&noted, drained), queue::first_state(channel_of(episode)))
            } else {
                ([&noted[..], drained].concat(), 0)
            };
            let start = Instant::now();
            let is_linearizable = self.checker.is_linearizable(&history, first);
            self.count(object, &noted, start.elapsed());
            ensure(is_linearizable, || {
                let killed = victim.map_or(String::new(), |(worker, time)| {
                    format!(", worker {worker} killed after {time}")
                });
                let place = format!("round {}, episode {index}", played.round);
                let history = self.checker.describe(&history);
                format!("{object:?} in {place} is not linearizable{killed}:\n{history}")
            })?;
        }
        Ok(())
    }

    fn count(&mut self, object: Object, history: &[Operation], time: Duration) {
        let tally = &mut self.tally;
        let noted = history.iter().filter(|it| it.call != Call::Abandon);
        let (operations, pending) = noted.fold((0, 0), |(operations, pending), it| {
            (operations + 1, pending + u64::from(it.to == NEVER))
        });
        tally.histories[object as usize] += 1;
        tally.operations += operations;
        tally.pending += pending;
        tally.cut += u64::from(operations - pending < (WORKERS * OPERATIONS) as u64);
        tally.overlapping += overlapping(history) as u64;
        tally.longest = tally.longest.max(time);
        tally.places_max = tally.places_max.max(self.checker.places());
    }

    /// Has the workers leave.
    fn stop(&mut self) -> Result<(), Violation> {
        self.control.is_over.store(1, Release);
        for (index, mut worker) in self.workers.drain(..).enumerate() {
            let status = worker.child.wait()?;
            ensure(status.success(), || format!("worker {index} ended with {status}"))?;
        }
        Ok(())
    }

    fn report(&self, time: Duration) {
        let tally = &self.tally;
        let kinds = OBJECTS.iter().zip(tally.histories);
        let kinds: Vec<_> = kinds.map(|(object, count)| format!("{object:?} {count}")).collect();
        let repairs: u64 = self.control.seats.iter().map(|seat| seat.repairs.load(Relaxed)).sum();
        println!(
            "{} histories linearizable, 0 violations ({}), {} operations of which {:.0} % overlap, {} kills \
             that cut {} histories, {} operations and {repairs} locks, longest check {:.0} us, at most {} \
             places, {:.0} histories/s, {:.0} s",
            tally.histories(),
            kinds.join(", "),
            tally.operations,
            100.0 * tally.overlapping as f64 / tally.operations.max(1) as f64,
            tally.kills,
            tally.cut,
            tally.pending,
            tally.longest.as_secs_f64() * 1e6,
            tally.places_max,
            tally.histories() as f64 / time.as_secs_f64(),
            time.as_secs_f64(),
        );
    }
}

impl Drop for Judge<'_> {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            // Only after a violation; the children are this process's own.
            let _ = worker.child.kill();
            let _ = worker.child.wait();
        }
    }
}

fn object_of(episode: &Episode) -> Object {
    OBJECTS[episode.object as usize % OBJECTS.len()]
}

fn channel_of(episode: &Episode) -> usize {
    episode.channel as usize % POOL
}

/// What the workers noted in an episode, and what the death of one of them may have brought back.
fn history(
    episode: &Episode,
    object: Object,
    victim: Option<(usize, u64)>,
) -> Result<Vec<Operation>, Violation> {
    let mut history = Vec::with_capacity(WORKERS * OPERATIONS + PERMITS);
    for worker in 0..WORKERS {
        let is_victim = victim.is_some_and(|(dead, _)| dead == worker);
        let first = history.len();
        for (call, reply, from, to) in episode.noted(worker) {
            let Some(call) = call else {
                return Err(Violation(format!("worker {worker} noted a call that does not exist")));
            };
            ensure(to != 0 || is_victim, || format!("worker {worker} did not finish {call:?}"))?;
            let to = if to == 0 { NEVER } else { to };
            history.push(Operation { worker, call, from, to, reply });
        }
        let is_whole = history.len() - first == OPERATIONS;
        ensure(is_whole || is_victim, || format!("worker {worker} noted too few operations"))?;
    }
    if let (Object::Permits, Some((worker, from))) = (object, victim) {
        let call = Call::Abandon;
        history.extend([Operation { worker, call, from, to: NEVER, reply: 0 }; PERMITS]);
    }
    Ok(history)
}
