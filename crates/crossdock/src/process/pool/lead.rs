//! Who receives the answers: one thread at a time, and best the one that waits for one.
//!
//! A result that first goes to a thread of the pool, and from there to whoever waits for it, costs one wake-up more than
//! it need. So a thread that waits for a result receives answers itself, also those for others, until its own is among
//! them; this is the *lead*. Threads that find it taken sleep, until their result is there or the lead is free. Nobody
//! leads while nobody waits; the collector, a thread of the pool, sees that and takes the lead after a moment.

use super::super::executor::{Driver, Waiter, left};
use super::super::failure;
use super::core::Core;
use super::remains::{AGAIN_AFTER, PASSING_MAX, is_passing};
use super::telling::Told;
use crate::channel::Receiver;
use crate::error::{Error, Result};
use crate::letter::Letter;
use crossdock_core::signal::SLICE;
use crossdock_sys::clock::Deadline;
use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use std::thread::{self, Thread};

/// The right to receive answers.
pub(super) struct Lead {
    /// `None` when the pool is over.
    answers: Mutex<Option<Receiver<Letter>>>,
    /// To wake who receives.
    bell: Mutex<Option<Receiver<Letter>>>,
    /// Threads that wait for the lead or for their result.
    followers: Mutex<Vec<Thread>>,
    following: AtomicUsize,
    /// Those who must have it before all others.
    claims: AtomicUsize,
    /// How often a thread that waits has taken it.
    pub(super) terms: AtomicU64,
}

pub(super) type Leading<'a> = MutexGuard<'a, Option<Receiver<Letter>>>;

impl Lead {
    pub(super) fn new(answers: Receiver<Letter>) -> Self {
        Self {
            bell: Mutex::new(Some(answers.clone())),
            answers: Mutex::new(Some(answers)),
            followers: Mutex::default(),
            following: AtomicUsize::new(0),
            claims: AtomicUsize::new(0),
            terms: AtomicU64::new(0),
        }
    }

    /// Takes the lead if it is free; what is taken is nothing when the pool is over.
    pub(super) fn try_take(&self) -> Option<Leading<'_>> {
        if self.claims.load(Ordering::SeqCst) > 0 {
            return None;
        }
        self.answers.try_lock()
    }

    /// Takes the lead from whoever has it.
    pub(super) fn claim(&self) -> Leading<'_> {
        self.claims.fetch_add(1, Ordering::SeqCst);
        self.rouse();
        let answers = self.answers.lock();
        self.claims.fetch_sub(1, Ordering::SeqCst);
        answers
    }

    pub(super) fn is_claimed(&self) -> bool {
        self.claims.load(Ordering::Relaxed) > 0
    }

    /// Whether other threads wait for the lead.
    pub(super) fn is_wanted(&self) -> bool {
        self.following.load(Ordering::Relaxed) > 0 || self.is_claimed()
    }

    pub(super) fn is_taken(&self) -> bool {
        self.answers.is_locked()
    }

    /// Has whoever receives look whether there still is something to wait for.
    pub(super) fn rouse(&self) {
        if let Some(bell) = &*self.bell.lock() {
            bell.rouse();
        }
    }

    /// Gives the lead up, and tells somebody who waits for it.
    pub(super) fn pass_on(&self, leading: Leading<'_>) {
        drop(leading);
        fence(Ordering::SeqCst);
        self.wake_follower();
    }

    fn wake_follower(&self) {
        if self.following.load(Ordering::SeqCst) > 0
            && let Some(thread) = self.followers.lock().first()
        {
            thread.unpark();
        }
    }

    fn follow(&self) {
        self.followers.lock().push(thread::current());
        self.following.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    fn unfollow(&self) {
        let me = thread::current().id();
        let mut followers = self.followers.lock();
        if let Some(place) = followers.iter().position(|thread| thread.id() == me) {
            followers.remove(place);
            self.following.fetch_sub(1, Ordering::SeqCst);
        }
        drop(followers);
        // The lead may have been offered to this one.
        if !self.is_taken() {
            self.wake_follower();
        }
    }

    /// There will be no more answers.
    pub(super) fn close(&self) {
        let mut answers = self.claim();
        *answers = None;
        *self.bell.lock() = None;
        self.pass_on(answers);
    }
}

