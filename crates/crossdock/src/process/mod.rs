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
//! [`Array`](crate::Array), which travels as a handle.
//!
//! | in an argument or a result, anywhere in it | what travels |
//! |---|---|
//! | [`Array`](crate::Array), [`AnyArray`](crate::AnyArray) | a handle: all read the same memory |
//! | [`ArrayMut`](crate::ArrayMut) | a handle that changes hands: the other one may write, and gives it back as a result |
//! | [`Value`](crate::Value), and the locks in it; an `Array` under a name | its name: opened where it arrives |
//! | the ends of [channels](crate::channel) | the name of the channel: another handle on it |
//! | [`Error`](crate::Error) | itself: a task can return a [`Result`](crate::Result) |
//!
//! At most 8 arrays travel in one value (7 if there are more than 248 other bytes). A value that is sent owns its
//! `ArrayMut`s: one behind an `Arc` or a reference is an error if anybody else has it.
//!
//! ```
//! use crossdock::process::{self, Process};
//! use crossdock::{Array, ArrayMut};
//!
//! fn blur((image, mut rows, first): (Array<f32>, ArrayMut<f32>, usize)) -> ArrayMut<f32> {
//!     for (i, pixel) in rows.iter_mut().enumerate() {
//!         let at = first * 1000 + i;
//!         *pixel = (image[at.saturating_sub(1)] + image[at]) / 2.0;
//!     }
//!     rows
//! }
//!
//! fn main() -> crossdock::Result<()> {
//!     process::init();
//!
//!     let image = Array::from_fn([100, 1000], |i| i as f32)?;
//!     let (upper, lower) = ArrayMut::uninit([100, 1000])?.split_at(50);
//!     let upper = Process::spawn(blur, (image.clone(), upper, 0))?;
//!     let lower = Process::spawn(blur, (image, lower, 50))?;
//!     let blurred = upper.join()?.unsplit(lower.join()?).unwrap(); // the same memory, never copied
//!     assert_eq!(blurred[77_000], 76_999.5);
//!     Ok(())
//! }
//! ```
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
//!
//! # Many tasks
//!
//! | I want | use | in Python |
//! |---|---|---|
//! | many calls in worker processes that stay | [`Pool`] | `Pool` |
//! | futures, in processes, threads or at once | [`executor`], [`Pool`] | `concurrent.futures` |
//!
//! # Talking
//!
//! | I want | use | in Python |
//! |---|---|---|
//! | several processes to put and get any serde values | [`Queue`] | `Queue` |
//! | to know when all that was put is done, though workers die | [`JoinableQueue`] | `JoinableQueue` |
//! | two processes to talk | [`pipe`], a [`Connection`] each | `Pipe()` |
//! | one to tell another | [`one_way_pipe`] | `Pipe(False)` |
//! | to wait for many of these | [`wait`], [`Select`](crate::Select) | `connection.wait` |
//! | arrays and records as fast as can be | [`channel`](crate::channel) | |

mod ends;
pub(crate) mod envelope;
pub mod executor;
mod failure;
mod fork_server;
mod handle;
mod init;
mod joinable;
mod link;
mod options;
mod pipe;
pub mod pool;
mod post;
mod put;
mod queue;
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
pub use joinable::JoinableQueue;
pub use options::{Output, Process, ProcessOptions, StartMethod};
pub use pipe::{Connection, PipeReader, PipeWriter, one_way_pipe, pipe, wait};
pub use pool::Pool;
pub use put::PutError;
pub use queue::Queue;
pub use serve::{is_child, name};

pub(crate) use reaper::thread as reaper_thread;
