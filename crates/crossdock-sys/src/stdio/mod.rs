//! The three standard streams of a process, and files that exist in memory only.

mod linux;

pub use linux::{memory_file, set_stderr, set_stdout, take_stdin};
