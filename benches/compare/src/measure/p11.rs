//! P11: bytes reserved for one sender and one receiver, against the arrays alive.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{MIB, Measure};
use crate::Result;
use crate::bench::Bench;
use crate::pair::{Pair, ask};
use crate::stats::Samples;
use crate::subject::iceoryx2;
use crate::table::{Comparison, Goal, Row, Unit};

pub(super) const MEASURE: Measure =
    Measure { id: "P11", title: "bytes reserved: queue of 2, four arrays of 64 MiB alive", run };

const BYTES: usize = 64 * MIB;
/// Two queued, one held by the receiver, one being written.
const ALIVE: usize = 4 * BYTES;

/// What files say they are long, and what they occupy.
#[derive(Debug, Default, Clone, Copy)]
struct Weight {
    apparent: u64,
    reserved: u64,
}

fn run(bench: &Bench) -> Result<Vec<Row>> {
    let bar = bench.progress("P11", 2);
    bar.set_message("crossdock");
    let ours = weigh(bench, "crossdock-stock", |_| bench.crossdock_dir())?;
    bar.inc(1);
    bar.set_message("iceoryx2");
    let theirs = weigh(bench, "iceoryx2-stock", |pair| {
        Path::new("/dev/shm").join(iceoryx2::prefix(&pair.id))
    })?;
    bar.finish_and_clear();
    let limit = (1.25 * ALIVE as f64 + MIB as f64) / ALIVE as f64;
    let ratio = |bytes: u64, goal| Comparison {
        against: "the arrays alive".to_owned(),
        ratio: bytes as f64 / ALIVE as f64,
        goal,
    };
    Ok(vec![
        row("the arrays alive", ALIVE as u64),
        row("crossdock: occupied", ours.reserved)
            .against(Some(ratio(ours.reserved, Goal::AtMost(limit)))),
        row("iceoryx2: occupied once written", theirs.reserved)
            .against(Some(ratio(theirs.reserved, Goal::Ratio))),
        row("iceoryx2: length of its files", theirs.apparent)
            .against(Some(ratio(theirs.apparent, Goal::Ratio))),
    ])
}

fn row(subject: &str, bytes: u64) -> Row {
    let mut samples = Samples::default();
    samples.push_round(vec![bytes as f64]);
    Row { unit: Unit::Bytes, ..Row::of("P11", subject, BYTES, &samples) }
}

/// Brings the arrays into their places, then counts.
fn weigh(bench: &Bench, role: &str, prefix: impl Fn(&Pair) -> PathBuf) -> Result<Weight> {
    let mut pair = Pair::open(bench, role, BYTES)?;
    ask(&mut pair.a, "queue 1")?;
    if let Some(b) = &mut pair.b {
        ask(b, "hold 1")?;
    }
    ask(&mut pair.a, "queue 2")?;
    ask(&mut pair.a, "loan 1")?;
    let mut files = HashMap::new();
    add_named(&prefix(&pair), &mut files);
    for pid in
        [Some(pair.a.pid()), pair.b.as_ref().map(crate::peer::Peer::pid)].into_iter().flatten()
    {
        add_unnamed(pid, &mut files);
    }
    pair.quit()?;
    Ok(files.into_values().fold(Weight::default(), |sum, file| Weight {
        apparent: sum.apparent + file.apparent,
        reserved: sum.reserved + file.reserved,
    }))
}

/// A file is counted once, however many names and descriptors it has.
type Files = HashMap<(u64, u64), Weight>;

fn add(path: &Path, files: &mut Files) {
    let Ok(status) = fs::metadata(path) else { return };
    if status.is_file() {
        let weight = Weight { apparent: status.len(), reserved: status.blocks() * 512 };
        files.insert((status.dev(), status.ino()), weight);
    }
}

/// The files whose path begins with `prefix`, at any depth.
fn add_named(prefix: &Path, files: &mut Files) {
    let Some(parent) = prefix.parent() else { return };
    let mut pending = vec![parent.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if !path.as_os_str().to_string_lossy().starts_with(&*prefix.to_string_lossy()) {
                continue;
            }
            if path.is_dir() {
                pending.push(path);
            } else {
                add(&path, files);
            }
        }
    }
}

/// Shared memory that has no name (any more), but that a process has open or mapped.
fn add_unnamed(pid: u32, files: &mut Files) {
    for kind in ["fd", "map_files"] {
        let directory = Path::new("/proc").join(pid.to_string()).join(kind);
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let target = fs::read_link(entry.path()).unwrap_or_default();
            let target = target.to_string_lossy();
            let unnamed = target.ends_with(" (deleted)");
            if target.starts_with("/memfd:") || (unnamed && target.starts_with("/dev/shm/")) {
                add(&entry.path(), files);
            }
        }
    }
}
