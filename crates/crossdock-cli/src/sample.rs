//! What this command can do with elements of each type, and the way from a run-time type to it.

use crate::stats::{Number, exact, extremes, extremes_of_norm, total, total_of_parts};
use crossdock::{Complex, Element, bf16, f16};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Evaluates an expression with `$T` as the Rust type of a run-time [`crossdock::DType`].
macro_rules! with_dtype {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            crossdock::DType::F16 => with_dtype!(@ $T = crossdock::f16, $body),
            crossdock::DType::Bf16 => with_dtype!(@ $T = crossdock::bf16, $body),
            crossdock::DType::F32 => with_dtype!(@ $T = f32, $body),
            crossdock::DType::F64 => with_dtype!(@ $T = f64, $body),
            crossdock::DType::I8 => with_dtype!(@ $T = i8, $body),
            crossdock::DType::I16 => with_dtype!(@ $T = i16, $body),
            crossdock::DType::I32 => with_dtype!(@ $T = i32, $body),
            crossdock::DType::I64 => with_dtype!(@ $T = i64, $body),
            crossdock::DType::U8 => with_dtype!(@ $T = u8, $body),
            crossdock::DType::U16 => with_dtype!(@ $T = u16, $body),
            crossdock::DType::U32 => with_dtype!(@ $T = u32, $body),
            crossdock::DType::U64 => with_dtype!(@ $T = u64, $body),
            crossdock::DType::Bool => with_dtype!(@ $T = bool, $body),
            crossdock::DType::C64 => with_dtype!(@ $T = crossdock::Complex<f32>, $body),
            crossdock::DType::C128 => with_dtype!(@ $T = crossdock::Complex<f64>, $body),
            other => Err($crate::failure::Failure::Refused(format!(
                "this command does not know elements of type {other}"
            ))),
        }
    };
    (@ $T:ident = $type:ty, $body:expr) => {{
        type $T = $type;
        $body
    }};
}
pub(crate) use with_dtype;

/// The steps of the pattern in an array that is made here; its values fit into every element type.
pub(crate) const PERIOD: usize = 127;

/// An element type as this command uses it.
pub(crate) trait Sample: Element {
    /// What a serialising queue writes for one element.
    type Wire: Serialize + DeserializeOwned;

    fn to_wire(self) -> Self::Wire;
    fn from_wire(wire: Self::Wire) -> Self;

    /// The value at one of the [`PERIOD`] steps of the pattern.
    fn pattern(step: u8) -> Self;

    /// The sum of all elements: exact for integers, in double precision for others.
    fn sum(values: &[Self]) -> Number;

    /// The least and the greatest, by norm if complex; `None` without elements.
    fn range(values: &[Self]) -> Option<(Number, Number)>;
}

/// The type as its own wire form, for those that serde knows.
macro_rules! its_own_wire {
    () => {
        type Wire = Self;

        fn to_wire(self) -> Self {
            self
        }

        fn from_wire(wire: Self) -> Self {
            wire
        }
    };
}

macro_rules! integers {
    ($($type:ty, adding $block:literal in $sum:ty;)+) => {$(
        impl Sample for $type {
            its_own_wire!();

            fn pattern(step: u8) -> Self {
                step as Self
            }

            fn sum(values: &[Self]) -> Number {
                // A block of so many cannot overflow its sum.
                Number::Integer(exact::<_, $sum, $block>(values, |value| <$sum>::from(value)))
            }

            fn range(values: &[Self]) -> Option<(Number, Number)> {
                let least = values.iter().copied().min()?;
                let greatest = values.iter().copied().max()?;
                Some((Number::Integer(least.into()), Number::Integer(greatest.into())))
            }
        }
    )+};
}

integers! {
    i8, adding 32_768 in i32;
    u8, adding 32_768 in i32;
    i16, adding 32_768 in i32;
    u16, adding 32_768 in i32;
    i32, adding 1_048_576 in i64;
    u32, adding 1_048_576 in i64;
}

