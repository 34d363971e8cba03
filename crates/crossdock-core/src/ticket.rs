//! What travels through a ring when an array is handed over: where it lies and what shape it has.
//!
//! | word | bits | what |
//! |---|---|---|
//! | 0 | 63..48 number, 47..0 epoch | the arena: the party that owns it |
//! | 1 | 63..32 region, 31..0 chunk | region of the arena, chunk of its table |
//! | 2 | | generation of the chunk |
//! | 3 | | offset of the first element in the region, in bytes |
//! | 4 | 7..0 dtype, 15..8 dimensions, 16 Fortran order, 17 sole, 18 unique | what it is |
//! | 5, 6 | | extents of axes 0 and 1 |
//! | 7 to 12 | | extents of axes 2 to 7, sent only when there are so many |
//!
//! *Sole* means that nothing but this ticket leads to the chunk, so its taker is the only holder.
//! *Unique* means that the receiver may write: it gets an `ArrayMut`.

use crate::Corrupt;
use crate::element::DType;
use crate::party::PartyId;
use crate::ring::{SHORT_WORDS, SLOT_WORDS};

/// Axes that an array can have.
pub const NDIM_MAX: usize = 8;

const FORTRAN: u64 = 1 << 16;
const SOLE: u64 = 1 << 17;
const UNIQUE: u64 = 1 << 18;
const META_MASK: u64 = 0xffff | FORTRAN | SOLE | UNIQUE;
const SHAPE_WORD: usize = 5;
/// Words that a ticket can have.
pub const TICKET_WORDS_MAX: usize = SHAPE_WORD + NDIM_MAX;
/// Axes of a ticket that takes the least room.
const SHORT_AXES: usize = SHORT_WORDS - SHAPE_WORD;
const _: () = assert!(TICKET_WORDS_MAX <= SLOT_WORDS);

/// Stands in the place of a ticket where there is none.
pub const NO_TICKET: u64 = u64::MAX;

/// Where an array lies and what shape it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The arena it lies in.
    pub arena: PartyId,
    /// The region of the arena.
    pub region: u32,
    /// The chunk that holds it.
    pub chunk: u32,
    /// The chunk's generation when it was sent.
    pub generation: u64,
    /// First element, in bytes from the start of the region.
    pub offset_bytes: u64,
    /// Element type.
    pub dtype: DType,
    /// Whether the first axis varies fastest.
    pub is_fortran: bool,
    /// Whether nothing but this ticket leads to the chunk.
    pub is_sole: bool,
    /// Whether the receiver may write.
    pub is_unique: bool,
    /// Number of axes, 1 to [`NDIM_MAX`].
    pub ndim: u8,
    /// Extents; only the first `ndim` count, the others are 0.
    pub shape: [u64; NDIM_MAX],
    /// Bytes of the array: the product of the extents and the size of an element.
    pub len_bytes: u64,
}

impl Ticket {
    /// The words to send and how many of them count.
    #[inline]
    #[must_use]
    pub fn to_words(&self) -> ([u64; TICKET_WORDS_MAX], usize) {
        let flag = |is_set: bool, flag: u64| if is_set { flag } else { 0 };
        let mut words = [0; TICKET_WORDS_MAX];
        words[0] = self.arena.to_word();
        words[1] = (u64::from(self.region) << 32) | u64::from(self.chunk);
        words[2] = self.generation;
        words[3] = self.offset_bytes;
        words[4] = u64::from(self.dtype.code())
            | (u64::from(self.ndim) << 8)
            | flag(self.is_fortran, FORTRAN)
            | flag(self.is_sole, SOLE)
            | flag(self.is_unique, UNIQUE);
        words[SHAPE_WORD..].copy_from_slice(&self.shape);
        let used =
            if usize::from(self.ndim) <= SHORT_AXES { SHORT_WORDS } else { TICKET_WORDS_MAX };
        (words, used)
    }

    /// The reverse, every field checked; words behind those of the ticket do not matter.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] for words that [`Ticket::to_words`] cannot have made.
    #[inline]
    pub fn from_words(words: &[u64]) -> Result<Self, Corrupt> {
        Self::split_from(words).map(|(ticket, _)| ticket)
    }

    /// A ticket and the words behind it.
    ///
    /// # Errors
    ///
    /// As [`from_words`](Self::from_words).
    #[inline]
    pub fn split_from(words: &[u64]) -> Result<(Self, &[u64]), Corrupt> {
        const SHORT: Corrupt = Corrupt("a message ends in the middle of a ticket");
        let (first, rest) = words.split_first_chunk::<SHORT_WORDS>().ok_or(SHORT)?;
        let ndim = usize::from((first[4] >> 8) as u8);
        if ndim <= SHORT_AXES {
            return Self::from_array(first).map(|ticket| (ticket, rest));
        }
        let (all, rest) = words.split_first_chunk::<TICKET_WORDS_MAX>().ok_or(SHORT)?;
        Self::from_array(all).map(|ticket| (ticket, rest))
    }

