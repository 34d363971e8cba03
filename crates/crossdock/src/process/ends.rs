//! The two ends of a queue in one handle, and who waits for whom.
//!
//! Every handle may put and get. So a handle counts as a sender and as a receiver, but not while it waits: who waits for a
//! value is not the one to put it. A short wait changes nothing; then the handle *steps back* from the other end until its
//! wait is over, and before it takes what it was waiting for it is there again. So all who wait see it when nobody is left who
//! does not wait, and none of them sees it while somebody has a value and may make others of it.

use crate::channel::core::{Core, End};
use crate::channel::{
    Message, Outlook, Receiver, RecvTimeoutError, SendTimeoutError, Sender, TryRecvError,
    TrySendError, Waiting,
};
use crossdock_core::signal::SLICE;
use crossdock_sys::clock::Deadline;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Both ends of a queue.
pub(super) struct Ends<M: Message> {
    core: Arc<Core>,
    sender: Sender<M>,
    receiver: Receiver<M>,
    /// As a sender, as a receiver.
    seats: Mutex<[Seat; 2]>,
    is_any_away: AtomicBool,
}

/// How a handle counts at one end.
#[derive(Clone, Copy, Default)]
struct Seat {
    /// Threads that wait at the other end.
    waiting: usize,
    /// It has stepped back.
    is_away: bool,
}

