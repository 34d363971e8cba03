//! Waiting for several channels and events at once, with real processes that come, go and are killed.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::{Lab, PATIENCE, await_cue, plays, say, unique};
use crossdock::channel::{Receiver, Sender, TryRecvError, TrySendError};
use crossdock::sync::Event;
use crossdock::{Array, ArrayMut, OPERATIONS_MAX, Select, Value};
use std::time::{Duration, Instant};

const MESSAGES: i32 = 2000;

#[test]
fn send_integers() {
    if plays("send_integers") {
        let tx = Sender::<Array<i32>>::open_timeout("integers", PATIENCE).unwrap();
        for n in 0..MESSAGES {
            tx.send(Array::from_slice(&[n; 10]).unwrap()).unwrap();
        }
    }
}

#[test]
fn send_floats() {
    if plays("send_floats") {
        let tx = Sender::<ArrayMut<f64>>::open_timeout("floats", PATIENCE).unwrap();
        for n in 0..MESSAGES {
            let mut array = tx.loan(10).unwrap();
            array.fill(f64::from(n));
            tx.send(array).unwrap();
        }
    }
}

#[test]
fn receive_numbers() {
    if plays("receive_numbers") {
        let rx = Receiver::<Array<u8>>::open_timeout("numbers", PATIENCE).unwrap();
        let sum: u64 = rx.iter().map(|array| u64::from(array[0])).sum();
        say(&sum.to_string());
    }
}

#[test]
fn set_the_event() {
    if plays("set_the_event") {
        let event = Value::<Event>::open("over").unwrap();
        await_cue();
        event.set();
    }
}

#[test]
fn receive_from_two_send_to_one_until_the_event() {
    if !plays("receive_from_two_send_to_one_until_the_event") {
        return;
    }
    let integers = Receiver::<Array<i32>>::create("integers", 4).unwrap();
    let floats = Receiver::<ArrayMut<f64>>::create("floats", 4).unwrap();
    let numbers = Sender::<Array<u8>>::create("numbers", 1).unwrap();
    let over = Value::create("over", Event::new()).unwrap();
    let mut select = Select::new();
    let on_integer = select.recv(&integers);
    let on_float = select.recv(&floats);
    let on_room = select.send(&numbers);
    let on_over = select.event(&over);
    say("ready");
    let (mut next_integer, mut next_float, mut sent) = (0, 0.0, 0);
    loop {
        let ready = select.ready();
        if ready == on_integer {
            match integers.try_recv() {
                Ok(array) => {
                    assert_eq!(array[9], next_integer, "in order, none lost");
                    next_integer += 1;
                }
                Err(TryRecvError::Disconnected) => select.remove(on_integer),
                Err(error) => panic!("the only receiver, but {error}"),
            }
        } else if ready == on_float {
            match floats.try_recv() {
                Ok(array) => {
                    assert_eq!(array[9].to_bits(), f64::to_bits(next_float), "none lost");
                    next_float += 1.0;
                }
                Err(TryRecvError::Disconnected) => select.remove(on_float),
                Err(error) => panic!("the only receiver, but {error}"),
            }
        } else if ready == on_room {
            numbers.try_send(Array::from_slice(&[1]).unwrap()).unwrap();
            sent += 1;
            if sent == MESSAGES {
                select.remove(on_room);
            }
        } else {
            assert_eq!(ready, on_over);
            break;
        }
        if (next_integer, next_float, sent) == (MESSAGES, f64::from(MESSAGES), MESSAGES) {
            // Only the event, and the two ends of the senders, can come now.
            say("all there");
            next_integer += 1;
        }
    }
    drop(numbers);
    say("over");
}

#[test]
fn one_waits_for_two_senders_a_receiver_and_an_event_in_other_processes() {
    let lab = Lab::new();
    let mut selector = lab.start("receive_from_two_send_to_one_until_the_event");
    selector.expect("ready");
    let mut ender = lab.start("set_the_event");
    let actors = ["send_integers", "send_floats"].map(|role| lab.start(role));
    let mut receiver = lab.start("receive_numbers");
    selector.expect("all there");
    ender.cue();
    selector.expect("over");
    receiver.expect(&MESSAGES.to_string());
    actors.into_iter().chain([ender, receiver, selector]).for_each(common::Actor::finish);
}

#[test]
fn wait_for_two_of_whom_one_is_killed() {
    if !plays("wait_for_two_of_whom_one_is_killed") {
        return;
    }
    let silent = Receiver::<Array<u8>>::create("silent", 1).unwrap();
    let doomed = Receiver::<Array<u8>>::create("doomed", 1).unwrap();
    let full = Sender::<Array<u8>>::create("full", 1).unwrap();
    full.send(Array::from_slice(&[1]).unwrap()).unwrap();
    let event = Event::new();
    say("ready");
    await_cue();
    let mut select = Select::new();
    select.recv(&silent);
    let on_doomed = select.recv(&doomed);
    let on_full = select.send(&full);
    select.event(&event);
    assert_eq!(select.try_ready(), None, "all are alive");
    say("waits");
    assert_eq!(select.ready(), on_doomed);
    assert_eq!(doomed.try_recv(), Err(TryRecvError::Disconnected));
    select.remove(on_doomed);
    say("sender is dead");
    assert_eq!(select.ready_timeout(PATIENCE), Some(on_full));
    match full.try_send(Array::from_slice(&[2]).unwrap()) {
        Err(TrySendError::Disconnected(back)) => assert_eq!(back[0], 2),
        other => panic!("{other:?}"),
    }
    say("receiver is dead");
    await_cue();
}

