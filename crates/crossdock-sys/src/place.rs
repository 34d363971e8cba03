//! A processor for each of two processes that poll.
//!
//! On a busy machine the scheduler may leave both on one, where each waits for the other's turn.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::fs;

/// Two processors that this process may use, of different cores if possible; `None` if it has one.
#[must_use]
pub fn pair() -> Option<[usize; 2]> {
    let allowed = sched_getaffinity(None).ok()?;
    let allowed: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
    // Not the first one, which is the one that serves devices.
    let (last, others) = allowed.split_last()?;
    let siblings = siblings(*last);
    let other = others.iter().rfind(|cpu| !siblings.contains(cpu)).or(others.last())?;
    Some([*last, *other])
}

/// The processors of the same core, as far as the kernel tells.
fn siblings(cpu: usize) -> Vec<usize> {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    parse(&fs::read_to_string(path).unwrap_or_default())
}

/// `0,64` or `2-3`.
fn parse(list: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    list.trim().split(',').filter_map(range).flatten().collect()
}

/// This thread, bound to one processor until dropped.
#[derive(Debug)]
#[must_use = "the thread is free again when this is dropped"]
pub struct Bound {
    before: Option<CpuSet>,
}

impl Bound {
    /// Binds it. If the system refuses, things only take longer.
    pub fn to(cpu: usize) -> Self {
        let mut set = CpuSet::new();
        set.set(cpu);
        let before = sched_getaffinity(None).ok();
        Self { before: before.filter(|_| sched_setaffinity(None, &set).is_ok()) }
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = sched_setaffinity(None, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors_are_understood() {
        assert_eq!(parse("0,64\n"), [0, 64]);
        assert_eq!(parse("2-4"), [2, 3, 4]);
        assert_eq!(parse(""), [0; 0]);
    }

    #[test]
    fn a_bound_thread_is_free_again_afterwards() {
        let Some([first, second]) = pair() else { return };
        assert_ne!(first, second);
        let before = sched_getaffinity(None).unwrap();
        let bound = Bound::to(first);
        assert_eq!(sched_getaffinity(None).unwrap().count(), 1);
        drop(bound);
        assert_eq!(sched_getaffinity(None).unwrap(), before);
    }
}
