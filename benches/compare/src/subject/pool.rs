//! Pools of worker processes that run an empty task: ours, procspawn's, and a bare futex between two processes.
//!
//! One process plays all of them, in turn, so that whatever slows the machine down slows all of them down.

use std::sync::atomic::{AtomicU32, Ordering};

use crossdock::SharedBlock;
use crossdock::process::{JoinHandle, Pool, Process};
use rustix::io::Errno;
use rustix::thread::futex;

use crate::Result;
use crate::clock::now_ns;
use crate::control::Control;
use crate::place::Place;
use crate::play::bursts;

/// What is done, in the order of the samples: the floor; ours to and fro, one by one, in a map; procspawn's to and
/// fro, one by one.
pub(crate) const WAYS: usize = 6;
/// Times to and fro for one sample.
const TURNS: u32 = 100;
/// Tasks of a sample of many.
const MANY: u32 = 1000;
/// The other end of the floor is to end.
const OVER: u32 = u32::MAX;

fn next(number: u32) -> u32 {
    number + 1
}

/// Two words, of which each side writes one.
#[repr(C)]
struct Words {
    ping: AtomicU32,
    other_line: [u8; 124],
    pong: AtomicU32,
}

struct Floor {
    block: SharedBlock,
    echo: Option<JoinHandle<()>>,
    turn: u32,
}

fn words(block: &SharedBlock) -> &Words {
    // SAFETY: the block is page-aligned, longer than `Words`, and lives as long as the reference; both sides use nothing
    // of it but the atomics, for which any bytes are valid.
    unsafe { &*block.as_ptr().cast::<Words>() }
}

/// Waits in the kernel until a word is another one.
fn wait(word: &AtomicU32, seen: u32) -> Result<u32> {
    loop {
        let now = word.load(Ordering::Acquire);
        if now != seen {
            return Ok(now);
        }
        match futex::wait(word, futex::Flags::empty(), seen, None) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn say(word: &AtomicU32, number: u32) -> Result<()> {
    word.store(number, Ordering::Release);
    futex::wake(word, futex::Flags::empty(), 1)?;
    Ok(())
}

/// The other end of the floor.
fn echo(name: String) {
    let Ok(block) = SharedBlock::open(&name) else { return };
    let (words, mut seen) = (words(&block), 0);
    while let Ok(number) = wait(&words.ping, seen)
        && number != OVER
        && say(&words.pong, number).is_ok()
    {
        seen = number;
    }
}

impl Floor {
    fn new(name: &str) -> Result<Self> {
        let block = SharedBlock::create(name, size_of::<Words>())?;
        let echo = Process::options().daemon(true).spawn(echo, name.to_owned())?;
        Ok(Self { block, echo: Some(echo), turn: 0 })
    }

    fn turn(&mut self) -> Result<()> {
        let (words, before) = (words(&self.block), self.turn);
        self.turn += 1;
        say(&words.ping, self.turn)?;
        let answer = wait(&words.pong, before)?;
        same(answer, self.turn)
    }

    fn end(mut self) -> Result<()> {
        say(&words(&self.block).ping, OVER)?;
        Ok(self.echo.take().map_or(Ok(()), JoinHandle::join)?)
    }
}

/// Runs tasks as often as the parent wants; [`WAYS`] samples a time, in nanoseconds for each task.
pub(crate) fn pools(place: &Place, control: &mut Control) -> Result<()> {
    let mut floor = Floor::new(&place.id)?;
    let (one, two) = (Pool::new(1)?, Pool::new(2)?);
    let (their_one, their_two) = (procspawn::Pool::new(1)?, procspawn::Pool::new(2)?);
    control.token("")?;
    bursts(control, || -> Result<[f64; WAYS]> {
        Ok([
            timed(TURNS, |_| floor.turn())?,
            timed(TURNS, |number| same(one.apply(next, number)?, number + 1))?,
            many(&two)?,
            map(&two)?,
            timed(TURNS, |number| same(their_one.spawn(number, next).join()?, number + 1))?,
            many_of_theirs(&their_two)?,
        ])
    })?;
    their_one.shutdown();
    their_two.shutdown();
    one.join()?;
    two.join()?;
    floor.end()
}

fn many(pool: &Pool) -> Result<f64> {
    let start_ns = now_ns();
    let futures: Vec<_> = (0..MANY).map(|number| pool.apply_async(next, number)).collect();
    for (number, future) in (0..).zip(futures) {
        same(future?.result()?, number + 1)?;
    }
    Ok((now_ns() - start_ns) as f64 / f64::from(MANY))
}

fn map(pool: &Pool) -> Result<f64> {
    let start_ns = now_ns();
    let results = pool.map(next, 0..MANY)?;
    let end_ns = now_ns();
    same(results.len() as u32, MANY)?;
    (0..).zip(results).try_for_each(|(number, result)| same(result, number + 1))?;
    Ok((end_ns - start_ns) as f64 / f64::from(MANY))
}

fn many_of_theirs(pool: &procspawn::Pool) -> Result<f64> {
    let start_ns = now_ns();
    let handles: Vec<_> = (0..MANY).map(|number| pool.spawn(number, next)).collect();
    for (number, handle) in (0..).zip(handles) {
        same(handle.join()?, number + 1)?;
    }
    Ok((now_ns() - start_ns) as f64 / f64::from(MANY))
}

fn same(found: u32, wanted: u32) -> Result<()> {
    if found == wanted { Ok(()) } else { Err(format!("{found} is not {wanted}").into()) }
}

fn timed(count: u32, mut each: impl FnMut(u32) -> Result<()>) -> Result<f64> {
    let start_ns = now_ns();
    for number in 0..count {
        each(number)?;
    }
    Ok((now_ns() - start_ns) as f64 / f64::from(count))
}
