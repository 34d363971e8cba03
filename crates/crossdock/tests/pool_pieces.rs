//! How a pool cuts many calls into pieces of work, and what does not go into one.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

use crossdock::process::Pool;
use crossdock::{Array, ArrayMut, ErrorKind};

crossdock::process::init_before_main!();

#[test]
fn many_arrays_are_arguments_and_results_of_a_map() {
    let pool = Pool::new(2).unwrap();
    let arrays: Vec<_> = (0..100_u64).map(|n| Array::from_slice(&[n; 10]).unwrap()).collect();
    let sums = pool.map(|array: Array<u64>| array.iter().sum::<u64>(), arrays).unwrap();
    assert_eq!(sums, (0..100).map(|n| 10 * n).collect::<Vec<_>>());
    let make = |n: u64| Array::from_slice(&[n; 10]).unwrap();
    let later = pool.map_async(make, 0..100).unwrap();
    // What is left of a piece is still done after that.
    pool.join().unwrap();
    let arrays = later.result().unwrap();
    assert!(arrays.iter().zip(0..).all(|(array, n)| array[..] == [n; 10]));
}

#[test]
fn long_arguments_beside_short_ones_go_in_pieces_of_their_own() {
    let pool = Pool::new(1).unwrap();
    let texts = [200, 900, 1, 1000, 300].map(|kib| "x".repeat(kib << 10));
    let lens = pool.calls().chunk_size(5).map(|text: String| text.len(), texts).unwrap();
    assert_eq!(lens, [200, 900, 1, 1000, 300].map(|kib| kib << 10));
}

#[test]
fn what_has_one_owner_is_not_given_to_a_task_that_may_run_twice() {
    let pool = Pool::options().workers(1).retries(1).build().unwrap();
    let array = ArrayMut::<u8>::zeroed(10).unwrap();
    let error = pool.apply(|array: ArrayMut<u8>| array.len(), array).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("retries"), "{error}");
}
