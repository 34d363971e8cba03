//! The seam between the machine and the model checker: atomics, waiting and spinning, from std and
//! the kernel in a real build, from loom in a model.

#[cfg(not(loom))]
mod real {
    pub(crate) use std::hint::spin_loop;
    pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, fence};

    pub(crate) use crossdock_sys::clock::Deadline;
    pub(crate) use crossdock_sys::cpu::{online_cpus, prefetch_read, prefetch_write};
    pub(crate) use crossdock_sys::wait::{wait, wait_any, wake_all, wake_one};

    use crate::owner::{Owner, Registry};
    use crossdock_sys::fork::IDENTITY;
    use std::sync::atomic::Ordering::{Acquire, Release};

    /// Whether hints about what will be needed are worth the loads that they take.
    pub(crate) const HAS_CACHES: bool = true;

    /// Who this process is, 0 if it does not know.
    #[inline]
    pub(crate) fn identity() -> u32 {
        IDENTITY.load(Acquire)
    }

    pub(crate) fn set_identity(word: u32) {
        IDENTITY.store(word, Release);
    }

    pub(crate) fn is_dead(owner: Owner, registry: Option<&dyn Registry>) -> bool {
        registry.is_some_and(|registry| registry.is_dead(owner))
    }
}

#[cfg(loom)]
pub mod model;

#[cfg(loom)]
pub(crate) use model::*;
#[cfg(not(loom))]
pub(crate) use real::*;
