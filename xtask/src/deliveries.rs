//! `cargo xtask deliveries`: channels whose two senders and two receivers are killed at random.
//!
//! What each of them did is in ledgers that are not part of what is tested. At the end they are held against
//! each other. Of a queue, every message whose send returned was received once, or by a receiver that died before
//! it could write that down. Of a queue whose receivers acknowledge, it was acknowledged once, and never came after
//! that. Of a broadcast, each receiver heard all that was sent while it lived, once and in order. All that was
//! received was whole.
//!
//! Nobody is killed who stands still: between two kills each of them must have finished something, so
//! that a kill cannot hide that somebody hangs. The campaign is run once for each kind of channel and messages.

mod account;
mod acknowledging;
mod batches;
mod ends;
mod hearing;
mod ledger;
mod message;
pub(crate) mod worker;

use crate::campaign::board::Row;
use crate::campaign::crew::{Crew, STEPS};
use crate::campaign::house::{House, contents};
use crate::campaign::rng::{Rng, mix};
use crate::campaign::{HANG_MAX, Progress, Violation, ensure, fresh_seed};
use account::Account;
use clap::ValueEnum;
use hearing::Hearing;
use message::Kind;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use worker::{DRAIN, EMPTY, GOT, IDLE, LATE_US, READY, SENT, Sabotage};

/// Kill the senders and receivers of queues and broadcasts, and account for every message.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// 200 kills, and nobody is called stuck before 30 seconds.
    #[arg(long)]
    short: bool,
    /// Kills, as many of them for each kind.
    #[arg(long, default_value_t = 20_000)]
    kills: u64,
    /// Only this kind.
    #[arg(long)]
    kind: Option<Kind>,
    /// Milliseconds without anything finished after which a sender or a receiver is stuck.
    #[arg(long)]
    stuck_ms: Option<u64>,
    /// Spoil something now and then, to see that it is noticed.
    #[arg(long, hide = true)]
    sabotage: Option<Sabotage>,
    /// Repeat the decisions of a run.
    #[arg(long)]
    seed: Option<u64>,
}

/// Processes that send, the first of the workers.
pub(crate) const SENDERS: usize = 2;
/// Processes that send or receive, and are killed.
pub(crate) const WORKERS: usize = 4;
/// Most microseconds between the moment at which everybody has finished something and the next kill.
const PACE_US: u64 = 4000;

