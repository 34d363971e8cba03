//! What a child does with its end of a subject, the same for every subject.

use crate::clock::{cost_ns, now_ns, pause_ns};
use crate::control::{Control, Request};
use crate::place::Side;
use crate::{Result, clock};

/// Before a timed hand-over, so that the receiver sleeps by then.
const SETTLE_NS: u64 = 300_000;

/// What travels in an array of a ping-pong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Note {
    /// Counts the round trips; the other side checks and echoes it.
    pub(crate) seq: u64,
    /// How long B kept the array on purpose, to be taken off A's time.
    pub(crate) held_ns: u64,
}

/// One end of a ping-pong of small messages or of handles.
pub(crate) trait Hop {
    /// Hands over an array with `note` in it.
    fn send(&mut self, note: Note) -> Result<()>;
    /// Takes the next array and reads the note in it.
    fn recv(&mut self) -> Result<Note>;
}

/// One end of a carrier of whole arrays, one way.
pub(crate) trait Carry {
    /// Writes every element of the next array.
    fn fill(&mut self, value: f64) -> Result<()>;
    /// Hands over what was filled.
    fn send(&mut self) -> Result<()>;
    /// Waits until an array is in this process's hands, asleep.
    fn recv(&mut self) -> Result<()>;
    /// Reads every element of it: how many there are, and their sum.
    fn sum(&mut self) -> Result<(usize, f64)>;
    /// Lets go of it.
    fn release(&mut self) -> Result<()>;
}

/// Memory that is obtained and written, in one process.
pub(crate) trait Fill {
    /// Obtains an array and writes every element of it.
    fn fill(&mut self, value: f64) -> Result<()>;
    /// One element, and gives the array back.
    fn release(&mut self) -> Result<f64>;
}

/// One end of a channel whose arrays stay where they are while somebody counts bytes.
pub(crate) trait Stock {
    /// Fills and sends an array.
    fn queue(&mut self) -> Result<()>;
    /// Receives an array and keeps it.
    fn hold(&mut self) -> Result<()>;
    /// Fills an array and keeps it unsent.
    fn loan(&mut self) -> Result<()>;
}

/// Plays ping-pong for as long as the parent wants.
pub(crate) fn hops(control: &mut Control, side: Side, mut hop: impl Hop) -> Result<()> {
    let cost_ns = cost_ns();
    let mut seq = 0;
    control.ready()?;
    loop {
        match (control.next()?, side) {
            (Request::Burst { count, pause_ns }, Side::A) => {
                let samples = ping(&mut hop, &mut seq, count, pause_ns, cost_ns)?;
                control.say(&format!("samples {}", join(&samples)))?;
            }
            (Request::Burst { count, pause_ns }, Side::B) => {
                pong(&mut hop, &mut seq, count, pause_ns)?;
                control.say("samples")?;
            }
            (Request::Quit, _) => return Ok(()),
            (other, _) => return Err(format!("a hop cannot {other:?}").into()),
        }
    }
}

fn ping(
    hop: &mut impl Hop,
    seq: &mut u64,
    count: usize,
    pause_ns: u64,
    cost_ns: f64,
) -> Result<Vec<f64>> {
    let mut samples = Vec::with_capacity(count);
    for _ in 0..count {
        *seq += 1;
        if pause_ns > 0 {
            clock::pause_ns(pause_ns);
        }
        let start_ns = now_ns();
        hop.send(Note { seq: *seq, held_ns: 0 })?;
        let back = hop.recv()?;
        let trip_ns = now_ns() - start_ns;
        if back.seq != *seq {
            return Err(format!("sent {seq}, {} came back", back.seq).into());
        }
        samples.push((trip_ns.saturating_sub(back.held_ns) as f64 - cost_ns).max(1.0) / 2.0);
    }
    Ok(samples)
}

fn pong(hop: &mut impl Hop, seq: &mut u64, count: usize, pause_ns: u64) -> Result<()> {
    for _ in 0..count {
        let note = hop.recv()?;
        *seq += 1;
        if note.seq != *seq {
            return Err(format!("expected {seq}, got {}", note.seq).into());
        }
        let held_ns = if pause_ns > 0 { hold(pause_ns) } else { 0 };
        hop.send(Note { seq: *seq, held_ns })?;
    }
    Ok(())
}

