//! What senders and receivers promise, within one process.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::unique;
use crossdock::channel::{
    Receiver, RecvError, RecvTimeoutError, SendTimeoutError, Sender, TryRecvError, TrySendError,
};
use crossdock::{Array, ArrayMut, Error, ErrorKind, Order};
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(30);

fn pair(capacity: usize) -> (Sender<Array<i32>>, Receiver<Array<i32>>) {
    let name = unique("channel");
    (Sender::create(&name, capacity).unwrap(), Receiver::open(&name).unwrap())
}

fn array(value: i32) -> Array<i32> {
    Array::from_slice(&[value; 100]).unwrap()
}

#[test]
fn arrays_arrive_in_order_with_shape_and_order() {
    let name = unique("shape");
    let tx = Sender::<ArrayMut<f64>>::create(&name, 16).unwrap();
    let rx = Receiver::<ArrayMut<f64>>::open(&name).unwrap();
    let shapes: [&[usize]; 6] =
        [&[1], &[0], &[5, 0, 3], &[2, 3], &[2, 3, 4], &[1, 2, 1, 2, 1, 2, 1, 3]];
    for order in [Order::C, Order::F] {
        for shape in shapes {
            let mut sent = ArrayMut::<f64>::zeroed_in(shape, order).unwrap();
            sent.iter_mut().enumerate().for_each(|(i, x)| *x = i as f64);
            tx.send(sent).unwrap();
            let received = rx.recv().unwrap();
            assert_eq!((received.shape(), received.order()), (shape, order));
            assert!(received.iter().enumerate().all(|(i, x)| *x == i as f64));
        }
    }
}

