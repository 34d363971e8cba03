//! Handing over between real processes, and what is left when one of them dies.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::{Lab, await_cue, plays, say};
use crossdock::channel::{Receiver, RecvError, RecvTimeoutError, Sender, TryRecvError};
use crossdock::{Array, ArrayMut, ErrorKind, arena, registry};
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(30);

#[test]
fn send_one_and_leave() {
    if plays("send_one_and_leave") {
        let tx = Sender::<Array<u32>>::create("c", 4).unwrap();
        tx.send(Array::from_fn(1000, |i| i as u32).unwrap()).unwrap();
        say("sent");
        await_cue();
    }
}

#[test]
fn receive_one() {
    if plays("receive_one") {
        let rx = Receiver::<Array<u32>>::open_timeout("c", WAIT).unwrap();
        say("open");
        let array = rx.recv().unwrap();
        say("received");
        await_cue();
        assert!(array.iter().enumerate().all(|(i, x)| i as u32 == *x));
        assert_eq!(array.len(), 1000);
        assert_eq!(rx.recv(), Err(RecvError::Disconnected));
        say("checked");
    }
}

#[test]
fn an_array_outlives_its_sender() {
    for is_killed in [false, true] {
        let lab = Lab::new();
        let mut sender = lab.start("send_one_and_leave");
        sender.expect("sent");
        let mut receiver = lab.start("receive_one");
        receiver.expect("open");
        receiver.expect("received");
        if is_killed {
            sender.kill();
        } else {
            sender.cue();
            sender.finish();
        }
        receiver.cue();
        receiver.expect("checked");
        receiver.finish();
    }
}

#[test]
fn hold_the_receiving_end_open() {
    if plays("hold_the_receiving_end_open") {
        let rx = Receiver::<Array<u32>>::open_timeout("c", WAIT).unwrap();
        say("open");
        await_cue();
        let array = rx.recv().unwrap();
        assert_eq!(array[999], 999);
        drop(array);
        assert_eq!(rx.recv(), Err(RecvError::Disconnected));
        say("received");
    }
}

#[test]
fn a_message_outlives_a_sender_that_is_gone_before_it_is_received() {
    for is_killed in [false, true] {
        let lab = Lab::new();
        let mut receiver = lab.start("hold_the_receiving_end_open");
        let mut sender = lab.start("send_one_and_leave");
        sender.expect("sent");
        receiver.expect("open");
        if is_killed {
            sender.kill();
        } else {
            sender.cue();
            sender.finish();
        }
        receiver.cue();
        receiver.expect("received");
        receiver.finish();
    }
}

#[test]
fn receive_and_hold() {
    if plays("receive_and_hold") {
        let rx = Receiver::<ArrayMut<u8>>::open_timeout("c", WAIT).unwrap();
        let _held = rx.recv().unwrap();
        say("holds");
        await_cue();
    }
}

#[test]
fn send_and_count_what_comes_back() {
    if plays("send_and_count_what_comes_back") {
        let tx = Sender::<ArrayMut<u8>>::create("c", 4).unwrap();
        tx.send(ArrayMut::zeroed(1 << 20).unwrap()).unwrap();
        say("sent");
        await_cue();
        // The receiver is dead. A send reaches nobody, which a blocked sender finds out.
        let mut failed = false;
        for _ in 0..6 {
            failed |= tx.send(ArrayMut::zeroed(1 << 20).unwrap()).is_err();
        }
        assert!(failed, "the death of the only receiver is seen");
        drop(tx);
        assert_eq!(arena::stats().unwrap().held_chunks, 0, "what the dead held has come back");
        say("all back");
    }
}

#[test]
fn what_a_killed_receiver_held_comes_back() {
    let lab = Lab::new();
    let mut sender = lab.start("send_and_count_what_comes_back");
    sender.expect("sent");
    let mut receiver = lab.start("receive_and_hold");
    receiver.expect("holds");
    receiver.kill();
    sender.cue();
    sender.expect("all back");
    sender.finish();
}

#[test]
fn wait_for_a_message_for_ever() {
    if plays("wait_for_a_message_for_ever") {
        let rx = Receiver::<Array<u8>>::open_timeout("c", WAIT).unwrap();
        say("waits");
        assert_eq!(rx.recv(), Err(RecvError::Disconnected));
        say("told");
    }
}

#[test]
fn hold_the_sending_end_open() {
    if plays("hold_the_sending_end_open") {
        let _tx = Sender::<Array<u8>>::create("c", 1).unwrap();
        say("open");
        await_cue();
    }
}

