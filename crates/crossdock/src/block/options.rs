//! How a block is made or opened.

use super::{Backing, DATA_OFFSET, SharedBlock, wrong_kind};
use crate::error::{Error, ErrorKind, Result, human};
use crate::huge;
use crate::named::{Draft, Named, Share};
use crate::namespace::{Namespace, check_name};
use crossdock_core::header::{HEADER_BYTES, Header, Kind, PERSISTENT, RESERVE_MAX};
use crossdock_sys::map::{Access, Mapping};
use crossdock_sys::{file, fork};
use std::fs::File;
use std::io;
use std::sync::atomic::AtomicU64;

/// Address space kept free for a block to grow into, unless the maker says otherwise.
const RESERVE_DEFAULT: u64 = 1 << 30;

/// How a block is made or opened. Like `OpenOptions`, for shared memory.
///
/// # Examples
///
/// ```
/// use crossdock::SharedBlock;
///
/// let block = SharedBlock::options().prefault(true).reserve(1 << 24).create("options-docs", 1 << 16)?;
/// block.grow(1 << 20)?;
/// assert_eq!(block.len(), 1 << 20);
/// # Ok::<(), crossdock::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "options do nothing until create, open or anonymous is called"]
pub struct BlockOptions {
    mode: u32,
    is_read_only: bool,
    is_prefaulted: bool,
    is_huge: bool,
    is_posix: bool,
    is_persistent: bool,
    reserve: Option<usize>,
}

impl Default for BlockOptions {
    fn default() -> Self {
        Self {
            mode: 0o600,
            is_read_only: false,
            is_prefaulted: false,
            is_huge: false,
            is_posix: false,
            is_persistent: false,
            reserve: None,
        }
    }
}

