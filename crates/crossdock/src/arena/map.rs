//! An arena as this process sees it: its table of chunks and the regions mapped so far.

use crate::error::{Error, ErrorKind, Result};
use crate::huge;
use crate::named::{Draft, read_header};
use crate::namespace::Namespace;
use crate::parties::static_memory;
use crate::trace;
use crossdock_core::chunk::{Chunk, Snapshot};
use crossdock_core::header::{Header, Kind};
use crossdock_core::layout::{ArenaTable, CHUNKS_MAX, Entry, arena_file_bytes};
use crossdock_core::party::{Party, PartyId};
use crossdock_sys::file;
use crossdock_sys::map::{Access, Mapping};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Entries that a new arena has room for; more are added a page at a time.
const ENTRIES_FIRST: usize = 28;
const ENTRIES_PER_PAGE: usize = 32;

/// A mapped arena, one's own or another process's.
///
/// # Invariants
///
/// 1. `table` lies inside `_map`, which has address space for all entries there can ever be.
/// 2. Only entries inside `known_bytes`, which the file has at least, are ever looked at.
#[derive(Debug)]
pub(crate) struct ArenaMap {
    pub(crate) id: PartyId,
    namespace: Arc<Namespace>,
    file: File,
    table: ArenaTable<'static>,
    known_bytes: AtomicU64,
    _map: Mapping,
}

/// A region of an arena: one file of memory, mapped read-only or read-write as needed.
#[derive(Debug)]
pub(crate) struct Region {
    /// The arena it belongs to.
    pub(crate) map: Arc<ArenaMap>,
    /// Its number there.
    pub(crate) number: u32,
    /// Bytes of the file.
    pub(crate) len: u64,
    read_only: OnceLock<Mapping>,
    read_write: OnceLock<Mapping>,
}

/// The name of an arena's table.
fn table_name(id: PartyId) -> String {
    format!(".arena.{}.{}", id.party.index(), id.epoch)
}

fn region_name(id: PartyId, region: u32) -> String {
    format!("{}.{region}", table_name(id))
}

/// Every arena in a directory with the names of its files.
pub(crate) fn arena_names(namespace: &Namespace) -> Result<Vec<(PartyId, Vec<String>)>> {
    let mut found: HashMap<PartyId, Vec<String>> = HashMap::new();
    let listed = namespace.directory.names();
    for name in listed.map_err(|error| Error::os("cannot list the arenas", error))? {
        let Some(numbers) = name.strip_prefix(".arena.") else { continue };
        let mut numbers = numbers.split('.').map(str::parse::<u64>);
        let (Some(Ok(party)), Some(Ok(epoch))) = (numbers.next(), numbers.next()) else { continue };
        let Some(party) = usize::try_from(party).ok().and_then(Party::new) else { continue };
        found.entry(PartyId { party, epoch }).or_default().push(name);
    }
    Ok(found.into_iter().collect())
}

impl ArenaMap {
    /// Makes the arena of this process.
    pub(crate) fn create(namespace: &Arc<Namespace>, id: PartyId) -> Result<Self> {
        let name = table_name(id);
        let bytes = arena_file_bytes(ENTRIES_FIRST);
        let mut header = Header::new(Kind::Arena, bytes - 256, 256);
        header.party = id.to_word();
        header.reserve = arena_file_bytes(CHUNKS_MAX);
        let draft = Draft::new(namespace, "an arena", header, 0o600)?;
        link_anew(namespace, &draft.file, &name)
            .map_err(|error| Error::os("cannot create an arena", error))?;
        Self::new(namespace, id, draft.file)
    }

