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
use super::{open_within, receiving, sending, without_end};
use crate::error::{ErrorKind, Result};
use crossdock_core::layout::{Carrier, Counter};
use crossdock_core::ring::broadcast::{Broadcast, Subscription, Taken};
use crossdock_core::ring::{Next, Refused};
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
    pub(super) place: Arc<Place>,
    messages: PhantomData<fn() -> M>,
}

fan_out_ends!(
    Mode::Broadcast,
    "the next message",
    create_broadcast_sender,
    create_broadcast_receiver
);

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
        let published = ring.publish(claim, parcel.words());
        control.not_empty.notify_all();
        if published.is_awaited {
            control.not_full.notify_all();
        }
        Ok(())
    }

    /// Wakes a sender if a reader who looked for messages has made room.
    #[inline]
    fn note_freed(&self, place: &mut Subscription) {
        if place.take_freed() {
            self.map.table.control.not_full.notify_all();
        }
    }

    /// Whether a receive would have an answer now: the mirror of [`receive_broadcast`](Self::receive_broadcast).
    fn has_broadcast(&self, place: &mut Subscription) -> bool {
        let next = self.broadcast().map(|ring| ring.next(place));
        self.note_freed(place);
        match next {
            Ok(Ok(Next::Ready(_)) | Err(_)) | Err(_) => true,
            Ok(Ok(Next::Pending(_))) => false,
            Ok(Ok(Next::Empty)) => self.members(End::Sender).have_left(),
        }
    }

    fn receive_broadcast(
        &self,
        place: &mut Subscription,
        inbox: &mut Inbox,
    ) -> Result<(), NotReceived> {
        let ring = self.broadcast().map_err(NotReceived::Failed)?;
        let failed = |error| Err(NotReceived::Failed(error));
        loop {
            let polled = ring.poll(place);
            self.note_freed(place);
            let message = match polled {
                Ok(Some(message)) => message,
                Ok(None) if !self.members(End::Sender).have_left() => {
                    return Err(NotReceived::Empty);
                }
                Ok(None) => match ring.next(place) {
                    // The last sender may have sent just before it left.
                    Ok(Next::Ready(_)) => continue,
                    Ok(Next::Empty) => return Err(NotReceived::Disconnected),
                    // There may be a message behind somebody who is not done, and may be dead.
                    Ok(Next::Pending(_)) => return Err(NotReceived::Empty),
                    Err(why) => return failed(self.corrupt(why)),
                },
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
                .and_then(|()| inbox.open(|ticket, region| self.adopt_shared(ticket, &region)));
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

/// Where a receiver is among the messages, also for those who wait on its behalf; `None` when it has gone.
#[derive(Debug)]
pub(super) struct Place(Mutex<Option<Subscription>>);

impl Place {
    /// Calls `look` with the place, unless that has gone or is another process's, in which the lock may be held
    /// for ever: a forked child has no thread that would release it.
    fn with<R>(&self, core: &Core, look: impl FnOnce(&mut Subscription) -> R) -> Result<Option<R>> {
        core.check_ours()?;
        Ok(self.0.lock().as_mut().map(look))
    }

    /// Whether a receive would have an answer now.
    pub(super) fn is_ready(&self, core: &Core) -> bool {
        let is_ready = self.with(core, |place| core.has_broadcast(place));
        // An error is an answer as well.
        is_ready.map_or(true, |is_ready| is_ready.unwrap_or(true))
    }
}

impl<M: SharedMessage> Receiver<M> {
    pub(super) fn new(core: Arc<Core>) -> Result<Self> {
        let ring = core.broadcast()?;
        let place = receiving::join(&core, || ring.subscribe(core.member.me.party))?;
        let place = Arc::new(Place(Mutex::new(Some(place))));
        Ok(Self { core, place, messages: PhantomData })
    }

    /// Another receiver, which gets what is sent from now on.
    ///
    /// # Errors
    ///
    /// `TooManyPeers` when there are 60 already.
    pub fn resubscribe(&self) -> Result<Self> {
        Self::new(Arc::clone(&self.core))
    }

    fn receive(&self, inbox: &mut Inbox) -> Result<(), NotReceived> {
        let receive = |place: &mut Subscription| self.core.receive_broadcast(place, inbox);
        let received = self.place.with(&self.core, receive).map_err(NotReceived::Failed)?;
        received.unwrap_or(Err(NotReceived::Disconnected))
    }

    /// Messages that were dropped before this receiver could get them, since it was last asked.
    pub fn take_missed(&self) -> u64 {
        let missed = self.place.with(&self.core, Subscription::take_lost);
        missed.ok().flatten().unwrap_or_default()
    }

    /// Messages that this receiver has yet to get, at about this moment.
    #[must_use]
    pub fn lag(&self) -> usize {
        let lag = |ring: &Broadcast<'_>| self.place.with(&self.core, |place| ring.lag(place));
        self.core.broadcast().and_then(lag).ok().flatten().unwrap_or_default()
    }
}

impl<M: SharedMessage> Drop for Receiver<M> {
    fn drop(&mut self) {
        if self.core.check_ours().is_ok()
            && let Ok(ring) = self.core.broadcast()
            && let Some(place) = self.place.0.lock().take()
        {
            ring.unsubscribe(&place, &mut |_| {});
            self.core.signal(End::Sender).notify_all();
        }
        self.core.leave(End::Receiver);
    }
}
