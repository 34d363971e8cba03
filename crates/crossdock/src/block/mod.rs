//! Named blocks of raw shared memory.
#![allow(unsafe_code, reason = "raw bytes are reached through raw pointers")]

mod options;

pub use options::BlockOptions;

use crate::error::{Error, ErrorKind, Result};
use crate::named::Named;
use crate::namespace::{Namespace, check_name};
use crossdock_core::header::{Kind, LEN_OFFSET};
use crossdock_sys::copy::copy_shared;
use crossdock_sys::map::{Access, Mapping};
use crossdock_sys::{file, fork};
use std::fs::File;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the bytes of a block begin in its file: page-aligned.
const DATA_OFFSET: u64 = 4096;

/// A named piece of raw shared memory, like Python's `SharedMemory`, that cleans up after itself.
///
/// The name goes when the last handle in any process goes, however its process ends; with
/// [`SharedBlock::persist`] it stays until [`SharedBlock::unlink`]. All memory is taken at creation, so a
/// full file system is an error there and not a signal later.
///
/// The bytes may change at any time under the hands of other processes, so there is no `&[u8]`: copy
/// with [`read_at`](Self::read_at) and [`write_at`](Self::write_at), or take the pointer and follow the
/// [memory model](crate::docs::memory_model). For typed data use [`Array`](crate::Array).
///
/// # Examples
///
/// ```
/// use crossdock::SharedBlock;
///
/// let block = SharedBlock::create("block-docs", 1000)?;
/// block.write_at(0, b"hello")?;
///
/// let same = SharedBlock::open("block-docs")?; // in any process of this user
/// let mut greeting = [0; 5];
/// same.read_at(0, &mut greeting)?;
/// assert_eq!(&greeting, b"hello");
/// assert_eq!(same.len(), 1000);
/// # Ok::<(), crossdock::Error>(())
/// ```
#[derive(Debug)]
pub struct SharedBlock {
    backing: Backing,
    map: Mapping,
    /// Where the bytes begin in the mapping.
    data_offset: usize,
    /// The length that has last been checked against the file.
    known_len: AtomicU64,
}

#[derive(Debug)]
enum Backing {
    Named(Box<Named>),
    /// A plain POSIX object, removed by its maker.
    Posix {
        file: File,
        name: String,
        is_maker: bool,
        generation: u64,
    },
    Anonymous(File),
}

/// What the kernel gave to a block, as opposed to what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockStats {
    /// Bytes asked for.
    pub len_bytes: u64,
    /// Address space that the block can grow into without moving.
    pub reserved_bytes: u64,
    /// Bytes that have a page in this process.
    pub resident_bytes: u64,
    /// Bytes of those that huge pages map.
    pub huge_bytes: u64,
}

impl SharedBlock {
    /// Makes a block of `len` zero bytes under a new name.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` when the name is in use, `NoSpace` when the memory is not there, `InvalidName`,
    /// or what the operating system says.
    #[doc(alias = "shm_open")]
    pub fn create(name: &str, len: usize) -> Result<Self> {
        Self::options().create(name, len)
    }

    /// Opens a block by name.
    ///
    /// # Errors
    ///
    /// `NotFound`, `WrongKind`, `WrongVersion`, `Corrupt`, `PermissionDenied`.
    pub fn open(name: &str) -> Result<Self> {
        Self::options().open(name)
    }

    /// Opens a block, or makes it with `len` bytes. Of several callers at once exactly one makes it.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create) and [`open`](Self::open).
    pub fn open_or_create(name: &str, len: usize) -> Result<Self> {
        Self::options().open_or_create(name, len)
    }

    /// Makes a block without a name, to be inherited by forked children.
    ///
    /// # Errors
    ///
    /// `NoSpace`, or what the operating system says.
    #[doc(alias = "memfd_create")]
    pub fn anonymous(len: usize) -> Result<Self> {
        Self::options().anonymous(len)
    }

