//! The receiving end.

use super::batch::BATCH_MAX;
use super::core::{Core, End, NotReceived};
use super::delivery::{DeadLetters, Delivery};
use super::error::{RecvError, RecvTimeoutError, TryRecvError};
use super::message::{Message, MessageType};
use super::options::ChannelOptions;
use super::parcel::Inbox;
use super::queue::Unsettled;
use super::waiting::Pace;
use super::{open_within, without_end};
use crate::error::{ErrorKind, Result};
use crossdock_core::settings::Mode;
use crossdock_sys::clock::Deadline;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// So many messages that follow each other without a wait are a stream.
const STREAM_MIN: u32 = 2;

/// The receiving end of a channel; clone it, or open the channel again in any process. Each message
/// goes to one receiver.
///
/// # Examples
///
/// ```
/// use crossdock::{Array, channel::{Receiver, Sender}};
///
/// let rx = Receiver::<Array<u8>>::create("receiver-docs", 4)?; // either side may come first
/// let tx = Sender::<Array<u8>>::open("receiver-docs")?;
/// for n in 0..3 {
///     tx.send(Array::from_slice(&[n; 100])?)?;
/// }
/// drop(tx);
///
/// let sums: Vec<u32> = rx.iter().map(|a| a.iter().map(|x| u32::from(*x)).sum()).collect();
/// assert_eq!(sums, [0, 100, 200]); // the iteration ends when the last sender has gone
/// # Ok::<(), crossdock::Error>(())
/// ```
pub struct Receiver<M: Message> {
    pub(super) core: Arc<Core>,
    /// Messages that were there at once since one had to be waited for.
    run: AtomicU32,
    messages: PhantomData<fn() -> M>,
}

