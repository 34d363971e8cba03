//! An array handle without its element type.

use super::named::NamedArray;
use super::shape::{Order, Shape};
use crate::arena::lease::Lease;
use crate::channel::parcel::Received;
use crate::error::{Error, ErrorKind, Result};
use crate::member::Member;
use crossdock_core::element::{DType, Element, Item};
use crossdock_core::ticket::Ticket;
use crossdock_sys::map::Access;
#[cfg(feature = "process")]
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::Arc;

/// Where an array lies and what keeps it there.
///
/// # Invariants
///
/// 1. The `elements` elements from `first` are inside memory that `backing` keeps mapped, and
///    `first` is aligned for them.
/// 2. While an `ArrayMut` has them, no other handle in any process reaches any of these elements.
///    While an `Array` has them, nobody writes them, except by atomic operations if they are atomic.
/// 3. The bytes are values of the element type.
#[derive(Debug, Clone)]
pub(crate) struct Raw {
    backing: Backing,
    first: NonNull<u8>,
    /// In which mapping of its region a chunk's `first` lies.
    access: Access,
    /// `shape.elements()`.
    elements: usize,
    shape: Shape,
    order: Order,
}

/// Some elements in the memory of this process.
#[cfg(feature = "process")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Elements {
    first: NonZeroUsize,
    count: NonZeroUsize,
}

#[derive(Debug, Clone)]
enum Backing {
    /// A chunk of an arena.
    Chunk(Arc<Lease>),
    /// A file under a name.
    Named(Arc<NamedArray>),
}

impl Raw {
    /// A new array of unspecified or zero contents in this process's arena.
    pub(super) fn allocate<T: Element>(
        shape: Shape,
        order: Order,
        is_zeroed: bool,
    ) -> Result<Self> {
        let member = Member::current()?;
        let own = member.own_arena()?;
        let elements = shape.elements();
        let bytes = elements * size_of::<T>();
        let handout = own.allocate(member, bytes as u64)?;
        let is_fresh = handout.is_fresh;
        let offset_bytes = handout.piece.offset_bytes;
        let lease = Arc::new(Lease::of_handout(member, handout));
        let (first, access) =
            address(T::DTYPE, &lease, offset_bytes, bytes as u64, Access::ReadWrite)?;
        let raw = Self { backing: Backing::Chunk(lease), first, access, elements, shape, order };
        // Memory that was never used is zero; a `bool` must not be anything but 0 or 1.
        if !is_fresh && (is_zeroed || T::IS_CHECKED) {
            super::zero(raw.first, bytes);
        }
        Ok(raw)
    }

    /// The array that a taken ticket leads to.
    #[inline]
    pub(crate) fn of_received<T: Element>(received: Received<'_>) -> Result<Self> {
        Self::of_received_items::<T>(received)
    }

    /// As [`of_received`](Self::of_received), of items that are no atomics, as the caller knows.
    #[inline]
    pub(crate) fn of_received_items<T: Item>(received: Received<'_>) -> Result<Self> {
        let raw = Self::of_ticket(received, T::DTYPE)?;
        super::check_values::<T>(raw.first, raw.elements)?;
        Ok(raw)
    }

    /// As [`of_received`](Self::of_received), of elements whose bytes the caller checks.
    #[inline]
    pub(super) fn of_ticket(received: Received<'_>, dtype: DType) -> Result<Self> {
        let Received { ticket, lease } = received;
        let access = if ticket.is_unique { Access::ReadWrite } else { Access::ReadOnly };
        let shape = Shape::of_ticket(ticket);
        let elements = ticket.len_bytes as usize / dtype.size();
        let (first, access) =
            address(dtype, &lease, ticket.offset_bytes, ticket.len_bytes, access)?;
        let order = if ticket.is_fortran { Order::F } else { Order::C };
        Ok(Self { backing: Backing::Chunk(lease), first, access, elements, shape, order })
    }

    /// The array under a name.
    pub(super) fn of_named<T: Item>(named: NamedArray) -> Result<Self> {
        let header = named.header();
        let shape = Shape::from_words(&header.shape, header.ndim, size_of::<T>())?;
        let order = if header.is_fortran { Order::F } else { Order::C };
        let first = named.first()?;
        if !first.addr().get().is_multiple_of(align_of::<T>()) {
            return Err(Error::corrupt("a named array", "its elements are misaligned"));
        }
        let elements = shape.elements();
        super::check_values::<T>(first, elements)?;
        let backing = Backing::Named(Arc::new(named));
        Ok(Self { backing, first, access: Access::ReadOnly, elements, shape, order })
    }

    /// What travels when the array is handed over, and the hold behind it. The ticket is sole if this
    /// handle is the only thing that leads to the chunk.
    #[inline]
    pub(crate) fn ticket(&self, dtype: DType, is_unique: bool) -> Result<(Ticket, &Arc<Lease>)> {
        let (mut ticket, lease) = self.place(dtype, is_unique)?;
        ticket.is_sole = lease.share_unless_sole();
        Ok((ticket, lease))
    }

