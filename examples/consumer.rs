//! Shows: a program that takes images out of a channel until their producer is done, or dead.
//! Run:   cargo run --release -p crossdock-examples --example consumer (and producer elsewhere)
//! Prints how many images came, and whether one was missing; either program may start first.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use crossdock::ArrayMut;
use crossdock::channel::{Receiver, RecvTimeoutError};
use std::error::Error;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let frames = Receiver::<ArrayMut<f32>>::open_or_create("frames", 8)?;
    println!("consumer: waits for frames from \"frames\"");
    let (mut count, mut missing) = (0, 0);
    loop {
        match frames.recv_timeout(PATIENCE) {
            Ok(frame) => {
                let number = count + missing;
                missing += frame[0] as usize - number;
                assert!(frame.iter().all(|pixel| *pixel == frame[0]), "a torn frame");
                count += 1;
            }
            // The last producer has gone, and everything that it sent has been received.
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let run = "cargo run --release -p crossdock-examples --example producer";
                return Err(format!("nobody sends frames; in another terminal: {run}").into());
            }
            Err(error) => return Err(error.into()),
        }
    }
    println!("consumer: received {count} frames, {missing} missing");
    Ok(())
}