#[test]
fn a_waiting_receiver_is_told_when_the_last_sender_is_killed() {
    let lab = Lab::new();
    let mut sender = lab.start("hold_the_sending_end_open");
    sender.expect("open");
    let mut receiver = lab.start("wait_for_a_message_for_ever");
    receiver.expect("waits");
    sender.kill();
    receiver.expect("told");
    receiver.finish();
}

#[test]
fn send_until_full_then_wait() {
    if plays("send_until_full_then_wait") {
        let tx = Sender::<Array<u8>>::open_timeout("c", WAIT).unwrap();
        let array = Array::from_slice(&[7; 5000]).unwrap();
        tx.send(array.clone()).unwrap();
        say("full");
        let error = tx.send(array).unwrap_err();
        assert_eq!(error.into_inner()[4999], 7, "the array comes back");
        say("told");
    }
}

#[test]
fn hold_the_other_end_open() {
    if plays("hold_the_other_end_open") {
        let _rx = Receiver::<Array<u8>>::create("c", 1).unwrap();
        say("open");
        await_cue();
    }
}

#[test]
fn a_waiting_sender_gets_its_array_back_when_the_last_receiver_is_killed() {
    let lab = Lab::new();
    let mut receiver = lab.start("hold_the_other_end_open");
    receiver.expect("open");
    let mut sender = lab.start("send_until_full_then_wait");
    sender.expect("full");
    receiver.kill();
    sender.expect("told");
    sender.finish();
}

#[test]
fn be_killed_in_possession_of_everything() {
    if plays("be_killed_in_possession_of_everything") {
        let _tx = Sender::<Array<u8>>::create("channel", 8).unwrap();
        let _array = Array::<f64>::create("array", [10, 10], |i| i as f64).unwrap();
        let _block = crossdock::SharedBlock::create("block", 12345).unwrap();
        let _private = ArrayMut::<u8>::zeroed(3 << 20).unwrap();
        say("has everything");
        await_cue();
    }
}

#[test]
fn clean_and_look() {
    if plays("clean_and_look") {
        let found: Vec<String> = registry::list().unwrap().into_iter().map(|e| e.name).collect();
        assert_eq!(found, ["array", "block", "channel"]);
        let garbage = registry::gc(false).unwrap();
        assert!(garbage.len() >= 5, "names, arena and table: {garbage:?}");
        assert_eq!(registry::list().unwrap().len(), 3, "a dry run removes nothing");
        assert_eq!(registry::gc(true).unwrap(), garbage);
        assert_eq!(registry::gc(true).unwrap(), []);
        say("clean");
    }
}

#[test]
fn gc_removes_what_a_killed_process_left() {
    let lab = Lab::new();
    let mut victim = lab.start("be_killed_in_possession_of_everything");
    victim.expect("has everything");
    victim.kill();
    let mut cleaner = lab.start("clean_and_look");
    cleaner.expect("clean");
    cleaner.finish();
    assert!(!lab.dir().exists(), "the directory itself goes, too");
}

#[test]
fn make_everything_anew() {
    if plays("make_everything_anew") {
        let error = Array::<f64>::open("array").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        let _tx = Sender::<Array<i8>>::create("channel", 2).unwrap();
        let _array = Array::<f64>::create("array", 5, |i| i as f64).unwrap();
        let _block = crossdock::SharedBlock::create("block", 10).unwrap();
        say("made");
    }
}

#[test]
fn the_next_user_gets_the_names_of_the_dead() {
    let lab = Lab::new();
    let mut victim = lab.start("be_killed_in_possession_of_everything");
    victim.expect("has everything");
    victim.kill();
    let mut heir = lab.start("make_everything_anew");
    heir.expect("made");
    heir.finish();
}

#[test]
fn double_everything() {
    if plays("double_everything") {
        let rx = Receiver::<ArrayMut<i64>>::open_timeout("parts", WAIT).unwrap();
        let tx = Sender::<ArrayMut<i64>>::open_timeout("done", WAIT).unwrap();
        say("ready");
        for mut part in &rx {
            part.iter_mut().for_each(|x| *x *= 2);
            tx.send(part).unwrap();
        }
        say("done");
    }
}

#[test]
fn share_out_and_collect() {
    if plays("share_out_and_collect") {
        let tx = Sender::<ArrayMut<i64>>::create("parts", 16).unwrap();
        let rx = Receiver::<ArrayMut<i64>>::create("done", 16).unwrap();
        await_cue();
        let array = ArrayMut::from_fn([1000, 7], |i| i as i64).unwrap();
        for part in array.chunks(13) {
            tx.send(part).unwrap();
        }
        let mut parts: Vec<_> = (0..13).map(|_| rx.recv_timeout(WAIT).unwrap()).collect();
        drop(tx);
        parts.sort_by_key(|part| part[0]);
        let array = parts.into_iter().reduce(|whole, part| whole.unsplit(part).unwrap()).unwrap();
        assert_eq!(array.shape(), [1000, 7]);
        assert!(array.iter().enumerate().all(|(i, x)| *x == 2 * i as i64));
        say("collected");
    }
}

