//! Damage to what living processes use.

use super::ground::{Ground, NAME};
use crate::campaign::{Violation, ensure};
use crossdock::channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender};
use crossdock::{Array, ArrayMut, Error, SharedBlock, registry};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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

type Done = Result<(), Violation>;

const WAIT: Duration = Duration::from_millis(50);
/// How long after its limit a call may come back.
const LATE_MAX: Duration = Duration::from_secs(5);
const MUTATION: Duration = Duration::from_millis(1500);
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
        Part::Send => work(&args.name, send_some)?,
        Part::Receive => work(&args.name, receive_some)?,
    }
    Ok(())
}

/// Says that all is ready, and waits to be killed.
fn wait_for_the_end() {
    println!("ready");
    std::thread::sleep(Duration::from_secs(60));
}

/// Starts a helper and waits until it is ready.
fn start(part: &str, name: &str) -> Result<Child, Violation> {
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

fn end(mut child: Child) -> Done {
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

fn open_file(ground: &Ground, name: &str) -> Result<File, Violation> {
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

pub(crate) fn mutated_channel(ground: &mut Ground) -> Done {
    mutated(ground, |name| Ok(vec![name.to_owned()]))
}

pub(crate) fn mutated_arena(ground: &mut Ground) -> Done {
    let names = ground.names.clone();
    mutated(ground, |_| {
        let entries = fs::read_dir(&names)?.filter_map(Result::ok);
        let files = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        // The tables only: what is in a region is the arrays' own.
        Ok(files
            .filter(|name| name.starts_with(".arena.") && name.matches('.').count() == 3)
            .collect())
    })
}

pub(crate) fn mutated_parties(ground: &mut Ground) -> Done {
    mutated(ground, |_| Ok(vec![".parties".to_owned()]))
}

/// Where the helpers find the name of the channel to use.
fn round_file() -> PathBuf {
    let names = std::env::var_os("CROSSDOCK_DIR").map(PathBuf::from).unwrap_or_default();
    names.with_file_name("round")
}

/// Writes wild words into files while others send and receive through one channel after another.
fn mutated(ground: &mut Ground, files: impl Fn(&str) -> io::Result<Vec<String>>) -> Done {
    let mut helpers = Vec::new();
    for part in ["send", "receive", "send", "receive"] {
        helpers.push(start(part, NAME)?);
    }
    let begin = Instant::now();
    for round in 0_u64.. {
        if begin.elapsed() > MUTATION {
            break;
        }
        let name = format!("{NAME}-{round}");
        // A directory whose table is damaged may refuse a channel; that is an answer, too.
        let keeper = Sender::<ArrayMut<u64>>::create(&name, 8);
        fs::write(round_file(), &name)?;
        for file in files(&name)? {
            if let Ok(file) = open_file(ground, &file) {
                mutate(ground, &file)?;
            }
        }
        drop(keeper);
    }
    for mut helper in helpers {
        let status = loop {
            if let Some(status) = helper.try_wait()? {
                break status;
            }
            if begin.elapsed() > 2 * MUTATION + 2 * LATE_MAX {
                end(helper)?;
                return Err(Violation("a helper hangs".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        ensure(status.success(), || format!("a helper ended with {status}"))?;
    }
    ground.note(&Ok::<_, Error>(()))
}

/// Wild words in a file for a moment; half of them are put back as they were.
fn mutate(ground: &mut Ground, file: &File) -> Done {
    // The header is looked at when the file is opened, what follows all the time.
    let first = if ground.rng.one_in(4) { 0 } else { 32 };
    for _ in 0..40 {
        let words = file.metadata()?.len() / 8;
        if words <= first {
            return Ok(());
        }
        let place = 8 * (first + ground.rng.below(words - first));
        let mut word = [0; 8];
        file.read_exact_at(&mut word, place)?;
        let old = u64::from_le_bytes(word);
        let new = match ground.rng.below(4) {
            0 => ground.rng.next(),
            1 => old ^ (1 << ground.rng.below(64)),
            2 => old.wrapping_add(ground.rng.below(3)).wrapping_sub(1),
            _ => ground.rng.next() >> ground.rng.below(64),
        };
        file.write_all_at(&new.to_le_bytes(), place)?;
        std::thread::sleep(Duration::from_micros(ground.rng.below(300)));
        if ground.rng.one_in(2) {
            file.write_all_at(&old.to_le_bytes(), place)?;
        }
    }
    Ok(())
}

/// Repeats `turn` for the time of the mutation and says how often what came of it.
fn work(name: &str, turn: fn(&str) -> Result<&'static str, Error>) -> Done {
    println!("ready");
    let begin = Instant::now();
    let mut counts = BTreeMap::<String, u64>::new();
    while begin.elapsed() < MUTATION {
        let start = Instant::now();
        let channel = fs::read_to_string(round_file()).unwrap_or_default();
        // It may just be being written.
        let channel = if channel.is_empty() { name.to_owned() } else { channel };
        let outcome = match turn(&channel) {
            Ok(outcome) => outcome.to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        };
        let late = start.elapsed();
        ensure(late < LATE_MAX, || format!("{outcome} took {late:?}"))?;
        *counts.entry(outcome).or_default() += 1;
    }
    eprintln!("{counts:?}");
    Ok(())
}

/// Opens the channel and sends a hundred messages.
fn send_some(name: &str) -> Result<&'static str, Error> {
    let sender = Sender::<ArrayMut<u64>>::open(name)?;
    let mut outcome = "sent";
    for number in 0..100 {
        let array = ArrayMut::from_fn(64, |_| number)?;
        match sender.send_timeout(array, WAIT / 50) {
            Ok(()) => {}
            Err(SendTimeoutError::Timeout(_)) => outcome = "full",
            Err(SendTimeoutError::Disconnected(_)) => return Ok("no receiver"),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(outcome)
}

/// Opens the channel and receives a hundred messages.
fn receive_some(name: &str) -> Result<&'static str, Error> {
    let receiver = Receiver::<ArrayMut<u64>>::open(name)?;
    let mut outcome = "received";
    for _ in 0..100 {
        match receiver.recv_timeout(WAIT / 50) {
            Ok(mut array) => array.fill(1),
            Err(RecvTimeoutError::Timeout) => outcome = "empty",
            Err(RecvTimeoutError::Disconnected) => return Ok("no sender"),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(outcome)
}
