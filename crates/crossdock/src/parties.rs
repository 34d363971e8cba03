//! The table of parties of a directory: one file, changed under the directory's lock.
//!
//! # Tokens
//!
//! A process that has a row holds the token of the row ([`crossdock_sys::token`]): it takes it before the
//! row says who it is, and lets go when the row says that no more, or when it dies. So a free token says
//! of whoever was seen in the row that it is not there any more, in whatever pid namespace it was. Where a
//! process can be looked up by its pid, that is asked instead: it is not misled by a child of the dead that
//! has its files, and a watch is one system call on a descriptor of its own.
#![allow(unsafe_code, reason = "records are reached through a mapping that lives as long")]

use crate::error::{Error, Result};
use crate::named::{Draft, read_header};
use crate::namespace::{HouseLock, Namespace};
use crossdock_core::header::{Header, Kind, PERSISTENT};
use crossdock_core::layout;
use crossdock_core::memory::Memory;
use crossdock_core::party::{PARTIES_MAX, Party, Record, State};
use crossdock_sys::map::{Access, Mapping};
use crossdock_sys::process::{Liveness, ProcessId, Watch};
use crossdock_sys::token::{self, Token};
use crossdock_sys::{clock, file};
use std::fs::File;
use std::io;
use std::ptr::NonNull;

/// The name of the file; a user's name cannot begin with a dot.
pub(crate) const PARTIES_NAME: &str = ".parties";

/// Nanoseconds to the ticks at which a new table begins its epochs: 2^10, about a microsecond.
const EPOCH_CLOCK_SHIFT: u32 = 10;

/// Where the tokens begin, one byte a row: far beyond the end of the file, so that they are in nobody's way.
const TOKENS_OFFSET: u64 = 1 << 32;

/// The mapped table.
///
/// # Invariants
///
/// 1. `records` lies inside `map`, which is never changed while `self` lives.
#[derive(Debug)]
pub(crate) struct Parties {
    records: &'static [Record],
    _map: Mapping,
    /// To ask for tokens; it never holds one.
    file: File,
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
        let parties = Self::map(draft.file, &draft.header)?;
        // A microsecond of the clock is less than a row needs to be given out once, so the epochs of this
        // table are later than all of a table that was there before.
        let first = clock::now_ns() >> EPOCH_CLOCK_SHIFT;
        parties.records.iter().for_each(|record| record.begin_epochs(first));
        file::link(&parties.file, &namespace.directory, PARTIES_NAME)
            .and_then(|()| file::unlock(&parties.file))
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
        Self::map(file, &header).map(Some)
    }

    fn map(file: File, header: &Header) -> Result<Self> {
        let bytes = (header.data_offset + header.len) as usize;
        let map = Mapping::new(&file, bytes, Access::ReadWrite)
            .map_err(|error| Error::os("cannot map the table of parties", error))?;
        let memory = static_memory(&map, bytes)?;
        let records =
            layout::parties(&memory).map_err(|why| Error::corrupt("the table of parties", why))?;
        Ok(Self { records, _map: map, file })
    }

    /// The record of a party.
    pub(crate) fn record(&self, party: Party) -> &Record {
        &self.records[party.index()]
    }

    /// What the process that has a row calls itself in its own pid namespace.
    pub(crate) fn pid(&self, party: Party) -> Option<u32> {
        match self.record(party).read().1 {
            State::Process(id) => Some(id.pid),
            State::Free | State::Channel { .. } => None,
        }
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

    /// Whether nobody holds the token of a party.
    pub(crate) fn is_token_free(&self, party: Party) -> bool {
        matches!(token::is_held(&self.file, token_of(party)), Ok(false))
    }

    /// Whether anybody holds any token, and so lives, whatever the rows say.
    pub(crate) fn is_any_token_held(&self) -> bool {
        token::is_any_held(&self.file, TOKENS_OFFSET, PARTIES_MAX as u64).unwrap_or(true)
    }

    /// A party that is free, and its token. Under the directory's lock, until the row says whose it is.
    pub(crate) fn first_free_with_token(
        &self,
        _lock: &HouseLock,
    ) -> Result<Option<(Party, Token)>> {
        for party in Party::all().filter(|party| self.record(*party).epoch().is_none()) {
            let token = Token::take(&self.file, token_of(party))
                .map_err(|error| Error::os("cannot lock a row of the table of parties", error))?;
            // A child of the last who had the row may still have its files: leave the row alone then.
            if let Some(token) = token {
                return Ok(Some((party, token)));
            }
        }
        Ok(None)
    }

    /// Whether the process lives that the caller has read in a party's row.
    pub(crate) fn liveness(&self, party: Party, id: &ProcessId) -> Liveness {
        self.liveness_of(party, &Watch::new(*id))
    }

    /// As [`Parties::liveness`], for those who ask often and keep a watch.
    ///
    /// The answer is about the watched process: the row may have been given to another one since it was
    /// read. So nobody is reaped on it before the row is read again under the directory's lock.
    pub(crate) fn liveness_of(&self, party: Party, watch: &Watch) -> Liveness {
        match watch.liveness() {
            Liveness::Elsewhere => match token::is_held(&self.file, token_of(party)) {
                Ok(true) => Liveness::Alive,
                Ok(false) => Liveness::Dead,
                Err(_) => Liveness::Unknown,
            },
            known => known,
        }
    }
}

/// Which byte of the table's file is the token of a party.
fn token_of(party: Party) -> u64 {
    TOKENS_OFFSET + party.index() as u64
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

#[cfg(test)]
mod tests {
    use super::*;
    use crossdock_sys::file::Directory;

    /// Calls `look` with an empty table in a directory of its own.
    fn with_table(name: &str, look: impl FnOnce(&Parties, &HouseLock)) {
        let path = format!("/dev/shm/crossdock-{name}-{}", std::process::id());
        let namespace = Namespace { directory: Directory::open_private(path.as_ref()).unwrap() };
        let lock = namespace.lock().unwrap();
        let parties = Parties::open_or_create(&namespace, &lock).unwrap();
        look(&parties, &lock);
        assert!(namespace.directory.unlink(PARTIES_NAME).unwrap());
        namespace.directory.remove_if_empty();
    }

    #[test]
    fn a_row_whose_token_somebody_still_holds_is_not_given_out() {
        with_table("rows", |parties, lock| {
            let take = || parties.first_free_with_token(lock).unwrap().unwrap();
            let (first, token) = take();
            let (second, _token) = take();
            assert_ne!(first, second, "free, as far as the table says");
            drop(token);
            assert_eq!(take().0, first);
        });
    }

    #[test]
    fn a_process_elsewhere_lives_as_long_as_its_token_is_held() {
        with_table("tokens", |parties, lock| {
            let here = ProcessId::current().unwrap();
            let elsewhere = ProcessId { pid_namespace: !here.pid_namespace, ..here };
            let other_boot = ProcessId { boot: [!here.boot[0], 0], ..elsewhere };
            let (party, token) = parties.first_free_with_token(lock).unwrap().unwrap();
            assert_eq!(parties.liveness(party, &elsewhere), Liveness::Alive);
            assert_eq!(parties.liveness(party, &other_boot), Liveness::Dead);
            drop(token);
            assert_eq!(parties.liveness(party, &elsewhere), Liveness::Dead);
            assert_eq!(parties.liveness(party, &here), Liveness::Alive, "its pid says so");
        });
    }
}