impl Core {
    /// Receives answers until `is_over`, or the deadline, or somebody has a claim, or somebody is to be told without the
    /// lead.
    fn receive(
        &self,
        leading: &Leading<'_>,
        deadline: Option<Deadline>,
        is_over: &mut dyn FnMut() -> bool,
        told: &mut Vec<Told>,
    ) -> Result<()> {
        let Some(answers) = &**leading else { return Ok(()) };
        let mut is_over = || is_over() || self.lead.is_claimed();
        while told.is_empty() && !is_over() {
            let Some(letter) = answers.recv_or(deadline, &mut is_over)? else { break };
            self.take_in(letter, told)?;
        }
        Ok(())
    }

    /// As [`receive`](Self::receive), then gives the lead up and tells whoever is to be told.
    pub(super) fn lead(
        &self,
        leading: Leading<'_>,
        deadline: Option<Deadline>,
        is_over: &mut dyn FnMut() -> bool,
    ) {
        let mut told = Vec::new();
        let received = self.receive(&leading, deadline, is_over, &mut told);
        self.lead.pass_on(leading);
        self.tell(told);
        if let Err(error) = received {
            self.bear(error, deadline);
        }
    }

    /// An answer cannot be received. It stays where it is, so this waits a moment if that may pass, and has not lasted for
    /// too long; else nobody could tell which task it belongs to.
    fn bear(&self, error: Error, deadline: Option<Deadline>) {
        let until = || Deadline::after(PASSING_MAX);
        let until = *self.state.lock().trouble_until.get_or_insert_with(until);
        if !is_passing(&error) || until.is_past() {
            return self.break_down(&failure::pool_broken(&self.settings.name, error));
        }
        let again = Deadline::after(AGAIN_AFTER);
        thread::park_timeout(left(deadline.map_or(again, |deadline| deadline.min(again))));
    }

    /// Receives what was sent before this call. False if some of it is behind what somebody has begun to send, and not
    /// ended.
    pub(super) fn receive_all(&self, leading: &Leading<'_>, told: &mut Vec<Told>) -> Result<bool> {
        let Some(answers) = &**leading else { return Ok(true) };
        let mut left = answers.len();
        while left > 0 && !answers.is_empty() {
            let slice = Some(Deadline::after(SLICE));
            match answers.recv_or(slice, &mut || answers.is_empty())? {
                Some(letter) => {
                    self.take_in(letter, told)?;
                    left -= 1;
                }
                None if answers.is_empty() => {}
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

impl Driver for Core {
    fn drive(&self, deadline: Option<Deadline>, waiter: &dyn Waiter) {
        self.pass_calls_on();
        let (mut is_following, mut is_hooked) = (false, false);
        while !waiter.is_over() && !deadline.is_some_and(Deadline::is_past) {
            if let Some(leading) = self.lead.try_take().filter(|leading| leading.is_some()) {
                self.lead.terms.fetch_add(1, Ordering::Relaxed);
                // It leads now, and after that may be busy with telling others.
                if std::mem::take(&mut is_following) {
                    self.lead.unfollow();
                }
                self.lead(leading, deadline, &mut || waiter.is_over());
            } else if !is_following {
                is_following = true;
                if !std::mem::replace(&mut is_hooked, true) {
                    waiter.wake(thread::current());
                }
                self.lead.follow();
                self.oust_collector();
            } else {
                let slice = deadline.map_or_else(|| Deadline::after(SLICE), |it| it.within(SLICE));
                thread::park_timeout(left(slice));
            }
        }
        if is_following {
            self.lead.unfollow();
        }
    }
}
