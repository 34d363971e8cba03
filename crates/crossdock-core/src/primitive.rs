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
mod model {
    pub(crate) use loom::hint::spin_loop;
    pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, fence};

    pub(crate) use crossdock_sys::clock::Deadline;

    /// A sleep in a model is a yield: every bounded sleep ends, so a model that hangs has lost a
    /// wake-up that the real slices would only delay.
    pub(crate) fn wait(_word: &AtomicU32, _expected: u32, _deadline: Deadline) {
        loom::thread::yield_now();
    }

    pub(crate) fn wake_one(_word: &AtomicU32) -> bool {
        true
    }

    pub(crate) fn wake_all(_word: &AtomicU32) -> bool {
        true
    }
}

#[cfg(loom)]
pub(crate) use model::*;
#[cfg(not(loom))]
pub(crate) use real::*;
