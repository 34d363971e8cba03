//! Pools of processes: every call, and what they promise that Python's do not.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::PATIENCE;
use common::processes::{await_that, wait_for_ever};
use crossdock::process::executor::{Executor, Future, Shutdown, as_completed};
use crossdock::process::{self, Pool, Process, StartMethod};
use crossdock::{Array, ArrayMut, ErrorKind, Result, Value, sync};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

crossdock::process::init_before_main!();

fn square(x: u64) -> u64 {
    x * x
}

fn inverse(x: u64) -> u64 {
    1000 / x
}

#[test]
fn calls_come_back_one_by_one_and_many_at_once() {
    let pool = Pool::new(2).unwrap();
    assert_eq!(pool.apply(square, 12).unwrap(), 144);
    let futures: Vec<_> = (0..100).map(|x| pool.apply_async(square, x).unwrap()).collect();
    for (x, future) in (0..).zip(futures) {
        assert_eq!(future.result().unwrap(), square(x));
    }
    let expected: Vec<_> = (0..1000).map(square).collect();
    assert_eq!(pool.map(square, 0..1000).unwrap(), expected);
    assert_eq!(pool.map_async(square, 0..1000).unwrap().result().unwrap(), expected);
    assert_eq!(pool.map(square, 0..0).unwrap(), [0; 0]);
    for chunk in [1, 7, 5000] {
        assert_eq!(pool.calls().chunk_size(chunk).map(square, 0..1000).unwrap(), expected);
    }
    let sums = pool.map(|(a, b): (u32, u32)| a + b, [(1, 2), (3, 4)]).unwrap();
    assert_eq!(sums, [3, 7]);
    assert_eq!(pool.starmap(u32::pow, [(2, 3), (4, 2)]).unwrap(), [8, 16]);
    let volume = |x: f64, y: f64, z: f64| x * y * z;
    let volumes = pool.calls().chunk_size(1).starmap_async(volume, [(1.0, 2.0, 3.0)]).unwrap();
    assert_eq!(volumes.result().unwrap(), [6.0]);
    pool.join().unwrap();
}

#[test]
fn imap_is_lazy_and_in_order_or_as_it_comes() {
    let pool = Pool::new(2).unwrap();
    let read = AtomicUsize::new(0);
    let endless = (0..).inspect(|_| {
        read.fetch_add(1, Ordering::Relaxed);
    });
    let first: Vec<_> = pool.imap(square, endless).take(50).collect::<Result<_>>().unwrap();
    assert_eq!(first, (0..50).map(square).collect::<Vec<_>>());
    assert!(read.load(Ordering::Relaxed) <= 50 + 2 * 16);

    for chunk in [1, 10] {
        let calls = pool.calls().chunk_size(chunk);
        let mut squares: Vec<_> =
            calls.imap_unordered(square, 0..500).collect::<Result<_>>().unwrap();
        squares.sort_unstable();
        assert_eq!(squares, (0..500).map(square).collect::<Vec<_>>());
    }

    let mut outcomes = pool.calls().chunk_size(4).imap(inverse, 0..8);
    let error = outcomes.next().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(error.panic().unwrap().location().contains("tests/pool.rs"), "{error}");
    assert_eq!(outcomes.next_timeout(PATIENCE).unwrap().unwrap().unwrap(), 1000);
    assert_eq!(outcomes.map(Result::unwrap).count(), 6);

    let mut late = pool.imap(wait_for_ever, [()]);
    assert_eq!(
        late.next_timeout(Duration::from_millis(1)).unwrap_err().kind(),
        ErrorKind::TimedOut
    );
}

#[test]
fn of_several_errors_map_has_the_first() {
    let pool = Pool::new(2).unwrap();
    let fail = |x: u64| assert!(x < 30, "{x} is too much");
    let error = pool.calls().chunk_size(7).map(fail, 0..100).unwrap_err();
    assert_eq!(error.panic().unwrap().message(), "30 is too much");
    assert!(error.to_string().contains("task \"task\" panicked at"), "{error}");
    let error = pool.map(inverse, 0..3).unwrap_err();
    assert!(error.to_string().starts_with("task \"inverse\" panicked"), "{error}");
}

