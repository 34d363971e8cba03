//! The operating system surface of crossdock.
//!
//! Everything that depends on the platform is here and nowhere else in the workspace; the crates
//! above contain no `cfg(target_os)`. One folder per primitive, one file per platform in it.
//!
//! | module | contract that a platform must meet |
//! |---|---|
//! | [`mod@file`] | make a file that has no name yet, reserve its bytes, give it a name exclusively, lock it shared or exclusively until the process ends |
//! | [`map`] | map a file at any address, read-only or read-write, beyond its present end |
//! | [`wait`] | sleep on a 32-bit word in shared memory, or on several at once, with an absolute deadline; wake one; wake all |
//! | [`process`] | name this process so that nobody else can ever have that name; ask whether a named process still lives |
//! | [`token`] | hold a byte of a file until this process ends, and no longer though it has forked; ask from any pid namespace whether somebody holds it |
//! | [`clock`] | one monotonic clock that all processes of the machine share |
//! | [`fork`], [`exit`] | notice a fork that the library did not make; run a function at a normal exit |
//! | [`cpu`], [`place`] | how many processors there are; bind a thread to one; cache hints |
//! | [`mod@line`] | a line to another process: packets of any length that arrive whole, with open files beside them |
//! | [`child`] | tell another process to end, wait for its end, know how it ended; fork; count threads |
//! | [`leash`] | die with the process that one works for, however it dies |
//! | [`image`] | where the program lies in this process, and which build of it this is |
//! | [`stdio`], [`events`], [`before_main!`] | the standard streams; waiting for many files; running before `main` |
//! | [`copy`] | copy bytes from and to memory that another process may be writing |
//!
//! # What it does not do
//!
//! It knows nothing of headers, arrays or channels, keeps no global tables, and starts no thread.
#![deny(unsafe_code)]

#[cfg(not(target_os = "linux"))]
compile_error!(
    "crossdock runs on Linux so far: other systems need a file in each folder of crossdock-sys"
);

mod before_main;
pub mod child;
pub mod clock;
pub mod copy;
pub mod cpu;
pub mod events;
pub mod exit;
pub mod file;
pub mod fork;
pub mod image;
pub mod leash;
pub mod line;
pub mod map;
pub mod place;
pub mod process;
pub mod stdio;
pub mod token;
pub mod wait;
