//! The items of a list: an array of places, in order.
//!
//! | bytes of the array | meaning |
//! |---|---|
//! | 0..8 | number of items |
//! | 8..16 | zero |
//! | 16.. | where the record of each item is; the array has room for a power of 2 |
//!
//! What is added at the end or taken from there is one store of the number of items, a replacement one store of a place,
//! and everything else one store of the root, which then leads to another array.

use super::heap::{Extent, Heap, extent};
use super::record::{Record, block_bytes};
use super::{Fault, Word};
use crate::Corrupt;

const HEAD_BYTES: u64 = 16;
const HEAD: usize = 2;
/// An array has room for four items at least.
const EXPONENT_MIN: u32 = 2;
const WILD_INDEX: Corrupt = Corrupt("an item that there is not");

/// The items of a list, for who holds its lock: to read, or to write where something changes.
#[derive(Clone, Copy, Debug)]
pub struct Sequence<'a> {
    heap: Heap<'a>,
}

/// An array and what it has.
#[derive(Clone, Copy)]
struct Array<'a> {
    at: u64,
    exponent: u32,
    len: &'a Word,
    /// The places of the items.
    items: &'a [Word],
    /// The places behind them.
    free: &'a [Word],
}

impl<'a> Sequence<'a> {
    /// The items of a shard.
    #[inline]
    #[must_use]
    pub fn new(heap: Heap<'a>) -> Self {
        Self { heap }
    }

