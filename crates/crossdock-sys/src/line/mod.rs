//! A line between two processes: packets of any length, with open files beside the bytes.
//!
//! A sender never waits for the other side to read what it has sent, and a packet arrives whole or not at
//! all, though its sender be killed.

mod linux;

pub(crate) use linux::await_any;
pub use linux::{FILES_MAX, Line, PACKET_BYTES_MAX, Packet};
