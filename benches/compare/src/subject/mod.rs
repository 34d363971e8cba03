//! What is measured: ours, the floors below it and the rivals beside it.
//!
//! A subject is a function that takes a [`Place`] and plays one end of a pair until it is told to
//! quit. Adding one is one file here, one line in [`ROLES`] and one line in a measure.

pub(crate) mod crossbeam;
pub(crate) mod crossdock;
pub(crate) mod floor;
pub(crate) mod iceoryx2;
pub(crate) mod ipc_channel;
pub(crate) mod lock;
pub(crate) mod map;
pub(crate) mod memory;
pub(crate) mod pipe;
pub(crate) mod pool;
pub(crate) mod pthread;
pub(crate) mod python;
pub(crate) mod raw_sync;
pub(crate) mod record;
pub(crate) mod start;
pub(crate) mod values;

use crate::Result;
use crate::control::Control;
use crate::place::Place;

/// Plays one end of a pair in a process of its own.
type Role = fn(&Place, &mut Control) -> Result<()>;

const ROLES: &[(&str, Role)] = &[
    ("floor-spin", floor::spin),
    ("floor-spin-payload", floor::spin_payload),
    ("floor-futex", floor::futex),
    ("floor-carry", floor::carry),
    ("crossbeam-carry", crossbeam::carry),
    ("crossbeam-carry-awake", crossbeam::carry_awake),
    ("crossbeam-stream", crossbeam::stream),
    ("crossdock-awake", crossdock::awake),
    ("crossdock-asleep", crossdock::asleep),
    ("crossdock-moved", crossdock::moved),
    ("crossdock-handle", crossdock::handle),
    ("crossdock-carry", crossdock::carry),
    ("crossdock-carry-awake", crossdock::carry_awake),
    ("crossdock-fill", crossdock::fill),
    ("crossdock-stock", crossdock::stock),
    ("crossdock-stream", record::stream),
    ("crossdock-stream-handle", record::by_handle),
    ("iceoryx2-poll", iceoryx2::poll),
    ("iceoryx2-carry", iceoryx2::carry::awake),
    ("iceoryx2-stream", iceoryx2::stream::stream),
    ("iceoryx2-event", iceoryx2::event),
    ("iceoryx2-stock", iceoryx2::stock),
    ("ipc-channel-handle", ipc_channel::handle),
    ("ipc-channel-serde", ipc_channel::serde),
    ("ipc-channel-bytes", ipc_channel::bytes),
    ("ipc-channel-stream", ipc_channel::stream::stream),
    ("raw-sync-event", raw_sync::event),
    ("raw-sync-carry", raw_sync::carry),
    ("postcard-pipe", pipe::postcard),
    ("lock-futex", lock::futex_word),
    ("lock-futex-spin", lock::spinning_futex_word),
    ("lock-crossdock", lock::crossdock),
    ("lock-std", lock::std),
    ("lock-parking-lot", lock::parking_lot),
    ("lock-pthread", pthread::plain),
    ("lock-pthread-robust", pthread::robust),
    ("lock-raw-sync", raw_sync::mutex),
    ("memory-private", memory::private),
    ("memory-segment", memory::segment),
    ("process-starts", start::starts),
    ("pools", pool::pools),
    ("values", values::values),
    ("maps", map::maps),
];

/// Runs the role that `place` names.
pub(crate) fn serve(place: &Place, control: &mut Control) -> Result<()> {
    let (_, role) = ROLES
        .iter()
        .find(|(name, _)| *name == place.role)
        .ok_or_else(|| format!("there is no role {:?}", place.role))?;
    place.take()?;
    role(place, control)
}
