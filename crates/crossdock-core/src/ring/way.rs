//! Whether a sender would get a slot, without claiming one.

use super::Refused;
use super::slot::{Cursor, FREE, LAP_MASK, Slot, next_lap, worker};
use super::slots::{Room, Slots};
use std::sync::atomic::Ordering::Acquire;

/// Why no slot could be claimed now, if so: what [`Slots::claim`] would say, which changes what it finds on its way.
///
/// Like that, it goes over slots whose senders have not moved the tail on yet, and over those that are to stay as they
/// are. `room` says what there is in a slot that no sender is at work in.
pub(super) fn in_the_way(
    slots: &Slots<'_>,
    tail: &Cursor,
    room: impl Fn(Slot<'_>, u64) -> Room,
) -> Option<Refused> {
    let mut position = tail.position.load(Acquire);
    for _ in 0..=slots.count() {
        let slot = slots.at(position)?;
        let lap = position & LAP_MASK;
        let word = slot.claim.word.load(Acquire);
        if word == lap | FREE {
            match room(slot, position) {
                Room::Free | Room::Moving => return None,
                Room::Full(party) => return Some(Refused::Full(party)),
                Room::Taken => {}
            }
        } else if word & LAP_MASK != lap && word & LAP_MASK != next_lap(lap) {
            return Some(Refused::Full(worker(word)));
        }
        position = slots.after(position);
    }
    // Everything has moved meanwhile.
    None
}
