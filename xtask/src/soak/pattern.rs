//! What stands in the arrays, so that a receiver can tell whether it got the right bytes.
//!
//! Every page of 4096 bytes begins with the number of the array and its own place in it; the rest is a
//! text that depends on the page's place only. An array of less than 16 bytes has no number.

use crate::campaign::rng::{Rng, mix};

/// Bytes between two stamps.
pub(crate) const PAGE: usize = 4096;
/// Bytes of a stamp.
pub(crate) const STAMP: usize = 16;
/// Pages of a large array that are looked at.
const SAMPLES: usize = 200;

/// The byte at `offset` of a page that is not part of a stamp.
fn text() -> [u8; PAGE] {
    std::array::from_fn(|index| mix(index as u64) as u8)
}

fn stamp(array: u64, page: u64) -> [u8; STAMP] {
    let mut bytes = [0; STAMP];
    bytes[..8].copy_from_slice(&array.to_le_bytes());
    bytes[8..].copy_from_slice(&page.to_le_bytes());
    bytes
}

/// Fills `bytes`, which begin with page number `first` of array number `array`.
pub(crate) fn fill(bytes: &mut [u8], array: u64, first: u64) {
    let text = text();
    for (page, bytes) in (first..).zip(bytes.chunks_mut(PAGE)) {
        bytes.copy_from_slice(&text[..bytes.len()]);
        if let Some(place) = bytes.get_mut(..STAMP) {
            place.copy_from_slice(&stamp(array, page));
        }
    }
}

/// Array number and first page, if the array is long enough to have them.
pub(crate) fn label(bytes: &[u8]) -> Option<(u64, u64)> {
    let (array, page) = (bytes.get(..8)?, bytes.get(8..STAMP)?);
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    Some((number(array), number(page)))
}

/// Whether `bytes` are what [`fill`] wrote, from page `first` of array `array` on: all of a small
/// array, a sample of a large one.
pub(crate) fn check(bytes: &[u8], array: u64, first: u64, rng: &mut Rng) -> Result<(), String> {
    let text = text();
    let pages = bytes.len().div_ceil(PAGE);
    let look = |page: usize| {
        let found = &bytes[page * PAGE..bytes.len().min((page + 1) * PAGE)];
        let has_stamp = found.len() >= STAMP;
        let is_stamp_right = !has_stamp || found[..STAMP] == stamp(array, first + page as u64);
        let from = if has_stamp { STAMP } else { 0 };
        if is_stamp_right && found[from..] == text[from..found.len()] {
            return Ok(());
        }
        let found_label = label(found);
        Err(format!(
            "page {page} of {pages} ({} bytes) of array {array:#x} from page {first} has label \
             {found_label:x?}",
            bytes.len()
        ))
    };
    if pages <= SAMPLES {
        return (0..pages).try_for_each(look);
    }
    look(0)?;
    look(pages - 1)?;
    (0..SAMPLES).try_for_each(|_| look(rng.below(pages as u64) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_byte_is_seen() {
        for len in [1, 15, 16, 17, 4095, 4096, 4097, 9000] {
            let mut bytes = vec![0; len];
            fill(&mut bytes, 7, 3);
            let mut rng = Rng::new(1);
            assert_eq!(check(&bytes, 7, 3, &mut rng), Ok(()));
            for index in [0, len / 2, len - 1] {
                bytes[index] ^= 1;
                assert!(check(&bytes, 7, 3, &mut rng).is_err(), "{len}, {index}");
                bytes[index] ^= 1;
            }
        }
    }

    #[test]
    fn a_page_of_another_array_is_seen() {
        let mut bytes = vec![0; 3 * PAGE];
        fill(&mut bytes, 7, 0);
        fill(&mut bytes[PAGE..2 * PAGE], 8, 1);
        assert!(check(&bytes, 7, 0, &mut Rng::new(1)).is_err());
        assert_eq!(label(&bytes), Some((7, 0)));
    }
}
