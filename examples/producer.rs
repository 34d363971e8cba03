//! Shows: a camera-like program that fills images in shared memory and gives them away.
//! Run:   cargo run --release -p crossdock-examples --example producer (and consumer elsewhere)
//! Prints how many images and bytes it handed over per second; either program may start first.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use crossdock::ArrayMut;
use crossdock::channel::{SendTimeoutError, Sender};
use std::error::Error;
use std::time::{Duration, Instant};

const FRAMES: usize = 600;
const SHAPE: [usize; 2] = [480, 640];
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let frames = Sender::<ArrayMut<f32>>::open_or_create("frames", 8)?;
    println!("producer: sends {FRAMES} frames of {SHAPE:?} to \"frames\"");
    let mut started = Instant::now();
    for number in 0..FRAMES {
        let mut frame = frames.loan(SHAPE)?; // memory that was an earlier frame, if that is free again
        frame.fill(number as f32);
        match frames.send_timeout(frame, PATIENCE) {
            Ok(()) => {}
            Err(SendTimeoutError::Timeout(_)) => {
                let run = "cargo run --release -p crossdock-examples --example consumer";
                return Err(format!("nobody takes the frames; in another terminal: {run}").into());
            }
            Err(error) => return Err(error.into()),
        }
        if number == frames.capacity() {
            started = Instant::now(); // so many fit into the queue before anybody has come
        }
    }
    let (count, seconds) = (FRAMES - 1 - frames.capacity(), started.elapsed().as_secs_f64());
    let bytes = (count * SHAPE[0] * SHAPE[1] * size_of::<f32>()) as f64;
    let (frame_us, per_second) = (seconds / count as f64 * 1e6, count as f64 / seconds);
    println!(
        "producer: {frame_us:.0} us per frame with filling, {per_second:.0} frames/s, {:.1} GB/s",
        bytes / seconds / 1e9
    );
    Ok(())
}
