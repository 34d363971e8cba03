//! The entries of one shard, copied while it is locked, and read when it is not.

use crate::error::Result;
use crossdock_core::Corrupt;
use crossdock_core::collection::record::Record;

/// Keys and values as bytes, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// Bytes of each key and value, the last one first.
    lengths: Vec<(usize, usize)>,
    at: usize,
}

/// What of an entry is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Both,
    Key,
    Value,
}

impl Batch {
    /// Copies records. Together they have at most `bytes_max` bytes.
    #[expect(single_use_lifetimes, reason = "an argument's type cannot leave it out yet")]
    pub(super) fn copy<'a>(
        records: impl Iterator<Item = Result<Record<'a>, Corrupt>>,
        part: Part,
        bytes_max: u64,
    ) -> Result<Self, Corrupt> {
        let mut batch = Self::default();
        for record in records {
            let record = record?;
            let key_bytes = if part == Part::Value { 0 } else { record.key_bytes() };
            let value_bytes = if part == Part::Key { 0 } else { record.value_bytes() };
            let start = batch.bytes.len();
            let middle = start + key_bytes;
            // Records that are in two places at once would be more than there is.
            if (middle + value_bytes) as u64 > bytes_max {
                return Err(Corrupt("its records have more bytes than it"));
            }
            batch.bytes.resize(middle + value_bytes, 0);
            record.copy_key(&mut batch.bytes[start..middle]);
            record.copy_value(&mut batch.bytes[middle..]);
            batch.lengths.push((key_bytes, value_bytes));
        }
        batch.lengths.reverse();
        Ok(batch)
    }

    /// The next key and value.
    pub(super) fn next(&mut self) -> Option<(&[u8], &[u8])> {
        let (key_bytes, value_bytes) = self.lengths.pop()?;
        let rest = &self.bytes[self.at..];
        self.at += key_bytes + value_bytes;
        Some(rest[..key_bytes + value_bytes].split_at(key_bytes))
    }

    /// How many are left.
    pub(super) fn len(&self) -> usize {
        self.lengths.len()
    }
}

/// The bytes of a value.
#[inline]
pub(super) fn value_of(record: &Record<'_>) -> Vec<u8> {
    let mut bytes = vec![0; record.value_bytes()];
    record.copy_value(&mut bytes);
    bytes
}
