//! Where a child stands: its side of the pair, the names it may use, its CPU and its priority.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use rustix::process::{Signal, set_parent_process_death_signal, setpriority_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Result;

/// Real-time priority of the bursts; the middle, below the kernel's own threads.
const PRIORITY: i32 = 50;
/// The nice value of the greatest share; it needs what SCHED_FIFO needs.
const NICEST: i32 = -20;

/// The two ends of a pair: A begins, B answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Side {
    /// Sends first, and keeps the time.
    A,
    /// Answers.
    B,
}

/// How a child gets its CPU before everybody else who wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Priority {
    /// Not at all.
    Ordinary,
    /// Under the ordinary scheduler, with the greatest share.
    Favoured,
    /// Under SCHED_FIFO: nobody takes the CPU away, not even another thread of the subject.
    Fifo,
}

impl Priority {
    /// As the command line has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ordinary => "ordinary",
            Self::Favoured => "favoured",
            Self::Fifo => "fifo",
        }
    }
}

/// The arguments of the hidden `role` subcommand.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    /// Name of the role, as in `subject::serve`.
    pub(crate) role: String,
    /// Which end.
    #[arg(long)]
    pub(crate) side: Side,
    /// Prefix of every name this pair may create.
    #[arg(long)]
    pub(crate) id: String,
    /// Payload of one array.
    #[arg(long)]
    pub(crate) bytes: usize,
    /// Directory for files, emptied at the end.
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// Directory in tmpfs, emptied at the end.
    #[arg(long)]
    pub(crate) shm: PathBuf,
    /// What A told B to find it by.
    #[arg(long, default_value = "")]
    pub(crate) token: String,
    /// CPUs to stay on.
    #[arg(long = "cpu")]
    pub(crate) cpus: Vec<usize>,
    /// How to run there.
    #[arg(long)]
    pub(crate) priority: Priority,
    /// Which of the senders, or of the receivers, of a stream.
    #[arg(long, default_value_t = 0)]
    pub(crate) index: usize,
    #[command(flatten)]
    pub(crate) ends: Ends,
}

/// The ends of a stream, and how its records travel. Everything else has one sender and one receiver.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Ends {
    /// How many send.
    #[arg(long, default_value_t = 1)]
    pub(crate) senders: usize,
    /// How many receive.
    #[arg(long, default_value_t = 1)]
    pub(crate) receivers: usize,
    /// Whether several records travel as one message.
    #[arg(long)]
    pub(crate) batched: bool,
}

impl Ends {
    /// Whether there is one sender and one receiver, so that each has a CPU to itself.
    pub(crate) fn are_two(self) -> bool {
        self.senders + self.receivers == 2
    }
}

impl Place {
    /// The array length in elements.
    pub(crate) fn len(&self) -> usize {
        self.bytes / size_of::<f64>()
    }

    /// Keeps the calling thread, the first or the second of two, on a CPU of its own if there are two.
    pub(crate) fn stand_on(&self, index: usize) -> Result<()> {
        match self.cpus[..] {
            [first, second] => pin(&[[first, second][index]]),
            _ => Ok(()),
        }
    }

    /// Binds this process to its CPU, its priority and its parent's life.
    pub(crate) fn take(&self) -> Result<()> {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if !self.cpus.is_empty() {
            pin(&self.cpus)?;
        }
        match self.priority {
            Priority::Ordinary => Ok(()),
            Priority::Favoured => Ok(setpriority_process(None, NICEST)?),
            Priority::Fifo => set_fifo(),
        }
    }
}

/// The CPUs this process may use.
pub(crate) fn cpus() -> Result<Vec<usize>> {
    let allowed = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect())
}

/// Keeps the calling thread, and those it starts, on these CPUs.
pub(crate) fn pin(cpus: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    cpus.iter().for_each(|cpu| set.set(*cpu));
    Ok(sched_setaffinity(None, &set)?)
}

/// Asks for SCHED_FIFO; it needs CAP_SYS_NICE or RLIMIT_RTPRIO.
pub(crate) fn set_fifo() -> Result<()> {
    let param = libc::sched_param { sched_priority: PRIORITY };
    // SAFETY: `param` lives through the call, and 0 is the calling thread.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const param) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error().into()),
    }
}

/// Whether [`set_fifo`] would be granted to the children.
pub(crate) fn may_fifo() -> bool {
    let granted = set_fifo().is_ok();
    if granted {
        let param = libc::sched_param { sched_priority: 0 };
        // SAFETY: as in `set_fifo`.
        unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const param) };
    }
    granted
}
