//! The element types of arrays.
#![allow(unsafe_code, reason = "the Element and Item contracts of each type are stated here")]

use crate::atomic::{Atomic, AtomicElement};
use bytemuck::{CheckedBitPattern, NoUninit, Zeroable};
use half::{bf16, f16};
use num_complex::Complex;
use std::fmt;
use std::ptr::NonNull;
use std::str::FromStr;

/// An element type, known at run time. The number of each is part of the memory layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum DType {
    /// IEEE 754 half precision.
    F16 = 1,
    /// The upper half of an `f32`.
    Bf16 = 2,
    /// `f32`.
    F32 = 3,
    /// `f64`.
    F64 = 4,
    /// `i8`.
    I8 = 5,
    /// `i16`.
    I16 = 6,
    /// `i32`.
    I32 = 7,
    /// `i64`.
    I64 = 8,
    /// `u8`.
    U8 = 9,
    /// `u16`.
    U16 = 10,
    /// `u32`.
    U32 = 11,
    /// `u64`.
    U64 = 12,
    /// `bool`, one byte, 0 or 1.
    Bool = 13,
    /// Two `f32`: real and imaginary part.
    C64 = 14,
    /// Two `f64`: real and imaginary part.
    C128 = 15,
}

impl DType {
    /// All element types.
    pub const ALL: [Self; 15] = [
        Self::F16,
        Self::Bf16,
        Self::F32,
        Self::F64,
        Self::I8,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::U8,
        Self::U16,
        Self::U32,
        Self::U64,
        Self::Bool,
        Self::C64,
        Self::C128,
    ];

    /// Bytes of one element.
    #[inline]
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::F16 | Self::Bf16 | Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 | Self::U64 | Self::C64 => 8,
            Self::C128 => 16,
        }
    }

    /// Bytes to which an element is aligned, a power of two.
    #[inline]
    #[must_use]
    pub fn alignment(self) -> usize {
        match self {
            Self::C64 => 4,
            Self::C128 => 8,
            other => other.size(),
        }
    }

    /// Its short name: `f64`, `bf16`, `c128`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::Bool => "bool",
            Self::C64 => "c64",
            Self::C128 => "c128",
        }
    }

    /// Whether there is an [`Atomic`] of this type.
    #[must_use]
    pub fn has_atomic(self) -> bool {
        !matches!(self, Self::F16 | Self::Bf16 | Self::C64 | Self::C128)
    }

    /// Its number in the memory layout.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The element type with this number in the memory layout.
    #[inline]
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        // The codes are the places in `ALL`, from 1 on (a test says so).
        Self::ALL.get(usize::from(code).wrapping_sub(1)).copied()
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text is not the name of an element type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownDType(String);

impl fmt::Display for UnknownDType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown element type {:?}, expected one of", self.0)?;
        DType::ALL.iter().try_for_each(|dtype| write!(f, " {dtype}"))
    }
}

impl std::error::Error for UnknownDType {}

impl FromStr for DType {
    type Err = UnknownDType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|dtype| dtype.name() == text)
            .ok_or_else(|| UnknownDType(text.to_owned()))
    }
}

/// A type that arrays in shared memory can have as elements.
///
/// # Safety
///
/// * [`Element::DTYPE`] describes exactly this type: size, alignment, meaning.
/// * The type has no pointer, no padding and no destructor.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the element of an array that is filled and handed over",
    label = "not a plain element type",
    note = "numbers, `bool` and `Complex<T>` can",
    note = "an array of `Atomic<T>` has a name: make it with `Array::create`, and open it in the other process \
            with `Array::open`"
)]
pub unsafe trait Element:
    CheckedBitPattern + NoUninit + Zeroable + Send + Sync + fmt::Debug + PartialEq
{
    /// What the type is called in the memory layout.
    const DTYPE: DType;
    /// Whether some bytes are no value of the type, so that bytes from elsewhere must be looked at.
    const IS_CHECKED: bool = false;
}

macro_rules! elements {
    ($($type:ty => $dtype:ident),+ $(,)?) => {$(
        // SAFETY: the row names the type's own dtype (the test below compares sizes and alignments),
        // and `NoUninit` excludes padding; none of these types has a pointer or a destructor.
        unsafe impl Element for $type {
            const DTYPE: DType = DType::$dtype;
        }
    )+};
}

elements! {
    f16 => F16, bf16 => Bf16, f32 => F32, f64 => F64,
    i8 => I8, i16 => I16, i32 => I32, i64 => I64,
    u8 => U8, u16 => U16, u32 => U32, u64 => U64,
    Complex<f32> => C64, Complex<f64> => C128,
}

// SAFETY: one byte without padding, pointer or destructor; `IS_CHECKED` has its bytes looked at.
unsafe impl Element for bool {
    const DTYPE: DType = DType::Bool;
    const IS_CHECKED: bool = true;
}

