//! Arrays as views of the `ndarray` crate.

use super::{Array, ArrayMut, Order};
use crossdock_core::element::Element;
use ndarray::{ArrayViewD, ArrayViewMutD, IxDyn, ShapeBuilder, StrideShape};

fn strided(shape: &[usize], order: Order) -> StrideShape<IxDyn> {
    IxDyn(shape).set_f(order == Order::F).into()
}

impl<T: Element> Array<T> {
    /// The array as an `ndarray` view.
    ///
    /// # Panics
    ///
    /// Never: the view has as many elements as the array.
    #[must_use]
    pub fn as_ndarray(&self) -> ArrayViewD<'_, T> {
        ArrayViewD::from_shape(strided(self.shape(), self.order()), self)
            .expect("a view has as many elements as its array")
    }
}

impl<T: Element> ArrayMut<T> {
    /// The array as an `ndarray` view.
    ///
    /// # Panics
    ///
    /// Never: the view has as many elements as the array.
    #[must_use]
    pub fn as_ndarray(&self) -> ArrayViewD<'_, T> {
        ArrayViewD::from_shape(strided(self.shape(), self.order()), self)
            .expect("a view has as many elements as its array")
    }

    /// The array as a mutable `ndarray` view.
    ///
    /// # Panics
    ///
    /// Never: the view has as many elements as the array.
    #[must_use]
    pub fn as_ndarray_mut(&mut self) -> ArrayViewMutD<'_, T> {
        let shape = strided(self.shape(), self.order());
        ArrayViewMutD::from_shape(shape, self).expect("a view has as many elements as its array")
    }
}
