//! Sleeping on a word in shared memory: wait, wake one, wake all.
//!
//! The key is the page of the file, not the address, so processes that map the word at different
//! addresses, or read-only, meet.

mod linux;

pub use linux::{wait, wake_all, wake_one};
