//! What the arena of this process may take from the system, and how.

use crate::error::{Error, ErrorKind, Result, human};
use crate::trace;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

static CACHE_BYTES_MAX: AtomicU64 = AtomicU64::new(1 << 30);
static BYTES_MAX: AtomicU64 = AtomicU64::new(u64::MAX);
static IS_PREFAULTED: AtomicBool = AtomicBool::new(true);
static IS_HUGE: AtomicBool = AtomicBool::new(false);

pub(super) fn set_cache_max(bytes: u64) {
    CACHE_BYTES_MAX.store(bytes, Ordering::Relaxed);
}

/// Bytes of idle large chunks that are kept.
pub(super) fn cache_max() -> u64 {
    CACHE_BYTES_MAX.load(Ordering::Relaxed)
}

pub(super) fn set_max(bytes: u64) {
    BYTES_MAX.store(bytes, Ordering::Relaxed);
}

pub(super) fn set_prefault(is_prefaulted: bool) {
    IS_PREFAULTED.store(is_prefaulted, Ordering::Relaxed);
}

pub(super) fn is_prefaulted() -> bool {
    IS_PREFAULTED.load(Ordering::Relaxed)
}

pub(super) fn set_huge(is_huge: bool) {
    IS_HUGE.store(is_huge, Ordering::Relaxed);
}

pub(super) fn is_huge() -> bool {
    IS_HUGE.load(Ordering::Relaxed)
}

/// Whether an arena that has `reserved` bytes may take `more`; `held` says how many of them are in use.
pub(super) fn check(reserved: u64, more: u64, held: impl FnOnce() -> u64) -> Result<()> {
    let max = BYTES_MAX.load(Ordering::Relaxed);
    if reserved.checked_add(more).is_some_and(|bytes| bytes <= max) {
        return Ok(());
    }
    trace::memory_refused(more, reserved, max);
    let text = format!(
        "cannot take {} for arrays: this process may take {} (`arena::set_max_bytes`) and has {}, of \
         which {} are held (drop arrays, receive those that wait in channels, or raise the limit)",
        human(more),
        human(max),
        human(reserved),
        human(held())
    );
    Err(Error::new(ErrorKind::LimitExceeded, text))
}

/// Whether giving memory back may help.
pub(super) fn is_shortage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NoSpace | ErrorKind::LimitExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_no_sum_reaches_is_none() {
        assert!(check(u64::MAX - 1, 1, || 0).is_ok());
        assert_eq!(check(u64::MAX, 1, || 7).unwrap_err().kind(), ErrorKind::LimitExceeded);
    }
}
