//! A queue as one would write it with serde: postcard bytes through a pipe.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::PathBuf;

use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::pipe::fcntl_setpipe_size;

use crate::Result;
use crate::control::Control;
use crate::place::{Place, Side};
use crate::play::{Carry, carries};
use crate::sum::sum;

/// The largest pipe an unprivileged process gets.
const PIPE_BYTES: usize = 1 << 20;

/// Both sides' buffers; each side uses its own half.
struct Pipe {
    path: PathBuf,
    side: Side,
    pipe: Option<File>,
    own: Vec<f64>,
    bytes: Vec<u8>,
    got: Vec<f64>,
}

impl Pipe {
    /// Opened at first use: opening one end of a named pipe waits for the other.
    fn pipe(&mut self) -> Result<&mut File> {
        if self.pipe.is_none() {
            let sends = self.side == Side::A;
            let pipe = OpenOptions::new().read(!sends).write(sends).open(&self.path)?;
            fcntl_setpipe_size(&pipe, PIPE_BYTES)?;
            self.pipe = Some(pipe);
        }
        self.pipe.as_mut().ok_or_else(|| "no pipe".into())
    }
}

impl Carry for Pipe {
    fn fill(&mut self, value: f64) -> Result<()> {
        self.own.fill(value);
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let bytes = ::postcard::to_extend(&self.own, bytes)?;
        let pipe = self.pipe()?;
        pipe.write_all(&(bytes.len() as u64).to_le_bytes())?;
        pipe.write_all(&bytes)?;
        self.bytes = bytes;
        Ok(())
    }

    fn recv(&mut self) -> Result<()> {
        let mut bytes = std::mem::take(&mut self.bytes);
        let pipe = self.pipe()?;
        let mut len = [0; 8];
        pipe.read_exact(&mut len)?;
        bytes.resize(usize::try_from(u64::from_le_bytes(len))?, 0);
        pipe.read_exact(&mut bytes)?;
        self.got = ::postcard::from_bytes(&bytes)?;
        self.bytes = bytes;
        Ok(())
    }

    fn sum(&mut self) -> Result<(usize, f64)> {
        Ok((self.got.len(), sum(&self.got)))
    }

    fn release(&mut self) -> Result<()> {
        self.got = Vec::new();
        Ok(())
    }
}

/// `Vec<f64>` one way.
pub(crate) fn postcard(place: &Place, control: &mut Control) -> Result<()> {
    let path = place.dir.join(format!("{}.pipe", place.id));
    if place.side == Side::A {
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR)?;
    }
    control.token("")?;
    let own = vec![0.0; if place.side == Side::A { place.len() } else { 0 }];
    let (bytes, got) = (Vec::new(), Vec::new());
    carries(control, place.len(), Pipe { path, side: place.side, pipe: None, own, bytes, got })
}
