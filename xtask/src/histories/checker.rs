//! Whether a history could be that of one process after the other: linearizability.
//!
//! A history is linearizable if every call can be given a moment between its invocation and its
//! response such that the answers are those of the calls made one at a time, in that order
//! (M. Herlihy, J. Wing, "Linearizability", TOPLAS 12(3), 1990). The search takes, again and again, a
//! call that no other one has to precede (J. Wing, C. Gong, "Testing and verifying concurrent objects",
//! JPDC 17, 1993), and never looks twice at the same calls taken and the same state reached (G. Lowe,
//! "Testing for linearizability", CCPE 29(4), 2017).
//!
//! A call of a process that was killed in its middle may have happened or not: it has no response, so it
//! can be given a late moment, or none.

use super::object::{Call, outcomes};
use std::collections::HashSet;
use std::fmt::Write;

/// The response of a call that has none.
pub(crate) const NEVER: u64 = u64::MAX;

/// One call in a history.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) worker: usize,
    pub(crate) call: Call,
    /// When it was invoked.
    pub(crate) from: u64,
    /// When it responded, or `NEVER`.
    pub(crate) to: u64,
    /// The answer, if it responded.
    pub(crate) reply: u64,
}

impl Operation {
    pub(crate) fn is_pending(&self) -> bool {
        self.to == NEVER
    }

    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.from < other.to && other.from < self.to
    }
}

/// The calls taken, one bit each, and the state that they led to.
type Place = (u32, u64);

/// The search, with memory that it keeps from one history to the next.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    seen: HashSet<Place>,
    open: Vec<Place>,
    /// The most calls that the last search could take.
    deepest: u32,
}

impl Checker {
    /// Whether a history of at most 32 operations of an object that begins in state `first` is
    /// linearizable.
    pub(crate) fn is_linearizable(&mut self, history: &[Operation], first: u64) -> bool {
        assert!(history.len() <= u32::BITS as usize, "a history has too many operations");
        let bits = history.iter().enumerate();
        let responded =
            bits.filter(|(_, it)| !it.is_pending()).fold(0, |all, (bit, _)| all | 1 << bit);
        self.seen.clear();
        self.open.clear();
        self.deepest = 0;
        self.open.push((0, first));
        while let Some((taken, state)) = self.open.pop() {
            if taken.count_ones() >= self.deepest.count_ones() {
                self.deepest = taken;
            }
            if taken & responded == responded {
                return true;
            }
            self.open_next(history, taken, state);
        }
        false
    }

    /// Notes every place to which one more call leads.
    fn open_next(&mut self, history: &[Operation], taken: u32, state: u64) {
        let left = |bit: usize| taken >> bit & 1 == 0;
        let rest = || history.iter().enumerate().filter(|(bit, _)| left(*bit));
        // What was invoked after some call had responded cannot come before that call.
        let first_response = rest().map(|(_, it)| it.to).min().unwrap_or(NEVER);
        for (bit, operation) in rest().filter(|(_, it)| it.from < first_response) {
            for (next, reply) in
                outcomes(state, operation.worker, operation.call).into_iter().flatten()
            {
                let place = (taken | 1 << bit, next);
                let is_possible = operation.is_pending() || reply == operation.reply;
                if is_possible && self.seen.insert(place) {
                    self.open.push(place);
                }
            }
        }
    }

    /// Places that the last search has looked at or noted.
    pub(crate) fn places(&self) -> usize {
        self.seen.len() + 1
    }

    /// The history of the last search for people; `?` stands before what found no moment.
    pub(crate) fn describe(&self, history: &[Operation]) -> String {
        let mut order: Vec<_> = history.iter().enumerate().collect();
        order.sort_by_key(|(_, it)| it.from);
        let mut text = "    worker  invoked  responded  call".to_owned();
        for (bit, it) in order {
            let mark = if self.deepest >> bit & 1 == 0 { '?' } else { ' ' };
            let (to, reply) = match it.to {
                NEVER => ("-".to_owned(), None),
                to => (to.to_string(), Some(it.reply)),
            };
            let call = it.call.to_text(reply);
            // Writing to a string cannot fail.
            let _ = write!(text, "\n  {mark} {:6}  {:7}  {to:>9}  {call}", it.worker, it.from);
        }
        text
    }
}

