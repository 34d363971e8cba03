//! The queues of `histories`: channels of tiny arrays, used for one episode after the other.
//!
//! Judge and workers have all of them open all the time, for a channel has a name, a file and a number in
//! the table of parties, and is not made in a moment. After each round the judge takes out what is left;
//! that belongs to the history, too, so that whatever was lost or doubled is found there at the latest.
//!
//! # What "none" and "full" say
//!
//! A sender has its place in the queue before its message can be received, and a receiver is not done with
//! its place when the message has been taken. Meanwhile a receiver can find nothing there, though another
//! sender, who is further behind, has been acknowledged already (D. Vyukov's queue has the same property).
//! So an answer "none" counts only if nobody who sent or received something, or who was killed, was at it
//! at the same time. A sender that is killed with its place keeps it until it is reaped: so an answer
//! "full" counts only if no sender that was killed was at it at the same time. All other answers count as
//! they are.

use super::WORKERS;
use super::checker::Operation;
use super::object::{Call, QUEUE_CAPACITY_MAX, empty_queue};
use super::table::Episode;
use crate::campaign::Violation;
use crossdock::channel::{
    Receiver, RecvTimeoutError, SendTimeoutError, Sender, TryRecvError, TrySendError,
};
use crossdock::{Array, Error};
use std::time::Duration;

/// Queues that judge and workers share, and cells: so many episodes of a round can be about one.
pub(crate) const POOL: usize = 16;
/// The judge in a history.
pub(crate) const JUDGE: usize = WORKERS;

/// Both ends of a queue.
#[derive(Debug)]
pub(crate) struct Queue {
    sender: Sender<Array<u64>>,
    receiver: Receiver<Array<u64>>,
}

fn name(index: usize) -> String {
    format!("queue-{index}")
}

fn capacity(index: usize) -> usize {
    1 + index % QUEUE_CAPACITY_MAX
}

impl Queue {
    /// Makes all queues.
    pub(crate) fn create_all() -> Result<Vec<Self>, Error> {
        let create = |index| {
            let sender = Sender::create(&name(index), capacity(index))?;
            Ok(Self { sender, receiver: Receiver::open(&name(index))? })
        };
        (0..POOL).map(create).collect()
    }

    /// Opens all queues.
    pub(crate) fn open_all() -> Result<Vec<Self>, Error> {
        let open = |index| {
            let sender = Sender::open(&name(index))?;
            Ok(Self { sender, receiver: Receiver::open(&name(index))? })
        };
        (0..POOL).map(open).collect()
    }

    /// Sends an item; waits for room if there is a limit. Whether there was room.
    pub(crate) fn send(&self, item: u64, limit: Option<Duration>) -> Result<bool, Violation> {
        let message = Array::from_slice(&[item])?;
        let failed = |error: Error| Violation(format!("cannot send: {error:?}"));
        match limit {
            Some(limit) => match self.sender.send_timeout(message, limit) {
                Ok(()) => Ok(true),
                Err(SendTimeoutError::Timeout(_)) => Ok(false),
                Err(error) => Err(failed(error.into())),
            },
            None => match self.sender.try_send(message) {
                Ok(()) => Ok(true),
                Err(TrySendError::Full(_)) => Ok(false),
                Err(error) => Err(failed(error.into())),
            },
        }
    }

    /// Receives an item, 0 for none; waits for one if there is a limit.
    pub(crate) fn receive(&self, limit: Option<Duration>) -> Result<u64, Violation> {
        let failed = |error: Error| Violation(format!("cannot receive: {error:?}"));
        let found = match limit {
            Some(limit) => match self.receiver.recv_timeout(limit) {
                Err(RecvTimeoutError::Timeout) => return Ok(0),
                found => found.map_err(|error| failed(error.into()))?,
            },
            None => match self.receiver.try_recv() {
                Err(TryRecvError::Empty) => return Ok(0),
                found => found.map_err(|error| failed(error.into()))?,
            },
        };
        match found[..] {
            [item] if item != 0 => Ok(item),
            _ => Err(Violation(format!("a message of {:?}, which nobody has sent", &found[..]))),
        }
    }
}

/// The state in which a queue begins.
pub(crate) fn first_state(index: usize) -> u64 {
    empty_queue(capacity(index))
}

