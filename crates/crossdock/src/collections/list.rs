//! A list that several processes change.

use super::batch::{Batch, Part, value_of};
use super::bytes::{open, seal};
use super::file::CollectionFile;
use super::{CollectionOptions, CollectionStats};
use crate::error::{Error, ErrorKind, Result};
use crate::member::Member;
use crossdock_core::collection::sequence::Sequence;
use crossdock_core::header::Kind;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

const ITEM: &str = "an item";

/// A list in shared memory, of items of any serde type, that any number of processes change at once.
///
/// It is what Python's `Manager().list()` is asked for, without a server process. Readers do not wait for readers; who
/// changes it is alone. A process may be killed at any instruction: what it was doing has happened or has not
/// ([more](crate::collections)).
///
/// Items are added and removed at the end in a step of fixed length. To insert or remove one elsewhere takes as long as the
/// list is: for tasks that are added at one end and taken from the other, take a [`channel`](crate::channel).
///
/// # Examples
///
/// ```
/// use crossdock::SharedList;
///
/// let log = SharedList::<String>::create("log-docs")?; // process A
/// log.push(&"begun".to_owned())?;
///
/// let same = SharedList::<String>::open("log-docs")?; // process B
/// same.extend(["one".to_owned(), "two".to_owned()])?; // all of them, or none
/// same.update(0, |line| line + " at last")?; // one step
/// let lines = log.iter()?.collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(lines, ["begun at last", "one", "two"]);
/// # Ok::<(), crossdock::Error>(())
/// ```
pub struct SharedList<T> {
    file: Arc<CollectionFile>,
    types: PhantomData<fn(T) -> T>,
}

impl<T> SharedList<T> {
    /// Makes an empty list under a new name.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`, `InvalidName`, `NoSpace`; `TooManyPeers` when this process finds no place among those that use the
    /// directory.
    pub fn create(name: &str) -> Result<Self> {
        CollectionOptions::new().create_list(name)
    }

    /// Opens a list that another process, or this one, has made.
    ///
    /// # Errors
    ///
    /// `NotFound`, `WrongKind`, `WrongVersion`, `Corrupt`; `WrongType`, with the names of the types of both sides in its text,
    /// when it was made with another.
    pub fn open(name: &str) -> Result<Self> {
        Ok(Self::new(CollectionFile::open(name, &CollectionOptions::new().list::<T>()?)?))
    }

    /// Opens a list, or makes it if nothing has the name.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open) and [`create`](Self::create), except `NotFound` and `AlreadyExists`.
    pub fn open_or_create(name: &str) -> Result<Self> {
        CollectionOptions::new().open_or_create_list(name)
    }

    /// Makes a list without a name, for this process and those that it forks.
    ///
    /// # Errors
    ///
    /// `NoSpace`, `TooManyPeers`.
    pub fn anonymous() -> Result<Self> {
        CollectionOptions::new().anonymous_list()
    }

    /// Removes a name at once. Those who have the list open keep it.
    ///
    /// # Errors
    ///
    /// `NotFound`; `WrongKind` when the name is not a list's.
    pub fn unlink(name: &str) -> Result<()> {
        crate::namespace::check_name(name)?;
        Member::lose_a_name();
        crate::registry::unlink(name, Some(Kind::List))
    }

    pub(super) fn new(file: CollectionFile) -> Self {
        Self { file: Arc::new(file), types: PhantomData }
    }

    /// Lets the name outlive its users, until [`unlink`](Self::unlink).
    ///
    /// # Errors
    ///
    /// `Unsupported` for a list without a name.
    pub fn persist(&self) -> Result<()> {
        self.file.persist()
    }