    /// A ticket for the array, and the hold behind it. Whether the ticket is sole is for the caller to find out.
    #[inline]
    pub(crate) fn place(&self, dtype: DType, is_unique: bool) -> Result<(Ticket, &Arc<Lease>)> {
        let Backing::Chunk(lease) = &self.backing else {
            let text = format!(
                "a named array is not sent but opened by its name in the other process \
                 (Array::open({:?})), or copied first (Array::from_slice)",
                self.name().unwrap_or_default()
            );
            return Err(Error::new(ErrorKind::Unsupported, text));
        };
        lease.check_ours()?;
        let ticket = Ticket {
            arena: lease.region.map.id,
            region: lease.region.number,
            chunk: lease.chunk,
            generation: lease.generation,
            offset_bytes: self.offset_bytes(lease)?,
            dtype,
            is_fortran: self.order == Order::F,
            is_sole: false,
            is_unique,
            ndim: self.shape.ndim(),
            shape: self.shape.to_words(),
            len_bytes: (self.elements * dtype.size()) as u64,
        };
        Ok((ticket, lease))
    }

    /// Which elements it leads to, as long as it is there: no two unique handles have the same. `None` if there are
    /// none.
    #[cfg(feature = "process")]
    pub(crate) fn elements(&self) -> Option<Elements> {
        let count = NonZeroUsize::new(self.elements)?;
        Some(Elements { first: self.first.addr(), count })
    }

    /// Bytes from the start of the region to the first element.
    #[inline]
    fn offset_bytes(&self, lease: &Lease) -> Result<u64> {
        let base = lease.region.base(self.access);
        base.and_then(|base| self.first.addr().get().checked_sub(base))
            .map(|offset| offset as u64)
            .ok_or_else(|| Error::corrupt("an array", "it lies outside its region"))
    }

    /// Number of elements.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.elements
    }

    #[inline]
    pub(crate) fn first(&self) -> NonNull<u8> {
        self.first
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(crate) fn order(&self) -> Order {
        self.order
    }

    pub(crate) fn name(&self) -> Option<&str> {
        match &self.backing {
            Backing::Chunk(_) => None,
            Backing::Named(named) => Some(named.name()),
        }
    }

    pub(crate) fn named(&self) -> Option<&NamedArray> {
        match &self.backing {
            Backing::Chunk(_) => None,
            Backing::Named(named) => Some(named),
        }
    }

    pub(super) fn set_shape(&mut self, shape: Shape) {
        self.elements = shape.elements();
        self.shape = shape;
    }

    /// The rows `start..end` of the slowest axis as a further handle on the same memory.
    ///
    /// The caller has checked `start <= end <=` the extent of that axis, and sees to invariant 2.
    pub(super) fn rows<T: Item>(&self, start: usize, end: usize) -> Self {
        let axis = self.shape.slow_axis(self.order);
        let extent = self.shape.as_slice()[axis];
        let row = self.elements.checked_div(extent).unwrap_or(0) * size_of::<T>();
        let mut part = self.clone();
        part.first = super::advance(self.first, start * row);
        part.set_shape(self.shape.with_extent(axis, end - start));
        part
    }

    /// Whether both are handles on the same chunk.
    pub(super) fn is_same_chunk(&self, other: &Self) -> bool {
        match (&self.backing, &other.backing) {
            (Backing::Chunk(ours), Backing::Chunk(theirs)) => Arc::ptr_eq(ours, theirs),
            _ => false,
        }
    }

    /// Makes an array writable if this handle is the only one anywhere.
    pub(super) fn try_make_unique<T: Element>(&mut self) -> bool {
        let Backing::Chunk(lease) = &self.backing else { return false };
        if Arc::strong_count(lease) != 1 || !lease.is_ours() || !lease.is_alone() {
            return false;
        }
        let bytes = (self.elements * size_of::<T>()) as u64;
        let Ok(offset_bytes) = self.offset_bytes(lease) else { return false };
        match address(T::DTYPE, lease, offset_bytes, bytes, Access::ReadWrite) {
            Ok((first, access)) => (self.first, self.access) = (first, access),
            Err(_) => return false,
        }
        true
    }
}

/// The address of `bytes` bytes at an offset of a lease's region, mapped for `access` at least, and what
/// that mapping is for.
#[inline]
fn address(
    dtype: DType,
    lease: &Lease,
    offset_bytes: u64,
    bytes: u64,
    access: Access,
) -> Result<(NonNull<u8>, Access)> {
    let map = lease.region.mapping(access)?;
    let base =
        NonNull::new(map.as_ptr()).ok_or_else(|| Error::corrupt("a region", "no address"))?;
    let end = offset_bytes.checked_add(bytes);
    if end.is_none_or(|end| end > lease.region.len)
        || offset_bytes & (dtype.alignment() as u64 - 1) != 0
    {
        return Err(Error::corrupt("an array", "it lies outside its region or is misaligned"));
    }
    Ok((super::advance(base, offset_bytes as usize), map.access()))
}