pub(crate) fn run(mut args: Args) -> ExitCode {
    let seed = args.seed.unwrap_or_else(fresh_seed);
    if args.short {
        args.kills = args.kills.min(200);
    }
    // On a machine that does ten other things, a second says nothing.
    let patience = if args.short { HANG_MAX } else { Duration::from_secs(1) };
    let stuck = args.stuck_ms.map_or(patience, Duration::from_millis);
    let mut kills = 0;
    let kinds: Vec<Kind> = args.kind.map_or(Kind::ALL.to_vec(), |kind| vec![kind]);
    for &kind in &kinds {
        let share = args.kills / kinds.len() as u64;
        match campaign(kind, share, &args, stuck, seed) {
            Ok((line, count)) => {
                println!("{:12} {line}", kind.to_string());
                kills += count;
            }
            Err(Violation(text)) => {
                eprintln!("violation in deliveries, {kind} (--seed {seed}): {text}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!(
        "deliveries: {kills} kills, each message received as its kind of channel promises, 0 twice, 0 damaged, \
         0 stuck, 0 names and 0 bytes left (seed {seed})"
    );
    ExitCode::SUCCESS
}

fn campaign(
    kind: Kind,
    kills: u64,
    args: &Args,
    stuck: Duration,
    seed: u64,
) -> Result<(String, u64), Violation> {
    let house = House::new(&format!("deliveries-{kind}"))?;
    let mut role = vec!["deliveries".to_owned(), format!("--kind={kind}")];
    let sabotage = args.sabotage.and_then(|what| what.to_possible_value());
    role.extend(sabotage.map(|what| format!("--sabotage={}", what.get_name())));
    let mut crew = Crew::new(&house, kind.workers(), &role, seed)?;
    let mut progress = Progress::new();
    let mut turmoil = Turmoil {
        crew: &mut crew,
        rng: Rng::new(mix(seed ^ kind as u64)),
        killed: [0; WORKERS],
        stuck,
    };
    turmoil.run(kills, &mut progress)?;
    turmoil.drain(kind)?;
    let killed = turmoil.killed;
    check_arenas(&house)?;
    crew.stop(HANG_MAX)?;
    let verdict = account(kind, &house, &killed)?;
    let (kills, late_us) = (crew.kills, crew.board.max(LATE_US));
    house.prove_empty()?;
    all_at_once(&house, kind, &role, seed)?;
    let proof = house.prove_empty()?;
    let line = format!(
        "{kills} kills ({} of senders, {} of receivers), {verdict}, longest wait beyond its limit \
         {:.1} ms, {:.0} s; {proof}",
        killed[..SENDERS].iter().sum::<u64>(),
        killed[SENDERS..].iter().sum::<u64>(),
        late_us as f64 / 1e3,
        progress.elapsed().as_secs_f64(),
    );
    Ok((line, kills))
}

/// Holds the ledgers against each other.
fn account(kind: Kind, house: &House, killed: &[u64; WORKERS]) -> Result<String, Violation> {
    let ledgers = (0..kind.workers()).map(|worker| ledger::read(&house.side(), worker));
    if kind == Kind::Broadcast {
        let mut hearing = Hearing::default();
        ledgers.into_iter().try_for_each(|notes| hearing.add(&notes?))?;
        return hearing.check(killed[..SENDERS].iter().sum());
    }
    let mut account = Account::default();
    (0..).zip(ledgers).try_for_each(|(worker, notes)| account.add(worker, &notes?))?;
    account.check(kind, killed)
}

/// The killing.
struct Turmoil<'a, 'h> {
    crew: &'a mut Crew<'h>,
    rng: Rng,
    /// How often each worker was killed.
    killed: [u64; WORKERS],
    stuck: Duration,
}

impl Turmoil<'_, '_> {
    fn run(&mut self, kills: u64, progress: &mut Progress) -> Result<(), Violation> {
        while self.crew.kills < kills {
            wait_until_ready(self.crew)?;
            self.wait_for_all_to_move()?;
            self.pause(PACE_US);
            let victim = self.any_worker();
            self.kill(victim)?;
            match self.rng.below(8) {
                // Both ends of a side, or one of each: two are left who have the channel open.
                0 => {
                    let other =
                        (victim + 1 + self.rng.below(WORKERS as u64 - 1) as usize) % WORKERS;
                    self.kill(other)?;
                }
                // The new one while it joins, whatever it has done so far.
                1 => {
                    self.pause(PACE_US);
                    self.kill(victim)?;
                }
                _ => {}
            }
            progress.say(|| {
                let (sent, got) = (self.crew.board.sum(SENT), self.crew.board.sum(GOT));
                format!("{sent} sent, {got} received, {} kills", self.crew.kills)
            });
        }
        wait_until_ready(self.crew)
    }

    /// Has the workers receive what is left, send no more, and hold nothing.
    fn drain(&mut self, kind: Kind) -> Result<(), Violation> {
        self.crew.board.set(Row::Controller, DRAIN, 1);
        wait(self.crew, "a sender does not end", |crew| crew.board.sum(IDLE) == SENDERS as u64)?;
        if kind == Kind::Batches {
            // Whoever waits for a batch would wait for ever; the next ones know that this is the end.
            (SENDERS..WORKERS).try_for_each(|receiver| self.kill(receiver))?;
            wait_until_ready(self.crew)?;
        }
        // No send has been in progress since then: what is in the queue now is all there will be.
        self.crew.board.set(Row::Controller, DRAIN, 2);
        wait(self.crew, "the queue does not drain", |crew| {
            (SENDERS..crew.len()).all(|worker| crew.board.get(Row::Worker(worker), EMPTY) >= 2)
        })
    }

    fn any_worker(&mut self) -> usize {
        self.rng.below(WORKERS as u64) as usize
    }

    fn pause(&mut self, max_us: u64) {
        std::thread::sleep(Duration::from_micros(self.rng.below(max_us)));
    }

    fn kill(&mut self, victim: usize) -> Result<(), Violation> {
        let before = self.crew.kills;
        self.crew.kill(victim)?;
        self.killed[victim] += self.crew.kills - before;
        Ok(())
    }

    /// Waits until every worker has finished something more.
    fn wait_for_all_to_move(&mut self) -> Result<(), Violation> {
        let steps = |crew: &Crew<'_>, worker| crew.board.get(Row::Worker(worker), STEPS);
        let start = Instant::now();
        let all = 0..self.crew.len();
        let before: Vec<u64> = all.clone().map(|worker| steps(self.crew, worker)).collect();
        loop {
            self.crew.watch()?;
            let still = all.clone().find(|worker| steps(self.crew, *worker) == before[*worker]);
            let Some(worker) = still else { return Ok(()) };
            ensure(start.elapsed() < self.stuck, || {
                let end = if worker < SENDERS { "sender" } else { "receiver" };
                format!("{end} {worker} is stuck: nothing for {:?}", self.stuck)
            })?;
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

/// Waits until every worker has the channel open.
fn wait_until_ready(crew: &mut Crew<'_>) -> Result<(), Violation> {
    wait(crew, "a worker cannot open the channel", |crew| {
        (0..crew.len())
            .all(|worker| crew.board.get(Row::Worker(worker), READY) == crew.life(worker))
    })
}

/// Waits until something holds, and looks after the workers.
fn wait(
    crew: &mut Crew<'_>,
    what: &str,
    holds: impl Fn(&Crew<'_>) -> bool,
) -> Result<(), Violation> {
    let start = Instant::now();
    while !holds(crew) {
        crew.watch()?;
        ensure(start.elapsed() < HANG_MAX, || what.to_owned())?;
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

/// Whether the arenas of the dead are gone: everything has been received and dropped.
fn check_arenas(house: &House) -> Result<(), Violation> {
    let names = contents(&house.names()).into_iter().map(|(name, _)| name);
    let (mut tables, mut regions) = (Vec::new(), Vec::new());
    for name in names.filter(|name| name.starts_with(".arena.")) {
        // A region has the name of its arena and a number more.
        if name.matches('.').count() == 3 { &mut tables } else { &mut regions }.push(name);
    }
    ensure(tables.len() <= WORKERS, || {
        let count = tables.len();
        format!("held though all has been dropped: {count} arenas, {tables:?} and {regions:?}")
    })
}

/// Kills all workers in the middle of their work: nobody is left to clean up.
fn all_at_once(house: &House, kind: Kind, role: &[String], seed: u64) -> Result<(), Violation> {
    let mut crew = Crew::new(house, kind.workers(), role, seed)?;
    wait_until_ready(&mut crew)?;
    wait(&mut crew, "nothing is received", |crew| crew.board.sum(GOT) >= 20)?;
    crew.kill_all()
}
