//! A queue whose values have to be done, and that one can wait for.

use super::ends::Ends;
use super::put::{self, PutError, Wait, under_a_new_name};
use crate::channel::{
    ChannelOptions, Delivery, Outlook, Receiver, RecvError, RecvTimeoutError, Sender, TryRecvError,
};
use crate::error::{Error, ErrorKind, Result};
use crate::letter::{self, Typed};
use crossdock_sys::clock::Deadline;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// How often a value is got, before it is given up: who gets it may be killed by it.
const DELIVERIES_MAX: u16 = 3;
/// Values that can be got and not yet done.
const UNDONE_MAX: u32 = 1024;

/// A [`Queue`](super::Queue) that counts what is done: `multiprocessing.JoinableQueue`.
///
/// Whoever has got a value says [`task_done`](Self::task_done) when it has been dealt with; [`join`](Self::join) waits for
/// all of them. A value whose process dies before that, or drops its handle, goes to another one. So nobody waits for ever for
/// the dead, and a value can come twice; one that was got three times in vain is given up ([`given_up`](Self::given_up)).
/// Threads have a clone each: `task_done` is about what its own handle got.
///
/// # Examples
///
/// ```
/// use crossdock::process::{self, JoinableQueue, Process};
/// use crossdock::{Atomic, Value};
/// use std::sync::atomic::Ordering::Relaxed;
///
/// fn work((jobs, total): (JoinableQueue<u64>, Value<Atomic<u64>>)) {
///     while let Ok(job) = jobs.get() {
///         total.fetch_add(job, Relaxed);
///         jobs.task_done().unwrap();
///     }
/// }
///
/// fn main() -> crossdock::Result<()> {
///     process::init();
///
///     let jobs = JoinableQueue::new(100)?;
///     let total = Value::create("joinable-docs", Atomic::new(0))?;
///     let worker = Process::options().daemon(true).spawn(work, (jobs.clone(), total.clone()))?;
///     for job in 1..=100 {
///         jobs.put(job)?;
///     }
///     jobs.join()?;
///     assert_eq!(total.load(Relaxed), 5050);
///     drop(jobs); // the worker sees that nobody is left to put anything
///     worker.join()
/// }
/// ```
pub struct JoinableQueue<T> {
    /// What this handle has got and not yet done, the first one first. It is given back before the handle leaves.
    undone: Mutex<VecDeque<Delivery<()>>>,
    ends: Ends<Typed<T, true>>,
}

impl<T> JoinableQueue<T> {
    /// A queue with room for `capacity` values, under a name that nobody has.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn new(capacity: usize) -> Result<Self> {
        under_a_new_name("joinable", |name| Self::create(name, capacity))
    }

    /// A queue with room for `capacity` values, under a new name.
    ///
    /// # Errors
    ///
    /// As [`Queue::create`](super::Queue::create).
    pub fn create(name: &str, capacity: usize) -> Result<Self> {
        let options = ChannelOptions::new(capacity);
        let options = options.redeliver(DELIVERIES_MAX).max_unacknowledged(UNDONE_MAX);
        options.create_sender(name).map(Self::of_sender)
    }

    /// A queue that somebody has made, of the same type of values.
    ///
    /// # Errors
    ///
    /// As [`Queue::open`](super::Queue::open).
    pub fn open(name: &str) -> Result<Self> {
        Sender::open(name).map(Self::of_sender)
    }

    fn of_sender(sender: Sender<Typed<T, true>>) -> Self {
        Self { ends: Ends::new(sender), undone: Mutex::default() }
    }

    /// What this handle got first, and has not said this of yet, has been dealt with.
    ///
    /// # Errors
    ///
    /// `InvalidArgument`: everything that this handle got is done. `Stale`: this process was taken for dead, and another
    /// one gets the value.
    pub fn task_done(&self) -> Result<()> {
        let Some(first) = self.undone.lock().pop_front() else {
            let text = format!(
                "task_done was called for more values than this handle of queue {:?} got",
                self.name()
            );
            return Err(Error::new(ErrorKind::InvalidArgument, text).named(self.name()));
        };
        first.acknowledge()?;
        self.ends.core().tell_acknowledged();
        Ok(())
    }

    /// Waits until every value is done that was put, or given up. Meanwhile this handle is not one that may get any.
    ///
    /// # Errors
    ///
    /// `Disconnected`: there are values, and nobody is left who might get them. `Forked`.
    pub fn join(&self) -> Result<()> {
        self.await_done(None).map(drop)
    }

    /// As [`join`](Self::join), but waits at most `timeout`; whether all is done.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join).
    pub fn join_timeout(&self, timeout: Duration) -> Result<bool> {
        self.await_done(Some(Deadline::after(timeout)))
    }

    fn await_done(&self, deadline: Option<Deadline>) -> Result<bool> {
        let core = self.ends.core();
        match self.ends.without_getting(|| core.await_acknowledged(deadline))? {
            Some(Outlook::Ready) => Ok(true),
            Some(Outlook::Over) => {
                let text = format!(
                    "there are values in queue {:?}, and nobody is left who might get them",
                    self.name()
                );
                Err(Error::new(ErrorKind::Disconnected, text).named(self.name()))
            }
            None => Ok(false),
        }
    }

    /// Values that it has room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.ends.core().capacity()
    }

    /// Values in it that nobody has got, at about this moment.
    #[must_use]
    #[doc(alias = "qsize")]
    pub fn len(&self) -> usize {
        self.ends.core().len()
    }

    /// Whether there is none, at about this moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.ends.core().name()
    }
}

