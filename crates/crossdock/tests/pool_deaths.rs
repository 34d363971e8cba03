//! Pools whose workers, or whose process, are killed: each task ends once, and nothing is left.

#![allow(clippy::print_stdout, reason = "that is how a process is heard here")]
#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::processes::{await_that, is_there, wait_for_ever};
use crossdock::process::executor::{Future, as_completed};
use crossdock::process::{JoinHandle, Output, Pool, Process, StartMethod};
use crossdock::{ArrayMut, ErrorKind, registry};
use std::collections::HashSet;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

crossdock::process::init_before_main!();

fn square(x: u64) -> u64 {
    x * x
}

fn die(signal: i32) {
    kill(std::process::id(), signal);
    wait_for_ever(());
}

fn kill(pid: u32, signal: i32) {
    // It may have ended just now.
    let kill = Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).output();
    kill.unwrap();
}

fn pids(pool: &Pool) -> Vec<u32> {
    pool.stats().unwrap().workers.iter().filter_map(|worker| worker.pid).collect()
}

/// A stream of numbers that look random (`SplitMix64`).
fn random(state: &AtomicU64) -> u64 {
    let x = state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[test]
fn a_worker_that_dies_fails_its_own_task_and_no_other() {
    let pool = Pool::new(2).unwrap();
    let before: Vec<_> = (0..50).map(|x| pool.apply_async(square, x).unwrap()).collect();
    let dies = pool.apply_async(die, 9).unwrap();
    let after: Vec<_> = (50..100).map(|x| pool.apply_async(square, x).unwrap()).collect();
    let error = dies.result().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Died);
    assert_eq!(error.exit_status().unwrap().signal(), Some(9));
    for (x, future) in (0..).zip(before.into_iter().chain(after)) {
        assert_eq!(future.result().unwrap(), square(x));
    }
    let exit = |code: i32| {
        if code > 0 {
            std::process::exit(code)
        }
    };
    let error = pool.apply(exit, 3).unwrap_err();
    assert_eq!(error.exit_status().unwrap().code(), Some(3));
    await_that("it is at full strength", || pids(&pool).len() == 2);
    assert_eq!(pool.stats().unwrap().restarts, 2);
    assert_eq!(pool.stats().unwrap().failed, 2);
}

#[test]
fn every_worker_can_die_at_once() {
    let pool = Pool::options().workers(3).start(StartMethod::ForkServer).build().unwrap();
    for _ in 0..5 {
        let futures: Vec<_> =
            (0..3).map(|_| pool.apply_async(wait_for_ever, ()).unwrap()).collect();
        await_that("all are busy", || {
            pool.stats().unwrap().workers.iter().all(|worker| worker.is_busy)
        });
        pids(&pool).into_iter().for_each(|pid| kill(pid, 9));
        for future in futures {
            let error = future.result().unwrap_err();
            assert_eq!(error.exit_status().unwrap().signal(), Some(9), "{error}");
        }
        assert_eq!(pool.apply(square, 4).unwrap(), 16);
    }
}

#[test]
fn a_task_is_run_again_if_that_is_asked_for() {
    let pool = Pool::options().workers(2).retries(2).build().unwrap();
    // The first two workers that take it die, as a file tells the third.
    let path = std::env::temp_dir().join(format!("crossdock-retry-{}", std::process::id()));
    let try_again = |path: String| {
        let tries = std::fs::read(&path).unwrap_or_default().len() + 1;
        std::fs::write(&path, vec![0; tries]).unwrap();
        if tries < 3 {
            die(9);
        }
        tries
    };
    let text = path.to_str().unwrap().to_owned();
    let tries = pool.apply(try_again, text.clone());
    assert_eq!(tries.unwrap(), 3);
    std::fs::remove_file(&path).unwrap();
    let error = pool.apply(die, 9).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Died, "three times in all");
    assert_eq!(pool.stats().unwrap().restarts, 5);
}

