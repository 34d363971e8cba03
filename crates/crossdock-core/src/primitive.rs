//! The seam between the machine and the model checker: atomics, waiting and spinning, from std and
//! the kernel in a real build, from loom in a model.

#[cfg(not(loom))]
mod real {
    pub(crate) use std::hint::spin_loop;
    pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, fence};

    pub(crate) use crossdock_sys::clock::Deadline;
    pub(crate) use crossdock_sys::wait::{wait, wake_all, wake_one};
}

#[cfg(loom)]
pub mod model;

#[cfg(loom)]
pub(crate) use model::*;
#[cfg(not(loom))]
pub(crate) use real::*;