    /// Removes a name at once. Those who have the block open keep their memory.
    ///
    /// # Errors
    ///
    /// `NotFound`; `WrongKind` when the name is not a block's.
    #[doc(alias = "shm_unlink")]
    pub fn unlink(name: &str) -> Result<()> {
        check_name(name)?;
        crate::registry::unlink(name, Some(Kind::Block))
    }

    /// Options for more than [`create`](Self::create) and [`open`](Self::open) offer.
    pub fn options() -> BlockOptions {
        BlockOptions::default()
    }

    /// Bytes asked for, the same in every process; after somebody has [`grow`](Self::grow)n the block,
    /// the new length.
    #[must_use]
    pub fn len(&self) -> usize {
        let known = self.known_len.load(Ordering::Acquire);
        let (file, now) = match &self.backing {
            Backing::Named(named) => (named.file(), self.live_len().load(Ordering::Acquire)),
            Backing::Posix { file, .. } => (file, file::status(file).map_or(known, |s| s.len)),
            Backing::Anonymous(file) => (file, self.live_len().load(Ordering::Acquire)),
        };
        if now != known && now > known {
            // Somebody says that the block has grown: believe it only if the file has the bytes.
            let room = (self.map.len() - self.data_offset) as u64;
            let in_file = file::status(file)
                .is_ok_and(|status| status.len.saturating_sub(self.data_offset as u64) >= now);
            if in_file && now <= room {
                self.known_len.fetch_max(now, Ordering::AcqRel);
            }
        }
        self.known_len.load(Ordering::Acquire) as usize
    }

    /// The length in the header, which others may raise.
    fn live_len(&self) -> &AtomicU64 {
        // SAFETY: named and anonymous blocks begin with a header inside the mapping (invariant 1 of
        // `Mapping`), so the field is there.
        let field = unsafe { self.map.as_ptr().add(LEN_OFFSET) };
        // SAFETY: the field is 8-byte aligned, lives as long as the mapping, and every process
        // accesses it atomically once the file has a name.
        unsafe { AtomicU64::from_ptr(field.cast()) }
    }

