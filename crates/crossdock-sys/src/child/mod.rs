//! A process that this one has started: signals that cannot hit another one, its end, its last word.

mod linux;

pub use linux::{
    Child, Forked, Interrupts, Last, discard, exit_now, flush, fork, has_any_ended, heed_children,
    heed_interrupts, hold_interrupts, ignore_pipe_signal, out_of_files, rename, thread_count,
    thread_id,
};

/// What a process can be told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// To end, in its own way: `SIGTERM`.
    Terminate,
    /// To end at once: `SIGKILL`.
    Kill,
}
