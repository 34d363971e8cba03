//! The unique array.

use super::named::NamedArray;
use super::raw::Raw;
use super::shape::{IntoShape, Order, Shape};
use super::shared::{Array, debug, reshaped};
use crate::error::Result;
use crossdock_core::element::{DType, Element};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};

/// An array in shared memory with one owner, who may write: a `Box<[T]>` that can be handed to another
/// process.
///
/// [`freeze`](Self::freeze) makes it an [`Array`] that many can read; sending it through a
/// [`channel`](crate::channel) makes the receiver its owner.
///
/// # Examples
///
/// ```
/// use crossdock::ArrayMut;
///
/// let mut image = ArrayMut::<u8>::zeroed([480, 640, 3])?;
/// image[0] = 255; // a &mut [u8] in memory order
/// let (mut upper, lower) = image.split_at(240); // for two workers
/// upper.fill(7);
/// let image = upper.unsplit(lower).unwrap();
/// assert_eq!(image.shape(), [480, 640, 3]);
/// # Ok::<(), crossdock::Error>(())
/// ```
pub struct ArrayMut<T: Element> {
    raw: Unique,
    elements: PhantomData<T>,
}

/// The handle itself, which says so when it is dropped, and not when it turns into another one.
#[derive(Debug)]
struct Unique(Raw);

impl Unique {
    fn into_raw(self) -> Raw {
        let this = ManuallyDrop::new(self);
        // SAFETY: it is valid, and neither used nor dropped after this.
        unsafe { std::ptr::read(&raw const this.0) }
    }
}

impl Drop for Unique {
    #[inline]
    fn drop(&mut self) {
        #[cfg(feature = "process")]
        crate::letter::note_drop(&self.0);
    }
}

// SAFETY: the elements are `Send`, and by invariant 2 of `Raw` this handle is the only one to reach them.
unsafe impl<T: Element> Send for ArrayMut<T> {}
// SAFETY: the elements are `Sync`; a shared handle only reads them.
unsafe impl<T: Element> Sync for ArrayMut<T> {}

impl<T: Element> ArrayMut<T> {
    pub(crate) fn from_raw(raw: Raw) -> Self {
        Self { raw: Unique(raw), elements: PhantomData }
    }

    #[inline]
    pub(crate) fn raw(&self) -> &Raw {
        &self.raw.0
    }

    /// An array of zeroes in C order.
    ///
    /// # Errors
    ///
    /// As [`uninit`](Self::uninit).
    pub fn zeroed(shape: impl IntoShape) -> Result<Self> {
        Self::zeroed_in(shape, Order::C)
    }

    /// An array of zeroes in a given order.
    ///
    /// # Errors
    ///
    /// As [`uninit`](Self::uninit).
    pub fn zeroed_in(shape: impl IntoShape, order: Order) -> Result<Self> {
        let shape = Shape::new(shape.extents(), size_of::<T>())?;
        Raw::allocate::<T>(shape, order, true).map(Self::from_raw)
    }

    /// An array whose contents are unspecified: zeroes, or whatever the last array in this memory held.
    /// The fastest one to get, for those who overwrite all of it.
    ///
    /// # Errors
    ///
    /// `NoSpace` when the memory is not there; `InvalidArgument` for 0 or more than 8 axes;
    /// `LimitExceeded` for more bytes than an address space; what joining the directory of names can
    /// give.
    pub fn uninit(shape: impl IntoShape) -> Result<Self> {
        Self::uninit_in(shape, Order::C)
    }

    /// As [`uninit`](Self::uninit), in a given order.
    ///
    /// # Errors
    ///
    /// As [`uninit`](Self::uninit).
    pub fn uninit_in(shape: impl IntoShape, order: Order) -> Result<Self> {
        let shape = Shape::new(shape.extents(), size_of::<T>())?;
        Raw::allocate::<T>(shape, order, false).map(Self::from_raw)
    }

    /// An array whose element number `i`, in memory order, is `value(i)`.
    ///
    /// # Errors
    ///
    /// As [`uninit`](Self::uninit).
    pub fn from_fn(shape: impl IntoShape, mut value: impl FnMut(usize) -> T) -> Result<Self> {
        let mut array = Self::uninit(shape)?;
        for (index, element) in array.iter_mut().enumerate() {
            *element = value(index);
        }
        Ok(array)
    }

    /// A one-dimensional copy of `values`.
    ///
    /// # Errors
    ///
    /// As [`uninit`](Self::uninit).
    pub fn from_slice(values: &[T]) -> Result<Self> {
        let mut array = Self::uninit(values.len())?;
        array.copy_from_slice(values);
        Ok(array)
    }

    /// Opens a persistent named array alone, to change it in place. While the handle lives, nobody else
    /// can open it.
    ///
    /// # Errors
    ///
    /// `Busy` when anybody else has it open; otherwise as [`Array::open`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossdock::{Array, ArrayMut};
    ///
    /// let table = Array::create("table-docs", 8, |i| i as i32)?;
    /// table.persist()?;
    /// drop(table);
    ///
    /// ArrayMut::<i32>::open("table-docs")?[0] = 100;
    /// assert_eq!(Array::<i32>::open("table-docs")?[0], 100);
    /// Array::<i32>::unlink("table-docs")?;
    /// # Ok::<(), crossdock::Error>(())
    /// ```
    pub fn open(name: &str) -> Result<Self> {
        Raw::of_named::<T>(NamedArray::open::<T>(name, true)?).map(Self::from_raw)
    }

