//! What means something in one process only, or is not a value whatever its bytes.

use crossdock::ShmSafe;
use std::cell::Cell;

fn check<T: ?Sized + ShmSafe>() {}

fn main() {
    check::<String>();
    check::<[Vec<f64>; 2]>();
    check::<Box<u64>>();
    check::<&'static u64>();
    check::<usize>();
    check::<bool>();
    check::<char>();
    check::<Cell<u64>>();
    check::<crossdock::sync::Mutex<[Option<u32>]>>();
}
