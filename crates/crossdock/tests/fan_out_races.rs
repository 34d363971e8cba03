//! Races of broadcasts, latest values and redelivery that a review found in their first draft, in one process.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::unique;
use crossdock::channel::{ChannelOptions, Receiver, TryRecvError, WhenFull, broadcast, latest};
use crossdock::{Array, ArrayMut};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

const LEN: usize = 1000;
const SENDS: i32 = 4_000;

fn array(value: i32) -> Array<i32> {
    Array::from_slice(&[value; LEN]).unwrap()
}

/// Takes what memory is free now, and writes into it.
fn use_free_memory() -> Vec<ArrayMut<i32>> {
    let taken = |_| {
        let mut array = ArrayMut::<i32>::uninit(LEN).unwrap();
        array.fill(-1);
        array
    };
    (0..20).map(taken).collect()
}

#[test]
fn a_clone_that_is_sent_again_before_its_delivery_is_acknowledged_keeps_its_memory() {
    let name = unique("again");
    let options = ChannelOptions::new(4).redeliver(3);
    let tx = options.create_sender::<Array<i32>>(&name).unwrap();
    let rx = Receiver::<Array<i32>>::open(&name).unwrap();
    tx.send(array(7)).unwrap();
    let job = rx.deliver().unwrap();
    tx.send((*job).clone()).unwrap();
    drop(job.acknowledge().unwrap());
    let _taken = use_free_memory();
    assert_eq!(rx.deliver().unwrap()[LEN - 1], 7);
}

#[test]
fn an_array_that_is_sent_again_into_a_cell_keeps_its_memory() {
    let name = unique("cell");
    let tx = latest::Sender::<(u64, Array<i32>)>::create(&name, 4).unwrap();
    let rx = latest::Receiver::<(u64, Array<i32>)>::open(&name).unwrap();
    tx.send((1, array(7))).unwrap();
    for step in 1..20 {
        let (number, values) = rx.recv().unwrap();
        assert_eq!((number, values[0], values[LEN - 1]), (step, 7, 7));
        tx.send((number + 1, values)).unwrap();
        let _taken = use_free_memory();
    }
}

#[test]
fn an_array_that_is_sent_again_into_a_broadcast_keeps_its_memory() {
    let name = unique("echo");
    let tx = broadcast::Sender::<Array<i32>>::create(&name, 8).unwrap();
    let first = broadcast::Receiver::<Array<i32>>::open(&name).unwrap();
    let second = broadcast::Receiver::<Array<i32>>::open(&name).unwrap();
    tx.send(array(7)).unwrap();
    tx.send(first.recv().unwrap()).unwrap();
    // The last one to see the first message.
    drop(second.recv().unwrap());
    let _taken = use_free_memory();
    assert_eq!(first.recv().unwrap()[LEN - 1], 7);
    assert_eq!(second.recv().unwrap()[LEN - 1], 7);
}

/// Sends, and makes unique arrays beside, while another thread receives; nobody may share memory with them.
fn check_memory(send: impl Fn(i32), receive: impl Fn() -> Option<Array<i32>> + Sync) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Relaxed) {
                if let Some(array) = receive() {
                    assert!(array[0] >= 0 && array.iter().all(|x| *x == array[0]), "torn");
                }
            }
        });
        let mut held: Vec<(i32, ArrayMut<i32>)> = Vec::new();
        for step in 0..SENDS {
            send(step);
            let mut array = ArrayMut::<i32>::uninit(LEN).unwrap();
            assert!(held.iter().all(|(_, other)| other.as_ptr() != array.as_ptr()), "held twice");
            array.fill(-1 - step);
            held.push((-1 - step, array));
            if held.len() > 6 {
                let (value, array) = held.remove(0);
                assert!(array.iter().all(|x| *x == value), "overwritten");
            }
        }
        is_over.store(true, Relaxed);
    });
}

#[test]
fn a_reader_of_a_latest_value_that_is_overtaken_lets_go_of_nothing_else() {
    let name = unique("overtaken");
    let tx = latest::Sender::<Array<i32>>::create(&name, 4).unwrap();
    let rx = latest::Receiver::<Array<i32>>::open(&name).unwrap();
    check_memory(|step| tx.send(array(step)).unwrap(), || rx.get().unwrap());
}

#[test]
fn a_reader_of_a_broadcast_that_is_overtaken_lets_go_of_nothing_else() {
    let name = unique("dropped");
    let options = ChannelOptions::new(2).when_full(WhenFull::DropOldest);
    let tx = options.create_broadcast_sender::<Array<i32>>(&name).unwrap();
    let rx = broadcast::Receiver::<Array<i32>>::open(&name).unwrap();
    let receive = || match rx.try_recv() {
        Ok(array) => Some(array),
        Err(TryRecvError::Empty) => None,
        Err(error) => panic!("{error}"),
    };
    check_memory(|step| tx.send(array(step)).unwrap(), receive);
}

#[test]
fn a_broadcast_that_waits_for_its_receivers_loses_nothing() {
    for (capacity, receivers) in [(1, 1), (1, 2), (4, 1)] {
        let name = unique("lossless");
        let tx = broadcast::Sender::<i32>::create(&name, capacity).unwrap();
        let open = |_| broadcast::Receiver::<i32>::open(&name).unwrap();
        let receivers: Vec<_> = (0..receivers).map(open).collect();
        std::thread::scope(|scope| {
            for rx in receivers {
                scope.spawn(move || {
                    for step in 0..SENDS {
                        assert_eq!(rx.recv(), Ok(step), "{} missed", rx.take_missed());
                    }
                });
            }
            (0..SENDS).for_each(|step| tx.send(step).unwrap());
        });
    }
}
