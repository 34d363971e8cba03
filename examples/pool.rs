//! Shows: a pool of processes: many calls with a progress bar, one array filled in place, a worker that is killed.
//! Run:   cargo run --release -p crossdock-examples --example pool
//! Prints an estimate of pi, how much of the plane belongs to the Mandelbrot set, and what became of a task that died.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use crossdock::process::{self, Pool, StartMethod};
use crossdock::{ArrayMut, ErrorKind, Result};
use indicatif::ProgressBar;

const SAMPLES: u64 = 100_000;
const HEIGHT: usize = 240;
const WIDTH: usize = 320;
const ROUNDS_MAX: u8 = 200;

/// How many of some random points of a square lie in the circle.
fn throw(seed: u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..SAMPLES).filter(|_| random().powi(2) + random().powi(2) < 1.0).count() as u64
}

/// Counts, for each pixel of some rows, the rounds until its number is known to grow without limit.
fn mandelbrot(first_row: usize, part: &mut [u8]) {
    for (index, pixel) in part.iter_mut().enumerate() {
        let x = (index % WIDTH) as f64 / WIDTH as f64 * 3.0 - 2.0;
        let y = (first_row + index / WIDTH) as f64 / HEIGHT as f64 * 2.4 - 1.2;
        let (mut re, mut im, mut rounds) = (0.0_f64, 0.0_f64, 0);
        while re * re + im * im <= 4.0 && rounds < ROUNDS_MAX {
            (re, im) = (re * re - im * im + x, 2.0 * re * im + y);
            rounds += 1;
        }
        *pixel = rounds;
    }
}

fn leave(code: i32) {
    if code != 0 {
        std::process::exit(code);
    }
}

fn main() -> Result<()> {
    process::init(); // the first line of main: the workers go no further

    let pool = Pool::options().start(StartMethod::ForkServer).build()?;

    let bar = ProgressBar::new(200);
    let calls = pool.calls().chunk_size(5);
    let calls = calls.progress({
        let bar = bar.clone();
        move |ended, _| bar.set_position(ended)
    });
    let inside: u64 = calls.map(throw, 1..=200)?.iter().sum();
    bar.finish_and_clear();
    println!("pi is about {:.3}", 4.0 * inside as f64 / (200 * SAMPLES) as f64);

    // The workers write where the array lies.
    let image = ArrayMut::<u8>::zeroed([HEIGHT, WIDTH])?;
    let image = pool.for_each_chunk_mut(image, 8, mandelbrot)?;
    let inside = image.iter().filter(|rounds| **rounds == ROUNDS_MAX).count();
    println!("{:.1} % of the plane belongs to the set", 100.0 * inside as f64 / image.len() as f64);

    // As if it had been killed from outside, or had run out of memory.
    match pool.apply(leave, 3) {
        Err(error) if error.kind() == ErrorKind::Died => println!("its worker has died: {error}"),
        other => other?,
    }
    println!("the pool goes on: 6 x 7 = {}", pool.apply(|(a, b): (u32, u32)| a * b, (6, 7))?);
    pool.join()
}
