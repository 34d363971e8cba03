//! Kills a process after every single machine instruction of a lock or of a library call, and looks whether
//! the others go on.
//!
//! `cargo xtask stepkill` builds and runs it. The process is stepped by ptrace through the release build of
//! `crossdock-core` and `crossdock`; see `docs/how-to-break-it.md` for the scenarios. What it prints is for xtask.

#[cfg(not(target_arch = "x86_64"))]
compile_error!("stepkill steps through x86-64 instructions, on Linux");

mod campaign;
mod case;
mod library;
mod play;
mod process;
mod stage;
mod tally;
mod trace;
mod trial;

use campaign::{Campaign, LANES_PER_CPU, Plan};
use case::Play;
use crossdock_core::sync::{LockTimeoutError, Mutex};
use process::Child;
use stage::Slot;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;
use tally::Tally;
use trial::Scenario;

/// What is needed for a campaign against any primitive.
struct Stagehand<'a> {
    only: &'a [String],
    plan: Plan,
    tally: &'static Tally,
    cpus: Vec<usize>,
    out: io::Stdout,
    /// Primitives so far.
    played: usize,
}

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stdout(), "error\t{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> io::Result<()> {
    let mut plan = Plan {
        scenarios: Scenario::ALL.to_vec(),
        stride: 1,
        image_stride: 1,
        case: String::new(),
        is_brief: false,
        failures_max: 20,
    };
    let mut only = Vec::new();
    for arg in args {
        let (name, value) = arg.split_once('=').unwrap_or((arg, ""));
        let number =
            || value.parse::<u64>().map_err(|_| io::Error::other(format!("not a number: {arg}")));
        match name {
            "--only" => only.extend(value.split(',').map(str::to_owned)),
            "--scenario" => {
                plan.scenarios.retain(|known| value.split(',').any(|name| name == known.name()))
            }
            "--brief" => plan.is_brief = true,
            "--case" => value.clone_into(&mut plan.case),
            "--stride" => plan.stride = number()?.max(1),
            "--image-stride" => plan.image_stride = number()? as usize,
            "--failures-max" => plan.failures_max = number()?,
            _ => return Err(io::Error::other(format!("unknown option {arg}"))),
        }
    }
    let cpus = process::cpus()?;
    let tally = &process::shared::<Tally>(1)?[0];
    let mut out = io::stdout();
    process::pin(cpus[0])?;
    process::look_now_and_then()?;
    if let Err(error) = Child::stepped(|| || {}) {
        let remedy = "in a container, add the capability SYS_PTRACE";
        writeln!(out, "unsupported\t{error} ({remedy})")?;
        return Ok(());
    }
    let is_wanted = |names: &[&str]| {
        only.is_empty() || only.iter().any(|wanted| names.contains(&wanted.as_str()))
    };
    // First, for it brings a registry of owners of its own.
    let played = library::run(is_wanted, &plan, tally, &cpus, &mut out)?;
    stage::open(process::shared::<Slot>(1 + LANES_PER_CPU * cpus.len())?);
    warm_up();
    let mut stagehand = Stagehand { only: &only, plan, tally, cpus, out, played };
    stagehand.run(play::mutex::play())?;
    stagehand.run(play::rwlock::play())?;
    stagehand.run(play::condvar::play())?;
    stagehand.run(play::semaphore::play())?;
    stagehand.run(play::event::play())?;
    stagehand.run(play::barrier::play())?;
    stagehand.run(play::once::play())?;
    stagehand.run(play::reentrant::play())?;
    if stagehand.played == 0 || stagehand.plan.scenarios.is_empty() {
        return Err(io::Error::other("there is no such primitive or scenario"));
    }
    Ok(())
}

/// Does once what a process does only the first time it waits (finding the kernel's clock, counting
/// processors), so that all who are forked take the same way.
fn warm_up() {
    let lock = Mutex::new(());
    let _guard = lock.lock();
    let late = lock.lock_timeout(Duration::from_millis(1));
    assert!(matches!(late, Err(LockTimeoutError::TimedOut { .. })), "nobody has unlocked it");
}

impl Stagehand<'_> {
    fn run<T: Sync + 'static>(&mut self, play: Play<T>) -> io::Result<()> {
        if !self.only.is_empty() && !self.only.iter().any(|name| name == play.name) {
            return Ok(());
        }
        self.played += 1;
        let Self { plan, tally, cpus, out, .. } = self;
        Campaign { play: &play, plan, tally, cpus }.run(out)
    }
}
