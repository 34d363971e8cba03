//! The table of parties of a directory: one file, changed under the directory's lock.
#![allow(unsafe_code, reason = "records are reached through a mapping that lives as long")]

use crate::error::{Error, Result};
use crate::named::{Draft, read_header};
use crate::namespace::{HouseLock, Namespace};
use crossdock_core::header::{Header, Kind, PERSISTENT};
use crossdock_core::layout;
use crossdock_core::memory::Memory;
use crossdock_core::party::{Party, Record, State};
use crossdock_sys::{clock, file};
use crossdock_sys::map::{Access, Mapping};
use std::fs::File;
use std::io;
use std::ptr::NonNull;

/// The name of the file; a user's name cannot begin with a dot.
pub(crate) const PARTIES_NAME: &str = ".parties";

/// Nanoseconds to the ticks at which a new table begins its epochs: 2^20, about a millisecond.
const EPOCH_CLOCK_SHIFT: u32 = 20;

/// The mapped table.
///
/// # Invariants
///
/// 1. `records` lies inside `map`, which is never changed while `self` lives.
#[derive(Debug)]
pub(crate) struct Parties {
    records: &'static [Record],
    _map: Mapping,
}

impl Parties {
    /// Opens the table, or makes it.
    pub(crate) fn open_or_create(namespace: &Namespace, _lock: &HouseLock) -> Result<Self> {
        if let Some(parties) = Self::open(namespace)? {
            return Ok(parties);
        }
        let mut header = Header::new(Kind::Parties, layout::parties_bytes(), 256);
        header.flags = PERSISTENT;
        let draft = Draft::new(namespace, "the table of parties", header, 0o600)?;
        let parties = Self::map(&draft.file, &draft.header)?;
        // A millisecond of the clock is more than a row needs to be given out once, so the epochs of this
        // table are later than all of a table that was there before.
        let first = clock::now_ns() >> EPOCH_CLOCK_SHIFT;
        parties.records.iter().for_each(|record| record.begin_epochs(first));
        file::link(&draft.file, &namespace.directory, PARTIES_NAME)
            .map_err(|error| Error::os("cannot create the table of parties", error))?;
        Ok(parties)
    }

    /// Opens the table if there is one. To change it, or to rely on what it says for longer than a
    /// moment, the caller holds the directory's lock.
    pub(crate) fn open(namespace: &Namespace) -> Result<Option<Self>> {
        let file = match file::open(&namespace.directory, PARTIES_NAME, true) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::os("cannot open the table of parties", error)),
        };
        let header = read_header(&file, PARTIES_NAME)?;
        Self::map(&file, &header).map(Some)
    }

    fn map(file: &File, header: &Header) -> Result<Self> {
        let bytes = (header.data_offset + header.len) as usize;
        let map = Mapping::new(file, bytes, Access::ReadWrite)
            .map_err(|error| Error::os("cannot map the table of parties", error))?;
        let memory = static_memory(&map, bytes)?;
        let records =
            layout::parties(&memory).map_err(|why| Error::corrupt("the table of parties", why))?;
        Ok(Self { records, _map: map })
    }

    /// The record of a party.
    pub(crate) fn record(&self, party: Party) -> &Record {
        &self.records[party.index()]
    }

    /// All parties that are in use.
    pub(crate) fn in_use(&self) -> impl Iterator<Item = (Party, u64, State)> {
        Party::all().filter_map(|party| {
            let (epoch, state) = self.record(party).read();
            (state != State::Free).then_some((party, epoch, state))
        })
    }

    /// A party that is free.
    pub(crate) fn first_free(&self) -> Option<Party> {
        Party::all().find(|party| self.record(*party).epoch().is_none())
    }
}

/// The records inside a mapping that its owner keeps at least as long as them.
///
/// Every caller stores what it gets beside the mapping, in a struct that never replaces it, and hands
/// out references only for the life of that struct.
pub(crate) fn static_memory(map: &Mapping, in_file: usize) -> Result<Memory<'static>> {
    let base =
        NonNull::new(map.as_ptr()).ok_or_else(|| Error::corrupt("a mapping", "no address"))?;
    // SAFETY: the caller keeps the mapping as long as the memory (see above), so invariant 1 of
    // `Mapping` gives invariant 1 of `Memory` for the `in_file` bytes that the file has; control files
    // are accessed through their records only, which gives invariant 3.
    let memory = unsafe { Memory::new(base, in_file.min(map.len())) };
    memory.ok_or_else(|| Error::corrupt("a mapping", "its address is not page-aligned"))
}
