//! The ends of the channels that are tried, whatever their kind.

use super::message::Kind;
use crossdock::channel::{
    ChannelOptions, Delivery, Receiver, RecvTimeoutError, SendError, SendTimeoutError, Sender,
    SharedMessage, TryRecvError, TrySendError,
};
use crossdock::channel::{Message, broadcast};
use crossdock::{Error, ErrorKind};
use std::time::Duration;

/// The channel.
const NAME: &str = "work";
/// Its slots.
const CAPACITY: usize = 8;
/// How often a message is delivered that nobody acknowledges.
pub(crate) const DELIVERIES: u16 = 3;
/// Messages that can be without acknowledgement at once; dead letters as well, which are read now and then.
const UNACKNOWLEDGED: u32 = 64;

/// How the queue of a kind is made.
fn options(kind: Kind) -> ChannelOptions {
    let options = ChannelOptions::new(CAPACITY);
    match kind {
        Kind::Acknowledged => options.redeliver(DELIVERIES).max_unacknowledged(UNACKNOWLEDGED),
        Kind::Unique | Kind::Shared | Kind::Batches | Kind::Broadcast => options,
    }
}

/// Opens something that is there, or makes it; others may be at it as well.
fn open_or_create<T>(
    open: impl Fn() -> Result<T, Error>,
    create: impl Fn() -> Result<T, Error>,
) -> Result<T, Error> {
    loop {
        match open() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            other => return other,
        }
        match create() {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            other => return other,
        }
    }
}

/// The sending end of a queue.
pub(crate) fn sender<M: Message>(kind: Kind) -> Result<Sender<M>, Error> {
    open_or_create(|| Sender::open(NAME), || options(kind).create_sender(NAME))
}

/// The receiving end of a queue.
pub(crate) fn receiver<M: Message>(kind: Kind) -> Result<Receiver<M>, Error> {
    open_or_create(|| Receiver::open(NAME), || options(kind).create_receiver(NAME))
}

/// The sending end of a broadcast.
pub(crate) fn speaker<M: SharedMessage>() -> Result<broadcast::Sender<M>, Error> {
    let create = || broadcast::Sender::create(NAME, CAPACITY);
    open_or_create(|| broadcast::Sender::open(NAME), create)
}

/// The receiving end of a broadcast.
pub(crate) fn listener<M: SharedMessage>() -> Result<broadcast::Receiver<M>, Error> {
    let create = || broadcast::Receiver::create(NAME, CAPACITY);
    open_or_create(|| broadcast::Receiver::open(NAME), create)
}

/// The verbs of sending.
pub(crate) trait Outlet<M> {
    fn try_send(&self, message: M) -> Result<(), TrySendError<M>>;
    fn send(&self, message: M) -> Result<(), SendError<M>>;
    fn send_timeout(&self, message: M, timeout: Duration) -> Result<(), SendTimeoutError<M>>;
    /// Messages that somebody has yet to receive.
    fn len(&self) -> usize;
}

impl<M: Message> Outlet<M> for Sender<M> {
    fn try_send(&self, message: M) -> Result<(), TrySendError<M>> {
        self.try_send(message)
    }

    fn send(&self, message: M) -> Result<(), SendError<M>> {
        self.send(message)
    }

    fn send_timeout(&self, message: M, timeout: Duration) -> Result<(), SendTimeoutError<M>> {
        self.send_timeout(message, timeout)
    }

    fn len(&self) -> usize {
        self.len()
    }
}

impl<M: SharedMessage> Outlet<M> for broadcast::Sender<M> {
    fn try_send(&self, message: M) -> Result<(), TrySendError<M>> {
        self.try_send(message)
    }

    fn send(&self, message: M) -> Result<(), SendError<M>> {
        self.send(message)
    }

    fn send_timeout(&self, message: M, timeout: Duration) -> Result<(), SendTimeoutError<M>> {
        self.send_timeout(message, timeout)
    }

    fn len(&self) -> usize {
        self.len()
    }
}

/// The verbs of receiving; what comes is a message or a delivery of one.
pub(crate) trait Inlet<K> {
    fn try_recv(&self) -> Result<K, TryRecvError>;
    fn recv_timeout(&self, timeout: Duration) -> Result<K, RecvTimeoutError>;
    /// Messages that were never received though they should have been.
    fn missed(&self) -> u64 {
        0
    }
}

impl<M: Message> Inlet<M> for Receiver<M> {
    fn try_recv(&self) -> Result<M, TryRecvError> {
        self.try_recv()
    }

    fn recv_timeout(&self, timeout: Duration) -> Result<M, RecvTimeoutError> {
        self.recv_timeout(timeout)
    }
}

impl<M: SharedMessage> Inlet<M> for broadcast::Receiver<M> {
    fn try_recv(&self) -> Result<M, TryRecvError> {
        self.try_recv()
    }

    fn recv_timeout(&self, timeout: Duration) -> Result<M, RecvTimeoutError> {
        self.recv_timeout(timeout)
    }

    fn missed(&self) -> u64 {
        self.take_missed()
    }
}

/// A receiver that acknowledges.
pub(crate) struct Acknowledging<'a, M: Message>(pub(crate) &'a Receiver<M>);

impl<M: Message> Inlet<Delivery<M>> for Acknowledging<'_, M> {
    fn try_recv(&self) -> Result<Delivery<M>, TryRecvError> {
        self.0.try_deliver()
    }

    fn recv_timeout(&self, timeout: Duration) -> Result<Delivery<M>, RecvTimeoutError> {
        self.0.deliver_timeout(timeout)
    }
}
