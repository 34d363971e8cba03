//! What arrays promise, within one process.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::unique;
use crossdock::{Array, ArrayMut, Complex, DType, Element, ErrorKind, Order, bf16, f16};

fn round_trip<T: Element>(value: impl Fn(usize) -> T) {
    let name = unique(T::DTYPE.name());
    let array = Array::create(&name, [3, 5], &value).unwrap();
    let same = Array::<T>::open(&name).unwrap();
    assert_eq!(same.dtype(), T::DTYPE);
    assert_eq!(same.shape(), [3, 5]);
    assert!(same.iter().enumerate().all(|(i, x)| *x == value(i)), "{}", T::DTYPE);
    assert_eq!(array, same);
    let chunk = ArrayMut::from_fn([3, 5], &value).unwrap().freeze();
    assert_eq!(chunk, same);
    let zeroes = ArrayMut::<T>::zeroed(1000).unwrap();
    assert_eq!(zeroes.len_bytes(), 1000 * T::DTYPE.size());
    assert!(zeroes.iter().all(|x| *x == zeroes[0]));
}

#[test]
fn every_element_type_goes_there_and_back() {
    round_trip(|i| f16::from_f32(i as f32));
    round_trip(|i| bf16::from_f32(i as f32));
    round_trip(|i| i as f32 * 0.5);
    round_trip(|i| i as f64 * 0.25);
    round_trip(|i| i as i8 - 7);
    round_trip(|i| i as i16 - 700);
    round_trip(|i| i as i32 - 70_000);
    round_trip(|i| i as i64 - (1 << 40));
    round_trip(|i| i as u8);
    round_trip(|i| i as u16 * 1000);
    round_trip(|i| i as u32 * 100_000_000);
    round_trip(|i| (i as u64) << 60);
    round_trip(|i| i % 3 == 0);
    round_trip(|i| Complex::new(i as f32, -(i as f32)));
    round_trip(|i| Complex::new(i as f64, 0.5));
}

#[test]
fn recycled_memory_is_zeroed_when_asked_and_never_a_wrong_bool() {
    for _ in 0..3 {
        let mut array = ArrayMut::<u8>::uninit(10_000).unwrap();
        array.fill(0xff);
        drop(array);
        assert!(ArrayMut::<u8>::zeroed(10_000).unwrap().iter().all(|x| *x == 0));
        let mut array = ArrayMut::<u8>::uninit(10_000).unwrap();
        array.fill(0xff);
        drop(array);
        let bools = ArrayMut::<bool>::uninit(10_000).unwrap();
        assert_eq!(bools.iter().filter(|x| **x).count(), 0);
    }
}

