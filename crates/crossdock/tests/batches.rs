//! Many messages in one call: each of them goes to one receiver, whole, in order, whatever the sizes of the calls and of
//! the queue, and what was not sent comes back.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::{Actor, Lab, PATIENCE, plays, say, unique};
use crossdock::channel::{ChannelOptions, Receiver, RecvError, Sender};
use crossdock::{Array, ErrorKind, arena};

/// Its sender and number, and now and then an array that says the same.
type Parcel = (u32, u32, Option<Array<u64>>);

/// Messages of each sender.
const EACH: u32 = 6_000;
const SENDERS: usize = 2;
const CAPACITY: usize = 24;

fn parcel(sender: u32, number: u32) -> Parcel {
    let array = || Array::from_slice(&[u64::from(number); 700]).unwrap();
    (sender, number, number.is_multiple_of(5).then(array))
}

fn check((_, number, array): &Parcel) {
    assert_eq!(array.is_some(), number.is_multiple_of(5));
    assert!(array.iter().flat_map(|array| array.iter()).all(|x| *x == u64::from(*number)));
}

fn send_all(sender: u32) {
    let tx = Sender::<Parcel>::open_timeout("parcels", PATIENCE).unwrap();
    let mut next = 0;
    for len in (1..90).cycle() {
        let end = EACH.min(next + len);
        tx.send_many((next..end).map(|number| parcel(sender, number))).unwrap();
        next = end;
        if next == EACH {
            return;
        }
    }
}

#[test]
fn first_sender() {
    if plays("first_sender") {
        send_all(0);
    }
}

#[test]
fn second_sender() {
    if plays("second_sender") {
        send_all(1);
    }
}

#[test]
fn receive_in_batches() {
    if plays("receive_in_batches") {
        let rx = Receiver::<Parcel>::open_timeout("parcels", PATIENCE).unwrap();
        let mut last = [None; SENDERS];
        say("is here");
        for max in (1..70).cycle() {
            match rx.recv_many(max) {
                Ok(parcels) => {
                    assert!(!parcels.is_empty() && parcels.len() <= max);
                    for parcel in &parcels {
                        let last = &mut last[parcel.0 as usize];
                        assert!(*last < Some(parcel.1), "{} after {last:?}", parcel.1);
                        *last = Some(parcel.1);
                        check(parcel);
                        say(&format!("{} {}", parcel.0, parcel.1));
                    }
                }
                Err((parcels, error)) => {
                    assert_eq!((parcels.len(), error), (0, RecvError::Disconnected));
                    return say("end");
                }
            }
        }
    }
}

#[test]
fn every_message_of_a_batch_goes_to_one_receiver() {
    let lab = Lab::new();
    let mut maker = lab.start("make_the_channel");
    maker.expect("made");
    let mut receivers = [lab.start("receive_in_batches"), lab.start("receive_in_batches")];
    receivers.iter_mut().for_each(|receiver| receiver.expect("is here"));
    maker.cue();
    maker.finish();
    let senders = [lab.start("first_sender"), lab.start("second_sender")];
    let mut seen = vec![0_u32; SENDERS * EACH as usize];
    std::thread::scope(|scope| {
        let listen = |receiver: &mut Actor| {
            let lines = std::iter::repeat_with(|| receiver.hear());
            lines.take_while(|line| line != "end").collect::<Vec<_>>()
        };
        let listeners: Vec<_> =
            receivers.iter_mut().map(|receiver| scope.spawn(move || listen(receiver))).collect();
        for line in listeners.into_iter().flat_map(|listener| listener.join().unwrap()) {
            let (sender, number) = line.split_once(' ').unwrap();
            let place: usize = sender.parse::<usize>().unwrap() * EACH as usize;
            seen[place + number.parse::<usize>().unwrap()] += 1;
        }
    });
    senders.into_iter().chain(receivers).for_each(Actor::finish);
    assert!(seen.iter().all(|count| *count == 1), "a message is lost or doubled");
}

#[test]
fn make_the_channel() {
    if plays("make_the_channel") {
        // It leaves before anything is sent.
        let _rx = Receiver::<Parcel>::create("parcels", CAPACITY).unwrap();
        say("made");
        common::await_cue();
    }
}

