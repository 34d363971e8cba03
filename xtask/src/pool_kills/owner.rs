//! A process that has a pool: it kills its workers itself, or is killed.

use crate::campaign::rng::{Rng, mix};
use crate::campaign::{Violation, ensure};
use crossdock::ErrorKind;
use crossdock::process::executor::Future;
use crossdock::process::{Pool, StartMethod};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Workers of a pool.
const WORKERS: usize = 3;
/// Tasks that are on their way at once.
const WINDOW: usize = 500;
/// How long one task may take to end. It is only reached by one that never does.
const TASK_MAX: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    start: Start,
    #[arg(long, default_value_t = 0)]
    tasks: u64,
    #[arg(long, default_value_t = 0)]
    kills: u64,
    #[arg(long, default_value_t = 0)]
    retries: u16,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Works until it is killed.
    #[arg(long)]
    endless: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Start {
    Spawn,
    ForkServer,
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spawn => "spawn",
            Self::ForkServer => "fork-server",
        })
    }
}

/// The task: some take no time, some up to a millisecond; a number that depends on the argument comes back.
fn work(x: u64) -> u64 {
    let end = Instant::now() + Duration::from_micros(mix(x) % 10 * (x % 3) * 50);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
    mix(x)
}

pub(crate) fn run(args: &Args) -> Result<(), Violation> {
    let start = match args.start {
        Start::Spawn => StartMethod::Spawn,
        Start::ForkServer => StartMethod::ForkServer,
    };
    let pool = Pool::options().workers(WORKERS).start(start).retries(args.retries).build()?;
    while args.endless {
        pool.map(work, 0..10_000)?;
    }
    let ended = AtomicU64::new(0);
    let (failed, kills) = std::thread::scope(|scope| {
        let killer = scope.spawn(|| kill_workers(&pool, args, &ended));
        let failed = submit_all(&pool, args, &ended);
        // A task that has gone wrong ends the killer as well.
        ended.store(args.tasks, Ordering::Relaxed);
        (failed, killer.join().unwrap_or(0))
    });
    let failed = failed?;
    ensure(kills >= args.kills, || format!("only {kills} kills in {} tasks", args.tasks))?;
    let stats = pool.stats()?;
    let sums = (stats.done, stats.failed);
    ensure(sums == (args.tasks - failed, failed), || format!("{failed} failed, but {stats:?}"))?;
    pool.join()?;
    ensure(children().is_empty(), || format!("children are left: {:?}", children()))?;
    println!("{} tasks, {kills} kills, {} restarts, {failed} failed", args.tasks, stats.restarts);
    Ok(())
}

/// Kills workers, spread over the work; how many.
fn kill_workers(pool: &Pool, args: &Args, ended: &AtomicU64) -> u64 {
    let mut rng = Rng::new(args.seed);
    let mut kills = 0;
    while kills < args.kills {
        let due = args.tasks * kills / (args.kills + 1);
        while ended.load(Ordering::Relaxed) < due {
            std::thread::sleep(Duration::from_micros(100));
        }
        if ended.load(Ordering::Relaxed) >= args.tasks {
            break;
        }
        let Ok(stats) = pool.stats() else { break };
        let victim = stats.workers.get(rng.below(WORKERS as u64) as usize);
        let pid = victim.and_then(|worker| i32::try_from(worker.pid?).ok()).and_then(Pid::from_raw);
        // It may have been killed before, and not yet be buried: then this hits a zombie, and does not count.
        if let Some(pid) = pid
            && victim.is_some_and(|worker| worker.is_ready)
            && kill_process(pid, Signal::KILL).is_ok()
        {
            kills += 1;
        }
    }
    kills
}

/// Submits all tasks, and sees that each ends once, as it should; how many were lost with their workers.
fn submit_all(pool: &Pool, args: &Args, ended: &AtomicU64) -> Result<u64, Violation> {
    let mut window = VecDeque::new();
    let mut failed = 0;
    let mut finish = |(x, future): (u64, Future<u64>)| -> Result<(), Violation> {
        ensure(future.wait_timeout(TASK_MAX), || format!("task {x} never ends"))?;
        match future.result() {
            Ok(result) => ensure(result == mix(x), || format!("task {x} gave {result}"))?,
            Err(error) => {
                ensure(error.kind() == ErrorKind::Died, || format!("task {x}: {error}"))?;
                failed += 1;
            }
        }
        ended.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    for x in 0..args.tasks {
        if window.len() == WINDOW
            && let Some(first) = window.pop_front()
        {
            finish(first)?;
        }
        window.push_back((x, pool.apply_async(work, x)?));
    }
    window.into_iter().try_for_each(&mut finish)?;
    Ok(failed)
}

/// The children of this process, but its fork server and that one's spare child.
fn children() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = tasks.flat_map(|task| std::fs::read_to_string(task.path().join("children")));
    let pids: Vec<String> = lists
        .flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let name = |pid: &String| std::fs::read_to_string(format!("/proc/{pid}/comm"));
    pids.into_iter()
        .filter(|pid| name(pid).is_ok_and(|name| name.trim() != "fork-server"))
        .collect()
}
