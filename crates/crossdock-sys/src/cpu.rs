//! The processors: how many this process may use (spinning pays only with more than one), and hints
//! about which cache lines will be needed.
#![allow(unsafe_code, reason = "cache hints are intrinsics, sysconf is a C interface")]

use std::sync::OnceLock;

/// The number of processors in this process's affinity mask, at least 1; read once.
pub fn allowed_cpus() -> usize {
    static CPUS: OnceLock<usize> = OnceLock::new();
    *CPUS.get_or_init(|| {
        rustix::thread::sched_getaffinity(None)
            .map_or(1, |set| usize::try_from(set.count()).unwrap_or(1).max(1))
    })
}

/// The number of processors of the machine that are on, at least 1; read once.
///
/// For who waits for another process, which may be bound to another processor than this thread.
#[doc(alias = "sysconf")]
pub fn online_cpus() -> usize {
    static CPUS: OnceLock<usize> = OnceLock::new();
    *CPUS.get_or_init(|| {
        // SAFETY: a query without arguments of the caller's.
        let count = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
        usize::try_from(count).unwrap_or(1).max(1)
    })
}

/// Begins to fetch the cache line of `value` for writing, so that it travels once, not first for a load
/// and then again for the store. Only a hint.
///
/// The compiler's intrinsic would become a fetch for reading, which leaves the line with its last writer, unless the whole
/// program is built for processors that have the instruction; so it is written out.
#[inline]
#[doc(alias = "prefetchw")]
pub fn prefetch_write<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    if has_prefetchw() {
        let address = std::ptr::from_ref(value);
        // SAFETY: the processor has the instruction; a prefetch has no effect but on caches, whatever the address.
        unsafe {
            std::arch::asm!("prefetchw [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// Whether the processor has `prefetchw` (AMD64 Architecture Programmer's Manual, volume 3, function 8000_0001h, ECX bit 8;
/// Intel's since Broadwell).
#[cfg(target_arch = "x86_64")]
#[inline]
fn has_prefetchw() -> bool {
    use std::sync::atomic::AtomicU8;
    use std::sync::atomic::Ordering::Relaxed;
    const NO: u8 = 1;
    const YES: u8 = 2;
    static KNOWN: AtomicU8 = AtomicU8::new(0);

    #[cold]
    fn ask() -> u8 {
        use std::arch::x86_64::__cpuid;
        const EXTENDED: u32 = 0x8000_0001;
        let has = __cpuid(0x8000_0000).eax >= EXTENDED && __cpuid(EXTENDED).ecx & (1 << 8) != 0;
        let known = if has { YES } else { NO };
        KNOWN.store(known, Relaxed);
        known
    }

    match KNOWN.load(Relaxed) {
        0 => ask() == YES,
        known => known == YES,
    }
}

/// Begins to fetch the cache line at `address` for reading. Only a hint.
#[inline]
#[doc(alias = "prefetch")]
pub fn prefetch_read(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch has no effect but on caches, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
