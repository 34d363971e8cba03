//! Shows: async tasks of one thread that wait for another process: two see every frame, one the newest setting.
//! Run:   cargo run --release -p crossdock-examples --example tasks
//! Prints what each task has got, and that no frame was missed.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use crossdock::Array;
use crossdock::channel::{RecvError, broadcast, latest};
use std::{env, error::Error, process, process::Command};

const FRAMES: u64 = 50;
const PIXELS: usize = 640 * 480;

type Failure = Box<dyn Error>;
type Frame = (u64, Array<u8>);

fn main() -> Result<(), Failure> {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["camera", frames, exposure] => camera(frames, exposure),
        _ => watch(),
    }
}

/// The first process: three tasks, one thread, and the camera as a process of its own.
fn watch() -> Result<(), Failure> {
    let [frames, exposure] =
        ["frames", "exposure"].map(|name| format!("tasks-{}-{name}", process::id()));
    let display = broadcast::Receiver::<Frame>::create(&frames, 8)?;
    let recorder = display.resubscribe()?;
    let settings = latest::Receiver::<f64>::create(&exposure, 4)?;
    let mut camera =
        Command::new(env::current_exe()?).args(["camera", &frames, &exposure]).spawn()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (shown, bytes, exposure) = runtime.block_on(async {
        tokio::try_join!(count(&display), weigh(&recorder), last_setting(&settings))
    })?;
    println!("display:  {shown} frames, {} missed", display.take_missed());
    println!("recorder: {bytes} bytes");
    println!("settings: the last exposure is {exposure} ms");
    let is_whole = shown == FRAMES && bytes == FRAMES * PIXELS as u64;
    if camera.wait()?.success() && is_whole { Ok(()) } else { Err("frames are missing".into()) }
}

async fn count(frames: &broadcast::Receiver<Frame>) -> Result<u64, RecvError> {
    for wanted in 0.. {
        match frames.recv_async().await {
            Ok((number, pixels)) => assert_eq!((number, pixels[0]), (wanted, number as u8)),
            Err(RecvError::Disconnected) => return Ok(wanted), // the camera has gone, or was killed
            Err(error) => return Err(error),
        }
    }
    Ok(0)
}

async fn weigh(frames: &broadcast::Receiver<Frame>) -> Result<u64, RecvError> {
    let mut bytes = 0;
    loop {
        match frames.recv_async().await {
            Ok((_, pixels)) => bytes += pixels.len() as u64,
            Err(RecvError::Disconnected) => return Ok(bytes),
            Err(error) => return Err(error),
        }
    }
}

async fn last_setting(settings: &latest::Receiver<f64>) -> Result<f64, RecvError> {
    let mut last = f64::NAN;
    loop {
        match settings.recv_async().await {
            Ok(newer) => last = newer,
            Err(RecvError::Disconnected) => return Ok(last),
            Err(error) => return Err(error),
        }
    }
}

/// The second process: needs no tasks.
fn camera(frames: &str, exposure: &str) -> Result<(), Failure> {
    let (frames, exposure) =
        (broadcast::Sender::<Frame>::open(frames)?, latest::Sender::<f64>::open(exposure)?);
    for number in 0..FRAMES {
        frames.send((number, Array::from_slice(&vec![number as u8; PIXELS])?))?;
        exposure.send(number as f64 / 2.0)?;
    }
    Ok(())
}
