//! The holders of a chunk, in memory of this process's own.
#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "criterion's macros make public items")]

use criterion::{Criterion, criterion_group, criterion_main};
use crossdock_core::chunk::Chunk;
use crossdock_core::party::Party;
use std::hint::black_box;

fn party(index: usize) -> Party {
    Party::new(index).expect("a number in range")
}

fn chunk(c: &mut Criterion) {
    let mut group = c.benchmark_group("chunk");
    let chunk = Chunk::new();
    group.bench_function("take+release", |b| {
        b.iter(|| {
            black_box(&chunk).take(party(1));
            black_box(&chunk).release(party(1));
        });
    });
    for (name, to) in [("one_word", 1), ("two_words", 48)] {
        let (from, to) = (party(0), party(to));
        let chunk = Chunk::new();
        chunk.take(from);
        group.bench_function(format!("hand_over/{name}"), |b| {
            b.iter(|| {
                black_box(&chunk).hand_over(from, to).expect("held");
                black_box(&chunk).hand_over(to, from).expect("held");
            });
        });
    }
    group.bench_function("snapshot", |b| b.iter(|| black_box(&chunk).snapshot()));
    group.finish();
}

criterion_group!(benches, chunk);
criterion_main!(benches);
