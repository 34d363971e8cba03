//! One run: what it may use of the machine, the directories it owns, and its progress line.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::place::Priority;
use crate::subject::python;
use crate::{Result, place};

const TMPFS: &str = "/dev/shm";
const PREFIX: &str = "crossdock-compare-";

/// What the command line asks for.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) quick: bool,
    pub(crate) rounds: Option<usize>,
    pub(crate) python: String,
}

/// Which CPUs the two processes of a pair may use, and how they run there.
#[derive(Debug, Clone)]
pub(crate) struct Stand {
    pub(crate) cpus: [Vec<usize>; 2],
    pub(crate) priority: Priority,
}

/// A run in progress. Dropping it removes every file that it or a rival has left.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) options: Options,
    /// The two CPUs of a pair; `None` where the machine decides.
    pub(crate) cpus: [Option<usize>; 2],
    /// Whether bursts run under SCHED_FIFO.
    pub(crate) fifo: bool,
    /// Why there are no Python rows with arrays.
    pub(crate) python_missing: Option<String>,
    /// Prefix of every name.
    pub(crate) id: String,
    pub(crate) dir: PathBuf,
    pub(crate) shm: PathBuf,
    next_pair: std::cell::Cell<usize>,
}

impl Bench {
    pub(crate) fn start(options: Options) -> Result<Self> {
        sweep();
        let allowed = place::cpus()?;
        let cpus = match allowed[..] {
            [first, second, ..] => [Some(first), Some(second)],
            _ => [None, None],
        };
        // Two pollers on one CPU, above everybody else, would only ever wait for each other.
        let fifo = cpus[1].is_some() && place::may_fifo();
        if let Some(cpu) = cpus[0] {
            place::pin(&[cpu])?;
        }
        let id = format!("{PREFIX}{}", process::id());
        let (dir, shm) = (env::temp_dir().join(&id), Path::new(TMPFS).join(&id));
        let python_missing = python::missing(&options.python, "numpy");
        let next_pair = 0.into();
        let bench = Self { options, cpus, fifo, python_missing, id, dir, shm, next_pair };
        fs::create_dir_all(&bench.dir)?;
        fs::create_dir_all(&bench.shm)?;
        Ok(bench)
    }

    /// One process on each CPU, which is all its own: nobody spins on the CPU that another one needs.
    pub(crate) fn apart(&self) -> Stand {
        let cpus = self.cpus.map(|cpu| cpu.into_iter().collect());
        Stand { cpus, priority: self.permitted(Priority::Fifo) }
    }

    /// Every process on both CPUs.
    pub(crate) fn together(&self, priority: Priority) -> Stand {
        let both: Vec<usize> = self.cpus.into_iter().flatten().collect();
        Stand { cpus: [both.clone(), both], priority: self.permitted(priority) }
    }

    /// The same priority, where that is permitted.
    fn permitted(&self, priority: Priority) -> Priority {
        if self.fifo { priority } else { Priority::Ordinary }
    }

    /// How many rounds a measure plays: asked for, or its own number.
    pub(crate) fn rounds(&self, full: usize, quick: usize) -> usize {
        self.options.rounds.unwrap_or(if self.options.quick { quick } else { full }).max(1)
    }

    /// Where crossdock keeps its names.
    pub(crate) fn crossdock_dir(&self) -> PathBuf {
        self.shm.join("crossdock")
    }

    /// A name no other pair of this machine has.
    pub(crate) fn pair_id(&self) -> String {
        let number = self.next_pair.get();
        self.next_pair.set(number + 1);
        format!("{}-{number}", self.id)
    }

    /// A progress line on stderr; it moves between the bursts, never in one.
    pub(crate) fn progress(&self, measure: &str, steps: usize) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(steps as u64), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{prefix:>4} [{bar:30}] {pos}/{len} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(measure.to_owned());
        bar
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
        remove_prefixed(&self.id);
    }
}

/// Removes what a run that was killed has left.
fn sweep() {
    for parent in [env::temp_dir(), PathBuf::from(TMPFS)] {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(rest) = name.strip_prefix(PREFIX) else { continue };
            let pid: String = rest.chars().take_while(char::is_ascii_digit).collect();
            if !pid.is_empty() && !Path::new("/proc").join(&pid).exists() {
                let _ = fs::remove_file(entry.path());
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// Removes the names in tmpfs that begin with `prefix`: our directory, and what rivals leave.
fn remove_prefixed(prefix: &str) {
    for entry in fs::read_dir(TMPFS).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            let _ = fs::remove_file(entry.path());
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
