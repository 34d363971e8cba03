//! Sizes of blocks: 16 to 128 bytes in steps of 16, then four sizes for each doubling.
//!
//! A block in use has one of these sizes, so that it is found again for another of the same. A free block has any size
//! in granules, and is kept among those of the class below.

use super::BYTES_MAX;

/// Every block begins and ends at a multiple of this.
pub(super) const GRANULE: u64 = 16;
/// Classes that are multiples of a granule, before they grow by a quarter.
const EVEN: usize = 7;
/// Number of classes.
pub(super) const BINS: usize = bin_of_granules(BYTES_MAX / GRANULE) + 1;

const fn bin_of_granules(granules: u64) -> usize {
    if granules <= EVEN as u64 {
        // A block has one granule at least.
        return granules.saturating_sub(1) as usize;
    }
    let exponent = granules.ilog2() as usize;
    let quarter = (granules >> (exponent - 2)) as usize & 3;
    EVEN + 4 * (exponent - 3) + quarter
}

/// The greatest class of which a block of so many bytes has enough.
pub(super) fn bin_of(bytes: u64) -> usize {
    bin_of_granules(bytes / GRANULE).min(BINS - 1)
}

/// Bytes of the blocks of a class.
fn bytes_of(bin: usize) -> u64 {
    if bin < EVEN {
        return (bin as u64 + 1) * GRANULE;
    }
    let (exponent, quarter) = ((bin - EVEN) / 4 + 3, (bin - EVEN) as u64 % 4);
    ((4 + quarter) << (exponent - 2)) * GRANULE
}

/// Bytes of the smallest class that has enough; more than [`BYTES_MAX`] for more than that.
pub(super) fn round(bytes: u64) -> u64 {
    if bytes > BYTES_MAX {
        return u64::MAX;
    }
    let bytes = bytes.next_multiple_of(GRANULE).max(GRANULE);
    let bin = bin_of(bytes);
    let below = bytes_of(bin);
    if below == bytes { bytes } else { bytes_of(bin + 1) }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn a_class_has_enough_and_wastes_at_most_a_quarter() {
        for bytes in (1..5000).chain([1 << 20, (1 << 20) + 1, BYTES_MAX - 1, BYTES_MAX]) {
            let rounded = round(bytes);
            assert!(rounded >= bytes && rounded.is_multiple_of(GRANULE), "{bytes}: {rounded}");
            assert!(
                rounded <= bytes + GRANULE || rounded <= bytes + bytes / 4,
                "{bytes}: {rounded}"
            );
            assert_eq!(round(rounded), rounded);
            assert_eq!(bytes_of(bin_of(rounded)), rounded);
        }
        assert_eq!(round(BYTES_MAX + 1), u64::MAX);
    }

    #[test]
    fn a_free_block_is_kept_where_all_have_enough() {
        for bytes in (16..100_000).step_by(16) {
            assert!(bytes_of(bin_of(bytes)) <= bytes, "{bytes}");
            assert!(bytes_of(bin_of(bytes) + 1) > bytes, "{bytes}");
        }
    }
}
