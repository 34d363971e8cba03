//! The bytes of a message's records: written one after the other, carried in whole words.

use arrayvec::ArrayVec;
use crossdock_core::settings::RECORD_BYTES_MAX;
use std::iter::repeat_n;

const WORDS_MAX: usize = RECORD_BYTES_MAX.div_ceil(8);

/// Bytes to append to, or to read from the first one on. Those of the last word that no record has are 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Bytes {
    words: ArrayVec<u64, WORDS_MAX>,
    /// Bytes there are.
    len: usize,
    /// Bytes that were read.
    read: usize,
}

impl Bytes {
    /// Replaces what there is by `len` bytes that came in `words` words, which `copy` gets; `None` if these are not as
    /// many as `len` bytes take.
    #[inline]
    pub(super) fn fill(
        &mut self,
        words: usize,
        len: usize,
        copy: impl FnOnce(&mut [u64]),
    ) -> Option<()> {
        if words != len.div_ceil(8) || words > WORDS_MAX {
            return None;
        }
        (self.len, self.read) = (len, 0);
        self.words.clear();
        self.words.extend(repeat_n(0, words));
        copy(&mut self.words);
        Some(())
    }

    /// The words to send.
    #[inline]
    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Adds bytes. What is beyond the greatest length of a record is left out: a message's type is
    /// checked to have no more.
    #[inline]
    pub(super) fn append(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if end > RECORD_BYTES_MAX {
            return;
        }
        self.words.extend(repeat_n(0, end.div_ceil(8) - self.words.len()));
        let all: &mut [u8] = bytemuck::cast_slice_mut(&mut self.words);
        if let Some(place) = all.get_mut(self.len..end) {
            place.copy_from_slice(bytes);
            self.len = end;
        }
    }

    /// The next `count` bytes, if there are so many.
    #[inline]
    pub(super) fn next(&mut self, count: usize) -> Option<&[u8]> {
        let all: &[u8] = bytemuck::cast_slice(&self.words);
        let bytes = all.get(..self.len)?.get(self.read..)?.get(..count)?;
        self.read += count;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_is_read_again_from_its_words() {
        let mut bytes = Bytes::default();
        bytes.append(&[1, 2, 3]);
        bytes.append(&[]);
        bytes.append(&[4, 5, 6, 7, 8, 9]);
        assert_eq!(bytes.words().len(), 2);
        let mut read = Bytes::default();
        read.fill(2, 9, |words| words.copy_from_slice(bytes.words())).unwrap();
        assert_eq!(read.next(2), Some(&[1, 2][..]));
        assert_eq!(read.next(7), Some(&[3, 4, 5, 6, 7, 8, 9][..]));
        assert_eq!(read.next(1), None, "the padding is not part of it");
    }

    #[test]
    fn another_number_of_words_is_refused() {
        let mut bytes = Bytes::default();
        assert!(bytes.fill(2, 8, |_| ()).is_none());
        assert!(bytes.fill(1, 9, |_| ()).is_none());
        assert!(bytes.fill(WORDS_MAX + 1, RECORD_BYTES_MAX + 1, |_| ()).is_none());
    }

    #[test]
    fn more_than_a_record_can_have_is_left_out() {
        let mut bytes = Bytes::default();
        bytes.append(&[7; RECORD_BYTES_MAX]);
        bytes.append(&[8]);
        assert_eq!(bytes.words(), [0x0707_0707_0707_0707; WORDS_MAX]);
    }
}