    /// Opens an arena.
    pub(crate) fn open(namespace: &Arc<Namespace>, id: PartyId) -> Result<Self> {
        let name = table_name(id);
        let file = file::open(&namespace.directory, &name, true).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                Error::new(ErrorKind::Stale, "an array's memory has gone with its last holder")
            } else {
                Error::os("cannot open an arena", error)
            }
        })?;
        let header = read_header(&file, &name)?;
        if header.kind != Kind::Arena || header.party != id.to_word() {
            return Err(Error::corrupt("an arena", "its header belongs to something else"));
        }
        Self::new(namespace, id, file)
    }

    fn new(namespace: &Arc<Namespace>, id: PartyId, file: File) -> Result<Self> {
        let failed = |error| Error::os("cannot map an arena", error);
        let known_bytes = file::status(&file).map_err(failed)?.len;
        let bytes = arena_file_bytes(CHUNKS_MAX) as usize;
        let map = Mapping::new(&file, bytes, Access::ReadWrite).map_err(failed)?;
        let table = ArenaTable::new(static_memory(&map, bytes)?)
            .map_err(|why| Error::corrupt("an arena", why))?;
        Ok(Self {
            id,
            namespace: Arc::clone(namespace),
            file,
            table,
            known_bytes: AtomicU64::new(known_bytes),
            _map: map,
        })
    }

    /// The table of chunks.
    #[inline]
    pub(crate) fn table(&self) -> &ArenaTable<'_> {
        &self.table
    }

    /// The entry of a chunk, if the file has it. It lives as long as this map, which the caller keeps.
    #[inline]
    pub(crate) fn entry(&self, chunk: u32) -> Result<&'static Entry> {
        let end = arena_file_bytes(chunk as usize + 1);
        if end > self.known_bytes.load(Ordering::Relaxed) {
            self.look_for(end)?;
        }
        self.table.entry(chunk).map_err(|why| Error::corrupt("an arena", why))
    }

    /// Whether the file has `end` bytes by now.
    #[cold]
    fn look_for(&self, end: u64) -> Result<()> {
        let now = file::status(&self.file)
            .map_err(|error| Error::os("cannot look at an arena", error))?
            .len;
        self.known_bytes.store(now, Ordering::Relaxed);
        if end > now {
            return Err(Error::corrupt("an arena", "a ticket names a chunk that it lacks"));
        }
        Ok(())
    }

    /// Makes room for entry number `chunk`; only the owner does.
    pub(crate) fn make_room(&self, chunk: u32) -> Result<()> {
        let end = arena_file_bytes(chunk as usize + 1);
        if end > self.known_bytes.load(Ordering::Relaxed) {
            let bytes = arena_file_bytes(chunk as usize + ENTRIES_PER_PAGE);
            file::reserve(&self.file, 0, bytes)
                .map_err(|error| self.namespace.no_space("a chunk", 4096, error))?;
            self.known_bytes.store(bytes, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Calls `visit` for every entry in use.
    pub(crate) fn for_each_entry(&self, mut visit: impl FnMut(u32, &Entry)) {
        for chunk in 0..self.table.control.entries() {
            let Ok(chunk) = u32::try_from(chunk) else { return };
            let Ok(entry) = self.entry(chunk) else { return };
            visit(chunk, entry);
        }
    }

    /// Whether anybody holds any chunk; `is_wanted` looks closer at those with holders.
    pub(crate) fn is_held(&self, is_wanted: impl Fn(&Chunk, Snapshot, u32) -> bool) -> bool {
        let mut held = false;
        self.for_each_entry(|index, entry| {
            held = held || chunk_is_held(&entry.chunk, |chunk, now| is_wanted(chunk, now, index));
        });
        held
    }

    /// Whether a region still has its file.
    pub(crate) fn has_region(&self, region: u32) -> bool {
        self.namespace.directory.inode_of(&region_name(self.id, region)).is_some()
    }

    /// Makes a region of `bytes` bytes, all of whose memory is taken now; only the owner does. It gets
    /// its name last, so that a failure leaves nothing behind.
    pub(crate) fn create_region(
        self: &Arc<Self>,
        region: u32,
        bytes: u64,
        is_huge: bool,
    ) -> Result<Arc<Region>> {
        let failed = |error| Error::os("cannot create a region for arrays", error);
        let file = file::unnamed(&self.namespace.directory, 0o600).map_err(failed)?;
        let huge = if is_huge { huge::map(&file, bytes).ok() } else { None };
        file::reserve(&file, 0, bytes)
            .map_err(|error| self.namespace.no_space("an array", bytes, error))?;
        let map = match huge {
            Some(map) => map,
            None => Mapping::new(&file, bytes as usize, Access::ReadWrite).map_err(failed)?,
        };
        link_anew(&self.namespace, &file, &region_name(self.id, region)).map_err(failed)?;
        trace::region_created(self.id.party.index(), region, bytes, is_huge);
        let created = Region::new(self, region, bytes);
        Ok(Arc::new(Region { read_write: OnceLock::from(map), ..created }))
    }

    /// Gives a region's memory back to the system at once; only the owner does, and only when nobody
    /// holds anything of it.
    pub(crate) fn remove_region(&self, region: u32) {
        let name = region_name(self.id, region);
        if let Ok(file) = file::open(&self.namespace.directory, &name, true) {
            // Others may still have it mapped; the memory goes all the same.
            let _ = file::punch(&file);
        }
        let _ = self.namespace.directory.unlink(&name);
        self.table.control.retire();
        trace::region_dropped(self.id.party.index(), region);
    }

    /// Removes the files of an arena that has no owner and no holders.
    pub(crate) fn unlink_all(&self) {
        for (id, names) in arena_names(&self.namespace).unwrap_or_default() {
            if id == self.id {
                // The table goes last: while it is there the rest can be found again.
                let table = table_name(id);
                for name in names.iter().filter(|name| **name != table) {
                    // Others may still have it mapped; the memory goes all the same.
                    if let Ok(file) = file::open(&self.namespace.directory, name, true) {
                        let _ = file::punch(&file);
                    }
                    let _ = self.namespace.directory.unlink(name);
                }
                let _ = self.namespace.directory.unlink(&table);
            }
        }
    }
}

/// Gives a file a name that only this process can want. If it is taken, then by the leftover of an
/// earlier table of parties, whose numbers began at the same point.
fn link_anew(namespace: &Namespace, file: &File, name: &str) -> io::Result<()> {
    match file::link(file, &namespace.directory, name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            namespace.directory.unlink(name)?;
            file::link(file, &namespace.directory, name)
        }
        other => other,
    }
}

/// Whether anybody holds a chunk. `is_wanted` looks closer when somebody seems to; its word counts only
/// if nothing moved meanwhile.
pub(crate) fn chunk_is_held(chunk: &Chunk, is_wanted: impl Fn(&Chunk, Snapshot) -> bool) -> bool {
    let Some(before) = chunk.snapshot() else { return true };
    if before.is_unheld() {
        return false;
    }
    is_wanted(chunk, before) || chunk.snapshot() != Some(before)
}

impl Region {
    fn new(map: &Arc<ArenaMap>, number: u32, len: u64) -> Self {
        let map = Arc::clone(map);
        Self { map, number, len, read_only: OnceLock::new(), read_write: OnceLock::new() }
    }

    /// Opens a region of another process's arena.
    pub(crate) fn open(map: &Arc<ArenaMap>, number: u32) -> Result<Self> {
        let file = open_region(map, number, false)?;
        let len =
            file::status(&file).map_err(|error| Error::os("cannot open a region", error))?.len;
        if len == 0 {
            return Err(Error::corrupt("a region", "it has been cut to no bytes"));
        }
        let region = Self::new(map, number, len);
        region.map(&file, Access::ReadOnly)?;
        trace::region_mapped(map.id.party.index(), number, len);
        Ok(region)
    }

    fn map(&self, file: &File, access: Access) -> Result<&Mapping> {
        let len = usize::try_from(self.len).unwrap_or(usize::MAX);
        let map = Mapping::new(file, len, access)
            .map_err(|error| Error::os("cannot map a region", error))?;
        let place = if access == Access::ReadOnly { &self.read_only } else { &self.read_write };
        Ok(place.get_or_init(|| map))
    }

    /// Where the mapping that is just for `access` begins, if there is one.
    #[inline]
    pub(crate) fn base(&self, access: Access) -> Option<usize> {
        let map = match access {
            Access::ReadOnly => self.read_only.get(),
            Access::ReadWrite => self.read_write.get(),
        };
        map.map(|map| map.as_ptr().addr())
    }

    /// The mapping for `access`, made on first use and kept.
    #[inline]
    pub(crate) fn mapping(&self, access: Access) -> Result<&Mapping> {
        if let Some(map) = self.read_write.get() {
            return Ok(map);
        }
        if access == Access::ReadOnly
            && let Some(map) = self.read_only.get()
        {
            return Ok(map);
        }
        let file = open_region(&self.map, self.number, access == Access::ReadWrite)?;
        self.map(&file, access)
    }
}

fn open_region(map: &ArenaMap, number: u32, writable: bool) -> Result<File> {
    let name = region_name(map.id, number);
    file::open(&map.namespace.directory, &name, writable).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            Error::new(ErrorKind::Stale, "an array's memory has been given back")
        } else {
            Error::os("cannot open a region", error)
        }
    })
}
