//! The rows of those who read from a broadcast or from a latest-value cell.

use crate::party::Party;
use crate::primitive::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// Readers that a ring can have; few in a model, where each row is many schedules.
pub const READERS_MAX: usize = if cfg!(loom) { 2 } else { 60 };

/// One reader's row.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Reader {
    /// The number of its party plus one; 0 if the row is free.
    pub(super) owner: AtomicU64,
    /// The message that it reads next. For those who look on.
    pub(super) position: AtomicU64,
    /// Messages that were dropped before it had seen them.
    pub(super) lost: AtomicU64,
}

/// All readers of a ring.
#[repr(C, align(128))]
#[derive(Debug)]
pub struct Readers {
    /// A bit for each reader that messages are for.
    pub(super) active: AtomicU64,
    pub(super) rows: [Reader; READERS_MAX],
}

impl Readers {
    /// No readers, for memory that is not shared (tests, models).
    #[must_use]
    pub fn new() -> Self {
        let row = |_| Reader {
            owner: AtomicU64::new(0),
            position: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        };
        Self { active: AtomicU64::new(0), rows: std::array::from_fn(row) }
    }

    pub(super) fn take_row(&self, me: Party) -> Option<usize> {
        let mine = me.index() as u64 + 1;
        self.rows
            .iter()
            .position(|row| row.owner.compare_exchange(0, mine, AcqRel, Relaxed).is_ok())
    }

    pub(super) fn free_row(&self, row: usize) {
        self.rows[row].owner.store(0, Release);
    }

    pub(super) fn row_of(&self, party: Party) -> Option<usize> {
        self.rows.iter().position(|row| owner(row) == Some(party))
    }

    pub(super) fn owners(&self) -> impl Iterator<Item = Party> {
        self.rows.iter().filter_map(owner)
    }
}

impl Default for Readers {
    fn default() -> Self {
        Self::new()
    }
}

/// Whose row it is, if anybody's.
pub(super) fn owner(row: &Reader) -> Option<Party> {
    let number = row.owner.load(Acquire).checked_sub(1)?;
    Party::new(usize::try_from(number).ok()?)
}
