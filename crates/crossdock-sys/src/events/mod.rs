//! Waiting for any of many files.

mod linux;

pub use linux::Events;
