//! The first 256 bytes of every file that crossdock makes.
//!
//! All fields are little-endian.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic `XDOCK\0\r\n` |
//! | 8 | 4 | layout version |
//! | 12 | 4 | kind |
//! | 16 | 4 | word of known bytes: `04 03 02 01` |
//! | 20 | 4 | length of this header |
//! | 24 | 8 | `len`: bytes asked for; grows while the file is in use |
//! | 32 | 8 | `reserve`: address space to map |
//! | 40 | 8 | `data_offset`: where the bytes begin |
//! | 48 | 8 | flags; bit 0: the name outlives its users |
//! | 56 | 4 | pid of the creator, for people |
//! | 60 | 4 | zero |
//! | 64 | 8 | creation, in nanoseconds since 1970 |
//! | 72 | 1 | element type, 0 if none |
//! | 73 | 1 | number of axes |
//! | 74 | 1 | 1 for Fortran order |
//! | 75 | 1 | 1 if messages are unique arrays |
//! | 76 | 1 | 1 if the elements are atomic |
//! | 77 | 3 | zero |
//! | 80 | 64 | extents of 8 axes |
//! | 144 | 8 | channel: number of slots; map, list: number of shards |
//! | 152 | 8 | channel: its party |
//! | 160 | 8 | value, channel, map, list: hash of the layout of its type or of its messages, or of the text about it |
//! | 168 | 8 | value: items of its slice, 0 if it has none |
//! | 176 | 8 | value, channel, map, list: bytes of the text from 256 on that describes its type or its messages |
//! | 184 | 24 | channel: its [`Settings`] |
//! | 208 | 48 | zero |
//!
//! A header is read with one `pread` into private memory, so what is checked is what is used.

use crate::collection;
use crate::element::DType;
use crate::settings::{SETTINGS_BYTES, Settings, is_capacity};
use crate::ticket::NDIM_MAX;
use std::fmt;

/// Length of the header.
pub const HEADER_BYTES: usize = 256;
/// Offset of the growing `len` field.
pub const LEN_OFFSET: usize = 24;
/// Offset of the flags.
pub const FLAGS_OFFSET: usize = 48;
/// Flag: the name outlives its users.
pub const PERSISTENT: u64 = 1;
/// The version that this build writes, and the only one it reads.
pub const VERSION: u32 = 3;
/// Every value lies at a multiple of this, or of its own alignment if that is greater.
pub const VALUE_ALIGNMENT: u64 = 64;
/// Bytes of text that describes a type; a longer one is cut.
pub const TEXT_BYTES_MAX: usize = 2048;
/// Address space that one file may ask for: 2^46 bytes.
pub const RESERVE_MAX: u64 = 1 << 46;

const SETTINGS_OFFSET: usize = 184;
const MAGIC: [u8; 8] = *b"XDOCK\0\r\n";
const KNOWN_BYTES: u32 = 0x0102_0304;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Raw bytes.
    Block = 1,
    /// A named array.
    Array = 2,
    /// A channel.
    Channel = 3,
    /// The table of parties.
    Parties = 4,
    /// The table of an arena.
    Arena = 5,
    /// A typed cell.
    Value = 6,
    /// A map.
    Map = 7,
    /// A list.
    List = 8,
}

impl Kind {
    fn from_code(code: u32) -> Option<Self> {
        let kinds = [
            Self::Block,
            Self::Array,
            Self::Channel,
            Self::Parties,
            Self::Arena,
            Self::Value,
            Self::Map,
            Self::List,
        ];
        kinds.into_iter().find(|kind| *kind as u32 == code)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Block => "block",
            Self::Array => "array",
            Self::Channel => "channel",
            Self::Parties => "table of parties",
            Self::Arena => "arena",
            Self::Value => "value",
            Self::Map => "map",
            Self::List => "list",
        })
    }
}

/// A header in private memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the file is.
    pub kind: Kind,
    /// Bytes asked for.
    pub len: u64,
    /// Address space to map.
    pub reserve: u64,
    /// Where the bytes begin.
    pub data_offset: u64,
    /// Flags.
    pub flags: u64,
    /// Pid of the creator.
    pub creator_pid: u32,
    /// Creation, in nanoseconds since 1970.
    pub created_ns: u64,
    /// Element type, if it has one.
    pub dtype: Option<DType>,
    /// Number of axes.
    pub ndim: u8,
    /// Whether the first axis varies fastest.
    pub is_fortran: bool,
    /// Whether messages are unique arrays.
    pub is_unique: bool,
    /// Whether the elements of an array are atomic, and so may change.
    pub is_atomic: bool,
    /// Extents.
    pub shape: [u64; NDIM_MAX],
    /// Slots of a channel, shards of a map or list.
    pub capacity: u64,
    /// Party of a channel.
    pub party: u64,
    /// Hash of the layout of a value's type or of a channel's messages.
    pub type_hash: u64,
    /// Items of the slice that a value ends with.
    pub items: u64,
    /// Bytes of the text behind the header that describes a value's type or a channel's messages.
    pub text_bytes: u64,
    /// What a channel is made for.
    pub settings: Settings,
}

