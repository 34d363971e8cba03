//! Hand big arrays from process to process without copying or serialising them.
//!
//! A cross-dock is a warehouse where goods move from truck to truck and are never stored. Here, arrays
//! move from process to process: the bytes stay where they were written, in shared memory, and what
//! travels is a ticket that says where.
//!
//! # Hand an array over
//!
//! ```
//! use crossdock::{ArrayMut, channel::{Receiver, Sender}};
//!
//! // Process A
//! let frames = Sender::<ArrayMut<f32>>::create("frames", 8)?;
//! let mut frame = frames.loan([1080, 1920])?; // memory that the receiver can already see
//! frame.fill(0.5);
//! frames.send(frame)?; // moves a handle, any array length
//!
//! // Process B
//! let frames = Receiver::<ArrayMut<f32>>::open("frames")?;
//! let mut frame = frames.recv()?;
//! frame[0] = 1.0; // ours now: write in place, pass it on
//! # Ok::<(), crossdock::Error>(())
//! ```
//!
//! # What there is
//!
//! | I want | use |
//! |---|---|
//! | an array that I fill and give away | [`ArrayMut`], [`channel::Sender`] |
//! | an array that many processes read | [`Array`]: [`ArrayMut::freeze`], or [`Array::create`] under a name |
//! | several processes to fill parts of one array | [`ArrayMut::split_at`], [`ArrayMut::chunks`] |
//! | an array of numbers that many processes change | [`Array`] of [`Atomic`] |
//! | a number, a struct or a slice that several processes change | [`Value`] of an [`Atomic`] or a lock of [`sync`] |
//! | a map or a list that many processes change, and that grows | `SharedMap`, `SharedList` |
//! | to wait for whichever of several channels and events comes first | [`Select`] |
//! | to wait for another process | [`sync`]: locks, condition variables, semaphores, events, barriers |
//! | to run a function of this program in another process | `process::Process` |
//! | to hand any serde values over, arrays in them as handles | `process::Queue`, `process::pipe` |
//! | to run many calls in worker processes that stay | `process::Pool` |
//! | raw bytes under a name, also for Python or C | [`SharedBlock`] |
//! | to see or clean what is there | [`registry`], or the `crossdock` command |
//! | to see who is connected and who holds what | [`inspect`], `crossdock inspect`, `crossdock top` |
//!
//! # The rules of the memory
//!
//! *Shared means read-only, unique means writable, sending moves.* An [`ArrayMut`] is reachable through
//! one handle in all processes together, an [`Array`] is never written (unless its elements are
//! [`Atomic`]), so `&mut [T]` and `&[T]` are what
//! Rust says they are. [The memory model](docs::memory_model) says what is required of the processes that
//! share a directory of names, and [caveats](docs::caveats) what nobody can promise.
//!
//! # When a process dies
//!
//! Who holds a piece of memory is one bit per process, which anybody can clear for the dead. A sender
//! that is killed after its send loses nothing, one that is killed before leaks nothing; a receiver that
//! is killed lets go of what it held; the last user of a name takes the name with it, and what nobody was
//! left to clean, the next process or [`registry::gc`] does.
//!
//! A lock whose owner is killed is handed to the next one, who is told ([`sync`]).
//!
//! # Features
//!
//! * `async`: `recv_async` and `send_async` of every kind of channel, for any runtime.
//! * `lock_api`: `sync::RawMutex` and `sync::RawRwLock` for the guards of the `lock_api` crate.
//! * `npy` (default): read and write `.npy` files, [`npy`].
//! * `ndarray`: `Array::as_ndarray` and its like.
//! * `process` (default): processes that run a function of this program, `process`.
//! * `rayon`: `process::executor::ThreadExecutor`, tasks in threads.
//! * `tracing`: events of the `tracing` crate where names, channels, regions and processes come and go, never on the way
//!   of a message: [what is told](docs::chooser#what-is-going-on).
#![deny(unsafe_code)]

pub mod arena;
mod array;
mod block;
pub mod channel;
#[cfg(feature = "process")]
pub mod collections;
pub mod docs;
mod error;
mod huge;
pub mod inspect;
#[cfg(feature = "process")]
mod letter;
mod member;
mod named;
mod namespace;
#[cfg(feature = "npy")]
pub mod npy;
mod owners;
mod parties;
#[cfg(feature = "process")]
pub mod process;
mod reap;
pub mod registry;
mod select;
pub mod sync;
mod trace;
pub mod value;

pub use array::{AnyArray, Array, ArrayMut, IntoShape, Order};
pub use block::{BlockOptions, BlockStats, SharedBlock};
#[cfg(feature = "process")]
pub use collections::{SharedList, SharedMap};
pub use crossdock_core::atomic::{Atomic, AtomicBits, AtomicElement, AtomicNumber};
pub use crossdock_core::element::{DType, Element, Item, UnknownDType};
pub use crossdock_core::shm_safe::{ShmSafe, TypeLayout};
pub use crossdock_derive::ShmSafe;
pub use error::{Error, ErrorKind, Result};
pub use half::{bf16, f16};
pub use namespace::NAME_BYTES_MAX;
pub use num_complex::Complex;
pub use select::{OPERATIONS_MAX, Select};
pub use value::Value;