impl BlockOptions {
    /// Permission bits of a new block; 0o600 unless said otherwise. The directory of names is private
    /// to the user, so wider bits matter for [`posix_name`](Self::posix_name) only.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode & 0o777;
        self
    }

    /// The handle can only read: a store through its pointer is a segmentation fault.
    pub fn read_only(mut self, is_read_only: bool) -> Self {
        self.is_read_only = is_read_only;
        self
    }

    /// All pages are made present at once, so that no later access has to wait for the kernel.
    #[doc(alias = "MADV_POPULATE_WRITE")]
    pub fn prefault(mut self, is_prefaulted: bool) -> Self {
        self.is_prefaulted = is_prefaulted;
        self
    }

    /// Huge pages are asked for, and a new block takes its memory in them where the file system gives them; what it
    /// [grows](SharedBlock::grow) by later comes in small pages. Whether they were given, [`SharedBlock::stats`] says.
    #[doc(alias = "MADV_HUGEPAGE")]
    pub fn huge_pages(mut self, is_huge: bool) -> Self {
        self.is_huge = is_huge;
        self
    }

    /// The name is a plain POSIX shared memory name and the file has no header, as Python's
    /// `SharedMemory` and the `shared_memory` crate have it. The maker's handle removes the name;
    /// nobody does if it is killed.
    #[doc(alias = "shm_open")]
    pub fn posix_name(mut self, is_posix: bool) -> Self {
        self.is_posix = is_posix;
        self
    }

    /// A new block's name outlives its users.
    pub fn persist(mut self, is_persistent: bool) -> Self {
        self.is_persistent = is_persistent;
        self
    }

    /// Bytes of address space that a new block can grow into; 1 GiB, or the length if that is more,
    /// unless said otherwise. Address space costs no memory.
    pub fn reserve(mut self, bytes: usize) -> Self {
        self.reserve = Some(bytes);
        self
    }

    fn reserve_for(&self, len: u64) -> u64 {
        self.reserve.map_or(RESERVE_DEFAULT, |bytes| bytes as u64).max(len)
    }

    fn header(&self, len: usize) -> Result<Header> {
        let len = len as u64;
        if len > RESERVE_MAX - DATA_OFFSET {
            let text = format!("a block cannot have {len} bytes (at most 64 TiB)");
            return Err(Error::new(ErrorKind::LimitExceeded, text));
        }
        let mut header = Header::new(Kind::Block, len, DATA_OFFSET);
        header.reserve = DATA_OFFSET + self.reserve_for(len).min(RESERVE_MAX - DATA_OFFSET);
        header.flags = if self.is_persistent { PERSISTENT } else { 0 };
        Ok(header)
    }

    /// As [`SharedBlock::create`].
    ///
    /// # Errors
    ///
    /// As [`SharedBlock::create`].
    pub fn create(self, name: &str, len: usize) -> Result<SharedBlock> {
        check_name(name)?;
        if self.is_posix {
            return self.create_posix(name, len);
        }
        let what = format!("block {name:?}");
        let named = crate::namespace::retry(|namespace| {
            let header = self.header(len)?;
            let draft = Draft::with_memory(namespace, &what, header, self.mode, |file, bytes| {
                self.reserve_memory(file, bytes)
            })?;
            Named::publish(namespace, None, draft, name)
        })?;
        self.map_named(named)
    }

    /// As [`SharedBlock::open`].
    ///
    /// # Errors
    ///
    /// As [`SharedBlock::open`].
    pub fn open(self, name: &str) -> Result<SharedBlock> {
        check_name(name)?;
        if self.is_posix {
            return self.open_posix(name);
        }
        let namespace = Namespace::current()?;
        let share = if self.is_read_only { Share::Read } else { Share::Write };
        let named = Named::open(&namespace, None, name, share)?;
        if named.header.kind != Kind::Block {
            return Err(wrong_kind(name, named.header.kind, "block"));
        }
        self.map_named(named)
    }

    /// As [`SharedBlock::open_or_create`].
    ///
    /// # Errors
    ///
    /// As [`SharedBlock::open_or_create`].
    pub fn open_or_create(self, name: &str, len: usize) -> Result<SharedBlock> {
        loop {
            match self.open(name) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                other => return other,
            }
            match self.create(name, len) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                other => return other,
            }
        }
    }

    /// As [`SharedBlock::anonymous`].
    ///
    /// # Errors
    ///
    /// As [`SharedBlock::anonymous`].
    pub fn anonymous(self, len: usize) -> Result<SharedBlock> {
        let header = self.header(len)?;
        let file = file::anonymous("crossdock")
            .map_err(|error| Error::os("cannot create an anonymous block", error))?;
        self.reserve_memory(&file, DATA_OFFSET + header.len)
            .map_err(|error| Error::os("no memory for an anonymous block", error))?;
        let draft = Draft { file, header };
        draft.write_header()?;
        let Draft { file, header } = draft;
        self.map(&file, &header, None).map(|(map, len)| SharedBlock {
            backing: Backing::Anonymous(file),
            map,
            data_offset: DATA_OFFSET as usize,
            known_len: AtomicU64::new(len),
        })
    }

    /// Takes the memory of a new file.
    fn reserve_memory(self, file: &File, bytes: u64) -> io::Result<()> {
        if self.is_huge { huge::reserve(file, bytes) } else { file::reserve(file, 0, bytes) }
    }

    fn map_named(self, named: Named) -> Result<SharedBlock> {
        let (map, len) = self.map(named.file(), &named.header, Some(named.name()))?;
        let data_offset = named.header.data_offset as usize;
        let known_len = AtomicU64::new(len);
        Ok(SharedBlock { backing: Backing::Named(Box::new(named)), map, data_offset, known_len })
    }

    fn map(self, file: &File, header: &Header, name: Option<&str>) -> Result<(Mapping, u64)> {
        let len = usize::try_from(header.reserve).unwrap_or(usize::MAX);
        let in_file = (header.data_offset + header.len) as usize;
        let map = self.map_bytes(file, len, in_file, name)?;
        Ok((map, header.len))
    }

    fn map_bytes(
        self,
        file: &File,
        len: usize,
        in_file: usize,
        name: Option<&str>,
    ) -> Result<Mapping> {
        let shown = name.unwrap_or("(anonymous)");

        let access = if self.is_read_only { Access::ReadOnly } else { Access::ReadWrite };
        let map = Mapping::new(file, len.max(HEADER_BYTES), access).map_err(|error| {
            let text = format!(
                "cannot map block {shown:?} with {} of address space (see options().reserve and \
                     `ulimit -v`)",
                human(len as u64)
            );
            named_error(Error::os(text, error), name)
        })?;
        if self.is_huge {
            // A kernel without huge pages for shared memory refuses; `stats` tells the truth.
            let _ = map.advise_huge();
        }
        if self.is_prefaulted {
            map.prefault(0..in_file).map_err(|error| {
                let text = format!("cannot make the pages of block {shown:?} present");
                named_error(Error::os(text, error), name)
            })?;
        }
        Ok(map)
    }

    fn create_posix(self, name: &str, len: usize) -> Result<SharedBlock> {
        let file = file::create_posix(name, self.mode).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                let text = format!("cannot create {name:?}: the name is in use");
                Error::new(ErrorKind::AlreadyExists, text).named(name)
            }
            _ => Error::os(format_args!("cannot create {name:?}"), error).named(name),
        })?;
        let made = self.finish_posix(file, name, len);
        if made.is_err() {
            // Nothing half-made stays behind; the error that matters is the first one.
            let _ = file::unlink_posix(name);
        }
        made
    }

    fn finish_posix(self, file: File, name: &str, len: usize) -> Result<SharedBlock> {
        if len == 0 {
            let text = "a plain POSIX block cannot be empty";
            return Err(Error::new(ErrorKind::InvalidArgument, text).named(name));
        }
        self.reserve_memory(&file, len as u64)
            .map_err(|error| Error::os(format_args!("cannot create block {name:?}"), error))?;
        self.wrap_posix(file, name, len, true)
    }

    fn open_posix(self, name: &str) -> Result<SharedBlock> {
        let cannot = |error| Error::os(format_args!("cannot open {name:?}"), error).named(name);
        let file = file::open_posix(name, !self.is_read_only).map_err(cannot)?;
        let len = file::status(&file).map_err(cannot)?.len;
        if len == 0 {
            let text = format!("cannot open {name:?}: it is empty (is its maker still at work?)");
            return Err(Error::new(ErrorKind::Corrupt, text).named(name));
        }
        self.wrap_posix(file, name, len as usize, false)
    }

    fn wrap_posix(self, file: File, name: &str, len: usize, is_maker: bool) -> Result<SharedBlock> {
        let reserve = usize::try_from(self.reserve_for(len as u64)).unwrap_or(usize::MAX);
        let map = self.map_bytes(&file, reserve, len, Some(name))?;
        fork::watch();
        let generation = fork::generation();
        Ok(SharedBlock {
            backing: Backing::Posix { file, name: name.to_owned(), is_maker, generation },
            map,
            data_offset: 0,
            known_len: AtomicU64::new(len as u64),
        })
    }
}

fn named_error(error: Error, name: Option<&str>) -> Error {
    match name {
        Some(name) => error.named(name),
        None => error,
    }
}
