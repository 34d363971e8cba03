//! Shows: functions of this program run in other processes; one panics, one is killed, and this one is told.
//! Run:   cargo run -p crossdock-examples --example processes
//! Prints how many primes there are below a million, counted by four processes, and what went wrong elsewhere.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use crossdock::process::{self, Output, Process, StartMethod};
use crossdock::{Error, ErrorKind, Result};
use std::ops::Range;
use std::time::Duration;

const LIMIT: u32 = 1_000_000;
const PROCESSES: u32 = 4;

fn count_primes(range: Range<u32>) -> usize {
    let is_prime = |n: &u32| (2..).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    range.filter(|n| *n > 1).filter(is_prime).count()
}

fn main() -> Result<()> {
    process::init(); // the first line of main: the other processes go no further

    // Each is a copy of a small process that was started once.
    let part = LIMIT / PROCESSES;
    let counters = (0..PROCESSES).map(|i| {
        let options = Process::options().start(StartMethod::ForkServer);
        options.spawn(count_primes, part * i..part * (i + 1))
    });
    // All of them, before the first is waited for.
    let counters: Vec<_> = counters.collect::<Result<_>>()?;
    let mut total = 0;
    for counter in counters {
        total += counter.join()?;
    }
    println!("{total} primes below {LIMIT}");

    let unlucky = Process::options().stderr(Output::Discard);
    let result = unlucky.spawn(|index: usize| [1, 2, 3][index], 7)?.join();
    if let Some(panic) = result.as_ref().err().and_then(Error::panic) {
        println!("it panicked: {}", panic.message());
    }

    let endless = Process::spawn(|seconds| std::thread::sleep(Duration::from_secs(seconds)), 3600)?;
    if !endless.wait_timeout(Duration::from_millis(10))? {
        endless.kill()?;
    }
    match endless.join() {
        Err(error) if error.kind() == ErrorKind::Died => println!("it was stopped: {error}"),
        other => other?,
    }
    Ok(())
}