/// Why a file is none of ours, or not one of this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// It does not begin like a file of crossdock.
    Foreign,
    /// Another version of the layout wrote it.
    Version {
        /// The version in the file.
        found: u32,
    },
    /// A machine with other byte order wrote it.
    ByteOrder,
    /// A field has a value that it cannot have.
    Field(&'static str),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("it does not begin with a crossdock header"),
            Self::Version { found } => {
                write!(f, "its layout has version {found}, this program reads version {VERSION}")
            }
            Self::ByteOrder => f.write_str("a machine of the other byte order wrote it"),
            Self::Field(field) => write!(f, "its header is damaged: {field}"),
        }
    }
}

impl Header {
    /// A header of `kind` for `len` bytes from `data_offset` on, everything else zero.
    #[must_use]
    pub fn new(kind: Kind, len: u64, data_offset: u64) -> Self {
        Self {
            kind,
            len,
            reserve: data_offset.saturating_add(len),
            data_offset,
            flags: 0,
            creator_pid: 0,
            created_ns: 0,
            dtype: None,
            ndim: 0,
            is_fortran: false,
            is_unique: false,
            is_atomic: false,
            shape: [0; NDIM_MAX],
            capacity: 0,
            party: 0,
            type_hash: 0,
            items: 0,
            text_bytes: 0,
            settings: Settings::default(),
        }
    }

    /// Whether the name outlives its users.
    #[must_use]
    pub fn is_persistent(&self) -> bool {
        self.flags & PERSISTENT != 0
    }