/// Waits, and says how long it really was.
fn hold(ns: u64) -> u64 {
    let start_ns = now_ns();
    pause_ns(ns);
    now_ns() - start_ns
}

/// Carries whole arrays for as long as the parent wants.
pub(crate) fn carries(control: &mut Control, len: usize, mut carry: impl Carry) -> Result<()> {
    control.ready()?;
    loop {
        match control.next()? {
            Request::Send { value } => {
                let [start_ns, filled_ns] = hand_over(&mut carry, value)?;
                control.say(&format!("sent {start_ns} {filled_ns}"))?;
            }
            Request::Recv { value } => {
                let [got_ns, read_ns] = take_over(&mut carry, len, value)?;
                control.say(&format!("got {got_ns} {read_ns}"))?;
            }
            Request::Quit => return Ok(()),
            other => return Err(format!("a carrier cannot {other:?}").into()),
        }
    }
}

/// Fills and sends an array: when that began, and when it was filled.
pub(crate) fn hand_over(carry: &mut impl Carry, value: f64) -> Result<[u64; 2]> {
    pause_ns(SETTLE_NS);
    let start_ns = now_ns();
    carry.fill(value)?;
    let filled_ns = now_ns();
    carry.send()?;
    Ok([start_ns, filled_ns])
}

/// Receives and sums an array: when it was here, and when it was read.
pub(crate) fn take_over(carry: &mut impl Carry, len: usize, value: f64) -> Result<[u64; 2]> {
    carry.recv()?;
    let got_ns = now_ns();
    let (read, total) = carry.sum()?;
    let read_ns = now_ns();
    carry.release()?;
    if read != len || total != value * len as f64 {
        return Err(format!("expected {len} \u{d7} {value}, read {read}: {total}").into());
    }
    Ok([got_ns, read_ns])
}

/// Fills memory for as long as the parent wants.
pub(crate) fn fills(control: &mut Control, mut memory: impl Fill) -> Result<()> {
    let cost_ns = cost_ns();
    let mut value = 0.0;
    bursts(control, || {
        value += 1.0;
        let start_ns = now_ns();
        memory.fill(value)?;
        let sample_ns = ((now_ns() - start_ns) as f64 - cost_ns).max(1.0);
        if memory.release()? != value {
            return Err("the memory does not hold what was written".into());
        }
        Ok([sample_ns])
    })
}

/// Does things in so many ways, one after the other, for as long as the parent wants; a sample of each way a time.
pub(crate) fn bursts<const WAYS: usize>(
    control: &mut Control,
    mut all_ways: impl FnMut() -> Result<[f64; WAYS]>,
) -> Result<()> {
    control.ready()?;
    loop {
        match control.next()? {
            Request::Burst { count, .. } => {
                let mut samples = Vec::with_capacity(WAYS * count);
                for _ in 0..count {
                    samples.extend(all_ways()?);
                }
                control.say(&format!("samples {}", join(&samples)))?;
            }
            Request::Quit => return Ok(()),
            other => return Err(format!("a burst cannot {other:?}").into()),
        }
    }
}

/// Moves arrays into the positions the parent wants to weigh.
pub(crate) fn stocks(control: &mut Control, mut stock: impl Stock) -> Result<()> {
    control.ready()?;
    loop {
        let done = match control.next()? {
            Request::Queue { count } => (0..count).try_for_each(|_| stock.queue()),
            Request::Hold { count } => (0..count).try_for_each(|_| stock.hold()),
            Request::Loan { count } => (0..count).try_for_each(|_| stock.loan()),
            Request::Quit => return Ok(()),
            other => Err(format!("a stock cannot {other:?}").into()),
        };
        done?;
        control.say("done")?;
    }
}

fn join(samples: &[f64]) -> String {
    samples.iter().map(f64::to_string).collect::<Vec<_>>().join(" ")
}
