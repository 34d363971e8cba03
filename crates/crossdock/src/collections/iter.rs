//! The entries of a map, one after the other, while others change it.

use super::batch::{Batch, Part};
use super::bytes::open;
use super::file::CollectionFile;
use super::map::{KEY, VALUE};
use crate::error::Result;
use crossdock_core::collection::table::Table;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;

/// The entries of a map, a shard at a time.
#[derive(Debug)]
pub(super) struct Entries<'a> {
    file: &'a CollectionFile,
    part: Part,
    /// The next shard.
    shard: usize,
    batch: Batch,
}

impl<'a> Entries<'a> {
    pub(super) fn new(file: &'a CollectionFile, part: Part) -> Self {
        Self { file, part, shard: 0, batch: Batch::default() }
    }

    fn next<T>(
        &mut self,
        open: impl FnOnce(&CollectionFile, &[u8], &[u8]) -> Result<T>,
    ) -> Option<Result<T>> {
        while self.batch.len() == 0 {
            let shard = self.shard;
            if shard >= self.file.frame().shards().len() {
                return None;
            }
            self.shard += 1;
            let (file, part) = (self.file, self.part);
            let copied = file.read(shard, |heap| {
                Batch::copy(Table::new(heap).records(), part, file.known_bytes())
            });
            match copied {
                Ok(batch) => self.batch = batch,
                Err(error) => return Some(Err(error)),
            }
        }
        let (key, value) = self.batch.next()?;
        Some(open(self.file, key, value))
    }
}

/// The entries of a [`SharedMap`](super::SharedMap): [`SharedMap::iter`](super::SharedMap::iter).
pub struct Iter<'a, K, V> {
    entries: Entries<'a>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<'a, K, V> Iter<'a, K, V> {
    pub(super) fn new(entries: Entries<'a>) -> Self {
        Self { entries, types: PhantomData }
    }
}

impl<K: DeserializeOwned, V: DeserializeOwned> Iterator for Iter<'_, K, V> {
    type Item = Result<(K, V)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.entries.next(|file, key, value| Ok((open(file, KEY, key)?, open(file, VALUE, value)?)))
    }
}

/// The keys of a [`SharedMap`](super::SharedMap): [`SharedMap::keys`](super::SharedMap::keys).
pub struct Keys<'a, K> {
    entries: Entries<'a>,
    types: PhantomData<fn() -> K>,
}

impl<'a, K> Keys<'a, K> {
    pub(super) fn new(entries: Entries<'a>) -> Self {
        Self { entries, types: PhantomData }
    }
}

impl<K: DeserializeOwned> Iterator for Keys<'_, K> {
    type Item = Result<K>;

    fn next(&mut self) -> Option<Self::Item> {
        self.entries.next(|file, key, _| open(file, KEY, key))
    }
}

/// The values of a [`SharedMap`](super::SharedMap): [`SharedMap::values`](super::SharedMap::values).
pub struct Values<'a, V> {
    entries: Entries<'a>,
    types: PhantomData<fn() -> V>,
}

impl<'a, V> Values<'a, V> {
    pub(super) fn new(entries: Entries<'a>) -> Self {
        Self { entries, types: PhantomData }
    }
}

impl<V: DeserializeOwned> Iterator for Values<'_, V> {
    type Item = Result<V>;

    fn next(&mut self) -> Option<Self::Item> {
        self.entries.next(|file, _, value| open(file, VALUE, value))
    }
}

impl<K, V> fmt::Debug for Iter<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Iter").field(&self.entries.file.label).finish()
    }
}

impl<K> fmt::Debug for Keys<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keys").field(&self.entries.file.label).finish()
    }
}

impl<V> fmt::Debug for Values<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Values").field(&self.entries.file.label).finish()
    }
}
