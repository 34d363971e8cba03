//! What happens on cold paths, as events of the `tracing` crate; nothing at all without the feature of that name.
//!
//! One function is one event: its text, how loud it is and what its fields are called stands here and nowhere else.
//! Fields have the names of OpenTelemetry's semantic conventions where there is one (`process.pid`, `error.type`,
//! `messaging.destination.name`), and begin with `crossdock.` where there is none.
//!
//! What is done under the directory's lock is told when that has been let go of ([`HouseLock::afterwards`]), and what is
//! done at the end of the process is not told: of what a subscriber needs, a part has gone by then.
//!
//! [`HouseLock::afterwards`]: crate::namespace::HouseLock::afterwards
#![cfg_attr(
    not(feature = "tracing"),
    expect(unused_variables, reason = "without the feature nobody hears of it")
)]

use crate::error::Error;
use crossdock_core::layout::Remains;
use std::fmt;
#[cfg(feature = "tracing")]
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the process is ending.
#[cfg(feature = "tracing")]
static IS_OVER: AtomicBool = AtomicBool::new(false);

/// Nothing more is told from now on: the process ends.
pub(crate) fn end() {
    #[cfg(feature = "tracing")]
    IS_OVER.store(true, Ordering::Relaxed);
}

/// An event, with its fields before its text as `tracing` wants it.
macro_rules! event {
    ($level:ident, $($fields_and_text:tt)+) => {
        #[cfg(feature = "tracing")]
        if !IS_OVER.load(Ordering::Relaxed) {
            tracing::event!(target: "crossdock", tracing::Level::$level, $($fields_and_text)+);
        }
    };
}

pub(crate) fn channel_created(name: &str, kind: &str, capacity: usize) {
    event!(
        DEBUG,
        messaging.destination.name = name,
        crossdock.kind = kind,
        crossdock.capacity = capacity,
        "channel created"
    );
}

pub(crate) fn channel_opened(name: &str, kind: &str) {
    event!(DEBUG, messaging.destination.name = name, crossdock.kind = kind, "channel opened");
}

/// The first handle of an end in this process.
pub(crate) fn channel_joined(name: &str, end: impl fmt::Debug) {
    event!(DEBUG, messaging.destination.name = name, crossdock.end = ?end, "channel joined");
}

/// The last handle of an end in this process.
pub(crate) fn channel_left(name: &str, end: impl fmt::Debug) {
    event!(DEBUG, messaging.destination.name = name, crossdock.end = ?end, "channel left");
}

pub(crate) fn message_refused(name: &str, error: &Error) {
    event!(
        ERROR,
        messaging.destination.name = name,
        error.type = ?error.kind(),
        error.message = %error,
        "message cannot be received"
    );
}

/// Somebody who waits at a channel has found others dead there, a slice of sleep after they could have been.
pub(crate) fn wait_held_up(name: &str, dead: usize) {
    event!(
        WARN,
        messaging.destination.name = name,
        crossdock.dead = dead,
        "dead processes found while waiting"
    );
}

pub(crate) fn lock_owner_died(party: usize) {
    event!(WARN, crossdock.party = party, "owner of a lock found dead");
}

pub(crate) fn process_died(pid: Option<u32>, party: usize) {
    event!(WARN, process.pid = pid, crossdock.party = party, "process found dead");
}

/// What all of those who died have left, and how many arenas nobody owns now.
pub(crate) fn dead_reaped(dead: usize, remains: &Remains, holds: u64, arenas: usize) {
    event!(
        WARN,
        crossdock.dead = dead,
        crossdock.unsent = remains.unsent,
        crossdock.lost = remains.lost,
        crossdock.returned = remains.returned,
        crossdock.dead_letters = remains.dead_letters,
        crossdock.holds = holds,
        crossdock.arenas = arenas,
        "what the dead left is put right"
    );
}

pub(crate) fn directory_joined(party: usize) {
    event!(DEBUG, crossdock.party = party, "directory of names joined");
}

pub(crate) fn name_created(name: &str, kind: impl fmt::Display, bytes: u64) {
    event!(
        DEBUG,
        crossdock.name = name,
        crossdock.kind = %kind,
        crossdock.bytes = bytes,
        "name created"
    );
}

pub(crate) fn name_removed(name: &str, kind: impl fmt::Display) {
    event!(DEBUG, crossdock.name = name, crossdock.kind = %kind, "name removed");
}

/// All who used the name have died.
pub(crate) fn name_reclaimed(name: &str, kind: impl fmt::Display) {
    event!(INFO, crossdock.name = name, crossdock.kind = %kind, "name of dead users reclaimed");
}

/// A task has failed whose future nobody has, or nobody has asked.
#[cfg(feature = "process")]
pub(crate) fn failure_unclaimed(error: &Error) {
    event!(
        WARN,
        error.type = ?error.kind(),
        error.message = %error,
        "task failed, and nobody asks"
    );
}

/// A worker of a pool has ended before its time; another one takes its place.
#[cfg(feature = "process")]
pub(crate) fn worker_lost(pool: &str, seat: usize, error: &Error) {
    event!(
        WARN,
        crossdock.pool = pool,
        crossdock.seat = seat,
        error.type = ?error.kind(),
        error.message = %error,
        "worker of a pool lost"
    );
}

pub(crate) fn region_created(party: usize, region: u32, bytes: u64, is_huge: bool) {
    event!(
        DEBUG,
        crossdock.party = party,
        crossdock.region = region,
        crossdock.bytes = bytes,
        crossdock.huge_pages = is_huge,
        "region created"
    );
}

/// A region of another process is seen here from now on.
pub(crate) fn region_mapped(party: usize, region: u32, bytes: u64) {
    event!(
        DEBUG,
        crossdock.party = party,
        crossdock.region = region,
        crossdock.bytes = bytes,
        "region mapped"
    );
}

pub(crate) fn region_dropped(party: usize, region: u32) {
    event!(DEBUG, crossdock.party = party, crossdock.region = region, "region dropped");
}

pub(crate) fn memory_refused(wanted: u64, reserved: u64, max: u64) {
    event!(
        WARN,
        crossdock.bytes = wanted,
        crossdock.reserved_bytes = reserved,
        crossdock.bytes_max = max,
        "limit of memory for arrays met"
    );
}