impl<M: Message> Receiver<M> {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        core.join(End::Receiver);
        Self { core, run: AtomicU32::new(0), messages: PhantomData }
    }

    /// Makes a channel with room for `capacity` messages.
    ///
    /// # Errors
    ///
    /// As [`Sender::create`](super::Sender::create).
    pub fn create(name: &str, capacity: usize) -> Result<Self> {
        ChannelOptions::new(capacity).create_receiver(name)
    }

    /// Opens a channel that somebody has made, with the same message type.
    ///
    /// # Errors
    ///
    /// `NotFound`, `WrongKind`, `WrongType`, `WrongVersion`, `Corrupt`.
    pub fn open(name: &str) -> Result<Self> {
        Core::open(name, Mode::Queue, &MessageType::of::<M>()).map(Self::new)
    }

    /// As [`open`](Self::open), but waits for somebody to make the channel.
    ///
    /// # Errors
    ///
    /// `TimedOut`, and as [`open`](Self::open).
    pub fn open_timeout(name: &str, timeout: Duration) -> Result<Self> {
        open_within(name, timeout, || Self::open(name))
    }

    /// Opens a channel, or makes it with room for `capacity` messages.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create) and [`open`](Self::open).
    pub fn open_or_create(name: &str, capacity: usize) -> Result<Self> {
        loop {
            match Self::open(name) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                other => return other,
            }
            match Self::create(name, capacity) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                other => return other,
            }
        }
    }

    /// Receives a message; waits while the queue is empty. If messages are to be acknowledged
    /// ([`ChannelOptions::redeliver`]), this one is; one that is somebody else's by then is left to that one.
    ///
    /// # Errors
    ///
    /// [`RecvError::Disconnected`] when the queue is empty and every sender has gone or died.
    pub fn recv(&self) -> Result<M, RecvError> {
        self.recv_until(None).map_err(without_end)
    }

    /// Receives a message if there is one.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`].
    pub fn try_recv(&self) -> Result<M, TryRecvError> {
        if let Some(record) = self.record_at_once() {
            return Ok(record);
        }
        loop {
            let mut inbox = Inbox::default();
            let unsettled = self.try_take(&mut inbox)?;
            let finished = self.finish(&mut inbox, unsettled);
            if let Some(message) = finished.map_err(TryRecvError::Failed)? {
                return Ok(message);
            }
        }
    }

    /// Receives a message; waits at most `timeout` while the queue is empty.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<M, RecvTimeoutError> {
        self.recv_until(Some(Deadline::after(timeout)))
    }

    /// A record, if one is there at once and nothing about it is unusual.
    #[inline]
    fn record_at_once(&self) -> Option<M> {
        let record = M::of_record(|bytes| self.core.recv_record(bytes))?;
        self.note_run();
        Some(record)
    }

    /// Notes that a message was there at once.
    #[inline]
    fn note_run(&self) {
        // Not written each time: threads may share the receiver's memory.
        let run = self.run.load(Relaxed);
        if run < STREAM_MIN {
            self.run.store(run + 1, Relaxed);
        }
    }

    #[inline]
    fn recv_until(&self, deadline: Option<Deadline>) -> Result<M, RecvTimeoutError> {
        if let Some(record) = self.record_at_once() {
            return Ok(record);
        }
        loop {
            let mut inbox = Inbox::default();
            let unsettled = self.take_until(&mut inbox, deadline)?;
            let finished = self.finish(&mut inbox, unsettled);
            if let Some(message) = finished.map_err(RecvTimeoutError::Failed)? {
                return Ok(message);
            }
        }
    }

    /// A received message, acknowledged if that is to be done; `None` if it was not this process's any more. Then another
    /// receiver gets it, and what would be done with it here would be done twice.
    #[inline]
    fn finish(&self, inbox: &mut Inbox, unsettled: Option<Unsettled>) -> Result<Option<M>> {
        let message = M::unpack(inbox);
        if unsettled.is_some_and(|unsettled| !self.core.settle(unsettled, true)) {
            return Ok(None);
        }
        message.map(Some).map_err(|error| self.core.within(error))
    }

    fn try_take(&self, inbox: &mut Inbox) -> Result<Option<Unsettled>, TryRecvError> {
        match self.core.try_recv(inbox) {
            Ok(unsettled) => Ok(unsettled),
            Err(NotReceived::Empty) => {
                self.core.note_fruitless_poll();
                Err(TryRecvError::Empty)
            }
            Err(NotReceived::Disconnected) => Err(TryRecvError::Disconnected),
            Err(NotReceived::Failed(error)) => Err(TryRecvError::Failed(error)),
        }
    }

    #[inline]
    fn take_until(
        &self,
        inbox: &mut Inbox,
        deadline: Option<Deadline>,
    ) -> Result<Option<Unsettled>, RecvTimeoutError> {
        let outcome = match self.core.try_recv(inbox) {
            Err(NotReceived::Empty) => self.wait(inbox, deadline),
            other => {
                self.note_run();
                other
            }
        };
        outcome.map_err(|why| match why {
            NotReceived::Empty => RecvTimeoutError::Timeout,
            NotReceived::Disconnected => RecvTimeoutError::Disconnected,
            NotReceived::Failed(error) => RecvTimeoutError::Failed(error),
        })
    }

    #[cold]
    fn wait(
        &self,
        inbox: &mut Inbox,
        deadline: Option<Deadline>,
    ) -> Result<Option<Unsettled>, NotReceived> {
        let attempt = || match self.core.try_recv(inbox) {
            Err(NotReceived::Empty) => None,
            other => Some(other),
        };
        let is_stream = self.run.swap(0, Relaxed) >= STREAM_MIN;
        let pace = if is_stream { Pace::Patient } else { Pace::Eager };
        let outcome = self.core.wait_at_pace(End::Receiver, pace, deadline, attempt);
        outcome.unwrap_or(Err(NotReceived::Empty))
    }

    /// Receives a message, waits while there is none, and then as many more as there are, `max` in all.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), with the messages that came before the one that could not be received.
    pub fn recv_many(&self, max: usize) -> Result<Vec<M>, (Vec<M>, RecvError)> {
        let mut messages = Vec::with_capacity(max.min(BATCH_MAX));
        if max > 0 {
            match self.recv() {
                Ok(message) => messages.push(message),
                Err(error) => return Err((messages, error)),
            }
        }
        let mut inbox = Inbox::default();
        while messages.len() < max {
            let wanted = max - messages.len();
            if self.core.recv_records(wanted, &mut messages) > 0 {
                continue;
            }
            let each = |inbox: &mut Inbox| {
                let message = M::unpack(inbox).map_err(|error| self.core.within(error))?;
                messages.push(message);
                Ok(())
            };
            if let Err(error) = self.core.receive_more(wanted, &mut inbox, each) {
                return Err((messages, RecvError::Failed(error)));
            }
            if messages.len() == max {
                break;
            }
            match self.try_recv() {
                Ok(message) => messages.push(message),
                Err(TryRecvError::Failed(error)) => {
                    return Err((messages, RecvError::Failed(error)));
                }
                // The next call says whether everybody has gone.
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        Ok(messages)
    }

    /// Receives a message that is to be acknowledged; waits while the queue is empty. Only for a channel made with
    /// [`ChannelOptions::redeliver`].
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and `Unsupported`.
    pub fn deliver(&self) -> Result<Delivery<M>, RecvError> {
        self.deliver_until(None).map_err(without_end)
    }

    /// As [`deliver`](Self::deliver), but does not wait.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`].
    pub fn try_deliver(&self) -> Result<Delivery<M>, TryRecvError> {
        self.check_acknowledged().map_err(TryRecvError::Failed)?;
        let mut inbox = Inbox::default();
        let unsettled = self.try_take(&mut inbox)?;
        self.delivery(&mut inbox, unsettled).map_err(TryRecvError::Failed)
    }

    /// As [`deliver`](Self::deliver), but waits at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`].
    pub fn deliver_timeout(&self, timeout: Duration) -> Result<Delivery<M>, RecvTimeoutError> {
        self.deliver_until(Some(Deadline::after(timeout)))
    }

    fn deliver_until(&self, deadline: Option<Deadline>) -> Result<Delivery<M>, RecvTimeoutError> {
        self.check_acknowledged().map_err(RecvTimeoutError::Failed)?;
        let mut inbox = Inbox::default();
        let unsettled = self.take_until(&mut inbox, deadline)?;
        self.delivery(&mut inbox, unsettled).map_err(RecvTimeoutError::Failed)
    }

    fn check_acknowledged(&self) -> Result<()> {
        if self.core.is_acknowledged() { Ok(()) } else { Err(self.core.not_acknowledged()) }
    }

    fn delivery(&self, inbox: &mut Inbox, unsettled: Option<Unsettled>) -> Result<Delivery<M>> {
        let unsettled = unsettled.ok_or_else(|| self.core.not_acknowledged())?;
        match M::unpack(inbox) {
            Ok(message) => Ok(Delivery::new(&self.core, message, unsettled)),
            Err(error) => {
                // It never can be received, so it is not to come again.
                self.core.settle(unsettled, true);
                Err(self.core.within(error))
            }
        }
    }

    /// The dead letters: messages that were delivered as often as the channel allows and never acknowledged, each of
    /// them once. It stays one until it is [acknowledged](Delivery::acknowledge).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossdock::channel::{ChannelOptions, Receiver};
    ///
    /// let jobs = ChannelOptions::new(16).redeliver(1).create_sender::<u64>("letters-docs")?;
    /// jobs.send(13)?;
    /// let worker = Receiver::<u64>::open("letters-docs")?;
    /// drop(worker.deliver()?); // its only delivery
    ///
    /// let letter = worker.dead_letters().next().unwrap()?;
    /// assert_eq!(letter.acknowledge()?, 13);
    /// # Ok::<(), crossdock::Error>(())
    /// ```
    #[must_use = "iterators are lazy"]
    pub fn dead_letters(&self) -> DeadLetters<'_, M> {
        DeadLetters { core: &self.core, next: 0, messages: PhantomData }
    }

    /// Receives until every sender has gone.
    ///
    /// A message that cannot be received ([`RecvError::Failed`]) ends the iteration as well; use
    /// [`recv`](Self::recv) to tell the two apart.
    #[must_use = "iterators are lazy"]
    pub fn iter(&self) -> Iter<'_, M> {
        Iter { receiver: self }
    }

    /// Messages that the queue has room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.core.capacity()
    }

    /// Messages in the queue, at about this moment. After a death it may be wrong by the batch that was then being
    /// sent or received, until the next message is; so may [`is_empty`](Self::is_empty) and [`is_full`](Self::is_full).
    #[must_use]
    pub fn len(&self) -> usize {
        self.core.len()
    }

    /// Whether the queue has no message, at about this moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the queue has no room, at about this moment.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// Whether there has been a sender and none is left. The death of one may be noticed some
    /// milliseconds late.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.core.is_alone(End::Receiver)
    }

    /// The name of the channel.
    #[must_use]
    pub fn name(&self) -> &str {
        self.core.name()
    }

    /// Whether both receive from the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.core, &other.core)
    }
}

