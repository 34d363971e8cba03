//! Arrays under a name: complete from the moment the name appears, and unchanging unless their elements are
//! atomic.

use super::item_name;
use super::shape::{Order, Shape};
use crate::error::{Error, ErrorKind, Result};
use crate::named::{Draft, Named, Share, reclaim};
use crate::namespace::{Namespace, check_name, retry};
use crossdock_core::element::Item;
use crossdock_core::header::{HEADER_BYTES, Header, Kind};
use crossdock_sys::map::{Access, Mapping};
use std::fs::File;
use std::ptr::NonNull;

/// An array's file, named and mapped.
#[derive(Debug)]
pub(crate) struct NamedArray {
    named: Named,
    map: Mapping,
}

impl NamedArray {
    /// Makes an array, has `fill` write its elements, and gives it its name.
    pub(super) fn create<T: Item>(
        name: &str,
        shape: Shape,
        order: Order,
        fill: impl Fn(NonNull<u8>, usize),
    ) -> Result<Self> {
        check_name(name)?;
        retry(|namespace| {
            // Not to fill gigabytes in vain; the name may still be taken before it can be given.
            if namespace.directory.inode_of(name).is_some() && !reclaim(namespace, None, name)? {
                let text = format!("cannot create array {name:?}: the name is in use");
                return Err(Error::new(ErrorKind::AlreadyExists, text).named(name));
            }
            let elements = shape.elements();
            let bytes = (elements * size_of::<T>()) as u64;
            let mut header = Header::new(Kind::Array, bytes, HEADER_BYTES as u64);
            header.dtype = Some(T::DTYPE);
            header.is_atomic = T::IS_ATOMIC;
            header.ndim = shape.ndim();
            header.shape = shape.to_words();
            header.is_fortran = order == Order::F;
            let draft = Draft::new(namespace, &format!("array {name:?}"), header, 0o600)?;
            let map = map(&draft.file, &draft.header, Access::ReadWrite, name)?;
            // The pages come one by one on an older kernel; they are reserved in any case.
            let _ = map.prefault(0..map.len());
            fill(first(&map)?, elements);
            let named = Named::publish(namespace, None, draft, name)?;
            Ok(Self { named, map })
        })
    }

    /// Opens an array, with others or to write alone. Atomic elements are mapped to be written.
    pub(super) fn open<T: Item>(name: &str, is_alone: bool) -> Result<Self> {
        check_name(name)?;
        let namespace = Namespace::current()?;
        let (share, access) = match (is_alone, T::IS_ATOMIC) {
            (true, _) => (Share::Exclusive, Access::ReadWrite),
            (false, true) => (Share::Write, Access::ReadWrite),
            (false, false) => (Share::Read, Access::ReadOnly),
        };
        let named = Named::open(&namespace, None, name, share)?;
        if named.header.kind != Kind::Array {
            return Err(crate::block::wrong_kind(name, named.header.kind, "array"));
        }
        if (named.header.dtype, named.header.is_atomic) != (Some(T::DTYPE), T::IS_ATOMIC) {
            return Err(wrong_type::<T>(name, &named.header));
        }
        let map = map(named.file(), &named.header, access, name)?;
        Ok(Self { named, map })
    }

    pub(super) fn header(&self) -> &Header {
        &self.named.header
    }

    pub(super) fn name(&self) -> &str {
        self.named.name()
    }

    pub(super) fn first(&self) -> Result<NonNull<u8>> {
        first(&self.map)
    }

    pub(super) fn persist(&self) -> Result<()> {
        self.named.persist()
    }
}

#[cold]
fn wrong_type<T: Item>(name: &str, header: &Header) -> Error {
    let wanted = item_name(T::DTYPE, T::IS_ATOMIC);
    let found =
        header.dtype.map_or("nothing".to_owned(), |dtype| item_name(dtype, header.is_atomic));
    let text = format!(
        "cannot open array {name:?} of {wanted}: its elements are {found} (open it as what it was made as)"
    );
    Error::new(ErrorKind::WrongType, text).named(name)
}

fn map(file: &File, header: &Header, access: Access, name: &str) -> Result<Mapping> {
    // The header has been checked against the length of the file.
    let bytes = (header.data_offset + header.len) as usize;
    Mapping::new(file, bytes, access)
        .map_err(|error| Error::os(format_args!("cannot map array {name:?}"), error).named(name))
}

fn first(map: &Mapping) -> Result<NonNull<u8>> {
    let base =
        NonNull::new(map.as_ptr()).ok_or_else(|| Error::corrupt("a mapping", "no address"))?;
    Ok(super::advance(base, HEADER_BYTES))
}