    /// The bytes of the header.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let mut put = |offset: usize, field: &[u8]| {
            bytes[offset..offset + field.len()].copy_from_slice(field);
        };
        put(0, &MAGIC);
        put(8, &VERSION.to_le_bytes());
        put(12, &(self.kind as u32).to_le_bytes());
        put(16, &KNOWN_BYTES.to_le_bytes());
        put(20, &(HEADER_BYTES as u32).to_le_bytes());
        put(LEN_OFFSET, &self.len.to_le_bytes());
        put(32, &self.reserve.to_le_bytes());
        put(40, &self.data_offset.to_le_bytes());
        put(FLAGS_OFFSET, &self.flags.to_le_bytes());
        put(56, &self.creator_pid.to_le_bytes());
        put(64, &self.created_ns.to_le_bytes());
        put(72, &[self.dtype.map_or(0, DType::code), self.ndim]);
        put(74, &[u8::from(self.is_fortran), u8::from(self.is_unique)]);
        put(76, &[u8::from(self.is_atomic)]);
        for (axis, extent) in self.shape.iter().enumerate() {
            put(80 + 8 * axis, &extent.to_le_bytes());
        }
        put(144, &self.capacity.to_le_bytes());
        put(152, &self.party.to_le_bytes());
        put(160, &self.type_hash.to_le_bytes());
        put(168, &self.items.to_le_bytes());
        put(176, &self.text_bytes.to_le_bytes());
        put(SETTINGS_OFFSET, &self.settings.to_bytes());
        bytes
    }

    /// Reads a header and checks every field against the others and the length of the file.
    ///
    /// # Errors
    ///
    /// [`Mismatch`] says what is wrong.
    pub fn from_bytes(bytes: &[u8; HEADER_BYTES], file_bytes: u64) -> Result<Self, Mismatch> {
        let u32_at = |offset| u32::from_le_bytes(array_at(bytes, offset));
        let u64_at = |offset| u64::from_le_bytes(array_at(bytes, offset));
        if array_at(bytes, 0) != MAGIC {
            return Err(Mismatch::Foreign);
        }
        if u32_at(16) == KNOWN_BYTES.swap_bytes() {
            return Err(Mismatch::ByteOrder);
        }
        if u32_at(8) != VERSION {
            return Err(Mismatch::Version { found: u32_at(8) });
        }
        if u32_at(16) != KNOWN_BYTES || u32_at(20) != HEADER_BYTES as u32 {
            return Err(Mismatch::Field("known bytes or header length"));
        }
        let dtype = match bytes[72] {
            0 => None,
            code => Some(DType::from_code(code).ok_or(Mismatch::Field("element type"))?),
        };
        if bytes[74] > 1 || bytes[75] > 1 {
            return Err(Mismatch::Field("order"));
        }
        if bytes[76] > 1 {
            return Err(Mismatch::Field("whether its elements are atomic"));
        }
        let header = Self {
            kind: Kind::from_code(u32_at(12)).ok_or(Mismatch::Field("kind"))?,
            len: u64_at(LEN_OFFSET),
            reserve: u64_at(32),
            data_offset: u64_at(40),
            flags: u64_at(FLAGS_OFFSET),
            creator_pid: u32_at(56),
            created_ns: u64_at(64),
            dtype,
            ndim: bytes[73],
            is_fortran: bytes[74] == 1,
            is_unique: bytes[75] == 1,
            is_atomic: bytes[76] == 1,
            shape: std::array::from_fn(|axis| u64_at(80 + 8 * axis)),
            capacity: u64_at(144),
            party: u64_at(152),
            type_hash: u64_at(160),
            items: u64_at(168),
            text_bytes: u64_at(176),
            settings: Settings::from_bytes(&array_at::<SETTINGS_BYTES>(bytes, SETTINGS_OFFSET))?,
        };
        header.check(file_bytes)?;
        Ok(header)
    }

    fn check(&self, file_bytes: u64) -> Result<(), Mismatch> {
        let end = self.data_offset.checked_add(self.len);
        if self.data_offset < HEADER_BYTES as u64 || end.is_none_or(|end| end > file_bytes) {
            return Err(Mismatch::Field("it says more bytes than the file has"));
        }
        if self.reserve > RESERVE_MAX || end.is_none_or(|end| end > self.reserve) {
            return Err(Mismatch::Field("reserved address space"));
        }
        match self.kind {
            Kind::Array => self.check_array(),
            Kind::Channel => self.check_channel(),
            Kind::Value => self.check_value(),
            Kind::Map | Kind::List => self.check_collection(),
            Kind::Block | Kind::Parties | Kind::Arena => Ok(()),
        }
    }

    fn check_array(&self) -> Result<(), Mismatch> {
        let dtype = self.dtype.ok_or(Mismatch::Field("an array without element type"))?;
        let axes = self.shape.get(..usize::from(self.ndim)).filter(|axes| !axes.is_empty());
        let axes = axes.ok_or(Mismatch::Field("number of axes"))?;
        let bytes = axes
            .iter()
            .try_fold(dtype.size() as u64, |bytes, extent| bytes.checked_mul((*extent).max(1)))
            .ok_or(Mismatch::Field("shape"))?;
        let bytes = if axes.contains(&0) { 0 } else { bytes };
        if bytes != self.len || !self.data_offset.is_multiple_of(64) {
            return Err(Mismatch::Field("shape and length differ"));
        }
        if self.is_atomic && !dtype.has_atomic() {
            return Err(Mismatch::Field("elements that cannot be atomic"));
        }
        Ok(())
    }

    fn check_channel(&self) -> Result<(), Mismatch> {
        if !is_capacity(self.capacity) {
            return Err(Mismatch::Field("number of slots"));
        }
        if !self.data_offset.is_multiple_of(crate::memory::ALIGNMENT as u64) {
            return Err(Mismatch::Field("a channel is misaligned"));
        }
        if self.len < crate::layout::channel_bytes(self.capacity as usize, &self.settings) {
            return Err(Mismatch::Field("fewer bytes than slots"));
        }
        crate::party::PartyId::from_word(self.party).ok_or(Mismatch::Field("party"))?;
        self.check_text()
    }

    fn check_text(&self) -> Result<(), Mismatch> {
        let text_end = (HEADER_BYTES as u64).checked_add(self.text_bytes);
        if text_end.is_none_or(|end| end > self.data_offset) {
            return Err(Mismatch::Field("description of a type"));
        }
        Ok(())
    }

    fn check_value(&self) -> Result<(), Mismatch> {
        self.check_text()?;
        if !self.data_offset.is_multiple_of(VALUE_ALIGNMENT) {
            return Err(Mismatch::Field("a value is misaligned"));
        }
        Ok(())
    }

    fn check_collection(&self) -> Result<(), Mismatch> {
        self.check_text()?;
        let shards = usize::try_from(self.capacity).unwrap_or(0);
        if !collection::is_shards(shards) || (self.kind == Kind::List && shards != 1) {
            return Err(Mismatch::Field("number of shards"));
        }
        if !self.data_offset.is_multiple_of(crate::memory::ALIGNMENT as u64) {
            return Err(Mismatch::Field("a map or list is misaligned"));
        }
        let end = collection::first_segment(self.data_offset, shards);
        if self.data_offset.saturating_add(self.len) < end || self.reserve > collection::BYTES_MAX {
            return Err(Mismatch::Field("bytes of a map or list"));
        }
        Ok(())
    }
}

