//! Messages that are acknowledged: what a killed receiver had goes to another, so often and no oftener.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::{Lab, await_cue, plays, say, unique};
use crossdock::channel::{
    AcknowledgeError, ChannelOptions, Delivery, Receiver, RecvError, Sender, TryRecvError,
};
use crossdock::{Array, ArrayMut, ErrorKind, arena, inspect};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(30);

type Job = (u64, Array<u64>);

fn job(number: u64) -> Job {
    (number, Array::from_slice(&[number; 1000]).unwrap())
}

fn queue(deliveries: u16) -> (Sender<Job>, Receiver<Job>) {
    let name = unique("jobs");
    let options = ChannelOptions::new(8).redeliver(deliveries).max_unacknowledged(4);
    (options.create_sender(&name).unwrap(), Receiver::open(&name).unwrap())
}

#[test]
fn an_acknowledged_message_never_comes_again_and_its_memory_does() {
    let (tx, rx) = queue(3);
    for number in 0..100 {
        tx.send(job(number)).unwrap();
        let delivery = rx.deliver().unwrap();
        assert_eq!((delivery.deliveries(), delivery.0, delivery.1[999]), (1, number, number));
        let (_, array) = delivery.acknowledge().unwrap();
        array.try_into_mut().expect("nobody else has it");
    }
    assert_eq!(rx.try_deliver().unwrap_err(), TryRecvError::Empty);
    for number in 0..100 {
        tx.send(job(number)).unwrap();
        assert_eq!(rx.recv().unwrap().0, number, "recv acknowledges");
    }
    drop(tx);
    assert_eq!(rx.deliver().unwrap_err(), RecvError::Disconnected);
}

#[test]
fn what_is_given_back_comes_again_and_then_is_a_dead_letter() {
    let (tx, rx) = queue(3);
    tx.send(job(1)).unwrap();
    tx.send(job(2)).unwrap();
    for deliveries in 1..=3 {
        let delivery = rx.deliver().unwrap();
        assert_eq!((delivery.0, delivery.deliveries()), (1, deliveries));
        delivery.give_back();
    }
    assert_eq!(rx.deliver().unwrap().acknowledge().unwrap().0, 2);
    assert_eq!(rx.dead_letters().count(), 1, "each once");
    for _ in 0..2 {
        let letter = rx.dead_letters().next().unwrap().unwrap();
        assert_eq!((letter.0, letter.deliveries(), letter.1[500]), (1, 3, 1));
        // Not acknowledged: it stays one.
    }
    let letter = rx.dead_letters().next().unwrap().unwrap();
    letter.acknowledge().unwrap().1.try_into_mut().expect("nobody else has it");
    assert!(rx.dead_letters().next().is_none());
    let traffic = inspect::look_at(tx.name()).unwrap().traffic.unwrap();
    let counters = traffic.counters.unwrap();
    assert_eq!((counters.sent, counters.redelivered), (2, 2));
}

#[test]
fn too_many_without_acknowledgement_are_an_error_that_says_so() {
    let (tx, rx) = queue(2);
    for number in 0..5 {
        tx.send(job(number)).unwrap();
    }
    let held: Vec<_> = (0..4).map(|_| rx.deliver().unwrap()).collect();
    match rx.try_deliver() {
        Err(TryRecvError::Failed(error)) => {
            assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
        }
        other => panic!("{other:?}"),
    }
    for delivery in held {
        delivery.acknowledge().unwrap();
    }
    assert_eq!(rx.deliver().unwrap().acknowledge().unwrap().0, 4, "nothing was lost");
    let plain = Sender::<u8>::create(&unique("plain"), 1).unwrap();
    let error = Receiver::<u8>::open(plain.name()).unwrap().deliver().unwrap_err();
    assert!(matches!(error, RecvError::Failed(e) if e.kind() == ErrorKind::Unsupported));
}

#[test]
fn a_unique_array_comes_again_with_what_was_written_into_it() {
    let name = unique("unique");
    let tx = ChannelOptions::new(2).redeliver(2).create_sender::<ArrayMut<u8>>(&name).unwrap();
    let rx = Receiver::<ArrayMut<u8>>::open(&name).unwrap();
    tx.send(ArrayMut::zeroed(100).unwrap()).unwrap();
    rx.deliver().unwrap().give_back();
    let mut array = rx.deliver().unwrap().acknowledge().unwrap();
    array[0] = 7;
    assert_eq!(array.freeze().try_into_mut().unwrap()[0], 7);
}

#[test]
fn take_jobs_and_stop() {
    if plays("take_jobs_and_stop") {
        let rx = Receiver::<Job>::open_timeout("jobs", WAIT).unwrap();
        say("open");
        let first = rx.deliver().unwrap();
        let second = rx.deliver().unwrap();
        first.acknowledge().unwrap();
        say(&format!("holds {} for the {}. time", second.0, second.deliveries()));
        await_cue();
    }
}

