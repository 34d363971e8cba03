//! Arrays and other handles in the arguments and results of tasks, among real processes.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::processes::{METHODS, await_that, by, join};
use common::{PATIENCE, unique};
use crossdock::channel::{Receiver, Sender, broadcast};
use crossdock::process::{Process, StartMethod};
use crossdock::sync::{Event, Mutex};
use crossdock::{
    AnyArray, Array, ArrayMut, Atomic, ErrorKind, Result, SharedList, SharedMap, Value, arena,
    registry,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

crossdock::process::init_before_main!();

/// The names that this process has left behind.
fn mailboxes() -> Vec<String> {
    mailboxes_of(std::process::id())
}

/// Those of tests beside this one are on their way.
fn await_no_mailboxes() {
    await_that("what is on its way arrives", || mailboxes().is_empty());
}

fn mailboxes_of(pid: u32) -> Vec<String> {
    let prefix = format!("process-{pid}-");
    let names = registry::list().unwrap().into_iter().map(|entry| entry.name);
    names.filter(|name| name.starts_with(&prefix)).collect()
}

fn sum(numbers: Array<u64>) -> u64 {
    numbers.iter().sum()
}

fn squares(count: u64) -> Result<Array<u64>> {
    Array::from_fn(count as usize, |i| (i * i) as u64)
}

fn fill((mut part, value): (ArrayMut<f32>, f32)) -> ArrayMut<f32> {
    part.fill(value);
    part
}

#[derive(Debug, Serialize, Deserialize)]
struct Batch {
    label: String,
    images: Vec<Array<u8>>,
    depth: Option<Array<f32>>,
    any: AnyArray,
    note: Vec<u8>,
}

fn describe(batch: Batch) -> (String, Vec<usize>, Option<f32>, String, usize) {
    let lens = batch.images.iter().map(|image| image.len()).collect();
    let depth = batch.depth.map(|depth| depth[0]);
    (batch.label, lens, depth, batch.any.dtype().to_string(), batch.note.len())
}

#[test]
fn an_array_is_an_argument_and_a_result_by_every_method() {
    let numbers = Array::from_fn(100_000, |i| i as u64).unwrap();
    for method in METHODS {
        let handle = by(method).spawn(sum, numbers.clone()).unwrap();
        assert_eq!(join(handle).unwrap(), 99_999 * 100_000 / 2);
        let squares = join(by(method).spawn(squares, 1000).unwrap()).unwrap().unwrap();
        assert_eq!((squares.len(), squares[999]), (1000, 999 * 999));
    }
    assert_eq!(numbers[7], 7, "it is still this process's");
    await_no_mailboxes();
}

#[test]
fn a_unique_array_is_written_in_place_and_comes_back() {
    for method in METHODS {
        let mut whole = ArrayMut::<f32>::zeroed([64, 1024]).unwrap();
        whole[0] = -1.0;
        let first = whole.as_ptr();
        let handles: Vec<_> = (0_u8..)
            .zip(whole.chunks(4))
            .map(|(i, part)| by(method).spawn(fill, (part, f32::from(i))).unwrap())
            .collect();
        let mut parts = handles.into_iter().map(|handle| join(handle).unwrap());
        let first_part = parts.next().unwrap();
        let whole = parts.fold(first_part, |whole, part| whole.unsplit(part).unwrap());
        assert_eq!(whole.shape(), [64, 1024]);
        assert_eq!(whole.as_ptr(), first, "it has not moved");
        assert!((0..4_u8).all(|i| whole[usize::from(i) * 16 * 1024 + 7] == f32::from(i)));
    }
    await_no_mailboxes();
}

#[test]
fn arrays_travel_anywhere_in_a_value() {
    let image = Array::from_slice(&[7_u8; 300]).unwrap();
    for (method, note) in [(StartMethod::Spawn, 10), (StartMethod::ForkServer, 100_000)] {
        let batch = Batch {
            label: "two views of one image".to_owned(),
            images: vec![image.clone(), image.slice(100..), image.clone()],
            depth: Some(Array::from_slice(&[0.5, 1.5]).unwrap()),
            any: Array::from_slice(&[1_i16]).unwrap().into(),
            note: vec![1; note],
        };
        let seen = join(by(method).spawn(describe, batch).unwrap()).unwrap();
        let lens = vec![300, 200, 300];
        assert_eq!(
            seen,
            ("two views of one image".to_owned(), lens, Some(0.5), "i16".to_owned(), note)
        );
    }
    assert!(image.try_into_mut().is_ok(), "nobody else has it any more");
}

#[test]
fn more_arrays_than_a_message_can_have_are_an_error_that_says_what_to_do() {
    let image = Array::from_slice(&[7_u8; 300]).unwrap();
    let count = |images: Vec<Array<u8>>| images.len();
    assert_eq!(join(Process::spawn(count, vec![image.clone(); 8]).unwrap()).unwrap(), 8);
    let error = Process::spawn(count, vec![image.clone(); 9]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.to_string().contains("one array"), "{error}");
    // Many other bytes need one of them.
    let beside = |(images, _): (Vec<Array<u8>>, Vec<u8>)| images.len();
    assert_eq!(
        join(Process::spawn(beside, (vec![image.clone(); 7], vec![0; 1000])).unwrap()).unwrap(),
        7
    );
    let error = Process::spawn(beside, (vec![image; 8], vec![0; 1000])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
}

#[test]
fn a_unique_array_that_the_value_does_not_own_is_refused() {
    let owned = Arc::new(ArrayMut::<u8>::zeroed(100).unwrap());
    let shared = Arc::clone(&owned);
    let length = |array: Arc<ArrayMut<u8>>| array.len();
    let error = Process::spawn(length, shared).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("somebody else has"), "{error}");
    assert_eq!(owned[99], 0);
    // The last one does own it.
    assert_eq!(join(Process::spawn(length, owned).unwrap()).unwrap(), 100);
}

#[test]
fn a_value_that_lends_or_multiplies_its_array_is_refused() {
    /// Serialises what it has twice.
    #[derive(Deserialize)]
    struct Twice(ArrayMut<u8>);
    impl Serialize for Twice {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            (&self.0, &self.0).serialize(serializer)
        }
    }
    let twice = Twice(ArrayMut::zeroed(10).unwrap());
    let error = Process::spawn(|twice: Twice| twice.0.len(), twice).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("twice"), "{error}");

    /// Does not drop its array, but keeps it.
    #[derive(Serialize, Deserialize)]
    struct Keeps(Option<ArrayMut<u8>>);
    static KEPT: std::sync::Mutex<Vec<Array<u8>>> = std::sync::Mutex::new(Vec::new());
    impl Drop for Keeps {
        fn drop(&mut self) {
            let array = self.0.take().map(ArrayMut::freeze);
            KEPT.lock().unwrap().extend(array);
        }
    }
    let keeps = Keeps(Some(ArrayMut::zeroed(10).unwrap()));
    let length = |mut keeps: Keeps| keeps.0.take().map(|array| array.len());
    let error = Process::spawn(length, keeps).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(KEPT.lock().unwrap()[0].len(), 10);
    KEPT.lock().unwrap().clear();
}

