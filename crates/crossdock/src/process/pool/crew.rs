//! The workers: started, buried, and replaced.

use super::super::{Process, failure};
use super::core::{Core, Phase};
use super::job::{Outcome, short_name};
use super::remains::Death;
use super::worker::{Exit, Setup};
use crate::error::{Error, ErrorKind, Result};
use crate::process::JoinHandle;
use crate::trace;
use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Workers in a row that may end before they are ready, beside one for each seat.
const FAILED_STARTS_MAX: usize = 10;
/// The key of the supervisor's bell; the others are seats.
pub(super) const BELL: u64 = u64::MAX;

/// The place of a worker, whichever process that is.
#[derive(Debug, Default)]
pub(super) struct Seat {
    /// Until it has ended.
    pub(super) handle: Option<JoinHandle<Exit>>,
    /// From then on, until it is known what it left.
    pub(super) death: Option<Death>,
    /// Whether it has got as far as taking tasks.
    pub(super) is_ready: bool,
    /// What it has answered; those before it as well.
    pub(super) tasks: u64,
    /// What it is doing, and since when at the latest.
    pub(super) current: Option<(u64, Instant)>,
}

impl Seat {
    /// Whether there is neither a worker nor anything that one left.
    pub(super) fn is_empty(&self) -> bool {
        self.handle.is_none() && self.death.is_none()
    }

    pub(super) fn kill(&self) {
        if let Some(handle) = &self.handle {
            // It fails only for a process with the rights of another user.
            let _ = handle.kill();
        }
    }
}

impl Core {
    /// Wakes the supervisor.
    pub(super) fn ring(&self) {
        // A full pipe wakes it as well.
        let _ = (&self.bell).write(&[0]);
    }

    /// Puts a new process on a seat.
    pub(super) fn fill(&self, seat: usize) -> Result<()> {
        let name = format!("{}-{seat}", self.settings.name);
        let options = Process::options().name(name).start(self.settings.start).daemon(true);
        let setup = Setup { seat: seat as u32, ..self.setup.clone() };
        let handle = (self.start.lock())(options, setup)?;
        let watched = self.events.add(&handle, seat as u64);
        let mut state = self.state.lock();
        let tasks = state.crew[seat].tasks;
        state.crew[seat] = Seat { handle: Some(handle), tasks, ..Seat::default() };
        if watched.is_err() || matches!(state.phase, Phase::Over(_)) {
            state.crew[seat].kill();
        }
        // It is to hear that the worker is ready.
        state.is_collector_asleep = false;
        self.collector.notify_one();
        drop(state);
        watched.map_err(|error| Error::os("cannot watch a worker", error))
    }

    /// Deals with the end of the worker of a seat.
    pub(super) fn bury(&self, seat: usize) {
        let Some(handle) = self.state.lock().crew[seat].handle.take() else { return };
        // Others may have copies of its pidfd: it would not leave by itself.
        let _ = self.events.remove(&handle);
        let pid = handle.pid();
        self.settle(seat, Death::new(handle.join(), pid));
    }

    /// Replaces a worker that has ended and left nothing more, if there is or may be work.
    pub(super) fn replace(&self, seat: usize, end: Result<Exit>) {
        let mut state = self.state.lock();
        if let Some(links) = &state.links {
            links.board.clear(seat);
        }
        let was_ready = std::mem::take(&mut state.crew[seat].is_ready);
        let has_work = match state.phase {
            Phase::Open => true,
            Phase::Closed => !state.is_drained(),
            Phase::Over(_) => false,
        };
        if has_work && !was_ready && !matches!(end, Ok(Exit::Retired)) {
            state.failed_starts += 1;
        }
        let is_hopeless = state.failed_starts > self.settings.workers + FAILED_STARTS_MAX;
        state.counts.restarts += u64::from(has_work);
        drop(state);
        if !has_work {
            return;
        }
        if let Err(error) = &end {
            trace::worker_lost(&self.settings.name, seat, error);
        }
        let is_broken = !was_ready && end.as_ref().is_err_and(|e| e.kind() == ErrorKind::Panicked);
        if is_broken || is_hopeless {
            return self.break_down(&self.cannot_start(end));
        }
        if let Err(error) = self.fill(seat) {
            self.give_up_seat(&error);
        }
    }

    /// The error of a pool whose workers do not get as far as taking tasks.
    fn cannot_start(&self, end: Result<Exit>) -> Error {
        let why = match end {
            Err(error) => error,
            Ok(Exit::Unfit(text)) => Error::new(ErrorKind::Unsupported, text),
            Ok(Exit::Done | Exit::Retired) => Error::new(ErrorKind::Died, "they end at once"),
        };
        failure::pool_broken(&self.settings.name, why)
    }

    /// A seat stays empty. With the last one, nobody would work.
    fn give_up_seat(&self, error: &Error) {
        if self.state.lock().crew.iter().all(Seat::is_empty) {
            self.break_down(&failure::pool_broken(&self.settings.name, error.clone()));
        }
    }

    /// Ends workers that take too long, and tells who waits for them. Returns whether any task has a limit.
    pub(super) fn enforce_limits(&self) -> bool {
        let mut state = self.state.lock();
        if state.limited == 0 && state.expired.is_empty() {
            return false;
        }
        let Some(links) = &state.links else { return false };
        let (board, now) = (std::sync::Arc::clone(&links.board), Instant::now());
        let mut told = Vec::new();
        for seat in 0..state.crew.len() {
            let job = board.job(seat).filter(|_| state.crew[seat].handle.is_some());
            let current = state.crew[seat].current.filter(|(number, _)| Some(*number) == job);
            let current = current.or_else(|| job.map(|number| (number, now)));
            state.crew[seat].current = current;
            let Some((number, since)) = current else { continue };
            let limit = state.sent.get(&number).and_then(|asked| asked.limit);
            let is_late = limit.is_some_and(|limit| now - since >= limit);
            if !is_late && !state.expired.contains(&number) || !board.condemn(seat, number) {
                continue;
            }
            state.crew[seat].kill();
            if let Some(asked) = state.take(number) {
                self.count(&mut state, false, asked.calls);
                state.expired.insert(number);
                let text = format!(
                    "task \"{}\" ran for longer than {:?}, and its worker was ended",
                    short_name(asked.entry),
                    limit.unwrap_or_default()
                );
                let error = Error::new(ErrorKind::TimedOut, text);
                told.push(self.end(asked, Outcome::Failed(error)));
            }
        }
        drop(state);
        if !told.is_empty() {
            self.tell(told);
            self.lead.rouse();
        }
        true
    }

    /// Whether the pool has nothing more to do and nobody to do it.
    pub(super) fn is_deserted(&self) -> bool {
        let state = self.state.lock();
        let is_closing = match state.phase {
            Phase::Open => false,
            Phase::Closed => state.is_drained(),
            Phase::Over(_) => true,
        };
        is_closing && state.crew.iter().all(Seat::is_empty)
    }

    /// Gives the channels up.
    pub(super) fn finish(&self) {
        self.lead.close();
        let mut state = self.state.lock();
        let links = state.links.take();
        drop(state);
        drop(links);
        state = self.state.lock();
        state.has_ended = true;
        self.changed.notify_all();
        self.collector.notify_all();
    }

    pub(super) fn is_settled(&self) -> bool {
        self.settling.load(Ordering::SeqCst) == 0
    }
}