#[test]
fn workers_write_disjoint_parts_of_one_array_in_place() {
    let lab = Lab::new();
    let mut boss = lab.start("share_out_and_collect");
    let mut workers = [lab.start("double_everything"), lab.start("double_everything")];
    for worker in &mut workers {
        worker.expect("ready");
    }
    boss.cue();
    boss.expect("collected");
    for worker in &mut workers {
        worker.expect("done");
    }
    boss.finish();
    workers.into_iter().for_each(common::Actor::finish);
}

#[test]
fn many_messages_each_way() {
    if plays("many_messages_each_way") {
        let is_first = std::env::var("FIRST").is_ok();
        let (ours, theirs) = if is_first { ("a", "b") } else { ("b", "a") };
        let tx = Sender::<Array<u64>>::open_or_create(ours, 3).unwrap();
        let rx = Receiver::<Array<u64>>::open_or_create(theirs, 3).unwrap();
        for round in 0..2000_u64 {
            let length = 1 + (round as usize * 37) % 3000;
            tx.send(Array::from_fn(length, |i| round + i as u64).unwrap()).unwrap();
            let answer = rx.recv().unwrap();
            assert_eq!(answer.len(), length);
            assert!(answer.iter().enumerate().all(|(i, x)| *x == round + i as u64));
        }
        say("done");
    }
}

#[test]
fn either_side_may_come_first_and_every_message_is_intact() {
    let lab = Lab::new();
    let mut one = lab.start_with("many_messages_each_way", &[("FIRST", "1")]);
    let mut two = lab.start("many_messages_each_way");
    one.expect("done");
    two.expect("done");
    one.finish();
    two.finish();
}

#[test]
fn a_poller_that_never_sleeps_notices_a_death_as_well() {
    if plays("a_poller_that_never_sleeps_notices_a_death_as_well") {
        let rx = Receiver::<Array<u8>>::open_timeout("c", WAIT).unwrap();
        say("polls");
        loop {
            match rx.try_recv() {
                Err(TryRecvError::Empty) => std::hint::spin_loop(),
                Err(TryRecvError::Disconnected) => break,
                other => panic!("{other:?}"),
            }
        }
        say("told");
        return;
    }
    let lab = Lab::new();
    let mut sender = lab.start("hold_the_sending_end_open");
    sender.expect("open");
    let mut poller = lab.start("a_poller_that_never_sleeps_notices_a_death_as_well");
    poller.expect("polls");
    sender.kill();
    poller.expect("told");
    poller.finish();
}

#[test]
fn send_two_small_arrays() {
    if plays("send_two_small_arrays") {
        let tx = Sender::<Array<u32>>::create("c", 4).unwrap();
        for value in [1, 2] {
            tx.send(Array::from_slice(&[value; 100]).unwrap()).unwrap();
        }
        say("sent");
        await_cue();
    }
}

#[test]
fn make_both_writable() {
    if plays("make_both_writable") {
        let rx = Receiver::<Array<u32>>::open_timeout("c", WAIT).unwrap();
        let (first, second) = (rx.recv().unwrap(), rx.recv().unwrap());
        // The second makes the region writable here; the first has its address in the older mapping.
        let mut second = second.try_into_mut().unwrap();
        second.fill(20);
        let mut first = first.try_into_mut().unwrap();
        first.fill(10);
        assert_eq!((first[99], second[99]), (10, 20));
        say("written");
    }
}

#[test]
fn arrays_received_for_reading_become_writable_one_after_the_other() {
    let lab = Lab::new();
    let mut sender = lab.start("send_two_small_arrays");
    sender.expect("sent");
    let mut receiver = lab.start("make_both_writable");
    receiver.expect("written");
    sender.cue();
    sender.finish();
    receiver.finish();
}

#[test]
fn wait_in_short_steps() {
    if plays("wait_in_short_steps") {
        let rx = Receiver::<Array<u8>>::open_timeout("c", WAIT).unwrap();
        say("waits");
        loop {
            match rx.recv_timeout(Duration::from_millis(5)) {
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                other => panic!("{other:?}"),
            }
        }
        say("told");
    }
}

#[test]
fn a_receiver_that_waits_in_short_steps_is_told_as_well() {
    let lab = Lab::new();
    let mut sender = lab.start("hold_the_sending_end_open");
    sender.expect("open");
    let mut receiver = lab.start("wait_in_short_steps");
    receiver.expect("waits");
    sender.kill();
    receiver.expect("told");
    receiver.finish();
}