#[test]
fn an_array_of_another_type_is_an_error_of_the_task() {
    /// Reads another type than it writes.
    #[derive(Debug)]
    struct Confused;
    impl Serialize for Confused {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            Array::from_slice(&[1_u8]).unwrap().serialize(serializer)
        }
    }
    impl<'de> Deserialize<'de> for Confused {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            ArrayMut::<u8>::deserialize(deserializer).map(|_| Self)
        }
    }
    let error = join(Process::spawn(|_: Confused| (), Confused).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
    assert!(error.to_string().contains("Array<u8> where an ArrayMut<u8>"), "{error}");
}

#[test]
fn handles_are_not_serialised_elsewhere() {
    let array = Array::from_slice(&[1_u8]).unwrap();
    assert!(postcard::to_stdvec(&array).is_err());
    let value = Value::create(&unique("elsewhere"), Atomic::new(1_u32)).unwrap();
    assert!(postcard::to_stdvec(&value).is_err());
    let bytes = postcard::to_stdvec(value.name().unwrap()).unwrap();
    assert!(postcard::from_bytes::<Value<Atomic<u32>>>(&bytes).is_err());
}

#[derive(Serialize, Deserialize)]
struct Tools {
    total: Value<Mutex<u64>>,
    slots: Value<[Atomic<u32>]>,
    histogram: Array<Atomic<u64>>,
    done: Value<Event>,
}