    /// Whether the block has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name, unless the block is anonymous.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.backing {
            Backing::Named(named) => Some(named.name()),
            Backing::Posix { name, .. } => Some(name),
            Backing::Anonymous(_) => None,
        }
    }

    /// Whether this handle can only read.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.map.access() == Access::ReadOnly
    }

    /// Lets the name outlive its users, until [`unlink`](Self::unlink).
    ///
    /// # Errors
    ///
    /// `Unsupported` for a plain POSIX name, which its maker removes, and for an anonymous block.
    pub fn persist(&self) -> Result<()> {
        match &self.backing {
            Backing::Named(named) if named.is_ours() => named.persist(),
            Backing::Named(_) => Err(Error::forked("this block")),
            _ => Err(Error::new(
                ErrorKind::Unsupported,
                "only a block under a crossdock name can persist (open it without posix_name)",
            )),
        }
    }

    /// Makes the block longer, in place: no pointer moves, and others see the new length when they next
    /// ask for it. A shorter `len` than now changes nothing.
    ///
    /// # Errors
    ///
    /// `NoSpace`; `LimitExceeded` beyond the address space reserved at creation
    /// ([`BlockOptions::reserve`]); `Unsupported` for a read-only handle.
    pub fn grow(&self, len: usize) -> Result<()> {
        let room = self.map.len() - self.data_offset;
        if len > room {
            let text = format!(
                "cannot grow block {:?} to {len} bytes: {room} are reserved (create it with \
                 options().reserve({len}))",
                self.name().unwrap_or("(anonymous)")
            );
            return Err(Error::new(ErrorKind::LimitExceeded, text));
        }
        if self.is_read_only() {
            return Err(Error::new(ErrorKind::Unsupported, "a read-only block cannot grow"));
        }
        let (file, has_header) = match &self.backing {
            Backing::Named(named) => (named.file(), true),
            Backing::Anonymous(file) => (file, true),
            Backing::Posix { file, .. } => (file, false),
        };
        let wanted = len as u64;
        let bytes = self.data_offset as u64 + wanted;
        file::reserve(file, 0, bytes).map_err(|error| match Namespace::current() {
            Ok(namespace) => namespace.no_space("a longer block", bytes, error),
            Err(_) => Error::os("cannot grow a block", error),
        })?;
        if has_header {
            self.live_len().fetch_max(wanted, Ordering::AcqRel);
        }
        self.known_len.fetch_max(wanted, Ordering::AcqRel);
        Ok(())
    }

    /// Copies `dest.len()` bytes from `offset` on. If somebody writes them meanwhile, the copy may be
    /// torn.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the range is not inside the block.
    pub fn read_at(&self, offset: usize, dest: &mut [u8]) -> Result<()> {
        let source = self.range(offset, dest.len())?;
        // SAFETY: `range` has checked that the bytes are inside the block and so mapped; `dest` is
        // private memory, so the two do not overlap.
        unsafe { copy_shared(source.as_ptr(), dest.as_mut_ptr(), dest.len()) };
        Ok(())
    }

    /// Copies `bytes` to `offset`. Not atomic: a reader may see a part of it.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the range is not inside the block, `Unsupported` for a read-only handle.
    pub fn write_at(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        if self.is_read_only() {
            let text = "cannot write to a read-only block (open it without read_only)";
            return Err(Error::new(ErrorKind::Unsupported, text));
        }
        let target = self.range(offset, bytes.len())?;
        // SAFETY: `range` has checked that the bytes are inside the block, which is mapped writable;
        // `bytes` is private memory, so the two do not overlap.
        unsafe { copy_shared(bytes.as_ptr(), target.as_ptr(), bytes.len()) };
        Ok(())
    }

    fn range(&self, offset: usize, count: usize) -> Result<NonNull<u8>> {
        let len = self.len();
        if offset.checked_add(count).is_none_or(|end| end > len) {
            let text = format!(
                "bytes {offset}..{} are not inside block {:?} of {len} bytes",
                offset.saturating_add(count),
                self.name().unwrap_or("(anonymous)")
            );
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
        // SAFETY: `offset <= len`, and the mapping has `len` bytes behind `data_offset`.
        Ok(unsafe { self.data().add(offset) })
    }

    fn data(&self) -> NonNull<u8> {
        // SAFETY: `data_offset` is inside the mapping (invariant 1 of `Mapping`).
        let data = unsafe { self.map.as_ptr().add(self.data_offset) };
        NonNull::new(data).unwrap_or(NonNull::dangling())
    }

    /// The first byte. It is page-aligned and stays valid and in place while the handle lives.
    ///
    /// Other processes may write the bytes at any time: dereference it only as the
    /// [memory model](crate::docs::memory_model) allows.
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        self.data().as_ptr()
    }

    /// The first byte, to write.
    ///
    /// # Panics
    ///
    /// When the handle is read-only.
    #[must_use]
    pub fn as_mut_ptr(&self) -> *mut u8 {
        assert!(!self.is_read_only(), "a read-only block has no writable bytes");
        self.data().as_ptr()
    }

    /// What the kernel really gave: resident bytes, huge pages.
    ///
    /// # Errors
    ///
    /// When the kernel's account of this process cannot be read.
    pub fn stats(&self) -> Result<BlockStats> {
        let usage = self.map.usage().map_err(|error| Error::os("cannot read smaps", error))?;
        Ok(BlockStats {
            len_bytes: self.len() as u64,
            reserved_bytes: (self.map.len() - self.data_offset) as u64,
            resident_bytes: usage.resident_bytes,
            huge_bytes: usage.huge_bytes,
        })
    }
}

impl Drop for SharedBlock {
    fn drop(&mut self) {
        if let Backing::Posix { name, is_maker: true, generation, .. } = &self.backing
            && *generation == fork::generation()
        {
            // Somebody else may have removed the name already: that is what it should come to.
            let _ = file::unlink_posix(name);
        }
    }
}

/// The error of opening one kind of object as another.
pub(crate) fn wrong_kind(name: &str, found: Kind, wanted: &str) -> Error {
    let text = format!("cannot open {name:?} as {wanted}: it is a {found}");
    Error::new(ErrorKind::WrongKind, text).named(name)
}
