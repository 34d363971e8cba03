//! What a lock says when a former owner died or panicked, or when time is up.

use std::error::Error;
use std::fmt;

/// The lock is held, but a former owner died or panicked while it held it: what it protects may be half
/// changed.
///
/// The guard is in the error. Look at the data, put it right, then clear the poison, so that nobody is told
/// again.
///
/// # Examples
///
/// ```
/// use crossdock_core::sync::Mutex;
///
/// let queue = Mutex::new([0_u32; 8]);
/// let mut slots = queue.lock().unwrap_or_else(|poisoned| {
///     eprintln!("{poisoned}");
///     let mut slots = poisoned.into_inner();
///     slots.fill(0); // repair
///     queue.clear_poison();
///     slots
/// });
/// slots[0] = 1;
/// ```
pub struct PoisonError<G> {
    guard: G,
    owner_pid: Option<u32>,
}

/// A lock, poisoned or not.
pub type LockResult<G> = Result<G, PoisonError<G>>;

impl<G> PoisonError<G> {
    pub(super) fn new(guard: G, owner_pid: Option<u32>) -> Self {
        Self { guard, owner_pid }
    }

    /// The guard: the lock is held.
    pub fn into_inner(self) -> G {
        self.guard
    }

    /// The guard, by reference.
    pub fn get_ref(&self) -> &G {
        &self.guard
    }

    /// The guard, by mutable reference.
    pub fn get_mut(&mut self) -> &mut G {
        &mut self.guard
    }

    /// Process id of the owner that died or panicked, in its own pid namespace, as far as it is known. For
    /// people and logs: it can be lost, or another's, if a process dies while it takes over.
    pub fn owner_pid(&self) -> Option<u32> {
        self.owner_pid
    }

    pub(super) fn map<H>(self, change: impl FnOnce(G) -> H) -> PoisonError<H> {
        PoisonError { guard: change(self.guard), owner_pid: self.owner_pid }
    }
}

impl<G> fmt::Debug for PoisonError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoisonError").field("owner_pid", &self.owner_pid).finish_non_exhaustive()
    }
}

impl<G> fmt::Display for PoisonError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.owner_pid {
            Some(pid) => write!(f, "process {pid} died or panicked while it had the lock")?,
            None => f.write_str("a process died or panicked while it had the lock")?,
        }
        f.write_str(" (put the data right, then clear the poison)")
    }
}

impl<G> Error for PoisonError<G> {}

/// Why a lock was not to be had at once.
pub enum TryLockError<G> {
    /// It was, but a former owner died or panicked; the guard is inside.
    Poisoned(PoisonError<G>),
    /// Somebody who lives holds it.
    WouldBlock,
}

/// Why a lock was not to be had in time.
pub enum LockTimeoutError<G> {
    /// It was, but a former owner died or panicked; the guard is inside.
    Poisoned(PoisonError<G>),
    /// Somebody who lives held it, or several in turn.
    TimedOut {
        /// Process id of who held it in the end, if it is known; of a read-write lock, of who writes.
        owner_pid: Option<u32>,
    },
}

impl<G> fmt::Debug for TryLockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Poisoned(poisoned) => f.debug_tuple("Poisoned").field(poisoned).finish(),
            Self::WouldBlock => f.write_str("WouldBlock"),
        }
    }
}

impl<G> fmt::Display for TryLockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Poisoned(poisoned) => poisoned.fmt(f),
            Self::WouldBlock => f.write_str("the lock is held by somebody else"),
        }
    }
}

impl<G> Error for TryLockError<G> {}

impl<G> From<PoisonError<G>> for TryLockError<G> {
    fn from(poisoned: PoisonError<G>) -> Self {
        Self::Poisoned(poisoned)
    }
}

impl<G> fmt::Debug for LockTimeoutError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Poisoned(poisoned) => f.debug_tuple("Poisoned").field(poisoned).finish(),
            Self::TimedOut { owner_pid } => {
                f.debug_struct("TimedOut").field("owner_pid", owner_pid).finish()
            }
        }
    }
}

impl<G> fmt::Display for LockTimeoutError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Poisoned(poisoned) => poisoned.fmt(f),
            Self::TimedOut { owner_pid: Some(pid) } => {
                write!(f, "process {pid} held the lock for longer than allowed")
            }
            Self::TimedOut { owner_pid: None } => {
                f.write_str("the lock was held for longer than allowed")
            }
        }
    }
}

impl<G> Error for LockTimeoutError<G> {}

impl<G> From<PoisonError<G>> for LockTimeoutError<G> {
    fn from(poisoned: PoisonError<G>) -> Self {
        Self::Poisoned(poisoned)
    }
}
