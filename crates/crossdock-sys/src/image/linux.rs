//! Loaded images by `dl_iterate_phdr(3)`; their build by the note that the linker leaves in them
//! (`--build-id` of `ld(1)`), else by the file.
#![allow(unsafe_code, reason = "dl_iterate_phdr is a C interface")]

use std::ffi::{CStr, c_int, c_void};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What the first byte of a build says: how it is known.
const BY_NOTE: u8 = b'n';
const BY_FILE: u8 = b'f';
/// Longer notes are of no linker.
const NOTE_BYTES_MAX: usize = 64;

/// A program or shared library that is loaded in this process.
///
/// # Invariants
///
/// 1. `readable` are the parts of the image that are mapped and can be read as long as the image is loaded, but for
///    what a library protects later by itself.
/// 2. `code` are the parts that can be executed.
#[derive(Clone, Debug)]
pub struct Image {
    base: usize,
    readable: Vec<Range<usize>>,
    code: Vec<Range<usize>>,
    build: Vec<u8>,
}

impl Image {
    /// The image that contains `address`.
    #[must_use]
    #[doc(alias = "dl_iterate_phdr")]
    pub fn containing(address: *const ()) -> Option<Self> {
        let mut search = Search { address: address.addr(), found: None };
        let data = (&raw mut search).cast::<c_void>();
        // SAFETY: `visit` is of the right type and gets `data`, which outlives the call, in each of its own.
        unsafe { libc::dl_iterate_phdr(Some(visit), data) };
        search.found
    }

    /// Where the image was loaded.
    #[must_use]
    pub fn base(&self) -> usize {
        self.base
    }

    /// Whether all of `range` is a part of the image that can be read.
    #[must_use]
    pub fn contains(&self, range: &Range<usize>) -> bool {
        let is_within =
            |segment: &Range<usize>| segment.start <= range.start && range.end <= segment.end;
        range.start <= range.end && self.readable.iter().any(is_within)
    }

    /// Whether there is code of the image at `address`.
    #[must_use]
    pub fn contains_code(&self, address: usize) -> bool {
        self.code.iter().any(|segment| segment.contains(&address))
    }

    /// What distinguishes this build from all others: that of the linker, or, if it left none, which file
    /// the image is.
    #[must_use]
    pub fn build(&self) -> &[u8] {
        &self.build
    }
}

struct Search {
    address: usize,
    found: Option<Image>,
}

/// Called with each image.
///
/// # Safety
///
/// `info` is what `dl_iterate_phdr` gives, `data` leads to a [`Search`].
unsafe extern "C" fn visit(info: *mut libc::dl_phdr_info, _: usize, data: *mut c_void) -> c_int {
    // SAFETY: the caller says what it is, and nothing else refers to it meanwhile.
    let search = unsafe { &mut *data.cast::<Search>() };
    // SAFETY: the C library describes an image that stays loaded during the call.
    let info = unsafe { &*info };
    // SAFETY: the C library gives address and number of the headers, which nobody writes.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let base = info.dlpi_addr as usize;
    let range = |header: &libc::Elf64_Phdr| {
        let start = base.wrapping_add(header.p_vaddr as usize);
        start..start.wrapping_add(header.p_memsz as usize)
    };
    let of_kind = |kind| headers.iter().filter(move |header| header.p_type == kind).map(range);
    let segments_with = |right| -> Vec<_> {
        let has_it = |header: &&libc::Elf64_Phdr| {
            header.p_type == libc::PT_LOAD && header.p_flags & right == right
        };
        headers.iter().filter(has_it).map(range).collect()
    };
    let (readable, code) = (segments_with(libc::PF_R), segments_with(libc::PF_X));
    if !readable.iter().chain(&code).any(|segment| segment.contains(&search.address)) {
        return 0;
    }
    let is_loaded = |note: &Range<usize>| {
        readable.iter().any(|segment| segment.start <= note.start && note.end <= segment.end)
    };
    let note = of_kind(libc::PT_NOTE).filter(is_loaded).find_map(|note| {
        // SAFETY: the range is part of a loaded segment, which is readable; notes are never written.
        let bytes = unsafe { std::slice::from_raw_parts(note.start as *const u8, note.len()) };
        build_id(bytes)
    });
    let build = note.unwrap_or_else(|| {
        // SAFETY: the C library gives a text that ends with a zero, perhaps empty.
        let name = unsafe { CStr::from_ptr(info.dlpi_name) };
        file_id(name)
    });
    search.found = Some(Image { base, readable, code, build });
    1
}

