//! Numbers that several processes change at once.
//!
//! # Ordering
//!
//! Every operation takes its orderings from the caller and has those of the atomic of std that it is
//! made of.
//!
//! # Owner death
//!
//! An operation happens as a whole or not at all: nobody owns an atomic, so nobody can die with it.

mod store;

use crate::element::Element;
use std::fmt;
use std::sync::atomic::Ordering;
use store::{Bits, Number, Store};

/// A number that an [`Atomic`] can hold: `u8` to `u64`, `i8` to `i64`, `f32`, `f64` and `bool`.
#[diagnostic::on_unimplemented(
    message = "`Atomic<{Self}>` does not exist",
    label = "not a number that a processor changes in one step",
    note = "`u8` to `u64`, `i8` to `i64`, `f32`, `f64` and `bool` are; instead of `usize` use `u64`, instead of \
            an enum a `u8`, and for anything larger a `Mutex`"
)]
pub trait AtomicElement: Element + Default + Store {}

/// An [`AtomicElement`] that can be added and compared: all but `bool`.
#[diagnostic::on_unimplemented(
    message = "`Atomic<{Self}>` cannot be added to or compared",
    label = "not a number"
)]
pub trait AtomicNumber: AtomicElement + Number {}

/// An [`AtomicElement`] that is made of bits: the integers and `bool`.
#[diagnostic::on_unimplemented(
    message = "`Atomic<{Self}>` has no bits to combine",
    label = "not an integer and not a `bool`"
)]
pub trait AtomicBits: AtomicElement + Bits {}

macro_rules! elements {
    ($trait:ident: $($type:ty)+) => {$(
        impl $trait for $type {}
    )+};
}

elements!(AtomicElement: u8 u16 u32 u64 i8 i16 i32 i64 f32 f64 bool);
elements!(AtomicNumber: u8 u16 u32 u64 i8 i16 i32 i64 f32 f64);
elements!(AtomicBits: u8 u16 u32 u64 i8 i16 i32 i64 bool);

/// A number that threads of any number of processes change at once, without a lock.
///
/// It is as large as the number and aligned to its size. All zeroes are the number 0, or `false`.
///
/// # Differences from the atomics of std
///
/// * One generic type, so it can be the element of an array or a field of a generic struct.
/// * There are floating-point numbers. They are compared bit by bit where something is exchanged: a NaN
///   equals the same NaN, and `0.0` does not equal `-0.0`. What changes them is a loop of exchanges.
/// * Any byte is a `bool`: 0 is `false` and everything else `true`.
///
/// # Panics
///
/// As in std, a load panics when its ordering releases, and a store when its ordering acquires; the
/// ordering of a failed exchange is that of a load.
///
/// # Examples
///
/// ```
/// use crossdock_core::atomic::Atomic;
/// use std::sync::atomic::Ordering::Relaxed;
///
/// let sum = Atomic::new(0.5_f64);
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| sum.fetch_add(1.25, Relaxed));
///     }
/// });
/// assert_eq!(sum.load(Relaxed), 5.5);
/// ```
#[repr(transparent)]
#[doc(alias = "AtomicU64")]
#[doc(alias = "AtomicBool")]
#[doc(alias = "AtomicF64")]
pub struct Atomic<T: AtomicElement> {
    word: T::Word,
}

const _: () = assert!(size_of::<Atomic<bool>>() == 1 && size_of::<Atomic<f64>>() == 8);
const _: () = assert!(align_of::<Atomic<u16>>() == 2 && align_of::<Atomic<i64>>() == 8);

impl<T: AtomicElement> Atomic<T> {
    /// An atomic with this value.
    #[inline]
    #[must_use]
    pub fn new(value: T) -> Self {
        Self { word: value.into_word() }
    }

    /// The value now.
    #[inline]
    pub fn load(&self, order: Ordering) -> T {
        T::load(&self.word, order)
    }

    /// Sets the value.
    #[inline]
    pub fn store(&self, value: T, order: Ordering) {
        T::store(&self.word, value, order);
    }

