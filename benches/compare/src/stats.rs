//! Percentiles, pooled over the rounds, and ratios, taken within a round.

/// The samples of one subject, a list per round.
#[derive(Debug, Default, Clone)]
pub(crate) struct Samples {
    rounds: Vec<Vec<f64>>,
}

/// Smallest, middle and 99th percentile of all samples.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    pub(crate) count: usize,
    pub(crate) min: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Samples {
    /// Adds what one burst measured.
    pub(crate) fn push_round(&mut self, samples: Vec<f64>) {
        self.rounds.push(samples);
    }

    /// `None` if nothing was measured.
    pub(crate) fn summary(&self) -> Option<Summary> {
        let mut all: Vec<f64> = self.rounds.iter().flatten().copied().collect();
        all.sort_by(f64::total_cmp);
        let min = *all.first()?;
        Some(Summary { count: all.len(), min, p50: rank(&all, 0.5), p99: rank(&all, 0.99) })
    }

    /// Median over the rounds of (own p50 / the other's p50 in the same round): a machine whose
    /// speed drifts during the run shifts both.
    pub(crate) fn ratio_to(&self, other: &Samples) -> Option<f64> {
        let mut ratios: Vec<f64> = self
            .rounds
            .iter()
            .zip(&other.rounds)
            .filter_map(|(own, theirs)| Some(median(own)? / median(theirs)?))
            .collect();
        ratios.sort_by(f64::total_cmp);
        (!ratios.is_empty()).then(|| rank(&ratios, 0.5))
    }
}

fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    (!sorted.is_empty()).then(|| rank(&sorted, 0.5))
}

/// The nearest-rank percentile of a sorted, non-empty list.
fn rank(sorted: &[f64], share: f64) -> f64 {
    let index = (sorted.len() as f64 * share) as usize;
    sorted[index.min(sorted.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratio_is_taken_within_a_round() {
        let (mut fast, mut slow) = (Samples::default(), Samples::default());
        for drift in [1.0, 2.0, 4.0] {
            fast.push_round(vec![10.0 * drift; 3]);
            slow.push_round(vec![30.0 * drift; 3]);
        }
        assert_eq!(slow.ratio_to(&fast), Some(3.0));
    }

    #[test]
    fn summary_pools_all_rounds() {
        let mut samples = Samples::default();
        assert!(samples.summary().is_none());
        samples.push_round(vec![3.0, 1.0]);
        samples.push_round(vec![2.0]);
        let summary = samples.summary().expect("three samples");
        assert_eq!((summary.count, summary.min, summary.p50, summary.p99), (3, 1.0, 2.0, 3.0));
    }
}
