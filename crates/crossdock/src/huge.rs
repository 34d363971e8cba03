//! Memory in huge pages, where the file system gives them to those who ask.
//!
//! Reserving the memory of a file asks for nothing and takes small pages, which stay. So where huge pages are wanted, the
//! memory is first used through a mapping that asks for them.

use crossdock_sys::file;
use crossdock_sys::map::{Access, Mapping};
use std::fs::File;
use std::io;

/// Takes the memory of a new file, as far as it comes in huge pages, and returns the mapping that has asked for them.
/// What it did not get is for the caller to reserve.
pub(crate) fn map(file: &File, bytes: u64) -> io::Result<Mapping> {
    let len = usize::try_from(bytes).unwrap_or(usize::MAX);
    file.set_len(bytes)?;
    let map = Mapping::new(file, len, Access::ReadWrite)?;
    map.advise_huge()?;
    map.prefault(0..map.len())?;
    Ok(map)
}

/// Takes all the memory of a new file, in huge pages where there are any.
pub(crate) fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    // If there are none, or not enough memory, then what comes next says so.
    let _ = map(file, bytes);
    file::reserve(file, 0, bytes)
}
