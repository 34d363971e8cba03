//! How a pool cuts many calls into pieces of work, and what does not go into one.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

use crossdock::process::{INLINE_BYTES_MAX, Pool};
use crossdock::{Array, ArrayMut, Error, ErrorKind};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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

#[test]
fn results_that_are_too_long_only_together_all_come() {
    let pool = Pool::new(1).unwrap();
    let lens = [200 << 10, 1000 << 10, 250 << 10, 7, INLINE_BYTES_MAX - 3];
    // So that what is left of a piece is long as well.
    let arguments = lens.map(|len| (len, "y".repeat(50 << 10)));
    let repeat = |(len, _): (usize, String)| "x".repeat(len);
    let texts = pool.calls().chunk_size(5).map(repeat, arguments).unwrap();
    assert!(texts.iter().map(String::len).eq(lens));
}

#[test]
fn the_longest_value_that_can_travel_does_so_alone_and_in_a_piece() {
    let pool = Pool::new(1).unwrap();
    let longest = vec![1_u8; INLINE_BYTES_MAX - 3];
    let same = |bytes: Vec<u8>| bytes;
    assert_eq!(pool.apply(same, longest.clone()).unwrap(), longest);
    assert_eq!(pool.map(same, [longest.clone()]).unwrap()[0], longest);
    let longer = vec![1_u8; INLINE_BYTES_MAX - 2];
    for error in [
        pool.apply(same, longer.clone()).unwrap_err(),
        pool.map(same, [longer]).unwrap_err(),
        pool.apply(|len: usize| vec![1_u8; len], INLINE_BYTES_MAX - 2).unwrap_err(),
        pool.map(|len: usize| vec![1_u8; len], [INLINE_BYTES_MAX - 2]).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
    }
}

/// What becomes of the calls of one piece, as the kinds of their errors.
fn outcomes<R>(outcomes: impl Iterator<Item = Result<R, Error>>) -> Vec<Option<ErrorKind>> {
    outcomes.map(|outcome| outcome.err().map(|error| error.kind())).collect()
}

#[test]
fn a_result_that_cannot_travel_is_its_own_error_and_not_that_of_its_neighbours() {
    let pool = Pool::new(1).unwrap();
    let calls = pool.calls().chunk_size(5);
    let repeat = |len: usize| "x".repeat(len);
    let lens = [5, 2 << 20, 6, 3 << 20, 7];
    let mut results = calls.imap(repeat, lens);
    assert_eq!(results.next().unwrap().unwrap(), "xxxxx");
    let error = results.next().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.to_string().starts_with("task \"task\": its result cannot be sent"), "{error}");
    assert_eq!(outcomes(results), [None, Some(ErrorKind::LimitExceeded), None]);

    let with_array = |len: usize| (Array::from_slice(&[1_u8; 10]).unwrap(), "x".repeat(len));
    let kinds = outcomes(calls.imap(with_array, lens));
    let too_long = Some(ErrorKind::LimitExceeded);
    assert_eq!(kinds, [None, too_long, None, too_long, None]);

    let moody = |mood: u8| Moody { mood, _text: String::new() };
    let kinds = outcomes(calls.imap(moody, [0, 1, 0, 2, 0]));
    let expected = [Some(ErrorKind::InvalidArgument), Some(ErrorKind::Panicked)];
    assert_eq!(kinds, [None, expected[0], None, expected[1], None]);
}

/// Is serialised only if it wants to.
struct Moody {
    mood: u8,
    _text: String,
}

impl Serialize for Moody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.mood {
            0 => serializer.serialize_u8(0),
            1 => Err(serde::ser::Error::custom("not today")),
            _ => std::panic::resume_unwind(Box::new("never")),
        }
    }
}

impl<'de> Deserialize<'de> for Moody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mood = u8::deserialize(deserializer)?;
        Ok(Self { mood, _text: String::new() })
    }
}
