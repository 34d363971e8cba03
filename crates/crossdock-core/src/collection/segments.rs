//! Which part of the file belongs to which shard.
//!
//! # States of an entry
//!
//! | bits | meaning |
//! |---|---|
//! | all 0 | nobody's; so are all that follow |
//! | 0..48 | the page at which the segment ends; it begins where the one before ends |
//! | 48..64 | 1 + the shard that has it |
//!
//! An entry changes once, from 0, by an exchange: of several shards that grow at once one gets it, and the others go on
//! behind it. The file has the memory before: who dies between the two leaves memory that the next one takes.
//!
//! # Ordering
//!
//! Who goes on behind an entry has seen it, so the exchange releases and the look acquires. What a shard does with its
//! segments happens under its lock.

use super::Word;
use crate::Corrupt;

/// What a segment is a multiple of.
pub const PAGE_BYTES: u64 = 4096;
/// Segments that there can be for each shard. Shards grow by a quarter at least of what they had, until the steps are so great
/// that the table lasts for the whole file.
pub const SEGMENTS_PER_SHARD: usize = 128;

const OWNER_SHIFT: u32 = 48;
const END_MASK: u64 = (1 << OWNER_SHIFT) - 1;

/// The table of segments.
#[derive(Clone, Copy, Debug)]
pub struct Segments<'a> {
    entries: &'a [Word],
    /// Where the first one begins.
    first: u64,
}

/// Where the next segment can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    index: usize,
    /// Where it begins, in bytes.
    pub start: u64,
}

impl<'a> Segments<'a> {
    /// Where the first one begins.
    #[inline]
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// A table, and where the first segment begins.
    #[must_use]
    pub fn new(entries: &'a [Word], first: u64) -> Self {
        Self { entries, first }
    }

    /// Each segment: its shard, where it begins and where it ends.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] in place of one that ends where it cannot.
    pub fn iter(self) -> impl Iterator<Item = Result<(usize, u64, u64), Corrupt>> + use<'a> {
        let mut start = self.first;
        let used = self.entries.iter().map(Word::claimed).take_while(|entry| *entry != 0);
        used.map(move |entry| {
            let end = (entry & END_MASK).saturating_mul(PAGE_BYTES);
            let owner = ((entry >> OWNER_SHIFT) as usize).checked_sub(1);
            match owner {
                Some(owner) if end > start => Ok((owner, std::mem::replace(&mut start, end), end)),
                _ => Err(Corrupt("a segment ends where it cannot")),
            }
        })
    }

    /// Where the next segment can be; `None` if there can be no more.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] as of [`iter`](Self::iter).
    pub fn next(&self) -> Result<Option<Place>, Corrupt> {
        let mut place = Place { index: 0, start: self.first };
        for segment in self.iter() {
            place = Place { index: place.index + 1, start: segment?.2 };
        }
        Ok((place.index < self.entries.len()).then_some(place))
    }

    /// Takes the segment from a place to `end` for a shard, unless the place has been taken. The file has the memory.
    #[must_use]
    pub fn claim(&self, place: Place, shard: usize, end: u64) -> bool {
        let owner = (shard as u64 + 1) << OWNER_SHIFT;
        self.entries.get(place.index).is_some_and(|entry| entry.claim(owner | (end / PAGE_BYTES)))
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn entries(values: &[u64]) -> Vec<Word> {
        values.iter().map(|value| Word::new(*value)).collect()
    }

    #[test]
    fn segments_follow_each_other_and_a_place_is_taken_once() {
        let entries = entries(&[0; 3]);
        let segments = Segments::new(&entries, 8192);
        let place = segments.next().unwrap().unwrap();
        assert_eq!(place.start, 8192);
        assert!(segments.claim(place, 5, 12_288));
        assert!(!segments.claim(place, 6, 16_384));
        let place = segments.next().unwrap().unwrap();
        assert!(segments.claim(place, 6, 20_480));
        let all: Vec<_> = segments.iter().map(Result::unwrap).collect();
        assert_eq!(all, [(5, 8192, 12_288), (6, 12_288, 20_480)]);
        assert!(segments.claim(segments.next().unwrap().unwrap(), 0, 24_576));
        assert_eq!(segments.next(), Ok(None));
    }

    #[test]
    fn wild_entries_are_seen() {
        for wild in [3, 1 << OWNER_SHIFT, 1 << OWNER_SHIFT | 1] {
            let entries = entries(&[wild]);
            assert!(Segments::new(&entries, 8192).next().is_err(), "{wild:#x}");
        }
    }
}
