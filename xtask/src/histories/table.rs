//! What the judge and the workers share: the objects, and what was asked of them.

use super::object::{Call, PERMITS};
use super::{OPERATIONS, WORKERS};
use crossdock::sync::{Event, Mutex, Once, RwLock, Semaphore};
use crossdock::{Atomic, ShmSafe};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::time::Duration;

/// Name of the value through which judge and workers talk.
pub(crate) const CONTROL: &str = "control";

/// Name of the episodes of a round.
pub(crate) fn round_name(round: u64) -> String {
    format!("round-{round}")
}

/// How judge and workers talk.
#[derive(ShmSafe, Debug, Default)]
#[repr(C)]
pub(crate) struct Control {
    /// The round that is being played; 0 before the first.
    pub(crate) round: Atomic<u64>,
    /// The last round in which a worker was killed.
    pub(crate) lost: Atomic<u64>,
    /// Whether the workers are to leave.
    pub(crate) is_over: Atomic<u32>,
    pub(crate) seats: [Seat; WORKERS],
}

/// What one worker says.
#[derive(ShmSafe, Debug, Default)]
#[repr(C)]
pub(crate) struct Seat {
    /// The life in which the worker waits for its first round.
    pub(crate) ready: Atomic<u64>,
    /// The last round that the worker has played to the end.
    pub(crate) done: Atomic<u64>,
    /// Operations that the worker has begun in its round.
    pub(crate) steps: Atomic<u64>,
    /// Poisoned objects that workers in this seat have put right.
    pub(crate) repairs: Atomic<u64>,
}

/// One of each object, of which the workers use one, and what they did.
#[derive(ShmSafe)]
#[repr(C)]
pub(crate) struct Episode {
    /// Index into `OBJECTS`.
    pub(crate) object: u32,
    /// Index of the queue or cell, if the workers use one.
    pub(crate) channel: u32,
    /// Whether the workers take their time, because one of them is to be killed.
    pub(crate) is_slow: u32,
    /// Workers that have come to the group that begins with this episode.
    pub(crate) arrived: Atomic<u32>,
    /// Gives every invocation and every response a time of its own.
    clock: Atomic<u64>,
    pub(crate) fifo: Mutex<Fifo>,
    pub(crate) pair: RwLock<Pair>,
    pub(crate) permits: Semaphore<PERMITS>,
    pub(crate) event: Event,
    pub(crate) once: Once,
    records: [[Record; OPERATIONS]; WORKERS],
}

/// A queue of which every operation is one store of `ends`: a worker that is killed before it has pushed or
/// popped nothing, and one that is killed after it has nothing left to do. So there is nothing to repair.
#[derive(ShmSafe, Debug, Default)]
#[repr(C)]
pub(crate) struct Fifo {
    /// Items popped ever, in the low bits, and pushed ever.
    pub(crate) ends: Atomic<u64>,
    pub(crate) items: [Atomic<u32>; super::object::CAPACITY],
}

/// Two numbers, the left one written first. A worker that is killed in between leaves them different; the
/// repair is to copy the left one, so that the killed write happens when it is repaired.
#[derive(ShmSafe, Debug, Default)]
#[repr(C)]
pub(crate) struct Pair {
    pub(crate) left: Atomic<u32>,
    pub(crate) right: Atomic<u32>,
}

/// One operation of one worker. Times begin at 1; 0 is not yet.
#[derive(ShmSafe, Debug, Default)]
#[repr(C)]
pub(crate) struct Record {
    call: Atomic<u64>,
    reply: Atomic<u64>,
    from: Atomic<u64>,
    to: Atomic<u64>,
}

/// An operation that was begun: its call, if that can be read, its reply, its times.
pub(crate) type Noted = (Option<Call>, u64, u64, u64);

impl Episode {
    pub(crate) fn new(object: u32, channel: u32, is_slow: bool) -> Self {
        Self {
            object,
            channel,
            is_slow: u32::from(is_slow),
            arrived: Atomic::new(0),
            clock: Atomic::new(1),
            fifo: Mutex::default(),
            pair: RwLock::default(),
            permits: Semaphore::bounded_with_room(PERMITS),
            event: Event::new(),
            once: Once::new(),
            records: Default::default(),
        }
    }

    /// The next time.
    pub(crate) fn tick(&self) -> u64 {
        self.clock.fetch_add(1, SeqCst)
    }

    /// Notes that an operation begins, before anything of it happens.
    pub(crate) fn begin(&self, worker: usize, step: usize, call: Call) {
        let record = &self.records[worker][step];
        record.call.store(call.to_word(), Relaxed);
        // Nothing of the operation may be done before this store: one that nobody has noted and that
        // had an effect would be taken for a fault of the object.
        record.from.store(self.tick(), SeqCst);
    }

    /// Notes that an operation has ended.
    pub(crate) fn end(&self, worker: usize, step: usize, reply: u64) {
        let record = &self.records[worker][step];
        record.reply.store(reply, Relaxed);
        record.to.store(self.tick(), Release);
    }

    /// The operations that a worker has begun.
    pub(crate) fn noted(&self, worker: usize) -> impl Iterator<Item = Noted> {
        self.records[worker].iter().map_while(|record| {
            let (to, from) = (record.to.load(Acquire), record.from.load(Acquire));
            let call = Call::from_word(record.call.load(Relaxed));
            (from != 0).then(|| (call, record.reply.load(Relaxed), from, to))
        })
    }
}

/// Waits in a loop for something that comes soon: gives the processor to the others, who bring it.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    turns: u32,
}

/// Turns before a wait gets slower: what comes that late waits for a time slice, or for a lock whose owner
/// was killed.
const TURNS_QUICK: u32 = 500;

impl Patience {
    pub(crate) fn turn(&mut self) {
        self.turns = self.turns.saturating_add(1);
        if self.turns < TURNS_QUICK {
            std::thread::yield_now();
        } else {
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}