    /// Sets the value and returns the one before.
    #[inline]
    pub fn swap(&self, value: T, order: Ordering) -> T {
        T::swap(&self.word, value, order)
    }

    /// Sets the value to `new` if it is `current`, and returns the one before.
    ///
    /// # Errors
    ///
    /// The value, if it is not `current`.
    #[inline]
    pub fn compare_exchange(
        &self,
        current: T,
        new: T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<T, T> {
        T::exchange(&self.word, current, new, success, failure)
    }

    /// As [`compare_exchange`](Self::compare_exchange), but may fail although the value is `current`, which
    /// is faster in a loop on some processors.
    ///
    /// # Errors
    ///
    /// The value, if the exchange failed.
    #[inline]
    pub fn compare_exchange_weak(
        &self,
        current: T,
        new: T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<T, T> {
        T::exchange_weak(&self.word, current, new, success, failure)
    }

    /// Sets the value to what `change` makes of it, and returns the one before. `change` is called again
    /// whenever somebody else was faster.
    ///
    /// # Errors
    ///
    /// The value, if `change` gave `None` for it.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossdock_core::atomic::Atomic;
    /// use std::sync::atomic::Ordering::Relaxed;
    ///
    /// let seats = Atomic::new(1_u32);
    /// let book = || seats.fetch_update(Relaxed, Relaxed, |seats| seats.checked_sub(1));
    /// assert_eq!(book(), Ok(1));
    /// assert_eq!(book(), Err(0));
    /// ```
    #[inline]
    pub fn fetch_update(
        &self,
        success: Ordering,
        failure: Ordering,
        mut change: impl FnMut(T) -> Option<T>,
    ) -> Result<T, T> {
        let mut value = self.load(failure);
        while let Some(new) = change(value) {
            match self.compare_exchange_weak(value, new, success, failure) {
                Ok(value) => return Ok(value),
                Err(found) => value = found,
            }
        }
        Err(value)
    }

    /// The value, of an atomic that nobody else has.
    #[inline]
    #[must_use]
    pub fn into_inner(self) -> T {
        self.load(Ordering::Relaxed)
    }
}

impl<T: AtomicNumber> Atomic<T> {
    /// Adds to the value and returns the one before. An integer wraps around.
    #[inline]
    pub fn fetch_add(&self, value: T, order: Ordering) -> T {
        T::add(&self.word, value, order)
    }

    /// Subtracts from the value and returns the one before. An integer wraps around.
    #[inline]
    pub fn fetch_sub(&self, value: T, order: Ordering) -> T {
        T::sub(&self.word, value, order)
    }

    /// Sets the value to the greater of both and returns the one before. A number is greater than NaN.
    #[inline]
    pub fn fetch_max(&self, value: T, order: Ordering) -> T {
        T::max(&self.word, value, order)
    }

    /// Sets the value to the smaller of both and returns the one before. A number is smaller than NaN.
    #[inline]
    pub fn fetch_min(&self, value: T, order: Ordering) -> T {
        T::min(&self.word, value, order)
    }
}

impl<T: AtomicBits> Atomic<T> {
    /// Keeps the bits that are set in `value`, too, and returns the value before.
    #[inline]
    pub fn fetch_and(&self, value: T, order: Ordering) -> T {
        T::and(&self.word, value, order)
    }

    /// Sets the bits that are set in `value`, and returns the value before.
    #[inline]
    pub fn fetch_or(&self, value: T, order: Ordering) -> T {
        T::or(&self.word, value, order)
    }

    /// Flips the bits that are set in `value`, and returns the value before.
    #[inline]
    pub fn fetch_xor(&self, value: T, order: Ordering) -> T {
        T::xor(&self.word, value, order)
    }
}

impl<T: AtomicElement> Default for Atomic<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: AtomicElement> From<T> for Atomic<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: AtomicElement> fmt::Debug for Atomic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.load(Ordering::Relaxed).fmt(f)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
