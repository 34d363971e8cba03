//! `crossdock send`: a file into a channel.

use crate::failure::{Failure, Result};
use crate::output;
use crate::progress::Progress;
use crate::sample::{Sample, with_dtype};
use crate::shown;
use crate::units;
use crossdock::channel::{Message, Sender};
use crossdock::npy::NpyFile;
use crossdock::{Array, ArrayMut, registry};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// How often the queue is looked at.
const LOOK: Duration = Duration::from_millis(1);

/// Send a .npy file to another process, and wait until that has taken it
///
/// The other process is `crossdock recv NAME -o OUT.npy`, or any program with a receiver of that name.
/// Either side may start first.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The .npy file, of any element type and order
    file: PathBuf,
    /// Name of the channel
    #[arg(long, value_name = "NAME")]
    to: String,
    /// Messages that the channel has room for, if it has to be made
    #[arg(long, default_value_t = 8)]
    capacity: usize,
    /// How long to wait for somebody to take the array
    #[arg(long, default_value = "30s", value_parser = units::parse_duration)]
    timeout: Duration,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let file = NpyFile::open(&args.file)?;
    with_dtype!(file.dtype(), T => load_and_pass::<T>(args, &file))
}

fn load_and_pass<T: Sample>(args: &Args, file: &NpyFile) -> Result<()> {
    let progress = Progress::new(2);
    let path = args.file.display();
    progress.stage(&format!("loading {path} ({})", units::bytes(file.len_bytes() as u64)));
    let array = file.read::<T>()?;
    let what = format!("{} x {}", shown::shape(array.shape()), T::DTYPE);
    progress.stage(&format!("waiting for a receiver of {:?}", args.to));
    if wants_shared(&args.to) {
        pass::<Array<T>>(args, array.freeze())?;
    } else {
        pass::<ArrayMut<T>>(args, array)?;
    }
    drop(progress);
    output::print(&format!("{path} ({what}) was taken from {:?}", args.to))
}

/// Whether there is a channel already whose receivers only read.
fn wants_shared(name: &str) -> bool {
    let entry = registry::inspect(name);
    entry.is_ok_and(|entry| {
        entry.is_attached && entry.channel.is_some_and(|channel| !channel.is_unique)
    })
}

fn pass<M: Message>(args: &Args, message: M) -> Result<()> {
    let deadline = Instant::now().checked_add(args.timeout);
    let tx = Sender::<M>::open_or_create(&args.to, args.capacity)?;
    tx.send_timeout(message, args.timeout)?;
    while !tx.is_empty() {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Failure::Refused(format!(
                "nobody took the array from {0:?} within {1:?} (`crossdock recv {0} -o OUT.npy` would)",
                args.to, args.timeout
            )));
        }
        thread::sleep(LOOK);
    }
    Ok(())
}
