//! Locks and atomics in memory of this process's own that nobody else is after, each beside its floor.
#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "criterion's macros make public items")]

use criterion::{Criterion, criterion_group, criterion_main};
use crossdock::sync::{Mutex, ReentrantMutex, RwLock, Semaphore};
use crossdock::{Atomic, Value};
use std::hint::black_box;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};

const CONTENDED: u32 = 2;

/// The least that a lock is: a word that is taken and given back, around a value.
#[derive(Default)]
struct FutexWord {
    word: AtomicU32,
    value: AtomicU64,
}

impl FutexWord {
    fn turn(&self) {
        self.word.compare_exchange(0, 1, Acquire, Relaxed).expect("nobody else is after it");
        self.value.store(self.value.load(Relaxed) + 1, Relaxed);
        assert!(self.word.swap(0, Release) != CONTENDED, "nobody waits for it");
    }
}

fn mutex(c: &mut Criterion) {
    let mut group = c.benchmark_group("mutex");
    let word = FutexWord::default();
    group.bench_function("floor: futex word", |b| b.iter(|| black_box(&word).turn()));
    let std = std::sync::Mutex::new(0_u64);
    group.bench_function("std", |b| b.iter(|| *black_box(&std).lock().expect("no poison") += 1));
    let ours = Value::anonymous(Mutex::new(0_u64)).expect("memory");
    group.bench_function("crossdock", |b| {
        b.iter(|| *black_box(&ours).lock().expect("no poison") += 1);
    });
    group.bench_function("crossdock/try_lock", |b| {
        b.iter(|| *black_box(&ours).try_lock().expect("nobody else is after it") += 1);
    });
    let reentrant = Value::anonymous(ReentrantMutex::new(0_u64)).expect("memory");
    group.bench_function("crossdock/reentrant", |b| {
        b.iter(|| black_box(*black_box(&reentrant).lock().expect("no poison")));
    });
    group.finish();
}

fn rwlock(c: &mut Criterion) {
    let mut group = c.benchmark_group("rwlock");
    let std = std::sync::RwLock::new(0_u64);
    let ours = Value::anonymous(RwLock::new(0_u64)).expect("memory");
    let (count, word) = (AtomicU32::new(0), FutexWord::default());
    group.bench_function("read/floor: add and subtract", |b| {
        b.iter(|| {
            black_box(&count).fetch_add(1, Acquire);
            black_box(&count).fetch_sub(1, Release);
        });
    });
    group.bench_function("read/std", |b| {
        b.iter(|| *black_box(&std).read().expect("no poison"));
    });
    group.bench_function("read/crossdock", |b| {
        b.iter(|| *black_box(&ours).read().expect("no poison"));
    });
    group.bench_function("write/floor: futex word", |b| b.iter(|| black_box(&word).turn()));
    group.bench_function("write/std", |b| {
        b.iter(|| *black_box(&std).write().expect("no poison") += 1);
    });
    group.bench_function("write/crossdock", |b| {
        b.iter(|| *black_box(&ours).write().expect("no poison") += 1);
    });
    group.finish();
}

fn semaphore(c: &mut Criterion) {
    let mut group = c.benchmark_group("semaphore");
    let word = FutexWord::default();
    group.bench_function("floor: futex word", |b| b.iter(|| black_box(&word).turn()));
    let semaphore = Value::anonymous(Semaphore::<64>::new(64)).expect("memory");
    group.bench_function("crossdock/1st of 64", |b| b.iter(|| drop(semaphore.acquire())));
    let held: Vec<_> = (0..63).map(|_| semaphore.acquire()).collect();
    group.bench_function("crossdock/64th of 64", |b| b.iter(|| drop(semaphore.acquire())));
    drop(held);
    group.finish();
}

fn atomic(c: &mut Criterion) {
    let mut group = c.benchmark_group("atomic");
    let std = AtomicU64::new(0);
    let whole = Value::anonymous(Atomic::new(0_u64)).expect("memory");
    let real = Value::anonymous(Atomic::new(0.0_f64)).expect("memory");
    group.bench_function("load/std", |b| b.iter(|| black_box(&std).load(Acquire)));
    group.bench_function("load/crossdock u64", |b| b.iter(|| black_box(&whole).load(Acquire)));
    group.bench_function("fetch_add/std", |b| b.iter(|| black_box(&std).fetch_add(1, AcqRel)));
    group.bench_function("fetch_add/crossdock u64", |b| {
        b.iter(|| black_box(&whole).fetch_add(1, AcqRel));
    });
    // What adds to a floating-point number exchanges it.
    let bits = AtomicU64::new(0);
    group.bench_function("fetch_add/floor: load and exchange", |b| {
        b.iter(|| {
            let old = black_box(&bits).load(Relaxed);
            let new = (f64::from_bits(old) + 1.0).to_bits();
            black_box(&bits).compare_exchange(old, new, AcqRel, Relaxed).expect("nobody else is")
        });
    });
    group.bench_function("fetch_add/crossdock f64", |b| {
        b.iter(|| black_box(&real).fetch_add(1.0, AcqRel));
    });
    group.finish();
}

criterion_group!(benches, mutex, rwlock, semaphore, atomic);
criterion_main!(benches);
