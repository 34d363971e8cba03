//! Shows: one image is filled here and summed in another process, and nothing is copied in between.
//! Run:   cargo run -p crossdock-examples --example hello
//! Prints what each of the two processes did.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use crossdock::ArrayMut;
use crossdock::channel::{Receiver, Sender};
use std::{env, error::Error, process::Command};

fn main() -> Result<(), Box<dyn Error>> {
    if env::args().nth(1).as_deref() == Some("consumer") {
        let frame = Receiver::<ArrayMut<f32>>::open("hello")?.recv()?;
        println!("consumer: got {:?}, the sum is {}", frame.shape(), frame.iter().sum::<f32>());
        return Ok(());
    }
    let frames = Sender::<ArrayMut<f32>>::create("hello", 8)?;
    let mut consumer = Command::new(env::current_exe()?).arg("consumer").spawn()?;
    let mut frame = frames.loan([1080, 1920])?; // memory that the consumer can map
    frame.fill(0.5);
    println!("producer: sends {:?}, {} bytes", frame.shape(), frame.len_bytes());
    frames.send(frame)?; // moves a handle
    if consumer.wait()?.success() { Ok(()) } else { Err("the consumer failed".into()) }
}