    #[inline]
    fn array(&self) -> Result<Option<Array<'a>>, Corrupt> {
        let Some((exponent, at)) = self.heap.root()? else { return Ok(None) };
        let words = self.heap.words(at, array_bytes(exponent))?;
        let (head, slots) = words.split_at(HEAD);
        let len = usize::try_from(head[0].load()).unwrap_or(usize::MAX);
        let split = slots.split_at_checked(len);
        let (items, free) = split.ok_or(Corrupt("a list has more items than room"))?;
        Ok(Some(Array { at, exponent, len: &head[0], items, free }))
    }

    fn items(&self) -> Result<&'a [Word], Corrupt> {
        Ok(self.array()?.map_or(&[], |array| array.items))
    }

    /// Number of items.
    ///
    /// # Errors
    ///
    /// [`Corrupt`].
    pub fn len(&self) -> Result<usize, Corrupt> {
        Ok(self.items()?.len())
    }

    /// Number of items, and of those for which the array has room.
    ///
    /// # Errors
    ///
    /// [`Corrupt`].
    pub fn len_and_capacity(&self) -> Result<(usize, usize), Corrupt> {
        let array = self.array()?;
        Ok(array.map_or((0, 0), |array| (array.items.len(), array.items.len() + array.free.len())))
    }

    /// Whether there is no item.
    ///
    /// # Errors
    ///
    /// [`Corrupt`].
    pub fn is_empty(&self) -> Result<bool, Corrupt> {
        Ok(self.len()? == 0)
    }

    /// The record of an item.
    ///
    /// # Errors
    ///
    /// [`Corrupt`].
    #[inline]
    pub fn get(&self, index: usize) -> Result<Option<Record<'a>>, Corrupt> {
        self.items()?.get(index).map(|place| Record::at(&self.heap, place.load())).transpose()
    }

    /// Adds items at the end, all of them or none.
    ///
    /// # Errors
    ///
    /// [`Fault`]: nothing has been changed.
    pub fn extend(&self, values: &[impl AsRef<[u8]>]) -> Result<(), Fault> {
        if values.is_empty() {
            return Ok(());
        }
        let array = self.reserve(values.len())?;
        for (index, (place, value)) in array.free.iter().zip(values).enumerate() {
            match Record::write(&self.heap, 0, &[], value.as_ref()) {
                Ok(at) => place.store(at),
                Err(fault) => {
                    for (place, value) in array.free.iter().zip(&values[..index]) {
                        self.heap.give(place.load(), block_bytes(&[], value.as_ref()))?;
                    }
                    let rest = values.iter().map(|value| block_bytes(&[], value.as_ref()));
                    return Err(all_at_once(fault, rest.sum()));
                }
            }
        }
        array.len.commit((array.items.len() + values.len()) as u64);
        Ok(())
    }

    /// Puts another value in the place of an item.
    ///
    /// # Errors
    ///
    /// [`Fault`]: nothing has been changed.
    pub fn set(&self, index: usize, value: &[u8]) -> Result<(), Fault> {
        let place = self.items()?.get(index).ok_or(WILD_INDEX)?;
        let old = Record::at(&self.heap, place.load())?;
        let at = Record::write(&self.heap, 0, &[], value)?;
        place.commit(at);
        Ok(old.free(&self.heap)?)
    }

    /// Removes the last item.
    ///
    /// # Errors
    ///
    /// [`Corrupt`].
    pub fn pop(&self) -> Result<(), Corrupt> {
        let Some(array) = self.array()? else { return Ok(()) };
        let Some((last, rest)) = array.items.split_last() else { return Ok(()) };
        let record = Record::at(&self.heap, last.load())?;
        array.len.commit(rest.len() as u64);
        record.free(&self.heap)
    }

    /// Puts an item before the one with this number.
    ///
    /// # Errors
    ///
    /// [`Fault`]: nothing has been changed.
    pub fn insert(&self, index: usize, value: &[u8]) -> Result<(), Fault> {
        let items = self.items()?;
        let (before, behind) = items.split_at_checked(index).ok_or(WILD_INDEX)?;
        if behind.is_empty() {
            return self.extend(&[value]);
        }
        let at = Record::write(&self.heap, 0, &[], value)?;
        let places = before.iter().map(Word::load).chain([at]);
        let places = places.chain(behind.iter().map(Word::load));
        self.replace(items.len() + 1, places).map_err(|fault| {
            let bytes = block_bytes(&[], value);
            match self.heap.give(at, bytes) {
                Ok(()) => all_at_once(fault, bytes),
                Err(corrupt) => corrupt.into(),
            }
        })
    }

    /// Removes the item with this number.
    ///
    /// # Errors
    ///
    /// [`Fault`]: nothing has been changed.
    pub fn remove(&self, index: usize) -> Result<(), Fault> {
        let items = self.items()?;
        let (before, behind) = items.split_at_checked(index).ok_or(WILD_INDEX)?;
        let (place, behind) = behind.split_first().ok_or(WILD_INDEX)?;
        if behind.is_empty() {
            return Ok(self.pop()?);
        }
        let record = Record::at(&self.heap, place.load())?;
        let places = before.iter().chain(behind).map(Word::load);
        self.replace(items.len() - 1, places)?;
        Ok(record.free(&self.heap)?)
    }

    /// The array, with room for so many more items.
    fn reserve(&self, more: usize) -> Result<Array<'a>, Fault> {
        if let Some(array) = self.array()?
            && array.free.len() >= more
        {
            return Ok(array);
        }
        let items = self.items()?;
        let room = items.len().saturating_add(more).max(2 * items.len());
        self.replace_with_room(room, items.len(), items.iter().map(Word::load))?;
        Ok(self.array()?.ok_or(Corrupt("an array has vanished"))?)
    }

    /// Other items take the place of all that there are.
    fn replace(&self, len: usize, places: impl Iterator<Item = u64>) -> Result<(), Fault> {
        self.replace_with_room(len, len, places)
    }

    fn replace_with_room(
        &self,
        room: usize,
        len: usize,
        places: impl Iterator<Item = u64>,
    ) -> Result<(), Fault> {
        let old = self.array()?;
        let least = old.map_or(EXPONENT_MIN, |array| array.exponent);
        let exponent = Heap::exponent(room as u64, least)?;
        let bytes = array_bytes(exponent);
        let at = self.heap.take(bytes)?;
        let words = self.heap.words(at, bytes)?;
        words[0].store(len as u64);
        words[1].store(0);
        words[HEAD..].iter().zip(places).for_each(|(word, place)| word.store(place));
        self.heap.commit_root(exponent, at);
        if let Some(old) = old {
            self.heap.give(old.at, array_bytes(old.exponent))?;
        }
        Ok(())
    }

    /// Removes all items, whatever there is: nothing is looked at. What was damaged is in order then.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when the table of segments is wild.
    pub fn clear(&self) -> Result<(), Corrupt> {
        self.heap.shard.root.commit(0);
        self.heap.refill(&[])
    }

    /// Every record, in order.
    pub fn records(&self) -> impl Iterator<Item = Result<Record<'a>, Corrupt>> + use<'a> {
        let (items, error) = match self.items() {
            Ok(items) => (items, None),
            Err(corrupt) => (&[][..], Some(Err(corrupt))),
        };
        let heap = self.heap;
        error.into_iter().chain(items.iter().map(move |place| Record::at(&heap, place.load())))
    }

    /// Every block that is in use, in no order.
    pub fn extents(&self) -> impl Iterator<Item = Result<Extent, Corrupt>> + use<'a> {
        let array = match self.heap.root() {
            Ok(Some((exponent, at))) => Some(Ok(extent(at, array_bytes(exponent)))),
            // What is wrong with it is said by the records.
            Ok(None) | Err(_) => None,
        };
        array.into_iter().chain(self.records().map(|record| Ok(record?.extent())))
    }
}

/// If there is no room, room for this much more is missing as well.
fn all_at_once(fault: Fault, more: u64) -> Fault {
    match fault {
        Fault::Room(bytes) => Fault::Room(bytes.saturating_add(more)),
        Fault::Corrupt(_) => fault,
    }
}

fn array_bytes(exponent: u32) -> u64 {
    HEAD_BYTES + (8 << exponent)
}
