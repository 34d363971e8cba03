//! Where one row takes place: its directory of names, what is put there, and what came of it.

use super::rows::ROWS;
use crate::campaign::rng::Rng;
use crate::campaign::{Violation, ensure};
use crossdock::channel::{Receiver, Sender};
use crossdock::{Array, ArrayMut, Error, ErrorKind, SharedBlock};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    index: usize,
    #[arg(long)]
    nth: u64,
    #[arg(long)]
    seed: u64,
    #[arg(long)]
    short: bool,
}

/// The name that the rows use.
pub(crate) const NAME: &str = "target";
/// Where the flags are in a header.
const FLAGS_OFFSET: usize = 48;
/// Slots of the channels here.
pub(crate) const CAPACITY: usize = 4;

/// The place of a row.
pub(crate) struct Ground {
    pub(crate) names: PathBuf,
    pub(crate) nth: u64,
    pub(crate) is_short: bool,
    pub(crate) rng: Rng,
}

pub(crate) fn run(args: &Args) -> Result<(), Violation> {
    let names = std::env::var_os("CROSSDOCK_DIR").map(PathBuf::from).unwrap_or_default();
    let rng = Rng::new(args.seed);
    let mut ground = Ground { names, nth: args.nth, is_short: args.short, rng };
    let row = ROWS.get(args.index).ok_or("no such row")?;
    (row.run)(&mut ground)?;
    if row.is_swept { ground.uproot() } else { Ok(()) }
}

/// A kind of object under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Specimen {
    Block,
    Array,
    Channel,
}

impl Ground {
    /// The path of a name.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.names.join(name)
    }

    /// Makes the directory of names as the library would.
    pub(crate) fn make_names(&self) -> Result<(), Violation> {
        Ok(fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.names)?)
    }

    /// Writes down what came of a call. An error must name its object, or the directory.
    pub(crate) fn note<T>(&self, result: &Result<T, Error>) -> Result<(), Violation> {
        let Err(error) = result else {
            println!("got Ok");
            return Ok(());
        };
        let text = error.to_string();
        println!("got {:?}\t{text}", error.kind());
        let names = [NAME, &self.names.to_string_lossy(), "parties", "arena", "region", "block-"];
        ensure(error.name().is_some() || names.iter().any(|name| text.contains(*name)), || {
            format!("an error that names nothing: {error:?}")
        })
    }

    /// Notes a call that must succeed.
    pub(crate) fn must<T>(&self, what: &str, result: Result<T, Error>) -> Result<T, Violation> {
        result.map_err(|error| Violation(format!("{what}: {error:?}")))
    }

    /// The bytes of a sound object, changed to outlive its users.
    pub(crate) fn specimen(&self, kind: Specimen) -> Result<Vec<u8>, Violation> {
        let path = self.path("specimen");
        let mut bytes = match kind {
            Specimen::Block => {
                let _block = SharedBlock::create("specimen", 1000)?;
                fs::read(path)?
            }
            Specimen::Array => {
                let _array = Array::<f32>::create("specimen", [5, 7], |index| index as f32)?;
                fs::read(path)?
            }
            Specimen::Channel => {
                let _channel = Sender::<ArrayMut<f32>>::create("specimen", CAPACITY)?;
                fs::read(path)?
            }
        };
        bytes[FLAGS_OFFSET] |= 1;
        self.make_names()?;
        Ok(bytes)
    }

    /// Puts a file under the name.
    pub(crate) fn plant(&self, bytes: &[u8]) -> Result<(), Violation> {
        self.uproot()?;
        self.make_names()?;
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(self.path(NAME))?;
        Ok(file.write_all(bytes)?)
    }

    /// Removes what is under the name.
    pub(crate) fn uproot(&self) -> Result<(), Violation> {
        let path = self.path(NAME);
        let is_directory = fs::symlink_metadata(&path).map(|metadata| metadata.is_dir());
        match is_directory {
            Ok(true) => Ok(fs::remove_dir(path)?),
            Ok(false) => Ok(fs::remove_file(path)?),
            Err(_) => Ok(()),
        }
    }

    /// Opens the name as a block, an array and a channel, and uses what opens.
    pub(crate) fn open_all(&self) -> Result<(), Violation> {
        self.note(&SharedBlock::open(NAME).and_then(|block| use_block(&block)))?;
        self.note(&SharedBlock::options().read_only(true).open(NAME).map(|_| ()))?;
        self.note(&Array::<f32>::open(NAME).map(|array| use_array(&array)))?;
        self.note(&ArrayMut::<f32>::open(NAME).map(|array| use_array(&array)))?;
        self.note(&Sender::<ArrayMut<f32>>::open(NAME).and_then(|sender| use_sender(&sender)))?;
        self.note(&Receiver::<ArrayMut<f32>>::open(NAME).map(|receiver| use_receiver(&receiver)))
    }

    /// Tries to make a block, an array and a channel under the name.
    pub(crate) fn create_all(&self) -> Result<(), Violation> {
        self.note(&SharedBlock::create(NAME, 100))?;
        self.note(&SharedBlock::open_or_create(NAME, 100))?;
        self.note(&Array::<f32>::create(NAME, 10, |_| 1.0))?;
        self.note(&Sender::<ArrayMut<f32>>::create(NAME, CAPACITY))?;
        self.note(&Receiver::<ArrayMut<f32>>::open_or_create(NAME, CAPACITY))
    }
}

/// Reads and writes every byte.
pub(crate) fn use_block(block: &SharedBlock) -> Result<(), Error> {
    let mut bytes = vec![0; block.len().min(1 << 24)];
    block.read_at(0, &mut bytes)?;
    block.write_at(0, &bytes)
}

/// Reads every element.
pub(crate) fn use_array(array: &[f32]) {
    std::hint::black_box(array.iter().map(|value| f64::from(*value)).sum::<f64>());
}

/// Sends a message; no room and nobody there are as good as any.
fn use_sender(sender: &Sender<ArrayMut<f32>>) -> Result<(), Error> {
    use crossdock::channel::TrySendError;
    match sender.try_send(ArrayMut::zeroed(10)?) {
        Err(TrySendError::Failed(_, error)) if error.kind() != ErrorKind::Corrupt => Err(error),
        _ => Ok(()),
    }
}

fn use_receiver(receiver: &Receiver<ArrayMut<f32>>) {
    if let Ok(array) = receiver.try_recv() {
        use_array(&array);
    }
}
