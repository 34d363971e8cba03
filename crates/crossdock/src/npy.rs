//! Reading and writing `.npy` files (the [numpy format][spec], versions 1 to 3).
//!
//! The header is parsed and written by the `npyz` crate; the elements are copied once, between the
//! mapped file and shared memory.
//!
//! [spec]: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
//!
//! # Examples
//!
//! ```
//! use crossdock::{Order, npy::{self, NpyFile}};
//!
//! let path = std::env::temp_dir().join(format!("npy-docs-{}.npy", std::process::id()));
//! npy::save(&path, &[1.0_f64, 2.0, 3.0], &[3], Order::C)?;
//! let array = NpyFile::open(&path)?.read::<f64>()?;
//! assert_eq!(array[..], [1.0, 2.0, 3.0]);
//! # std::fs::remove_file(&path).ok();
//! # Ok::<(), crossdock::Error>(())
//! ```
#![allow(unsafe_code, reason = "elements are copied as bytes")]

use crate::array::{ArrayMut, Order};
use crate::error::{Error, ErrorKind, Result};
use crossdock_core::element::{DType, Element};
use crossdock_sys::copy::copy_shared;
use crossdock_sys::map::{Access, Mapping};
use npyz::{Endianness, NpyHeader, TypeChar};
use std::fs::File;
use std::io::{BufReader, Seek, Write};
use std::path::{Path, PathBuf};

/// A `.npy` file, mapped.
///
/// # Invariants
///
/// 1. `map` has `data_offset + len_bytes()` bytes, all inside the file when it was opened.
#[derive(Debug)]
pub struct NpyFile {
    path: PathBuf,
    dtype: DType,
    shape: Vec<usize>,
    order: Order,
    data_offset: usize,
    len_bytes: usize,
    map: Mapping,
}

impl NpyFile {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    ///
    /// `NotFound`, `PermissionDenied`; `Corrupt` when it is no `.npy` file or is cut short;
    /// `Unsupported` for an element type that [`DType`] lacks, big-endian numbers, and arrays without
    /// axes.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let shown = path.display().to_string();
        let cannot = |error| Error::os(format_args!("cannot read {shown:?}"), error).named(&shown);
        let file = File::open(&path).map_err(cannot)?;
        let file_bytes = file.metadata().map_err(cannot)?.len();
        let mut reader = BufReader::new(&file);
        let header = NpyHeader::from_reader(&mut reader).map_err(|error| {
            let text = format!("cannot read {shown:?}: it has no .npy header ({error})");
            Error::new(ErrorKind::Corrupt, text).named(&shown)
        })?;
        let data_offset = reader.stream_position().map_err(cannot)?;
        let dtype = dtype_of(&header, &shown)?;
        let shape: Vec<usize> = header
            .shape()
            .iter()
            .map(|extent| usize::try_from(*extent).unwrap_or(usize::MAX))
            .collect();
        let checked = crate::array::check_shape(&shape, dtype.size())?;
        let len_bytes = checked * dtype.size();
        if data_offset.checked_add(len_bytes as u64).is_none_or(|end| end > file_bytes) {
            let text = format!(
                "cannot read {shown:?}: it is cut short ({file_bytes} bytes, its header says {len_bytes} \
                 and more)"
            );
            return Err(Error::new(ErrorKind::Corrupt, text).named(&shown));
        }
        let data_offset = data_offset as usize;
        let map = Mapping::new(&file, data_offset + len_bytes, Access::ReadOnly).map_err(cannot)?;
        let order = match header.order() {
            npyz::Order::C => Order::C,
            npyz::Order::Fortran => Order::F,
        };
        Ok(Self { path, dtype, shape, order, data_offset, len_bytes, map })
    }

    /// Element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Extents, axis by axis.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Which axis varies fastest.
    #[must_use]
    pub fn order(&self) -> Order {
        self.order
    }

    /// Bytes of all elements.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.len_bytes
    }

    /// Copies the elements into a new array. What another program does to the file meanwhile is what
    /// the array gets; if it is cut short, the copy ends the process (`SIGBUS`).
    ///
    /// # Errors
    ///
    /// `WrongType` when `T` is not the element type, `NoSpace`, `Corrupt` for a `bool` that is neither
    /// 0 nor 1.
    pub fn read<T: Element>(&self) -> Result<ArrayMut<T>> {
        if T::DTYPE != self.dtype {
            let text = format!("{:?} has elements of {}, not {}", self.path, self.dtype, T::DTYPE);
            return Err(Error::new(ErrorKind::WrongType, text));
        }
        let mut array = ArrayMut::<T>::uninit_in(&self.shape, self.order)?;
        let target = array.as_mut_ptr().cast::<u8>();
        // SAFETY: `data_offset` is inside the mapping (invariant 1).
        let source = unsafe { self.map.as_ptr().add(self.data_offset) };
        let checked;
        let source = if T::IS_CHECKED {
            checked = self.checked_bools(source)?;
            checked.as_ptr()
        } else {
            source
        };
        // SAFETY: by invariant 1, or as the length of the copy, there are `len_bytes` bytes at `source`;
        // the array has as many, is ours alone, and lies elsewhere.
        unsafe { copy_shared(source, target, self.len_bytes) };
        Ok(array)
    }

    /// A private copy of the bytes of a file of `bool`, looked at before any of them becomes one: the
    /// file itself may be changing.
    fn checked_bools(&self, source: *const u8) -> Result<Vec<u8>> {
        let mut bytes = vec![0_u8; self.len_bytes];
        // SAFETY: as in `read`; `bytes` is private memory of the same length.
        unsafe { copy_shared(source, bytes.as_mut_ptr(), self.len_bytes) };
        if bytes.iter().all(|byte| *byte <= 1) {
            return Ok(bytes);
        }
        let text = format!("{:?} has a bool that is neither 0 nor 1", self.path);
        Err(Error::new(ErrorKind::Corrupt, text))
    }
}

