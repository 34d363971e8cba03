//! Waiting for the other side: first looking again and again, then asleep; and finding out that it has died.

use super::core::{Core, End};
use crate::trace;
use crossdock_core::party::PartySet;
use crossdock_core::signal::SLICE;
use crossdock_sys::clock::{Deadline, now_ns};
use crossdock_sys::cpu::online_cpus;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::yield_now;

/// Pauses of a processor that a process waits awake, about 2 microseconds.
pub(super) const PAUSES_MAX: u32 = 64;
/// The same where the other side has last run on this very processor, which it does not get before this one gives it away.
const PAUSES_MIN: u32 = 4;
/// A processor that comes back later than this has been used by somebody else.
const SWITCHED_NS: u64 = 700;
/// The longest that one waits between two looks.
const PAUSE_MAX: u32 = 32;
/// Looks after these, with the processor left to others in between. One that sleeps costs itself, and whoever
/// wakes it, more than that.
const YIELDS_MAX: u32 = 32;
/// A processor that comes back later than this has been used by somebody who had it for a whole slice of its scheduler.
const CROWDED_NS: u64 = 50_000;
/// Then nobody gives a processor away for so many times as long: who sleeps is woken in front of those who only compute.
const CROWDED_TIMES: u64 = 100;

/// Until when the processors are so crowded that one who gives his away does not soon get it back.
static CROWDED_UNTIL_NS: AtomicU64 = AtomicU64::new(0);

/// Fruitless polls after which a poller looks at the clock, to see whether to look for the dead.
const POLLS_PER_LOOK: u32 = 64;

/// How often one looks who waits awake. To look is to take the memory looked at from whoever is about to
/// write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// All the time: one thing is awaited, and as soon as can be.
    Eager,
    /// Not at once, and ever less often: more than one thing comes, and faster if the other side is left alone.
    Patient,
}

impl Core {
    /// Tries `attempt` until it has an answer or the time is over: first awake, then asleep in
    /// slices, after each of which the other side is asked whether it lives.
    pub(crate) fn wait_for<R>(
        &self,
        end: End,
        deadline: Option<Deadline>,
        attempt: impl FnMut() -> Option<R>,
    ) -> Option<R> {
        // Who found no room has sent faster than others receive.
        let pace = if end == End::Sender { Pace::Patient } else { Pace::Eager };
        self.wait_at_pace(end, pace, deadline, attempt)
    }

    /// As [`wait_for`](Self::wait_for), at this pace.
    pub(super) fn wait_at_pace<R>(
        &self,
        end: End,
        pace: Pace,
        deadline: Option<Deadline>,
        mut attempt: impl FnMut() -> Option<R>,
    ) -> Option<R> {
        loop {
            if let Some(answer) = self.attempt_awake(pace, &mut attempt) {
                return Some(answer);
            }
            let key = self.signal(end).announce();
            self.map.table.settle();
            if let Some(answer) = attempt() {
                return Some(answer);
            }
            // Not only after a long sleep: others may keep waking this one, or its time be short.
            self.look_for_dead_now_and_then();
            if deadline.is_some_and(Deadline::is_past) {
                // The dead may have been in the way.
                return attempt();
            }
            self.signal(end).sleep(key, deadline);
        }
    }

    /// For pollers, who never sleep: now and then asks whether the other side lives.
    pub(crate) fn note_fruitless_poll(&self) {
        let polls = self.polls.load(Ordering::Relaxed).wrapping_add(1);
        self.polls.store(polls, Ordering::Relaxed);
        if !polls.is_multiple_of(POLLS_PER_LOOK) {
            return;
        }
        self.look_for_dead_now_and_then();
    }

    /// Looks for the dead if the last look in this process is a slice ago.
    pub(crate) fn look_for_dead_now_and_then(&self) {
        let now = now_ns();
        let before = self.looked_ns.load(Ordering::Relaxed);
        if u128::from(now.saturating_sub(before)) >= SLICE.as_nanos() {
            self.looked_ns.store(now, Ordering::Relaxed);
            self.look_for_dead();
        }
    }

    /// Reaps the members, and the parties that are in the way, if they have died.
    #[cold]
    pub(super) fn look_for_dead(&self) {
        let control = self.map.table.control;
        let mut parties: PartySet =
            control.senders.iter().chain(control.receivers.iter()).collect();
        self.map.table.for_each_in_the_way(|party| parties.insert(party));
        let dead: PartySet = parties.iter().filter(|party| self.member.is_dead(*party)).collect();
        if !dead.is_empty() {
            trace::wait_held_up(self.name(), dead.iter().count());
            self.member.reap(&dead);
        }
    }
}

impl Core {
    fn attempt_awake<R>(&self, pace: Pace, attempt: &mut impl FnMut() -> Option<R>) -> Option<R> {
        if online_cpus() > 1 {
            let is_patient = pace == Pace::Patient;
            let pauses_max =
                if is_patient { PAUSES_MAX } else { self.pauses_max.load(Ordering::Relaxed) };
            let mut pause = if is_patient { PAUSE_MAX / 2 } else { 1 };
            let mut paused = 0;
            while paused < pauses_max {
                (0..pause).for_each(|_| spin_loop());
                if let Some(answer) = attempt() {
                    return Some(answer);
                }
                paused += pause;
                if is_patient {
                    pause = PAUSE_MAX;
                }
            }
        }
        match pace {
            Pace::Eager => self.attempt_between(attempt),
            // Whoever has the processor meanwhile may be the other side, and do much at once.
            Pace::Patient => (0..YIELDS_MAX).find_map(|_| {
                yield_now();
                attempt()
            }),
        }
    }

    /// Gives the processor away between two looks.
    fn attempt_between<R>(&self, attempt: &mut impl FnMut() -> Option<R>) -> Option<R> {
        let mut before_ns = now_ns();
        if before_ns < CROWDED_UNTIL_NS.load(Ordering::Relaxed) {
            return None;
        }
        for _ in 0..YIELDS_MAX {
            yield_now();
            let answer = attempt();
            let after_ns = now_ns();
            let lost_ns = after_ns - before_ns;
            if lost_ns > CROWDED_NS {
                CROWDED_UNTIL_NS.store(after_ns + CROWDED_TIMES * lost_ns, Ordering::Relaxed);
            }
            if answer.is_some() {
                let is_beside = lost_ns > SWITCHED_NS;
                let pauses_max = if is_beside { PAUSES_MIN } else { PAUSES_MAX };
                self.pauses_max.store(pauses_max, Ordering::Relaxed);
            }
            if answer.is_some() || lost_ns > CROWDED_NS {
                return answer;
            }
            before_ns = after_ns;
        }
        None
    }
}
