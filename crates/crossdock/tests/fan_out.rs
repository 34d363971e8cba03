//! Broadcast and latest value, within one process and between processes that die.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::{Lab, await_cue, plays, say, unique};
use crossdock::channel::{
    ChannelOptions, Receiver, RecvError, RecvTimeoutError, TryRecvError, TrySendError, WhenFull,
    broadcast, latest,
};
use crossdock::{Array, ErrorKind, Select, arena};
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(30);

fn array(value: u64) -> Array<u64> {
    Array::from_slice(&[value; 2000]).unwrap()
}

fn whole(array: &Array<u64>) -> u64 {
    assert!(array.iter().all(|x| *x == array[0]), "torn");
    array[0]
}

#[test]
fn every_receiver_gets_every_message_and_the_memory_is_there_once() {
    let name = unique("broadcast");
    let tx = broadcast::Sender::<Array<u64>>::create(&name, 4).unwrap();
    let receivers: Vec<_> =
        (0..3).map(|_| broadcast::Receiver::<Array<u64>>::open(&name).unwrap()).collect();
    for round in 0..50 {
        tx.send(array(round)).unwrap();
        let got: Vec<_> = receivers.iter().map(|rx| rx.recv().unwrap()).collect();
        assert!(got.iter().all(|array| whole(array) == round && array.as_ptr() == got[0].as_ptr()));
        let mut got = got.into_iter();
        let first = got.next().unwrap().try_into_mut().unwrap_err();
        drop(got);
        first.try_into_mut().expect("everybody else has dropped it");
    }
    assert!(tx.is_empty());
    for value in 0..4 {
        tx.send(array(value)).unwrap();
    }
    assert!(matches!(tx.try_send(array(9)), Err(TrySendError::Full(back)) if back[0] == 9));
    assert_eq!((receivers[0].lag(), tx.len()), (4, 4));
    drop(tx);
    for rx in &receivers {
        for value in 0..4 {
            assert_eq!(whole(&rx.recv().unwrap()), value);
        }
        assert_eq!(rx.recv().unwrap_err(), RecvError::Disconnected);
    }
}

#[test]
fn a_slow_receiver_misses_messages_and_is_told() {
    let name = unique("slow");
    let options = ChannelOptions::new(4).when_full(WhenFull::DropOldest);
    let tx = options.create_broadcast_sender::<(u64, Array<u64>)>(&name).unwrap();
    let slow = broadcast::Receiver::<(u64, Array<u64>)>::open(&name).unwrap();
    let held = {
        tx.send((0, array(0))).unwrap();
        slow.recv().unwrap().1
    };
    for value in 1..=100 {
        tx.send((value, array(value))).unwrap();
    }
    assert_eq!(slow.recv().unwrap().0, 97);
    assert_eq!((slow.take_missed(), slow.take_missed()), (96, 0));
    assert_eq!(whole(&held), 0, "what was received stays as it was");
    let late = slow.resubscribe().unwrap();
    assert_eq!(late.try_recv().unwrap_err(), TryRecvError::Empty);
    tx.send((101, array(101))).unwrap();
    assert_eq!(late.recv().unwrap().0, 101);
}

