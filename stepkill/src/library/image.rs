//! What a dead process leaves: the files in the directory of names.
//!
//! A file that has no name goes with its process, and so do its locks. So two processes that die with the
//! same files in the directory, byte for byte, leave the same to others.

use super::ground::files;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::ptr;

/// Bytes of a file that are looked at. What comes later are elements of arrays, which are tried otherwise.
const BYTES_MAX: usize = 32 << 10;
/// The machine instruction that asks the system: `syscall`.
const SYSCALL: [u8; 2] = [0x0f, 0x05];

/// Sees whether the files of a directory change.
#[derive(Debug)]
pub(crate) struct Watcher {
    path: PathBuf,
    views: BTreeMap<String, View>,
    /// The process has been seen before a system call, which may give files names or take them.
    is_listing_due: bool,
}

impl Watcher {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), views: BTreeMap::new(), is_listing_due: true }
    }

    /// A number for all files as they are now, of which the process that changes them stands at `place`.
    pub(crate) fn look(&mut self, place: Option<u64>) -> io::Result<u64> {
        if self.is_listing_due {
            self.list()?;
        }
        self.is_listing_due = place.is_none_or(is_system_call);
        let mut hash = Hash::default();
        for (name, view) in &self.views {
            name.bytes().for_each(|byte| hash.add(u64::from(byte)));
            view.add_to(&mut hash);
        }
        Ok(hash.value())
    }

    fn list(&mut self) -> io::Result<()> {
        let names = files(&self.path);
        self.views.retain(|name, _| names.contains(name));
        for name in names {
            // The elements of arrays.
            let is_region = name.starts_with(".arena.") && name.matches('.').count() > 3;
            match OpenOptions::new().read(true).open(self.path.join(&name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
                Ok(file) => {
                    let metadata = file.metadata()?;
                    let (len, inode) = (metadata.len() as usize, metadata.ino());
                    let len = if is_region { 0 } else { len.min(BYTES_MAX) };
                    let known = self.views.get(&name);
                    if known.is_none_or(|view| (view.inode, view.len) != (inode, len)) {
                        self.views.insert(name, View::new(&file, inode, len)?);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether the instruction at `place` asks the system.
fn is_system_call(place: u64) -> bool {
    let place = ptr::with_exposed_provenance::<[u8; 2]>(place as usize);
    // SAFETY: the process that stands there was forked from this one and has loaded nothing since, so the
    // same code is at the same place; the longest instruction does not end its page.
    unsafe { place.read_unaligned() == SYSCALL }
}

/// The first bytes of a file, mapped.
///
/// # Invariants
///
/// 1. `base` leads to a mapping of `len` bytes that is there while `self` lives, on a page; 0 bytes: nowhere.
#[derive(Debug)]
struct View {
    inode: u64,
    base: *const u64,
    len: usize,
}

impl View {
    fn new(file: &File, inode: u64, len: usize) -> io::Result<Self> {
        let mut base = ptr::null_mut();
        if len > 0 {
            let (access, kind) = (libc::PROT_READ, libc::MAP_SHARED);
            // SAFETY: a new mapping at an address that the kernel chooses.
            base = unsafe { libc::mmap(ptr::null_mut(), len, access, kind, file.as_raw_fd(), 0) };
            if base == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(Self { inode, base: base.cast_const().cast(), len })
    }

    fn add_to(&self, hash: &mut Hash) {
        hash.add(self.inode);
        for index in 0..self.len / 8 {
            // SAFETY: the word is inside the mapping (1).
            let place = unsafe { self.base.add(index) };
            // SAFETY: eight readable bytes (1), at a multiple of 8. Whoever is stepped stands still; what
            // others change meanwhile is read whole, by one instruction.
            hash.add(unsafe { place.read_volatile() });
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: the mapping is this view's (1), and nobody has a reference into it.
            unsafe { libc::munmap(self.base.cast_mut().cast(), self.len) };
        }
    }
}

/// A hash of words, good enough to tell one step of a process from the next.
#[derive(Default)]
struct Hash(u64);

impl Hash {
    fn add(&mut self, word: u64) {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(ODD);
    }

    fn value(&self) -> u64 {
        self.0 ^ self.0 >> 31
    }
}
