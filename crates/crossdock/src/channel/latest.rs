//! A cell that keeps the newest message: for a state, a configuration, a camera image of which only the last one
//! counts.
//!
//! A receiver gets the newest complete message at any time, as often as it likes, and never waits for a sender; a
//! sender never waits for a receiver. What a receiver has got stays as it is while it holds it.
//!
//! # Examples
//!
//! ```
//! use crossdock::{Array, channel::latest::{Receiver, Sender}};
//!
//! let tx = Sender::<(u64, Array<f32>)>::create("latest-docs", 4)?;
//! let rx = Receiver::<(u64, Array<f32>)>::open("latest-docs")?; // in any process
//! assert!(rx.get()?.is_none());
//!
//! for step in 0..10 {
//!     tx.send((step, Array::from_slice(&[step as f32; 100])?))?;
//! }
//! let (step, weights) = rx.recv()?; // newer than what this receiver got last
//! assert_eq!((step, weights[99]), (9, 9.0));
//! assert_eq!(rx.get()?.unwrap().0, 9); // the newest one, new or not
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
use crate::error::Result;
use crossdock_core::layout::Carrier;
use crossdock_core::ring::Refused;
use crossdock_core::ring::latest::Latest;
use crossdock_core::settings::Mode;
use crossdock_sys::clock::Deadline;
use parking_lot::Mutex;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The sending end of a latest-value cell; clone it, or open it again in any process.
pub struct Sender<M: SharedMessage> {
    pub(super) core: Arc<Core>,
    messages: PhantomData<fn(M)>,
}

/// The receiving end of a latest-value cell.
pub struct Receiver<M: SharedMessage> {
    pub(super) core: Arc<Core>,
    /// Its row among the readers. The lock: one pin at a time, and each message to one thread.
    row: Mutex<usize>,
    pub(super) place: Arc<Place>,
    messages: PhantomData<fn() -> M>,
}

fan_out_ends!(
    Mode::Latest,
    "the newest message if it is newer than the last one received",
    create_latest_sender,
    create_latest_receiver
);

impl Core {
    fn latest(&self) -> Result<&Latest<'static>> {
        match &self.map.table.carrier {
            Carrier::Latest(ring) => Ok(ring),
            Carrier::Queue(..) | Carrier::Broadcast(_) => Err(self.not_this_kind()),
        }
    }

    /// Sends a message that takes the place of the one before.
    pub(super) fn send_as_newest(
        &self,
        ring: &Latest<'_>,
        parcel: &Parcel<'_>,
    ) -> Result<(), NotSent> {
        let mut claim = match ring.claim(self.member.me.party) {
            Ok(claim) => claim,
            Err(Refused::Full(_)) => return Err(NotSent::Full),
            Err(Refused::Corrupt(why)) => return Err(NotSent::Failed(self.corrupt(why))),
        };
        if !parcel.arrays.is_empty() {
            ring.arm(&mut claim, parcel.words());
            self.hand_over(&parcel.arrays);
        }
        ring.publish(claim, parcel.words(), &mut |_| {});
        self.map.table.control.not_empty.notify_all();
        // Another sender may be waiting for the slot before.
        self.map.table.control.not_full.notify();
        Ok(())
    }

    /// Receives the newest message unless its number is `seen`. Returns its number.
    fn receive_newest(&self, row: usize, seen: u64, inbox: &mut Inbox) -> Result<u64, NotReceived> {
        let ring = self.latest().map_err(NotReceived::Failed)?;
        loop {
            let number = ring.number();
            if number == seen {
                let has_left = self.members(End::Sender).have_left() && ring.number() == seen;
                return Err(if has_left { NotReceived::Disconnected } else { NotReceived::Empty });
            }
            let message = match ring.newest() {
                Ok(Some(message)) => message,
                Ok(None) => continue,
                Err(why) => return Err(NotReceived::Failed(self.corrupt(why))),
            };
            let words = ring.read(&message);
            let outcome = ring.pin(row, &message).then(|| {
                self.sight(&words, inbox)
                    .and_then(|()| inbox.open(|ticket, region| self.adopt_shared(ticket, &region)))
            });
            ring.unpin(row, &message);
            if let Some(outcome) = outcome {
                return outcome.map(|()| ring.number_of(&message)).map_err(NotReceived::Failed);
            }
        }
    }
}

/// The number of the message that a receiver got last, also for those who wait on its behalf.
#[derive(Debug, Default)]
pub(super) struct Place(AtomicU64);

impl Place {
    /// Whether a receive would have an answer now.
    pub(super) fn is_ready(&self, core: &Core) -> bool {
        let has_newer = |ring: &Latest<'_>| ring.number() != self.0.load(Ordering::Relaxed);
        core.is_over(End::Receiver) || core.latest().map_or(true, has_newer)
    }
}

impl<M: SharedMessage> Receiver<M> {
    pub(super) fn new(core: Arc<Core>) -> Result<Self> {
        let ring = core.latest()?;
        let row = receiving::join(&core, || ring.subscribe(core.member.me.party))?;
        Ok(Self { core, row: Mutex::new(row), place: Arc::default(), messages: PhantomData })
    }

    /// Another receiver, which has seen what this one has.
    ///
    /// # Errors
    ///
    /// `TooManyPeers` when there are 60 already.
    pub fn resubscribe(&self) -> Result<Self> {
        let receiver = Self::new(Arc::clone(&self.core))?;
        receiver.place.0.store(self.place.0.load(Ordering::Relaxed), Ordering::Relaxed);
        Ok(receiver)
    }

    /// The newest message, whether this receiver had it before or not; `None` if none was sent yet.
    ///
    /// # Errors
    ///
    /// `Forked`, `Corrupt`, `Stale`.
    pub fn get(&self) -> Result<Option<M>> {
        match receiving::try_recv(&self.core, |inbox| self.receive_unless(|_| 0, inbox)) {
            Ok(message) => Ok(Some(message)),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => Ok(None),
            Err(TryRecvError::Failed(error)) => Err(error),
        }
    }

    fn receive(&self, inbox: &mut Inbox) -> Result<(), NotReceived> {
        self.receive_unless(|seen| seen, inbox)
    }

    /// Receives the newest message, unless its number is what `seen` makes of the last one's.
    fn receive_unless(
        &self,
        seen: impl FnOnce(u64) -> u64,
        inbox: &mut Inbox,
    ) -> Result<(), NotReceived> {
        self.core.check_ours().map_err(NotReceived::Failed)?;
        // Until the number has been stored: another thread must not get the same message.
        let row = self.row.lock();
        let seen = seen(self.place.0.load(Ordering::Relaxed));
        let number = self.core.receive_newest(*row, seen, inbox)?;
        self.place.0.store(number, Ordering::Relaxed);
        Ok(())
    }
}

impl<M: SharedMessage> Drop for Receiver<M> {
    fn drop(&mut self) {
        if self.core.check_ours().is_ok()
            && let Ok(ring) = self.core.latest()
        {
            ring.unsubscribe(*self.row.get_mut());
        }
        self.core.leave(End::Receiver);
    }
}
