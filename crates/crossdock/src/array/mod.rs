//! Arrays that other processes can map: unique [`ArrayMut`], shared [`Array`].
#![allow(unsafe_code, reason = "elements are reached through the invariants of Raw")]

mod any;
mod named;
pub(crate) mod raw;
mod shape;
mod shared;
mod unique;
#[cfg(feature = "ndarray")]
mod view;

pub use any::AnyArray;
pub use shape::{IntoShape, Order};
pub use shared::Array;
pub use unique::ArrayMut;

use crate::error::{Error, Result};
use crossdock_core::element::{DType, Item};
use std::ptr::NonNull;

/// The number of elements of a shape, checked.
#[cfg(feature = "npy")]
pub(crate) fn check_shape(extents: &[usize], size: usize) -> Result<usize> {
    shape::Shape::new(extents, size).map(shape::Shape::elements)
}

/// What elements are called: `u64` or `Atomic<u64>`.
fn item_name(dtype: DType, is_atomic: bool) -> String {
    if is_atomic { format!("Atomic<{dtype}>") } else { dtype.to_string() }
}

/// The address `bytes` further on.
///
/// Every caller has checked that `bytes` does not lead out of the mapping that `from` points into.
#[inline]
pub(crate) fn advance(from: NonNull<u8>, bytes: usize) -> NonNull<u8> {
    // SAFETY: by the contract above the result is inside the same mapping, or just behind its end.
    unsafe { from.add(bytes) }
}

/// Sets `bytes` bytes to zero. The caller has just been given them and is the only one to know them.
fn zero(first: NonNull<u8>, bytes: usize) {
    // SAFETY: the bytes are a chunk that has just been allocated: mapped writable and held by nobody
    // else (invariants 1 and 2 of `Raw`).
    unsafe { first.write_bytes(0, bytes) };
}

/// Looks at elements that came from another process, if not all bytes are values of their type.
fn check_values<T: Item>(first: NonNull<u8>, elements: usize) -> Result<()> {
    // SAFETY: by invariant 1 of `Raw` the elements are mapped and aligned, by invariant 2 nobody writes
    // them unless they are atomic.
    if unsafe { T::are_values(first.cast(), elements) } {
        return Ok(());
    }
    let why = format!("some bytes are no {}", T::DTYPE);
    Err(Error::corrupt("an array", why))
}