#[test]
fn a_full_queue_gives_the_array_back() {
    let (tx, rx) = pair(2);
    tx.send(array(1)).unwrap();
    tx.try_send(array(2)).unwrap();
    assert!(tx.is_full());
    match tx.try_send(array(3)) {
        Err(TrySendError::Full(back)) => assert_eq!(back[99], 3),
        other => panic!("{other:?}"),
    }
    match tx.send_timeout(array(4), SHORT) {
        Err(SendTimeoutError::Timeout(back)) => assert_eq!(back[99], 4),
        other => panic!("{other:?}"),
    }
    assert_eq!(rx.recv().unwrap()[0], 1);
    tx.try_send(array(5)).unwrap();
    assert_eq!((rx.recv().unwrap()[0], rx.recv().unwrap()[0]), (2, 5));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn a_wait_ends_in_time_and_not_before() {
    let (_tx, rx) = pair(2);
    for timeout in [Duration::ZERO, SHORT, Duration::from_millis(70)] {
        let start = Instant::now();
        assert_eq!(rx.recv_timeout(timeout), Err(RecvTimeoutError::Timeout));
        assert!(start.elapsed() >= timeout);
    }
}

#[test]
fn receivers_drain_the_queue_before_they_are_told() {
    let (tx, rx) = pair(4);
    let second = tx.clone();
    tx.send(array(1)).unwrap();
    drop(tx);
    second.send(array(2)).unwrap();
    drop(second);
    assert_eq!(rx.iter().map(|a| a[0]).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn senders_get_their_array_back_when_the_receivers_have_gone() {
    let (tx, rx) = pair(4);
    let second = rx.clone();
    drop(rx);
    tx.send(array(1)).unwrap();
    assert!(!tx.is_disconnected());
    drop(second);
    assert!(tx.is_disconnected());
    match tx.try_send(array(2)) {
        Err(TrySendError::Disconnected(back)) => assert_eq!(back[0], 2),
        other => panic!("{other:?}"),
    }
    assert_eq!(tx.send(array(3)).unwrap_err().into_inner()[0], 3);
}

#[test]
fn nobody_is_disconnected_before_the_other_side_has_come() {
    let name = unique("early");
    let rx = Receiver::<Array<i32>>::create(&name, 1).unwrap();
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    let tx = Sender::<Array<i32>>::open(&name).unwrap();
    drop(rx);
    let other = unique("early");
    let lonely = Sender::<Array<i32>>::create(&other, 1).unwrap();
    lonely.send(array(1)).unwrap();
    assert!(matches!(lonely.try_send(array(2)), Err(TrySendError::Full(_))));
    drop(tx);
}

#[test]
fn a_side_that_comes_back_is_connected_again() {
    let (tx, rx) = pair(2);
    drop(rx);
    assert!(matches!(tx.try_send(array(1)), Err(TrySendError::Disconnected(_))));
    let rx = Receiver::<Array<i32>>::open(tx.name()).unwrap();
    tx.send(array(2)).unwrap();
    assert_eq!(rx.recv().unwrap()[0], 2);
}

#[test]
fn the_same_array_can_be_sent_many_times_and_kept() {
    let (tx, rx) = pair(8);
    let kept = array(6);
    for _ in 0..3 {
        for _ in 0..8 {
            tx.send(kept.clone()).unwrap();
        }
        let received: Vec<_> = (0..8).map(|_| rx.recv().unwrap()).collect();
        assert!(received.iter().all(|array| *array == kept));
        assert!(received.iter().all(|array| array.as_ptr() == kept.as_ptr()), "nothing is copied");
    }
    // Every other handle has gone, also those that the channel only seems to hold.
    assert_eq!(kept.try_into_mut().unwrap()[0], 6);
}

#[test]
fn a_sent_array_is_unique_again_at_its_receiver() {
    let (tx, rx) = pair(2);
    tx.send(array(9)).unwrap();
    let mut unique = rx.recv().unwrap().try_into_mut().unwrap();
    unique[0] = 1;
    let shared = unique.freeze();
    let clone = shared.clone();
    let shared = shared.try_into_mut().unwrap_err();
    drop(clone);
    assert_eq!(shared.try_into_mut().unwrap()[..2], [1, 9]);
}

#[test]
fn slices_travel_without_their_array() {
    let (tx, rx) = pair(4);
    let whole = Array::from_fn([10, 10], |i| i as i32).unwrap();
    tx.send(whole.slice(3..5)).unwrap();
    tx.send(whole.slice(9..)).unwrap();
    drop(whole);
    let rows = rx.recv().unwrap();
    assert_eq!((rows.shape(), rows[0], rows[19]), (&[2, 10][..], 30, 49));
    assert_eq!(rx.recv().unwrap()[..], (90..100).collect::<Vec<_>>());
}

#[test]
fn the_message_type_is_checked_on_open() {
    let name = unique("type");
    let _tx = Sender::<ArrayMut<f32>>::create(&name, 1).unwrap();
    let errors: [Error; 2] = [
        Receiver::<ArrayMut<f64>>::open(&name).unwrap_err(),
        Receiver::<Array<f32>>::open(&name).unwrap_err(),
    ];
    for error in errors {
        assert_eq!((error.kind(), error.name()), (ErrorKind::WrongType, Some(name.as_str())));
        assert!(error.to_string().contains("ArrayMut<f32>"), "{error}");
    }
    let error = crossdock::SharedBlock::open(&name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKind);
}

#[test]
fn names_and_capacities_are_checked() {
    let name = unique("capacity");
    let create = |capacity| Sender::<Array<u8>>::create(&name, capacity).map_err(|e| e.kind());
    assert_eq!(create(0).unwrap_err(), ErrorKind::InvalidArgument);
    assert_eq!(create((1 << 20) + 1).unwrap_err(), ErrorKind::InvalidArgument);
    let first = create(1).unwrap();
    assert_eq!(create(1).unwrap_err(), ErrorKind::AlreadyExists);
    drop(first);
    let again = create(3).unwrap();
    assert_eq!((again.capacity(), again.len(), again.is_empty()), (3, 0, true));
    drop(again);
    assert_eq!(Sender::<Array<u8>>::open(&name).unwrap_err().kind(), ErrorKind::NotFound);
    let late = Sender::<Array<u8>>::open_timeout(&name, SHORT).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::TimedOut);
}

#[test]
fn a_named_array_is_refused_and_comes_back() {
    let (tx, _rx) = pair(1);
    let name = unique("named");
    let named = Array::create(&name, 3, |i| i as i32).unwrap();
    match tx.try_send(named) {
        Err(TrySendError::Failed(back, error)) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert_eq!(back[..], [0, 1, 2]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_waiting_receiver_is_woken_by_a_message_and_by_a_leaving_sender() {
    let (tx, rx) = pair(1);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| rx.iter().map(|array| array[0]).collect::<Vec<_>>());
        tx.send(array(1)).unwrap();
        tx.send(array(2)).unwrap();
        drop(tx);
        assert_eq!(waiter.join().unwrap(), [1, 2]);
    });
}

#[test]
fn every_message_arrives_once_among_many_threads() {
    let name = unique("mpmc");
    let tx = Sender::<Array<u32>>::create(&name, 5).unwrap();
    let rx = Receiver::<Array<u32>>::open(&name).unwrap();
    let mut seen: Vec<u32> = std::thread::scope(|scope| {
        for sender in 0..3 {
            let tx = tx.clone();
            scope.spawn(move || {
                for i in 0..500 {
                    tx.send(Array::from_slice(&[sender * 500 + i]).unwrap()).unwrap();
                }
            });
        }
        let receivers: Vec<_> = (0..3)
            .map(|_| {
                let rx = rx.clone();
                scope.spawn(move || rx.iter().map(|array| array[0]).collect::<Vec<_>>())
            })
            .collect();
        drop(tx);
        receivers.into_iter().flat_map(|receiver| receiver.join().unwrap()).collect()
    });
    seen.sort_unstable();
    assert_eq!(seen, (0..1500).collect::<Vec<_>>());
}

#[test]
fn handles_can_be_seen() {
    let (tx, rx) = pair(3);
    tx.send(array(1)).unwrap();
    let text = format!("{tx:?} {rx:?}");
    assert!(text.contains("Array<i32>") && text.contains("len: 1") && text.contains("capacity: 3"));
    assert!(tx.same_channel(&tx.clone()) && rx.same_channel(&rx.clone()));
}
