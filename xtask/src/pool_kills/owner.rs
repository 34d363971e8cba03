//! A process that has a pool: it kills its workers itself, or is killed.

use crate::campaign::rng::{Rng, mix};
use crate::campaign::{Violation, ensure};
use crossdock::ErrorKind;
use crossdock::process::executor::Future;
use crossdock::process::{Pool, StartMethod};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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

/// How far it is.
#[derive(Default)]
struct Course {
    /// Tasks that have ended.
    ended: AtomicU64,
    /// Whether all kills are done.
    is_peaceful: AtomicBool,
    /// Whether there will be no more tasks.
    has_ended: AtomicBool,
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
    if args.endless {
        loop {
            pool.map(work, 0..10_000)?;
        }
    }
    let course = Course::default();
    let (sent, kills) = std::thread::scope(|scope| {
        let killer = scope.spawn(|| kill_workers(&pool, args, &course));
        let sent = submit_all(&pool, args, &course);
        course.has_ended.store(true, Ordering::Relaxed);
        (sent, killer.join().unwrap_or(0))
    });
    let (tasks, failed) = sent?;
    let since = Instant::now();
    let stats = loop {
        let stats = pool.stats()?;
        // The last one that was killed may be about to be replaced.
        if stats.restarts >= kills {
            break stats;
        }
        ensure(since.elapsed() < TASK_MAX, || format!("{kills} kills, but {stats:?}"))?;
        std::thread::sleep(Duration::from_millis(1));
    };
    let sums = (stats.done, stats.failed);
    ensure(sums == (tasks - failed, failed), || format!("{failed} failed, but {stats:?}"))?;
    pool.join()?;
    ensure(children().is_empty(), || format!("children are left: {:?}", children()))?;
    println!("{tasks} tasks, {kills} kills, {} restarts, {failed} failed", stats.restarts);
    Ok(())
}

/// Kills workers, spread over the work; how many.
fn kill_workers(pool: &Pool, args: &Args, course: &Course) -> u64 {
    let mut rng = Rng::new(args.seed);
    let mut kills = 0;
    // One that was killed and is not yet buried is a zombie: to kill it again is nothing.
    let mut killed = [None; WORKERS];
    while kills < args.kills && !course.has_ended.load(Ordering::Relaxed) {
        if course.ended.load(Ordering::Relaxed) < args.tasks * kills / (args.kills + 1) {
            std::thread::sleep(Duration::from_micros(100));
            continue;
        }
        let Ok(stats) = pool.stats() else { break };
        let seat = rng.below(WORKERS as u64) as usize;
        let Some(worker) = stats.workers.get(seat).filter(|worker| worker.is_ready) else {
            continue;
        };
        let pid = worker.pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        if let Some(pid) = pid.filter(|pid| killed[seat] != Some(*pid))
            && kill_process(pid, Signal::KILL).is_ok()
        {
            killed[seat] = Some(pid);
            kills += 1;
        }
    }
    course.is_peaceful.store(true, Ordering::Relaxed);
    kills
}

/// Submits tasks, so many and until the kills are done, and sees that each ends once, as it should; how many there were, and
/// how many were lost with their workers.
fn submit_all(pool: &Pool, args: &Args, course: &Course) -> Result<(u64, u64), Violation> {
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
        course.ended.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    let mut sent = 0;
    while sent < args.tasks || !course.is_peaceful.load(Ordering::Relaxed) {
        if window.len() == WINDOW
            && let Some(first) = window.pop_front()
        {
            finish(first)?;
        }
        window.push_back((sent, pool.apply_async(work, sent)?));
        sent += 1;
    }
    window.into_iter().try_for_each(&mut finish)?;
    Ok((sent, failed))
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
