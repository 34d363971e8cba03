//! The file of a map or a list: header, text about its types, locks, segments.
//!
//! # Growth
//!
//! The mapping has address space for all that the file can become. Whoever needs more memory takes it from the system
//! first, and then takes the segment. So a segment that somebody has is in the file, and who meets one that lies behind what
//! it knew asks the system how long the file is by now.

use super::inside;
use crate::error::{Error, ErrorKind, Result, human};
use crate::member::Member;
use crate::named::{Draft, Named, Share, read_text};
use crate::namespace::{check_name, retry};
use crate::parties::static_memory;
use crossdock_core::Corrupt;
use crossdock_core::collection::segments::PAGE_BYTES;
use crossdock_core::collection::{Frame, Shard, first_segment, heap::Heap};
use crossdock_core::header::{HEADER_BYTES, Header, Kind, LEN_OFFSET, TEXT_BYTES_MAX};
use crossdock_core::memory::ALIGNMENT;
use crossdock_core::shm_safe::TypeLayout;
use crossdock_sys::file;
use crossdock_sys::map::{Access, Mapping};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a file is to hold, or is expected to hold.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) kind: Kind,
    /// The names of the types.
    pub(super) layout: TypeLayout,
    pub(super) shards: usize,
    pub(super) bytes_max: u64,
}

/// A mapped map or list.
///
/// # Invariants
///
/// 1. `frame` lies inside `map`, which is never replaced, and inside the file.
/// 2. The file has `known` bytes at least.
#[derive(Debug)]
pub(super) struct CollectionFile {
    backing: Backing,
    map: Mapping,
    frame: Frame<'static>,
    known: AtomicU64,
    bytes_max: u64,
    data_offset: u64,
    /// How it is called in errors.
    pub(super) label: String,
    /// Its kind.
    pub(super) kind: Kind,
    /// What its keys are hashed with.
    pub(super) seed: [u64; 2],
}

#[derive(Debug)]
enum Backing {
    Named(Box<Named>),
    Anonymous(File),
}

impl CollectionFile {
    /// Makes an empty map or list under a new name.
    pub(super) fn create(name: &str, wanted: &Wanted) -> Result<Self> {
        check_name(name)?;
        let member = Member::current()?;
        let label = label(wanted.kind, Some(name));
        let header = header(&label, wanted)?;
        let draft = retry(|_| Draft::new(&member.namespace, &label, header.clone(), 0o600))?;
        write_text(&draft.file, wanted, &label)?;
        let (map, frame) = map(&draft.file, &draft.header, &label)?;
        frame.control.set_seed(random());
        let named = Named::publish(&member.namespace, None, draft, name)?;
        let header = named.header.clone();
        Self::new(Backing::Named(Box::new(named)), &header, map, frame, label)
    }

    /// Makes an empty map or list without a name.
    pub(super) fn anonymous(wanted: &Wanted) -> Result<Self> {
        let member = Member::current()?;
        member.share_unnamed();
        let label = label(wanted.kind, None);
        let header = header(&label, wanted)?;
        let cannot = |error| Error::os(format_args!("cannot create {label}"), error);
        let file = file::anonymous("crossdock-collection").map_err(cannot)?;
        let bytes = header.data_offset + header.len;
        file::reserve(&file, 0, bytes)
            .map_err(|error| member.namespace.no_space(&label, bytes, error))?;
        file.write_all_at(&header.to_bytes(), 0).map_err(cannot)?;
        write_text(&file, wanted, &label)?;
        let (map, frame) = map(&file, &header, &label)?;
        frame.control.set_seed(random());
        Self::new(Backing::Anonymous(file), &header, map, frame, label)
    }

    /// Opens a map or list that holds what is wanted.
    pub(super) fn open(name: &str, wanted: &Wanted) -> Result<Self> {
        check_name(name)?;
        let member = Member::current()?;
        let named = Named::open(&member.namespace, None, name, Share::Write)?;
        let header = named.header.clone();
        if header.kind != wanted.kind {
            return Err(crate::block::wrong_kind(name, header.kind, &wanted.kind.to_string()));
        }
        let label = label(wanted.kind, Some(name));
        if header.type_hash != wanted.layout.hash() {
            let found = read_text(named.file(), &header);
            let text = format!(
                "cannot open {label} as one of {}: it holds {found} (both programs must name the types \
                 alike)",
                wanted.layout.text()
            );
            return Err(Error::new(ErrorKind::WrongType, text).named(name));
        }
        let opened = map(named.file(), &header, &label).and_then(|(map, frame)| {
            Self::new(Backing::Named(Box::new(named)), &header, map, frame, label)
        });
        opened.map_err(|error| error.named(name))
    }

