//! How a value lies in its file: how large it is, and how to point to it.
#![allow(unsafe_code, reason = "pointers to slices that end a struct are made here")]

use crossdock_core::shm_safe::ShmSafe;
use crossdock_core::sync::{Mutex, RwLock};
use std::ptr::NonNull;

/// A type that a [`Value`](super::Value) can hold: any [`ShmSafe`] type of fixed size, and the ones of
/// [`Slice`].
///
/// # Safety
///
/// * [`bytes`](Self::bytes) is the size of a value with so many items, a multiple of
///   [`ALIGNMENT`](Self::ALIGNMENT).
/// * [`point`](Self::point) returns a pointer to such a value at the same address.
pub unsafe trait Place: ShmSafe {
    /// Bytes to which a value is aligned.
    const ALIGNMENT: usize;

    /// Bytes of a value whose slice has so many items; `None` if there cannot be so many.
    #[doc(hidden)]
    fn bytes(items: usize) -> Option<usize>;

    /// A pointer to the value with so many items that begins at `first`.
    #[doc(hidden)]
    fn point(first: NonNull<u8>, items: usize) -> NonNull<Self>;
}

/// A value that ends with a slice, whose length is fixed when it is made: `[T]`, `Mutex<[T]>`,
/// `RwLock<[T]>`.
///
/// # Safety
///
/// * Zeroes are a value of everything but the items.
/// * [`items`](Self::items) points to the items of the value that it is given.
pub unsafe trait Slice: Place {
    /// Type of an item.
    type Item: ShmSafe;

    /// Where the items of a value are.
    ///
    /// # Safety
    ///
    /// `value` points to memory that has room for it.
    #[doc(hidden)]
    unsafe fn items(value: NonNull<Self>) -> *mut [Self::Item];
}

// SAFETY: the size of a type is a multiple of its alignment, and the pointer is merely cast.
unsafe impl<T: ShmSafe> Place for T {
    const ALIGNMENT: usize = align_of::<T>();

    fn bytes(_items: usize) -> Option<usize> {
        Some(size_of::<T>())
    }

    fn point(first: NonNull<u8>, _items: usize) -> NonNull<Self> {
        first.cast()
    }
}

// SAFETY: an array's size is that of its items; the pointer keeps its address.
unsafe impl<T: ShmSafe> Place for [T] {
    const ALIGNMENT: usize = align_of::<T>();

    fn bytes(items: usize) -> Option<usize> {
        bytes_of::<[T; 0], T>(items)
    }

    fn point(first: NonNull<u8>, items: usize) -> NonNull<Self> {
        NonNull::slice_from_raw_parts(first.cast(), items)
    }
}

// SAFETY: a slice is nothing but its items.
unsafe impl<T: ShmSafe> Slice for [T] {
    type Item = T;

    unsafe fn items(value: NonNull<Self>) -> *mut [T] {
        value.as_ptr()
    }
}

macro_rules! locked_slice {
    ($lock:ident) => {
        // SAFETY: the lock is `#[repr(C)]` and its value comes last, so with no items it is as long as
        // what lies before them; the pointer keeps its address and length.
        unsafe impl<T: ShmSafe> Place for $lock<[T]> {
            const ALIGNMENT: usize = align_of::<$lock<[T; 0]>>();

            fn bytes(items: usize) -> Option<usize> {
                bytes_of::<$lock<[T; 0]>, T>(items)
            }

            fn point(first: NonNull<u8>, items: usize) -> NonNull<Self> {
                let slice = NonNull::slice_from_raw_parts(first.cast::<T>(), items).as_ptr();
                #[allow(clippy::ptr_as_ptr, reason = "`cast` cannot keep the length")]
                let lock = slice as *mut Self;
                // SAFETY: `first` is not null, and the cast keeps the address.
                unsafe { NonNull::new_unchecked(lock) }
            }
        }

        // SAFETY: zeroes are an unlocked lock.
        unsafe impl<T: ShmSafe> Slice for $lock<[T]> {
            type Item = T;

            unsafe fn items(value: NonNull<Self>) -> *mut [T] {
                // SAFETY: by the contract of this function.
                unsafe { $lock::value_ptr(value.as_ptr()) }
            }
        }
    };
}

locked_slice!(Mutex);
locked_slice!(RwLock);

/// Bytes of a struct that is a `Head` followed by so many items, rounded up to its alignment.
fn bytes_of<Head, T>(items: usize) -> Option<usize> {
    let bytes = size_of::<T>().checked_mul(items)?.checked_add(size_of::<Head>())?;
    bytes.checked_next_multiple_of(align_of::<Head>()).filter(|bytes| *bytes <= isize::MAX as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: ?Sized + Place>(items: usize) {
        let room = vec![0_u128; 300 + items];
        let first = NonNull::from(&room[0]).cast::<u8>();
        let value = T::point(first, items);
        assert_eq!(value.addr(), first.addr());
        // SAFETY: zeroes are a value of every type that is checked here, and there is room for it.
        let value = unsafe { value.as_ref() };
        assert_eq!(Some(size_of_val(value)), T::bytes(items));
        assert_eq!(align_of_val(value), T::ALIGNMENT);
    }

    #[test]
    fn values_are_as_large_as_the_compiler_says() {
        check::<u64>(0);
        check::<Mutex<i64>>(0);
        for items in [0, 1, 3, 64] {
            check::<[u16]>(items);
            check::<Mutex<[u8]>>(items);
            check::<Mutex<[f64]>>(items);
            check::<RwLock<[u16]>>(items);
            check::<RwLock<[f64]>>(items);
            check::<[Mutex<u8>]>(items);
        }
        assert_eq!(<Mutex<[f64]>>::bytes(usize::MAX / 8), None);
    }
}
