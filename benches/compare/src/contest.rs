//! What a child does with a lock, the same for every subject.

use std::hint::black_box;
use std::thread;

use crate::Result;
use crate::clock::{cost_ns, now_ns, sleep_until};
use crate::control::{Control, Request};
use crate::place::{self, Place};

/// Turns between two looks at the clock, without a rival.
const TURNS_PER_SAMPLE: u64 = 1000;
/// Turns between two looks at the clock, with rivals.
const TURNS_PER_LOOK: u64 = 16;
/// Multiplications outside the lock between two turns, each waiting for the one before: about 50 ns.
const WORK: u32 = 32;

/// A lock, and the counter that it protects.
pub(crate) trait Lock: Sync {
    /// A turn: locks, adds one to the counter, unlocks.
    fn turn(&self) -> Result<()>;
    /// Locks and reads the counter.
    fn total(&self) -> Result<u64>;
}

/// What the threads of this process did together.
#[derive(Debug, Clone, Copy)]
struct Turns {
    start_ns: u64,
    end_ns: u64,
    count: u64,
}

/// Locks and unlocks for as long as the parent wants.
pub(crate) fn contests(control: &mut Control, place: &Place, lock: impl Lock) -> Result<()> {
    let cost_ns = cost_ns();
    control.ready()?;
    loop {
        match control.next()? {
            Request::Burst { count, .. } => {
                let samples = alone(&lock, count, cost_ns)?;
                control.say(&format!("samples {}", samples.join(" ")))?;
            }
            Request::Contend { threads, start_ns, end_ns } => {
                let Turns { start_ns, end_ns, count } =
                    contend(&lock, place, threads, start_ns, end_ns)?;
                control.say(&format!("contended {start_ns} {end_ns} {count}"))?;
            }
            Request::Total => control.say(&format!("total {}", lock.total()?))?,
            Request::Quit => return Ok(()),
            other => return Err(format!("a lock cannot {other:?}").into()),
        }
    }
}

/// Nanoseconds of a turn that nobody else is after, a mean over [`TURNS_PER_SAMPLE`] each.
fn alone(lock: &impl Lock, samples: usize, cost_ns: f64) -> Result<Vec<String>> {
    let before = lock.total()?;
    let mut times = Vec::with_capacity(samples);
    for _ in 0..samples {
        let start_ns = now_ns();
        for _ in 0..TURNS_PER_SAMPLE {
            lock.turn()?;
        }
        let time_ns = (now_ns() - start_ns) as f64 - cost_ns;
        times.push((time_ns / TURNS_PER_SAMPLE as f64).to_string());
    }
    let (turns, counted) = (samples as u64 * TURNS_PER_SAMPLE, lock.total()? - before);
    if counted != turns {
        return Err(format!("{turns} turns were taken, {counted} counted").into());
    }
    Ok(times)
}

fn contend(
    lock: &impl Lock,
    place: &Place,
    threads: usize,
    start_ns: u64,
    end_ns: u64,
) -> Result<Turns> {
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|index| {
                scope.spawn(move || {
                    // As many threads as CPUs: each has one to itself.
                    if place.cpus.len() == threads {
                        place::pin(&[place.cpus[index]])?;
                    }
                    turns(lock, start_ns, end_ns)
                })
            })
            .collect();
        let mut all = Turns { start_ns: u64::MAX, end_ns: 0, count: 0 };
        for thread in running {
            let own = thread.join().map_err(|_| "a thread panicked")??;
            all.start_ns = all.start_ns.min(own.start_ns);
            all.end_ns = all.end_ns.max(own.end_ns);
            all.count += own.count;
        }
        Ok(all)
    })
}

/// The turns of one thread between two time stamps, with a little work outside the lock.
fn turns(lock: &impl Lock, start_ns: u64, end_ns: u64) -> Result<Turns> {
    sleep_until(start_ns);
    let mut done = Turns { start_ns: now_ns(), end_ns: 0, count: 0 };
    while done.end_ns < end_ns {
        for _ in 0..TURNS_PER_LOOK {
            lock.turn()?;
            work(done.count);
        }
        done.count += TURNS_PER_LOOK;
        done.end_ns = now_ns();
    }
    Ok(done)
}

fn work(seed: u64) {
    let mut value = black_box(seed);
    for _ in 0..WORK {
        // The shift keeps the compiler from making one multiplication of all.
        value = (value ^ (value >> 32)).wrapping_mul(6_364_136_223_846_793_005);
    }
    black_box(value);
}