#[test]
fn open_the_other_ends() {
    if plays("open_the_other_ends") {
        let name = std::env::var("END").unwrap();
        let sender = (name != "full").then(|| Sender::<Array<u8>>::open(&name).unwrap());
        let receiver = (name == "full").then(|| Receiver::<Array<u8>>::open(&name).unwrap());
        say("open");
        await_cue();
        drop((sender, receiver));
    }
}

#[test]
fn one_who_waits_for_several_notices_the_death_of_either_kind_of_peer() {
    let lab = Lab::new();
    let mut selector = lab.start("wait_for_two_of_whom_one_is_killed");
    selector.expect("ready");
    let mut peers = ["silent", "doomed", "full"].map(|name| {
        let mut peer = lab.start_with("open_the_other_ends", &[("END", name)]);
        peer.expect("open");
        peer
    });
    selector.cue();
    selector.expect("waits");
    peers[1].kill();
    selector.expect("sender is dead");
    peers[2].kill();
    selector.expect("receiver is dead");
    peers[0].cue();
    selector.cue();
    let [silent, ..] = peers;
    silent.finish();
    selector.finish();
}

fn pair(stem: &str) -> (Sender<Array<i32>>, Receiver<Array<i32>>) {
    let name = unique(stem);
    (Sender::create(&name, 8).unwrap(), Receiver::open(&name).unwrap())
}

fn array(value: i32) -> Array<i32> {
    Array::from_slice(&[value]).unwrap()
}

#[test]
fn those_that_are_ready_take_turns() {
    let (tx_a, rx_a) = pair("turns-a");
    let (tx_b, rx_b) = pair("turns-b");
    let (_tx_c, rx_c) = pair("turns-c");
    let event = Event::new();
    event.set();
    for n in 0..3 {
        tx_a.send(array(n)).unwrap();
        tx_b.send(array(n)).unwrap();
    }
    let mut select = Select::new();
    let [a, b, _] = [&rx_a, &rx_b, &rx_c].map(|rx| select.recv(rx));
    let over = select.event(&event);
    let mut seen = Vec::new();
    for _ in 0..8 {
        let ready = select.ready();
        seen.push(ready);
        if ready != over {
            [&rx_a, &rx_b][ready].try_recv().unwrap();
        }
    }
    assert_eq!(seen, [a, b, over, a, b, over, a, b]);
    assert_eq!(select.ready(), over);
    event.clear();
    assert_eq!(select.try_ready(), None);
}

#[test]
fn the_wait_ends_in_time_and_not_before() {
    let (tx, rx) = pair("time");
    let mut select = Select::new();
    let moment = Duration::from_millis(30);
    let start = Instant::now();
    assert_eq!(select.ready_timeout(moment), None, "of nothing, nothing comes");
    select.recv(&rx);
    assert_eq!(select.ready_timeout(moment), None);
    assert!(start.elapsed() >= moment * 2);
    tx.send(array(1)).unwrap();
    assert_eq!(select.ready_timeout(Duration::ZERO), Some(0));
    assert_eq!(format!("{select:?}"), "Select { operations: 1 }");
}

#[test]
fn the_same_channel_can_be_there_many_times() {
    let (tx, rx) = pair("same");
    let event = Event::new();
    let clones: Vec<_> = (2..OPERATIONS_MAX).map(|_| rx.clone()).collect();
    let mut select = Select::new();
    clones.iter().for_each(|rx| _ = select.recv(rx));
    let on_event = [select.event(&event), select.event(&event)];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            tx.send(array(5)).unwrap();
        });
        let ready = select.ready();
        assert_eq!(clones[ready].try_recv().unwrap()[0], 5);
    });
    std::thread::scope(|scope| {
        scope.spawn(|| event.set());
        assert!(on_event.contains(&select.ready()));
    });
}

#[test]
fn a_receiver_beside_one_who_selects_gets_its_message() {
    let (tx_a, rx_a) = pair("beside-a");
    let (tx_b, rx_b) = pair("beside-b");
    let done = Event::new();
    std::thread::scope(|scope| {
        let neighbour = scope.spawn(|| rx_b.iter().count());
        let selector = scope.spawn(|| {
            let mut select = Select::new();
            let on_a = select.recv(&rx_a);
            let on_b = select.recv(&rx_b);
            let on_done = select.event(&done);
            let (mut count, mut others) = (0, 0);
            loop {
                let ready = select.ready();
                if ready == on_a {
                    count += usize::from(rx_a.try_recv().is_ok());
                } else if ready == on_b {
                    others += usize::from(rx_b.try_recv().is_ok());
                } else {
                    assert_eq!(ready, on_done);
                    return (count, others);
                }
            }
        });
        for n in 0..500 {
            tx_a.send(array(n)).unwrap();
            tx_b.send(array(n)).unwrap();
        }
        // The queues are empty when both senders would find all the room.
        while tx_a.len() + tx_b.len() > 0 {
            std::thread::yield_now();
        }
        done.set();
        let (count, others) = selector.join().unwrap();
        drop(tx_b);
        assert_eq!((count, others + neighbour.join().unwrap()), (500, 500));
    });
}

#[test]
#[should_panic(expected = "at most 127 operations")]
fn one_operation_too_many_is_refused() {
    let event = Event::new();
    let mut select = Select::new();
    (0..=OPERATIONS_MAX).for_each(|_| _ = select.event(&event));
}

#[test]
#[should_panic(expected = "nothing to wait for")]
fn a_wait_for_nothing_is_refused() {
    let event = Event::new();
    let mut select = Select::new();
    let number = select.event(&event);
    select.remove(number);
    select.ready();
}