macro_rules! wide_integers {
    ($($type:ty, high half $high:ty;)+) => {$(
        impl Sample for $type {
            its_own_wire!();

            fn pattern(step: u8) -> Self {
                step as Self
            }

            fn sum(values: &[Self]) -> Number {
                // Either half of a million of them fits into 64 bits.
                let low = exact::<_, u64, 1_048_576>(values, |value| value as u64 & 0xffff_ffff);
                let high = exact::<_, $high, 1_048_576>(values, |value| value >> 32);
                Number::Integer((high << 32) + low)
            }

            fn range(values: &[Self]) -> Option<(Number, Number)> {
                let least = values.iter().copied().min()?;
                let greatest = values.iter().copied().max()?;
                Some((Number::Integer(least.into()), Number::Integer(greatest.into())))
            }
        }
    )+};
}

wide_integers! {
    i64, high half i64;
    u64, high half u64;
}

/// The bits of a half-width float: serde does not know the type itself.
macro_rules! bits_as_wire {
    () => {
        type Wire = u16;

        fn to_wire(self) -> u16 {
            self.to_bits()
        }

        fn from_wire(wire: u16) -> Self {
            Self::from_bits(wire)
        }
    };
}

macro_rules! reals {
    ($($type:ty: $wire:ident, $as_f64:expr;)+) => {$(
        impl Sample for $type {
            $wire!();

            fn pattern(step: u8) -> Self {
                Self::from(step)
            }

            fn sum(values: &[Self]) -> Number {
                Number::Real(total(values, $as_f64))
            }

            fn range(values: &[Self]) -> Option<(Number, Number)> {
                extremes(values, $as_f64)
            }
        }
    )+};
}

reals! {
    f16: bits_as_wire, half_as_f64;
    bf16: bits_as_wire, |value: bf16| f32::from_bits(u32::from(value.to_bits()) << 16).into();
    f32: its_own_wire, f64::from;
    f64: its_own_wire, f64::from;
}

/// A half-precision number without a branch, so that many are converted at once.
fn half_as_f64(value: f16) -> f64 {
    const INFINITY: u32 = 0x7f80_0000;
    /// 2^112: what the exponent of an `f32` is larger by.
    const REBIAS: f32 = f32::from_bits(0x7780_0000);
    let bits = u32::from(value.to_bits());
    let magnitude = (bits & 0x7fff) << 13;
    let finite = (f32::from_bits(magnitude) * REBIAS).to_bits();
    let magnitude = if magnitude >= 0x0f80_0000 { magnitude | INFINITY } else { finite };
    f32::from_bits(magnitude | (bits & 0x8000) << 16).into()
}

macro_rules! complexes {
    ($($part:ty),+) => {$(
        impl Sample for Complex<$part> {
            type Wire = ($part, $part);

            fn to_wire(self) -> Self::Wire {
                (self.re, self.im)
            }

            fn from_wire((re, im): Self::Wire) -> Self {
                Self { re, im }
            }

            fn pattern(step: u8) -> Self {
                Self { re: step.into(), im: -<$part>::from(step) }
            }

            fn sum(values: &[Self]) -> Number {
                let (re, im) = total_of_parts(values, |value| (value.re.into(), value.im.into()));
                Number::Complex(re, im)
            }

            fn range(values: &[Self]) -> Option<(Number, Number)> {
                extremes_of_norm(values, |value| (value.re.into(), value.im.into()))
            }
        }
    )+};
}

complexes!(f32, f64);

impl Sample for bool {
    its_own_wire!();

    fn pattern(step: u8) -> Self {
        step % 2 == 1
    }

    /// How many are true.
    fn sum(values: &[Self]) -> Number {
        Number::Integer(exact::<_, i32, 32_768>(values, i32::from))
    }