/// Operations during which another one was going on.
pub(crate) fn overlapping(history: &[Operation]) -> usize {
    let is_met = |it: &&Operation| {
        history.iter().any(|other| !std::ptr::eq(*it, other) && it.overlaps(other))
    };
    history.iter().filter(is_met).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Operations from (worker, from, to, call, reply).
    fn check(history: &[(usize, u64, u64, Call, u64)]) -> bool {
        Checker::default().is_linearizable(&operations(history), 0)
    }

    fn operations(history: &[(usize, u64, u64, Call, u64)]) -> Vec<Operation> {
        let operation =
            |&(worker, from, to, call, reply)| Operation { worker, call, from, to, reply };
        history.iter().map(operation).collect()
    }

    #[test]
    fn a_history_without_operations_is_linearizable() {
        assert!(check(&[]));
    }

    #[test]
    fn calls_that_overlap_may_come_in_any_order() {
        use Call::{Pop, Push};
        let overlap = [(0, 1, 4, Push(7), 1), (1, 2, 3, Pop, 7)];
        assert!(check(&overlap));
        let empty = [(0, 1, 4, Push(7), 1), (1, 2, 3, Pop, 0)];
        assert!(check(&empty));
        // The pop was over before the push began.
        let early = [(1, 1, 2, Pop, 7), (0, 3, 4, Push(7), 1)];
        assert!(!check(&early));
    }

    #[test]
    fn a_fifo_that_pops_the_youngest_is_refused() {
        use Call::{Pop, Push};
        let pushes = [(0, 1, 2, Push(7), 1), (0, 3, 4, Push(8), 1)];
        assert!(check(&[pushes[0], pushes[1], (1, 5, 6, Pop, 7)]));
        assert!(!check(&[pushes[0], pushes[1], (1, 5, 6, Pop, 8)]));
        // If the pushes overlap, nobody can say which was first.
        assert!(check(&[(0, 1, 3, Push(7), 1), (2, 2, 4, Push(8), 1), (1, 5, 6, Pop, 8)]));
    }

    #[test]
    fn a_lost_push_is_refused() {
        assert!(!check(&[(0, 1, 2, Call::Push(7), 1), (1, 3, 4, Call::Pop, 0)]));
    }

    #[test]
    fn a_torn_read_and_a_stale_read_are_refused() {
        use Call::{Read, Write};
        let write = (0, 1, 4, Write(3), 0);
        assert!(check(&[write, (1, 2, 3, Read, 3 | 3 << 32)]));
        assert!(check(&[write, (1, 2, 3, Read, 0)]));
        assert!(!check(&[write, (1, 2, 3, Read, 3)]));
        assert!(!check(&[write, (1, 5, 6, Read, 0)]));
    }

    #[test]
    fn reads_of_new_then_old_are_refused() {
        let write = (0, 1, 9, Call::Write(3), 0);
        let new = (1, 2, 3, Call::Read, 3 | 3 << 32);
        assert!(!check(&[write, new, (2, 4, 5, Call::Read, 0)]));
    }

    #[test]
    fn two_lost_updates_are_refused() {
        use Call::Add;
        assert!(check(&[(0, 1, 3, Add(5), 0), (1, 2, 4, Add(6), 5)]));
        assert!(!check(&[(0, 1, 3, Add(5), 0), (1, 2, 4, Add(6), 0)]));
    }

    #[test]
    fn the_call_of_a_dead_process_may_have_happened_or_not() {
        use Call::{Pop, Push};
        let killed = (0, 1, NEVER, Push(7), 0);
        assert!(check(&[killed, (1, 5, 6, Pop, 7)]));
        assert!(check(&[killed, (1, 5, 6, Pop, 0)]));
        assert!(check(&[killed, (1, 5, 6, Pop, 0), (1, 7, 8, Pop, 7)]));
        // But not twice, and not before it was invoked.
        assert!(!check(&[killed, (1, 5, 6, Pop, 7), (1, 7, 8, Pop, 7)]));
        assert!(!check(&[(1, 1, 2, Pop, 7), (0, 3, NEVER, Push(7), 0)]));
    }

    #[test]
    fn a_permit_of_a_dead_process_comes_back_after_its_death_only() {
        use Call::{Abandon, Acquire};
        let held = [(0, 1, 2, Acquire, 1), (1, 3, 4, Acquire, 2)];
        let gone = (0, 5, NEVER, Abandon, 0);
        assert!(check(&[held[0], held[1], gone, (1, 6, 7, Acquire, 1)]));
        assert!(check(&[held[0], held[1], gone, (1, 6, 7, Acquire, 0)]));
        assert!(!check(&[held[0], held[1], gone, (1, 6, 7, Acquire, 2)]));
        assert!(!check(&[held[0], held[1], (1, 6, 7, Acquire, 1)]));
        assert!(!check(&[held[0], held[1], (2, 5, 6, Acquire, 1), (0, 7, NEVER, Abandon, 0)]));
    }

    #[test]
    fn an_acquire_of_a_dead_process_may_have_taken_either_permit() {
        use Call::Acquire;
        let killed = (0, 1, NEVER, Acquire, 0);
        for first in [1, 2] {
            let other = [killed, (1, 2, 3, Acquire, first), (1, 4, 5, Acquire, 0)];
            assert!(check(&other));
        }
    }

    #[test]
    fn an_event_that_stays_set_and_a_second_once_are_refused() {
        use Call::{Clear, IsSet, Run, Set};
        assert!(!check(&[(0, 1, 2, Set, 0), (0, 3, 4, Clear, 0), (1, 5, 6, IsSet, 1)]));
        assert!(check(&[(0, 1, 3, Run, 1), (1, 2, 4, Run, 0)]));
        assert!(!check(&[(0, 1, 3, Run, 1), (1, 2, 4, Run, 1)]));
        assert!(!check(&[(0, 1, 3, Run, 0), (1, 2, 4, Run, 0)]));
    }

    #[test]
    fn a_description_marks_what_found_no_moment() {
        let history = operations(&[(0, 1, 2, Call::Push(7), 1), (1, 3, 4, Call::Pop, 0)]);
        let mut checker = Checker::default();
        assert!(!checker.is_linearizable(&history, 0));
        let text = checker.describe(&history);
        assert!(text.lines().nth(1).is_some_and(|line| line.ends_with("push(7) -> true")));
        assert!(text.lines().nth(2).is_some_and(|line| line.starts_with("  ?")), "{text}");
    }

    #[test]
    fn overlaps_are_counted() {
        let call = Call::Pop;
        let history = [(0, 1, 4, call, 0), (1, 2, 3, call, 0), (2, 5, 6, call, 0)];
        assert_eq!(overlapping(&operations(&history)), 2);
    }

    #[test]
    fn calls_that_all_overlap_are_checked_in_few_places() {
        let history: Vec<_> = (0..24).map(|n| (n, 1, 9, Call::Add(0), 0)).collect();
        let mut checker = Checker::default();
        assert!(checker.is_linearizable(&operations(&history), 0));
        assert!(checker.places() <= 24 * 25 / 2 + 1, "{}", checker.places());
    }
}
