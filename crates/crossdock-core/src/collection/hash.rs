//! The hash of a key: SipHash-1-3 of its bytes.
//!
//! The two words that it is keyed with lie in the file and are chosen when the file is made, so who chooses keys cannot choose
//! those that meet in one slot. It is written out here because every program that opens the file must hash alike, whatever
//! it was compiled with: what the standard library hashes with may change.
//!
//! Source: J.-P. Aumasson, D. J. Bernstein: SipHash, a fast short-input PRF, 2012. One round for each word and three at the end are
//! what the hash tables of Rust and Ruby use.

/// The hash of a key's bytes.
#[inline]
#[must_use]
pub fn hash(seed: [u64; 2], bytes: &[u8]) -> u64 {
    sip::<1, 3>(seed, bytes)
}

#[inline]
fn sip<const EACH: usize, const LAST: usize>(seed: [u64; 2], bytes: &[u8]) -> u64 {
    let [first, second] = seed;
    let mut state = State([
        first ^ 0x736f_6d65_7073_6575,
        second ^ 0x646f_7261_6e64_6f6d,
        first ^ 0x6c79_6765_6e65_7261,
        second ^ 0x7465_6462_7974_6573,
    ]);
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().for_each(|word| state.absorb::<EACH>(u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    last[7] = bytes.len() as u8;
    state.absorb::<EACH>(u64::from_le_bytes(last));
    state.0[2] ^= 0xff;
    (0..LAST).for_each(|_| state.round());
    state.0.iter().fold(0, |hash, word| hash ^ word)
}

struct State([u64; 4]);

impl State {
    #[inline]
    fn absorb<const ROUNDS: usize>(&mut self, word: u64) {
        self.0[3] ^= word;
        (0..ROUNDS).for_each(|_| self.round());
        self.0[0] ^= word;
    }

    #[inline]
    fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.0;
        a = a.wrapping_add(b);
        b = b.rotate_left(13) ^ a;
        a = a.rotate_left(32);
        c = c.wrapping_add(d);
        d = d.rotate_left(16) ^ c;
        a = a.wrapping_add(d);
        d = d.rotate_left(21) ^ a;
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
        self.0 = [a, b, c, d];
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn two_and_four_rounds_give_the_vector_of_the_paper() {
        let seed = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        let bytes: Vec<u8> = (0..15).collect();
        assert_eq!(sip::<2, 4>(seed, &bytes), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn every_byte_and_the_length_count() {
        let mut seen = std::collections::HashSet::new();
        for len in 0..40 {
            let mut bytes = vec![0_u8; len];
            assert!(seen.insert(hash([1, 2], &bytes)));
            for index in 0..len {
                bytes[index] = 1;
                assert!(seen.insert(hash([1, 2], &bytes)));
                bytes[index] = 0;
            }
        }
        assert_ne!(hash([1, 2], b"key"), hash([1, 3], b"key"));
    }
}
