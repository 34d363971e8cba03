//! A byte of a file that one process holds until it ends: a sign of life that is seen from every pid
//! namespace.
//!
//! Where a process cannot be looked up by its pid, whether it lives is asked of the lock that it holds.
//! The kernel drops the lock when the last thread of the process has gone, or replaces its program by
//! `exec`; until then no thread of it runs another instruction.
//!
//! A byte can be shared as well, by all who use a file: then who only looks on can ask whether anybody does, and takes
//! nothing for that.

mod linux;

pub use linux::{Token, is_any_held, is_held, share, unshare};
