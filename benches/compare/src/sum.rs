//! The reader of every measure that touches the payload.

/// Accumulators that do not wait for each other.
const LANES: usize = 16;

/// Sums with independent accumulators, so that the loop vectorises.
pub(crate) fn sum(values: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let mut chunks = values.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    lanes.iter().sum::<f64>() + chunks.remainder().iter().sum::<f64>()
}

/// The same over little pieces of bytes, for rivals that deliver bytes at any alignment.
pub(crate) fn sum_bytes(bytes: &[u8]) -> f64 {
    let mut lanes = [0.0; LANES];
    let mut chunks = bytes.chunks_exact(LANES * 8);
    for chunk in &mut chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk.as_chunks().0) {
            *lane += f64::from_ne_bytes(*value);
        }
    }
    let rest = chunks.remainder().as_chunks().0;
    lanes.iter().sum::<f64>() + rest.iter().map(|value| f64::from_ne_bytes(*value)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sums_take_every_element() {
        let values: Vec<f64> = (0..1003).map(f64::from).collect();
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        assert_eq!(sum(&values), 502_503.0);
        assert_eq!(sum_bytes(&bytes), 502_503.0);
    }
}
