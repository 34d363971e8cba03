//! The array whose element type is known at run time only.

use super::raw::Raw;
use super::shape::Order;
use super::shared::Array;
use super::unique::ArrayMut;
use crate::channel::parcel::Received;
use crate::error::{Error, Result};
use crossdock_core::element::{DType, Element};
use std::fmt;

/// A shared array of any element type, for tools and for bindings to other languages.
///
/// A channel of any `Array<T>` can be opened as one of `AnyArray`s.
///
/// # Examples
///
/// ```
/// use crossdock::{AnyArray, Array, DType};
///
/// let any = AnyArray::from(Array::from_slice(&[1.5_f32, 2.5])?);
/// assert_eq!((any.dtype(), any.shape(), any.as_bytes().len()), (DType::F32, &[2][..], 8));
/// let any = any.downcast::<f64>().unwrap_err(); // gives it back
/// assert_eq!(any.downcast::<f32>().unwrap()[1], 2.5);
/// # Ok::<(), crossdock::Error>(())
/// ```
#[derive(Clone)]
pub struct AnyArray {
    raw: Raw,
    dtype: DType,
}

// SAFETY: elements of every type are `Send + Sync`, and by invariant 2 of `Raw` they are only read.
unsafe impl Send for AnyArray {}
// SAFETY: as for `Send`.
unsafe impl Sync for AnyArray {}

impl AnyArray {
    #[inline]
    pub(crate) fn raw(&self) -> &Raw {
        &self.raw
    }

    pub(crate) fn of_received(received: Received<'_>) -> Result<Self> {
        let dtype = received.ticket.dtype;
        let raw = Raw::of_ticket(received, dtype)?;
        let array = Self { raw, dtype };
        // Of all element types only `bool` has bytes that are no values.
        if dtype == DType::Bool && array.as_bytes().iter().any(|byte| *byte > 1) {
            return Err(Error::corrupt("an array", "some bytes are no bool"));
        }
        Ok(array)
    }

    /// Element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Extents, axis by axis.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        self.raw.shape().as_slice()
    }

    /// Number of axes.
    #[must_use]
    pub fn ndim(&self) -> usize {
        self.shape().len()
    }

    /// Which axis varies fastest.
    #[must_use]
    pub fn order(&self) -> Order {
        self.raw.order()
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of all elements, in memory order.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        let bytes = self.raw.len() * self.dtype.size();
        let first = self.raw.first().as_ptr();
        // SAFETY: by invariants 1 and 2 of `Raw` these bytes are mapped while `self` lives and not written;
        // elements of every type are plain bytes without padding.
        unsafe { std::slice::from_raw_parts(first, bytes) }
    }

    /// The array with its element type.
    ///
    /// # Errors
    ///
    /// The array itself, if it has another.
    pub fn downcast<T: Element>(self) -> Result<Array<T>, Self> {
        if self.dtype == T::DTYPE { Ok(Array::from_raw(self.raw)) } else { Err(self) }
    }
}

impl<T: Element> From<Array<T>> for AnyArray {
    fn from(array: Array<T>) -> Self {
        Self { raw: array.raw().clone(), dtype: T::DTYPE }
    }
}

impl<T: Element> From<ArrayMut<T>> for AnyArray {
    fn from(array: ArrayMut<T>) -> Self {
        array.freeze().into()
    }
}

impl fmt::Debug for AnyArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyArray")
            .field("dtype", &format_args!("{}", self.dtype))
            .field("shape", &self.shape())
            .finish_non_exhaustive()
    }
}
