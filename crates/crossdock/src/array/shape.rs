//! Extents of arrays.

use crate::error::{Error, ErrorKind, Result};
use crossdock_core::ticket::{NDIM_MAX, Ticket};

/// Which axis varies fastest in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// The last one, as in C and in numpy unless said otherwise.
    #[default]
    C,
    /// The first one, as in Fortran.
    F,
}

/// The extents of 1 to 8 axes; what comes after the last axis is [`ABSENT`].
///
/// Small, since an array travels by value through `Result`s.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape([usize; NDIM_MAX]);

/// No extent can be this: an array has fewer bytes than half an address space.
const ABSENT: usize = usize::MAX;

impl std::fmt::Debug for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_slice().fmt(f)
    }
}

/// What can say the extents of an array: a number, an array of numbers or a slice of numbers.
pub trait IntoShape {
    /// The extents, axis by axis.
    fn extents(&self) -> &[usize];
}

impl IntoShape for usize {
    fn extents(&self) -> &[usize] {
        std::slice::from_ref(self)
    }
}

impl<const N: usize> IntoShape for [usize; N] {
    fn extents(&self) -> &[usize] {
        self
    }
}

impl IntoShape for &[usize] {
    fn extents(&self) -> &[usize] {
        self
    }
}

impl IntoShape for &Vec<usize> {
    fn extents(&self) -> &[usize] {
        self
    }
}

impl Shape {
    /// Checks the number of axes and that elements of `size` bytes fit into an address space.
    #[inline]
    pub(crate) fn new(extents: &[usize], size: usize) -> Result<Self> {
        if extents.is_empty() || extents.len() > NDIM_MAX {
            let text = format!("an array has 1 to {NDIM_MAX} axes, not {}", extents.len());
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
        let bytes =
            extents.iter().try_fold(size, |bytes, extent| bytes.checked_mul((*extent).max(1)));
        if bytes.is_none_or(|bytes| isize::try_from(bytes).is_err()) {
            let text =
                format!("an array of shape {extents:?} has more bytes than an address space");
            return Err(Error::new(ErrorKind::LimitExceeded, text));
        }
        let mut shape = [ABSENT; NDIM_MAX];
        shape[..extents.len()].copy_from_slice(extents);
        Ok(Self(shape))
    }

    /// The shape that a checked ticket or header has.
    pub(crate) fn from_words(words: &[u64; NDIM_MAX], ndim: u8, size: usize) -> Result<Self> {
        let mut extents = [0; NDIM_MAX];
        for (extent, word) in extents.iter_mut().zip(words) {
            *extent = usize::try_from(*word).unwrap_or(usize::MAX);
        }
        Self::new(&extents[..usize::from(ndim).min(NDIM_MAX)], size)
    }

    /// The shape of a checked ticket.
    #[inline]
    pub(crate) fn of_ticket(ticket: &Ticket) -> Self {
        let mut shape = [ABSENT; NDIM_MAX];
        let axes = shape.iter_mut().zip(&ticket.shape).take(usize::from(ticket.ndim));
        axes.for_each(|(extent, word)| *extent = *word as usize);
        Self(shape)
    }

    #[inline]
    pub(crate) fn to_words(self) -> [u64; NDIM_MAX] {
        self.0.map(|extent| if extent == ABSENT { 0 } else { extent as u64 })
    }

    pub(crate) fn as_slice(&self) -> &[usize] {
        let ndim = self.0.iter().position(|extent| *extent == ABSENT).unwrap_or(NDIM_MAX);
        &self.0[..ndim]
    }

    #[inline]
    pub(crate) fn ndim(self) -> u8 {
        self.as_slice().len() as u8
    }

    /// Number of elements.
    #[inline]
    pub(crate) fn elements(self) -> usize {
        self.as_slice().iter().product()
    }

    /// The axis along which the memory can be cut: the one that varies slowest.
    pub(crate) fn slow_axis(self, order: Order) -> usize {
        match order {
            Order::C => 0,
            Order::F => self.as_slice().len() - 1,
        }
    }

    /// The same shape with another extent of one axis, never a larger one.
    pub(crate) fn with_extent(mut self, axis: usize, extent: usize) -> Self {
        self.0[axis] = extent;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_axes_and_elements_are_refused() {
        assert!(Shape::new(&[], 1).is_err());
        assert!(Shape::new(&[1; 9], 1).is_err());
        assert!(Shape::new(&[1; 8], 1).is_ok());
        assert!(Shape::new(&[usize::MAX / 2 + 1], 1).is_err());
        assert!(Shape::new(&[1 << 32, 1 << 32], 1).is_err());
        assert!(
            Shape::new(&[0, usize::MAX], 8).is_err(),
            "an empty axis does not excuse a wild one"
        );
        assert_eq!(Shape::new(&[0, 5], 8).unwrap().elements(), 0);
        assert_eq!(Shape::new(&[3, 5], 8).unwrap().elements(), 15);
    }
}
