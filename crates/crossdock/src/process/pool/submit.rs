//! Work comes in, and goes out to the workers.

use super::super::task::{self, Entry};
use super::core::{Core, IN_HAND_MAX, READY, State};
use super::job::{Asked, Job, Outcome, Slot, Terms, job_head, split_job};
use super::telling::Told;
use crate::channel::TrySendError;
use crate::error::{Error, ErrorKind, Result};
use crate::letter::Letter;
use serde::Serialize;
use std::sync::atomic::Ordering;

impl Core {
    /// Takes work of which `slot` is to hear.
    pub(super) fn submit<A: Serialize>(
        &self,
        entry: &'static Entry,
        argument: A,
        terms: Terms,
        slot: Box<dyn Slot>,
    ) -> Result<()> {
        let job = self.job(entry, argument, terms, slot).map_err(|(error, _)| error)?;
        let told = self.enqueue(job, false).map_err(|(error, _)| error)?;
        self.tell(told);
        Ok(())
    }

    /// As [`submit`](Self::submit), of what is left of a task: also after the pool was closed, and with the lead. Others who
    /// are to be told come back.
    pub(super) fn submit_rest<A: Serialize>(
        &self,
        entry: &'static Entry,
        argument: A,
        terms: Terms,
        slot: Box<dyn Slot>,
    ) -> Result<Vec<Told>> {
        let job = self.job(entry, argument, terms, slot).map_err(|(error, _)| error)?;
        self.enqueue(job, true).map_err(|(error, _)| error)
    }

    /// As [`submit`](Self::submit); `slot` hears as well if it is not taken, and gets what it can have back.
    pub(super) fn submit_or_settle<A: Serialize>(
        &self,
        entry: &'static Entry,
        argument: A,
        slot: Box<dyn Slot>,
    ) {
        let (slot, outcome) = match self.job(entry, argument, Terms::single(None), slot) {
            Err((error, slot)) => (slot, Outcome::Failed(error)),
            Ok(job) => match self.enqueue(job, false) {
                Ok(told) => return self.tell(told),
                Err((error, mut job)) => match split_job(&mut job.letter) {
                    Ok(_) => (job.asked.slot, Outcome::Died(error, job.letter)),
                    Err(_) => (job.asked.slot, Outcome::Failed(error)),
                },
            },
        };
        slot.settle(outcome).into_iter().for_each(|call| call());
    }

    fn job<A: Serialize>(
        &self,
        entry: &'static Entry,
        argument: A,
        terms: Terms,
        slot: Box<dyn Slot>,
    ) -> Result<Job, (Error, Box<dyn Slot>)> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let Terms { limit, calls, bytes_max } = terms;
        let seal = || {
            let head = job_head(number, task::id(entry)?);
            Letter::seal_within(&head, argument, bytes_max)?.for_channel()
        };
        let mut letter = match seal() {
            Ok(letter) => letter,
            Err(error) => return Err((error, slot)),
        };
        if self.settings.retries > 0 && letter.has_unique() {
            let text = "an ArrayMut has one owner, and a task that may run again could give it two: use a pool without \
                        retries, or freeze the array";
            return Err((Error::new(ErrorKind::InvalidArgument, text), slot));
        }
        let kept = letter.take_kept();
        let limit = limit.or(self.settings.limit);
        Ok(Job { number, letter, asked: Asked { slot, limit, calls, entry, _kept: kept } })
    }

    #[expect(clippy::result_large_err, reason = "the job comes back, without an allocation")]
    fn enqueue(&self, job: Job, is_rest: bool) -> Result<Vec<Told>, (Error, Job)> {
        if let Err(error) = self.check_current() {
            return Err((error, job));
        }
        let mut state = self.state.lock();
        if let Err(error) = state.check_open(is_rest) {
            return Err((error, job));
        }
        state.pending.push_back(job);
        let told = self.refill(&mut state);
        self.wake_collector(&mut state);
        Ok(told)
    }

    /// Tasks that are in the channel or with a worker, at most.
    fn in_hand_max(&self, state: &State) -> usize {
        let workers = self.settings.workers;
        let ready = READY.as_nanos() / state.pace.each.as_nanos().max(1);
        let each = usize::try_from(ready).unwrap_or(usize::MAX).min(IN_HAND_MAX - 1);
        workers + (workers * each).max(1)
    }

    /// Has the supervisor look whose time is up.
    fn watch_limits(&self, state: &mut State) {
        if !std::mem::replace(&mut state.is_watching_limits, true) {
            self.ring();
        }
    }

    /// Hands out what there is room for.
    #[must_use]
    pub(super) fn refill(&self, state: &mut State) -> Vec<Told> {
        let mut told = Vec::new();
        while state.sent.len() < self.in_hand_max(state)
            && let Some(job) = state.pending.pop_front()
        {
            if !job.asked.slot.start() {
                // It was cancelled, and whoever did that was told.
                continue;
            }
            let Some(tasks) = state.links.as_ref().and_then(|links| links.tasks.as_ref()) else {
                break;
            };
            let Job { number, letter, asked } = job;
            match tasks.try_send(letter) {
                Ok(()) => {
                    if asked.limit.is_some() {
                        state.limited += 1;
                        self.watch_limits(state);
                    }
                    state.sent.insert(number, asked);
                }
                Err(TrySendError::Full(letter)) => {
                    state.pending.push_front(Job { number, letter, asked });
                    break;
                }
                Err(error) => told.push(self.end(asked, Outcome::Failed(error.into()))),
            }
        }
        told
    }
}
