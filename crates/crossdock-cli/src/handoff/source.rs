//! Where the array comes from.

use crate::failure::{Failure, Result};
use crate::sample::{PERIOD, Sample};
use crate::units;
use crossdock::npy::NpyFile;
use crossdock::{ArrayMut, DType};
use std::path::{Path, PathBuf};

/// An array that is yet to be loaded or made.
pub(super) enum Source {
    File { path: PathBuf, file: NpyFile },
    Made { elements: usize, dtype: DType },
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self> {
        Ok(Self::File { path: path.to_owned(), file: NpyFile::open(path)? })
    }

    pub(super) fn made(len_bytes: u64, dtype: DType) -> Result<Self> {
        let elements = usize::try_from(len_bytes / dtype.size() as u64).unwrap_or(usize::MAX);
        if elements == 0 {
            let size = units::bytes(len_bytes);
            return Err(Failure::Refused(format!("an element of {dtype} has more than {size}")));
        }
        Ok(Self::Made { elements, dtype })
    }

    pub(super) fn dtype(&self) -> DType {
        match self {
            Self::File { file, .. } => file.dtype(),
            Self::Made { dtype, .. } => *dtype,
        }
    }

    pub(super) fn len_bytes(&self) -> u64 {
        match self {
            Self::File { file, .. } => file.len_bytes() as u64,
            Self::Made { elements, dtype } => (elements * dtype.size()) as u64,
        }
    }

    /// What loading does.
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::File { .. } => "loading",
            Self::Made { .. } => "making",
        }
    }

    /// The file, if it is one.
    pub(super) fn origin(&self) -> Option<PathBuf> {
        match self {
            Self::File { path, .. } => Some(path.clone()),
            Self::Made { .. } => None,
        }
    }

    /// The array, in shared memory.
    pub(super) fn load<T: Sample>(&self) -> Result<ArrayMut<T>> {
        match self {
            Self::File { file, .. } => Ok(file.read::<T>()?),
            Self::Made { elements, .. } => {
                let period: Vec<T> = (0..PERIOD as u8).map(T::pattern).collect();
                let mut array = ArrayMut::<T>::uninit(*elements)?;
                for part in array.chunks_mut(PERIOD) {
                    part.copy_from_slice(&period[..part.len()]);
                }
                Ok(array)
            }
        }
    }
}
