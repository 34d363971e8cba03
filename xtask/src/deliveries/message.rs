//! The kinds of channels and messages, and what is in a message: every word follows from its number.

use super::WORKERS;
use crate::campaign::rng::mix;
use crossdock::channel::{Delivery, Message};
use crossdock::{Array, ArrayMut};

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// A queue of `ArrayMut`: the receiver writes into what it gets.
    Unique,
    /// A queue of `Array`: the sender may keep a handle.
    Shared,
    /// A queue of `ArrayMut`, sent and received in batches.
    Batches,
    /// A queue of `ArrayMut` whose receivers acknowledge.
    Acknowledged,
    /// A broadcast of `Array`, to which somebody else listens who is never killed.
    Broadcast,
}

/// More than the queue has room for.
const BATCH_MAX: u64 = 12;

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Unique, Self::Shared, Self::Batches, Self::Acknowledged, Self::Broadcast];

    /// Processes that send or receive; those from number `WORKERS` on are never killed.
    pub(crate) fn workers(self) -> usize {
        WORKERS + usize::from(self == Self::Broadcast)
    }

    /// Messages that one call sends or receives, at most.
    pub(crate) fn batch_max(self) -> u64 {
        if self == Self::Batches { BATCH_MAX } else { 1 }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unique => "unique",
            Self::Shared => "shared",
            Self::Batches => "batches",
            Self::Acknowledged => "acknowledged",
            Self::Broadcast => "broadcast",
        })
    }
}

/// What has the words of a message.
pub(crate) trait Words {
    fn words(&self) -> &[u64];
}

impl Words for ArrayMut<u64> {
    fn words(&self) -> &[u64] {
        self
    }
}

impl Words for Array<u64> {
    fn words(&self) -> &[u64] {
        self
    }
}

impl Words for Delivery<ArrayMut<u64>> {
    fn words(&self) -> &[u64] {
        self
    }
}

/// A message as it is used here.
pub(crate) trait Parcel: Message + Words {
    fn new(array: ArrayMut<u64>) -> Self;
    /// Another handle, if there can be one.
    fn copy(&self) -> Option<Self>;
    /// Writes where that is allowed, as receivers do.
    fn scribble(&mut self, number: u64);
}

impl Parcel for ArrayMut<u64> {
    fn new(array: Self) -> Self {
        array
    }

    fn copy(&self) -> Option<Self> {
        None
    }

    fn scribble(&mut self, number: u64) {
        fill(self, number);
    }
}

impl Parcel for Array<u64> {
    fn new(array: ArrayMut<u64>) -> Self {
        array.freeze()
    }

    fn copy(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn scribble(&mut self, _number: u64) {}
}

/// Words of the shortest message: its number and its length.
pub(crate) const LEN_MIN: usize = 2;

/// Makes a message of these words.
pub(crate) fn fill(words: &mut [u64], number: u64) {
    let len = words.len() as u64;
    for (index, word) in words.iter_mut().enumerate() {
        *word = word_of(number, len, index as u64);
    }
}

fn word_of(number: u64, len: u64, index: u64) -> u64 {
    match index {
        0 => number,
        1 => len,
        _ => mix(number.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15))),
    }
}

/// The number of a message, if it is whole.
pub(crate) fn number_of(words: &[u64]) -> Result<u64, String> {
    let len = words.len() as u64;
    let (Some(number), Some(noted)) = (words.first(), words.get(1)) else {
        return Err(format!("{len} words are no message"));
    };
    let expected = |index: usize| word_of(*number, *noted, index as u64);
    match words.iter().enumerate().find(|(index, word)| **word != expected(*index)) {
        Some((index, word)) => Err(format!(
            "message {number:#x} of {len} words has {word:#x} in word {index}, not {:#x}",
            expected(index)
        )),
        None if *noted != len => {
            Err(format!("message {number:#x} has {len} words and was sent with {noted}"))
        }
        None => Ok(*number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_whole_has_a_number_and_any_other_has_none() {
        let mut words = [0; 50];
        fill(&mut words, 77);
        assert_eq!(number_of(&words), Ok(77));
        assert!(number_of(&words[..49]).is_err());
        assert!(number_of(&words[..1]).is_err());
        for index in 0..words.len() {
            let mut damaged = words;
            damaged[index] ^= 1;
            assert!(number_of(&damaged).is_err(), "word {index}");
        }
    }
}
