//! Typed cells that several processes see.
#![allow(unsafe_code, reason = "references into a mapping carry its invariants")]

pub(crate) mod file;
mod place;

pub use place::{Place, Slice};

use crate::error::{ErrorKind, Result};
use crate::member::Member;
use crossdock_core::header::Kind;
use crossdock_core::shm_safe::{ShmSafe, TypeLayout};
use file::{ValueFile, Wanted};
use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

/// A typed cell in shared memory: an `Arc<T>` that other processes can open.
///
/// Shared means read-only, as everywhere in Rust: to change what is inside, put an
/// [`Atomic`](crate::Atomic), a [`Mutex`](crate::sync::Mutex) or a [`RwLock`](crate::sync::RwLock) into it.
/// The memory lives until the last handle in the last process goes, and so does the name, unless it is made
/// to [`persist`](Self::persist).
///
/// What can be inside is what is [`ShmSafe`]: numbers, arrays, the types of [`sync`](crate::sync), and
/// structs of these with `#[derive(ShmSafe)]`. A `String`, a `Vec` or a reference does not compile.
///
/// # Examples
///
/// ```
/// use crossdock::{Value, sync::Mutex};
///
/// let account = Value::create("account-docs", Mutex::new(100_i64))?; // process A
/// *account.lock()? += 25;
///
/// let same: Value<Mutex<i64>> = Value::open("account-docs")?; // process B
/// assert_eq!(*same.lock()?, 125);
/// # Ok::<(), crossdock::Error>(())
/// ```
///
/// A length that is known only at run time, and one lock for all items:
///
/// ```
/// use crossdock::{Value, sync::RwLock};
///
/// let weights = Value::<RwLock<[f64]>>::create_slice("weights-docs", 1000, |i| i as f64)?;
/// weights.write()?[7] = 0.5;
/// assert_eq!(weights.read()?.len(), 1000);
/// # Ok::<(), crossdock::Error>(())
/// ```
///
/// # Invariants
///
/// 1. `at` points to a `T` in the mapping that `file` keeps.
/// 2. The type has no destructor, and any bytes are a value of it (the contract of [`ShmSafe`]).
pub struct Value<T: ?Sized + ShmSafe> {
    at: NonNull<T>,
    file: Arc<ValueFile>,
}

// SAFETY: the handle gives out `&T` only, and a `ShmSafe` type is `Send + Sync`.
unsafe impl<T: ?Sized + ShmSafe> Send for Value<T> {}
// SAFETY: as for `Send`.
unsafe impl<T: ?Sized + ShmSafe> Sync for Value<T> {}

impl<T: ShmSafe> Value<T> {
    /// Makes a value under a new name.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`, `InvalidName`, `NoSpace`; `TooManyPeers` when this process finds no place among those
    /// that use the directory.
    pub fn create(name: &str, value: T) -> Result<Self> {
        Self::new(ValueFile::create(name, &wanted::<T>(), 0, &mut |at| put(at, &value))?)
    }

    /// Opens a value, or makes it if nothing has the name.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open) and [`create`](Self::create), except `NotFound` and `AlreadyExists`.
    pub fn open_or_create(name: &str, value: T) -> Result<Self> {
        open_or(name, || ValueFile::create(name, &wanted::<T>(), 0, &mut |at| put(at, &value)))
    }

    /// Makes a value without a name, for this process and those that it forks.
    ///
    /// # Errors
    ///
    /// `NoSpace`, `TooManyPeers`.
    pub fn anonymous(value: T) -> Result<Self> {
        Self::new(ValueFile::anonymous(&wanted::<T>(), 0, &mut |at| put(at, &value))?)
    }
}

impl<T: ?Sized + Slice> Value<T> {
    /// Makes a value under a new name that ends with a slice of so many items; item number `i` is `item(i)`.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create); `InvalidArgument` for more items than memory can have.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossdock::{Value, sync::Mutex};
    ///
    /// // A lock for each of 100 accounts.
    /// let accounts = Value::<[Mutex<i64>]>::create_slice("accounts-docs", 100, |_| Mutex::new(50))?;
    /// *accounts[3].lock()? -= 10;
    /// *accounts[5].lock()? += 10;
    /// # Ok::<(), crossdock::Error>(())
    /// ```
    pub fn create_slice(
        name: &str,
        len: usize,
        mut item: impl FnMut(usize) -> T::Item,
    ) -> Result<Self> {
        Self::new(ValueFile::create(name, &wanted::<T>(), len, &mut |at| {
            put_items::<T>(at, len, &mut item);
        })?)
    }

