//! The word of a slot that says who has yet to see its message: a bit for each reader, and the end of the lap.

use super::readers::READERS_MAX;
use super::slot::{HOLE, INDEX_BITS, INDEX_MASK, LAP_MASK, READY, STATE_MASK, Slot, next_lap};
use crate::primitive::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// The bits of an unseen word that are readers; the others are the lap's.
pub(super) const READERS: u64 = (1 << TAG_SHIFT) - 1;
const TAG_SHIFT: u32 = 60;
/// Laps in a row that have different tags.
const TAGS: u64 = 1 << (u64::BITS - TAG_SHIFT);
const _: () = assert!(READERS_MAX <= TAG_SHIFT as usize);

/// How the lap of a word stands to a position's.
pub(super) enum Lap {
    Before,
    Same,
    After,
}

#[inline]
pub(super) fn relation(word: u64, lap: u64) -> Lap {
    match word.wrapping_sub(lap) {
        0 => Lap::Same,
        ahead if ahead < 1 << 63 => Lap::After,
        _ => Lap::Before,
    }
}

/// The position that had this slot in the lap before.
#[inline]
pub(super) fn a_lap_before(position: u64) -> u64 {
    (position & INDEX_MASK) | (position & LAP_MASK).wrapping_sub(next_lap(0))
}

/// The word of a slot that says who has yet to see its message.
#[inline]
pub(super) fn unseen(slot: Slot<'_>) -> &AtomicU64 {
    &slot.take.word
}

#[inline]
pub(super) fn is_unseen(slot: Slot<'_>) -> bool {
    unseen(slot).load(Acquire) & READERS != 0
}

/// What stands beside the bits of the lap of a position or word.
#[inline]
pub(super) fn tag(word: u64) -> u64 {
    (word >> INDEX_BITS) << TAG_SHIFT
}

/// Clears bits of the message with this word. `None` if that is no longer there or has none of the bits,
/// otherwise the bits that are left.
#[inline]
pub(super) fn see(slot: Slot<'_>, word: u64, bits: u64) -> Option<u64> {
    let mut now = unseen(slot).load(Acquire);
    loop {
        if now & bits == 0 || now & !READERS != tag(word) {
            return None;
        }
        match unseen(slot).compare_exchange_weak(now, now & !bits, AcqRel, Acquire) {
            Ok(_) => break,
            Err(changed) => now = changed,
        }
    }
    // If it is that long ago, these may have been the bits of a later message.
    let next = slot.message.word.load(Relaxed);
    let laps = (next & LAP_MASK).wrapping_sub(word & LAP_MASK) >> INDEX_BITS;
    (laps < TAGS).then_some(now & READERS & !bits)
}

/// Whether a message has been sent, or will not be, and has none of these bits.
pub(super) fn is_over(slot: Slot<'_>, position: u64, bits: u64) -> bool {
    let word = slot.message.word.load(Acquire);
    let is_for_them = unseen(slot).load(Acquire) & bits != 0;
    match relation(word & LAP_MASK, position & LAP_MASK) {
        Lap::Before => false,
        Lap::Same => matches!(word & STATE_MASK, READY | HOLE) && !is_for_them,
        Lap::After => true,
    }
}
