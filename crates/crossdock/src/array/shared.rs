//! The shared array.

use super::named::NamedArray;
use super::raw::Raw;
use super::shape::{IntoShape, Order, Shape};
use super::unique::ArrayMut;
use crate::error::{Error, ErrorKind, Result};
use crossdock_core::element::{DType, Element, Item};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, Deref, RangeBounds};
use std::ptr::NonNull;

/// An array in shared memory that many may read and nobody writes: an `Arc<[T]>` that other processes
/// can map.
///
/// Cloning and [`slice`](Self::slice) copy no element. The memory lives until the last handle in the last
/// process goes.
///
/// An array under a name can have [`Atomic`](crate::Atomic) elements: these everybody who has opened it may
/// change at any time. It cannot be sent through a channel; the other process opens it by its name.
///
/// # Examples
///
/// ```
/// use crossdock::{Array, ArrayMut};
///
/// let mut frame = ArrayMut::<f32>::zeroed([4, 3])?;
/// frame.fill(0.5);
/// let frame: Array<f32> = frame.freeze();
///
/// let top = frame.slice(..2); // two rows, the same memory
/// assert_eq!(top.shape(), [2, 3]);
/// assert_eq!(top.iter().sum::<f32>(), 3.0);
/// # Ok::<(), crossdock::Error>(())
/// ```
///
/// A histogram that several processes fill:
///
/// ```
/// use crossdock::{Array, Atomic};
/// use std::sync::atomic::Ordering::Relaxed;
///
/// let hits = Array::create("hits-docs", 256, |_| Atomic::new(0_u64))?; // process A
/// let same = Array::<Atomic<u64>>::open("hits-docs")?; // process B
/// same[17].fetch_add(1, Relaxed);
/// assert_eq!(hits.iter().map(|hits| hits.load(Relaxed)).sum::<u64>(), 1);
/// # Ok::<(), crossdock::Error>(())
/// ```
pub struct Array<T: Item> {
    raw: Raw,
    elements: PhantomData<T>,
}

// SAFETY: the elements are `Send + Sync`, and by invariant 2 of `Raw` they are only read or atomic.
unsafe impl<T: Item> Send for Array<T> {}
// SAFETY: as for `Send`.
unsafe impl<T: Item> Sync for Array<T> {}

impl<T: Element> Array<T> {
    /// An array of zeroes.
    ///
    /// # Errors
    ///
    /// As [`ArrayMut::uninit`].
    pub fn zeroed(shape: impl IntoShape) -> Result<Self> {
        ArrayMut::zeroed(shape).map(ArrayMut::freeze)
    }

    /// An array whose element number `i`, in memory order, is `value(i)`.
    ///
    /// # Errors
    ///
    /// As [`ArrayMut::uninit`].
    pub fn from_fn(shape: impl IntoShape, value: impl FnMut(usize) -> T) -> Result<Self> {
        ArrayMut::from_fn(shape, value).map(ArrayMut::freeze)
    }

    /// A one-dimensional copy of `values`.
    ///
    /// # Errors
    ///
    /// As [`ArrayMut::uninit`].
    pub fn from_slice(values: &[T]) -> Result<Self> {
        ArrayMut::from_slice(values).map(ArrayMut::freeze)
    }

    /// The array as a unique one, if this handle is the only one in any process.
    ///
    /// # Errors
    ///
    /// The array itself, if others have it too, or if it has a name.
    pub fn try_into_mut(mut self) -> Result<ArrayMut<T>, Self> {
        if self.raw.try_make_unique::<T>() { Ok(ArrayMut::from_raw(self.raw)) } else { Err(self) }
    }
}

impl<T: Item> Array<T> {
    pub(crate) fn from_raw(raw: Raw) -> Self {
        Self { raw, elements: PhantomData }
    }

    #[inline]
    pub(crate) fn raw(&self) -> &Raw {
        &self.raw
    }

    /// Makes an array under a new name, whose element number `i`, in memory order, is `value(i)`.
    ///
    /// The name appears when all elements are there, and goes with the last handle in any process.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`, `InvalidName`, `NoSpace`.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossdock::Array;
    ///
    /// let squares = Array::create("squares-docs", 100, |i| (i * i) as u64)?;
    /// let same = Array::<u64>::open("squares-docs")?; // in any process of this user
    /// assert_eq!(same[9], 81);
    /// # Ok::<(), crossdock::Error>(())
    /// ```
    pub fn create(name: &str, shape: impl IntoShape, value: impl Fn(usize) -> T) -> Result<Self> {
        Self::create_with(name, shape, Order::C, |elements| {
            for (index, element) in elements.iter_mut().enumerate() {
                *element = value(index);
            }
        })
    }