/// Finds the build id among notes: `Elf64_Nhdr` of `elf(5)`, then name and contents, both padded to 4 bytes.
fn build_id(mut notes: &[u8]) -> Option<Vec<u8>> {
    const NT_GNU_BUILD_ID: u32 = 3;
    loop {
        let word = |index: usize| -> Option<u32> {
            let bytes = notes.get(4 * index..4 * index + 4)?;
            let word = bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
            // Notes are in the byte order of the machine.
            Some(if cfg!(target_endian = "little") { word } else { word.swap_bytes() })
        };
        let (name_len, len, kind) = (word(0)? as usize, word(1)? as usize, word(2)?);
        let name_end = 12_usize.checked_add(name_len.checked_next_multiple_of(4)?)?;
        let contents = notes.get(name_end..name_end.checked_add(len)?)?;
        if kind == NT_GNU_BUILD_ID && notes.get(12..16)? == b"GNU\0" && len <= NOTE_BYTES_MAX {
            let mut build = vec![BY_NOTE];
            build.extend_from_slice(contents);
            return Some(build);
        }
        notes = notes.get(name_end + len.checked_next_multiple_of(4)?..)?;
    }
}

/// Which file an image without a note is. A copy of the file is another build.
fn file_id(name: &CStr) -> Vec<u8> {
    let name = if name.is_empty() { c"/proc/self/exe" } else { name };
    let mut build = vec![BY_FILE];
    let path = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
    if let Ok(metadata) = std::fs::metadata(path) {
        let words = [metadata.dev(), metadata.ino(), metadata.size()];
        let times = [metadata.mtime().cast_unsigned(), metadata.mtime_nsec().cast_unsigned()];
        build.extend(words.into_iter().chain(times).flat_map(u64::to_le_bytes));
    }
    build
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn this_program_contains_its_functions_and_not_those_of_the_c_library() {
        let here = this_program_contains_its_functions_and_not_those_of_the_c_library as fn();
        let image = Image::containing(here as *const ()).unwrap();
        assert!(image.contains(&(here as usize..here as usize + 1)));
        assert!(image.contains_code(here as usize));
        // Constants may be among the code; what is written is not.
        static NUMBER: AtomicU64 = AtomicU64::new(7);
        let number = (&raw const NUMBER).addr();
        assert!(image.contains(&(number..number + 8)) && !image.contains_code(number));
        assert!(image.base() <= here as usize);
        assert!(image.build().len() > 1);
        let local = 0;
        assert!(Image::containing((&raw const local).cast()).is_none(), "a stack is no image");
        let cat: unsafe extern "C" fn() -> i32 = libc::getppid;
        let other = Image::containing(cat as *const ()).unwrap();
        assert_ne!((other.base(), other.build()), (image.base(), image.build()));
    }

    #[test]
    fn the_build_id_is_found_among_other_notes() {
        let mut notes = Vec::new();
        for (name, kind, contents) in
            [(&b"abc\0"[..], 3_u32, &b"12345"[..]), (b"GNU\0", 1, b"v"), (b"GNU\0", 3, b"build")]
        {
            for word in [name.len() as u32, contents.len() as u32, kind] {
                notes.extend(word.to_le_bytes());
            }
            notes.extend(name);
            notes.extend(contents);
            notes.resize(notes.len().next_multiple_of(4), 0);
        }
        assert_eq!(build_id(&notes).unwrap(), b"nbuild");
        for len in 0..notes.len() - 3 {
            assert_eq!(build_id(&notes[..len]), None, "cut off after {len} bytes");
        }
        assert_eq!(build_id(&[0xff; 40]), None);
    }

    #[test]
    fn a_file_without_a_note_is_told_by_itself() {
        assert_eq!(file_id(c""), file_id(c"/proc/self/exe"));
        assert_ne!(file_id(c""), file_id(c"/dev/null"));
    }
}