    fn new(
        backing: Backing,
        header: &Header,
        map: Mapping,
        frame: Frame<'static>,
        label: String,
    ) -> Result<Self> {
        let seed = frame.control.seed().map_err(|why| Error::corrupt(&label, why))?;
        Ok(Self {
            backing,
            frame,
            known: AtomicU64::new(header.data_offset + header.len),
            bytes_max: header.reserve.min(map.len() as u64),
            data_offset: header.data_offset,
            label,
            kind: header.kind,
            seed,
            map,
        })
    }

    pub(super) fn name(&self) -> Option<&str> {
        match &self.backing {
            Backing::Named(named) => Some(named.name()),
            Backing::Anonymous(_) => None,
        }
    }

    pub(super) fn persist(&self) -> Result<()> {
        match &self.backing {
            Backing::Named(named) => named.persist(),
            Backing::Anonymous(_) => {
                let text = format!("{} cannot persist: it has no name", self.label);
                Err(Error::new(ErrorKind::Unsupported, text))
            }
        }
    }

    fn file(&self) -> &File {
        match &self.backing {
            Backing::Named(named) => named.file(),
            Backing::Anonymous(file) => file,
        }
    }

    /// What does not grow.
    #[inline]
    pub(super) fn frame(&self) -> Frame<'_> {
        self.frame
    }

    /// Bytes that the file can have.
    pub(super) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Bytes that the file has, as far as is known here: what lies in it together has no more.
    pub(super) fn known_bytes(&self) -> u64 {
        self.known.load(Ordering::Relaxed)
    }

    /// Refuses a call from one of its own closures, and one of a process that cannot be found dead: a child that was forked
    /// and finds no place among the others.
    #[inline]
    pub(super) fn check(&self) -> Result<()> {
        inside::check(self)?;
        Member::current().map(|_| ())
    }

    /// A number that tells it from all others in this process, and is not 0.
    #[inline]
    pub(super) fn id(&self) -> u64 {
        self.seed[0]
    }

    /// The error for what no correct process can have written.
    #[cold]
    pub(super) fn corrupt(&self, why: Corrupt) -> Error {
        self.named(Error::corrupt(&self.label, why))
    }

    /// The error for what a child would do that was forked by a closure.
    #[cold]
    pub(super) fn forked(&self) -> Error {
        let text = format!(
            "{} cannot be changed by a child that was forked by one of its closures: its parent has the lock \
             (end the child in the closure, or fork outside of it)",
            self.label
        );
        self.named(Error::new(ErrorKind::Forked, text))
    }

    /// An error, with the name if it has one.
    #[cold]
    pub(super) fn named(&self, error: Error) -> Error {
        match self.name() {
            Some(name) => error.named(name),
            None => error,
        }
    }

    #[inline]
    pub(super) fn shard(&self, index: usize) -> Result<&Shard> {
        self.frame.shards().get(index).ok_or_else(|| self.corrupt(Corrupt("its shards")))
    }

    /// The memory of a shard, whose lock the caller holds.
    #[inline]
    pub(super) fn heap(&self, index: usize) -> Result<Heap<'_>> {
        let reach = self.shard(index)?.reach();
        self.heap_up_to(index, reach)
    }

    /// As [`heap`](Self::heap), of a file that has so many bytes.
    #[inline]
    pub(super) fn heap_up_to(&self, index: usize, end: u64) -> Result<Heap<'_>> {
        if end > self.known.load(Ordering::Relaxed) {
            self.look_for(end)?;
        }
        let memory = static_memory(&self.map, self.known.load(Ordering::Relaxed) as usize)?;
        self.frame.heap(index, memory).map_err(|why| self.corrupt(why))
    }

    /// Whether the file has `end` bytes by now.
    #[cold]
    fn look_for(&self, end: u64) -> Result<()> {
        let cannot = |error| Error::os(format_args!("cannot look at {}", self.label), error);
        let now = file::status(self.file()).map_err(|error| self.named(cannot(error)))?.len;
        if end > now {
            return Err(self.corrupt(Corrupt("it has more memory than its file")));
        }
        self.known.fetch_max(now, Ordering::Relaxed);
        Ok(())
    }

    /// Takes a segment of `wanted` bytes for a shard, or of `needed` if there is not that much: where it begins and ends.
    /// The caller holds the lock of the shard to write.
    pub(super) fn grow(&self, shard: usize, needed: u64, wanted: u64) -> Result<(u64, u64)> {
        let pages = |bytes: u64| bytes.checked_next_multiple_of(PAGE_BYTES);
        let too_large = || self.too_large(needed);
        let needed = pages(needed).ok_or_else(too_large)?;
        let mut bytes = pages(wanted).unwrap_or(needed).max(needed);
        loop {
            let next = self.frame.segments().next().map_err(|why| self.corrupt(why))?;
            let Some(place) = next else { return Err(self.too_scattered(needed)) };
            let end = place.start.checked_add(bytes).filter(|end| *end <= self.bytes_max);
            let taken = match end {
                Some(end) => file::reserve(self.file(), place.start, bytes).map(|()| Some(end)),
                None => Ok(None),
            };
            match taken {
                Ok(Some(end)) => {
                    self.note_len(end);
                    if self.frame.segments().claim(place, shard, end) {
                        return Ok((place.start, end));
                    }
                }
                // Perhaps there is less, and as much as must be.
                Ok(None) | Err(_) if bytes > needed => {
                    bytes = pages(bytes / 2).unwrap_or(needed).max(needed);
                }
                Ok(None) => return Err(too_large()),
                Err(error) => {
                    let what = format!("more memory for {}", self.label);
                    let error = Member::current()?.namespace.no_space(&what, needed, error);
                    return Err(self.named(error));
                }
            }
        }
    }

    #[cold]
    fn too_large(&self, needed: u64) -> Error {
        let text = format!(
            "{} cannot grow by {}: it can have {} (set bytes_max when it is made)",
            self.label,
            human(needed),
            human(self.bytes_max)
        );
        self.named(Error::new(ErrorKind::LimitExceeded, text))
    }

    #[cold]
    fn too_scattered(&self, needed: u64) -> Error {
        let text = format!(
            "{} cannot grow by {}: it has grown as often as it can, in small steps (make it anew, with a greater \
             bytes_max or where there is more memory)",
            self.label,
            human(needed)
        );
        self.named(Error::new(ErrorKind::LimitExceeded, text))
    }

    /// The file has become longer: others can see it in the header.
    fn note_len(&self, end: u64) {
        self.known.fetch_max(end, Ordering::Relaxed);
        // Only people look at it, so if it cannot be written nothing is lost.
        let len = end - self.data_offset;
        let _ = self.file().write_all_at(&len.to_le_bytes(), LEN_OFFSET as u64);
    }
}

