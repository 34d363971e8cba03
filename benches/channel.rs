//! Channels: a message through the queue and back out of it, in one thread, so without any waiting.
#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "criterion's macros make public items")]

use criterion::{Criterion, criterion_group, criterion_main};
use crossdock::channel::{Message, Receiver, Sender};
use crossdock::{Array, ArrayMut};
use std::hint::black_box;

const SLOTS: usize = 16;

/// A channel that no other run uses.
fn channel<M: Message>(name: &str) -> (Sender<M>, Receiver<M>) {
    let name = format!("bench-{name}-{}", std::process::id());
    let sender = Sender::create(&name, SLOTS).expect("a channel");
    let receiver = Receiver::open(&name).expect("the same channel");
    (sender, receiver)
}

fn unique(c: &mut Criterion) {
    let mut group = c.benchmark_group("channel");
    let (sender, receiver) = channel::<ArrayMut<u8>>("unique");
    let mut array = Some(sender.loan(1024).expect("memory"));
    group.bench_function("send+recv/1KiB", |b| {
        b.iter(|| {
            let Some(sent) = array.take() else { return };
            let Ok(()) = sender.send(black_box(sent)) else { return };
            array = receiver.recv().ok();
        });
    });
    assert!(array.is_some(), "a message was not sent");
    group.bench_function("loan+send+recv+drop/1KiB", |b| {
        b.iter(|| {
            let sent = sender.loan(black_box(1024)).expect("memory");
            assert!(sender.send(sent).is_ok());
            receiver.recv().expect("a message")
        });
    });
    group.bench_function("try_recv/empty", |b| b.iter(|| receiver.try_recv().is_err()));
    group.finish();
}

fn shared(c: &mut Criterion) {
    let mut group = c.benchmark_group("channel");
    let (sender, receiver) = channel::<Array<u8>>("shared");
    let array = Array::<u8>::zeroed(1024).expect("memory");
    group.bench_function("send+recv/shared", |b| {
        b.iter(|| {
            assert!(sender.send(black_box(&array).clone()).is_ok());
            receiver.recv().expect("a message")
        });
    });
    group.finish();
}

criterion_group!(benches, unique, shared);
criterion_main!(benches);
