//! What a channel is made for: said once, when it is made, in its header.

use crate::header::Mismatch;
use crate::ring::{CAPACITY_MAX, MESSAGE_WORDS_MAX, SLOT_WORDS};
use crate::ticket::TICKET_WORDS_MAX;

/// Bytes of record that a message can have.
pub const RECORD_BYTES_MAX: usize = 256;
/// Arrays that a message can have.
pub const ARRAYS_MAX: usize = 8;
/// Messages of a channel that can be received and not yet acknowledged.
pub const UNACKNOWLEDGED_MAX: u32 = 1 << 16;
/// Bytes of the settings in a header.
pub const SETTINGS_BYTES: usize = 24;
/// Bytes of the word that says what parts a message has, where they vary.
pub const PARTS_BYTES: usize = 8;

const _: () = assert!(ARRAYS_MAX * TICKET_WORDS_MAX + RECORD_BYTES_MAX / 8 <= MESSAGE_WORDS_MAX);

/// To whom a message goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// To one receiver.
    #[default]
    Queue = 0,
    /// To every receiver.
    Broadcast = 1,
    /// To whoever looks before the next one is sent.
    Latest = 2,
}

/// What a sender does that finds no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum WhenFull {
    /// Waits.
    #[default]
    Block = 0,
    /// Gets its message back with an error.
    Fail = 1,
    /// Throws the oldest message away.
    DropOldest = 2,
}

/// What parts a message has that says so itself, in its first word.
///
/// | bits | what |
/// |---|---|
/// | 0 to 7 | arrays |
/// | 8 to 15 | whether the bytes are those of the first array |
/// | 16 to 31 | bytes behind the tickets |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Arrays.
    pub arrays: u8,
    /// Whether the bytes are those of the first array, because they are too many for the message.
    pub is_long: bool,
    /// Bytes in it that are not arrays.
    pub bytes: u16,
}

impl Parts {
    /// The word.
    #[must_use]
    pub fn to_word(self) -> u64 {
        u64::from(self.arrays) | u64::from(self.is_long) << 8 | u64::from(self.bytes) << 16
    }

    /// The parts that a word means in a channel of `settings`; `None` for a word that no message has there.
    #[must_use]
    pub fn from_word(word: u64, settings: &Settings) -> Option<Self> {
        let parts =
            Self { arrays: word as u8, is_long: word >> 8 & 1 == 1, bytes: (word >> 16) as u16 };
        let fits = parts.to_word() == word
            && parts.arrays <= settings.arrays
            && usize::from(parts.bytes) + PARTS_BYTES <= usize::from(settings.record_bytes)
            && !(parts.is_long && parts.arrays == 0);
        fits.then_some(parts)
    }
}

/// What a channel is made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// To whom a message goes.
    pub mode: Mode,
    /// What a sender does that finds no room.
    pub when_full: WhenFull,
    /// Places for arrays in a message.
    pub arrays: u8,
    /// Bytes in a message that are not arrays; [`Parts`] among them, if they vary.
    pub record_bytes: u16,
    /// Whether each message says what parts it has, those above being the most.
    pub is_varied: bool,
    /// How often a message is delivered before it becomes a dead letter; 0 if receivers need not acknowledge.
    pub deliveries_max: u16,
    /// Messages that can be received and not yet acknowledged.
    pub unacknowledged_max: u32,
    /// Bytes of arrays that the queue has room for; 0 if there is no limit.
    pub bytes_max: u64,
}

impl Settings {
    /// Words that a message can have.
    #[must_use]
    pub fn message_words(&self) -> usize {
        usize::from(self.arrays) * TICKET_WORDS_MAX + usize::from(self.record_bytes).div_ceil(8)
    }

    /// Words of a message that do not lie in its slot.
    #[must_use]
    pub fn more_words(&self) -> usize {
        // Whole pairs of cache lines, so that neighbours do not disturb each other.
        self.message_words().saturating_sub(SLOT_WORDS).next_multiple_of(16)
    }

