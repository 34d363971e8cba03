//! Dying with the process that one works for.

mod linux;

pub use linux::{cut, tie};
