//! Sum, least, greatest and mean of big arrays, in loops that the compiler can vectorise.

use crate::sample::Sample;
use crate::units;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::iter::Sum;

/// Independent accumulators, so that additions do not wait for each other.
const LANES: usize = 16;

/// What an array holds, in short. Two processes that see the same bytes get the same summary.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) elements: u64,
    pub(crate) sum: Number,
    pub(crate) min: Option<Number>,
    pub(crate) max: Option<Number>,
    pub(crate) mean: Option<Number>,
}

impl Summary {
    pub(crate) fn of<T: Sample>(values: &[T]) -> Self {
        Self::with_sum(values, T::sum(values))
    }

    /// The rest of a summary whose sum is known already.
    pub(crate) fn with_sum<T: Sample>(values: &[T], sum: Number) -> Self {
        let (min, max) = T::range(values).unzip();
        let mean = (!values.is_empty()).then(|| sum.divided_by(values.len() as f64));
        Self { elements: values.len() as u64, sum, min, max, mean }
    }

    /// Whether both are the same, bit by bit.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let same = |a: Option<Number>, b: Option<Number>| match (a, b) {
            (Some(a), Some(b)) => a.is_same(&b),
            (None, None) => true,
            _ => false,
        };
        self.elements == other.elements
            && self.sum.is_same(&other.sum)
            && same(self.min, other.min)
            && same(self.max, other.max)
            && same(self.mean, other.mean)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sum {}", self.sum)?;
        for (name, value) in [("min", self.min), ("max", self.max), ("mean", self.mean)] {
            if let Some(value) = value {
                write!(f, ", {name} {value}")?;
            }
        }
        Ok(())
    }
}

/// A number of whatever kind the elements are.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Number {
    Integer(i128),
    Real(f64),
    Complex(f64, f64),
}

impl Number {
    fn divided_by(self, count: f64) -> Self {
        match self {
            Self::Integer(sum) => Self::Real(sum as f64 / count),
            Self::Real(sum) => Self::Real(sum / count),
            Self::Complex(re, im) => Self::Complex(re / count, im / count),
        }
    }

    /// Whether both are the same, bit by bit.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (*self, *other) {
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Real(a), Self::Real(b)) => a.to_bits() == b.to_bits(),
            (Self::Complex(a, b), Self::Complex(c, d)) => {
                (a.to_bits(), b.to_bits()) == (c.to_bits(), d.to_bits())
            }
            _ => false,
        }
    }

    /// Whether both are the same but for rounding of at most `slack`.
    pub(crate) fn is_close(&self, other: &Self, slack: f64) -> bool {
        let close = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= slack;
        match (*self, *other) {
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Real(a), Self::Real(b)) => close(a, b),
            (Self::Complex(a, b), Self::Complex(c, d)) => close(a, c) && close(b, d),
            _ => false,
        }
    }

    /// The distance from zero.
    pub(crate) fn magnitude(&self) -> f64 {
        match *self {
            Self::Integer(value) => (value as f64).abs(),
            Self::Real(value) => value.abs(),
            Self::Complex(re, im) => f64::hypot(re, im),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Integer(value) => f.write_str(&units::count(value)),
            Self::Real(value) => f.write_str(&real(value)),
            Self::Complex(re, im) if im < 0.0 => write!(f, "{} - {}i", real(re), real(-im)),
            Self::Complex(re, im) => write!(f, "{} + {}i", real(re), real(im)),
        }
    }
}

fn real(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return units::count(value as i64);
    }
    match value.abs() {
        1e-3..1e6 => format!("{value:.6}").trim_end_matches('0').trim_end_matches('.').to_owned(),
        1e6..1e15 => format!("{value:.3}"),
        _ if !value.is_finite() => value.to_string(),
        _ => format!("{value:.9e}"),
    }
}

/// The exact sum of integers: blocks of at most `BLOCK` are added in `A`, which they cannot overflow.
pub(crate) fn exact<T: Copy, A: Sum + Into<i128>, const BLOCK: usize>(
    values: &[T],
    widen: impl Fn(T) -> A,
) -> i128 {
    values
        .chunks(BLOCK)
        .map(|block| block.iter().map(|value| widen(*value)).sum::<A>().into())
        .sum()
}

/// The sum in double precision.
pub(crate) fn total<T: Copy>(values: &[T], as_f64: impl Fn(T) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let mut blocks = values.chunks_exact(LANES);
    for block in &mut blocks {
        for (lane, value) in lanes.iter_mut().zip(block) {
            *lane += as_f64(*value);
        }
    }
    let rest: f64 = blocks.remainder().iter().map(|value| as_f64(*value)).sum();
    lanes.iter().sum::<f64>() + rest
}