#[test]
fn send_a_batch_without_end() {
    if plays("send_a_batch_without_end") {
        let tx = Sender::<Parcel>::open("parcels").unwrap();
        let batch = (0..10 * CAPACITY as u32).map(|number| parcel(0, number));
        panic!("it ended: {:?}", tx.send_many(batch).is_ok());
    }
}

#[test]
fn receive_what_the_dead_sent() {
    if plays("receive_what_the_dead_sent") {
        let rx = Receiver::<Parcel>::create("parcels", CAPACITY).unwrap();
        say("is here");
        while !rx.is_full() {
            std::thread::yield_now();
        }
        say("full");
        common::await_cue();
        let mut next = 0;
        let error = loop {
            let (parcels, error) = match rx.recv_many(7) {
                Ok(parcels) => (parcels, None),
                Err((parcels, error)) => (parcels, Some(error)),
            };
            for parcel in &parcels {
                assert_eq!(parcel.1, next, "its messages come in order and without a gap");
                check(parcel);
                next += 1;
            }
            if let Some(error) = error {
                break error;
            }
        };
        assert_eq!((next as usize, error), (CAPACITY, RecvError::Disconnected));
        // And the queue is as good as new.
        let tx = Sender::<Parcel>::open("parcels").unwrap();
        tx.send_many((0..CAPACITY as u32).map(|number| parcel(1, number))).unwrap();
        assert!(
            rx.recv_many(CAPACITY).unwrap().iter().map(|parcel| parcel.1).eq(0..CAPACITY as u32)
        );
    }
}

#[test]
fn of_a_batch_whose_sender_is_killed_the_first_messages_arrive() {
    let lab = Lab::new();
    let mut receiver = lab.start("receive_what_the_dead_sent");
    receiver.expect("is here");
    let mut sender = lab.start("send_a_batch_without_end");
    receiver.expect("full");
    sender.kill();
    receiver.cue();
    receiver.finish();
}

#[test]
fn a_batch_can_be_larger_than_the_queue() {
    for capacity in [1, 2, 3, 33] {
        let name = unique("larger");
        let tx = Sender::<u64>::create(&name, capacity).unwrap();
        let rx = Receiver::<u64>::open(&name).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| tx.send_many(0..1000).unwrap());
            let mut next = 0;
            while next < 1000 {
                let some = rx.recv_many(50).unwrap();
                assert!(some.iter().copied().eq(next..next + some.len() as u64));
                next += some.len() as u64;
            }
        });
    }
}

#[test]
fn what_a_batch_did_not_send_comes_back_in_order() {
    let name = unique("back");
    let tx = ChannelOptions::new(40)
        .when_full(crossdock::channel::WhenFull::Fail)
        .create_sender::<Array<u32>>(&name)
        .unwrap();
    let rx = Receiver::<Array<u32>>::open(&name).unwrap();
    let held_before = arena::stats().unwrap().held_chunks;
    let arrays = |range: std::ops::Range<u32>| range.map(|n| Array::from_slice(&[n; 9]).unwrap());
    let (back, error) = tx.send_many(arrays(0..100)).unwrap_err();
    assert_eq!((back.len(), back[0][8], error.kind()), (60, 40, ErrorKind::Full));
    drop(back);
    let all = rx.recv_many(100).unwrap();
    assert!(all.iter().map(|array| array[0]).eq(0..40));
    drop(all);
    tx.send_many(arrays(0..7)).unwrap();
    drop(rx);
    let (back, error) = tx.send_many(arrays(7..9)).unwrap_err();
    assert_eq!((back.len(), back[0][0], error.kind()), (2, 7, ErrorKind::Disconnected));
    drop((back, tx));
    assert_eq!(arena::stats().unwrap().held_chunks, held_before, "nothing is held by anybody");
}

#[test]
fn batches_of_a_queue_that_is_acknowledged_are_delivered_one_by_one() {
    let name = unique("acknowledged");
    let tx = ChannelOptions::new(8).redeliver(2).create_sender::<u32>(&name).unwrap();
    let rx = Receiver::<u32>::open(&name).unwrap();
    tx.send_many(0..8).unwrap();
    assert_eq!(*rx.deliver().unwrap(), 0, "and it is given back");
    assert_eq!(rx.recv().unwrap(), 0);
    assert_eq!(rx.recv_many(5).unwrap(), [1, 2, 3, 4, 5]);
    assert_eq!(rx.recv_many(5).unwrap(), [6, 7]);
}
