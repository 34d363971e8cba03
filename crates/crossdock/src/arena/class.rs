//! Size classes: how many bytes a chunk has for an array of so many.
//!
//! Classes are 2^k times 1, 1.25, 1.5 and 1.75, so at most a fifth of a chunk is unused. What is larger
//! than the largest class gets as many whole pages as it needs.

/// Bytes of the smallest chunk.
pub(crate) const CHUNK_BYTES_MIN: u64 = 4 << 10;
/// Bytes of the largest chunk that has a class.
pub(crate) const CLASS_BYTES_MAX: u64 = 64 << 20;
/// Bytes from which on a chunk has a region of its own.
pub(crate) const OWN_REGION_BYTES_MIN: u64 = 1 << 20;
/// Number of classes.
pub(crate) const CLASSES: usize = 4 * (26 - 12) + 1;

const PAGE_BYTES: u64 = 4096;

/// The class of an array of `bytes` bytes, or `None` when it is larger than all classes.
pub(crate) fn class_of(bytes: u64) -> Option<usize> {
    if bytes <= CHUNK_BYTES_MIN {
        return Some(0);
    }
    if bytes > CLASS_BYTES_MAX {
        return None;
    }
    // The power of two below, and how many quarters of it more are needed.
    let power = (bytes - 1).ilog2();
    let quarter = 1_u64 << (power - 2);
    let quarters = (bytes - (1 << power)).div_ceil(quarter);
    let class = u64::from(power - 12) * 4 + quarters;
    usize::try_from(class).ok()
}

/// Bytes of a chunk of a class.
pub(crate) fn class_bytes(class: usize) -> u64 {
    let power = class / 4;
    let quarters = 4 + (class % 4) as u64;
    (CHUNK_BYTES_MIN / 4 * quarters) << power
}

/// Bytes of a chunk that has no class.
pub(crate) fn whole_pages(bytes: u64) -> u64 {
    bytes.next_multiple_of(PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_gets_the_smallest_class_that_holds_it() {
        for bytes in (1..300_000).chain((1 << 25)..(1 << 25) + 5000).chain([CLASS_BYTES_MAX]) {
            let class = class_of(bytes).unwrap();
            assert!(class < CLASSES);
            assert!(class_bytes(class) >= bytes, "{bytes}");
            if class > 0 {
                assert!(class_bytes(class - 1) < bytes, "{bytes} fits into a smaller class");
                assert!(class_bytes(class) < bytes + bytes / 4 + 1, "{bytes} wastes a quarter");
            }
        }
        assert_eq!(class_of(CLASS_BYTES_MAX + 1), None);
        assert_eq!(class_bytes(CLASSES - 1), CLASS_BYTES_MAX);
    }

    #[test]
    fn chunks_are_aligned_for_every_element() {
        assert!((0..CLASSES).all(|class| class_bytes(class).is_multiple_of(1024)));
    }
}
