//! The small messages of P8: what is in them, and how a reader knows that it is right.

use crate::Result;

/// A message: its sender, its number, and words that depend on both.
pub(crate) type Record = [u64; 8];

/// Records that a channel can hold, in batches or one by one.
pub(crate) const CAPACITY: usize = 256;
/// Records that travel together where a subject can do that.
pub(crate) const BATCH: usize = 32;

/// Senders of one stream.
pub(crate) const SENDERS_MAX: usize = 2;

/// The sender's part of each word.
const SENDER_SHIFT: u32 = 48;

/// The record number `seq` of a sender.
#[inline]
pub(crate) fn record(sender: usize, seq: u64) -> Record {
    let base = (sender as u64) << SENDER_SHIFT;
    std::array::from_fn(|word| match word {
        0 => sender as u64,
        _ => base + seq * word as u64,
    })
}

/// The sender and the number of a record, each word of which is as [`record`] makes it.
#[inline]
pub(crate) fn read(found: &Record) -> Result<(usize, u64)> {
    let sender = usize::try_from(found[0])?;
    if sender < SENDERS_MAX {
        let seq = found[1].wrapping_sub((sender as u64) << SENDER_SHIFT);
        if seq >> SENDER_SHIFT == 0 && *found == record(sender, seq) {
            return Ok((sender, seq));
        }
    }
    Err(format!("no sender makes the record {found:?}").into())
}

/// What a record adds to the sum of its receiver.
#[inline]
pub(crate) fn weight(sender: usize, seq: u64) -> u64 {
    (sender as u64 + 1) * seq
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_a_torn_one_is_not() {
        assert_eq!(read(&record(1, 12_345)).expect("whole"), (1, 12_345));
        for word in 0..8 {
            let mut torn = record(1, 12_345);
            torn[word] = record(0, 12_346)[word];
            assert!(read(&torn).is_err(), "word {word}: {torn:?}");
        }
    }
}
