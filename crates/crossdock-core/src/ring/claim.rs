//! A slot that a sender has to itself.

use super::slot::{CLAIMED, FREE, LAP_MASK, Slot, next_lap, word_of};
use crate::party::Party;
use std::sync::atomic::Ordering::{Relaxed, Release, SeqCst};

/// A slot that this process has claimed and not yet sent.
#[derive(Debug)]
#[must_use = "an unsent claim holds the queue up"]
pub struct Claim<'a> {
    pub(super) slot: Slot<'a>,
    pub(super) position: u64,
    pub(super) party: Party,
}

impl<'a> Claim<'a> {
    /// Claims a slot that is free, for `me`; `None` if somebody else was faster.
    #[inline]
    pub(super) fn new(slot: Slot<'a>, position: u64, party: Party) -> Option<Self> {
        let lap = position & LAP_MASK;
        let mine = word_of(lap, party, CLAIMED);
        // Sequentially consistent for a reader of a broadcast that is just coming.
        let exchanged = slot.claim.word.compare_exchange(lap | FREE, mine, SeqCst, Relaxed);
        exchanged.is_ok().then_some(Self { slot, position, party })
    }

    /// The slot can be claimed in the next lap.
    #[inline]
    pub(super) fn free(&self) {
        let free = next_lap(self.position & LAP_MASK) | FREE;
        self.slot.claim.word.store(free, Release);
    }
}