#[test]
fn kinds_and_types_are_told_apart() {
    let name = unique("kinds");
    let _tx = broadcast::Sender::<u64>::create(&name, 4).unwrap();
    let error = latest::Receiver::<u64>::open(&name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKind);
    assert!(error.to_string().contains("a broadcast"), "{error}");
    let error = crossdock::channel::Sender::<u64>::open(&name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKind);
    let error = broadcast::Sender::<u32>::open(&name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
    let error = latest::Sender::<u64>::create(&unique("one"), 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let options = ChannelOptions::new(4).max_bytes(5);
    let error = options.create_broadcast_sender::<u64>(&unique("bytes")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn the_latest_value_is_there_at_any_time_and_the_ones_before_are_gone() {
    let name = unique("latest");
    let tx = latest::Sender::<(u64, Array<u64>)>::create(&name, 4).unwrap();
    let rx = latest::Receiver::<(u64, Array<u64>)>::open(&name).unwrap();
    assert!(rx.get().unwrap().is_none());
    assert_eq!(rx.recv_timeout(SHORT).unwrap_err(), RecvTimeoutError::Timeout);
    for value in 0..500 {
        tx.send((value, array(value))).unwrap();
    }
    assert_eq!(rx.recv().unwrap().0, 499);
    assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Empty, "nothing newer");
    let (_, held) = rx.get().unwrap().unwrap();
    for value in 500..600 {
        tx.send((value, array(value))).unwrap();
    }
    assert_eq!((whole(&held), rx.recv().unwrap().0), (499, 599));
    drop(tx);
    assert_eq!(rx.recv().unwrap_err(), RecvError::Disconnected);
    assert_eq!(rx.get().unwrap().unwrap().0, 599, "the value outlives its sender");
}

#[test]
fn send_the_newest_over_and_over() {
    if plays("send_the_newest_over_and_over") {
        let tx = latest::Sender::<Array<u64>>::create("over", 4).unwrap();
        let rx = latest::Receiver::<Array<u64>>::open("over").unwrap();
        for value in 0..500 {
            tx.send(array(value)).unwrap();
        }
        // No other test takes memory in this process.
        let reserved = arena::stats().unwrap().reserved_bytes;
        assert!(reserved < 50 * 16_000 + (1 << 20), "what is old is used again: {reserved}");
        assert_eq!(whole(&rx.recv().unwrap()), 499);
        say("little memory");
    }
}

#[test]
fn the_memory_of_old_values_is_used_again() {
    let lab = Lab::new();
    let mut actor = lab.start("send_the_newest_over_and_over");
    actor.expect("little memory");
    actor.finish();
}

#[test]
fn readers_of_a_latest_value_see_whole_values_that_never_go_back() {
    let name = unique("race");
    let tx = latest::Sender::<Array<u64>>::create(&name, 4).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let rx = latest::Receiver::<Array<u64>>::open(&name).unwrap();
                let mut last = 0;
                while last < 2_999 {
                    let value = whole(&rx.recv().unwrap());
                    assert!(value >= last);
                    last = value;
                }
            });
        }
        for value in 0..3_000 {
            tx.send(array(value)).unwrap();
        }
    });
}

#[test]
fn select_waits_for_a_broadcast_and_a_latest_value() {
    let (one, two) = (unique("one"), unique("two"));
    let tx_one = broadcast::Sender::<u64>::create(&one, 4).unwrap();
    let tx_two = latest::Sender::<u64>::create(&two, 4).unwrap();
    let rx_one = broadcast::Receiver::<u64>::open(&one).unwrap();
    let rx_two = latest::Receiver::<u64>::open(&two).unwrap();
    let mut select = Select::new();
    let (is_one, is_two) = (select.recv(&rx_one), select.recv(&rx_two));
    assert_eq!(select.ready_timeout(SHORT), None);
    tx_two.send(7).unwrap();
    assert_eq!(select.ready(), is_two);
    assert_eq!(rx_two.try_recv(), Ok(7));
    std::thread::scope(|scope| {
        scope.spawn(|| tx_one.send(8).unwrap());
        assert_eq!(select.ready(), is_one);
    });
    assert_eq!(rx_one.try_recv(), Ok(8));
    assert_eq!(select.try_ready(), None);
}

