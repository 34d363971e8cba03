//! A channel of which every receiver gets every message.
//!
//! The memory of an array is there once, whoever receives it. A receiver gets what is sent after it came. A sender
//! waits for the slowest receiver when the ring is full, unless the channel is made to
//! [drop the oldest](super::WhenFull::DropOldest): then a receiver that was too slow is told how many messages it
//! has missed, and goes on with the oldest one that is still there. What is dropped is never overwritten under a
//! reader: a received array stays as long as it is held.
//!
//! # Examples
//!
//! ```
//! use crossdock::{Array, channel::broadcast::{Receiver, Sender}};
//!
//! let tx = Sender::<Array<f32>>::create("broadcast-docs", 8)?;
//! let left = Receiver::<Array<f32>>::open("broadcast-docs")?; // in any process
//! let right = Receiver::<Array<f32>>::open("broadcast-docs")?;
//!
//! tx.send(Array::from_slice(&[1.0, 2.0])?)?;
//! assert_eq!(left.recv()?[1], 2.0);
//! assert_eq!(right.recv()?[1], 2.0); // the same memory
//! # Ok::<(), crossdock::Error>(())
//! ```

use super::core::{Core, End, NotReceived, NotSent};
use super::ends::fan_out_ends;
use super::error::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
use super::message::{MessageType, SharedMessage};
use super::options::ChannelOptions;
use super::parcel::{Inbox, Parcel};
use super::{open_within, sending, without_end};
use crate::error::{Error, ErrorKind, Result};
use crossdock_core::layout::{Carrier, Counter};
use crossdock_core::ring::Refused;
use crossdock_core::ring::broadcast::{Broadcast, READERS_MAX, Subscription, Taken};
use crossdock_core::settings::{Mode, WhenFull};
use crossdock_sys::clock::Deadline;
use parking_lot::Mutex;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// The sending end of a broadcast; clone it, or open it again in any process.
pub struct Sender<M: SharedMessage> {
    pub(super) core: Arc<Core>,
    messages: PhantomData<fn(M)>,
}

/// The receiving end of a broadcast: it has a place of its own among the messages.
pub struct Receiver<M: SharedMessage> {
    pub(super) core: Arc<Core>,
    place: Mutex<Subscription>,
    messages: PhantomData<fn() -> M>,
}

fan_out_ends!(Mode::Broadcast, create_broadcast_sender, create_broadcast_receiver);

impl Core {
    fn broadcast(&self) -> Result<&Broadcast<'static>> {
        match &self.map.table.carrier {
            Carrier::Broadcast(ring) => Ok(ring),
            Carrier::Queue(..) | Carrier::Latest(_) => Err(self.not_this_kind()),
        }
    }

    /// Sends a message to all receivers there are.
    pub(super) fn send_to_all(
        &self,
        ring: &Broadcast<'_>,
        parcel: &Parcel<'_>,
    ) -> Result<(), NotSent> {
        if self.members(End::Receiver).have_left() {
            return Err(NotSent::Disconnected);
        }
        let is_dropping = self.settings().when_full == WhenFull::DropOldest;
        let control = self.map.table.control;
        let on_drop = &mut |_: &[u64]| control.ledger.add(Counter::Dropped, 1);
        let mut claim = match ring.claim(self.member.me.party, is_dropping, on_drop) {
            Ok(claim) => claim,
            Err(Refused::Full(_)) => return Err(NotSent::Full),
            Err(Refused::Corrupt(why)) => return Err(NotSent::Failed(self.corrupt(why))),
        };
        if !parcel.arrays.is_empty() {
            ring.arm(&mut claim, parcel.words());
            self.hand_over(&parcel.arrays);
        }
        let _ = ring.publish(claim, parcel.words());
        control.not_empty.notify_all();
        Ok(())
    }

    fn receive_broadcast(
        &self,
        place: &mut Subscription,
        inbox: &mut Inbox,
    ) -> Result<(), NotReceived> {
        self.check_ours().map_err(NotReceived::Failed)?;
        let ring = self.broadcast().map_err(NotReceived::Failed)?;
        let failed = |error| Err(NotReceived::Failed(error));
        let mut has_looked_again = false;
        loop {
            let message = match ring.poll(place) {
                Ok(Some(message)) => message,
                Ok(None) if !self.members(End::Sender).have_left() => {
                    return Err(NotReceived::Empty);
                }
                Ok(None) if has_looked_again => return Err(NotReceived::Disconnected),
                Ok(None) => {
                    // The last sender may have sent just before it left.
                    has_looked_again = true;
                    continue;
                }
                Err(why) => return failed(self.corrupt(why)),
            };
            let words = ring.read(&message);
            if !ring.pin(place, &message) {
                // It was dropped meanwhile.
                ring.unpin(place, &message);
                continue;
            }
            let outcome = self
                .sight(&words, inbox)
                .and_then(|()| inbox.open(|ticket, region| self.adopt_shared(ticket, region)));
            // What can never be received must not come again; what may work later (no descriptor, no address
            // space) does.
            let is_taken = outcome.as_ref().map_or_else(
                |error| matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Stale),
                |()| true,
            );
            let taken = if is_taken { ring.take(place, &message) } else { Taken::Lost };
            ring.unpin(place, &message);
            if taken == (Taken::Mine { is_last: true }) {
                self.map.table.control.not_full.notify();
            }
            // If it was dropped after it had been pinned, it counts as missed, and so it is.
            if taken != Taken::Lost || outcome.is_err() {
                return outcome.map_err(NotReceived::Failed);
            }
            inbox.discard();
        }
    }
}

