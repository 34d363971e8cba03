//! What is waited for lives as long as the wait.

use crossdock::channel::Receiver;
use crossdock::{Array, Select};

fn main() {
    let frames = Receiver::<Array<f32>>::open("frames").unwrap();
    let mut select = Select::new();
    select.recv(&frames);
    drop(frames);
    select.ready();
}
