//! What a dead worker left: answers that nobody has received yet, and tasks that it had taken.
//!
//! Before all of it can be seen, what the worker was in the middle of has to be put right, which takes the directory's
//! lock and descriptors. Where one of these is not to be had, what can be seen is dealt with, and the rest is looked for
//! again every [`AGAIN_AFTER`]. Until then the seat stays empty: the board says what its last worker did.
//!
//! # Which tasks have died
//!
//! Those whose letters are dead, and whose answers are not there. A worker sends its answer before it acknowledges the
//! task, so whoever has seen a dead letter, and has received all answers since, knows that there is none for it.

use super::super::failure;
use super::core::{Core, Links, Phase, State};
use super::job::{Asked, Outcome, short_name, split_job};
use super::telling::Told;
use super::worker::Exit;
use crate::channel::Receiver;
use crate::error::{Error, ErrorKind, Result};
use crate::letter::Letter;
use crossdock_sys::clock::Deadline;
use std::time::Duration;

/// When that is tried again which cannot be done at the moment.
pub(super) const AGAIN_AFTER: Duration = Duration::from_millis(25);
/// How long it may be impossible before the pool gives up.
pub(super) const PASSING_MAX: Duration = Duration::from_secs(10);

/// The end of a worker, until all that it left has been found.
#[derive(Debug)]
pub(super) struct Death {
    end: Result<Exit>,
    pid: u32,
    /// When to look again for what it left.
    pub(super) next: Deadline,
    /// When to give that up.
    until: Deadline,
}

/// What there is to find of what a worker left.
enum Rest {
    Nothing,
    /// It may be found when somebody else has ended what he is in the middle of.
    Behind,
    /// It cannot be found now, and why.
    Hidden(Error),
}

impl Death {
    pub(super) fn new(end: Result<Exit>, pid: u32) -> Self {
        let (next, until) = (Deadline::after(AGAIN_AFTER), Deadline::after(PASSING_MAX));
        Self { end, pid, next, until }
    }
}

/// Whether what has failed may succeed a little later: there was no descriptor, no memory, or somebody had a lock.
pub(super) fn is_passing(error: &Error) -> bool {
    use ErrorKind::{Busy, Io, LimitExceeded, NoSpace, TimedOut};
    matches!(error.kind(), Busy | Io | LimitExceeded | NoSpace | TimedOut)
}

impl Core {
    /// Deals with what the worker of a seat left; the next one comes when that has been found.
    pub(super) fn settle(&self, seat: usize, death: Death) {
        let mut told = Vec::new();
        let rest = match self.receive_remains(seat, &death, &mut told) {
            Err(error) if is_passing(&error) => Ok(Rest::Hidden(error)),
            rest => rest,
        };
        self.keep_or_replace(seat, death, rest);
        self.tell_elsewhere(told);
        // Somebody may have been told who waits for answers.
        self.lead.rouse();
    }

    fn keep_or_replace(&self, seat: usize, mut death: Death, rest: Result<Rest>) {
        let is_over = matches!(self.state.lock().phase, Phase::Over(_));
        let given_up = match rest {
            Ok(Rest::Nothing) => None,
            Ok(_) if is_over => None,
            Ok(Rest::Behind) => {
                death.until = Deadline::after(PASSING_MAX);
                return self.keep(seat, death);
            }
            Ok(Rest::Hidden(_)) if !death.until.is_past() => return self.keep(seat, death),
            Ok(Rest::Hidden(why)) => Some(failure::pool_broken(&self.settings.name, why)),
            Err(error) => Some(error),
        };
        if let Some(why) = given_up {
            self.break_down(&why);
        }
        self.replace(seat, death.end);
    }

    fn keep(&self, seat: usize, mut death: Death) {
        death.next = Deadline::after(AGAIN_AFTER);
        self.state.lock().crew[seat].death = Some(death);
    }

    /// Receives what the worker has answered before its end, then finds what it had taken and not answered. What is told
    /// is told also if something fails.
    fn receive_remains(&self, seat: usize, death: &Death, told: &mut Vec<Told>) -> Result<Rest> {
        let letters = match &self.state.lock().links {
            Some(Links { letters, .. }) => letters.clone(),
            None => return Ok(Rest::Nothing),
        };
        // What it was in the middle of is put right now, not when somebody has slept over it.
        let reaped = letters.reap_process(death.pid);
        self.collect_dead_letters(&letters)?;
        let leading = self.lead.claim();
        let received = self.receive_all(&leading, told);
        self.lead.pass_on(leading);
        if !received? {
            return Ok(Rest::Behind);
        }
        self.blame(seat, &death.end, told);
        Ok(match reaped {
            Ok(()) => Rest::Nothing,
            Err(why) => Rest::Hidden(why),
        })
    }

    fn collect_dead_letters(&self, letters: &Receiver<Letter>) -> Result<()> {
        for delivery in letters.dead_letters() {
            let (mut letter, receipt) = delivery?.split();
            let (number, _) = split_job(&mut letter)?;
            self.state.lock().stray.push((number, letter));
            // It is this process's alone: nobody else reads dead letters.
            receipt.acknowledge()?;
        }
        Ok(())
    }

    /// Who had which of the dead letters: the worker of `seat`, unless another one says so that is not yet buried.
    fn blame(&self, seat: usize, end: &Result<Exit>, told: &mut Vec<Told>) {
        let mut state = self.state.lock();
        for (number, letter) in std::mem::take(&mut state.stray) {
            if other_holder(&state, seat, number) {
                state.stray.push((number, letter));
                continue;
            }
            state.expired.remove(&number);
            if let Some(asked) = state.take(number) {
                self.count(&mut state, false, asked.calls);
                let error = death(&asked, end);
                told.push(self.end(asked, Outcome::Died(error, letter)));
            }
        }
        // Before others may wait for room that there is.
        told.append(&mut self.refill(&mut state));
        self.wind_down(&mut state);
    }
}

fn other_holder(state: &State, seat: usize, number: u64) -> bool {
    let Some(links) = &state.links else { return false };
    let others = (0..state.crew.len()).filter(|other| *other != seat);
    let mut holders = others.filter(|other| links.board.job(*other) == Some(number));
    holders.any(|other| !state.crew[other].is_empty())
}

/// What the death of its worker means for a task.
fn death(asked: &Asked, end: &Result<Exit>) -> Error {
    let task = short_name(asked.entry);
    match end {
        Err(error) => error.clone(),
        Ok(Exit::Unfit(text)) => {
            let text = format!("task \"{task}\" was not run: its worker could not work: {text}");
            Error::new(ErrorKind::Unsupported, text)
        }
        Ok(Exit::Done | Exit::Retired) => {
            let text = format!("task \"{task}\" has no result: its worker went home with it");
            Error::new(ErrorKind::Died, text)
        }
    }
}