fn work((tools, rank): (Tools, u32)) -> u64 {
    for _ in 0..1000 {
        *tools.total.lock().unwrap() += 1;
        tools.histogram[rank as usize].fetch_add(1, Relaxed);
    }
    tools.slots[rank as usize].store(rank, Relaxed);
    tools.done.set();
    tools.histogram[rank as usize].load(Relaxed)
}

#[test]
fn values_locks_and_named_arrays_are_opened_where_they_arrive() {
    for method in METHODS {
        let total = Value::create(&unique("total"), Mutex::new(0)).unwrap();
        let done = Value::create(&unique("done"), Event::new()).unwrap();
        let handles: Vec<_> = (0..3)
            .map(|rank| {
                // Nobody but the argument has these, until the process has opened them.
                let tools = Tools {
                    total: total.clone(),
                    slots: Value::create_slice(&unique("slots"), 3, |_| Atomic::new(0)).unwrap(),
                    histogram: Array::create(&unique("histogram"), 3, |_| Atomic::new(0)).unwrap(),
                    done: done.clone(),
                };
                by(method).spawn(work, (tools, rank)).unwrap()
            })
            .collect();
        assert!(done.wait_timeout(PATIENCE));
        for handle in handles {
            assert_eq!(join(handle).unwrap(), 1000);
        }
        assert_eq!(*total.lock().unwrap(), 3000);
    }
}

#[test]
fn maps_and_lists_go_to_processes_and_arrays_do_not_go_into_them() {
    fn count((words, counts, seen): (Vec<String>, SharedMap<String, u32>, SharedList<String>)) {
        for word in words {
            counts.update(&word, |count| Some(count.unwrap_or_default() + 1)).unwrap();
            seen.push(&word).unwrap();
        }
    }
    let counts = SharedMap::<String, u32>::create(&unique("counts")).unwrap();
    let seen = SharedList::<String>::create(&unique("seen")).unwrap();
    let words: Vec<String> = "to be or not to be".split(' ').map(str::to_owned).collect();
    let handles = [(); 3]
        .map(|()| Process::spawn(count, (words.clone(), counts.clone(), seen.clone())).unwrap());
    for handle in handles {
        join(handle).unwrap();
    }
    assert_eq!(counts.get("be").unwrap(), Some(6));
    assert_eq!((counts.len().unwrap(), seen.len().unwrap()), (4, 18));

    let arrays = SharedMap::<u8, Array<u8>>::create(&unique("arrays")).unwrap();
    let error = arrays.insert(&1, &Array::from_slice(&[1]).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("its bytes would lead nowhere"), "{error}");
}

#[test]
fn a_value_without_a_name_is_refused() {
    let value = Value::anonymous(Atomic::new(1_u32)).unwrap();
    let error = Process::spawn(|value: Value<Atomic<u32>>| value.load(Relaxed), value).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("without a name"), "{error}");
}

fn produce((frames, count): (Sender<Array<u32>>, u32)) -> Result<u32> {
    for n in 0..count {
        frames.send(Array::from_slice(&[n; 100])?)?;
    }
    Ok(count)
}

fn forward((from, to): (Receiver<Array<u32>>, broadcast::Sender<Array<u32>>)) -> usize {
    from.iter().filter(|frame| to.send(frame.clone()).is_ok()).count()
}

#[test]
fn the_ends_of_channels_are_handed_to_processes() {
    for method in METHODS {
        let rx = Receiver::create(&unique("frames"), 4).unwrap();
        let tx = Sender::open(rx.name()).unwrap();
        let all = broadcast::Sender::create(&unique("all"), 64).unwrap();
        let seen = broadcast::Receiver::<Array<u32>>::open(all.name()).unwrap();
        // This process keeps no end but the last one, and every iteration ends.
        let producer = by(method).spawn(produce, (tx, 50)).unwrap();
        let middle = by(method).spawn(forward, (rx, all)).unwrap();
        let frames: Vec<u32> =
            std::iter::from_fn(|| seen.recv().ok()).map(|frame| frame[99]).collect();
        assert_eq!(frames, (0..50).collect::<Vec<_>>());
        assert_eq!(join(producer).unwrap().unwrap(), 50);
        assert_eq!(join(middle).unwrap(), 50);
    }
}

