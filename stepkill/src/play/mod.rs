//! The primitives, one file each: an object, the situations, who survives and what must be true then.

pub(crate) mod barrier;
pub(crate) mod condvar;
mod data;
pub(crate) mod event;
pub(crate) mod mutex;
pub(crate) mod once;
pub(crate) mod reentrant;
pub(crate) mod rwlock;
pub(crate) mod semaphore;