fn array_at<const N: usize>(bytes: &[u8; HEADER_BYTES], offset: usize) -> [u8; N] {
    std::array::from_fn(|index| bytes[offset + index])
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn array() -> Header {
        let mut header = Header::new(Kind::Array, 24, 256);
        header.dtype = Some(DType::F32);
        header.ndim = 2;
        header.shape = [2, 3, 0, 0, 0, 0, 0, 0];
        header
    }

    fn channel() -> Header {
        let settings = Settings { arrays: 1, ..Settings::default() };
        let mut header =
            Header::new(Kind::Channel, crate::layout::channel_bytes(8, &settings), 256);
        header.settings = settings;
        header.dtype = Some(DType::F64);
        header.capacity = 8;
        header.is_unique = true;
        header
    }

    #[test]
    fn bytes_go_both_ways() {
        for header in [array(), channel(), Header::new(Kind::Block, 5, 4096)] {
            let file_bytes = header.data_offset + header.len;
            assert_eq!(Header::from_bytes(&header.to_bytes(), file_bytes), Ok(header.clone()));
            let short = Header::from_bytes(&header.to_bytes(), file_bytes - 1);
            assert!(matches!(short, Err(Mismatch::Field(_))), "a truncated file is seen");
        }
    }

    #[test]
    fn foreign_versions_and_byte_orders_are_told_apart() {
        let good = array().to_bytes();
        let spoil = |offset: usize, field: &[u8]| {
            let mut bytes = good;
            bytes[offset..offset + field.len()].copy_from_slice(field);
            Header::from_bytes(&bytes, 280).unwrap_err()
        };
        assert_eq!(spoil(0, b"x"), Mismatch::Foreign);
        assert_eq!(spoil(8, &[99]), Mismatch::Version { found: 99 });
        assert_eq!(spoil(16, &[1, 2, 3, 4]), Mismatch::ByteOrder);
        for (offset, value) in [(12, 0), (12, 9), (20, 1), (72, 99), (72, 0), (73, 0), (73, 9)] {
            assert!(matches!(spoil(offset, &[value]), Mismatch::Field(_)), "{offset} = {value}");
        }
        for offset in [24, 32, 40, 80, 88] {
            assert!(matches!(spoil(offset, &[0xff; 8]), Mismatch::Field(_)), "{offset}");
        }
    }

    #[test]
    fn a_value_whose_text_or_place_is_wild_is_refused() {
        let mut header = Header::new(Kind::Value, 8, 320);
        header.text_bytes = 64;
        assert_eq!(Header::from_bytes(&header.to_bytes(), 328), Ok(header.clone()));
        header.text_bytes = 65;
        assert!(Header::from_bytes(&header.to_bytes(), 328).is_err());
        let mut header = Header::new(Kind::Value, 8, 321);
        header.text_bytes = u64::MAX;
        assert!(Header::from_bytes(&header.to_bytes(), 329).is_err());
    }

    #[test]
    fn an_array_is_atomic_only_if_its_elements_can_be() {
        let mut header = array();
        header.is_atomic = true;
        assert_eq!(Header::from_bytes(&header.to_bytes(), 280), Ok(header.clone()));
        let mut bytes = header.to_bytes();
        bytes[76] = 2;
        assert!(Header::from_bytes(&bytes, 280).is_err());
        (header.dtype, header.shape[1], header.len) = (Some(DType::C64), 1, 16);
        assert!(Header::from_bytes(&header.to_bytes(), 280).is_err());
        header.is_atomic = false;
        assert!(Header::from_bytes(&header.to_bytes(), 280).is_ok());
    }

    #[test]
    fn a_channel_with_wild_capacity_is_refused() {
        for capacity in [0, 9, u64::MAX] {
            let mut header = channel();
            header.capacity = capacity;
            let file_bytes = header.data_offset + header.len;
            assert!(Header::from_bytes(&header.to_bytes(), file_bytes).is_err(), "{capacity}");
        }
    }
}
