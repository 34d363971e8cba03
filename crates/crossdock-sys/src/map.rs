//! One owned mapping of a file.
#![allow(unsafe_code, reason = "pointers into a mapping carry its invariants")]

use memmap2::{Advice, MmapOptions, MmapRaw};
use std::fs::File;
use std::io;
use std::ops::Range;

/// What a mapping may do to its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Loads only; a store is a segmentation fault.
    ReadOnly,
    /// Loads and stores, seen by every process that maps the file.
    ReadWrite,
}

/// A shared mapping of a file from its first byte on, unmapped on drop.
///
/// It may reach beyond the end of the file, so that the file can grow under it without moving a
/// pointer; a page beyond the end must not be touched.
///
/// # Invariants
///
/// 1. `as_ptr()` is page-aligned and the `len()` bytes from there stay mapped while `self` lives.
/// 2. No Rust reference to the mapped bytes is made here: other processes may write them.
#[derive(Debug)]
pub struct Mapping {
    raw: MmapRaw,
    access: Access,
}

impl Mapping {
    /// Maps `len` bytes of `file`, which must have been opened for `access`.
    ///
    /// # Errors
    ///
    /// The error of `mmap(2)`; `InvalidInput` for a length of 0.
    #[doc(alias = "mmap")]
    pub fn new(file: &File, len: usize, access: Access) -> io::Result<Self> {
        if len == 0 || isize::try_from(len).is_err() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut options = MmapOptions::new();
        options.len(len);
        let raw = match access {
            Access::ReadOnly => options.map_raw_read_only(file)?,
            Access::ReadWrite => options.map_raw(file)?,
        };
        Ok(Self { raw, access })
    }

    /// The first mapped byte.
    #[inline]
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.raw.as_mut_ptr()
    }

    /// Bytes of address space, which may be more than the file has.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Never: an empty mapping cannot be made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// What may be done through [`Mapping::as_ptr`].
    #[inline]
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// Faults the pages of `range` in now, so that the first use does not.
    ///
    /// # Errors
    ///
    /// The error of `madvise(2)`: `EFAULT` when the file system is full, `EINVAL` on a kernel
    /// before 5.14.
    #[doc(alias = "MADV_POPULATE_WRITE")]
    pub fn prefault(&self, range: Range<usize>) -> io::Result<()> {
        let advice = match self.access {
            Access::ReadOnly => Advice::PopulateRead,
            Access::ReadWrite => Advice::PopulateWrite,
        };
        self.raw.advise_range(advice, range.start, range.len())
    }

    /// Asks for huge pages; whether they came is for `smaps` to say (see [`Mapping::usage`]).
    ///
    /// # Errors
    ///
    /// The error of `madvise(2)`.
    #[doc(alias = "MADV_HUGEPAGE")]
    pub fn advise_huge(&self) -> io::Result<()> {
        self.raw.advise(Advice::HugePage)
    }

    /// Bytes of this mapping that are resident, and bytes that huge pages map.
    ///
    /// # Errors
    ///
    /// When `/proc/self/smaps` cannot be read.
    pub fn usage(&self) -> io::Result<Usage> {
        let start = format!("{:x}-", self.as_ptr().addr());
        let smaps = std::fs::read_to_string("/proc/self/smaps")?;
        let mut usage = Usage::default();
        let rows = smaps.lines().skip_while(|row| !row.starts_with(&start)).skip(1);
        for row in rows.take_while(|row| !row.contains('-') || row.contains(" kB")) {
            let mut words = row.split_ascii_whitespace();
            let (Some(key), Some(value)) = (words.next(), words.next()) else { continue };
            let bytes = value.parse::<u64>().unwrap_or(0) * 1024;
            match key {
                "Rss:" => usage.resident_bytes = bytes,
                "ShmemPmdMapped:" | "Shared_Hugetlb:" => usage.huge_bytes += bytes,
                _ => {}
            }
        }
        Ok(usage)
    }
}

// SAFETY: by invariant 1 the mapping is plain address space that any thread may use; by invariant 2
// it hands out no reference, so there is nothing that sharing it could alias.
unsafe impl Send for Mapping {}
// SAFETY: as for `Send`; every method takes `&self` and the kernel serialises them.
unsafe impl Sync for Mapping {}

/// What the kernel really gave to a mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes that have a page in this process's tables.
    pub resident_bytes: u64,
    /// Bytes of those that huge pages map.
    pub huge_bytes: u64,
}

/// Bytes of all shared memory and all memory file systems of the machine that lie in huge pages.
///
/// # Errors
///
/// When `/proc/meminfo` cannot be read or does not say.
#[doc(alias = "ShmemHugePages")]
pub fn shared_huge_bytes() -> io::Result<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo")?;
    let row = meminfo.lines().find_map(|row| row.strip_prefix("ShmemHugePages:"));
    let kib = row.and_then(|row| row.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kib.and_then(|kib| kib.checked_mul(1024)).ok_or_else(|| io::ErrorKind::NotFound.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file;

    #[test]
    fn a_mapping_reaches_beyond_its_file_and_the_file_grows_under_it() {
        let file = file::anonymous("map-test").unwrap();
        file::reserve(&file, 0, 4096).unwrap();
        let map = Mapping::new(&file, 1 << 30, Access::ReadWrite).unwrap();
        let before = map.as_ptr();
        file::reserve(&file, 0, 3 * 4096).unwrap();
        // SAFETY: invariant 1.
        let third_page = unsafe { map.as_ptr().add(2 * 4096) };
        // SAFETY: the byte lies inside the file, which now has three pages.
        unsafe { third_page.write_volatile(7) };
        assert_eq!(before, map.as_ptr());
        assert!(map.usage().unwrap().resident_bytes >= 4096);
    }

    #[test]
    fn what_lies_in_huge_pages_is_whole_pages_or_not_said() {
        match shared_huge_bytes() {
            Ok(bytes) => assert!(bytes.is_multiple_of(4096), "{bytes}"),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}"),
        }
    }

    #[test]
    fn an_empty_mapping_is_an_error() {
        let file = file::anonymous("map-test").unwrap();
        assert!(Mapping::new(&file, 0, Access::ReadOnly).is_err());
    }
}