impl<M: SharedMessage> Receiver<M> {
    pub(super) fn new(core: Arc<Core>) -> Result<Self> {
        let ring = core.broadcast()?;
        // First a member, so that others find it if it dies.
        core.join(End::Receiver);
        let Some(place) = ring.subscribe(core.member.me.party) else {
            core.leave(End::Receiver);
            let text = format!(
                "all {READERS_MAX} places for receivers of broadcast {:?} are taken",
                core.name()
            );
            return Err(Error::new(ErrorKind::TooManyPeers, text).named(core.name()));
        };
        Ok(Self { core, place: Mutex::new(place), messages: PhantomData })
    }

    /// Opens a broadcast that somebody has made, with the same message type.
    ///
    /// # Errors
    ///
    /// As [`Sender::open`], and `TooManyPeers` when it has 60 receivers already.
    pub fn open(name: &str) -> Result<Self> {
        Core::open(name, Mode::Broadcast, &MessageType::of::<M>()).and_then(Self::new)
    }

    /// Another receiver, which gets what is sent from now on.
    ///
    /// # Errors
    ///
    /// `TooManyPeers` when there are 60 already.
    pub fn resubscribe(&self) -> Result<Self> {
        Self::new(Arc::clone(&self.core))
    }

    /// Receives the next message; waits while there is none.
    ///
    /// # Errors
    ///
    /// [`RecvError::Disconnected`] when there is none and every sender has gone or died.
    pub fn recv(&self) -> Result<M, RecvError> {
        self.recv_until(None).map_err(without_end)
    }

    /// Receives the next message if there is one.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`].
    pub fn try_recv(&self) -> Result<M, TryRecvError> {
        let mut inbox = Inbox::default();
        match self.core.receive_broadcast(&mut self.place.lock(), &mut inbox) {
            Ok(()) => self.unpack(&mut inbox).map_err(TryRecvError::Failed),
            Err(NotReceived::Empty) => {
                self.core.note_fruitless_poll();
                Err(TryRecvError::Empty)
            }
            Err(NotReceived::Disconnected) => Err(TryRecvError::Disconnected),
            Err(NotReceived::Failed(error)) => Err(TryRecvError::Failed(error)),
        }
    }

    /// Receives the next message; waits at most `timeout` while there is none.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<M, RecvTimeoutError> {
        self.recv_until(Some(Deadline::after(timeout)))
    }

    fn recv_until(&self, deadline: Option<Deadline>) -> Result<M, RecvTimeoutError> {
        let mut inbox = Inbox::default();
        let receive =
            |inbox: &mut Inbox| self.core.receive_broadcast(&mut self.place.lock(), inbox);
        let attempt = || match receive(&mut inbox) {
            Err(NotReceived::Empty) => None,
            other => Some(other),
        };
        match self.core.wait_for(End::Receiver, deadline, attempt) {
            Some(Ok(())) => self.unpack(&mut inbox).map_err(RecvTimeoutError::Failed),
            Some(Err(NotReceived::Disconnected)) => Err(RecvTimeoutError::Disconnected),
            Some(Err(NotReceived::Failed(error))) => Err(RecvTimeoutError::Failed(error)),
            Some(Err(NotReceived::Empty)) | None => Err(RecvTimeoutError::Timeout),
        }
    }

    pub(super) fn has_message(&self) -> bool {
        self.core
            .broadcast()
            .is_ok_and(|ring| !matches!(ring.poll(&mut self.place.lock()), Ok(None)))
    }

    fn unpack(&self, inbox: &mut Inbox) -> Result<M> {
        M::unpack(inbox).map_err(|error| self.core.within(error))
    }

    /// Messages that were dropped before this receiver could get them, since it was last asked.
    pub fn take_missed(&self) -> u64 {
        self.place.lock().take_lost()
    }

    /// Messages that this receiver has yet to get, at about this moment.
    #[must_use]
    pub fn lag(&self) -> usize {
        self.core.broadcast().map_or(0, |ring| ring.lag(&self.place.lock()))
    }
}

impl<M: SharedMessage> Drop for Receiver<M> {
    fn drop(&mut self) {
        if self.core.check_ours().is_ok()
            && let Ok(ring) = self.core.broadcast()
        {
            ring.unsubscribe(self.place.get_mut(), &mut |_| {});
            self.core.signal(End::Sender).notify_all();
        }
        self.core.leave(End::Receiver);
    }
}
