//! The workers: started, buried, and replaced.

use super::super::{Process, failure};
use super::core::{Core, Phase};
use super::job::{Outcome, short_name};
use super::remains::{Death, PASSING_MAX, is_passing};
use super::worker::{Exit, Setup};
use crate::error::{Error, ErrorKind, Result};
use crate::process::JoinHandle;
use crate::trace;
use crossdock_sys::clock::Deadline;
use std::io::Write;
use std::time::{Duration, Instant};

/// Workers in a row that may end before they have done anything, beside one for each seat.
const FAILED_STARTS_MAX: usize = 10;
/// The pause after the first of those, twice as long after each further one, and the longest.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// The pause after so many that the pool would have failed, were there no other workers.
const PAUSE_HOPELESS: Duration = Duration::from_secs(1);
/// How late it may be noticed that a time is up.
const WATCH_EVERY: Duration = Duration::from_millis(2);
/// The key of the supervisor's bell; the others are seats.
pub(super) const BELL: u64 = u64::MAX;

/// The place of a worker, whichever process that is.
#[derive(Debug, Default)]
pub(super) struct Seat {
    /// Until it has ended.
    pub(super) handle: Option<JoinHandle<Exit>>,
    /// From then on, until it is known what it left.
    pub(super) death: Option<Death>,
    /// When another one is to be started, if there is none.
    fill_at: Option<Deadline>,
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

    /// When something is to be done about it although nothing happens.
    fn next_chore(&self) -> Option<Deadline> {
        self.death.as_ref().map(|death| death.next).or(self.fill_at)
    }

    pub(super) fn kill(&self) {
        if let Some(handle) = &self.handle {
            // It fails only for a process with the rights of another user.
            let _ = handle.kill();
        }
    }
}

/// What speaks against workers that are still to come.
#[derive(Debug, Default)]
pub(super) struct Starts {
    /// Workers in a row that ended before they were ready, or could not be started at all.
    failed: usize,
    /// Workers in a row that were ready and could not work, since the last answer.
    unfit: usize,
    /// Until when it is borne that none can be started.
    hope_until: Option<Deadline>,
}

impl Starts {
    /// A worker is ready.
    pub(super) fn note_ready(&mut self) {
        (self.failed, self.hope_until) = (0, None);
    }

    /// A worker has done something.
    pub(super) fn note_answer(&mut self) {
        self.unfit = 0;
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
        if let Err(error) = watched {
            self.end_unseen(seat, handle, Error::os("cannot watch a worker", error));
            return Ok(());
        }
        let mut state = self.state.lock();
        let tasks = state.crew[seat].tasks;
        state.crew[seat] = Seat { handle: Some(handle), tasks, ..Seat::default() };
        if matches!(state.phase, Phase::Over(_)) {
            state.crew[seat].kill();
        }
        // It is to hear that the worker is ready.
        self.wake_collector(&mut state);
        Ok(())
    }

    /// Ends a worker whose end nobody would see. It may have taken a task.
    fn end_unseen(&self, seat: usize, worker: JoinHandle<Exit>, why: Error) {
        // It fails only for a process with the rights of another user.
        let _ = worker.kill();
        let pid = worker.pid();
        // How it ended is known.
        let _ = worker.join();
        self.state.lock().crew[seat].death = Some(Death::new(Err(why), pid));
        self.ring();
    }

    /// Deals with the end of the worker of a seat.
    pub(super) fn bury(&self, seat: usize) {
        let Some(handle) = self.state.lock().crew[seat].handle.take() else { return };
        // Others may have copies of its pidfd: it would not leave by itself.
        let _ = self.events.remove(&handle);
        let pid = handle.pid();
        self.settle(seat, Death::new(handle.join(), pid));
    }

    /// When the supervisor is to do something although nothing happens.
    pub(super) fn next_chore(&self) -> Option<Deadline> {
        let mut state = self.state.lock();
        state.is_watching_limits = state.limited > 0 || !state.expired.is_empty();
        let watch = state.is_watching_limits.then(|| Deadline::after(WATCH_EVERY));
        state.crew.iter().filter_map(Seat::next_chore).chain(watch).min()
    }

