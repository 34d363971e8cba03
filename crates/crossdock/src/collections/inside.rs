//! Which maps and lists this thread is inside of: whose locks it holds while it runs a closure.

use super::file::CollectionFile;
use crate::error::{Error, ErrorKind, Result};
use std::cell::Cell;

/// How deep closures can be inside of closures, each of another map or list.
const DEPTH_MAX: usize = 8;

thread_local! {
    /// The numbers of those whose closures run, the outermost first; 0: none.
    static INSIDE: [Cell<u64>; DEPTH_MAX] = const { [const { Cell::new(0) }; DEPTH_MAX] };
}

/// A closure of a map or list runs in this thread.
#[derive(Debug)]
pub(super) struct Inside {
    depth: usize,
}

/// Refuses a call into a map or list from one of its closures.
#[inline]
pub(super) fn check(file: &CollectionFile) -> Result<()> {
    let id = file.id();
    let is_inside = INSIDE.with(|inside| {
        inside.iter().map(Cell::get).take_while(|inside| *inside != 0).any(|inside| inside == id)
    });
    if is_inside { Err(refused(file)) } else { Ok(()) }
}

#[cold]
fn refused(file: &CollectionFile) -> Error {
    let text = format!(
        "{} is called from one of its own closures, which runs under its lock (do it behind the call that \
         runs the closure)",
        file.label
    );
    file.named(Error::new(ErrorKind::Busy, text))
}

impl Inside {
    /// A closure begins.
    pub(super) fn enter(file: &CollectionFile) -> Result<Self> {
        let depth = INSIDE.with(|inside| {
            let depth = inside.iter().position(|inside| inside.get() == 0)?;
            inside[depth].set(file.id());
            Some(depth)
        });
        depth.map(|depth| Self { depth }).ok_or_else(|| {
            let text = format!("a closure of {} runs inside of {DEPTH_MAX} others", file.label);
            file.named(Error::new(ErrorKind::LimitExceeded, text))
        })
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.with(|inside| inside[self.depth].set(0));
    }
}