/// Writes elements in memory order as a `.npy` file, replacing it if it is there.
///
/// # Errors
///
/// `InvalidArgument` when the shape has another number of elements; what the operating system says.
pub fn save<T: Element>(
    path: impl AsRef<Path>,
    elements: &[T],
    shape: &[usize],
    order: Order,
) -> Result<()> {
    let shown = path.as_ref().display().to_string();
    let cannot = |error| Error::os(format_args!("cannot write {shown:?}"), error).named(&shown);
    if crate::array::check_shape(shape, size_of::<T>())? != elements.len() {
        let text = format!("{} elements do not make the shape {shape:?}", elements.len());
        return Err(Error::new(ErrorKind::InvalidArgument, text).named(&shown));
    }
    let mut file = File::create(path.as_ref()).map_err(cannot)?;
    file.write_all(&header_bytes(T::DTYPE, shape, order)).map_err(cannot)?;
    // SAFETY: an element type has no padding, so all of its bytes are initialised.
    let bytes = unsafe {
        std::slice::from_raw_parts(elements.as_ptr().cast::<u8>(), size_of_val(elements))
    };
    file.write_all(bytes).map_err(cannot)
}

/// A version 1 header, byte for byte as numpy writes it: with room for the axis along which the array
/// could grow to have 21 digits, and padded so that the elements begin at a multiple of 64 bytes.
fn header_bytes(dtype: DType, shape: &[usize], order: Order) -> Vec<u8> {
    const GROWTH_DIGITS: usize = 21;
    let extents: Vec<String> = shape.iter().map(ToString::to_string).collect();
    let only_one = if extents.len() == 1 { "," } else { "" };
    let axes = extents.join(", ") + only_one;
    let growing = if order == Order::F { extents.last() } else { extents.first() };
    let fortran = if order == Order::F { "True" } else { "False" };
    let descr = descr_of(dtype);
    let mut text =
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': ({axes}), }}");
    text.push_str(&" ".repeat(GROWTH_DIGITS - growing.map_or(GROWTH_DIGITS, String::len)));
    let unpadded = 10 + text.len() + 1;
    text.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// The numpy name of an element type. numpy has no bfloat16: as in the `ml_dtypes` package, it is
/// written as two raw bytes.
fn descr_of(dtype: DType) -> &'static str {
    match dtype {
        DType::F16 => "<f2",
        DType::Bf16 => "<V2",
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::I8 => "|i1",
        DType::I16 => "<i2",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::U8 => "|u1",
        DType::U16 => "<u2",
        DType::U32 => "<u4",
        DType::U64 => "<u8",
        DType::Bool => "|b1",
        DType::C64 => "<c8",
        // `DType` may grow; a new type needs its row here.
        _ => "<c16",
    }
}

fn dtype_of(header: &NpyHeader, shown: &str) -> Result<DType> {
    let unsupported = |what: String| {
        let text = format!("cannot read {shown:?}: {what}");
        Err(Error::new(ErrorKind::Unsupported, text).named(shown))
    };
    let npyz::DType::Plain(plain) = header.dtype() else {
        return unsupported("its elements are records (save each field on its own)".to_owned());
    };
    if plain.endianness() == Endianness::Big && plain.size_field() > 1 {
        return unsupported(
            "its numbers are big-endian (a.astype(a.dtype.newbyteorder('<')))".to_owned(),
        );
    }
    let dtype = match (plain.type_char(), plain.size_field()) {
        (TypeChar::Float, 2) => DType::F16,
        (TypeChar::RawData, 2) => DType::Bf16,
        (TypeChar::Float, 4) => DType::F32,
        (TypeChar::Float, 8) => DType::F64,
        (TypeChar::Int, 1) => DType::I8,
        (TypeChar::Int, 2) => DType::I16,
        (TypeChar::Int, 4) => DType::I32,
        (TypeChar::Int, 8) => DType::I64,
        (TypeChar::Uint, 1) => DType::U8,
        (TypeChar::Uint, 2) => DType::U16,
        (TypeChar::Uint, 4) => DType::U32,
        (TypeChar::Uint, 8) => DType::U64,
        (TypeChar::Bool, 1) => DType::Bool,
        (TypeChar::Complex, 8) => DType::C64,
        (TypeChar::Complex, 16) => DType::C128,
        _ => return unsupported(format!("elements of type {plain} have no counterpart")),
    };
    Ok(dtype)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_numpys_own() {
        let numpys = "{'descr': '<f8', 'fortran_order': True, 'shape': (3, 4), }";
        let bytes = header_bytes(DType::F64, &[3, 4], Order::F);
        assert_eq!(bytes.len(), 128);
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        assert_eq!(std::str::from_utf8(&bytes[10..]).unwrap().trim_end(), numpys);
        let one = header_bytes(DType::I8, &[7], Order::C);
        assert!(std::str::from_utf8(&one[10..]).unwrap().contains("'shape': (7,), }"));
    }
}
