//! Serde values between two processes: ours, and those of ipc-channel.
//!
//! One process is at this end of all of them, in turn, so that whatever slows the machine down slows all of them
//! down. The other ends are processes of their own.

use crossdock::Error;
use crossdock::process::{self, Connection, Process, Queue};
use ipc_channel::ipc::{self, IpcOneShotServer, IpcReceiver, IpcSender};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::clock::now_ns;
use crate::control::Control;
use crate::place::Place;
use crate::play::bursts;

/// What is done, in the order of the samples: to and fro, a stream; ours, then ipc-channel's.
pub(crate) const WAYS: usize = 4;
/// Times that a value goes to and fro for one sample.
const TURNS: u64 = 100;
/// Values of a stream.
const STREAM: u64 = 2000;
/// Values that our queue has room for. That of ipc-channel takes what the sockets take.
const CAPACITY: usize = 256;

/// The same as in values.py.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Item {
    number: u64,
    name: String,
    numbers: Vec<f64>,
}

/// Of the numbers and the text.
pub(crate) const BYTES: usize = 8 + 12 + 16 * 8;

impl Item {
    fn new(number: u64) -> Self {
        Self { number, name: format!("item {number:07}"), numbers: vec![number as f64; 16] }
    }

    fn check(&self, number: u64) -> Result<()> {
        if *self == Self::new(number) {
            Ok(())
        } else {
            Err(format!("{self:?} is not item {number}").into())
        }
    }
}

/// The other end of ours.
fn serve_ours((line, queue, counts): (Connection<Item, Item>, Queue<Option<Item>>, Queue<u64>)) {
    let talk = std::thread::spawn(move || {
        while let Ok(item) = line.recv() {
            if line.send(item).is_err() {
                return;
            }
        }
    });
    let mut count = 0;
    while let Ok(item) = queue.get() {
        match item {
            Some(item) => count += item.number,
            None if counts.put(std::mem::take(&mut count)).is_err() => break,
            None => {}
        }
    }
    drop(talk.join());
}

/// What the two ends of ipc-channel's hand each other at first.
#[derive(Serialize, Deserialize)]
struct Ends {
    replies: IpcReceiver<Item>,
    requests: IpcSender<Item>,
    stream: IpcSender<Option<Item>>,
    counts: IpcReceiver<u64>,
}

/// The other end of ipc-channel's.
fn serve_theirs(server: String) {
    let serve = || -> Result<()> {
        let (requests, from_parent) = ipc::channel::<Item>()?;
        let (to_parent, replies) = ipc::channel::<Item>()?;
        let (stream, values) = ipc::channel::<Option<Item>>()?;
        let (counted, counts) = ipc::channel::<u64>()?;
        IpcSender::connect(server)?.send(Ends { replies, requests, stream, counts })?;
        let talk = std::thread::spawn(move || {
            while let Ok(item) = from_parent.recv() {
                if to_parent.send(item).is_err() {
                    return;
                }
            }
        });
        let mut count = 0;
        while let Ok(item) = values.recv() {
            match item {
                Some(item) => count += item.number,
                None => counted.send(std::mem::take(&mut count))?,
            }
        }
        drop(talk.join());
        Ok(())
    };
    // Without its parent it has nothing to do.
    drop(serve());
}

/// Sends as often as the parent wants; [`WAYS`] samples a time, in nanoseconds for each value.
pub(crate) fn values(_: &Place, control: &mut Control) -> Result<()> {
    let (line, other) = process::pipe::<Item, Item>()?;
    let (queue, counts) = (Queue::new(CAPACITY)?, Queue::<u64>::new(1)?);
    let arguments = (other, queue.clone(), counts.clone());
    let ours = Process::options().daemon(true).spawn(serve_ours, arguments)?;
    let (server, name) = IpcOneShotServer::<Ends>::new()?;
    let theirs = Process::options().daemon(true).spawn(serve_theirs, name)?;
    let (_, ends) = server.accept()?;
    control.token("")?;
    bursts(control, || -> Result<[f64; WAYS]> {
        Ok([
            to_and_fro(&line)?,
            stream(&queue, &counts)?,
            to_and_fro_theirs(&ends)?,
            stream_theirs(&ends)?,
        ])
    })?;
    drop((line, queue, counts, ends));
    ours.join()?;
    Ok(theirs.join()?)
}

fn to_and_fro(line: &Connection<Item, Item>) -> Result<f64> {
    timed(TURNS, |number| {
        line.send(Item::new(number)).map_err(Error::from)?;
        line.recv().map_err(Error::from)?.check(number)
    })
}

fn stream(queue: &Queue<Option<Item>>, counts: &Queue<u64>) -> Result<f64> {
    let start_ns = now_ns();
    for number in 0..STREAM {
        queue.put(Some(Item::new(number))).map_err(Error::from)?;
    }
    queue.put(None).map_err(Error::from)?;
    counted(counts.get().map_err(Error::from)?, start_ns)
}

fn to_and_fro_theirs(ends: &Ends) -> Result<f64> {
    timed(TURNS, |number| {
        ends.requests.send(Item::new(number))?;
        ends.replies.recv()?.check(number)
    })
}

fn stream_theirs(ends: &Ends) -> Result<f64> {
    let start_ns = now_ns();
    for number in 0..STREAM {
        ends.stream.send(Some(Item::new(number)))?;
    }
    ends.stream.send(None)?;
    counted(ends.counts.recv()?, start_ns)
}

/// Nanoseconds for each value of a stream, all of which have arrived.
fn counted(count: u64, start_ns: u64) -> Result<f64> {
    let end_ns = now_ns();
    if count != STREAM * (STREAM - 1) / 2 {
        return Err(format!("the numbers that arrived make {count}").into());
    }
    Ok((end_ns - start_ns) as f64 / STREAM as f64)
}

fn timed(count: u64, mut each: impl FnMut(u64) -> Result<()>) -> Result<f64> {
    let start_ns = now_ns();
    for number in 0..count {
        each(number)?;
    }
    Ok((now_ns() - start_ns) as f64 / count as f64)
}