    /// Does what is due: ends workers that take too long, looks again for what dead ones left, and fills seats.
    pub(super) fn do_chores(&self) {
        self.enforce_limits();
        for seat in 0..self.settings.workers {
            let mut state = self.state.lock();
            if !state.crew[seat].next_chore().is_some_and(Deadline::is_past) {
                continue;
            }
            let death = state.crew[seat].death.take();
            let is_empty = state.crew[seat].fill_at.take().is_some();
            let has_work = state.has_work();
            drop(state);
            if let Some(death) = death {
                self.settle(seat, death);
            } else if is_empty
                && has_work
                && let Err(error) = self.fill(seat)
            {
                trace::worker_lost(&self.settings.name, seat, &error);
                self.fill_later(seat, false, error);
            }
        }
    }

    /// Has a seat filled again whose worker has ended and left nothing more, if there is or may be work.
    pub(super) fn replace(&self, seat: usize, end: Result<Exit>) {
        let mut state = self.state.lock();
        if let Some(links) = &state.links {
            links.board.clear(seat);
        }
        let was_ready = std::mem::take(&mut state.crew[seat].is_ready);
        if !state.has_work() {
            return;
        }
        state.counts.restarts += 1;
        drop(state);
        if let Err(error) = &end {
            trace::worker_lost(&self.settings.name, seat, error);
        }
        let why = match end {
            Ok(Exit::Retired) => None,
            // Perhaps there is a task that nobody can take.
            Ok(Exit::Unfit(text)) => Some(Error::new(ErrorKind::Unsupported, text)),
            _ if was_ready => None,
            Ok(Exit::Done) => Some(Error::new(ErrorKind::Died, "its workers end at once")),
            Err(error) => Some(error),
        };
        match why {
            None => self.state.lock().crew[seat].fill_at = Some(Deadline::after(Duration::ZERO)),
            // It would be the same with each.
            Some(error) if error.kind() == ErrorKind::Panicked => {
                self.break_down(&failure::pool_broken(&self.settings.name, error));
            }
            Some(error) => self.fill_later(seat, was_ready, error),
        }
    }

    /// A worker has not got as far as doing a task. Has another one tried, the later the more of them there were; when
    /// that is hopeless, and nobody else works, the pool has failed.
    fn fill_later(&self, seat: usize, was_ready: bool, why: Error) {
        let mut state = self.state.lock();
        let Starts { failed, unfit, hope_until } = &mut state.starts;
        let count = if was_ready { unfit } else { failed };
        *count += 1;
        let failed = count.saturating_sub(self.settings.workers);
        let until = *hope_until.get_or_insert_with(|| Deadline::after(PASSING_MAX));
        let is_hopeless = failed > FAILED_STARTS_MAX && (!is_passing(&why) || until.is_past());
        let is_manned = state.crew.iter().any(|seat| seat.handle.is_some() && seat.is_ready);
        if is_hopeless && !is_manned {
            drop(state);
            return self.break_down(&failure::pool_broken(&self.settings.name, why));
        }
        let doubled = |failed| PAUSE_MIN.saturating_mul(1_u32 << failed).min(PAUSE_MAX);
        let pause = match failed.checked_sub(1) {
            None => Duration::ZERO,
            Some(_) if is_hopeless => PAUSE_HOPELESS,
            Some(failed) => doubled(failed.min(FAILED_STARTS_MAX)),
        };
        state.crew[seat].fill_at = Some(Deadline::after(pause));
    }

    /// Ends workers that take too long, and tells who waits for them.
    fn enforce_limits(&self) {
        let mut state = self.state.lock();
        if state.limited == 0 && state.expired.is_empty() {
            return;
        }
        let Some(links) = &state.links else { return };
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
            self.tell_elsewhere(told);
            self.lead.rouse();
        }
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
}
