//! What can travel in one message, and that both sides mean the same by it.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use bytemuck::{Pod, Zeroable};
use common::unique;
use crossdock::channel::{ChannelOptions, Message, Receiver, Record, Sender, WhenFull};
use crossdock::channel::{SendTimeoutError, TryRecvError, TrySendError};
use crossdock::{AnyArray, Array, ArrayMut, Complex, DType, ErrorKind, ShmSafe, arena};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(30);

#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable, ShmSafe)]
#[repr(C)]
struct FrameInfo {
    number: u64,
    exposure: f32,
    gain: f32,
}
impl Record for FrameInfo {}

fn pair<M: Message>(capacity: usize) -> (Sender<M>, Receiver<M>) {
    let name = unique("messages");
    (Sender::create(&name, capacity).unwrap(), Receiver::open(&name).unwrap())
}

fn info(number: u64) -> FrameInfo {
    FrameInfo { number, exposure: number as f32 / 4.0, gain: 2.0 }
}

#[test]
fn records_of_every_size_arrive_in_order_without_an_arena() {
    fn there_and_back<R: Record + PartialEq + std::fmt::Debug>(value: impl Fn(u8) -> R) {
        let (tx, rx) = pair::<R>(3);
        for round in 0..20 {
            for i in 0..3 {
                tx.send(value(round * 3 + i)).unwrap();
            }
            for i in 0..3 {
                assert_eq!(rx.recv().unwrap(), value(round * 3 + i));
            }
        }
    }
    there_and_back(|i| i);
    there_and_back(|i| f64::from(i) + 0.5);
    there_and_back(|i| Complex::new(f32::from(i), -1.0));
    there_and_back(|i| info(i.into()));
    there_and_back(|i| [i; 7]);
    there_and_back(|i| [i; 57]);
    there_and_back(|i| [i; 121]);
    there_and_back(|i| [u64::from(i) << 40; 32]);
    there_and_back(|_| ());
}

#[test]
fn a_record_and_arrays_and_options_travel_together() {
    type Frame = (FrameInfo, Array<u8>, Option<Array<f32>>, Option<u16>);
    let (tx, rx) = pair::<Frame>(4);
    for number in 0..20_u64 {
        let pixels = Array::from_fn([4, 5], |i| (i as u64 + number) as u8).unwrap();
        let depth = (number % 2 == 0).then(|| Array::from_slice(&[number as f32; 9]).unwrap());
        let tag = (number % 3 == 0).then_some(number as u16);
        tx.send((info(number), pixels, depth, tag)).unwrap();
        let (got, pixels, depth, tag) = rx.recv().unwrap();
        assert_eq!((got, pixels.shape()), (info(number), &[4, 5][..]));
        assert_eq!(pixels[19], (19 + number) as u8);
        assert_eq!(depth.map(|depth| depth[8]), (number % 2 == 0).then_some(number as f32));
        assert_eq!(tag, (number % 3 == 0).then_some(number as u16));
    }
}

#[test]
fn eight_arrays_of_eight_axes_fit_into_a_message() {
    let (tx, rx) = pair::<([Array<u16>; 7], ArrayMut<u16>)>(2);
    let array = |value| Array::from_fn([2; 8], |i| i as u16 + value).unwrap();
    for round in 0..5 {
        let last = ArrayMut::from_fn([2; 8], |_| round).unwrap();
        tx.send((std::array::from_fn(|i| array(i as u16 + round)), last)).unwrap();
        let (arrays, mut last) = rx.recv().unwrap();
        for (i, array) in arrays.iter().enumerate() {
            assert_eq!((array.ndim(), array[255]), (8, 255 + i as u16 + round));
        }
        last[0] += 1;
        assert_eq!((last[0], last[255]), (round + 1, round));
    }
}