    /// The name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.file.name()
    }

    /// Number of items.
    ///
    /// # Errors
    ///
    /// `Corrupt`; `Busy` in a closure of the same list.
    pub fn len(&self) -> Result<usize> {
        self.file.read(0, |heap| Sequence::new(heap).len())
    }

    /// Whether there is no item.
    ///
    /// # Errors
    ///
    /// As [`len`](Self::len).
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Removes all items, in one step.
    ///
    /// Nothing of what there is is looked at, so a list that is damaged is in order again.
    ///
    /// # Errors
    ///
    /// `Corrupt` when it is not even known which memory the list has; `Busy` in a closure of the same list.
    pub fn clear(&self) -> Result<()> {
        self.file.write_anyway(0)?.clear()
    }

    /// What it takes.
    ///
    /// # Errors
    ///
    /// As [`len`](Self::len).
    pub fn stats(&self) -> Result<CollectionStats> {
        let mut stats = CollectionStats::of(&self.file);
        let shard = self.file.shard(0)?;
        self.file.read(0, |heap| {
            let (len, capacity) = Sequence::new(heap).len_and_capacity()?;
            stats.add(len, capacity, shard);
            Ok(())
        })?;
        Ok(stats)
    }
}

impl<T: Serialize + DeserializeOwned> SharedList<T> {
    /// Adds an item at the end.
    ///
    /// # Errors
    ///
    /// `Corrupt`; `NoSpace` when there is no memory, `LimitExceeded` for an item of more than 1 MiB (its numbers belong into an
    /// [`Array`](crate::Array)) or a list that may not grow further; `Busy` in a closure of the same list. Then nothing has
    /// changed.
    pub fn push(&self, item: &T) -> Result<()> {
        let bytes = self.seal(item)?;
        self.file.write(0)?.change(|heap| Sequence::new(heap).extend(&[&bytes]))
    }

