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
use super::{open_within, sending, without_end};
use crate::error::{Error, ErrorKind, Result};
use crossdock_core::layout::Carrier;
use crossdock_core::ring::Refused;
use crossdock_core::ring::broadcast::READERS_MAX;
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
    /// Its row among the readers. The lock: one pin at a time.
    row: Mutex<usize>,
    /// The number of the message that was received last.
    seen: AtomicU64,
    messages: PhantomData<fn() -> M>,
}

fan_out_ends!(Mode::Latest, create_latest_sender, create_latest_receiver);

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
        self.check_ours().map_err(NotReceived::Failed)?;
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
                    .and_then(|()| inbox.open(|ticket, region| self.adopt_shared(ticket, region)))
            });
            ring.unpin(row, &message);
            if let Some(outcome) = outcome {
                return outcome.map(|()| ring.number_of(&message)).map_err(NotReceived::Failed);
            }
        }
    }
}

impl<M: SharedMessage> Receiver<M> {
    pub(super) fn new(core: Arc<Core>) -> Result<Self> {
        let ring = core.latest()?;
        // First a member, so that others find it if it dies.
        core.join(End::Receiver);
        let Some(row) = ring.subscribe(core.member.me.party) else {
            core.leave(End::Receiver);
            let text = format!(
                "all {READERS_MAX} places for receivers of latest-value cell {:?} are taken",
                core.name()
            );
            return Err(Error::new(ErrorKind::TooManyPeers, text).named(core.name()));
        };
        let (row, seen) = (Mutex::new(row), AtomicU64::new(0));
        Ok(Self { core, row, seen, messages: PhantomData })
    }

    /// Another receiver, which has seen what this one has.
    ///
    /// # Errors
    ///
    /// `TooManyPeers` when there are 60 already.
    pub fn resubscribe(&self) -> Result<Self> {
        let receiver = Self::new(Arc::clone(&self.core))?;
        receiver.seen.store(self.seen.load(Ordering::Relaxed), Ordering::Relaxed);
        Ok(receiver)
    }

    /// Opens a cell that somebody has made, with the same message type.
    ///
    /// # Errors
    ///
    /// As [`Sender::open`], and `TooManyPeers` when it has 60 receivers already.
    pub fn open(name: &str) -> Result<Self> {
        Core::open(name, Mode::Latest, &MessageType::of::<M>()).and_then(Self::new)
    }

    /// The newest message, whether this receiver had it before or not; `None` if none was sent yet.
    ///
    /// # Errors
    ///
    /// `Forked`, `Corrupt`, `Stale`.
    pub fn get(&self) -> Result<Option<M>> {
        let mut inbox = Inbox::default();
        match self.core.receive_newest(*self.row.lock(), 0, &mut inbox) {
            Ok(number) => {
                self.seen.store(number, Ordering::Relaxed);
                self.unpack(&mut inbox).map(Some)
            }
            Err(NotReceived::Empty | NotReceived::Disconnected) => Ok(None),
            Err(NotReceived::Failed(error)) => Err(error),
        }
    }

    /// Receives the newest message if it is newer than the last one received; waits until it is.
    ///
    /// # Errors
    ///
    /// [`RecvError::Disconnected`] when it is not and every sender has gone or died.
    pub fn recv(&self) -> Result<M, RecvError> {
        self.recv_until(None).map_err(without_end)
    }

    /// Receives the newest message if it is newer than the last one received.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`].
    pub fn try_recv(&self) -> Result<M, TryRecvError> {
        let mut inbox = Inbox::default();
        match self.core.receive_newest(
            *self.row.lock(),
            self.seen.load(Ordering::Relaxed),
            &mut inbox,
        ) {
            Ok(number) => {
                self.seen.store(number, Ordering::Relaxed);
                self.unpack(&mut inbox).map_err(TryRecvError::Failed)
            }
            Err(NotReceived::Empty) => {
                self.core.note_fruitless_poll();
                Err(TryRecvError::Empty)
            }
            Err(NotReceived::Disconnected) => Err(TryRecvError::Disconnected),
            Err(NotReceived::Failed(error)) => Err(TryRecvError::Failed(error)),
        }
    }

    /// As [`recv`](Self::recv), but waits at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<M, RecvTimeoutError> {
        self.recv_until(Some(Deadline::after(timeout)))
    }

    fn recv_until(&self, deadline: Option<Deadline>) -> Result<M, RecvTimeoutError> {
        let mut inbox = Inbox::default();
        let attempt = || match self.core.receive_newest(
            *self.row.lock(),
            self.seen.load(Ordering::Relaxed),
            &mut inbox,
        ) {
            Err(NotReceived::Empty) => None,
            other => Some(other),
        };
        match self.core.wait_for(End::Receiver, deadline, attempt) {
            Some(Ok(number)) => {
                self.seen.store(number, Ordering::Relaxed);
                self.unpack(&mut inbox).map_err(RecvTimeoutError::Failed)
            }
            Some(Err(NotReceived::Disconnected)) => Err(RecvTimeoutError::Disconnected),
            Some(Err(NotReceived::Failed(error))) => Err(RecvTimeoutError::Failed(error)),
            Some(Err(NotReceived::Empty)) | None => Err(RecvTimeoutError::Timeout),
        }
    }

    pub(super) fn has_newer(&self) -> bool {
        self.core.latest().is_ok_and(|ring| ring.number() != self.seen.load(Ordering::Relaxed))
    }

    fn unpack(&self, inbox: &mut Inbox) -> Result<M> {
        M::unpack(inbox).map_err(|error| self.core.within(error))
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
