//! The compiler points at the field that is in the way.

use crossdock::ShmSafe;
use crossdock::sync::Mutex;

#[derive(ShmSafe)]
#[repr(C)]
struct Frame {
    number: u64,
    is_last: bool,
    title: String,
    rows: [usize; 2],
    errors: Mutex<Vec<u32>>,
}

#[derive(ShmSafe)]
#[repr(transparent)]
struct View<'a>(&'a [f32]);

#[derive(ShmSafe)]
#[repr(C)]
struct Pair<T> {
    first: T,
    second: T,
}

fn check<T: ShmSafe>() {}

fn main() {
    check::<Pair<f64>>();
    check::<Pair<char>>();
}