fn new_counter(name: String) -> Result<Value<Atomic<u32>>> {
    Value::create(&name, Atomic::new(5))
}

#[test]
fn a_task_returns_what_it_has_made_under_a_name() {
    for method in METHODS {
        let handle = by(method).spawn(new_counter, unique("made")).unwrap();
        assert!(handle.wait_timeout(PATIENCE).unwrap(), "its maker has gone before it is fetched");
        let counter = join(handle).unwrap().unwrap();
        assert_eq!(counter.load(Relaxed), 5);
    }
}

#[test]
fn a_result_that_is_an_error_keeps_its_kind() {
    let open = |name: String| -> Result<Array<u8>> { Array::open(&name) };
    let error = join(Process::spawn(open, unique("missing")).unwrap()).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.name().unwrap().contains("missing"));
}

#[test]
fn a_result_outlives_its_process_and_a_long_wait() {
    let handles: Vec<_> = (0..20).map(|i| Process::spawn(squares, i + 1).unwrap()).collect();
    for handle in &handles {
        assert!(handle.wait_timeout(PATIENCE).unwrap());
    }
    for (len, handle) in (1..).zip(handles) {
        assert_eq!(join(handle).unwrap().unwrap().len(), len);
    }
    await_no_mailboxes();
}

#[test]
fn a_process_that_dies_over_its_argument_keeps_nobody_waiting() {
    /// Ends the process that reads it.
    #[derive(Debug, Serialize)]
    struct Deadly;
    impl<'de> Deserialize<'de> for Deadly {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            std::process::abort()
        }
    }
    for method in METHODS {
        let value = Value::create(&unique("deadly"), Atomic::new(1_u32)).unwrap();
        let task = |_: (Value<Atomic<u32>>, Deadly)| ();
        let handle = by(method).spawn(task, (value, Deadly)).unwrap();
        assert_eq!(join(handle).unwrap_err().kind(), ErrorKind::Died);
    }
}

#[test]
fn a_result_that_nobody_wants_leaves_nothing() {
    for method in METHODS {
        let handle = by(method).spawn(squares, 100).unwrap();
        assert!(handle.wait_timeout(PATIENCE).unwrap());
        let pid = handle.pid();
        drop(handle);
        assert_eq!(mailboxes_of(pid), [""; 0]);
    }
}

#[test]
fn a_panic_in_the_middle_of_a_value_leaves_nothing_behind() {
    struct Panics(Array<u8>);
    impl Serialize for Panics {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.serialize(serializer)?;
            panic!("on purpose")
        }
    }
    impl<'de> Deserialize<'de> for Panics {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Array::deserialize(deserializer).map(Self)
        }
    }
    let array = Array::from_slice(&[1, 2, 3]).unwrap();
    let panics = Panics(array.clone());
    let spawn = std::panic::AssertUnwindSafe(|| Process::spawn(|_: Panics| (), panics));
    assert!(std::panic::catch_unwind(spawn).is_err());
    assert!(postcard::to_stdvec(&array).is_err(), "nobody collects arrays any more");
    assert!(array.try_into_mut().is_ok(), "nobody keeps it");
}

fn echo(array: ArrayMut<u8>) -> ArrayMut<u8> {
    array
}

/// Starts processes that get an array and give it back, and kills each; what is left then.
fn kill_many(rounds: u64) -> Result<(Vec<String>, u64)> {
    for round in 0..rounds {
        let array = ArrayMut::<u8>::zeroed(1 << 20)?;
        let method = METHODS[round as usize % 2];
        let handle = by(method).spawn(echo, array)?;
        // This bounds the time until the kill from below: what it meets is to differ.
        std::thread::sleep(Duration::from_micros(round / 2 * 40));
        handle.kill()?;
        match join(handle) {
            Ok(array) => assert_eq!(array.len(), 1 << 20),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Died | ErrorKind::NotFound), "{error:?}")
            }
        }
    }
    registry::gc(true)?;
    Ok((mailboxes(), arena::stats()?.held_chunks))
}

#[test]
fn a_kill_at_any_moment_loses_at_most_the_array_and_leaves_nothing() {
    // In a process of its own, which nobody else allocates in.
    let left = join(Process::spawn(kill_many, 120).unwrap()).unwrap().unwrap();
    assert_eq!(left, (Vec::new(), 0));
}
