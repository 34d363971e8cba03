//! Waiting for several channels and events at once.

use crate::channel::{ReceivingEnd, SendingEnd, Waiting};
use crate::sync::Event;
use crossdock_core::signal::{Watched, sleep_any};
use crossdock_sys::clock::Deadline;
use crossdock_sys::cpu::online_cpus;
use crossdock_sys::wait::WAIT_WORDS_MAX;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Operations that one [`Select`] can wait for.
pub const OPERATIONS_MAX: usize = WAIT_WORDS_MAX - 1;

/// Looks at single operations before a process goes to sleep.
const SPINS_MAX: usize = 60;

/// Waits until one of several operations can be done: a receive, a send, or the wait for an event.
///
/// Says which one, by the number that it got when it was added, and does not do it: the caller does, with a
/// verb that does not wait, because somebody else may have been faster. The messages of the channels may be
/// of different types. If several operations can be done, they take turns.
///
/// A channel whose other side has gone **or died** is ready, for the verb to say so; take it out with
/// [`remove`](Self::remove). An event is ready while it is set: one that is set and cleared at once can be
/// missed.
///
/// # Differences from `crossbeam_channel::Select`
///
/// Only its `ready` family is here, and events are. The turns are in order, not at random.
///
/// # Examples
///
/// ```
/// use crossdock::channel::{Receiver, Sender, TryRecvError};
/// use crossdock::sync::Event;
/// use crossdock::{Array, ArrayMut, Select, Value};
///
/// let frames = Receiver::<ArrayMut<f32>>::create("select-frames", 4)?;
/// let words = Receiver::<Array<u8>>::create("select-words", 4)?;
/// let stop = Value::create("select-stop", Event::new())?;
///
/// // Other processes, each at its own time:
/// Sender::<Array<u8>>::open("select-words")?.send(Array::from_slice(b"hello")?)?;
/// let camera = Sender::<ArrayMut<f32>>::open("select-frames")?;
/// camera.send(camera.loan([1080, 1920])?)?;
///
/// let mut select = Select::new();
/// let frame_is_there = select.recv(&frames);
/// let word_is_there = select.recv(&words);
/// let is_over = select.event(&stop);
/// let (mut frame_count, mut word_count) = (0, 0);
/// loop {
///     let ready = select.ready();
///     if ready == frame_is_there {
///         frame_count += usize::from(frames.try_recv().is_ok());
///         stop.set();
///     } else if ready == word_is_there {
///         match words.try_recv() {
///             Ok(_) => word_count += 1,
///             Err(TryRecvError::Disconnected) => select.remove(word_is_there),
///             Err(error) => return Err(error.into()),
///         }
///     } else if ready == is_over && word_count == 1 {
///         break;
///     }
/// }
/// assert_eq!((frame_count, word_count), (1, 1));
/// # Ok::<(), crossdock::Error>(())
/// ```
pub struct Select<'a> {
    /// By number; what has been removed leaves its number unused.
    operations: Vec<Option<Operation<'a>>>,
    /// The number to look at first.
    next: usize,
    /// What the last sleep was on, for its memory only.
    watched: Vec<Watched<'a>>,
}

#[derive(Clone, Copy)]
enum Operation<'a> {
    Channel(&'a dyn Waiting),
    Event(&'a Event),
}

impl<'a> Operation<'a> {
    fn is_ready(self) -> bool {
        match self {
            Self::Channel(channel) => channel.is_ready(),
            Self::Event(event) => event.is_set(),
        }
    }

    /// Announces a sleeper; `None` if the operation is ready.
    fn watch(self) -> Option<Watched<'a>> {
        match self {
            Self::Channel(channel) => Some(channel.core().watch(channel.end())),
            Self::Event(event) => event.watch(),
        }
    }

    fn is_same(self, other: Self) -> bool {
        match (self, other) {
            (Self::Channel(a), Self::Channel(b)) => {
                Arc::ptr_eq(a.core(), b.core()) && a.end() == b.end()
            }
            (Self::Event(a), Self::Event(b)) => std::ptr::eq(a, b),
            _ => false,
        }
    }

    /// Hands a wake-up on that may have been meant for somebody else. An event wakes everybody anyway.
    fn pass_on(self) {
        if let Self::Channel(channel) = self {
            channel.core().pass_on(channel.end());
        }
    }

    fn look_for_dead(self) {
        if let Self::Channel(channel) = self {
            channel.core().look_for_dead_now_and_then();
        }
    }
}

impl<'a> Select<'a> {
    /// Nothing to wait for yet.
    #[must_use]
    pub fn new() -> Self {
        Self { operations: Vec::new(), next: 0, watched: Vec::new() }
    }