#[test]
fn send_jobs_and_finish_them() {
    if plays("send_jobs_and_finish_them") {
        let options = ChannelOptions::new(8).redeliver(2);
        let tx = options.create_sender::<Job>("jobs").unwrap();
        (0..6).for_each(|number| tx.send(job(number)).unwrap());
        say("sent");
        await_cue();
        let rx = Receiver::<Job>::open("jobs").unwrap();
        let mut done: Vec<_> =
            (0..3).map(|_| rx.deliver().unwrap().acknowledge().unwrap().0).collect();
        done.sort_unstable();
        say(&format!("{done:?}"));
        let letters: Vec<_> =
            rx.dead_letters().map(|letter| letter.unwrap().acknowledge().unwrap().0).collect();
        say(&format!("{letters:?}"));
        assert_eq!(rx.try_deliver().unwrap_err(), TryRecvError::Empty);
        drop((tx, rx));
        assert_eq!(arena::stats().unwrap().held_chunks, 0);
        say("all back");
    }
}

#[test]
fn what_killed_receivers_had_not_acknowledged_goes_to_others_exactly_so_often() {
    let lab = Lab::new();
    let mut sender = lab.start("send_jobs_and_finish_them");
    sender.expect("sent");
    // The first takes 0 and 1 and dies with 1; the second acknowledges that, takes 2 and dies with it; the
    // third gets 2 for the second and last time as its first, acknowledges it, and dies with 3.
    for held in ["holds 1 for the 1. time", "holds 2 for the 1. time", "holds 3 for the 1. time"] {
        let mut receiver = lab.start("take_jobs_and_stop");
        receiver.expect("open");
        receiver.expect(held);
        receiver.kill();
    }
    sender.cue();
    sender.expect("[3, 4, 5]");
    sender.expect("[]");
    sender.expect("all back");
    sender.finish();
}

fn next_job(name: &str) -> Delivery<Job> {
    Receiver::<Job>::open_timeout(name, WAIT).unwrap().deliver().unwrap()
}

#[test]
fn keep_a_delivery_without_its_receiver() {
    if plays("keep_a_delivery_without_its_receiver") {
        let job = next_job("jobs");
        say(&format!("holds {}", job.0));
        await_cue();
    }
}

#[test]
fn send_one_job_and_wait_for_it() {
    if plays("send_one_job_and_wait_for_it") {
        let tx = ChannelOptions::new(8).redeliver(2).create_sender::<Job>("jobs").unwrap();
        tx.send(job(5)).unwrap();
        say("sent");
        await_cue();
        let rx = Receiver::<Job>::open("jobs").unwrap();
        say("open");
        say(&format!("got {}", rx.deliver_timeout(WAIT).unwrap().acknowledge().unwrap().0));
    }
}

#[test]
fn a_delivery_whose_receiver_is_gone_comes_again_when_its_process_dies() {
    let lab = Lab::new();
    let mut sender = lab.start("send_one_job_and_wait_for_it");
    sender.expect("sent");
    let mut holder = lab.start("keep_a_delivery_without_its_receiver");
    holder.expect("holds 5");
    sender.cue();
    sender.expect("open");
    holder.kill();
    sender.expect("got 5");
    sender.finish();
}

#[test]
fn who_acknowledges_what_another_has_by_now_is_told_and_keeps_the_message() {
    let name = unique("taken");
    let options = ChannelOptions::new(1).redeliver(2).max_unacknowledged(1);
    let tx = options.create_sender::<u64>(&name).unwrap();
    let rx = Receiver::<u64>::open(&name).unwrap();
    tx.send(41).unwrap();
    let delivery = rx.deliver().unwrap();
    // As a reaper does that takes this process for dead: the row, which has the states, the position, since when, the
    // length and the message (docs/layout.md), says that it is to be delivered again.
    let path = crossdock::registry::directory().join(&name);
    let bytes = std::fs::read(&path).unwrap();
    let words: Vec<u64> =
        bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let (held, returned) = (3, 4);
    let is_row = |row: &[u64]| row[0] >> 32 == 1 && row[0] & 0xf == held && row[3..] == [1, 41];
    let row = words.windows(5).position(is_row).unwrap() * 8;
    let file = File::options().read(true).write(true).open(path).unwrap();
    file.write_all_at(&(1_u64 << 32 | returned).to_le_bytes(), row as u64).unwrap();
    match delivery.acknowledge() {
        Err(AcknowledgeError::Lost(message)) => assert_eq!(message, 41),
        other => panic!("{other:?}"),
    }
    assert_eq!(inspect::look_at(&name).unwrap().entry.channel.unwrap().depth, 0);
    // It is still there for another receiver.
    let mut word = [0; 8];
    file.read_exact_at(&mut word, row as u64).unwrap();
    assert_eq!(u64::from_le_bytes(word) & 0xf, returned);
}
