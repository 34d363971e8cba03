//! A map that several processes change.

use super::batch::{Batch, Part, value_of};
use super::bytes::{open, seal};
use super::file::CollectionFile;
use super::iter::{Entries, Iter, Keys, Values};
use super::writer::Writer;
use super::{CollectionOptions, CollectionStats};
use crate::error::Result;
use crate::member::Member;
use crossdock_core::collection::hash::hash;
use crossdock_core::collection::heap::Heap;
use crossdock_core::collection::table::Table;
use crossdock_core::header::Kind;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// What a key, and a value, is called in errors.
pub(super) const KEY: &str = "a key";
pub(super) const VALUE: &str = "a value";

/// A map in shared memory, from keys to values of any serde types, that any number of processes change at once.
///
/// It is what Python's `Manager().dict()` is asked for, without a server process, and [`update`](Self::update) is the
/// step that `d[k] += 1` is not there: nobody's change is lost. Readers do not wait for readers, and writers wait only for
/// those who are in the same [shard](CollectionOptions::shards). A process may be killed at any instruction: what it was
/// doing has happened or has not ([more](crate::collections)).
///
/// Keys are compared by their bytes as postcard writes them: two keys are the same key if they serialise alike. So a type
/// whose equal values serialise differently (a `HashSet`) is no key. Where a key can be borrowed, the borrowed form
/// must serialise as the key does: `str` for `String` and `[T]` for `Vec<T>` do, `[T]` for `[T; N]` does not.
///
/// # Examples
///
/// ```
/// use crossdock::SharedMap;
///
/// let stock = SharedMap::<String, u32>::create("stock-docs")?; // process A
/// stock.insert("apples", &3)?;
///
/// let same = SharedMap::<String, u32>::open("stock-docs")?; // process B
/// let left = same.update("apples", |apples| apples.map(|apples| apples - 1))?; // one step
/// assert_eq!(left, Some(2));
/// assert_eq!(stock.get("apples")?, Some(2));
/// assert_eq!(stock.get("pears")?, None);
/// # Ok::<(), crossdock::Error>(())
/// ```
pub struct SharedMap<K, V> {
    file: Arc<CollectionFile>,
    types: PhantomData<fn(K) -> V>,
}

impl<K, V> SharedMap<K, V> {
    /// Makes an empty map under a new name.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`, `InvalidName`, `NoSpace`; `TooManyPeers` when this process finds no place among those that use the
    /// directory.
    pub fn create(name: &str) -> Result<Self> {
        CollectionOptions::new().create_map(name)
    }

    /// Opens a map that another process, or this one, has made.
    ///
    /// # Errors
    ///
    /// `NotFound`, `WrongKind`, `WrongVersion`, `Corrupt`; `WrongType`, with the names of the types of both sides in its text,
    /// when it was made with others.
    pub fn open(name: &str) -> Result<Self> {
        Ok(Self::new(CollectionFile::open(name, &CollectionOptions::new().map::<K, V>()?)?))
    }

    /// Opens a map, or makes it if nothing has the name.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open) and [`create`](Self::create), except `NotFound` and `AlreadyExists`.
    pub fn open_or_create(name: &str) -> Result<Self> {
        CollectionOptions::new().open_or_create_map(name)
    }

    /// Makes a map without a name, for this process and those that it forks.
    ///
    /// # Errors
    ///
    /// `NoSpace`, `TooManyPeers`.
    pub fn anonymous() -> Result<Self> {
        CollectionOptions::new().anonymous_map()
    }

    /// Removes a name at once. Those who have the map open keep it.
    ///
    /// # Errors
    ///
    /// `NotFound`; `WrongKind` when the name is not a map's.
    pub fn unlink(name: &str) -> Result<()> {
        crate::namespace::check_name(name)?;
        Member::lose_a_name();
        crate::registry::unlink(name, Some(Kind::Map))
    }

    pub(super) fn new(file: CollectionFile) -> Self {
        Self { file: Arc::new(file), types: PhantomData }
    }

    /// Gives every shard a table for its part of the entries. If that cannot be, the map goes again.
    pub(super) fn with_room(self, entries: usize) -> Result<Self> {
        let shards = self.file.frame().shards().len();
        // Some shards get more than their part.
        let each = (entries / shards).saturating_add(entries / shards / 4) as u64;
        if entries > 0 {
            for shard in 0..shards {
                self.file.write(shard)?.change(|heap| Table::new(heap).resize(each.max(1)))?;
            }
        }
        Ok(self)
    }