    /// Adds a receive and returns its number. It is ready when there is a message, or every sender has gone.
    ///
    /// # Panics
    ///
    /// When there have been [`OPERATIONS_MAX`] operations already.
    pub fn recv(&mut self, receiver: &'a impl ReceivingEnd) -> usize {
        self.add(Operation::Channel(receiver))
    }

    /// Adds a send and returns its number. It is ready when there is room, or every receiver has gone.
    ///
    /// # Panics
    ///
    /// When there have been [`OPERATIONS_MAX`] operations already.
    pub fn send(&mut self, sender: &'a impl SendingEnd) -> usize {
        self.add(Operation::Channel(sender))
    }

    /// Adds the wait for an event and returns its number. It is ready while the event is set.
    ///
    /// # Panics
    ///
    /// When there have been [`OPERATIONS_MAX`] operations already.
    pub fn event(&mut self, event: &'a Event) -> usize {
        self.add(Operation::Event(event))
    }

    fn add(&mut self, operation: Operation<'a>) -> usize {
        let number = self.operations.len();
        assert!(number < OPERATIONS_MAX, "a select waits for at most {OPERATIONS_MAX} operations");
        self.operations.push(Some(operation));
        number
    }

    /// Takes an operation out. The others keep their numbers, and this one is not given again.
    ///
    /// # Panics
    ///
    /// When there is no operation of that number.
    pub fn remove(&mut self, number: usize) {
        let operation = self.operations.get_mut(number).and_then(Option::take);
        assert!(operation.is_some(), "there is no operation {number}");
    }

    /// Waits until an operation is ready and returns its number.
    ///
    /// # Panics
    ///
    /// When there is no operation: that would be a wait for ever.
    pub fn ready(&mut self) -> usize {
        assert!(self.operations.iter().any(Option::is_some), "there is nothing to wait for");
        loop {
            if let Some(number) = self.wait(None) {
                return number;
            }
        }
    }

    /// The number of an operation that is ready now.
    pub fn try_ready(&mut self) -> Option<usize> {
        let found = self.look();
        if found.is_none() {
            self.present().for_each(|(_, operation)| operation.look_for_dead());
        }
        found
    }

    /// Waits until an operation is ready and returns its number; `None` when none is within `timeout`.
    #[must_use = "time may have been up"]
    pub fn ready_timeout(&mut self, timeout: Duration) -> Option<usize> {
        self.wait(Some(Deadline::after(timeout)))
    }

    /// First spinning, then asleep in slices, after each of which the other sides are asked whether they
    /// live.
    fn wait(&mut self, deadline: Option<Deadline>) -> Option<usize> {
        let spins =
            if online_cpus() > 1 { SPINS_MAX / self.operations.len().max(1) } else { 0 }.max(1);
        loop {
            for _ in 0..spins {
                if let Some(number) = self.look() {
                    return Some(number);
                }
                std::hint::spin_loop();
            }
            self.watch_all();
            if let Some(number) = self.look() {
                return Some(number);
            }
            // Not only after a long sleep: others may keep waking this one, or its time be short.
            self.present().for_each(|(_, operation)| operation.look_for_dead());
            if deadline.is_some_and(Deadline::is_past) {
                // The look may have put right what was in the way.
                return self.look();
            }
            sleep_any(&self.watched, deadline);
            let found = self.look();
            self.pass_on(found);
            if found.is_some() {
                return found;
            }
        }
    }

    fn present(&self) -> impl Iterator<Item = (usize, Operation<'a>)> {
        let operations = self.operations.iter().enumerate();
        operations.filter_map(|(number, operation)| operation.map(|it| (number, it)))
    }

    /// An operation that is ready, looking first at the one after the last that was.
    fn look(&mut self) -> Option<usize> {
        let count = self.operations.len();
        let mut in_turn = (0..count).map(|step| (self.next + step) % count);
        let is_ready = |number: &usize| self.operations[*number].is_some_and(Operation::is_ready);
        let number = in_turn.find(is_ready)?;
        self.next = number + 1;
        Some(number)
    }

    /// Announces a sleeper on every word, on each once.
    fn watch_all(&mut self) {
        self.watched.clear();
        for (number, operation) in self.operations.iter().enumerate() {
            let Some(operation) = operation else { continue };
            let mut before = self.operations[..number].iter().flatten();
            if !before.any(|other| other.is_same(*operation)) {
                self.watched.extend(operation.watch());
            }
        }
    }

    /// The sleep may have used up wake-ups on all words; this process acts on one.
    fn pass_on(&self, found: Option<usize>) {
        let found = found.and_then(|number| self.operations[number]);
        for (_, operation) in self.present() {
            let is_acted_on = found.is_some_and(|found| found.is_same(operation));
            if !is_acted_on && operation.is_ready() {
                operation.pass_on();
            }
        }
    }
}

impl Default for Select<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select").field("operations", &self.present().count()).finish()
    }
}
