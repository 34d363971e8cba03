//! Sleeping on words in shared memory: wait for one or for any of several, wake one, wake all.
//!
//! The key is the page of the file, not the address, so processes that map the word at different
//! addresses, or read-only, meet.

mod linux;

pub use linux::{WAIT_WORDS_MAX, wait, wait_any, wake_all, wake_one};