    /// Ends writing: from now on the array can be cloned and read by many.
    #[must_use]
    pub fn freeze(self) -> Array<T> {
        Array::from_raw(self.raw.into_raw())
    }

    /// Extents, axis by axis.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        self.raw().shape().as_slice()
    }

    /// Number of axes.
    #[must_use]
    pub fn ndim(&self) -> usize {
        self.shape().len()
    }

    /// Which axis varies fastest.
    #[must_use]
    pub fn order(&self) -> Order {
        self.raw().order()
    }

    /// Element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        T::DTYPE
    }

    /// Bytes of all elements.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.raw().len() * size_of::<T>()
    }

    /// The same elements, in memory order, under another shape.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the shape has another number of elements.
    pub fn reshape(mut self, shape: impl IntoShape) -> Result<Self> {
        let shape = reshaped::<T>(self.raw().shape(), shape.extents())?;
        self.raw.0.set_shape(shape);
        Ok(self)
    }

    /// Two disjoint arrays in the same memory: the rows before `row` and those from it on. Both can go
    /// to different processes and come back. (Rows run along the axis that varies slowest.)
    ///
    /// # Panics
    ///
    /// When there are fewer than `row` rows.
    #[must_use]
    pub fn split_at(self, row: usize) -> (Self, Self) {
        let extent = self.shape()[self.raw().shape().slow_axis(self.order())];
        assert!(row <= extent, "row {row} is not inside 0..={extent}");
        let raw = self.raw.into_raw();
        let first = raw.rows::<T>(0, row);
        let second = raw.rows::<T>(row, extent);
        (Self::from_raw(first), Self::from_raw(second))
    }

    /// At most `count` disjoint arrays of nearly equal size in the same memory, fewer if there are
    /// fewer rows.
    ///
    /// # Panics
    ///
    /// When `count` is 0.
    #[must_use]
    pub fn chunks(self, count: usize) -> Vec<Self> {
        assert!(count > 0, "an array cannot be cut into 0 parts");
        let extent = self.shape()[self.raw().shape().slow_axis(self.order())];
        let parts = count.min(extent).max(1);
        let cut = |part: usize| (part * (extent / parts)) + part.min(extent % parts);
        let raw = self.raw.into_raw();
        (0..parts).map(|part| Self::from_raw(raw.rows::<T>(cut(part), cut(part + 1)))).collect()
    }

    /// Joins two arrays that lie side by side in the same memory, as [`split_at`](Self::split_at) left
    /// them, wherever they have been since.
    ///
    /// # Errors
    ///
    /// Both arrays, if they do not.
    #[expect(clippy::result_large_err, reason = "both arrays come back, without an allocation")]
    pub fn unsplit(mut self, other: Self) -> Result<Self, (Self, Self)> {
        let axis = self.raw().shape().slow_axis(self.order());
        let (ours, theirs) = (self.shape()[axis], other.shape().get(axis).copied().unwrap_or(0));
        let is_alike = self.order() == other.order()
            && self.ndim() == other.ndim()
            && self.raw().shape().with_extent(axis, 0) == other.raw().shape().with_extent(axis, 0);
        let is_next = self.raw().first().addr().get() + self.len_bytes()
            == other.raw().first().addr().get()
            && self.raw.0.is_same_chunk(&other.raw.0);
        if !is_alike || !is_next {
            return Err((self, other));
        }
        let shape = self.raw().shape().with_extent(axis, ours + theirs);
        self.raw.0.set_shape(shape);
        // Its elements are reached by the other handle now.
        drop(other.raw.into_raw());
        Ok(self)
    }
}

impl<T: Element> Deref for ArrayMut<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        let first = self.raw().first().cast::<T>().as_ptr();
        // SAFETY: by the invariants of `Raw` the elements are mapped, aligned and values of `T`, and only
        // this handle reaches them.
        unsafe { std::slice::from_raw_parts(first, self.raw().len()) }
    }
}

impl<T: Element> DerefMut for ArrayMut<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        let first = self.raw().first().cast::<T>().as_ptr();
        // SAFETY: as for `deref`; the memory is mapped writable, and the handle is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(first, self.raw().len()) }
    }
}

impl<T: Element> AsRef<[T]> for ArrayMut<T> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

impl<T: Element> AsMut<[T]> for ArrayMut<T> {
    fn as_mut(&mut self) -> &mut [T] {
        self
    }
}

impl<T: Element> PartialEq for ArrayMut<T> {
    fn eq(&self, other: &Self) -> bool {
        self.shape() == other.shape() && self.order() == other.order() && **self == **other
    }
}

impl<T: Element> fmt::Debug for ArrayMut<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "ArrayMut", self, self.shape(), self.raw().name())
    }
}
