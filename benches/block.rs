//! Blocks: the life of a name. Run with `cargo bench -p crossdock-benches --bench block`.
#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "criterion_main makes a public function")]

use criterion::{Criterion, criterion_group, criterion_main};
use crossdock::SharedBlock;
use std::hint::black_box;

fn names(c: &mut Criterion) {
    let name = format!("bench-{}", std::process::id());
    c.bench_function("block/create+drop/4KiB", |b| {
        b.iter(|| black_box(SharedBlock::create(&name, 4096)).map(drop));
    });
    let Ok(block) = SharedBlock::create(&name, 4096) else { return };
    c.bench_function("block/open+drop/4KiB", |b| {
        b.iter(|| black_box(SharedBlock::open(&name)).map(drop));
    });
    let mut bytes = [0; 4096];
    c.bench_function("block/read_at/4KiB", |b| b.iter(|| block.read_at(0, black_box(&mut bytes))));
    c.bench_function("block/write_at/4KiB", |b| b.iter(|| block.write_at(0, black_box(&bytes))));
}

criterion_group!(benches, names);
criterion_main!(benches);