#[test]
fn one_to_eight_axes_and_no_more() {
    for ndim in 1..=8 {
        let shape = vec![2; ndim];
        let array = ArrayMut::<u16>::zeroed(&shape).unwrap();
        assert_eq!((array.ndim(), array.len()), (ndim, 1 << ndim));
    }
    for shape in [vec![], vec![1; 9]] {
        let error = ArrayMut::<u16>::zeroed(&shape).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn sizes_that_overflow_are_errors() {
    for shape in [[usize::MAX, 2], [1 << 40, 1 << 40], [usize::MAX / 8 + 1, 1]] {
        let error = ArrayMut::<f64>::zeroed(shape).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{shape:?}");
        let error = Array::<f64>::create(&unique("huge"), shape, |_| 0.0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{shape:?}");
    }
    let error = ArrayMut::<u8>::zeroed(1 << 45).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    assert!(error.to_string().contains("--shm-size"), "{error}");
}

#[test]
fn empty_arrays_behave_like_empty_slices() {
    let name = unique("empty");
    let empty = Array::<f64>::create(&name, [0, 7], |_| unreachable!()).unwrap();
    assert_eq!(Array::<f64>::open(&name).unwrap().shape(), [0, 7]);
    assert!(empty.is_empty());
    let empty = ArrayMut::<u8>::zeroed([3, 0]).unwrap();
    assert_eq!((empty.len(), empty.len_bytes()), (0, 0));
    let (a, b) = empty.split_at(1);
    assert_eq!((a.shape(), b.shape()), (&[1, 0][..], &[2, 0][..]));
    assert_eq!(a.unsplit(b).unwrap().shape(), [3, 0]);
}

#[test]
fn an_array_can_be_larger_than_4_gib() {
    let bytes = (4_usize << 30) + 4096;
    crossdock::arena::set_prefault(false);
    let mut array = ArrayMut::<u8>::uninit(bytes).unwrap();
    crossdock::arena::set_prefault(true);
    array[bytes - 1] = 42;
    let last = array.freeze().slice(bytes - 1..);
    assert_eq!(last[..], [42]);
    drop(last);
    // Idle memory beyond the limit of the cache is given back at once.
    assert!(crossdock::arena::stats().unwrap().reserved_bytes < bytes as u64);
}

#[test]
fn the_wrong_element_type_is_an_error_that_names_both() {
    let name = unique("dtype");
    let _array = Array::<f32>::create(&name, 4, |_| 1.0).unwrap();
    let error = Array::<f64>::open(&name).unwrap_err();
    assert_eq!((error.kind(), error.name()), (ErrorKind::WrongType, Some(name.as_str())));
    let text = error.to_string();
    assert!(text.contains("f32") && text.contains("f64"), "{text}");
}

#[test]
fn a_name_appears_with_the_whole_array_and_goes_with_the_last_handle() {
    let name = unique("life");
    let array = Array::<u32>::create_with(&name, 1000, Order::C, |elements| {
        assert_eq!(Array::<u32>::open(&name).unwrap_err().kind(), ErrorKind::NotFound);
        elements.fill(3);
    })
    .unwrap();
    let error = Array::<u32>::create(&name, 1, |_| 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let second = Array::<u32>::open(&name).unwrap();
    drop(array);
    assert_eq!(Array::<u32>::open(&name).unwrap()[999], 3);
    drop(second);
    assert_eq!(Array::<u32>::open(&name).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_persistent_array_can_be_changed_by_one_alone() {
    let name = unique("alone");
    let array = Array::create(&name, 8, |i| i as i64).unwrap();
    array.persist().unwrap();
    assert_eq!(ArrayMut::<i64>::open(&name).unwrap_err().kind(), ErrorKind::Busy);
    drop(array);
    let mut alone = ArrayMut::<i64>::open(&name).unwrap();
    alone[3] = -1;
    assert_eq!(Array::<i64>::open(&name).unwrap_err().kind(), ErrorKind::Busy);
    drop(alone);
    assert_eq!(Array::<i64>::open(&name).unwrap()[3], -1);
    Array::<i64>::unlink(&name).unwrap();
    assert_eq!(Array::<i64>::unlink(&name).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn parts_are_disjoint_and_come_together_again() {
    for order in [Order::C, Order::F] {
        let mut array = ArrayMut::<u32>::zeroed_in([6, 4], order).unwrap();
        array.iter_mut().enumerate().for_each(|(i, x)| *x = i as u32);
        let slow = if order == Order::C { 6 } else { 4 };
        let mut parts = array.chunks(4);
        assert_eq!(parts.len(), 4);
        assert_eq!(parts.iter().map(|part| part.len()).sum::<usize>(), 24);
        for part in &mut parts {
            part.iter_mut().for_each(|x| *x += 100);
        }
        let whole = parts.into_iter().reduce(|a, b| a.unsplit(b).ok().unwrap()).unwrap();
        assert_eq!(whole.shape(), [6, 4]);
        assert!(whole.iter().enumerate().all(|(i, x)| *x == i as u32 + 100));
        let (a, b) = whole.split_at(slow / 2);
        let (b, a) = b.unsplit(a).unwrap_err();
        assert!(a.unsplit(b).is_ok());
    }
}

#[test]
fn a_slice_keeps_the_memory_and_frees_nothing_else() {
    let array = Array::from_fn([100, 50], |i| i as u16).unwrap();
    let rows = array.slice(10..=11);
    drop(array);
    assert_eq!((rows.shape(), rows[0]), (&[2, 50][..], 500));
    let row = rows.slice(1..).reshape(50).unwrap();
    assert_eq!((row.shape(), row[49]), (&[50][..], 599));
    assert_eq!(row.reshape([7, 7]).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
#[should_panic(expected = "rows 3..5 are not inside 0..4")]
fn a_slice_beyond_the_end_panics() {
    let _ = Array::<u8>::zeroed([4, 2]).unwrap().slice(3..5);
}

#[test]
fn only_the_last_handle_becomes_writable() {
    let array = Array::<u8>::zeroed(100).unwrap();
    let clone = array.clone();
    let array = array.try_into_mut().unwrap_err();
    drop(clone);
    assert_eq!(array.try_into_mut().unwrap().len(), 100);
}

#[test]
fn debug_shows_type_shape_and_the_first_elements() {
    let array = Array::from_fn([2, 4], |i| i as i32).unwrap();
    assert_eq!(format!("{array:?}"), "Array<i32>[2, 4] [0, 1, 2, 3, 4, 5, ..]");
    assert_eq!(array.dtype(), DType::I32);
}

#[cfg(feature = "ndarray")]
#[test]
fn ndarray_views_see_rows_and_columns_in_both_orders() {
    for order in [Order::C, Order::F] {
        let mut array = ArrayMut::<f64>::zeroed_in([2, 3], order).unwrap();
        array.as_ndarray_mut()[[1, 2]] = 5.0;
        assert_eq!(array[5], 5.0);
        array.as_ndarray_mut()[[0, 1]] = 4.0;
        assert_eq!(array[if order == Order::C { 1 } else { 2 }], 4.0);
        assert_eq!(array.freeze().as_ndarray().sum(), 9.0);
    }
}
