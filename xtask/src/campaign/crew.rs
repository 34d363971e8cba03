//! The workers of a campaign: started, killed at random, started again, watched.

use super::board::{Board, FIELDS, Row};
use super::house::House;
use super::{HANG_MAX, Violation, ensure};
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

/// Number of the life that a worker is in: 0 from just before it is killed until the next life.
pub(crate) const LIFE: usize = FIELDS - 1;
/// Steps that a worker has made: stands still when it hangs.
pub(crate) const STEPS: usize = FIELDS - 2;

/// What every worker is told: which one it is.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Seat {
    #[arg(long)]
    pub(crate) side: PathBuf,
    #[arg(long, default_value_t = 0)]
    pub(crate) worker: usize,
    #[arg(long, default_value_t = 0)]
    pub(crate) life: u64,
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

impl Seat {
    fn words(&self) -> [String; 4] {
        let Self { side, worker, life, seed } = self;
        [
            format!("--side={}", side.display()),
            format!("--worker={worker}"),
            format!("--life={life}"),
            format!("--seed={seed}"),
        ]
    }
}

/// The workers.
pub(crate) struct Crew<'a> {
    house: &'a House,
    pub(crate) board: Board,
    role: Vec<String>,
    seed: u64,
    workers: Vec<Worker>,
    pub(crate) kills: u64,
    pub(crate) leaves: u64,
}

struct Worker {
    child: Child,
    life: u64,
    steps: u64,
    moved: Instant,
}

impl<'a> Crew<'a> {
    /// Starts `count` workers in a role, which is told where they sit besides its words.
    pub(crate) fn new(
        house: &'a House,
        count: usize,
        role: &[String],
        seed: u64,
    ) -> Result<Self, Violation> {
        let board = Board::open(&house.side())?;
        board.clear();
        let (role, workers) = (role.to_vec(), Vec::new());
        let mut crew = Self { house, board, role, seed, workers, kills: 0, leaves: 0 };
        for worker in 0..count {
            let worker = crew.start(worker, 1)?;
            crew.workers.push(worker);
        }
        Ok(crew)
    }

    fn start(&self, worker: usize, life: u64) -> Result<Worker, Violation> {
        self.board.set(Row::Worker(worker), LIFE, life);
        let seat = Seat { side: self.house.side(), worker, life, seed: self.seed };
        let child = self.house.spawn(&[&self.role[..], &seat.words()].concat())?;
        let steps = self.board.get(Row::Worker(worker), STEPS);
        Ok(Worker { child, life, steps, moved: Instant::now() })
    }

    /// Kills a worker and starts its next life.
    pub(crate) fn kill(&mut self, worker: usize) -> Result<(), Violation> {
        // First of all, so that whoever finds the number unchanged knows that the worker lived.
        self.board.set(Row::Worker(worker), LIFE, 0);
        // A worker that has just left on its own cannot be killed any more.
        let _ = self.workers[worker].child.kill();
        let status = self.workers[worker].child.wait()?;
        if was_killed(status) {
            self.kills += 1;
        } else {
            self.check_exit(worker, status)?;
        }
        let life = self.workers[worker].life + 1;
        self.workers[worker] = self.start(worker, life)?;
        Ok(())
    }

    /// Workers that there are.
    pub(crate) fn len(&self) -> usize {
        self.workers.len()
    }

    /// The number of the life that a worker is in.
    pub(crate) fn life(&self, worker: usize) -> u64 {
        self.workers[worker].life
    }

    /// Looks after the workers: who has left is started again, who hangs is a violation.
    pub(crate) fn watch(&mut self) -> Result<(), Violation> {
        for index in 0..self.workers.len() {
            if let Some(status) = self.workers[index].child.try_wait()? {
                self.board.set(Row::Worker(index), LIFE, 0);
                self.check_exit(index, status)?;
                let life = self.workers[index].life + 1;
                self.workers[index] = self.start(index, life)?;
            }
            let steps = self.board.get(Row::Worker(index), STEPS);
            let worker = &mut self.workers[index];
            if steps != worker.steps {
                (worker.steps, worker.moved) = (steps, Instant::now());
            }
            let still = worker.moved.elapsed();
            ensure(still < HANG_MAX, || {
                let wait = std::fs::read_to_string(format!("/proc/{}/wchan", worker.child.id()));
                format!("worker {index} has not moved for {still:?} (it is in {wait:?})")
            })?;
        }
        Ok(())
    }

    fn check_exit(&mut self, worker: usize, status: ExitStatus) -> Result<(), Violation> {
        self.leaves += 1;
        let life = self.workers[worker].life;
        let reports = self.house.reports();
        ensure(status.success() && reports.is_empty(), || {
            format!("worker {worker} in its life {life} ended with {status}: {reports:?}")
        })
    }

    /// Waits until a worker that was asked to leave has done so, and a new life of it has begun.
    pub(crate) fn replace(&mut self, worker: usize) -> Result<(), Violation> {
        let (life, start) = (self.workers[worker].life, Instant::now());
        while self.workers[worker].life == life {
            ensure(start.elapsed() < HANG_MAX, || format!("worker {worker} does not leave"))?;
            self.watch()?;
            std::thread::sleep(Duration::from_micros(500));
        }
        Ok(())
    }

    /// Kills all workers at once.
    pub(crate) fn kill_all(&mut self) -> Result<(), Violation> {
        for worker in &mut self.workers {
            worker.child.kill()?;
        }
        for worker in &mut self.workers {
            worker.child.wait()?;
        }
        self.kills += self.workers.len() as u64;
        self.workers.clear();
        let reports = self.house.reports();
        ensure(reports.is_empty(), || format!("reported: {reports:?}"))
    }

    /// Tells the workers to stop and waits for them.
    pub(crate) fn stop(&mut self, within: Duration) -> Result<(), Violation> {
        self.board.set(Row::Controller, super::board::STOP, 1);
        let start = Instant::now();
        for index in 0..self.workers.len() {
            let status = loop {
                if let Some(status) = self.workers[index].child.try_wait()? {
                    break status;
                }
                ensure(start.elapsed() < within, || {
                    format!("worker {index} did not stop within {within:?}")
                })?;
                std::thread::sleep(Duration::from_millis(2));
            };
            self.check_exit(index, status)?;
        }
        self.workers.clear();
        let reports = self.house.reports();
        ensure(reports.is_empty(), || format!("reported: {reports:?}"))
    }
}

impl Drop for Crew<'_> {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            // Only after a violation; the children are this process's own.
            let _ = worker.child.kill();
            let _ = worker.child.wait();
        }
    }
}

fn was_killed(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.signal() == Some(9)
}