#[test]
fn long_arguments_and_results_are_cut_into_what_can_travel() {
    let pool = Pool::new(2).unwrap();
    let repeat = |text: String| text.repeat(2);
    let texts: Vec<_> = (0..40).map(|i| i.to_string().repeat(50_000)).collect();
    // Six times what fits, were it one chunk.
    let doubled = pool.calls().chunk_size(40).map(repeat, texts.clone()).unwrap();
    assert!(doubled.iter().zip(&texts).all(|(doubled, text)| *doubled == text.repeat(2)));

    let error = pool.apply(|bytes: Vec<u8>| bytes.len(), vec![0; 2 << 20]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.to_string().contains("Array"), "{error}");
    let error = pool.apply(|len: usize| vec![0_u8; len], 2 << 20).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.to_string().contains("Array"), "{error}");
    assert_eq!(pool.apply(square, 3).unwrap(), 9);
}

#[test]
fn arrays_travel_as_handles() {
    let pool = Pool::new(2).unwrap();
    let big = Array::from_slice(&vec![1.0_f64; 1 << 20]).unwrap();
    let sums = pool.map(|a: Array<f64>| a.iter().sum::<f64>(), [big.clone(), big]).unwrap();
    assert_eq!(sums, [1_048_576.0; 2]);
    let mine = ArrayMut::<u32>::zeroed(1000).unwrap();
    let place = mine.as_ptr();
    let mine = pool.apply(
        |mut a: ArrayMut<u32>| {
            a.fill(7);
            a
        },
        mine,
    );
    let mine = mine.unwrap();
    assert!(mine.iter().all(|x| *x == 7));
    assert_eq!(mine.as_ptr(), place, "it has not moved");
}

#[test]
fn a_task_can_have_a_pool_of_its_own() {
    let pool = Pool::new(2).unwrap();
    let inner = |n: u64| Pool::new(2).unwrap().map(square, 0..n).unwrap().iter().sum::<u64>();
    assert_eq!(pool.map(inner, [3, 4]).unwrap(), [5, 14]);
}

#[test]
fn a_pool_can_be_made_and_used_by_any_thread() {
    let pool = std::thread::spawn(|| Pool::new(2).unwrap()).join().unwrap();
    std::thread::scope(|scope| {
        for from in [0, 1000, 2000, 3000] {
            let pool = &pool;
            scope.spawn(move || {
                for x in from..from + 300 {
                    assert_eq!(pool.apply(square, x).unwrap(), x * x);
                }
            });
        }
    });
    let process = Process::spawn(|()| Pool::new(1).unwrap().apply(square, 5).unwrap(), ());
    assert_eq!(process.unwrap().join().unwrap(), 25);
}

#[test]
fn ten_thousand_short_tasks_come_back_in_every_way() {
    let pool = Pool::options().workers(2).start(StartMethod::ForkServer).build().unwrap();
    let futures: Vec<_> = (0..10_000).map(|x| pool.apply_async(square, x).unwrap()).collect();
    let sum: u64 = as_completed(futures).map(|future| future.result().unwrap()).sum();
    let expected = (0..10_000).map(square).sum();
    assert_eq!(sum, expected);
    let results = pool.imap(square, 0..10_000).collect::<Result<Vec<_>>>().unwrap();
    assert_eq!(results.into_iter().sum::<u64>(), expected);
    // Results that nobody takes hold nobody up.
    (0..10_000).for_each(|x| drop(pool.apply_async(square, x).unwrap()));
    await_that("all are done", || pool.stats().unwrap().done == 30_000);
}

