//! What the workers of `locks` share, in one value a primitive.

use crossdock::sync::{Barrier, Condvar, Event, Mutex, Once, ReentrantMutex, RwLock, Semaphore};
use crossdock::{Atomic, ShmSafe};

/// Two numbers that are equal whenever nobody is in the middle of changing them.
#[derive(Clone, Copy, Debug, Default, ShmSafe)]
#[repr(C)]
pub(super) struct Pair {
    pub(super) first: u64,
    pub(super) second: u64,
}

/// The same for a lock that gives out shared references.
#[derive(Debug, Default, ShmSafe)]
#[repr(C)]
pub(super) struct AtomicPair {
    pub(super) first: Atomic<u64>,
    pub(super) second: Atomic<u64>,
}

/// Letters that are put in and taken out.
#[derive(Clone, Copy, Debug, Default, ShmSafe)]
#[repr(C)]
pub(super) struct Letters {
    pub(super) put: u64,
    pub(super) taken: u64,
    /// When there came to be one, in nanoseconds.
    pub(super) since_ns: u64,
}

#[derive(Debug, ShmSafe)]
#[repr(C)]
pub(super) struct Inbox {
    pub(super) changed: Condvar,
    pub(super) letters: Mutex<Letters>,
}

/// Permits, and who uses what each stands for.
pub(super) const PERMITS: usize = 2;

#[derive(Debug, ShmSafe)]
#[repr(C)]
pub(super) struct Places {
    pub(super) permits: Semaphore,
    /// A life's own number while it uses the place, else 0.
    pub(super) users: [Atomic<u64>; PERMITS],
}

/// An event, and how often it was set.
#[derive(Debug, ShmSafe)]
#[repr(C)]
pub(super) struct Signpost {
    pub(super) event: Event,
    pub(super) set: Atomic<u64>,
}

/// A barrier, and how often each participant has passed since the last reset.
#[derive(Debug, ShmSafe)]
#[repr(C)]
pub(super) struct Meeting {
    pub(super) barrier: Barrier,
    pub(super) leaders: Atomic<u64>,
    pub(super) passed: Atomic<u64>,
}

/// Something that is to be done once, and how often it was begun and ended.
#[derive(Debug, ShmSafe)]
#[repr(C)]
pub(super) struct Task {
    pub(super) once: Once,
    pub(super) begun: Atomic<u64>,
    pub(super) ended: Atomic<u64>,
    pub(super) poisoned: Atomic<u64>,
}

pub(super) type Plain = Mutex<Pair>;
pub(super) type Shared = RwLock<Pair>;
pub(super) type Nested = ReentrantMutex<AtomicPair>;
