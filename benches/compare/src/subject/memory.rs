//! The floors of obtaining and writing memory, without any library.

use std::fs::File;
use std::slice;

use memmap2::{Advice, MmapRaw};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

use crate::Result;
use crate::control::Control;
use crate::place::Place;
use crate::play::{Fill, fills};

/// One buffer of this process, written again and again.
struct Private(Vec<f64>);

impl Fill for Private {
    fn fill(&mut self, value: f64) -> Result<()> {
        self.0.fill(value);
        Ok(())
    }

    fn release(&mut self) -> Result<f64> {
        Ok(self.0[self.0.len() / 2])
    }
}

/// A new shared segment each time, its pages populated in one call.
struct Segment {
    bytes: usize,
    map: Option<MmapRaw>,
}

impl Segment {
    fn create(bytes: usize) -> Result<MmapRaw> {
        let file = File::from(memfd_create("segment", MemfdFlags::CLOEXEC)?);
        ftruncate(&file, bytes as u64)?;
        let map = MmapRaw::map_raw(&file)?;
        map.advise(Advice::PopulateWrite)?;
        Ok(map)
    }
}

impl Fill for Segment {
    fn fill(&mut self, value: f64) -> Result<()> {
        let map = self.map.insert(Self::create(self.bytes)?);
        let (start, len) = (map.as_mut_ptr().cast::<f64>(), self.bytes / size_of::<f64>());
        // SAFETY: the mapping is page-aligned, `bytes` long, zeroed, and no other process has it.
        let values = unsafe { slice::from_raw_parts_mut(start, len) };
        values.fill(value);
        Ok(())
    }

    fn release(&mut self) -> Result<f64> {
        let map = self.map.take().ok_or("nothing was filled")?;
        // SAFETY: the mapping is page-aligned and longer than one element, all bits are an f64.
        Ok(unsafe { map.as_ptr().cast::<f64>().read() })
    }
}

/// A warm buffer of this process.
pub(crate) fn private(place: &Place, control: &mut Control) -> Result<()> {
    control.token("")?;
    fills(control, Private(vec![1.0; place.len()]))
}

/// A fresh `MADV_POPULATE_WRITE` segment for every fill.
pub(crate) fn segment(place: &Place, control: &mut Control) -> Result<()> {
    control.token("")?;
    fills(control, Segment { bytes: place.bytes, map: None })
}