#[test]
fn callbacks_may_wait_for_other_tasks_of_their_pool() {
    let pool = Arc::new(Pool::new(2).unwrap());
    let (tx, rx) = std::sync::mpsc::channel();
    let mut future = pool.apply_async(square, 3).unwrap();
    let same = Arc::clone(&pool);
    future.add_done_callback(move |nine| {
        tx.send(same.apply(square, *nine.as_ref().unwrap()).unwrap()).unwrap();
    });
    assert_eq!(future.result().unwrap(), 9);
    assert_eq!(rx.recv_timeout(PATIENCE).unwrap(), 81);
}

#[test]
fn errors_that_nobody_asks_for_are_counted_and_harm_nobody() {
    let pool = Pool::new(2).unwrap();
    for _ in 0..10 {
        drop(pool.apply_async(inverse, 0).unwrap());
    }
    let mut future = pool.apply_async(square, 2).unwrap();
    future.add_done_callback(|_| std::panic::resume_unwind(Box::new("on purpose")));
    assert_eq!(future.result().unwrap(), 4);
    await_that("all have failed", || pool.stats().unwrap().failed == 10);
    await_that("all are counted", || pool.stats().unwrap().unclaimed_errors == 10);
    let stats = pool.stats().unwrap();
    assert_eq!((stats.done, stats.panicked_callbacks, stats.restarts), (1, 1, 0));
}

#[test]
fn progress_is_told() {
    let pool = Pool::new(2).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let calls = pool.calls().chunk_size(10).progress({
        let told = Arc::clone(&told);
        move |ended, all| told.lock().unwrap().push((ended, all))
    });
    calls.map(square, 0..100).unwrap();
    let mut told = told.lock().unwrap().clone();
    told.sort_unstable();
    assert_eq!(told, (1..=10).map(|n| (10 * n, 100)).collect::<Vec<_>>());
}

static PREPARED: AtomicU32 = AtomicU32::new(0);

fn prepare(value: u32) {
    PREPARED.store(value, Ordering::Relaxed);
}

#[test]
fn every_worker_is_initialised_also_those_that_come_later() {
    let options = Pool::options().workers(2).initializer(prepare, 7).max_tasks_per_worker(3);
    let pool = options.start(StartMethod::ForkServer).build().unwrap();
    let look = |()| (PREPARED.load(Ordering::Relaxed), std::process::id());
    let looks = pool.calls().chunk_size(1).map(look, [(); 30]).unwrap();
    assert!(looks.iter().all(|(value, _)| *value == 7));
    for (_, pid) in &looks {
        assert!(looks.iter().filter(|(_, other)| other == pid).count() <= 3);
    }
    assert!(pool.stats().unwrap().restarts >= 8);
    pool.join().unwrap();
}