#[test]
fn a_task_without_end_has_a_limit_and_its_worker_is_replaced() {
    for retries in [0, 1] {
        let options = Pool::options().workers(1).retries(retries);
        let pool = options.start(StartMethod::ForkServer).build().unwrap();
        let calls = pool.calls().timeout(Duration::from_millis(30));
        let endless = calls.apply_async(wait_for_ever, ()).unwrap();
        let next = pool.apply_async(square, 5).unwrap();
        let error = endless.result().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().contains("wait_for_ever"), "{error}");
        assert_eq!(next.result().unwrap(), 25);
    }
    let pool = Pool::options().workers(2).timeout(Duration::from_millis(30)).build().unwrap();
    let outcomes: Vec<_> = (0..8)
        .map(|n| {
            pool.apply_async(
                |n: u64| {
                    if n == 3 {
                        wait_for_ever(())
                    }
                },
                n,
            )
            .unwrap()
        })
        .map(|future: Future<()>| future.result().map_err(|error| error.kind()))
        .collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 7);
    assert_eq!(outcomes[3], Err(ErrorKind::TimedOut));
}

#[test]
fn the_part_of_a_worker_that_dies_comes_back_with_the_error() {
    let pool = Pool::new(2).unwrap();
    let fill = |first_row: usize, part: &mut [u64]| {
        part.fill(1);
        if first_row == 500 {
            die(9);
        }
    };
    let array = ArrayMut::<u64>::zeroed(1000).unwrap();
    let error = pool.for_each_chunk_mut(array, 100, fill).unwrap_err();
    assert_eq!(error.failures.len(), 1);
    assert_eq!((error.failures[0].0, error.failures[0].1.kind()), (500, ErrorKind::Died));
    assert_eq!(error.parts.len(), 1, "{error:?}");
    assert_eq!(error.parts[0].1.iter().sum::<u64>(), 1000);
}

#[test]
fn an_initializer_that_kills_its_worker_is_the_error_of_the_pool() {
    let options = Pool::options().workers(1).start(StartMethod::ForkServer);
    let pool = options.initializer(die, 11).build().unwrap();
    let error = pool.apply(square, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Died);
    assert_eq!(error.exit_status().unwrap().signal(), Some(11));
    assert!(error.to_string().contains("cannot work"), "{error}");
    assert!(pool.stats().unwrap().restarts < 20);
}

#[test]
fn what_a_worker_in_a_worker_does_is_over_when_that_is_killed() {
    let pool = Pool::new(1).unwrap();
    let path = std::env::temp_dir().join(format!("crossdock-nest-{}", std::process::id()));
    let tell = |path: String| {
        let inner = Pool::new(1).unwrap();
        let whole = format!("{path}.whole");
        std::fs::write(&whole, pids(&inner)[0].to_string()).unwrap();
        std::fs::rename(whole, path).unwrap();
        inner.apply(wait_for_ever, ()).unwrap();
    };
    let future = pool.apply_async(tell, path.to_str().unwrap().to_owned()).unwrap();
    await_that("the inner pool is there", || path.exists());
    let inner: u32 = std::fs::read_to_string(&path).unwrap().parse().unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(is_there(inner));
    kill(pids(&pool)[0], 9);
    assert_eq!(future.result().unwrap_err().kind(), ErrorKind::Died);
    await_that("the inner worker is gone", || !is_there(inner));
}

/// Kills workers at random while tasks of all kinds run; how many died, by task.
fn turmoil(method: StartMethod, kills: u64, seed: u64) {
    let pool = Pool::options().workers(2).start(method).build().unwrap();
    let seed = AtomicU64::new(seed);
    let is_over = AtomicBool::new(false);
    let mut died = HashSet::new();
    std::thread::scope(|scope| {
        let killer = scope.spawn(|| {
            for _ in 0..kills {
                let worker = &pool.stats().unwrap().workers[random(&seed) as usize % 2];
                // On a busy machine it may take longer to start one than to kill it again and again.
                if let Some(pid) = worker.pid.filter(|_| worker.is_ready) {
                    kill(pid, 9);
                }
                // Only bounds how often one is killed.
                std::thread::sleep(Duration::from_micros(random(&seed) % 8000));
            }
            is_over.store(true, Ordering::Relaxed);
        });
        let mut sent = 0;
        while !is_over.load(Ordering::Relaxed) {
            let futures: Vec<_> = (sent..sent + 200)
                .map(|x| {
                    let task = |x: u64| {
                        let end = Instant::now() + Duration::from_micros(x % 7 * 100);
                        while Instant::now() < end {}
                        x * x
                    };
                    pool.apply_async(task, x).unwrap()
                })
                .collect();
            for (x, future) in (sent..).zip(futures) {
                match future.result() {
                    Ok(result) => assert_eq!(result, x * x),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Died, "{error}");
                        assert!(died.insert(x), "{x} has failed twice");
                    }
                }
            }
            sent += 200;
        }
        killer.join().unwrap();
        let stats = pool.stats().unwrap();
        assert_eq!(stats.done + stats.failed, sent);
        assert_eq!(stats.failed, died.len() as u64);
        assert!(stats.failed <= stats.restarts, "{stats:?}");
    });
    let last = pids(&pool);
    pool.join().unwrap();
    assert!(!last.into_iter().any(is_there));
}

