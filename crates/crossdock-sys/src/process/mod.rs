//! Who a process is, and whether it still lives.

mod linux;

pub use linux::{ProcessId, Watch};

/// What can be said of another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It runs, or may still run.
    Alive,
    /// It will never run another instruction.
    Dead,
    /// It belongs to a pid namespace that this process cannot look into; treat it as alive.
    Unknown,
}