#[test]
fn an_initializer_that_panics_is_the_error_of_the_pool() {
    let fail = |text: String| panic!("{text}");
    let pool = Pool::options().workers(2).initializer(fail, "no model".to_owned());
    let pool = pool.build().unwrap();
    // Either it is not noticed yet, and the task fails, or it is.
    let error = pool.apply(square, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert_eq!(error.panic().unwrap().message(), "no model");
    assert!(error.to_string().contains("cannot work"), "{error}");
    assert_eq!(pool.apply(square, 1).unwrap_err().kind(), ErrorKind::Panicked);
    assert!(pool.stats().unwrap().restarts <= 2, "it is not tried again and again");
    assert_eq!(pool.join().unwrap_err().kind(), ErrorKind::Panicked);
}

#[test]
fn a_worker_that_grows_too_much_is_replaced() {
    static HOARD: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
    let hoard = |bytes: usize| {
        HOARD.lock().unwrap().push(vec![1; bytes]);
        std::process::id()
    };
    let pool = Pool::options().workers(1).max_rss_bytes(64 << 20).build().unwrap();
    let pids: Vec<_> = (0..6).map(|_| pool.apply(hoard, 30 << 20).unwrap()).collect();
    let mut others = pids.clone();
    others.dedup();
    assert!(others.len() >= 2 && others.len() < pids.len(), "{pids:?}");
    await_that("one is there", || pool.stats().unwrap().workers[0].rss_bytes.is_some());
}

#[test]
fn a_closed_pool_ends_its_work_and_takes_no_more() {
    let pool = Pool::new(2).unwrap();
    let futures: Vec<_> = (0..200).map(|x| pool.apply_async(square, x).unwrap()).collect();
    pool.close();
    assert_eq!(pool.apply(square, 1).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(pool.map(square, [1]).unwrap_err().kind(), ErrorKind::Closed);
    let pids: Vec<_> = pool.stats().unwrap().workers.iter().filter_map(|w| w.pid).collect();
    pool.join().unwrap();
    assert!(futures.iter().all(Future::done));
    assert!(pids.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()));
    let results: Vec<_> = futures.into_iter().map(Future::result).collect::<Result<_>>().unwrap();
    assert_eq!(results, (0..200).map(square).collect::<Vec<_>>());
}

#[test]
fn what_is_queued_can_be_cancelled() {
    let pool = Pool::new(1).unwrap();
    let busy = pool.apply_async(wait_for_ever, ()).unwrap();
    await_that("it runs", || pool.stats().unwrap().workers[0].is_busy);
    let futures: Vec<_> = (0..100).map(|x| pool.apply_async(square, x).unwrap()).collect();
    assert!(futures[99].cancel() && futures[99].cancelled());
    assert!(busy.running() && !busy.cancel());
    pool.shutdown(Shutdown { wait: false, cancel_futures: true });
    let cancelled = futures.iter().filter(|future| future.cancelled()).count();
    assert!(cancelled >= 90, "{cancelled}");
    pool.terminate();
    for future in futures {
        assert_eq!(future.result().unwrap_err().kind(), ErrorKind::Cancelled);
    }
    assert_eq!(busy.result().unwrap_err().kind(), ErrorKind::Cancelled);
    pool.join().unwrap();
}

#[test]
fn a_terminated_worker_leaves_no_lock_behind() {
    let name = format!("pool-test-lock-{}", std::process::id());
    let lock = Value::create(&name, sync::Mutex::new(5_u64)).unwrap();
    let pool = Pool::new(1).unwrap();
    let hold = |lock: Value<sync::Mutex<u64>>| {
        let mut value = lock.lock().unwrap();
        *value += 1;
        wait_for_ever(());
    };
    let future = pool.apply_async(hold, lock.clone()).unwrap();
    await_that("it is held", || lock.try_lock().is_err());
    pool.terminate();
    assert_eq!(future.result().unwrap_err().kind(), ErrorKind::Cancelled);
    drop(pool);
    // Its owner has died, and that is said; nobody waits for ever.
    assert_eq!(*lock.lock().unwrap_err().into_inner(), 6);
}

#[test]
fn each_worker_changes_its_part_of_an_array() {
    let pool = Pool::new(2).unwrap();
    let fill = |first_row: usize, part: &mut [u64]| {
        for (row, x) in (first_row as u64..).zip(part.iter_mut()) {
            *x += row;
        }
    };
    let array = ArrayMut::<u64>::zeroed(10_000).unwrap();
    let place = array.as_ptr();
    let array = pool.for_each_chunk_mut(array, 300, fill).unwrap();
    assert_eq!(array.as_ptr(), place);
    let array = pool.for_each_chunk_mut(array, 100_000, fill).unwrap();
    assert!(array.iter().enumerate().all(|(row, x)| *x == 2 * row as u64));

    let none = ArrayMut::<u64>::zeroed(0).unwrap();
    assert!(pool.for_each_chunk_mut(none, 10, fill).unwrap().is_empty());

    let matrix = ArrayMut::<f32>::zeroed([64, 33]).unwrap();
    let mark = |first_row: usize, part: &mut [f32]| part.fill(first_row as f32);
    let matrix = pool.for_each_chunk_mut(matrix, 10, mark).unwrap();
    assert_eq!((matrix.shape(), matrix[9 * 33], matrix[63 * 33]), (&[64, 33][..], 0.0, 60.0));
}

#[test]
fn a_part_whose_task_panics_is_not_lost_nor_are_the_others() {
    let pool = Pool::new(2).unwrap();
    let fill = |first_row: usize, part: &mut [u64]| {
        part.fill(1);
        assert!(first_row != 500, "on purpose");
    };
    let array = ArrayMut::<u64>::zeroed(1000).unwrap();
    let error = pool.for_each_chunk_mut(array, 100, fill).unwrap_err();
    assert_eq!(error.failures.len(), 1);
    assert_eq!((error.failures[0].0, error.failures[0].1.kind()), (500, ErrorKind::Panicked));
    assert_eq!(error.parts.len(), 1);
    assert!(error.parts[0].1.iter().all(|x| *x == 1));
}

#[test]
fn stats_say_what_goes_on() {
    let pool = Pool::options().workers(2).name(format!("stats-{}", std::process::id())).build();
    let pool = pool.unwrap();
    pool.map(square, 0..100).unwrap();
    await_that("both are ready", || pool.stats().unwrap().workers.iter().all(|w| w.is_ready));
    let stats = pool.stats().unwrap();
    assert_eq!((stats.done, stats.failed, stats.queued, stats.running), (100, 0, 0, 0));
    assert_eq!(stats.workers.iter().map(|worker| worker.tasks).sum::<u64>(), 8);
    for worker in stats.workers {
        assert!(worker.pid.is_some() && worker.rss_bytes.unwrap() > 100_000);
    }
    let name = pool.apply(|()| process::name(), ()).unwrap().unwrap();
    assert!(name.starts_with(pool.name()), "{name}");
}

#[test]
fn a_pool_that_cannot_be_is_an_error() {
    for workers in [0, process::pool::WORKERS_MAX + 1] {
        assert_eq!(Pool::new(workers).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    let forked = Pool::options().start(StartMethod::Fork).build();
    assert_eq!(forked.unwrap_err().kind(), ErrorKind::InvalidArgument);
    let name = format!("pool-test-twice-{}", std::process::id());
    let first = Pool::options().workers(1).name(&name).build().unwrap();
    let second = Pool::options().workers(1).name(&name).build();
    assert_eq!(second.unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(first.apply(square, 2).unwrap(), 4);
}

#[test]
fn nothing_is_left_of_a_pool() {
    let leaves = Process::spawn(
        |()| {
            // Of each process that was seen a pidfd is kept, for the next one in its place.
            let is_pool = |file: &std::path::PathBuf| !file.ends_with("anon_inode:[pidfd]");
            let files = || {
                let files = std::fs::read_dir("/proc/self/fd").unwrap();
                let links = files.flat_map(|file| std::fs::read_link(file.unwrap().path()));
                links.filter(is_pool).count()
            };
            let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
            let use_pools = || {
                let pools: Vec<_> = (0..3).map(|_| Pool::new(2).unwrap()).collect();
                let call = |pool: &Pool| pool.apply(square, 3).unwrap();
                assert_eq!(pools.iter().map(call).collect::<Vec<_>>(), [9; 3]);
            };
            // What has been seen of other processes is kept, to be used again.
            use_pools();
            let before = files();
            for _ in 0..5 {
                use_pools();
            }
            (files() as i64 - before as i64, threads())
        },
        (),
    );
    assert_eq!(leaves.unwrap().join().unwrap(), (0, 1));
}

#[test]
fn work_does_not_depend_on_who_waits() {
    static DONE: AtomicU64 = AtomicU64::new(0);
    let pool = Pool::new(2).unwrap();
    for x in 0..500 {
        let mut future = pool.apply_async(square, x).unwrap();
        future.add_done_callback(|outcome| {
            DONE.fetch_add(*outcome.as_ref().unwrap(), Ordering::Relaxed);
        });
    }
    let expected: u64 = (0..500).map(square).sum();
    await_that("all have called back", || DONE.load(Ordering::Relaxed) == expected);
}