impl<T: Serialize + DeserializeOwned> JoinableQueue<T> {
    /// As [`Queue::put`](super::Queue::put).
    ///
    /// # Errors
    ///
    /// As [`Queue::put`](super::Queue::put), and `InvalidArgument` for a value with an [`ArrayMut`](crate::ArrayMut) in it.
    pub fn put(&self, value: T) -> Result<(), PutError<T>> {
        put::put(&self.ends, value, Wait::Forever)
    }

    /// As [`Queue::put_timeout`](super::Queue::put_timeout).
    ///
    /// # Errors
    ///
    /// As [`Queue::put_timeout`](super::Queue::put_timeout).
    pub fn put_timeout(&self, value: T, timeout: Duration) -> Result<(), PutError<T>> {
        put::put(&self.ends, value, Wait::For(timeout))
    }

    /// As [`Queue::put_nowait`](super::Queue::put_nowait).
    ///
    /// # Errors
    ///
    /// As [`Queue::put_nowait`](super::Queue::put_nowait).
    pub fn put_nowait(&self, value: T) -> Result<(), PutError<T>> {
        put::put(&self.ends, value, Wait::No)
    }
}

impl<T: DeserializeOwned> JoinableQueue<T> {
    /// As [`Queue::get`](super::Queue::get). The value is this handle's to do.
    ///
    /// # Errors
    ///
    /// As [`Queue::get`](super::Queue::get); `LimitExceeded` while 1024 values are with somebody who has not done them.
    pub fn get(&self) -> Result<T, RecvError> {
        let delivery = self.ends.receive(None, Receiver::try_deliver).map_err(put::without_end)?;
        self.begin(delivery).map_err(RecvError::Failed)
    }

    /// As [`Queue::get_timeout`](super::Queue::get_timeout).
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and `Timeout`.
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        let deadline = Some(Deadline::after(timeout));
        let delivery = self.ends.receive(deadline, Receiver::try_deliver)?;
        self.begin(delivery).map_err(RecvTimeoutError::Failed)
    }

    /// As [`Queue::get_nowait`](super::Queue::get_nowait).
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and `Empty`.
    pub fn get_nowait(&self) -> Result<T, TryRecvError> {
        let delivery = self.ends.try_receive(Receiver::try_deliver)?;
        self.begin(delivery).map_err(TryRecvError::Failed)
    }

    fn begin(&self, delivery: Delivery<Typed<T, true>>) -> Result<T> {
        put::check_to_do(&delivery.letter)?;
        let (message, receipt) = delivery.split();
        // One that cannot be opened is given back, and given up in the end.
        let value = message.letter.open()?;
        self.undone.lock().push_back(receipt);
        Ok(value)
    }

    /// The values that were got as often as a value may be, and never done: who got them died, or dropped its handle. Each is
    /// the caller's as soon as it is returned. One that cannot be read is an error, and is gone.
    #[must_use = "iterators are lazy"]
    pub fn given_up(&self) -> impl Iterator<Item = Result<T>> + '_ {
        self.ends.receiver().dead_letters().map(|letter| {
            let (message, receipt) = letter?.split();
            put::check_to_do(&message.letter)?;
            // It is not to be found again, whatever reading it does.
            receipt.acknowledge()?;
            message.letter.open()
        })
    }
}

/// Another handle, which has got nothing.
impl<T> Clone for JoinableQueue<T> {
    fn clone(&self) -> Self {
        Self { ends: self.ends.clone(), undone: Mutex::default() }
    }
}

impl<T> fmt::Debug for JoinableQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinableQueue")
            .field("name", &self.name())
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

/// In an argument or result of a task, and in other queues: its name travels.
impl<T: 'static> Serialize for JoinableQueue<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        letter::serialize("a JoinableQueue", Some(self.name()), || self.clone(), serializer)
    }
}

impl<'de, T> Deserialize<'de> for JoinableQueue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        letter::deserialize(deserializer, Self::open)
    }
}
