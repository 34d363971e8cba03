//! Processes that run a function of this program.
//!
//! ```
//! use crossdock::process::{self, Process};
//!
//! fn total(numbers: Vec<u64>) -> u64 {
//!     numbers.iter().sum()
//! }
//!
//! fn main() -> crossdock::Result<()> {
//!     process::init(); // the first line of main
//!
//!     let handle = Process::spawn(total, vec![1, 2, 3])?;
//!     assert_eq!(handle.join()?, 6);
//!     Ok(())
//! }
//! ```
//!
//! # The first line of `main`
//!
//! A child is this program, started again: [`init`] sees that, runs the task, and never returns there. A program
//! that has not called it starts nothing, but gets an error that says so. Tests, and benchmarks with a
//! harness, have no `main` to write it in: [`init_before_main!`].
//!
//! # Which way to start
//!
//! | [`StartMethod`] | cost | the child has |
//! |---|---|---|
//! | `Spawn`, the default | that of starting this program | nothing of its parent's memory |
//! | `ForkServer` | that of a small `fork` | nothing of its parent's memory; environment, working directory and output of long ago |
//! | `Fork` | that of a `fork` of this process | a copy of everything; only from a process with one thread |
//!
//! # Tasks
//!
//! A task is a plain `fn` (an instance of a generic one as well), or a closure that captures nothing. Its
//! argument and its result are serde values of at most [`INLINE_BYTES_MAX`]: what is larger belongs into an
//! [`Array`](crate::Array).
//!
//! # When something goes wrong
//!
//! | what happens | what [`JoinHandle::join`] says |
//! |---|---|
//! | the task panics | [`ErrorKind::Panicked`](crate::ErrorKind::Panicked), with message, place and backtrace: [`Panic`] |
//! | its process is killed, or exits before the task returns | [`ErrorKind::Died`](crate::ErrorKind::Died), with the exit code or signal |
//! | this process is killed | the others go on, but those that are daemons are killed at once |
//! | the handle is dropped | the process goes on, and leaves no zombie |
//!
//! The stdin of a process is `/dev/null`.

mod envelope;
pub mod executor;
mod failure;
mod fork_server;
mod handle;
mod init;
mod link;
mod options;
mod reaper;
mod serve;
mod start;
mod task;
mod wire;

pub use crossdock_sys::before_main as __before_main;
pub use envelope::INLINE_BYTES_MAX;
pub use failure::Panic;
pub use handle::{JoinHandle, JoinTimeoutError};
pub use init::{__init_before_main, init, init_before_main};
pub use options::{Output, Process, ProcessOptions, StartMethod};
pub use serve::{is_child, name};

pub(crate) use reaper::thread as reaper_thread;