/// Takes out what the workers have left, up to the answer that nothing is left: calls of the judge, who is
/// alone now.
pub(crate) fn drain(queue: &Queue, episode: &Episode) -> Result<Vec<Operation>, Violation> {
    let mut calls = Vec::new();
    loop {
        let from = episode.tick();
        let reply = queue.receive(None)?;
        let to = episode.tick();
        calls.push(Operation { worker: JUDGE, call: Call::Receive, from, to, reply });
        if reply == 0 || calls.len() > QUEUE_CAPACITY_MAX {
            return Ok(calls);
        }
    }
}

/// What of a history can be held against a queue: what the workers noted, but for answers that say nothing,
/// and all that the judge did afterwards.
pub(crate) fn evidence(noted: &[Operation], drained: &[Operation]) -> Vec<Operation> {
    let noted = noted.iter().filter(|it| counts(it, noted));
    noted.chain(drained).copied().collect()
}

fn counts(it: &Operation, history: &[Operation]) -> bool {
    let mut at_once =
        history.iter().filter(|other| other.worker != it.worker && it.overlaps(other));
    let is_send = |other: &Operation| matches!(other.call, Call::Send(_));
    match (it.call, it.reply) {
        _ if it.is_pending() => true,
        (Call::Receive, 0) => !at_once.any(|other| other.is_pending() || other.reply != 0),
        (Call::Send(_), 0) => !at_once.any(|other| other.is_pending() && is_send(other)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::checker::{Checker, NEVER};
    use super::*;

    /// Whether a queue of this capacity may behave so; operations from (worker, from, to, call, reply).
    fn check(capacity: usize, history: &[(usize, u64, u64, Call, u64)]) -> bool {
        let operation =
            |&(worker, from, to, call, reply)| Operation { worker, call, from, to, reply };
        let history: Vec<_> = history.iter().map(operation).collect();
        let (drained, noted): (Vec<_>, Vec<_>) =
            history.into_iter().partition(|it| it.worker == JUDGE);
        Checker::default().is_linearizable(&evidence(&noted, &drained), empty_queue(capacity))
    }

    #[test]
    fn a_queue_that_forgets_doubles_or_overtakes_is_refused() {
        use Call::{Receive, Send};
        let sends = [(0, 1, 2, Send(7), 1), (0, 3, 4, Send(8), 1)];
        assert!(check(2, &[sends[0], sends[1], (1, 5, 6, Receive, 7), (1, 7, 8, Receive, 8)]));
        assert!(!check(2, &[sends[0], sends[1], (1, 5, 6, Receive, 8)]));
        assert!(!check(2, &[sends[0], (1, 5, 6, Receive, 7), (1, 7, 8, Receive, 7)]));
        assert!(!check(2, &[sends[0], (1, 5, 6, Receive, 0)]));
        assert!(!check(1, &sends));
    }

    #[test]
    fn none_says_nothing_while_somebody_is_at_work_and_something_otherwise() {
        use Call::{Receive, Send};
        // The first sender has the place before the second one's.
        let both = [(0, 1, 8, Send(7), 1), (1, 2, 3, Send(8), 1), (2, 4, 5, Receive, 0)];
        assert!(check(2, &both));
        let alone = [(0, 1, 3, Send(7), 1), (1, 2, 3, Send(8), 1), (2, 4, 5, Receive, 0)];
        assert!(!check(2, &alone));
        // Who finds nothing is not in anybody's way.
        let idle = [(0, 1, 2, Send(7), 1), (1, 3, 6, Receive, 0), (2, 4, 5, Receive, 0)];
        assert!(!check(2, &idle));
    }

    #[test]
    fn a_dead_sender_keeps_its_place_until_its_message_turns_out_to_be_none() {
        use Call::{Receive, Send};
        let killed = (0, 1, NEVER, Send(7), 0);
        let full = [killed, (1, 2, 3, Send(8), 0)];
        assert!(check(1, &[full[0], full[1], (JUDGE, 4, 5, Receive, 0)]));
        assert!(check(1, &[full[0], full[1], (JUDGE, 4, 5, Receive, 7)]));
        assert!(!check(1, &[(0, 1, 4, Send(7), 1), full[1], (JUDGE, 5, 6, Receive, 0)]));
        assert!(!check(1, &[(1, 2, 3, Send(8), 0), (JUDGE, 4, 5, Receive, 0)]));
    }
}