impl<M: Message> Clone for Receiver<M> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.core))
    }
}

impl<M: Message> Drop for Receiver<M> {
    fn drop(&mut self) {
        self.core.leave(End::Receiver);
    }
}

impl<M: Message> fmt::Debug for Receiver<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("name", &self.name())
            .field("messages", &format_args!("{}", MessageType::of::<M>().text))
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish()
    }
}

/// The messages of a channel until every sender has gone; see [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, M: Message> {
    receiver: &'a Receiver<M>,
}

impl<M: Message> Iterator for Iter<'_, M> {
    type Item = M;

    fn next(&mut self) -> Option<M> {
        self.receiver.recv().ok()
    }
}

impl<'a, M: Message> IntoIterator for &'a Receiver<M> {
    type Item = M;
    type IntoIter = Iter<'a, M>;

    fn into_iter(self) -> Iter<'a, M> {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::ChannelOptions;
    use crossdock_core::layout::Carrier;

    #[test]
    fn a_message_that_another_has_by_now_is_left_to_that_one() {
        let name = format!("test-left-{}", std::process::id());
        let tx = ChannelOptions::new(2).redeliver(2).create_sender::<u64>(&name).unwrap();
        let rx = Receiver::<u64>::open(&name).unwrap();
        tx.send(41).unwrap();
        let mut inbox = Inbox::default();
        let unsettled = rx.try_take(&mut inbox).unwrap();
        // Before it acknowledges, a reaper takes this process for dead.
        let Carrier::Queue(_, Some(rows)) = &rx.core.map.table.carrier else {
            panic!("a queue whose receivers acknowledge")
        };
        let reaped = rows.reap(rx.core.member.me.party, |_| false);
        assert_eq!((reaped.returned, reaped.dead), (1, 0));
        rx.core.map.table.note_reaped(reaped);
        assert_eq!(rx.finish(&mut inbox, unsettled).unwrap(), None);
        assert_eq!(rx.try_recv().unwrap(), 41, "it has come back, and now it is acknowledged");
        assert!(matches!(rx.try_recv(), Err(TryRecvError::Empty)));
    }
}