#[test]
fn a_send_that_would_drop_the_oldest_is_ready_and_one_that_would_wait_is_not() {
    let names = [unique("queue"), unique("broadcast")];
    for (when_full, is_ready) in [(WhenFull::DropOldest, true), (WhenFull::Block, false)] {
        let options = ChannelOptions::new(2).when_full(when_full);
        let queue = options.create_sender::<u64>(&names[0]).unwrap();
        let broadcast = options.create_broadcast_sender::<u64>(&names[1]).unwrap();
        let from_queue = Receiver::<u64>::open(&names[0]).unwrap();
        let from_broadcast = broadcast::Receiver::<u64>::open(&names[1]).unwrap();
        for number in 0..2 {
            let mut select = Select::new();
            select.send(&queue);
            assert_eq!(select.try_ready(), Some(0));
            queue.try_send(number).unwrap();
            let mut select = Select::new();
            select.send(&broadcast);
            assert_eq!(select.try_ready(), Some(0));
            broadcast.try_send(number).unwrap();
        }
        let expected = is_ready.then_some(0);
        let mut select = Select::new();
        select.send(&queue);
        assert_eq!((select.try_ready(), queue.try_send(2).is_ok()), (expected, is_ready));
        let mut select = Select::new();
        select.send(&broadcast);
        assert_eq!((select.try_ready(), broadcast.try_send(2).is_ok()), (expected, is_ready));
        let first = u64::from(is_ready);
        assert_eq!((from_queue.recv(), from_broadcast.recv()), (Ok(first), Ok(first)));
    }
}

#[test]
fn subscribe_and_stop() {
    if plays("subscribe_and_stop") {
        let rx = broadcast::Receiver::<Array<u64>>::open_timeout("b", WAIT).unwrap();
        say("open");
        let _held = rx.recv().unwrap();
        say("holds");
        await_cue();
    }
}

#[test]
fn broadcast_to_one_that_dies() {
    if plays("broadcast_to_one_that_dies") {
        let tx = broadcast::Sender::<Array<u64>>::create("b", 2).unwrap();
        let rx = broadcast::Receiver::<Array<u64>>::open("b").unwrap();
        say("ready");
        await_cue();
        for value in 0..3 {
            // The third waits for the one that is killed meanwhile.
            tx.send(array(value)).unwrap();
            assert_eq!(whole(&rx.recv().unwrap()), value);
            say("sent");
        }
        for value in 3..100 {
            tx.send(array(value)).unwrap();
            assert_eq!(whole(&rx.recv().unwrap()), value);
        }
        drop((tx, rx));
        assert_eq!(arena::stats().unwrap().held_chunks, 0, "what the dead held has come back");
        say("all back");
    }
}

#[test]
fn a_dead_receiver_of_a_broadcast_holds_up_nobody_and_nothing() {
    let lab = Lab::new();
    let mut sender = lab.start("broadcast_to_one_that_dies");
    sender.expect("ready");
    let mut receiver = lab.start("subscribe_and_stop");
    receiver.expect("open");
    sender.cue();
    sender.expect("sent");
    receiver.expect("holds");
    sender.expect("sent");
    receiver.kill();
    sender.expect("sent");
    sender.expect("all back");
    sender.finish();
}

#[test]
fn send_the_latest_until_killed() {
    if plays("send_the_latest_until_killed") {
        let tx = latest::Sender::<Array<u64>>::open_timeout("l", WAIT).unwrap();
        for value in 1.. {
            tx.send(array(value)).unwrap();
            if value == 100 {
                say("sending");
            }
        }
    }
}

#[test]
fn read_the_latest() {
    if plays("read_the_latest") {
        let rx = latest::Receiver::<Array<u64>>::create("l", 4).unwrap();
        say("ready");
        await_cue();
        let mut seen = 0;
        while let Ok(array) = rx.recv() {
            let value = whole(&array);
            assert!(value >= seen, "it went back");
            seen = value;
        }
        assert!(seen >= 100);
        assert_eq!(whole(&rx.get().unwrap().unwrap()), seen, "it outlives its dead sender");
        say("disconnected");
    }
}

#[test]
fn the_latest_value_outlives_a_sender_that_is_killed_in_the_middle() {
    for _ in 0..5 {
        let lab = Lab::new();
        let mut reader = lab.start("read_the_latest");
        reader.expect("ready");
        let mut sender = lab.start("send_the_latest_until_killed");
        sender.expect("sending");
        reader.cue();
        sender.kill();
        reader.expect("disconnected");
        reader.finish();
    }
}