    #[inline]
    fn from_array<const N: usize>(words: &[u64; N]) -> Result<Self, Corrupt> {
        let arena = PartyId::from_word(words[0]).ok_or(Corrupt("a ticket names no arena"))?;
        let meta = words[4];
        let dtype = DType::from_code((meta & 0xff) as u8)
            .ok_or(Corrupt("a ticket has an unknown element type"))?;
        let ndim = ((meta >> 8) & 0xff) as u8;
        if meta & !META_MASK != 0 || ndim == 0 || usize::from(ndim) > NDIM_MAX.min(N - SHAPE_WORD) {
            return Err(Corrupt("a ticket has unknown flags or too many axes"));
        }
        let axes = usize::from(ndim);
        // Axis by axis: a copy of so many words as there are axes would be a call.
        let mut shape = [0; NDIM_MAX];
        for (axis, word) in words[SHAPE_WORD..].iter().enumerate() {
            shape[axis] = if axis < axes { *word } else { 0 };
        }
        let len_bytes = len_bytes(&shape[..axes], dtype)?;
        let is_aligned = words[3] & (dtype.alignment() as u64 - 1) == 0;
        if !is_aligned || len_bytes.checked_add(words[3]).is_none() {
            return Err(Corrupt("a ticket's array is misaligned or has no end"));
        }
        Ok(Self {
            arena,
            region: (words[1] >> 32) as u32,
            chunk: words[1] as u32,
            generation: words[2],
            offset_bytes: words[3],
            dtype,
            is_fortran: meta & FORTRAN != 0,
            is_sole: meta & SOLE != 0,
            is_unique: meta & UNIQUE != 0,
            ndim,
            shape,
            len_bytes,
        })
    }
}

/// Bytes of an array with these extents.
#[inline]
fn len_bytes(extents: &[u64], dtype: DType) -> Result<u64, Corrupt> {
    // An extent of 0 makes the array empty, but the other extents must be sane as well.
    let mut bytes = dtype.size() as u64;
    let mut is_empty = false;
    for extent in extents {
        is_empty |= *extent == 0;
        bytes = bytes
            .checked_mul((*extent).max(1))
            .ok_or(Corrupt("a ticket's shape has more elements than memory"))?;
    }
    if i64::try_from(bytes).is_err() {
        return Err(Corrupt("a ticket's shape has more elements than memory"));
    }
    Ok(if is_empty { 0 } else { bytes })
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::party::Party;

    fn ticket() -> Ticket {
        Ticket {
            arena: PartyId { party: Party::new(12).unwrap(), epoch: 99 },
            region: 3,
            chunk: 4,
            generation: 5,
            offset_bytes: 4096,
            dtype: DType::F32,
            is_fortran: true,
            is_sole: true,
            is_unique: false,
            ndim: 3,
            shape: [2, 3, 4, 0, 0, 0, 0, 0],
            len_bytes: 96,
        }
    }

    #[test]
    fn words_go_both_ways() {
        let (words, used) = ticket().to_words();
        assert_eq!(used, TICKET_WORDS_MAX);
        assert_eq!(Ticket::from_words(&words), Ok(ticket()));
        let mut flat = ticket();
        flat.ndim = 2;
        flat.shape[2] = 0;
        flat.len_bytes = 24;
        let (words, used) = flat.to_words();
        assert_eq!(used, SHORT_WORDS);
        assert_eq!(Ticket::split_from(&words[..used + 2]), Ok((flat, &[0, 0][..])));
        assert!(Ticket::from_words(&words[..used - 1]).is_err());
    }

    #[test]
    fn empty_arrays_have_no_bytes_and_huge_ones_are_refused() {
        assert_eq!(len_bytes(&[2, 3, 4], DType::F32), Ok(96));
        assert_eq!(len_bytes(&[2, 0, 4], DType::F32), Ok(0));
        assert!(len_bytes(&[2, u64::MAX, 4], DType::F32).is_err());
        let wild_and_empty = len_bytes(&[0, u64::MAX, 4], DType::F32);
        assert!(wild_and_empty.is_err(), "an empty axis does not excuse a wild one");
    }

    #[test]
    fn wild_words_are_refused() {
        let (good, _) = ticket().to_words();
        let spoilt = [
            (0, u64::MAX),
            (3, u64::MAX),
            (3, 2),
            (4, 0),
            (4, 0x103),
            (4, 3),
            (4, 0x903),
            (4, 1 << 40 | 0x103),
            (5, u64::MAX),
        ];
        for (index, value) in spoilt {
            let mut words = good;
            words[index] = value;
            let result = Ticket::from_words(&words);
            if (index, value) == (4, 0x103) {
                assert!(result.is_ok(), "one axis of f32 is fine");
            } else {
                assert!(result.is_err(), "word {index} = {value:x}");
            }
        }
    }
}
