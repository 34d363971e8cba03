//! Locks and meeting points that live in shared memory and outlive whoever holds them.
//!
//! Every type is `#[repr(C)]`, works at any address, in any number of processes and threads, as a value of
//! its own or as a field of another; all zeroes are its initial state unless it says otherwise.
//!
//! | module | what it is |
//! |---|---|
//! | `word` | the word of a lock: owner, poison, waiters |
//! | `mutex`, `reentrant` | one at a time |
//! | `rwlock` | many readers or one writer |
//! | `condvar` | wait until what a mutex protects has changed |
//! | `semaphore` | so many at a time |
//! | `event` | wait until somebody says so |
//! | `barrier` | wait until all are here |
//! | `once` | do it once |
//! | `poison` | what a lock says of a dead owner |
//! | `slice` | the bounded sleep of all of them |

mod mutex;
mod poison;
mod slice;
mod word;

pub use mutex::{Mutex, MutexGuard};
pub use poison::{LockResult, LockTimeoutError, PoisonError, TryLockError};