impl<M: Message> Ends<M> {
    pub(super) fn new(sender: Sender<M>) -> Self {
        let core = Arc::clone(sender.core());
        core.count_user();
        let receiver = Receiver::new(Arc::clone(&core));
        Self {
            core,
            sender,
            receiver,
            seats: Mutex::default(),
            is_any_away: AtomicBool::new(false),
        }
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(super) fn receiver(&self) -> &Receiver<M> {
        &self.receiver
    }

    fn change(&self, end: End, change: impl FnOnce(&mut Seat)) {
        let mut seats = self.seats.lock();
        let seat = &mut seats[end as usize];
        let was_away = seat.is_away;
        change(seat);
        match (was_away, seat.is_away) {
            (false, true) => self.core.leave(end),
            (true, false) => self.core.join(end),
            _ => {}
        }
        let is_any_away = seats.iter().any(|seat| seat.is_away);
        self.is_any_away.store(is_any_away, Ordering::Relaxed);
    }

    fn step_back(&self, end: End) {
        self.change(end, |seat| *seat = Seat { waiting: seat.waiting + 1, is_away: true });
    }

    fn step_forward(&self, end: End) {
        self.change(end, |seat| {
            seat.waiting -= 1;
            seat.is_away = seat.waiting > 0;
        });
    }

    /// It is to be counted at an end from which it may have stepped back for good.
    fn be_present(&self, end: End) {
        if self.is_any_away.load(Ordering::Relaxed) {
            self.change(end, |seat| seat.is_away = seat.waiting > 0);
        }
    }

    /// Waits until there is something to do at `end`, or nobody is left who could make it so; `None` when the time is over.
    fn look_out(&self, end: End, deadline: Option<Deadline>) -> Option<Outlook> {
        let other = if end == End::Sender { End::Receiver } else { End::Sender };
        self.step_back(other);
        let outlook = self.core.wait_for(end, deadline, || self.core.outlook(end));
        match outlook {
            // It waits no more, but it is nobody to wait for.
            Some(Outlook::Over) => self.change(other, |seat| seat.waiting -= 1),
            Some(Outlook::Ready) | None => self.step_forward(other),
        }
        outlook
    }

    /// What whoever wants to receive may hope for now, if this handle puts nothing.
    pub(super) fn outlook(&self) -> Option<Outlook> {
        let mine = usize::from(!self.seats.lock()[End::Sender as usize].is_away);
        self.core.outlook_beside(mine)
    }

    /// What `attempt` gets; waits while there is nothing.
    pub(super) fn receive<R>(
        &self,
        deadline: Option<Deadline>,
        mut attempt: impl FnMut(&Receiver<M>) -> Result<R, TryRecvError>,
    ) -> Result<R, RecvTimeoutError> {
        self.be_present(End::Receiver);
        let mut try_now = || match attempt(&self.receiver) {
            Ok(received) => Some(Ok(received)),
            Err(TryRecvError::Failed(error)) => Some(Err(RecvTimeoutError::Failed(error))),
            // Nobody is a sender: not even this handle, which has stepped back.
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
        };
        loop {
            if let Some(answer) = try_now() {
                return answer;
            }
            if self.outlook() == Some(Outlook::Over) {
                return Err(RecvTimeoutError::Disconnected);
            }
            if let Some(answer) = self.core.wait_for(End::Receiver, slice(deadline), &mut try_now) {
                return answer;
            }
            match self.look_out(End::Receiver, deadline) {
                Some(Outlook::Ready) => {}
                Some(Outlook::Over) => return Err(RecvTimeoutError::Disconnected),
                None => return Err(RecvTimeoutError::Timeout),
            }
        }
    }

    /// What `attempt` gets, if there is something now.
    pub(super) fn try_receive<R>(
        &self,
        attempt: impl FnOnce(&Receiver<M>) -> Result<R, TryRecvError>,
    ) -> Result<R, TryRecvError> {
        self.be_present(End::Receiver);
        match attempt(&self.receiver) {
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => match self.outlook() {
                Some(Outlook::Over) => Err(TryRecvError::Disconnected),
                _ => Err(TryRecvError::Empty),
            },
            other => other,
        }
    }

    /// Sends a message; waits while there is no room.
    pub(super) fn send(
        &self,
        message: M,
        deadline: Option<Deadline>,
    ) -> Result<(), SendTimeoutError<M>> {
        self.be_present(End::Sender);
        let mut unsent = Some(message);
        loop {
            let mut try_now = || match self.sender.try_send(unsent.take()?) {
                Ok(()) => Some(Ok(())),
                Err(TrySendError::Failed(message, error)) => {
                    Some(Err(SendTimeoutError::Failed(message, error)))
                }
                Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) => {
                    unsent = Some(message);
                    None
                }
            };
            let answer =
                try_now().or_else(|| self.core.wait_for(End::Sender, slice(deadline), try_now));
            if let Some(answer) = answer {
                return answer;
            }
            let outlook = self.look_out(End::Sender, deadline);
            match (outlook, unsent.take()) {
                (Some(Outlook::Ready), message) => unsent = message,
                (Some(Outlook::Over), Some(message)) => {
                    return Err(SendTimeoutError::Disconnected(message));
                }
                (None, Some(message)) => return Err(SendTimeoutError::Timeout(message)),
                (_, None) => unreachable!("a message that was not sent has come back"),
            }
        }
    }

    /// Sends a message if there is room.
    pub(super) fn try_send(&self, message: M) -> Result<(), TrySendError<M>> {
        self.be_present(End::Sender);
        self.sender.try_send(message)
    }

    /// Does something that may take a while, in which this handle gets nothing.
    pub(super) fn without_getting<R>(&self, act: impl FnOnce() -> R) -> R {
        self.step_back(End::Receiver);
        let done = act();
        self.step_forward(End::Receiver);
        done
    }
}

/// A short wait, within a longer one.
fn slice(deadline: Option<Deadline>) -> Option<Deadline> {
    Some(deadline.map_or_else(|| Deadline::after(SLICE), |deadline| deadline.within(SLICE)))
}

impl<M: Message> Drop for Ends<M> {
    fn drop(&mut self) {
        // Each end leaves once more, as every handle does.
        for end in [End::Sender, End::Receiver] {
            self.change(end, |seat| seat.is_away = false);
        }
    }
}

/// Another handle.
impl<M: Message> Clone for Ends<M> {
    fn clone(&self) -> Self {
        Self::new(Sender::new(Arc::clone(&self.core)))
    }
}
