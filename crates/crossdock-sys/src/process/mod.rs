//! Who a process is, and whether it still lives.

mod linux;

pub use linux::{ProcessId, Watch, resident_bytes};

/// What can be said of another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It runs, or may still run.
    Alive,
    /// It will never run another instruction.
    Dead,
    /// It belongs to another pid namespace, where it cannot be looked up: ask its [token](crate::token).
    Elsewhere,
    /// It could not be looked up now (no descriptor left, no `/proc`): treat it as alive.
    Unknown,
}