fn label(kind: Kind, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{kind} {name:?}"),
        None => format!("an anonymous {kind}"),
    }
}

/// Two numbers that nobody can guess.
fn random() -> [u64; 2] {
    // What the standard library keys its own tables with.
    let number = || RandomState::new().hash_one(std::process::id());
    [number(), number()]
}

fn header(label: &str, wanted: &Wanted) -> Result<Header> {
    let text_bytes = text(wanted).len() as u64;
    let data_offset = (HEADER_BYTES as u64 + text_bytes).next_multiple_of(ALIGNMENT as u64);
    let end = first_segment(data_offset, wanted.shards);
    if wanted.bytes_max < end + PAGE_BYTES {
        let text = format!("{label} cannot have so few bytes: bytes_max is {}", wanted.bytes_max);
        return Err(Error::new(ErrorKind::InvalidArgument, text));
    }
    let mut header = Header::new(wanted.kind, end - data_offset, data_offset);
    header.reserve = wanted.bytes_max;
    header.capacity = wanted.shards as u64;
    header.type_hash = wanted.layout.hash();
    header.text_bytes = text_bytes;
    Ok(header)
}

/// What the file says about the types: the beginning, if it is long.
fn text(wanted: &Wanted) -> &str {
    let text = wanted.layout.text();
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

fn write_text(file: &File, wanted: &Wanted, label: &str) -> Result<()> {
    file.write_all_at(text(wanted).as_bytes(), HEADER_BYTES as u64)
        .map_err(|error| Error::os(format_args!("cannot create {label}"), error))
}

fn map(file: &File, header: &Header, label: &str) -> Result<(Mapping, Frame<'static>)> {
    let map = Mapping::new(file, header.reserve as usize, Access::ReadWrite)
        .map_err(|error| Error::os(format_args!("cannot map {label}"), error))?;
    // The header has been checked against the length of the file.
    let memory = static_memory(&map, (header.data_offset + header.len) as usize)?;
    let frame = Frame::new(memory, header.data_offset, header.capacity)
        .map_err(|why| Error::corrupt(label, why))?;
    Ok((map, frame))
}