    /// Lets the name outlive its users, until [`unlink`](Self::unlink).
    ///
    /// # Errors
    ///
    /// `Unsupported` for a map without a name.
    pub fn persist(&self) -> Result<()> {
        self.file.persist()
    }

    /// The name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.file.name()
    }

    /// Number of entries: of each shard at some moment of the call.
    ///
    /// # Errors
    ///
    /// `Corrupt`; `Busy` in a closure of the same map.
    pub fn len(&self) -> Result<usize> {
        Ok(self.stats()?.len)
    }

    /// Whether there is no entry.
    ///
    /// # Errors
    ///
    /// As [`len`](Self::len).
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Removes all entries. Nobody sees some of them gone and others not. If this process is killed, those of the first shards
    /// may be gone, and of each shard all or none.
    ///
    /// Nothing of what there is is looked at, so a map that is damaged is in order again.
    ///
    /// # Errors
    ///
    /// `Corrupt` when it is not even known which memory the map has; `Busy` in a closure of the same map.
    pub fn clear(&self) -> Result<()> {
        // Always in the same order: of two who clear, none waits for the other's second lock.
        let shards = 0..self.file.frame().shards().len();
        let all = shards.map(|shard| self.file.write_anyway(shard)).collect::<Result<Vec<_>>>()?;
        all.iter().try_for_each(Writer::clear)
    }

    /// What it takes: of each shard at some moment of the call.
    ///
    /// # Errors
    ///
    /// As [`len`](Self::len).
    pub fn stats(&self) -> Result<CollectionStats> {
        let mut stats = CollectionStats::of(&self.file);
        for index in 0..self.file.frame().shards().len() {
            let shard = self.file.shard(index)?;
            self.file.read(index, |heap| {
                let load = Table::new(heap).load()?;
                stats.add(load.entries as usize, load.slots as usize / 4 * 3, shard);
                Ok(())
            })?;
        }
        Ok(stats)
    }
}

impl<K: Serialize, V: Serialize + DeserializeOwned> SharedMap<K, V> {
    /// The value of a key: a copy.
    ///
    /// # Errors
    ///
    /// `Corrupt`, also when its bytes are no value of the type; `LimitExceeded` for a key of more than 1 MiB; `Busy` in a
    /// closure of the same map.
    #[inline]
    pub fn get<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<Option<V>>
    where
        K: Borrow<Q>,
    {
        let sealed = self.seal_key(key)?;
        let bytes = self.file.read(sealed.shard, |heap| sealed.value(heap))?;
        self.open_value(bytes)
    }

    /// Whether a key has a value.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn contains_key<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<bool>
    where
        K: Borrow<Q>,
    {
        let sealed = self.seal_key(key)?;
        self.file.read(sealed.shard, |heap| {
            Ok(Table::new(heap).get(sealed.hash, &sealed.bytes)?.is_some())
        })
    }

    /// Gives a key a value, and returns the one that it had.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); `NoSpace` when there is no memory, `LimitExceeded` for a value of more than 1 MiB (its numbers
    /// belong into an [`Array`](crate::Array)) or a map that may not grow further. Then nothing has changed. `Corrupt`, when
    /// the bytes of the value that it had are none of the type, and it has the new one then all the same.
    pub fn insert<Q: Serialize + ?Sized>(&self, key: &Q, value: &V) -> Result<Option<V>>
    where
        K: Borrow<Q>,
    {
        self.put(key, value, |_| true)
    }

    /// Gives a key a value if it has none; else returns the one that it has, and changes nothing.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn insert_if_absent<Q: Serialize + ?Sized>(&self, key: &Q, value: &V) -> Result<Option<V>>
    where
        K: Borrow<Q>,
    {
        self.put(key, value, |is_there| !is_there)
    }

    /// Gives a key a value if that is wanted, which may depend on whether it has one; the one that it had.
    fn put<Q: Serialize + ?Sized>(
        &self,
        key: &Q,
        value: &V,
        is_wanted: impl FnOnce(bool) -> bool,
    ) -> Result<Option<V>> {
        let sealed = self.seal_key(key)?;
        let value = self.seal_value(value)?;
        let writer = self.file.write(sealed.shard)?;
        let old = writer.look(|heap| sealed.value(heap))?;
        if is_wanted(old.is_some()) {
            sealed.put(&writer, &value)?;
        }
        drop(writer);
        self.open_value(old)
    }