/// The sums of both parts in double precision.
pub(crate) fn total_of_parts<T: Copy>(values: &[T], parts: impl Fn(T) -> (f64, f64)) -> (f64, f64) {
    let mut lanes = [[0.0; 2]; LANES / 2];
    let mut blocks = values.chunks_exact(LANES / 2);
    let add = |lane: &mut [f64; 2], value: T| {
        let (re, im) = parts(value);
        lane[0] += re;
        lane[1] += im;
    };
    for block in &mut blocks {
        for (lane, value) in lanes.iter_mut().zip(block) {
            add(lane, *value);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(blocks.remainder()) {
        add(lane, *value);
    }
    lanes.iter().fold((0.0, 0.0), |(re, im), lane| (re + lane[0], im + lane[1]))
}

/// The least and the greatest real number; those that are no number count only if there is no other.
pub(crate) fn extremes<T: Copy>(
    values: &[T],
    as_f64: impl Fn(T) -> f64,
) -> Option<(Number, Number)> {
    let (least, greatest) = least_and_greatest(values, as_f64)?;
    Some((Number::Real(least), Number::Real(greatest)))
}

/// The least and the greatest distance from zero.
pub(crate) fn extremes_of_norm<T: Copy>(
    values: &[T],
    parts: impl Fn(T) -> (f64, f64),
) -> Option<(Number, Number)> {
    let square = |value| {
        let (re, im) = parts(value);
        re * re + im * im
    };
    let (least, greatest) = least_and_greatest(values, square)?;
    Some((Number::Real(least.sqrt()), Number::Real(greatest.sqrt())))
}

fn least_and_greatest<T: Copy>(values: &[T], as_f64: impl Fn(T) -> f64) -> Option<(f64, f64)> {
    let mut least = [f64::INFINITY; LANES];
    let mut greatest = [f64::NEG_INFINITY; LANES];
    for block in values.chunks(LANES) {
        for ((least, greatest), value) in least.iter_mut().zip(&mut greatest).zip(block) {
            let value = as_f64(*value);
            // Not `f64::min`: these two become one instruction each.
            *least = if value < *least { value } else { *least };
            *greatest = if value > *greatest { value } else { *greatest };
        }
    }
    let least = least.into_iter().fold(f64::INFINITY, f64::min);
    let greatest = greatest.into_iter().fold(f64::NEG_INFINITY, f64::max);
    match values {
        [] => None,
        _ if least > greatest => Some((f64::NAN, f64::NAN)),
        _ => Some((least, greatest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossdock::Complex;

    #[test]
    fn every_element_counts_whatever_the_length() {
        for len in 0..100_u32 {
            let values: Vec<f64> = (1..=len).map(f64::from).collect();
            let summary = Summary::of(&values);
            assert!(summary.sum.is_same(&Number::Real(f64::from(len * (len + 1) / 2))), "{len}");
            let found = (summary.min.map(|n| n.magnitude()), summary.max.map(|n| n.magnitude()));
            let wanted = (len > 0).then_some((1.0, f64::from(len))).unzip();
            assert_eq!(found, wanted);
        }
    }

    #[test]
    fn an_empty_array_has_a_sum_but_no_mean() {
        let summary = Summary::of::<i16>(&[]);
        assert!(summary.sum.is_same(&Number::Integer(0)));
        assert!(summary.min.is_none() && summary.max.is_none() && summary.mean.is_none());
    }

    #[test]
    fn what_is_no_number_poisons_the_sum_but_not_the_range() {
        let summary = Summary::of(&[f32::NAN, 2.0, -3.0, f32::INFINITY]);
        assert!(matches!(summary.sum, Number::Real(sum) if sum.is_nan()));
        assert!(summary.min.is_some_and(|min| min.is_same(&Number::Real(-3.0))));
        assert!(summary.max.is_some_and(|max| max.is_same(&Number::Real(f64::INFINITY))));
        let nothing = Summary::of(&[f64::NAN; 40]);
        assert!(nothing.min.is_some_and(|min| min.magnitude().is_nan()));
        assert!(nothing.is_same(&Summary::of(&[f64::NAN; 40])));
    }

    #[test]
    fn complex_numbers_are_summed_by_part_and_ordered_by_norm() {
        let values = [Complex::new(3.0_f32, -4.0), Complex::new(0.0, 1.0), Complex::new(-2.0, 0.0)];
        let summary = Summary::of(&values);
        assert!(summary.sum.is_same(&Number::Complex(1.0, -3.0)));
        assert!(summary.min.is_some_and(|min| min.is_same(&Number::Real(1.0))));
        assert!(summary.max.is_some_and(|max| max.is_same(&Number::Real(5.0))));
        assert_eq!(summary.sum.to_string(), "1 - 3i");
    }

    #[test]
    fn summaries_of_different_arrays_differ() {
        let ours = Summary::of(&[1.0, 2.0, 3.0]);
        assert!(!ours.is_same(&Summary::of(&[1.0, 2.0, 4.0])));
        assert!(!ours.is_same(&Summary::of(&[1.0, 2.0, 3.0, 0.0])));
        assert!(!ours.is_same(&Summary::of(&[1, 2, 3])));
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(Summary::of(&[1_u8, 2, 4]).to_string(), "sum 7, min 1, max 4, mean 2.333333");
        assert_eq!(Number::Real(1.5e-9).to_string(), "1.500000000e-9");
        assert_eq!(Number::Integer(-1_234_567).to_string(), "-1,234,567");
    }
}