    /// Makes an array under a new name; `fill` gets all elements at once, zeroed, in memory order.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn create_with(
        name: &str,
        shape: impl IntoShape,
        order: Order,
        fill: impl Fn(&mut [T]),
    ) -> Result<Self> {
        let shape = Shape::new(shape.extents(), size_of::<T>())?;
        let named = NamedArray::create::<T>(name, shape, order, |first: NonNull<u8>, elements| {
            // SAFETY: the file has just been made with these bytes, zeroed, which are values of every
            // item type; it is mapped and has no name yet, so nobody else reaches it.
            fill(unsafe { std::slice::from_raw_parts_mut(first.cast::<T>().as_ptr(), elements) });
        })?;
        Raw::of_named::<T>(named).map(Self::from_raw)
    }

    /// Opens an array by name.
    ///
    /// # Errors
    ///
    /// `NotFound`, `WrongKind`, `WrongVersion`, `Corrupt`; `WrongType` when its elements are others, or are
    /// atomic on one side only; `Busy` while one process has it open alone ([`ArrayMut::open`]).
    pub fn open(name: &str) -> Result<Self> {
        Raw::of_named::<T>(NamedArray::open::<T>(name, false)?).map(Self::from_raw)
    }

    /// Removes a name at once. Those who have the array open keep it.
    ///
    /// # Errors
    ///
    /// `NotFound`; `WrongKind` when the name is not an array's.
    pub fn unlink(name: &str) -> Result<()> {
        crate::namespace::check_name(name)?;
        crate::registry::unlink(name, Some(crossdock_core::header::Kind::Array))
    }

    /// Lets the name outlive its users, until [`unlink`](Self::unlink).
    ///
    /// # Errors
    ///
    /// `Unsupported` for an array without a name.
    pub fn persist(&self) -> Result<()> {
        match self.raw.named() {
            Some(named) => named.persist(),
            None => Err(Error::new(
                ErrorKind::Unsupported,
                "an array without a name cannot persist (make it with Array::create)",
            )),
        }
    }

    /// The name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.raw.name()
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

    /// Element type; of an atomic element, the type of the number in it.
    #[must_use]
    pub fn dtype(&self) -> DType {
        T::DTYPE
    }

    /// Bytes of all elements.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.raw.len() * size_of::<T>()
    }

    /// A part along the axis that varies slowest, without copying: rows in C order, and along the last
    /// axis in Fortran order.
    ///
    /// # Panics
    ///
    /// When the range is not inside that axis.
    #[must_use]
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Self {
        let axis = self.raw.shape().slow_axis(self.order());
        let (start, end) = bounds(&range, self.shape()[axis]);
        Self::from_raw(self.raw.rows::<T>(start, end))
    }

    /// The same elements, in memory order, under another shape.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the shape has another number of elements.
    pub fn reshape(mut self, shape: impl IntoShape) -> Result<Self> {
        let shape = reshaped::<T>(self.raw.shape(), shape.extents())?;
        self.raw.set_shape(shape);
        Ok(self)
    }
}

impl<T: Item> Clone for Array<T> {
    fn clone(&self) -> Self {
        Self::from_raw(self.raw.clone())
    }
}

impl<T: Item> Deref for Array<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        let first = self.raw.first().cast::<T>().as_ptr();
        // SAFETY: by the invariants of `Raw` the elements are mapped, aligned, values of `T`, and nobody
        // writes them while this handle lives, unless they are atomic.
        unsafe { std::slice::from_raw_parts(first, self.raw.len()) }
    }
}

impl<T: Item> AsRef<[T]> for Array<T> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

impl<T: Element> From<ArrayMut<T>> for Array<T> {
    fn from(array: ArrayMut<T>) -> Self {
        array.freeze()
    }
}

impl<T: Element> PartialEq for Array<T> {
    fn eq(&self, other: &Self) -> bool {
        self.shape() == other.shape() && self.order() == other.order() && **self == **other
    }
}

impl<T: Item> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "Array", self, self.shape(), self.name())
    }
}

/// The start and the end of a range of rows.
pub(super) fn bounds(range: &impl RangeBounds<usize>, extent: usize) -> (usize, usize) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(end) => end.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => extent,
    };
    assert!(start <= end && end <= extent, "rows {start}..{end} are not inside 0..{extent}");
    (start, end)
}

pub(super) fn reshaped<T: Item>(now: &Shape, extents: &[usize]) -> Result<Shape> {
    let shape = Shape::new(extents, size_of::<T>())?;
    if shape.elements() == now.elements() {
        return Ok(shape);
    }
    let text = format!("an array of shape {now:?} cannot have the shape {shape:?}");
    Err(Error::new(ErrorKind::InvalidArgument, text))
}

pub(super) fn debug<T: Item>(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    elements: &[T],
    shape: &[usize],
    name: Option<&str>,
) -> fmt::Result {
    const SHOWN: usize = 6;
    write!(f, "{what}<{}>{shape:?}", super::item_name(T::DTYPE, T::IS_ATOMIC))?;
    if let Some(name) = name {
        write!(f, " {name:?}")?;
    }
    let dots = if elements.len() > SHOWN { ", .." } else { "" };
    let shown = &elements[..elements.len().min(SHOWN)];
    f.write_str(" [")?;
    for (index, element) in shown.iter().enumerate() {
        write!(f, "{}{element:?}", if index == 0 { "" } else { ", " })?;
    }
    write!(f, "{dots}]")
}
