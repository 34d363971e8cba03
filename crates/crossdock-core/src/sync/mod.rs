//! Locks and meeting points that live in shared memory and outlive whoever holds them.
//!
//! Every type is `#[repr(C)]`, works at any address, in any number of processes and threads, as a value of
//! its own or as a field of another; all zeroes are its initial state (of a [`Barrier`]: for one participant).
//!
//! | module | what it is |
//! |---|---|
//! | `word`, `rwword`, `readers` | the words of the locks: owner, poison, waiters, readers |
//! | `mutex`, `reentrant` | one at a time |
//! | `rwlock` | many readers or one writer |
//! | `condvar` | wait until what a mutex protects has changed |
//! | `semaphore` | so many at a time |
//! | `event` | wait until somebody says so |
//! | `barrier` | wait until all are here |
//! | `once` | do it once |
//! | `poison` | what a lock says of a dead owner |
//! | `raw` | the locks for the `lock_api` crate |
//! | `slice` | the bounded sleep of all of them |

mod barrier;
mod condvar;
mod event;
mod mutex;
mod once;
mod poison;
#[cfg(all(feature = "lock_api", not(loom)))]
mod raw;
mod readers;
mod reentrant;
mod rwlock;
mod rwword;
mod semaphore;
mod slice;
mod word;

pub use barrier::{Barrier, BarrierError, BarrierWaitResult};
pub use condvar::{Condvar, WaitTimeoutResult};
pub use event::Event;
pub use mutex::{Mutex, MutexGuard};
pub use once::{Once, OnceState};
pub use poison::{LockResult, LockTimeoutError, PoisonError, TryLockError};
#[cfg(all(feature = "lock_api", not(loom)))]
pub use raw::{Held, RawMutex, RawRwLock};
pub use reentrant::{ReentrantMutex, ReentrantMutexGuard};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{Permit, Semaphore, TooManyPermits};