    /// Opens a value, whose length is what it was made with, or makes it if nothing has the name.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open) and [`create_slice`](Self::create_slice), except `NotFound` and
    /// `AlreadyExists`.
    pub fn open_or_create_slice(
        name: &str,
        len: usize,
        mut item: impl FnMut(usize) -> T::Item,
    ) -> Result<Self> {
        open_or(name, || {
            ValueFile::create(name, &wanted::<T>(), len, &mut |at| {
                put_items::<T>(at, len, &mut item);
            })
        })
    }

    /// Makes a value without a name that ends with a slice of so many items.
    ///
    /// # Errors
    ///
    /// As [`anonymous`](Self::anonymous); `InvalidArgument` for more items than memory can have.
    pub fn anonymous_slice(len: usize, mut item: impl FnMut(usize) -> T::Item) -> Result<Self> {
        Self::new(ValueFile::anonymous(&wanted::<T>(), len, &mut |at| {
            put_items::<T>(at, len, &mut item);
        })?)
    }
}

impl<T: ?Sized + Place> Value<T> {
    /// Opens a value that another process, or this one, has made.
    ///
    /// # Errors
    ///
    /// `NotFound`, `WrongKind`, `WrongVersion`, `Corrupt`; `WrongType`, with the layouts of both sides in its
    /// text, when it was made with another type.
    pub fn open(name: &str) -> Result<Self> {
        Self::new(ValueFile::open(name, &wanted::<T>())?)
    }

    /// Removes a name at once. Those who have the value open keep it.
    ///
    /// # Errors
    ///
    /// `NotFound`; `WrongKind` when the name is not a value's.
    pub fn unlink(name: &str) -> Result<()> {
        crate::namespace::check_name(name)?;
        Member::lose_a_name();
        crate::registry::unlink(name, Some(Kind::Value))
    }

    fn new(file: ValueFile) -> Result<Self> {
        let at = T::point(file.first()?, file.items);
        Ok(Self { at, file: Arc::new(file) })
    }
}

impl<T: ?Sized + ShmSafe> Value<T> {
    /// Lets the name outlive its users, until [`unlink`](Self::unlink).
    ///
    /// # Errors
    ///
    /// `Unsupported` for a value without a name.
    pub fn persist(&self) -> Result<()> {
        self.file.persist()
    }

    /// The name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.file.name()
    }
}

/// What a value of this type needs.
fn wanted<T: ?Sized + Place>() -> Wanted {
    const { assert!(T::ALIGNMENT <= 4096, "a value cannot be aligned to more than a page") };
    const { assert!(!std::mem::needs_drop::<T>(), "what lives in shared memory has no destructor") };
    Wanted { layout: TypeLayout::of::<T>(), alignment: T::ALIGNMENT, bytes: T::bytes }
}

/// Opens a value, or makes it, whichever is possible first.
fn open_or<T: ?Sized + Place>(
    name: &str,
    mut create: impl FnMut() -> Result<ValueFile>,
) -> Result<Value<T>> {
    loop {
        match Value::open(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            other => return other,
        }
        match create() {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            other => return Value::new(other?),
        }
    }
}

/// Copies a value into its place. If the place turns out to have been made in vain, the value goes to
/// another; it has no destructor, so a copy that nobody uses is nothing.
fn put<T: ShmSafe>(at: NonNull<u8>, value: &T) {
    // SAFETY: the file has just been made, with room for a `T` that is aligned, and has no name yet.
    unsafe { at.cast::<T>().copy_from_nonoverlapping(NonNull::from(value), 1) };
}

fn put_items<T: ?Sized + Slice>(
    at: NonNull<u8>,
    len: usize,
    item: &mut impl FnMut(usize) -> T::Item,
) {
    let value = T::point(at, len);
    // SAFETY: the file has just been made, with room for the value.
    let items = unsafe { T::items(value) }.cast::<T::Item>();
    for index in 0..len {
        // SAFETY: the value has room for `len` items.
        let place = unsafe { items.add(index) };
        // SAFETY: as above, the place is aligned, and the file has no name yet.
        unsafe { place.write(item(index)) };
    }
}

impl<T: ?Sized + ShmSafe> Deref for Value<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: by invariant 1 there is a `T` for as long as this handle lives; by invariant 2 and the
        // contract of `ShmSafe` other processes change it by atomics or under its locks only.
        unsafe { self.at.as_ref() }
    }
}

impl<T: ?Sized + ShmSafe> Clone for Value<T> {
    fn clone(&self) -> Self {
        Self { at: self.at, file: Arc::clone(&self.file) }
    }
}

impl<T: ?Sized + ShmSafe + fmt::Debug> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").field("name", &self.name()).field("value", &&**self).finish()
    }
}
