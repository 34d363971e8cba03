//! What lives *inside* crossdock's shared memory.
//!
//! Every type here is `#[repr(C)]`, of fixed width and position-independent: no pointer, no `usize`,
//! no handle, no Rust enum is ever stored. Nothing here allocates, opens or maps anything; the types
//! take references to memory that a higher floor has mapped and checked, so the same code runs over
//! a plain vector, in a fuzzer and under loom.
//!
//! | module | what it is |
//! |---|---|
//! | [`header`] | the first 256 bytes of every file: magic, version, kind, sizes, type |
//! | [`element`] | the element types an array can have |
//! | [`party`] | who can hold memory: processes and channels, 336 in all |
//! | [`chunk`] | one piece of an arena and the bitmap of those who hold it |
//! | [`ring`] | a bounded many-to-many queue of fixed-size slots, repairable after a death anywhere |
//! | [`owner`] | a process as the owner of a lock |
//! | [`sync`] | locks and meeting points that outlive whoever holds them |
//! | [`collection`] | maps and lists that grow |
//! | [`atomic`], [`shm_safe`] | numbers that many change; what may lie in shared memory |
//! | [`signal`] | a word to sleep on until something has changed |
//! | [`ticket`] | what travels through a ring for an array |
//! | [`memory`] | a stretch of mapped memory as checked records |
//! | [`layout`] | where these lie in an arena's and a channel's file |
//!
//! # The two rules
//!
//! * **Every operation has one commit store.** Before it the old state is valid, after it the new one;
//!   whoever finds the remains of a dead process can tell which, and finish or undo.
//! * **Bytes from another process are input.** A number is loaded once into a local, checked, and only
//!   then used. A check that fails is [`Corrupt`], never a panic.
#![deny(unsafe_code)]

pub mod atomic;
pub mod chunk;
pub mod collection;
pub mod deliveries;
pub mod element;
pub mod header;
pub mod layout;
pub mod memory;
pub mod owner;
pub mod party;
mod party_set;
mod primitive;
pub mod ring;
pub mod settings;
pub mod shm_safe;
pub mod signal;
pub mod sync;
pub mod ticket;

#[cfg(loom)]
pub use primitive::model;

/// A number in shared memory that no correct process can have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt(
    /// What was wrong, for a human.
    pub &'static str,
);

impl std::fmt::Display for Corrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Corrupt {}