    /// Adds items at the end, all of them in one step: others see all or none, also if this process is killed.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn extend<U: Borrow<T>>(&self, items: impl IntoIterator<Item = U>) -> Result<()> {
        let items = items.into_iter().map(|item| self.seal(item.borrow()));
        let items = items.collect::<Result<Vec<_>>>()?;
        self.file.write(0)?.change(|heap| Sequence::new(heap).extend(&items))
    }

    /// Removes the last item; `None` if there is none.
    ///
    /// # Errors
    ///
    /// `Corrupt`, also when its bytes are no item of the type, which is gone then all the same; `Busy` in a closure of the
    /// same list.
    pub fn pop(&self) -> Result<Option<T>> {
        let bytes = {
            let writer = self.file.write(0)?;
            writer.look(|heap| {
                let list = Sequence::new(heap);
                let Some(last) = list.len()?.checked_sub(1) else { return Ok(None) };
                let bytes = list.get(last)?.map(|record| value_of(&record));
                list.pop()?;
                Ok(bytes)
            })?
        };
        self.read_item(bytes)
    }

    /// The item with this number: a copy.
    ///
    /// # Errors
    ///
    /// `Corrupt`, also when its bytes are no item of the type; `Busy` in a closure of the same list.
    #[inline]
    pub fn get(&self, index: usize) -> Result<Option<T>> {
        let bytes = self
            .file
            .read(0, |heap| Ok(Sequence::new(heap).get(index)?.map(|record| value_of(&record))))?;
        self.read_item(bytes)
    }

    /// Puts another item in the place of the one with this number.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push); `InvalidArgument` when there is no such item.
    pub fn set(&self, index: usize, item: &T) -> Result<()> {
        let bytes = self.seal(item)?;
        let writer = self.file.write(0)?;
        self.check(index, writer.look(|heap| Sequence::new(heap).len())?)?;
        writer.change(|heap| Sequence::new(heap).set(index, &bytes))
    }

    /// Puts an item before the one with this number, or at the end. Those behind it move on, which takes as long as the list is.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push); `InvalidArgument` when there are not so many items.
    pub fn insert(&self, index: usize, item: &T) -> Result<()> {
        let bytes = self.seal(item)?;
        let writer = self.file.write(0)?;
        let len = writer.look(|heap| Sequence::new(heap).len())?;
        self.check(index, len + 1)?;
        writer.change(|heap| Sequence::new(heap).insert(index, &bytes))
    }

    /// Removes the item with this number. Those behind it move up, which takes as long as the list is.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push), as it needs a little memory; `InvalidArgument` when there is no such item; `Corrupt`, when its
    /// bytes are no item of the type, and it is gone then all the same.
    pub fn remove(&self, index: usize) -> Result<T> {
        let bytes = {
            let writer = self.file.write(0)?;
            self.check(index, writer.look(|heap| Sequence::new(heap).len())?)?;
            let bytes = writer
                .look(|heap| Ok(Sequence::new(heap).get(index)?.map(|record| value_of(&record))))?;
            writer.change(|heap| Sequence::new(heap).remove(index))?;
            bytes.unwrap_or_default()
        };
        open(&self.file, ITEM, &bytes)
    }

    /// Changes an item in one step, and returns what is there then.
    ///
    /// `change` runs while the list is locked ([what that means](crate::collections#closures)).
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set), and as [`get`](Self::get); `Forked` in a child that `change` forks.
    ///
    /// # Panics
    ///
    /// When `change` does. Nothing has changed then.
    pub fn update(&self, index: usize, change: impl FnOnce(T) -> T) -> Result<T> {
        self.file.write(0)?.run(|writer| {
            self.check(index, writer.look(|heap| Sequence::new(heap).len())?)?;
            let bytes = writer
                .look(|heap| Ok(Sequence::new(heap).get(index)?.map(|record| value_of(&record))))?;
            let old = open(&self.file, ITEM, &bytes.unwrap_or_default())?;
            let new = change(old);
            let bytes = self.seal(&new)?;
            writer.change(|heap| Sequence::new(heap).set(index, &bytes))?;
            Ok(new)
        })
    }

    /// Every item, in order, as the list is now: a copy of all of it.
    ///
    /// # Errors
    ///
    /// As [`len`](Self::len). The items are results: `Corrupt`.
    pub fn iter(&self) -> Result<Items<'_, T>> {
        let batch = self.file.read(0, |heap| {
            Batch::copy(Sequence::new(heap).records(), Part::Value, self.file.known_bytes())
        })?;
        Ok(Items { file: &self.file, batch, types: PhantomData })
    }

    fn seal(&self, item: &T) -> Result<Vec<u8>> {
        seal(&self.file, ITEM, item)
    }

    #[inline]
    fn read_item(&self, bytes: Option<Vec<u8>>) -> Result<Option<T>> {
        bytes.map(|bytes| open(&self.file, ITEM, &bytes)).transpose()
    }

    fn check(&self, index: usize, end: usize) -> Result<()> {
        if index < end {
            return Ok(());
        }
        let text = format!("{} has no place {index}: there are {end}", self.file.label);
        Err(self.file.named(Error::new(ErrorKind::InvalidArgument, text)))
    }
}

impl<T> Clone for SharedList<T> {
    fn clone(&self) -> Self {
        Self { file: Arc::clone(&self.file), types: PhantomData }
    }
}

impl<T> fmt::Debug for SharedList<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SharedList");
        shown.field("name", &self.name());
        // It may be printed by a closure of its own.
        match self.len() {
            Ok(len) => shown.field("len", &len),
            Err(error) => shown.field("error", &error.kind()),
        };
        shown.finish_non_exhaustive()
    }
}

/// The items of a [`SharedList`]: [`SharedList::iter`].
pub struct Items<'a, T> {
    file: &'a CollectionFile,
    batch: Batch,
    types: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Iterator for Items<'_, T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        let (_, bytes) = self.batch.next()?;
        Some(open(self.file, ITEM, bytes))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.batch.len(), Some(self.batch.len()))
    }
}

impl<T: DeserializeOwned> ExactSizeIterator for Items<'_, T> {}

impl<T> fmt::Debug for Items<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").field("left", &self.batch.len()).finish()
    }
}
