//! `crossdock recv`: from a channel into a file.

use crate::failure::{Failure, Result};
use crate::output;
use crate::progress::Progress;
use crate::sample::{Sample, with_dtype};
use crate::shown;
use crate::units;
use crossdock::channel::{ArrayMessage, Receiver};
use crossdock::registry::{self, Entry, Kind};
use crossdock::{Array, ArrayMut, DType, Element, ErrorKind, Order, npy};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How often is looked whether there is such a channel.
const LOOK: Duration = Duration::from_millis(2);

/// Receive one array from another process into a .npy file
///
/// The other process is `crossdock send FILE.npy --to NAME`, or any program with a sender of that name.
/// Either side may start first; element type, shape and order are the sender's.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name of the channel
    name: String,
    /// The file to write
    #[arg(short, long, value_name = "OUT.npy")]
    output: PathBuf,
    /// How long to wait for the array
    #[arg(long, default_value = "30s", value_parser = units::parse_duration)]
    timeout: Duration,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    check_folder(&args.output)?;
    let progress = Progress::new(2);
    progress.stage(&format!("waiting for channel {:?}", args.name));
    let wait = Wait { started: Instant::now(), timeout: args.timeout };
    let saved = loop {
        let (dtype, is_unique) = meet(&args.name, &wait)?;
        let saved = with_dtype!(dtype, T => if is_unique {
            let save = |array: &ArrayMut<T>| save(args, array, array.shape(), array.order());
            take(&args.name, &wait, &progress, save)
        } else {
            let save = |array: &Array<T>| save(args, array, array.shape(), array.order());
            take(&args.name, &wait, &progress, save)
        })?;
        if let Some(saved) = saved {
            break saved;
        }
        thread::sleep(LOOK);
    };
    drop(progress);
    output::print(&saved)
}

/// Not to take an array that then cannot be written.
fn check_folder(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => {
            Err(Failure::Refused(format!("{} is no directory", folder.display())))
        }
        _ => Ok(()),
    }
}

struct Wait {
    started: Instant,
    timeout: Duration,
}

impl Wait {
    fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.started.elapsed())
    }
}

/// Waits until somebody has the channel; tells what it carries.
fn meet(name: &str, wait: &Wait) -> Result<(DType, bool)> {
    loop {
        match registry::inspect(name) {
            Ok(Entry { kind, .. }) if kind != Kind::Channel => {
                return Err(Failure::Refused(format!(
                    "{name:?} is no channel but has kind {kind}"
                )));
            }
            // What the dead left will be made anew, perhaps for another type.
            Ok(Entry { is_attached, is_persistent, dtype, channel, .. })
                if is_attached || is_persistent =>
            {
                if let (Some(dtype), Some(channel)) = (dtype, channel) {
                    return Ok((dtype, channel.is_unique));
                }
            }
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            Ok(_) | Err(_) => {}
        }
        if wait.left().is_zero() {
            return Err(Failure::Refused(format!(
                "nobody made channel {name:?} within {:?} (`crossdock send FILE.npy --to {name}` would)",
                wait.timeout
            )));
        }
        thread::sleep(LOOK);
    }
}

/// Takes one message; `None` if the channel is no longer the one that was seen.
fn take<M: ArrayMessage>(
    name: &str,
    wait: &Wait,
    progress: &Progress,
    save: impl FnOnce(&M) -> Result<String>,
) -> Result<Option<String>> {
    let rx = match Receiver::<M>::open(name) {
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::WrongType)
                && !wait.left().is_zero() =>
        {
            return Ok(None);
        }
        opened => opened?,
    };
    progress.stage(&format!("waiting for an array of {} from {name:?}", M::Element::DTYPE));
    save(&rx.recv_timeout(wait.left())?).map(Some)
}

fn save<T: Sample>(args: &Args, elements: &[T], shape: &[usize], order: Order) -> Result<String> {
    npy::save(&args.output, elements, shape, order)?;
    let fortran = if order == Order::F { ", Fortran order" } else { "" };
    let size = units::bytes(size_of_val(elements) as u64);
    let path = args.output.display();
    Ok(format!("{path}: {} x {}{fortran}, {size}", shown::shape(shape), T::DTYPE))
}