    /// Removes a key, and returns the value that it had.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get). If the bytes of the value are none of the type, the key is gone all the same.
    pub fn remove<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<Option<V>>
    where
        K: Borrow<Q>,
    {
        let sealed = self.seal_key(key)?;
        let writer = self.file.write(sealed.shard)?;
        let old = writer.look(|heap| sealed.value(heap))?;
        if old.is_some() {
            sealed.remove(&writer)?;
        }
        drop(writer);
        self.open_value(old)
    }

    /// Changes what a key has in one step: `change` gets the value, `None` if there is none, and says what is to be there
    /// instead, `None` for nothing. Returns what is there then.
    ///
    /// `change` runs while the shard of the key is locked ([what that means](crate::collections#closures)).
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get) and [`insert`](Self::insert), and nothing has changed; `Forked` in a child that `change` forks.
    ///
    /// # Panics
    ///
    /// When `change` does. Nothing has changed then.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossdock::SharedMap;
    ///
    /// let hits = SharedMap::<String, u64>::anonymous()?;
    /// hits.update("home", |hits| Some(hits.unwrap_or(0) + 1))?;
    /// assert_eq!(hits.update("home", |hits| Some(hits.unwrap_or(0) + 1))?, Some(2));
    /// assert_eq!(hits.update("home", |_| None)?, None); // removed
    /// assert!(hits.is_empty()?);
    /// # Ok::<(), crossdock::Error>(())
    /// ```
    pub fn update<Q: Serialize + ?Sized>(
        &self,
        key: &Q,
        change: impl FnOnce(Option<V>) -> Option<V>,
    ) -> Result<Option<V>>
    where
        K: Borrow<Q>,
    {
        let sealed = self.seal_key(key)?;
        self.file.write(sealed.shard)?.run(|writer| {
            let old = writer.look(|heap| sealed.value(heap))?;
            let was_there = old.is_some();
            let new = change(self.open_value(old)?);
            match &new {
                Some(value) => sealed.put(writer, &self.seal_value(value)?)?,
                None if was_there => sealed.remove(writer)?,
                None => {}
            }
            Ok(new)
        })
    }

    /// The value of a key, which gets the one that `make` returns if it has none. Of several processes at once, one makes it.
    ///
    /// `make` runs while the shard of the key is locked ([what that means](crate::collections#closures)).
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    ///
    /// # Panics
    ///
    /// When `make` does. Nothing has changed then.
    pub fn get_or_insert_with<Q: Serialize + ?Sized>(
        &self,
        key: &Q,
        make: impl FnOnce() -> V,
    ) -> Result<V>
    where
        K: Borrow<Q>,
    {
        let sealed = self.seal_key(key)?;
        let there = self.file.read(sealed.shard, |heap| sealed.value(heap))?;
        if let Some(value) = self.open_value(there)? {
            return Ok(value);
        }
        self.file.write(sealed.shard)?.run(|writer| {
            let there = writer.look(|heap| sealed.value(heap))?;
            if let Some(value) = self.open_value(there)? {
                return Ok(value);
            }
            let value = make();
            sealed.put(writer, &self.seal_value(&value)?)?;
            Ok(value)
        })
    }

    /// Changes what a key has from `current` to `new` in one step, where `None` is no value; else returns what it has.
    ///
    /// Values are compared by their bytes.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossdock::SharedMap;
    ///
    /// let leader = SharedMap::<String, u32>::anonymous()?;
    /// assert_eq!(leader.compare_exchange("leader", None, Some(&7))?, Ok(()));
    /// assert_eq!(leader.compare_exchange("leader", None, Some(&8))?, Err(Some(7)));
    /// assert_eq!(leader.compare_exchange("leader", Some(&7), None)?, Ok(()));
    /// # Ok::<(), crossdock::Error>(())
    /// ```
    #[allow(clippy::type_complexity, reason = "as that of the standard library")]
    pub fn compare_exchange<Q: Serialize + ?Sized>(
        &self,
        key: &Q,
        current: Option<&V>,
        new: Option<&V>,
    ) -> Result<std::result::Result<(), Option<V>>>
    where
        K: Borrow<Q>,
    {
        let sealed = self.seal_key(key)?;
        let current = current.map(|value| self.seal_value(value)).transpose()?;
        let new = new.map(|value| self.seal_value(value)).transpose()?;
        let writer = self.file.write(sealed.shard)?;
        let there = writer.look(|heap| sealed.value(heap))?;
        if there != current {
            drop(writer);
            return Ok(Err(self.open_value(there)?));
        }
        match new {
            Some(value) => sealed.put(&writer, &value)?,
            None if there.is_some() => sealed.remove(&writer)?,
            None => {}
        }
        Ok(Ok(()))
    }

    /// Inserts entries, one after the other: others see those that are there already, and if this process is killed, those
    /// stay.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert); the entries before the one that could not be inserted have been.
    pub fn extend<Q: Borrow<K>, W: Borrow<V>>(
        &self,
        entries: impl IntoIterator<Item = (Q, W)>,
    ) -> Result<()> {
        for (key, value) in entries {
            let sealed = self.seal_key(key.borrow())?;
            let value = self.seal_value(value.borrow())?;
            sealed.put(&self.file.write(sealed.shard)?, &value)?;
        }
        Ok(())
    }

    fn seal_key<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<SealedKey> {
        let bytes = seal(&self.file, KEY, key)?;
        let hash = hash(self.file.seed, &bytes);
        Ok(SealedKey { shard: self.file.frame().shard_of(hash), hash, bytes })
    }

    fn seal_value(&self, value: &V) -> Result<Vec<u8>> {
        seal(&self.file, VALUE, value)
    }

    #[inline]
    fn open_value(&self, bytes: Option<Vec<u8>>) -> Result<Option<V>> {
        bytes.map(|bytes| open(&self.file, VALUE, &bytes)).transpose()
    }
}

