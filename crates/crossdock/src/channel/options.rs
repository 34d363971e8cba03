//! How a channel is made.

use super::broadcast;
use super::core::Core;
use super::latest;
use super::message::{Message, MessageType, SharedMessage};
use super::receiver::Receiver;
use super::sender::Sender;
use crate::error::{Error, ErrorKind, Result};
use crossdock_core::ring::latest::CAPACITY_MIN;
use crossdock_core::settings::{Mode, Settings, UNACKNOWLEDGED_MAX, WhenFull};
use std::sync::Arc;

/// Deliveries that can be without acknowledgement, if nobody says how many.
const UNACKNOWLEDGED: u32 = 256;

/// How a channel is made that is more than a queue with room for some messages.
///
/// # Examples
///
/// A queue that never holds more than 1 GiB, and throws old frames away rather than stop the camera:
///
/// ```
/// use crossdock::{Array, channel::{ChannelOptions, Receiver, WhenFull}};
///
/// let options = ChannelOptions::new(64).max_bytes(1 << 30).when_full(WhenFull::DropOldest);
/// let tx = options.create_sender::<Array<u8>>("options-docs")?;
/// let rx = Receiver::<Array<u8>>::open("options-docs")?;
/// for frame in 0..100 {
///     tx.send(Array::from_slice(&[frame; 1000])?)?;
/// }
/// assert_eq!(rx.recv()?[0], 100 - 64);
/// # Ok::<(), crossdock::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "it makes nothing by itself"]
pub struct ChannelOptions {
    capacity: usize,
    settings: Settings,
}

impl ChannelOptions {
    /// A channel with room for `capacity` messages.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, settings: Settings::default() }
    }

    /// What [`send`](Sender::send) does when there is no room. The default is to wait.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.settings.when_full = when_full;
        self
    }

    /// The arrays in a queue have at most so many bytes together. What receivers hold does not count.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.settings.bytes_max = bytes;
        self
    }

    /// Receivers of a queue acknowledge: what one had received and not yet acknowledged when it died goes to
    /// another one, `deliveries` times in all; after that it is a dead letter.
    ///
    /// Receive with [`Receiver::deliver`]. [`Receiver::recv`] acknowledges at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossdock::{Array, channel::{ChannelOptions, Receiver}};
    ///
    /// let jobs = ChannelOptions::new(16).redeliver(2).create_sender::<Array<f32>>("jobs-docs")?;
    /// jobs.send(Array::from_slice(&[1.0, 2.0])?)?;
    ///
    /// let worker = Receiver::<Array<f32>>::open("jobs-docs")?; // in any process
    /// let job = worker.deliver()?;
    /// drop(job); // as if this worker had died
    /// let job = worker.deliver()?;
    /// assert_eq!((job.deliveries(), job[1]), (2, 2.0));
    /// job.acknowledge()?;
    /// # Ok::<(), crossdock::Error>(())
    /// ```
    pub fn redeliver(mut self, deliveries: u16) -> Self {
        self.settings.deliveries_max = deliveries;
        if self.settings.unacknowledged_max == 0 {
            self.settings.unacknowledged_max = UNACKNOWLEDGED;
        }
        self
    }

    /// How many messages can be received and not yet acknowledged, dead letters included; 256 if not said.
    pub fn max_unacknowledged(mut self, messages: u32) -> Self {
        self.settings.unacknowledged_max = messages;
        self
    }

    fn create(&self, name: &str, mode: Mode, message: &MessageType) -> Result<Arc<Core>> {
        let invalid = |why: &str| {
            let text = format!("cannot create channel {name:?}: {why}");
            Err(Error::new(ErrorKind::InvalidArgument, text).named(name))
        };
        let settings = Settings { mode, ..self.settings };
        if mode != Mode::Queue && (settings.bytes_max > 0 || settings.unacknowledged_max > 0) {
            return invalid("a limit of bytes and redelivery are for queues");
        }
        if (settings.deliveries_max > 0) != (settings.unacknowledged_max > 0) {
            return invalid(
                "to be acknowledged, a message needs at least one delivery and one place",
            );
        }
        if settings.unacknowledged_max > UNACKNOWLEDGED_MAX {
            return invalid("at most 65536 messages can be without acknowledgement");
        }
        if mode == Mode::Latest && self.capacity < CAPACITY_MIN {
            return invalid("a latest-value cell needs at least 2 slots");
        }
        Core::create(name, self.capacity, settings, message)
    }

    /// Makes a queue and its first sender.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`, `InvalidName`, `TooManyPeers`, `NoSpace`; `InvalidArgument` for a capacity of 0 or above
    /// 2^20 and for options that do not go together.
    pub fn create_sender<M: Message>(&self, name: &str) -> Result<Sender<M>> {
        self.create(name, Mode::Queue, &MessageType::of::<M>()).map(Sender::new)
    }

    /// Makes a queue and its first receiver.
    ///
    /// # Errors
    ///
    /// As [`create_sender`](Self::create_sender).
    pub fn create_receiver<M: Message>(&self, name: &str) -> Result<Receiver<M>> {
        self.create(name, Mode::Queue, &MessageType::of::<M>()).map(Receiver::new)
    }

    /// Makes a broadcast and its first sender.
    ///
    /// # Errors
    ///
    /// As [`create_sender`](Self::create_sender).
    pub fn create_broadcast_sender<M: SharedMessage>(
        &self,
        name: &str,
    ) -> Result<broadcast::Sender<M>> {
        self.create(name, Mode::Broadcast, &MessageType::of::<M>()).map(broadcast::Sender::new)
    }

    /// Makes a broadcast and its first receiver.
    ///
    /// # Errors
    ///
    /// As [`create_sender`](Self::create_sender).
    pub fn create_broadcast_receiver<M: SharedMessage>(
        &self,
        name: &str,
    ) -> Result<broadcast::Receiver<M>> {
        self.create(name, Mode::Broadcast, &MessageType::of::<M>())
            .and_then(broadcast::Receiver::new)
    }

    /// Makes a latest-value cell and its first sender. A capacity of 4 is right for up to 3 senders at once.
    ///
    /// # Errors
    ///
    /// As [`create_sender`](Self::create_sender).
    pub fn create_latest_sender<M: SharedMessage>(&self, name: &str) -> Result<latest::Sender<M>> {
        self.create(name, Mode::Latest, &MessageType::of::<M>()).map(latest::Sender::new)
    }

    /// Makes a latest-value cell and its first receiver.
    ///
    /// # Errors
    ///
    /// As [`create_sender`](Self::create_sender).
    pub fn create_latest_receiver<M: SharedMessage>(
        &self,
        name: &str,
    ) -> Result<latest::Receiver<M>> {
        self.create(name, Mode::Latest, &MessageType::of::<M>()).and_then(latest::Receiver::new)
    }
}