    fn range(values: &[Self]) -> Option<(Number, Number)> {
        let least = values.iter().copied().min()?;
        let greatest = values.iter().copied().max()?;
        Some((Number::Integer(least.into()), Number::Integer(greatest.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;
    use crate::stats::Summary;
    use crossdock::DType;

    /// One period of the pattern, and what its summary must be.
    fn check<T: Sample>() {
        let steps: Vec<u8> = (0..PERIOD as u8).collect();
        let values: Vec<T> = steps.iter().map(|step| T::pattern(*step)).collect();
        let summary = Summary::of(&values);
        let (sum, greatest) = match T::DTYPE {
            DType::Bool => (Number::Integer(63), Number::Integer(1)),
            DType::C64 | DType::C128 => {
                (Number::Complex(8001.0, -8001.0), Number::Real(f64::hypot(126.0, 126.0)))
            }
            DType::F16 | DType::Bf16 | DType::F32 | DType::F64 => {
                (Number::Real(8001.0), Number::Real(126.0))
            }
            _ => (Number::Integer(8001), Number::Integer(126)),
        };
        assert_eq!(summary.elements, 127, "{}", T::DTYPE);
        assert!(summary.sum.is_same(&sum), "{}: {}", T::DTYPE, summary.sum);
        assert!(summary.max.is_some_and(|max| max.is_close(&greatest, 1e-9)), "{}", T::DTYPE);
        for value in values {
            assert_eq!(T::from_wire(value.to_wire()), value);
        }
    }

    #[test]
    fn every_dtype_has_a_sum_a_range_and_a_wire_form() {
        for dtype in DType::ALL {
            let checked: Result<(), Failure> = with_dtype!(dtype, T => {
                assert_eq!(<T as Element>::DTYPE, dtype);
                check::<T>();
                Ok(())
            });
            assert!(checked.is_ok(), "{dtype}");
        }
    }

    #[test]
    fn sums_of_the_widest_integers_are_exact() {
        let many = 3_000_001;
        let sum = |n: i128, value: i128| Number::Integer(n * value);
        let count = many as i128;
        assert!(Sample::sum(&vec![i64::MIN; many]).is_same(&sum(count, i64::MIN.into())));
        assert!(Sample::sum(&vec![i64::MAX; many]).is_same(&sum(count, i64::MAX.into())));
        assert!(Sample::sum(&vec![-1_i64; many]).is_same(&sum(count, -1)));
        assert!(Sample::sum(&vec![u64::MAX; many]).is_same(&sum(count, u64::MAX.into())));
        assert!(Sample::sum(&vec![i32::MIN; many]).is_same(&sum(count, i32::MIN.into())));
        assert!(Sample::sum(&vec![u32::MAX; many]).is_same(&sum(count, u32::MAX.into())));
        assert!(Sample::sum(&vec![i16::MIN; many]).is_same(&sum(count, i16::MIN.into())));
        assert!(Sample::sum(&vec![u16::MAX; many]).is_same(&sum(count, u16::MAX.into())));
        assert!(Sample::sum(&vec![i8::MIN; many]).is_same(&sum(count, i8::MIN.into())));
        assert!(Sample::sum(&vec![u8::MAX; many]).is_same(&sum(count, u8::MAX.into())));
        assert!(Sample::sum(&vec![true; many]).is_same(&sum(count, 1)));
    }

    #[test]
    fn half_precision_is_summed_in_double() {
        let many = 100_000;
        let (f, b) = (f16::from_f32(1000.0), bf16::from_f32(1024.0));
        assert!(Sample::sum(&vec![f; many]).is_same(&Number::Real(1e8)));
        assert!(Sample::sum(&vec![b; many]).is_same(&Number::Real(1.024e8)));
    }

    #[test]
    fn every_half_precision_number_is_converted_exactly() {
        for bits in 0..=u16::MAX {
            let value = f16::from_bits(bits);
            let (found, wanted) = (half_as_f64(value), value.to_f64());
            assert!(found.to_bits() == wanted.to_bits() || found.is_nan() && wanted.is_nan());
        }
    }

    #[test]
    fn least_and_greatest_integers_are_found() {
        let range = |(least, greatest): (i128, i128), found: Option<(Number, Number)>| {
            let (min, max) = found.unwrap();
            assert!(
                min.is_same(&Number::Integer(least)) && max.is_same(&Number::Integer(greatest))
            );
        };
        range((-128, 127), Sample::range(&[0_i8, -128, 127, 5]));
        range((0, u64::MAX.into()), Sample::range(&[u64::MAX, 0, 7]));
        range((0, 1), Sample::range(&[true, false]));
        assert!(<i32 as Sample>::range(&[]).is_none());
    }
}
