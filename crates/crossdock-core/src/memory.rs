//! A stretch of shared memory as typed words, every access checked.
#![allow(unsafe_code, reason = "the one place where addresses become references")]

use crate::Corrupt;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// A type made of atomics only, so that a shared reference to it may exist while other processes
/// write, and any bytes are a value of it.
///
/// # Safety
///
/// * Every byte of the type belongs to an atomic integer or is padding that is never read.
/// * The type is `#[repr(C)]` and has no pointer.
pub unsafe trait Shared {}

/// Mapped memory of which some bytes may be looked at.
///
/// # Invariants
///
/// 1. The `len` bytes from `base` are mapped, readable and inside their file for the lifetime `'a`; they
///    are writable too if anything is ever stored through what is handed out.
/// 2. `base` is aligned to 128 bytes.
/// 3. For `'a` these bytes are accessed by this process through [`Shared`] types only.
#[derive(Clone, Copy, Debug)]
pub struct Memory<'a> {
    base: NonNull<u8>,
    len: usize,
    lifetime: PhantomData<&'a ()>,
}

/// Alignment that [`Memory`] needs and pages have.
pub const ALIGNMENT: usize = 128;

impl<'a> Memory<'a> {
    /// Memory of `len` bytes from `base`; `None` when it is not aligned.
    ///
    /// # Safety
    ///
    /// The invariants 1 and 3 of [`Memory`] hold for as long as the caller says `'a` is.
    #[must_use]
    pub unsafe fn new(base: NonNull<u8>, len: usize) -> Option<Self> {
        base.addr().get().is_multiple_of(ALIGNMENT).then_some(Self {
            base,
            len,
            lifetime: PhantomData,
        })
    }

    /// The value at `offset` bytes.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when it would lie outside or is misaligned.
    #[inline]
    pub fn at<T: Shared>(&self, offset: usize) -> Result<&'a T, Corrupt> {
        let values = self.slice::<T>(offset, 1)?;
        values.first().ok_or(Corrupt("empty"))
    }

    /// `count` values from `offset` bytes on.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when they would lie outside or are misaligned.
    #[inline]
    pub fn slice<T: Shared>(&self, offset: usize, count: usize) -> Result<&'a [T], Corrupt> {
        let end = count.checked_mul(size_of::<T>()).and_then(|bytes| bytes.checked_add(offset));
        if end.is_none_or(|end| end > self.len) {
            return Err(Corrupt("a record lies outside its file"));
        }
        if !offset.is_multiple_of(align_of::<T>()) || align_of::<T>() > ALIGNMENT {
            return Err(Corrupt("a record is misaligned"));
        }
        // SAFETY: `offset <= end <= len`, and by invariant 1 that many bytes are mapped.
        let first = unsafe { self.base.add(offset) }.cast::<T>();
        // SAFETY: by the checks above and invariants 1 and 2 the values are mapped and aligned; by the
        // contract of `Shared` any bytes are values and others may write them.
        Ok(unsafe { std::slice::from_raw_parts(first.as_ptr(), count) })
    }
}

// SAFETY: a `Memory` only hands out references to `Shared` types, which are atomics.
unsafe impl Send for Memory<'_> {}
// SAFETY: as for `Send`.
unsafe impl Sync for Memory<'_> {}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[repr(C)]
    struct Word(AtomicU64);
    // SAFETY: one atomic.
    unsafe impl Shared for Word {}

    #[repr(C, align(128))]
    struct Bytes([u8; 256]);

    #[test]
    fn only_whole_aligned_records_inside_are_found() {
        let mut bytes = Bytes([0; 256]);
        let base = NonNull::from(&mut bytes.0).cast();
        // SAFETY: the array outlives the view and is used through it only.
        let memory = unsafe { Memory::new(base, 256) }.unwrap();
        assert!(memory.at::<Word>(0).is_ok());
        assert!(memory.at::<Word>(248).is_ok());
        assert!(memory.at::<Word>(249).is_err());
        assert!(memory.at::<Word>(4).is_err());
        assert!(memory.slice::<Word>(0, 32).is_ok());
        assert!(memory.slice::<Word>(0, 33).is_err());
        assert!(memory.slice::<Word>(8, usize::MAX).is_err());
        assert!(memory.at::<Word>(usize::MAX - 7).is_err());
    }
}
