//! Wild words in the files of a directory while others send and receive through it.
//!
//! The words are those of the channel (its signals, its members, the cursors and slots of its queue, the
//! tickets in them), of the arenas' tables of chunks, and of the table of parties; what the arrays carry is
//! left alone. Whatever comes of it, each call returns, in time, with an answer or an error.

use super::ground::{Ground, NAME};
use super::live::{Done, LATE_MAX, end, open_file, start};
use crate::campaign::{Violation, ensure};
use crossdock::channel::{Message, Receiver, RecvTimeoutError, SendTimeoutError, Sender};
use crossdock::{Array, ArrayMut, Error};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const MUTATION: Duration = Duration::from_millis(1500);
/// How long a helper waits for a message, or for room.
const WAIT: Duration = Duration::from_millis(1);
/// Messages that a helper sends or receives before it opens the channel anew.
const MESSAGES: u64 = 100;
const LEN: usize = 64;
/// Elements that the smallest chunk has room for.
const CHUNK_LEN: usize = 512;
const CAPACITY: usize = 8;
/// How long a channel is used.
const ROUND: Duration = Duration::from_millis(20);
/// Words written into a file before it is the next one's turn.
const WORDS: u32 = 10;
/// Words of a header, which is looked at when a file is opened, and not afterwards.
const HEADER_WORDS: u64 = 32;

pub(crate) fn channel(ground: &mut Ground) -> Done {
    mutated(ground, |name| name == NAME)
}

pub(crate) fn arena(ground: &mut Ground) -> Done {
    mutated(ground, is_arena_table)
}

pub(crate) fn parties(ground: &mut Ground) -> Done {
    mutated(ground, |name| name == ".parties")
}

pub(crate) fn everything(ground: &mut Ground) -> Done {
    mutated(ground, |name| [NAME, ".parties"].contains(&name) || is_arena_table(name))
}

/// A region, whose words are the arrays' own, has one number more in its name.
fn is_arena_table(name: &str) -> bool {
    name.starts_with(".arena.") && name.matches('.').count() == 3
}

/// Where the helpers find the name of the channel to use, and where they say what came of it.
fn side_file(what: &str) -> PathBuf {
    let names = std::env::var_os("CROSSDOCK_DIR").map(PathBuf::from).unwrap_or_default();
    names.with_file_name(what)
}

/// Writes wild words into files while others send and receive through one channel after another, of either
/// kind by turns. `is_wanted` is asked for each file; the channel is called `NAME` there.
fn mutated(ground: &mut Ground, is_wanted: impl Fn(&str) -> bool) -> Done {
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
        let keepers = if is_unique(&name) {
            (Sender::<ArrayMut<u64>>::create(&name, CAPACITY).ok(), None)
        } else {
            (None, Sender::<Array<u64>>::create(&name, CAPACITY).ok())
        };
        fs::write(side_file("round"), &name)?;
        let turns = Instant::now();
        while turns.elapsed() < ROUND {
            // A table that is damaged can look as if nobody were there; whoever leaves then takes even the
            // directory away, and whoever comes next makes it anew.
            let files = fs::read_dir(&ground.names).into_iter().flatten();
            for file in files.filter_map(Result::ok) {
                let file = file.file_name().to_string_lossy().into_owned();
                let is_wanted = is_wanted(if file == name { NAME } else { &file });
                if is_wanted && let Ok(file) = open_file(ground, &file) {
                    mutate(ground, &file)?;
                }
            }
            // There may be no such file yet.
            std::thread::sleep(Duration::from_micros(100));
        }
        drop(keepers);
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
    let outcomes = fs::read_to_string(side_file("outcomes"))?;
    for wanted in ["sent", "received"] {
        ensure(outcomes.contains(wanted), || format!("nothing was {wanted}: {outcomes}"))?;
    }
    print!("{outcomes}");
    ground.note(&Ok::<_, Error>(()))
}

/// Whether the channel of this name carries an `ArrayMut`; else it carries an `Array`.
fn is_unique(name: &str) -> bool {
    name.ends_with(['0', '2', '4', '6', '8'])
}

/// Wild words in a file for a moment; most of them are put back as they were, so that the next ones find
/// more than what is broken already.
fn mutate(ground: &mut Ground, file: &File) -> Done {
    let first = if ground.rng.one_in(8) { 0 } else { HEADER_WORDS };
    for _ in 0..WORDS {
        let Some(place) = any_place(ground, file, first)? else { return Ok(()) };
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
        if !ground.rng.one_in(8) {
            file.write_all_at(&old.to_le_bytes(), place)?;
        }
    }
    Ok(())
}