impl<K: Serialize + DeserializeOwned, V: Serialize + DeserializeOwned> SharedMap<K, V> {
    /// Every entry, in no order: of each shard as it is at one moment, which is when the first of its entries is asked for.
    ///
    /// An entry that is there all the time comes once; one that is inserted or removed meanwhile may come. No lock is held
    /// while the caller looks at an entry.
    ///
    /// The items are results: `Corrupt`, or `Busy` in a closure of the same map.
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter::new(Entries::new(&self.file, Part::Both))
    }

    /// Every key, as [`iter`](Self::iter).
    pub fn keys(&self) -> Keys<'_, K> {
        Keys::new(Entries::new(&self.file, Part::Key))
    }

    /// Every value, as [`iter`](Self::iter).
    pub fn values(&self) -> Values<'_, V> {
        Values::new(Entries::new(&self.file, Part::Value))
    }

    /// Removes the entries that `keep` does not want to keep, one after the other, shard by shard. Others see no shard while it
    /// is at it, and some shards before and others after. If this process is killed, what it has removed stays removed.
    ///
    /// `keep` runs while a shard is locked ([what that means](crate::collections#closures)).
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), `Forked` in a child that `keep` forks; what was not wanted before has been removed.
    ///
    /// # Panics
    ///
    /// When `keep` does. What it did not want before has been removed.
    pub fn retain(&self, mut keep: impl FnMut(&K, &V) -> bool) -> Result<()> {
        for shard in 0..self.file.frame().shards().len() {
            self.file.write(shard)?.run(|writer| {
                let mut batch = writer.look(|heap| {
                    // To look is to learn how long the file is by now.
                    let bytes_max = self.file.known_bytes();
                    Batch::copy(Table::new(heap).records(), Part::Both, bytes_max)
                })?;
                while let Some((key, value)) = batch.next() {
                    if !keep(&open(&self.file, KEY, key)?, &open(&self.file, VALUE, value)?) {
                        let hash = hash(self.file.seed, key);
                        writer.look(|heap| Table::new(heap).remove(hash, key))?;
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// A key as bytes, and where they belong.
struct SealedKey {
    shard: usize,
    hash: u64,
    bytes: Vec<u8>,
}

impl SealedKey {
    /// The bytes of its value.
    #[inline]
    fn value(
        &self,
        heap: Heap<'_>,
    ) -> std::result::Result<Option<Vec<u8>>, crossdock_core::Corrupt> {
        Ok(Table::new(heap).get(self.hash, &self.bytes)?.map(|record| value_of(&record)))
    }

    fn put(&self, writer: &Writer<'_>, value: &[u8]) -> Result<()> {
        writer.change(|heap| Table::new(heap).put(self.hash, &self.bytes, value))
    }

    fn remove(&self, writer: &Writer<'_>) -> Result<()> {
        writer.look(|heap| Table::new(heap).remove(self.hash, &self.bytes)).map(|_| ())
    }
}

impl<K, V> Clone for SharedMap<K, V> {
    fn clone(&self) -> Self {
        Self { file: Arc::clone(&self.file), types: PhantomData }
    }
}

impl<K, V> fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SharedMap");
        shown.field("name", &self.name());
        // It may be printed by a closure of its own.
        match self.len() {
            Ok(len) => shown.field("len", &len),
            Err(error) => shown.field("error", &error.kind()),
        };
        shown.finish_non_exhaustive()
    }
}
