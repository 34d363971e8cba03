//! Arrays: what it costs to get memory that has been used before, and to share it.
#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "criterion's macros make public items")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use crossdock::{Array, ArrayMut};
use std::hint::black_box;

const SIZES: [(&str, usize); 2] = [("4KiB", 4 << 10), ("1MiB", 1 << 20)];

fn make(c: &mut Criterion) {
    let mut group = c.benchmark_group("array");
    for (name, bytes) in SIZES {
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(format!("zeroed/{name}"), |b| {
            b.iter(|| ArrayMut::<u8>::zeroed(black_box(bytes)).expect("memory"));
        });
        group.bench_function(format!("uninit/{name}"), |b| {
            b.iter(|| ArrayMut::<u8>::uninit(black_box(bytes)).expect("memory"));
        });
    }
    let values = vec![1_u8; 1 << 20];
    group.bench_function("from_slice/1MiB", |b| {
        b.iter(|| ArrayMut::from_slice(black_box(&values)).expect("memory"));
    });
    group.finish();
}

fn share(c: &mut Criterion) {
    let mut group = c.benchmark_group("array");
    group.bench_function("freeze+clone", |b| {
        b.iter_batched(
            || ArrayMut::<f32>::uninit(1024).expect("memory"),
            |array| {
                let array = array.freeze();
                (array.clone(), array)
            },
            BatchSize::SmallInput,
        );
    });
    let array = Array::<f32>::zeroed([1024, 64]).expect("memory");
    group.bench_function("clone", |b| b.iter(|| black_box(&array).clone()));
    group.bench_function("slice", |b| b.iter(|| array.slice(black_box(100)..black_box(200))));
    group.finish();
}

criterion_group!(benches, make, share);
criterion_main!(benches);
