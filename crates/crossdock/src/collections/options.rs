//! How a map or a list is made.

use super::file::{CollectionFile, Wanted};
use super::{SharedList, SharedMap};
use crate::error::{Error, ErrorKind, Result};
use crossdock_core::collection::{BYTES_MAX, SHARDS_MAX, is_shards};
use crossdock_core::header::Kind;
use crossdock_core::shm_safe::TypeLayout;
use std::any::type_name;

/// Shards of a map, unless its maker says otherwise.
const SHARDS_DEFAULT: usize = 16;
/// Bytes that a map or list can have, unless its maker says otherwise: address space, not memory.
const BYTES_MAX_DEFAULT: u64 = 16 << 30;

/// How a map or a list is made, for more than [`SharedMap::create`] and [`SharedList::create`] offer.
///
/// # Examples
///
/// ```
/// use crossdock::SharedMap;
/// use crossdock::collections::CollectionOptions;
///
/// let options = CollectionOptions::new().capacity(10_000).bytes_max(64 << 20);
/// let seen: SharedMap<u64, ()> = options.create_map("seen-docs")?;
/// assert!(seen.stats()?.capacity >= 10_000);
/// # Ok::<(), crossdock::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "options do nothing until something is made with them"]
pub struct CollectionOptions {
    capacity: usize,
    bytes_max: u64,
    shards: usize,
}

impl Default for CollectionOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl CollectionOptions {
    /// No room before it is needed, 16 GiB at most, and 16 shards.
    pub fn new() -> Self {
        Self { capacity: 0, bytes_max: BYTES_MAX_DEFAULT, shards: SHARDS_DEFAULT }
    }

    /// Entries of a map for which its tables have room from the beginning. A list takes no notice.
    pub fn capacity(mut self, entries: usize) -> Self {
        self.capacity = entries;
        self
    }

    /// Bytes to which the file may grow, at most 2^42. Each process has so much address space for it; memory is taken only as
    /// it is needed.
    pub fn bytes_max(mut self, bytes: u64) -> Self {
        self.bytes_max = bytes;
        self
    }

    /// Parts of a map that are locked apart from each other, 1 to 64: as many as there are processes that change it at once.
    /// A list has one.
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = shards;
        self
    }

    /// Makes a map under a new name.
    ///
    /// # Errors
    ///
    /// As [`SharedMap::create`]; `InvalidArgument` for options that cannot be; `LimitExceeded` when tables for so many
    /// entries take more than the map can have.
    pub fn create_map<K, V>(self, name: &str) -> Result<SharedMap<K, V>> {
        let file = CollectionFile::create(name, &self.map::<K, V>()?)?;
        SharedMap::new(file).with_room(self.capacity)
    }

    /// Opens a map, or makes it if nothing has the name.
    ///
    /// # Errors
    ///
    /// As [`SharedMap::open_or_create`] and [`create_map`](Self::create_map). A map that is there stays as it was made.
    pub fn open_or_create_map<K, V>(self, name: &str) -> Result<SharedMap<K, V>> {
        open_or(|| SharedMap::open(name), || self.create_map(name))
    }

    /// Makes a map without a name, for this process and those that it forks.
    ///
    /// # Errors
    ///
    /// As [`SharedMap::anonymous`]; `InvalidArgument` and `LimitExceeded` as [`create_map`](Self::create_map).
    pub fn anonymous_map<K, V>(self) -> Result<SharedMap<K, V>> {
        let file = CollectionFile::anonymous(&self.map::<K, V>()?)?;
        SharedMap::new(file).with_room(self.capacity)
    }

    /// Makes a list under a new name.
    ///
    /// # Errors
    ///
    /// As [`SharedList::create`]; `InvalidArgument` for options that cannot be.
    pub fn create_list<T>(self, name: &str) -> Result<SharedList<T>> {
        Ok(SharedList::new(CollectionFile::create(name, &self.list::<T>()?)?))
    }

    /// Opens a list, or makes it if nothing has the name.
    ///
    /// # Errors
    ///
    /// As [`SharedList::open_or_create`]; `InvalidArgument` for options that cannot be.
    pub fn open_or_create_list<T>(self, name: &str) -> Result<SharedList<T>> {
        open_or(|| SharedList::open(name), || self.create_list(name))
    }

    /// Makes a list without a name, for this process and those that it forks.
    ///
    /// # Errors
    ///
    /// As [`SharedList::anonymous`]; `InvalidArgument` for options that cannot be.
    pub fn anonymous_list<T>(self) -> Result<SharedList<T>> {
        Ok(SharedList::new(CollectionFile::anonymous(&self.list::<T>()?)?))
    }

    pub(super) fn map<K, V>(self) -> Result<Wanted> {
        if !is_shards(self.shards) {
            let text = format!("a map has 1 to {SHARDS_MAX} shards, not {}", self.shards);
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
        let names = format!("{}, {}", type_name::<K>(), type_name::<V>());
        self.wanted(Kind::Map, &names, self.shards)
    }

    pub(super) fn list<T>(self) -> Result<Wanted> {
        self.wanted(Kind::List, type_name::<T>(), 1)
    }

    fn wanted(self, kind: Kind, names: &str, shards: usize) -> Result<Wanted> {
        if self.bytes_max > BYTES_MAX {
            let text = format!("bytes_max is {}, and can be {BYTES_MAX}", self.bytes_max);
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
        Ok(Wanted { kind, layout: TypeLayout::of_name(names), shards, bytes_max: self.bytes_max })
    }
}

/// Opens something, or makes it, whichever is possible first.
fn open_or<T>(open: impl Fn() -> Result<T>, create: impl Fn() -> Result<T>) -> Result<T> {
    loop {
        match open() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            other => return other,
        }
        match create() {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            other => return other,
        }
    }
}
