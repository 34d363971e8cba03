//! Types whose bytes would not mean the same in every program.

use crossdock::ShmSafe;

#[derive(ShmSafe)]
struct NoRepr {
    count: u64,
}

#[derive(ShmSafe)]
#[repr(align(64))]
struct OnlyAligned {
    count: u64,
}

#[derive(ShmSafe)]
#[repr(C, packed(4))]
struct Packed {
    count: u64,
}

#[derive(ShmSafe)]
#[repr(u8)]
enum State {
    Idle,
    Busy,
}

#[derive(ShmSafe)]
#[repr(C)]
union Either {
    whole: u64,
    real: f64,
}

#[derive(ShmSafe)]
#[shm_safe(krate = crossdock)]
#[repr(C)]
struct Misspelt {
    count: u64,
}

fn main() {}
