//! Nobody would know when to run it.

use crossdock::ShmSafe;

#[derive(ShmSafe)]
#[repr(C)]
struct Handle {
    number: u64,
}

impl Drop for Handle {
    fn drop(&mut self) {}
}

fn main() {}