/// What the `Array`s of crossdock can consist of: an [`Element`], which nobody changes any more, or an
/// [`Atomic`], which everybody can change.
///
/// # Safety
///
/// * [`Item::DTYPE`] describes the number in it: size, alignment, meaning.
/// * The type has no pointer, no padding and no destructor, and bytes of zero are a value of it.
/// * If [`Item::IS_ATOMIC`], any bytes are a value, and it changes through a shared reference by atomic
///   operations only. If not, it does not change through a shared reference.
/// * [`Item::are_values`] tells the truth.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the element of an `Array`",
    label = "not an element type",
    note = "numbers, `bool`, `Complex<T>` and `Atomic<T>` can; for structs use \
            `Value::<[T]>::create_slice`, which takes every type that is `ShmSafe`"
)]
pub unsafe trait Item: Send + Sync + fmt::Debug {
    /// What the number is called in the memory layout.
    const DTYPE: DType;
    /// Whether it changes through a shared reference.
    const IS_ATOMIC: bool;

    /// Whether the bytes of these items are values of the type.
    ///
    /// # Safety
    ///
    /// `first` is aligned and leads to so many items in mapped memory, which nobody writes in the meantime
    /// unless the type is atomic.
    unsafe fn are_values(first: NonNull<Self>, len: usize) -> bool;
}

// SAFETY: the contract of `Element`; the type has no interior mutability, since `NoUninit` excludes that.
#[diagnostic::do_not_recommend]
unsafe impl<T: Element> Item for T {
    const DTYPE: DType = T::DTYPE;
    const IS_ATOMIC: bool = false;

    unsafe fn are_values(first: NonNull<Self>, len: usize) -> bool {
        if !T::IS_CHECKED {
            return true;
        }
        let bits = first.cast::<T::Bits>().as_ptr();
        // SAFETY: by the contract of this function; the `Bits` of a type are plain bytes of the same
        // layout.
        let bits = unsafe { std::slice::from_raw_parts(bits, len) };
        bits.iter().all(T::is_valid_bit_pattern)
    }
}

// SAFETY: the number in an atomic of its own size, which is its alignment; any bytes are a value.
unsafe impl<T: AtomicElement> Item for Atomic<T> {
    const DTYPE: DType = T::DTYPE;
    const IS_ATOMIC: bool = true;

    unsafe fn are_values(_first: NonNull<Self>, _len: usize) -> bool {
        true
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn check<T: Element>() {
        assert_eq!(size_of::<T>(), T::DTYPE.size(), "{}", T::DTYPE);
        assert_eq!(align_of::<T>(), T::DTYPE.alignment(), "{}", T::DTYPE);
    }

    #[test]
    fn every_element_is_as_large_and_aligned_as_its_dtype_says() {
        check::<f16>();
        check::<bf16>();
        check::<f32>();
        check::<f64>();
        check::<i8>();
        check::<i16>();
        check::<i32>();
        check::<i64>();
        check::<u8>();
        check::<u16>();
        check::<u32>();
        check::<u64>();
        check::<bool>();
        check::<Complex<f32>>();
        check::<Complex<f64>>();
    }

    fn check_atomic<T: AtomicElement>() -> DType {
        assert_eq!(size_of::<Atomic<T>>(), T::DTYPE.size(), "{}", T::DTYPE);
        assert_eq!(align_of::<Atomic<T>>(), T::DTYPE.alignment(), "{}", T::DTYPE);
        const { assert!(<Atomic<T> as Item>::IS_ATOMIC && !<T as Item>::IS_ATOMIC) };
        <Atomic<T> as Item>::DTYPE
    }

    #[test]
    fn an_atomic_is_as_large_and_aligned_as_its_number() {
        let atomic = [
            check_atomic::<f32>(),
            check_atomic::<f64>(),
            check_atomic::<i8>(),
            check_atomic::<i16>(),
            check_atomic::<i32>(),
            check_atomic::<i64>(),
            check_atomic::<u8>(),
            check_atomic::<u16>(),
            check_atomic::<u32>(),
            check_atomic::<u64>(),
            check_atomic::<bool>(),
        ];
        assert!(DType::ALL.iter().filter(|dtype| dtype.has_atomic()).eq(&atomic));
    }

    #[test]
    fn bytes_that_are_no_value_are_seen() {
        fn are_values<T: Item>(bytes: &[u8]) -> bool {
            // SAFETY: the types of this test are one byte large.
            unsafe { T::are_values(NonNull::from(bytes).cast(), bytes.len()) }
        }
        assert!(are_values::<bool>(&[0, 1, 1]) && !are_values::<bool>(&[0, 1, 2]));
        assert!(are_values::<u8>(&[0, 1, 255]) && are_values::<Atomic<bool>>(&[0, 1, 255]));
    }

    #[test]
    fn names_and_codes_go_both_ways() {
        for dtype in DType::ALL {
            assert_eq!(dtype.name().parse(), Ok(dtype));
            assert_eq!(DType::from_code(dtype.code()), Some(dtype));
        }
        assert_eq!(DType::from_code(0), None);
        let text = "f128".parse::<DType>().unwrap_err().to_string();
        assert!(text.contains("\"f128\"") && text.contains(" c128"), "{text}");
    }
}