    /// The bytes in the header.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; SETTINGS_BYTES] {
        let mut bytes = [0; SETTINGS_BYTES];
        bytes[0] = self.mode as u8;
        bytes[1] = self.when_full as u8;
        bytes[2] = self.arrays;
        bytes[3] = u8::from(self.is_varied);
        bytes[4..6].copy_from_slice(&self.record_bytes.to_le_bytes());
        bytes[6..8].copy_from_slice(&self.deliveries_max.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.unacknowledged_max.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.bytes_max.to_le_bytes());
        bytes
    }

    /// The reverse, every field checked.
    ///
    /// # Errors
    ///
    /// [`Mismatch`] for bytes that [`to_bytes`](Self::to_bytes) cannot have made.
    pub fn from_bytes(bytes: &[u8; SETTINGS_BYTES]) -> Result<Self, Mismatch> {
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
        let settings = Self {
            mode: match bytes[0] {
                0 => Mode::Queue,
                1 => Mode::Broadcast,
                2 => Mode::Latest,
                _ => return Err(Mismatch::Field("kind of channel")),
            },
            when_full: match bytes[1] {
                0 => WhenFull::Block,
                1 => WhenFull::Fail,
                2 => WhenFull::DropOldest,
                _ => return Err(Mismatch::Field("what a full channel does")),
            },
            arrays: bytes[2],
            record_bytes: u16_at(4),
            is_varied: match bytes[3] {
                0 => false,
                1 => true,
                _ => return Err(Mismatch::Field("size of messages")),
            },
            deliveries_max: u16_at(6),
            unacknowledged_max: u32_at(8),
            bytes_max: u64::from(u32_at(16)) | u64::from(u32_at(20)) << 32,
        };
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), Mismatch> {
        let is_small = usize::from(self.arrays) <= ARRAYS_MAX
            && usize::from(self.record_bytes) <= RECORD_BYTES_MAX
            && (!self.is_varied || usize::from(self.record_bytes) >= PARTS_BYTES);
        if !is_small {
            return Err(Mismatch::Field("size of messages"));
        }
        let is_acknowledged = self.deliveries_max > 0;
        if is_acknowledged != (self.unacknowledged_max > 0)
            || self.unacknowledged_max > UNACKNOWLEDGED_MAX
            || is_acknowledged && self.mode != Mode::Queue
        {
            return Err(Mismatch::Field("redelivery"));
        }
        if self.bytes_max > 0 && self.mode != Mode::Queue {
            return Err(Mismatch::Field("limit of bytes"));
        }
        Ok(())
    }
}

/// Whether a channel can have so many slots.
#[must_use]
pub fn is_capacity(capacity: u64) -> bool {
    (1..=CAPACITY_MAX as u64).contains(&capacity)
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            mode: Mode::Queue,
            when_full: WhenFull::DropOldest,
            arrays: 2,
            record_bytes: 64,
            is_varied: true,
            deliveries_max: 3,
            unacknowledged_max: 70_000 - 10_000,
            bytes_max: 1 << 40 | 77,
        }
    }

    #[test]
    fn bytes_go_both_ways() {
        for settings in [settings(), Settings::default()] {
            assert_eq!(Settings::from_bytes(&settings.to_bytes()), Ok(settings));
        }
    }

    #[test]
    fn wild_bytes_are_refused() {
        for (at, value) in [(0, 1), (0, 3), (1, 3), (2, 9), (3, 2), (4, 7), (5, 2), (11, 1)] {
            let mut bytes = settings().to_bytes();
            bytes[at] = value;
            assert!(Settings::from_bytes(&bytes).is_err(), "{at} = {value}");
        }
    }

    #[test]
    fn parts_go_both_ways_and_are_bounded() {
        let all = Parts { arrays: 2, is_long: true, bytes: 56 };
        for parts in [all, Parts::default(), Parts { arrays: 0, is_long: false, ..all }] {
            assert_eq!(Parts::from_word(parts.to_word(), &settings()), Some(parts));
        }
        let beyond =
            [Parts { arrays: 3, ..all }, Parts { bytes: 57, ..all }, Parts { arrays: 0, ..all }];
        for parts in beyond {
            assert_eq!(Parts::from_word(parts.to_word(), &settings()), None, "{parts:?}");
        }
        for word in [1 << 9, 1 << 32, u64::MAX] {
            assert_eq!(Parts::from_word(word, &settings()), None, "{word:x}");
        }
    }

    #[test]
    fn a_message_has_room_for_its_tickets_and_its_record() {
        assert_eq!(settings().message_words(), 2 * 13 + 8);
        assert_eq!(settings().more_words(), 32);
        let small = Settings { arrays: 1, ..Settings::default() };
        assert_eq!((small.message_words(), small.more_words()), (13, 0));
    }
}
