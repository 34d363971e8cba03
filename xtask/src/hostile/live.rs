//! Damage to what living processes use.

use super::ground::{Ground, NAME};
use super::mutator;
use crate::campaign::Violation;
use crossdock::channel::{Receiver, RecvTimeoutError, Sender};
use crossdock::{Array, ArrayMut, Error, SharedBlock, registry};
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

#[derive(clap::Args)]
pub(crate) struct Args {
    part: Part,
    #[arg(default_value = NAME)]
    name: String,
}

/// What a helper does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Sends arrays into the channel and then waits to be killed.
    Hold,
    /// Makes a plain POSIX block and waits to be killed.
    Posix,
    /// Sends for some seconds, whatever comes.
    Send,
    /// Receives for some seconds, whatever comes.
    Receive,
}

pub(crate) type Done = Result<(), Violation>;

const WAIT: Duration = Duration::from_millis(50);
/// How long after its limit a call may come back.
pub(crate) const LATE_MAX: Duration = Duration::from_secs(20);
/// Bytes of the arrays that a holder sends.
const HELD: [usize; 3] = [10, 5000, 200_000];

pub(crate) fn help(args: &Args) -> Done {
    match args.part {
        Part::Hold => {
            let sender = Sender::<Array<u8>>::create(&args.name, 8)?;
            for len in HELD {
                let array = Array::from_fn(len, |_| 7_u8)?;
                sender.send(array).map_err(Error::from)?;
            }
            wait_for_the_end();
            drop(sender);
        }
        Part::Posix => {
            let block = SharedBlock::options().posix_name(true).create(&args.name, 5000)?;
            wait_for_the_end();
            drop(block);
        }
        Part::Send => mutator::send()?,
        Part::Receive => mutator::receive()?,
    }
    Ok(())
}

/// Says that all is ready, and waits to be killed.
fn wait_for_the_end() {
    println!("ready");
    std::thread::sleep(Duration::from_secs(60));
}

/// Starts a helper and waits until it is ready.
pub(crate) fn start(part: &str, name: &str) -> Result<Child, Violation> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["role", "helper", part, name])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut word = [0; 5];
    match child.stdout.as_mut().map(|stdout| stdout.read_exact(&mut word)) {
        Some(Ok(())) => Ok(child),
        _ => Err(Violation(format!("helper {part} is not ready: {:?}", child.wait()?))),
    }
}

pub(crate) fn end(mut child: Child) -> Done {
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// The files of the directory that begin like this.
fn files(ground: &Ground, start: &str) -> Result<Vec<String>, Violation> {
    let names = fs::read_dir(&ground.names)?.filter_map(Result::ok);
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names.filter(|name| name.starts_with(start)).collect())
}

pub(crate) fn open_file(ground: &Ground, name: &str) -> Result<File, Violation> {
    Ok(OpenOptions::new().read(true).write(true).open(ground.path(name))?)
}

/// Joins a directory, receives what is in the channel, looks and cleans.
fn use_everything(ground: &Ground) -> Done {
    let array = ArrayMut::<u8>::zeroed(100);
    ground.note(&array)?;
    let receiver = match Receiver::<Array<u8>>::open(NAME) {
        Ok(receiver) => receiver,
        Err(error) => return ground.note(&Err::<(), _>(error)),
    };
    for _ in HELD {
        match receiver.recv_timeout(WAIT) {
            Ok(array) => {
                std::hint::black_box(array.iter().map(|byte| u64::from(*byte)).sum::<u64>());
                ground.note(&Ok::<_, Error>(()))?;
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            Err(error) => ground.note(&Err::<(), Error>(error.into()))?,
        }
    }
    // Whatever they find, they come back.
    let _ = registry::list();
    let _ = registry::gc(true);
    Ok(())
}

pub(crate) fn truncated_parties(ground: &mut Ground) -> Done {
    end(start("hold", NAME)?)?;
    open_file(ground, ".parties")?.set_len(64 * ground.nth)?;
    use_everything(ground)
}

pub(crate) fn scrambled_parties(ground: &mut Ground) -> Done {
    let holder = start("hold", NAME)?;
    let file = open_file(ground, ".parties")?;
    let len = if ground.rng.one_in(2) { 1024 } else { file.metadata()?.len() };
    for _ in 0..1 + ground.rng.below(20) {
        let word = ground.rng.next() >> ground.rng.below(64);
        file.write_all_at(&word.to_le_bytes(), 8 * ground.rng.below(len / 8))?;
    }
    use_everything(ground)?;
    end(holder)?;
    use_everything(ground)
}

pub(crate) fn truncated_arena(ground: &mut Ground) -> Done {
    let holder = start("hold", NAME)?;
    let names = files(ground, ".arena.")?;
    let table = names.iter().min_by_key(|name| name.len()).ok_or("no arena")?;
    open_file(ground, table)?.set_len(64 * ground.nth)?;
    use_everything(ground)?;
    end(holder)
}

pub(crate) fn truncated_region(ground: &mut Ground) -> Done {
    let holder = start("hold", NAME)?;
    for name in files(ground, ".arena.")?.iter().filter(|name| name.matches('.').count() == 4) {
        open_file(ground, name)?.set_len(4096 * ground.nth)?;
    }
    use_everything(ground)?;
    end(holder)
}

pub(crate) fn stale_posix(ground: &mut Ground) -> Done {
    let name = format!("xtask-stale-{}", std::process::id());
    end(start("posix", &name)?)?;
    let options = SharedBlock::options().posix_name(true);
    ground.note(&options.create(&name, 5000))?;
    ground.note(&options.open(&name))?;
    Ok(fs::remove_file(format!("/dev/shm/{name}"))?)
}

pub(crate) fn empty_posix(ground: &mut Ground) -> Done {
    let name = format!("xtask-empty-{}", std::process::id());
    fs::write(format!("/dev/shm/{name}"), "")?;
    ground.note(&SharedBlock::options().posix_name(true).open(&name))?;
    Ok(fs::remove_file(format!("/dev/shm/{name}"))?)
}
