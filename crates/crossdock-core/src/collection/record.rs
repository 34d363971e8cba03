//! A key and a value, as bytes.
//!
//! | bytes | meaning |
//! |---|---|
//! | 0..4 | bytes of the key, 0 in a list |
//! | 4..8 | bytes of the value |
//! | 8..16 | hash of the key, 0 in a list |
//! | 16.. | the key, then the value; each is followed by zeroes up to a multiple of 8 |
//!
//! A record is written before anything leads to it and never changes while anything does.

use super::heap::{Extent, Heap, extent};
use super::{Fault, Word};
use crate::Corrupt;

const HEAD_BYTES: u64 = 16;

/// A record that something leads to.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    at: u64,
    /// Hash of its key.
    pub(super) hash: u64,
    key_bytes: usize,
    value_bytes: usize,
    /// The words of key and value.
    words: &'a [Word],
}

/// Bytes of a record.
fn record_bytes(key_bytes: u64, value_bytes: u64) -> u64 {
    HEAD_BYTES + key_bytes.next_multiple_of(8) + value_bytes.next_multiple_of(8)
}

/// Bytes of the block that a record with such a key and value takes.
pub(super) fn block_bytes(key: &[u8], value: &[u8]) -> u64 {
    extent(0, record_bytes(key.len() as u64, value.len() as u64)).bytes
}

impl<'a> Record<'a> {
    /// The record at a place.
    #[inline]
    pub(super) fn at(heap: &Heap<'a>, at: u64) -> Result<Self, Corrupt> {
        let head = heap.words(at, HEAD_BYTES)?;
        let (lengths, hash) = (head[0].load(), head[1].load());
        let (key_bytes, value_bytes) = (lengths & 0xffff_ffff, lengths >> 32);
        let bytes = record_bytes(key_bytes, value_bytes);
        let words = &heap.words(at, bytes)?[2..];
        Ok(Self {
            at,
            hash,
            key_bytes: key_bytes as usize,
            value_bytes: value_bytes as usize,
            words,
        })
    }

    /// Takes memory for a record and writes it. Nothing leads to it yet.
    pub(super) fn write(
        heap: &Heap<'a>,
        hash: u64,
        key: &[u8],
        value: &[u8],
    ) -> Result<u64, Fault> {
        let (Ok(key_bytes), Ok(value_bytes)) =
            (u32::try_from(key.len()), u32::try_from(value.len()))
        else {
            return Err(Fault::Room(u64::MAX));
        };
        let bytes = record_bytes(u64::from(key_bytes), u64::from(value_bytes));
        let at = heap.take(bytes)?;
        let words = heap.words(at, bytes)?;
        words[0].store(u64::from(value_bytes) << 32 | u64::from(key_bytes));
        words[1].store(hash);
        let (of_key, of_value) = words[2..].split_at(key.len().div_ceil(8));
        put(of_key, key);
        put(of_value, value);
        Ok(at)
    }

    /// Gives its memory back. Nothing leads to it any more.
    pub(super) fn free(&self, heap: &Heap<'_>) -> Result<(), Corrupt> {
        heap.give(self.at, HEAD_BYTES + 8 * self.words.len() as u64)
    }

    /// Its block.
    pub(super) fn extent(&self) -> Extent {
        extent(self.at, HEAD_BYTES + 8 * self.words.len() as u64)
    }

    /// Whether this is its key.
    #[inline]
    pub(super) fn has_key(&self, key: &[u8]) -> bool {
        if self.key_bytes != key.len() {
            return false;
        }
        let (chunks, rest) = key.as_chunks::<8>();
        let (whole, behind) = self.words.split_at(chunks.len().min(self.words.len()));
        let is_same = |(word, chunk): (&Word, &[u8; 8])| word.load() == u64::from_le_bytes(*chunk);
        whole.iter().zip(chunks).all(is_same)
            && (rest.is_empty()
                || behind.first().is_some_and(|word| is_same((word, &padded(rest)))))
    }

    /// Bytes of its key.
    #[must_use]
    pub fn key_bytes(&self) -> usize {
        self.key_bytes
    }

    /// Bytes of its value.
    #[inline]
    #[must_use]
    pub fn value_bytes(&self) -> usize {
        self.value_bytes
    }

    /// Copies as much of its key as there is room for.
    pub fn copy_key(&self, target: &mut [u8]) {
        copy(&self.words[..self.key_bytes.div_ceil(8)], target);
    }

    /// Copies as much of its value as there is room for.
    #[inline]
    pub fn copy_value(&self, target: &mut [u8]) {
        copy(&self.words[self.key_bytes.div_ceil(8)..], target);
    }
}

/// Less than eight bytes, and zeroes.
#[inline]
fn padded(bytes: &[u8]) -> [u8; 8] {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    word
}

fn put(words: &[Word], bytes: &[u8]) {
    for (word, chunk) in words.iter().zip(bytes.chunks(8)) {
        word.store(u64::from_le_bytes(padded(chunk)));
    }
}

#[inline]
fn copy(words: &[Word], target: &mut [u8]) {
    for (word, chunk) in words.iter().zip(target.chunks_mut(8)) {
        chunk.copy_from_slice(&word.load().to_le_bytes()[..chunk.len()]);
    }
}
