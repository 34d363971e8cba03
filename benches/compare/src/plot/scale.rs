//! A logarithmic axis: where a value lies, and which values are marked.

/// From a value to a place on the drawing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    least: f64,
    greatest: f64,
    start: f64,
    end: f64,
}

impl Scale {
    /// The values between `least` and `greatest`, both positive, lie between `start` and `end`.
    pub(crate) fn new([least, greatest]: [f64; 2], [start, end]: [f64; 2]) -> Self {
        Self { least, greatest, start, end }
    }

    /// The place of a value, to a tenth of a pixel.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let share = (value / self.least).log(self.greatest / self.least);
        ((self.start + share * (self.end - self.start)) * 10.0).round() / 10.0
    }

    /// The powers of ten on the axis.
    pub(crate) fn decades(&self) -> Vec<f64> {
        let (first, last) = (self.least.log10().ceil(), self.greatest.log10().floor());
        (first as i32..=last as i32).map(|power| 10_f64.powi(power)).collect()
    }
}

/// The powers of ten that enclose all values; `None` without any.
pub(crate) fn enclosing(values: impl Iterator<Item = f64>) -> Option<[f64; 2]> {
    let start = [f64::INFINITY, 0.0_f64];
    let [least, greatest] =
        values.fold(start, |[least, greatest], value| [least.min(value), greatest.max(value)]);
    (greatest > 0.0).then(|| {
        let [low, high] = [least.log10().floor(), greatest.log10().ceil()];
        // A single value on a power of ten still needs an axis.
        [10_f64.powf(low), 10_f64.powf(if high > low { high } else { low + 1.0 })]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decades_are_as_far_apart_as_each_other() {
        let scale = Scale::new([10.0, 10_000.0], [300.0, 0.0]);
        let places: Vec<f64> = scale.decades().into_iter().map(|value| scale.at(value)).collect();
        assert_eq!(places, [300.0, 200.0, 100.0, 0.0]);
    }

    #[test]
    fn enclosing_powers_leave_no_value_out() {
        assert_eq!(enclosing([31.0, 4_500.0].into_iter()), Some([10.0, 10_000.0]));
        assert_eq!(enclosing([100.0].into_iter()), Some([100.0, 1_000.0]));
        assert_eq!(enclosing(std::iter::empty()), None);
    }
}