#[test]
fn workers_are_killed_at_random_and_every_task_ends_once() {
    turmoil(StartMethod::Spawn, 60, 1);
    turmoil(StartMethod::ForkServer, 200, 2);
}

#[test]
fn completions_and_deaths_can_be_waited_for_together() {
    let pool = Pool::new(2).unwrap();
    let task = |x: i32| {
        if x % 10 == 9 {
            die(15);
        }
        x
    };
    let futures: Vec<_> = (0..60).map(|x| pool.apply_async(task, x).unwrap()).collect();
    let failed = as_completed(futures).filter(|future| future.exception().is_some()).count();
    assert_eq!(failed, 6);
}

#[test]
fn nobody_and_nothing_is_left_when_the_process_of_a_pool_is_killed() {
    for method in [StartMethod::Spawn, StartMethod::ForkServer] {
        let name = format!("killed-{}-{method:?}", std::process::id());
        let lead = |(name, is_spawned): (String, bool)| {
            let method = [StartMethod::ForkServer, StartMethod::Spawn][usize::from(is_spawned)];
            let pool = Pool::options().name(name).workers(3).start(method).build().unwrap();
            await_that("all are ready", || {
                pool.stats().unwrap().workers.iter().all(|w| w.is_ready)
            });
            pids(&pool).iter().for_each(|pid| println!("worker {pid}"));
            println!("ready");
            loop {
                pool.map(square, 0..10_000).unwrap();
            }
        };
        let leader = Process::options().stdout(Output::Capture);
        let leader: JoinHandle<()> =
            leader.spawn(lead, (name.clone(), method == StartMethod::Spawn)).unwrap();
        let said = || String::from_utf8(leader.captured_stdout().unwrap()).unwrap();
        await_that("it works", || said().contains("ready\n"));
        let workers: Vec<u32> = said()
            .lines()
            .filter_map(|line| line.strip_prefix("worker "))
            .map(|pid| pid.parse().unwrap())
            .collect();
        assert_eq!(workers.len(), 3);
        leader.kill().unwrap();
        assert_eq!(leader.join().unwrap_err().kind(), ErrorKind::Died);
        await_that("they are gone", || !workers.iter().any(|pid| is_there(*pid)));
        await_that("their names are gone", || {
            registry::gc(true).unwrap();
            !registry::list().unwrap().iter().any(|entry| entry.name.starts_with(&name))
        });
    }
}

#[test]
#[allow(unsafe_code, reason = "a process with threads is forked, to see what its child is told")]
fn a_forked_copy_of_a_pool_is_of_no_use_and_does_no_harm() {
    static POOL: OnceLock<Pool> = OnceLock::new();
    let scene = |()| {
        let pool = POOL.get_or_init(|| Pool::new(1).unwrap());
        assert_eq!(pool.apply(square, 2).unwrap(), 4);
        // SAFETY: the other threads are those of the pool. They sleep: it has nothing to do.
        let forked = unsafe { Process::options().force_fork() };
        let child = forked.spawn(
            |()| {
                let pool = POOL.get().unwrap();
                pool.close();
                pool.terminate();
                [
                    pool.apply(square, 3).unwrap_err().kind(),
                    pool.map(square, [3]).unwrap_err().kind(),
                    pool.stats().unwrap_err().kind(),
                ]
            },
            (),
        );
        assert_eq!(child.unwrap().join().unwrap(), [ErrorKind::Forked; 3]);
        pool.apply(square, 3).unwrap()
    };
    assert_eq!(Process::spawn(scene, ()).unwrap().join().unwrap(), 9);
}
