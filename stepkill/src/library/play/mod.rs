//! The parts of the library, one file each: who dies of what, who goes on, and what must be true then.

mod array;
mod batch;
mod block;
mod broadcast;
mod channel;
mod delivery;
mod fan_out;
mod latest;
mod list;
mod map;
mod reaper;
mod recv;
mod send;
mod traffic;

use super::case::Case;

/// A part of the library and its situations.
pub(crate) struct Play {
    pub(crate) name: &'static str,
    pub(crate) cases: Vec<Case>,
}

/// All parts.
pub(crate) fn all() -> Vec<Play> {
    vec![
        send::play(),
        recv::play(),
        batch::play(),
        broadcast::play(),
        latest::play(),
        delivery::play(),
        array::play(),
        channel::play(),
        reaper::play(),
        block::play(),
        map::play(),
        list::play(),
    ]
}