#[test]
fn the_same_array_can_be_in_a_message_twice_and_goes_with_its_last_handle() {
    let (tx, rx) = pair::<(Array<u64>, Array<u64>)>(2);
    let array = Array::from_slice(&[5; 1000]).unwrap();
    tx.send((array.clone(), array.slice(10..20))).unwrap();
    let (whole, part) = rx.recv().unwrap();
    drop(array);
    assert_eq!((whole.len(), part.len(), part[9]), (1000, 10, 5));
    drop(whole);
    let part = part.try_into_mut().expect("the only handle on the memory");
    drop(part);
    // As much as all of the memory: the chunk comes back only if nobody holds it.
    let held = arena::stats().unwrap();
    let again = ArrayMut::<u64>::zeroed(1000).unwrap();
    assert!(arena::stats().unwrap().held_bytes >= held.held_bytes);
    drop(again);
}

#[test]
fn a_message_comes_back_whole_when_it_cannot_be_sent() {
    let (tx, rx) = pair::<(u32, Array<u8>)>(1);
    let array = |value| Array::from_slice(&[value; 10]).unwrap();
    tx.send((1, array(1))).unwrap();
    match tx.try_send((2, array(2))) {
        Err(TrySendError::Full((2, back))) => assert_eq!(back[9], 2),
        other => panic!("{other:?}"),
    }
    match tx.send_timeout((3, array(3)), SHORT) {
        Err(SendTimeoutError::Timeout((3, back))) => assert_eq!(back[9], 3),
        other => panic!("{other:?}"),
    }
    drop(rx);
    match tx.try_send((4, array(4))) {
        Err(TrySendError::Disconnected((4, back))) => assert_eq!(back[9], 4),
        other => panic!("{other:?}"),
    }
    let named = Array::create(&unique("named"), 3, |i| i as u8).unwrap();
    match tx.try_send((5, named)) {
        Err(TrySendError::Failed((5, back), error)) => {
            assert_eq!((back[2], error.kind()), (2, ErrorKind::Unsupported));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn both_sides_must_mean_the_same_message() {
    mod other {
        use super::*;

        #[derive(Clone, Copy, Debug, Pod, Zeroable, ShmSafe)]
        #[repr(C)]
        pub(super) struct FrameInfo {
            number: u64,
            gain: f32,
            exposure: f32,
        }
        impl Record for FrameInfo {}
    }
    let name = unique("types");
    let _tx = Sender::<(FrameInfo, Array<u8>)>::create(&name, 1).unwrap();
    Receiver::<(FrameInfo, Array<u8>)>::open(&name).unwrap();
    let errors = [
        Receiver::<(other::FrameInfo, Array<u8>)>::open(&name).unwrap_err(),
        Receiver::<(FrameInfo, Array<i8>)>::open(&name).unwrap_err(),
        Receiver::<(FrameInfo, ArrayMut<u8>)>::open(&name).unwrap_err(),
        Receiver::<(Array<u8>, FrameInfo)>::open(&name).unwrap_err(),
        Receiver::<(FrameInfo, Option<Array<u8>>)>::open(&name).unwrap_err(),
        Receiver::<Array<u8>>::open(&name).unwrap_err(),
        Receiver::<AnyArray>::open(&name).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::WrongType, "{error}");
        let text = error.to_string();
        assert!(text.contains("exposure: f32 @8") && text.contains("Array<u8>"), "{text}");
    }
}

#[test]
fn an_untyped_end_takes_any_array_and_sends_the_right_one_only() {
    let name = unique("any");
    let typed = Receiver::<Array<f32>>::create(&name, 4).unwrap();
    let tx = Sender::<AnyArray>::open(&name).unwrap();
    tx.send(Array::from_slice(&[1.5_f32]).unwrap().into()).unwrap();
    assert_eq!(typed.recv().unwrap()[0], 1.5);
    match tx.try_send(Array::from_slice(&[1.5_f64]).unwrap().into()) {
        Err(TrySendError::Failed(back, error)) => {
            assert_eq!((back.dtype(), error.kind()), (DType::F64, ErrorKind::WrongType));
        }
        other => panic!("{other:?}"),
    }
    let any = Receiver::<AnyArray>::open(&name).unwrap();
    tx.send(Array::from_slice(&[2.5_f32, 3.5]).unwrap().into()).unwrap();
    let array = any.recv().unwrap();
    assert_eq!((array.dtype(), array.as_bytes().len()), (DType::F32, 8));
    assert_eq!(array.downcast::<f32>().unwrap()[1], 3.5);

    let (tx, rx) = pair::<AnyArray>(4);
    tx.send(Array::from_slice(&[true, false]).unwrap().into()).unwrap();
    tx.send(ArrayMut::<i64>::zeroed([2, 3]).unwrap().into()).unwrap();
    assert_eq!(rx.recv().unwrap().dtype(), DType::Bool);
    assert_eq!(rx.recv().unwrap().shape(), [2, 3]);
    let error = Receiver::<AnyArray>::open(
        ChannelOptions::new(1).create_sender::<ArrayMut<u8>>(&unique("unique")).unwrap().name(),
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType, "an ArrayMut has one owner");
}

#[test]
fn a_queue_has_room_for_so_many_bytes() {
    let name = unique("bytes");
    let options = ChannelOptions::new(100).max_bytes(10_000);
    let tx = options.create_sender::<(u8, Array<u8>)>(&name).unwrap();
    let rx = Receiver::<(u8, Array<u8>)>::open(&name).unwrap();
    let array = |bytes: usize| Array::<u8>::zeroed(bytes).unwrap();
    for number in 0..20 {
        tx.send((number, array(4_000))).unwrap();
        tx.send((number, array(6_000))).unwrap();
        assert!(matches!(tx.try_send((number, array(1))), Err(TrySendError::Full(_))));
        tx.send((number, array(0))).unwrap();
        assert_eq!(rx.recv().unwrap().1.len(), 4_000);
        assert!(matches!(tx.try_send((number, array(4_001))), Err(TrySendError::Full(_))));
        tx.send((number, array(4_000))).unwrap();
        let lens: Vec<_> = rx.recv_many(9).unwrap().iter().map(|(_, a)| a.len()).collect();
        assert_eq!(lens, [6_000, 0, 4_000]);
    }
    match tx.send((1, array(10_001))) {
        Err(error) => {
            let error = crossdock::Error::from(error);
            assert_eq!(error.kind(), ErrorKind::LimitExceeded, "it never fits");
            assert!(error.to_string().contains("10001") && error.to_string().contains("10000"));
        }
        Ok(()) => panic!("more bytes than the limit"),
    }
}

#[test]
fn a_full_queue_fails_or_drops_the_oldest_if_it_is_made_so() {
    let options = ChannelOptions::new(3);
    let name = unique("fail");
    let tx = options.when_full(WhenFull::Fail).create_sender::<Array<u64>>(&name).unwrap();
    let rx = Receiver::<Array<u64>>::open(&name).unwrap();
    let array = |value| Array::from_slice(&[value; 5000]).unwrap();
    let back = tx.send_many((0..5).map(array)).unwrap_err();
    assert_eq!((back.0.len(), back.0[0][0], back.1.kind()), (2, 3, ErrorKind::Full));
    assert_eq!(rx.recv_many(10).unwrap().len(), 3);

    let name = unique("drop");
    let tx = options.when_full(WhenFull::DropOldest).create_sender::<Array<u64>>(&name).unwrap();
    let rx = Receiver::<Array<u64>>::open(&name).unwrap();
    let before = arena::stats().unwrap().reserved_bytes;
    for value in 0..1000 {
        tx.send(array(value)).unwrap();
    }
    let grown = arena::stats().unwrap().reserved_bytes.saturating_sub(before);
    assert!(grown < 100 * 40_000, "what is dropped is used again: {grown}");
    let values: Vec<_> = rx.recv_many(10).unwrap().iter().map(|array| array[4999]).collect();
    assert_eq!(values, [997, 998, 999]);
    assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Empty);
}