/// Where a word is: usually one of those in use, which are few among those that are there.
fn any_place(ground: &mut Ground, file: &File, first: u64) -> io::Result<Option<u64>> {
    let words = file.metadata()?.len() / 8;
    if words <= first {
        return Ok(None);
    }
    let mut place = first + ground.rng.below(words - first);
    if !ground.rng.one_in(4) {
        let mut bytes = vec![0; 8 * (words - first) as usize];
        file.read_exact_at(&mut bytes, 8 * first)?;
        let is_used = |word: &[u8]| word.iter().any(|byte| *byte != 0);
        let used = bytes.chunks_exact(8).enumerate().filter(|(_, word)| is_used(word));
        let used: Vec<_> = used.map(|(index, _)| first + index as u64).collect();
        if !used.is_empty() {
            place = used[ground.rng.below(used.len() as u64) as usize];
        }
    }
    Ok(Some(8 * place))
}

/// How often what came of a call.
type Counts = BTreeMap<&'static str, u64>;

/// A helper: repeats `turn` for the time of the mutation and says what came of it.
fn work(turn: impl Fn(&str, &mut Counts) -> Result<(), Error>) -> Done {
    println!("ready");
    let begin = Instant::now();
    let (mut counts, mut errors) = (Counts::new(), BTreeMap::<String, u64>::new());
    while begin.elapsed() < MUTATION {
        let start = Instant::now();
        let name = fs::read_to_string(side_file("round")).unwrap_or_default();
        // It may just be being written.
        let name = if name.is_empty() { NAME } else { &name };
        if let Err(error) = turn(name, &mut counts) {
            *errors.entry(format!("{:?}", error.kind())).or_default() += 1;
        }
        let late = start.elapsed();
        ensure(late < LATE_MAX, || format!("a turn took {late:?}: {counts:?} {errors:?}"))?;
    }
    let mut file = OpenOptions::new().append(true).create(true).open(side_file("outcomes"))?;
    Ok(file.write_all(format!("{counts:?} {errors:?}\n").as_bytes())?)
}

pub(crate) fn send() -> Done {
    work(|name, counts| {
        if is_unique(name) {
            send_some(name, counts, |array| array)
        } else {
            send_some(name, counts, ArrayMut::freeze)
        }
    })
}

pub(crate) fn receive() -> Done {
    work(|name, counts| {
        if is_unique(name) {
            // Writes everywhere that it says it may.
            receive_some(name, counts, |mut array: ArrayMut<u64>| {
                array.fill(1);
                array.len()
            })
        } else {
            receive_some(name, counts, |array: Array<u64>| {
                std::hint::black_box(array.iter().fold(0_u64, |sum, word| sum.wrapping_add(*word)));
                array.len()
            })
        }
    })
}

/// Opens the channel and sends some messages.
fn send_some<M: Message>(
    name: &str,
    counts: &mut Counts,
    make: impl Fn(ArrayMut<u64>) -> M,
) -> Result<(), Error> {
    let sender = Sender::<M>::open(name)?;
    for number in 0..MESSAGES {
        let array = ArrayMut::from_fn(LEN, |_| number)?;
        let outcome = match sender.send_timeout(make(array), WAIT) {
            Ok(()) => "sent",
            Err(SendTimeoutError::Timeout(_)) => "full",
            Err(SendTimeoutError::Disconnected(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        *counts.entry(outcome).or_default() += 1;
    }
    Ok(())
}

/// Opens the channel, receives some messages and uses all of each one.
fn receive_some<M: Message>(
    name: &str,
    counts: &mut Counts,
    use_all: impl Fn(M) -> usize,
) -> Result<(), Error> {
    let receiver = Receiver::<M>::open(name)?;
    for _ in 0..MESSAGES {
        let outcome = match receiver.recv_timeout(WAIT) {
            Ok(array) => match use_all(array) {
                LEN => "received",
                // A ticket's extents were changed to others that its chunk has room for.
                ..=CHUNK_LEN => "another length",
                len => panic!("an array of {len} elements, {CHUNK_LEN} fit into its chunk"),
            },
            Err(RecvTimeoutError::Timeout) => "empty",
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        *counts.entry(outcome).or_default() += 1;
    }
    Ok(())
}
