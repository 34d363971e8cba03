//! Samples of one time, in short.

use serde::Serialize;

/// A 99th percentile of fewer samples would be their maximum.
const P99_SAMPLES_MIN: usize = 200;

/// Nanoseconds. Of an even number of samples the median is the smaller one of the middle.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Spread {
    pub(super) median_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) p99_ns: Option<u64>,
    pub(super) samples: usize,
}

impl Spread {
    pub(super) fn of(mut samples: Vec<u64>) -> Self {
        samples.sort_unstable();
        let count = samples.len();
        let at = |index: usize| samples.get(index).copied().unwrap_or(0);
        let p99_ns = (count >= P99_SAMPLES_MIN).then(|| at(count * 99 / 100));
        Self { median_ns: at(count.saturating_sub(1) / 2), p99_ns, samples: count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_percentile_are_samples() {
        let spread = Spread::of((1..=1000).rev().collect());
        assert_eq!((spread.median_ns, spread.p99_ns, spread.samples), (500, Some(991), 1000));
        assert_eq!(Spread::of(vec![7, 3]).median_ns, 3);
        assert_eq!(Spread::of(vec![]).median_ns, 0);
        assert_eq!(Spread::of(vec![7, 3, 9]).p99_ns, None);
    }
}
