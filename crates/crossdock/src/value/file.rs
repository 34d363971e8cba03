//! The file of a value: header, text about its type, value.

use crate::error::{Error, ErrorKind, Result};
use crate::member::Member;
use crate::named::{Draft, Named, Share, read_text};
use crate::namespace::{check_name, retry};
use crossdock_core::header::{HEADER_BYTES, Header, Kind, TEXT_BYTES_MAX, VALUE_ALIGNMENT};
use crossdock_core::shm_safe::TypeLayout;
use crossdock_sys::file;
use crossdock_sys::map::{Access, Mapping};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;

/// What a file is to hold, or is expected to hold.
pub(super) struct Wanted {
    pub(super) layout: TypeLayout,
    pub(super) alignment: usize,
    /// Bytes of a value with so many items.
    pub(super) bytes: fn(usize) -> Option<usize>,
}

/// A mapped value.
#[derive(Debug)]
pub(super) struct ValueFile {
    named: Option<Named>,
    map: Mapping,
    data_offset: usize,
    pub(super) items: usize,
}

impl ValueFile {
    /// Makes a file, has `write` put the value into it, and gives it its name.
    pub(super) fn create(
        name: &str,
        wanted: &Wanted,
        items: usize,
        write: &mut dyn FnMut(NonNull<u8>),
    ) -> Result<Self> {
        check_name(name)?;
        // Before anything of the value is used: the locks in it need to know who this process is.
        let member = Member::current()?;
        let header = header(name, wanted, items)?;
        let (draft, map) = retry(|_| {
            let what = format!("value {name:?}");
            let draft = Draft::new(&member.namespace, &what, header.clone(), 0o600)?;
            let map = map(&draft.file, &draft.header, name)?;
            Ok((draft, map))
        })?;
        let data_offset = draft.header.data_offset as usize;
        write_text(&draft.file, wanted)
            .map_err(|error| Error::os(format_args!("cannot create value {name:?}"), error))?;
        write(first(&map, data_offset)?);
        let named = Named::publish(&member.namespace, None, draft, name)?;
        Ok(Self { named: Some(named), map, data_offset, items })
    }

    /// Makes a value without a name.
    pub(super) fn anonymous(
        wanted: &Wanted,
        items: usize,
        write: &mut dyn FnMut(NonNull<u8>),
    ) -> Result<Self> {
        let member = Member::current()?;
        member.share_unnamed();
        let header = header("(anonymous)", wanted, items)?;
        let cannot = |error| Error::os("cannot create an anonymous value", error);
        let file = file::anonymous("crossdock-value").map_err(cannot)?;
        let bytes = header.data_offset + header.len;
        file::reserve(&file, 0, bytes)
            .map_err(|error| member.namespace.no_space("an anonymous value", bytes, error))?;
        file.write_all_at(&header.to_bytes(), 0).map_err(cannot)?;
        write_text(&file, wanted).map_err(cannot)?;
        let map = map(&file, &header, "(anonymous)")?;
        let data_offset = header.data_offset as usize;
        write(first(&map, data_offset)?);
        Ok(Self { named: None, map, data_offset, items })
    }

    /// Opens a value that holds what is wanted.
    pub(super) fn open(name: &str, wanted: &Wanted) -> Result<Self> {
        check_name(name)?;
        let member = Member::current()?;
        let named = Named::open(&member.namespace, None, name, Share::Write)?;
        let header = &named.header;
        if header.kind != Kind::Value {
            return Err(crate::block::wrong_kind(name, header.kind, "value"));
        }
        let items = usize::try_from(header.items).unwrap_or(usize::MAX);
        let bytes = (wanted.bytes)(items).unwrap_or(usize::MAX);
        // The size is not in the hash of a type that describes itself by its name only.
        if header.type_hash != wanted.layout.hash() || bytes as u64 != header.len {
            let found = read_text(named.file(), header);
            let text = format!(
                "cannot open value {name:?} as {} of {bytes} bytes: it holds {found} of {} bytes (both \
                 programs must define the type alike)",
                wanted.layout.text(),
                header.len
            );
            return Err(Error::new(ErrorKind::WrongType, text).named(name));
        }
        if !header.data_offset.is_multiple_of(wanted.alignment as u64) {
            return Err(Error::corrupt(format_args!("value {name:?}"), "its place").named(name));
        }
        let map = map(named.file(), header, name)?;
        let data_offset = header.data_offset as usize;
        Ok(Self { named: Some(named), map, data_offset, items })
    }

    /// Where the value begins.
    pub(super) fn first(&self) -> Result<NonNull<u8>> {
        first(&self.map, self.data_offset)
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.named.as_ref().map(Named::name)
    }

    pub(super) fn persist(&self) -> Result<()> {
        match &self.named {
            Some(named) => named.persist(),
            None => Err(Error::new(
                ErrorKind::Unsupported,
                "a value without a name cannot persist (make it with Value::create)",
            )),
        }
    }
}

fn header(name: &str, wanted: &Wanted, items: usize) -> Result<Header> {
    let bytes = (wanted.bytes)(items).ok_or_else(|| {
        let text = format!("value {name:?} cannot have {items} items: they are more than memory");
        Error::new(ErrorKind::InvalidArgument, text)
    })?;
    let text_bytes = text(wanted).len() as u64;
    let alignment = VALUE_ALIGNMENT.max(wanted.alignment as u64);
    let data_offset = (HEADER_BYTES as u64 + text_bytes).next_multiple_of(alignment);
    let mut header = Header::new(Kind::Value, bytes as u64, data_offset);
    header.type_hash = wanted.layout.hash();
    header.items = items as u64;
    header.text_bytes = text_bytes;
    Ok(header)
}

/// What the file says about the type: the beginning, if it is long.
fn text(wanted: &Wanted) -> &str {
    let text = wanted.layout.text();
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

fn write_text(file: &File, wanted: &Wanted) -> std::io::Result<()> {
    file.write_all_at(text(wanted).as_bytes(), HEADER_BYTES as u64)
}

fn map(file: &File, header: &Header, name: &str) -> Result<Mapping> {
    // The header has been checked against the length of the file.
    let bytes = (header.data_offset + header.len) as usize;
    Mapping::new(file, bytes, Access::ReadWrite)
        .map_err(|error| Error::os(format_args!("cannot map value {name:?}"), error).named(name))
}

fn first(map: &Mapping, data_offset: usize) -> Result<NonNull<u8>> {
    let base =
        NonNull::new(map.as_ptr()).ok_or_else(|| Error::corrupt("a mapping", "no address"))?;
    Ok(crate::array::advance(base, data_offset))
}
