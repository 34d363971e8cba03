//! Copying bytes from and to memory that another process may be writing.
//!
//! `ptr::copy` promises the compiler that nobody else writes. Here nobody promises that, so the
//! copy must be opaque to the compiler: a string instruction in inline assembly where there is one,
//! relaxed atomics elsewhere (the reasons are RFC 3301 and the discussion in unsafe-code-guidelines
//! issue 152). A torn value is possible; undefined behaviour is not.
#![allow(unsafe_code, reason = "raw copies between processes")]

/// Copies `count` bytes from `source` to `target`, either of which may be shared.
///
/// # Safety
///
/// * `source` is valid for reads and `target` for writes of `count` bytes.
/// * The two ranges do not overlap.
/// * No Rust reference to the shared side is alive that forbids the access.
#[inline]
pub unsafe fn copy_shared(source: *const u8, target: *mut u8, count: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: the caller gives valid, disjoint ranges; `rep movsb` reads and writes just them
        // and, the direction flag being clear by the ABI, counts upwards.
        unsafe {
            std::arch::asm!(
                "rep movsb",
                inout("rcx") count => _,
                inout("rsi") source => _,
                inout("rdi") target => _,
                options(nostack, preserves_flags),
            );
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
        for index in 0..count {
            // SAFETY: `index < count`, so the byte is valid for reads by the caller's promise.
            let byte = unsafe { &*source.add(index).cast::<AtomicU8>() }.load(Relaxed);
            // SAFETY: likewise for writes.
            unsafe { &*target.add(index).cast::<AtomicU8>() }.store(byte, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_every_length_exactly() {
        let source: Vec<u8> = (0..255).collect();
        for count in [0, 1, 7, 8, 63, 64, 65, 254] {
            let mut target = vec![0xAA_u8; 256];
            // SAFETY: both vectors have more than `count` bytes and are distinct.
            unsafe { copy_shared(source.as_ptr(), target.as_mut_ptr(), count) };
            assert_eq!(target[..count], source[..count]);
            assert_eq!(target[count], 0xAA, "one byte too many for {count}");
        }
    }
}
