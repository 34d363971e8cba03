//! Shows: three processes (make images, blur them, average them) joined by two channels.
//! Run:   cargo run --release -p crossdock-examples --example pipeline
//! Prints the mean brightness of each image, and that all of them are as they must be.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use crossdock::ArrayMut;
use crossdock::channel::{Receiver, Sender};
use std::{env, error::Error, process, process::Command};

const FRAMES: usize = 8;
const ROWS: usize = 480;
const COLUMNS: usize = 640;
/// Rows and columns of the bright square in the middle.
const SQUARE: usize = 120;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["blur", raw, blurred] => blur(raw, blurred),
        ["reduce", blurred] => reduce(blurred),
        _ => make(),
    }
}

/// The first process: starts the others and makes images with a square that gets brighter.
fn make() -> Result<(), Box<dyn Error>> {
    let [raw, blurred] =
        ["raw", "blurred"].map(|name| format!("pipeline-{}-{name}", process::id()));
    let images = Sender::<ArrayMut<f32>>::create(&raw, 4)?;
    let stage = |args: &[&str]| Command::new(env::current_exe()?).args(args).spawn();
    let stages = [stage(&["blur", &raw, &blurred])?, stage(&["reduce", &blurred])?];
    for number in 0..FRAMES {
        let mut image = images.loan([ROWS, COLUMNS])?;
        image.fill(0.0);
        let (top, left) = ((ROWS - SQUARE) / 2, (COLUMNS - SQUARE) / 2);
        for row in image.chunks_mut(COLUMNS).skip(top).take(SQUARE) {
            row[left..left + SQUARE].fill(number as f32);
        }
        images.send(image)?;
    }
    drop(images); // the end of the stream: each stage ends when the one before has
    for mut stage in stages {
        if !stage.wait()?.success() {
            return Err("a stage failed".into());
        }
    }
    Ok(())
}

/// The second process: each inner pixel becomes the mean of its 3 x 3 neighbours.
fn blur(raw: &str, blurred: &str) -> Result<(), Box<dyn Error>> {
    let output = Sender::<ArrayMut<f32>>::open_or_create(blurred, 4)?;
    for image in &Receiver::<ArrayMut<f32>>::open(raw)? {
        let mut smooth = output.loan(image.shape())?;
        smooth.copy_from_slice(&image);
        for at in (1..ROWS - 1).flat_map(|y| (1..COLUMNS - 1).map(move |x| y * COLUMNS + x)) {
            let row = |middle: usize| image[middle - 1] + image[middle] + image[middle + 1];
            smooth[at] = (row(at - COLUMNS) + row(at) + row(at + COLUMNS)) / 9.0;
        }
        output.send(smooth)?;
    }
    Ok(())
}

/// The third process: a blur spreads brightness, but the mean stays.
fn reduce(blurred: &str) -> Result<(), Box<dyn Error>> {
    let mut count = 0;
    for image in &Receiver::<ArrayMut<f32>>::open_or_create(blurred, 4)? {
        let mean = image.iter().copied().map(f64::from).sum::<f64>() / image.len() as f64;
        println!("image {count}: mean brightness {mean:.4}");
        let wanted = (count * SQUARE * SQUARE) as f64 / (ROWS * COLUMNS) as f64;
        assert!((mean - wanted).abs() < 1e-6, "{mean} is not {wanted}");
        count += 1;
    }
    println!("{count} of {FRAMES} images are as they must be");
    if count == FRAMES { Ok(()) } else { Err("images are missing".into()) }
}
