//! Queues and pipes of serde values, among real processes; the traps of Python's, walked into on purpose.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::processes::{METHODS, join};
use common::{PATIENCE, unique};
use crossdock::channel::{RecvError, RecvTimeoutError, TryRecvError};
use crossdock::process::{self, Connection, JoinableQueue, PipeReader, Process, Queue};
use crossdock::sync::Mutex;
use crossdock::{Array, ArrayMut, ErrorKind, Result, Select, Value, registry};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

crossdock::process::init_before_main!();

/// Less than anything happens in by itself.
const MOMENT: Duration = Duration::from_millis(20);

#[derive(Debug, PartialEq, Clone, Serialize, Deserialize)]
enum Event {
    Started { by: String },
    Counts(BTreeMap<String, Vec<u32>>),
    Nothing,
}

fn report((events, rank): (Queue<Event>, u32)) -> Result<()> {
    events.put(Event::Started { by: format!("worker {rank}") })?;
    events.put(Event::Counts(BTreeMap::from([("words".to_owned(), vec![rank; 1000])])))?;
    Ok(events.put(Event::Nothing)?)
}

#[test]
fn any_serde_value_goes_through_a_queue_and_its_end_is_seen() {
    for method in METHODS {
        let events = Queue::new(4).unwrap();
        for rank in 0..3 {
            let task = Process::options().start(method).spawn(report, (events.clone(), rank));
            drop(task.unwrap());
        }
        let mut seen: Vec<Event> = events.iter().collect::<Result<_>>().unwrap();
        assert_eq!(seen.len(), 9);
        seen.retain(|event| *event != Event::Nothing);
        let long = Event::Counts(BTreeMap::from([("words".to_owned(), vec![2; 1000])]));
        assert!(
            seen.contains(&long) && seen.contains(&Event::Started { by: "worker 0".to_owned() })
        );
        assert_eq!(events.get(), Err(RecvError::Disconnected));
    }
}

#[test]
fn a_put_then_an_exit_at_once_loses_nothing() {
    // Python's feeder thread has to be waited for, or what is in its buffer is lost.
    let queue = Queue::<Vec<u8>>::new(8).unwrap();
    let put = |queue: Queue<Vec<u8>>| {
        queue.put(vec![7; 200_000]).unwrap();
        queue.put(vec![8; 10]).unwrap();
        std::process::abort()
    };
    let handle = Process::spawn(put, queue.clone()).unwrap();
    assert_eq!(join::<()>(handle).unwrap_err().kind(), ErrorKind::Died);
    assert_eq!(queue.get().unwrap(), vec![7; 200_000]);
    assert_eq!(queue.get().unwrap(), vec![8; 10]);
    assert_eq!(queue.get(), Err(RecvError::Disconnected));
}

#[test]
fn a_full_queue_whose_consumer_is_killed_is_an_error_and_no_hang() {
    let queue = Queue::<u32>::new(2).unwrap();
    let consume = |queue: Queue<u32>| {
        queue.get().unwrap();
        std::process::abort()
    };
    let handle = Process::spawn(consume, queue.clone()).unwrap();
    for number in 0..3 {
        queue.put_timeout(number, PATIENCE).unwrap();
    }
    assert_eq!(join::<()>(handle).unwrap_err().kind(), ErrorKind::Died);
    let error = (0..3).find_map(|_| queue.put(9).err()).unwrap();
    assert_eq!((error.kind(), error.into_value()), (ErrorKind::Disconnected, Some(9)));
}

#[test]
fn a_value_that_is_too_large_is_refused_and_the_array_is_named() {
    let queue = Queue::<Vec<u8>>::new(2).unwrap();
    let error = queue.put(vec![0; (1 << 20) + 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.to_string().contains("crossdock::Array"), "{error}");
    assert!(queue.is_empty());
    // As an array it may be as large as memory.
    let queue = Queue::<(String, Array<u8>)>::new(2).unwrap();
    queue.put(("frame".to_owned(), Array::zeroed(1 << 24).unwrap())).unwrap();
    assert_eq!(queue.get().unwrap().1.len(), 1 << 24);
}

#[test]
fn what_cannot_be_put_comes_back() {
    let queue = Queue::<(ArrayMut<u16>, String)>::new(1).unwrap();
    let value = |number| (ArrayMut::from_slice(&[number; 10]).unwrap(), "kept".to_owned());
    let other = queue.clone();
    queue.put(value(1)).unwrap();
    let error = queue.put_nowait(value(2)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    let (mut array, text) = error.into_value().unwrap();
    array[0] = 3;
    assert_eq!((&array[..2], text.as_str()), (&[3, 2][..], "kept"));
    let error = queue.put_timeout((array, text), MOMENT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(error.into_value().unwrap().0[0], 3);
    assert_eq!(other.get().unwrap().0[9], 1);
    assert!(matches!(other.get_nowait(), Err(TryRecvError::Empty)));
    assert!(matches!(other.get_timeout(MOMENT), Err(RecvTimeoutError::Timeout)));
}

#[test]
fn the_first_one_waits_for_the_others_and_nobody_waits_for_himself() {
    let name = unique("first");
    let queue = Queue::<u8>::create(&name, 1).unwrap();
    let waiter = std::thread::spawn(move || {
        let first = queue.get();
        (queue, first)
    });
    // This bounds from below how long it waits; it has nobody to wait for yet.
    std::thread::sleep(3 * MOMENT);
    let other = Queue::<u8>::open(&name).unwrap();
    other.put(7).unwrap();
    let (queue, first) = waiter.join().unwrap();
    assert_eq!(first, Ok(7));
    drop(other);
    assert_eq!(queue.get(), Err(RecvError::Disconnected));
    assert_eq!(queue.get_nowait(), Err(TryRecvError::Disconnected));
    queue.put(1).unwrap();
    assert_eq!(queue.put(2).unwrap_err().kind(), ErrorKind::Disconnected);
    assert_eq!(queue.get_nowait(), Ok(1));
}

#[test]
fn workers_that_make_work_end_when_all_of_them_wait() {
    fn work(jobs: Queue<u32>) -> u64 {
        let mut count = 0;
        while let Ok(job) = jobs.get() {
            count += 1;
            for _ in 0..2 * u32::from(job > 0) {
                jobs.put(job - 1).unwrap();
            }
        }
        count
    }
    let jobs = Queue::new(1 << 10).unwrap();
    jobs.put(8).unwrap();
    let workers = [(); 3].map(|()| Process::spawn(work, jobs.clone()).unwrap());
    drop(jobs);
    let counts = workers.map(|worker| join(worker).unwrap());
    assert_eq!(counts.iter().sum::<u64>(), (1 << 9) - 1, "{counts:?}");
}

#[test]
fn work_that_makes_work_is_waited_for() {
    fn work(jobs: JoinableQueue<u32>) {
        while let Ok(job) = jobs.get() {
            if job > 0 {
                jobs.put(job - 1).unwrap();
            }
            jobs.task_done().unwrap();
        }
    }
    let jobs = JoinableQueue::new(8).unwrap();
    let worker = Process::spawn(work, jobs.clone()).unwrap();
    for _ in 0..60 {
        jobs.put(100).unwrap();
        assert!(jobs.join_timeout(PATIENCE).unwrap());
        assert_eq!(jobs.get_nowait(), Err(TryRecvError::Empty));
    }
    worker.kill().unwrap();
    assert_eq!(join(worker).unwrap_err().kind(), ErrorKind::Died);
    jobs.put(1).unwrap();
    assert_eq!(jobs.join().unwrap_err().kind(), ErrorKind::Disconnected);
}

#[test]
fn what_nobody_can_read_is_given_up_alone() {
    /// Cannot be read where it is not 7.
    #[derive(Debug, Serialize)]
    struct Seven(u8);
    impl<'de> Deserialize<'de> for Seven {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            match u8::deserialize(deserializer)? {
                7 => Ok(Self(7)),
                other => Err(serde::de::Error::custom(format!("{other} is not 7"))),
            }
        }
    }
    let jobs = JoinableQueue::new(8).unwrap();
    for number in [7, 8, 7] {
        jobs.put(Seven(number)).unwrap();
    }
    for _ in 0..9 {
        // Each handle drops what it has got, or cannot read.
        drop(jobs.clone().get());
    }
    let given_up: Vec<_> = jobs.given_up().collect();
    assert_eq!(given_up.iter().filter(|value| value.is_ok()).count(), 2);
    assert_eq!(given_up.len(), 3);
    assert!(jobs.given_up().next().is_none());
}

#[test]
fn a_queue_and_a_joinable_one_are_not_mistaken_for_each_other() {
    let jobs = JoinableQueue::<u8>::create(&unique("jobs"), 2).unwrap();
    assert_eq!(Queue::<u8>::open(jobs.name()).unwrap_err().kind(), ErrorKind::WrongType);
    let queue = Queue::<u8>::create(&unique("queue"), 2).unwrap();
    let error = JoinableQueue::<u8>::open(queue.name()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
}

#[test]
fn a_queue_of_another_type_is_not_opened() {
    let queue = Queue::<u32>::create(&unique("typed"), 2).unwrap();
    let error = Queue::<String>::open(queue.name()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
    assert!(error.to_string().contains("u32") && error.to_string().contains("String"), "{error}");
}

#[test]
fn several_consumers_share_what_there_is() {
    let take = |(jobs, done): (Queue<u64>, Queue<(u32, u64)>)| -> Result<u64> {
        let mut count = 0;
        for job in jobs.iter() {
            let job = job?;
            done.put((std::process::id(), job * job))?;
            count += 1;
        }
        Ok(count)
    };
    let (jobs, done) = (Queue::new(16).unwrap(), Queue::new(16).unwrap());
    let workers = [(); 3].map(|()| Process::spawn(take, (jobs.clone(), done.clone())).unwrap());
    let producer = std::thread::spawn(move || {
        for job in 0..500_u64 {
            jobs.put(job).unwrap();
        }
    });
    let mut squares: Vec<u64> = done.iter().map(|done| done.unwrap().1).collect();
    squares.sort_unstable();
    assert_eq!(squares, (0..500).map(|job| job * job).collect::<Vec<_>>());
    producer.join().unwrap();
    let counts: u64 = workers.into_iter().map(|worker| join(worker).unwrap().unwrap()).sum();
    assert_eq!(counts, 500);
}

#[test]
fn a_joinable_queue_is_done_when_all_is_done_though_workers_die() {
    /// Every worker dies at its fifth job, after it has got it and before it has done it.
    fn work((jobs, total): (JoinableQueue<u64>, Value<Mutex<u64>>)) {
        for count in 0.. {
            let Ok(job) = jobs.get() else { return };
            if count == 4 {
                std::process::abort();
            }
            *total.lock().unwrap() += job;
            jobs.task_done().unwrap();
        }
    }
    let jobs = JoinableQueue::new(64).unwrap();
    let total = Value::create(&unique("joined"), Mutex::new(0)).unwrap();
    for job in 1..=24 {
        jobs.put(job).unwrap();
    }
    assert!(!jobs.join_timeout(MOMENT).unwrap());
    // 6 of these do 24 jobs; what one dies with, another one does.
    let workers = [(); 7].map(|()| Process::spawn(work, (jobs.clone(), total.clone())).unwrap());
    assert!(jobs.join_timeout(PATIENCE).unwrap());
    assert_eq!(*total.lock().unwrap(), 24 * 25 / 2);
    assert!(jobs.given_up().next().is_none());
    drop(jobs);
    for worker in workers {
        drop(join(worker));
    }
}

#[test]
fn a_job_that_kills_everybody_is_given_up() {
    let jobs = JoinableQueue::new(4).unwrap();
    jobs.put("poison".to_owned()).unwrap();
    let die = |jobs: JoinableQueue<String>| {
        jobs.get_timeout(PATIENCE).unwrap();
        std::process::abort()
    };
    for _ in 0..3 {
        assert!(!jobs.join_timeout(Duration::ZERO).unwrap());
        let handle = Process::spawn(die, jobs.clone()).unwrap();
        assert_eq!(join::<()>(handle).unwrap_err().kind(), ErrorKind::Died);
    }
    assert!(jobs.join_timeout(PATIENCE).unwrap());
    assert_eq!(jobs.given_up().collect::<Result<Vec<_>>>().unwrap(), ["poison"]);
    assert_eq!(jobs.task_done().unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn a_unique_array_is_not_put_where_it_could_be_got_twice() {
    let jobs = JoinableQueue::<ArrayMut<u8>>::new(4).unwrap();
    let error = jobs.put(ArrayMut::zeroed(10).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(error.into_value().unwrap().len(), 10);
}

fn answer(line: Connection<String, (u64, Array<f32>)>) -> Result<u64> {
    let mut count = 0;
    while let Ok((number, array)) = line.recv() {
        line.send(format!("{number}: {}", array.iter().sum::<f32>()))?;
        count += 1;
    }
    Ok(count)
}

#[test]
fn two_processes_talk_over_a_pipe_until_one_has_gone() {
    for method in METHODS {
        let (ours, theirs) = process::pipe().unwrap();
        let handle = Process::options().start(method).spawn(answer, theirs).unwrap();
        for number in 0..100 {
            let array = Array::from_slice(&[0.5; 8]).unwrap();
            ours.send((number, array)).unwrap();
            assert!(ours.poll(PATIENCE));
            assert_eq!(ours.recv().unwrap(), format!("{number}: 4"));
        }
        assert!(!ours.poll(Duration::ZERO));
        drop(ours);
        assert_eq!(join(handle).unwrap().unwrap(), 100);
    }
}

#[test]
fn the_end_of_a_pipe_is_an_error_also_after_a_kill() {
    let (writer, reader) = process::one_way_pipe::<u32>().unwrap();
    let write = |writer: process::PipeWriter<u32>| {
        writer.send(1).unwrap();
        loop {
            std::thread::park();
        }
    };
    let handle = Process::spawn(write, writer).unwrap();
    assert_eq!(reader.recv().unwrap(), 1);
    handle.kill().unwrap();
    assert_eq!(reader.recv(), Err(RecvError::Disconnected));
    assert_eq!(join::<()>(handle).unwrap_err().kind(), ErrorKind::Died);
}

#[test]
fn one_waits_for_many_pipes_and_for_other_things_as_well() {
    let pipes: Vec<_> = (0..5).map(|_| process::one_way_pipe::<u32>().unwrap()).collect();
    let readers: Vec<&PipeReader<u32>> = pipes.iter().map(|(_, reader)| reader).collect();
    assert!(process::wait(&readers, MOMENT).is_empty());
    pipes[3].0.send(33).unwrap();
    pipes[1].0.send(11).unwrap();
    assert_eq!(process::wait(&readers, PATIENCE), [1, 3]);
    let (queue, frames) = (
        Queue::<u8>::new(2).unwrap(),
        crossdock::channel::Receiver::<u8>::create(&unique("f"), 2).unwrap(),
    );
    let other = queue.clone();
    let mut select = Select::new();
    let (value, _) = (select.recv(&queue), select.recv(&frames));
    assert_eq!(select.ready_timeout(MOMENT), None);
    other.put(5).unwrap();
    assert_eq!(select.ready(), value);
    assert_eq!(queue.get().unwrap(), 5);
}

#[test]
fn a_pipe_goes_through_a_queue_and_a_queue_through_a_pipe() {
    let mail = Queue::<Connection<u32, u32>>::new(1).unwrap();
    let (ours, theirs) = process::pipe::<u32, u32>().unwrap();
    let double = |mail: Queue<Connection<u32, u32>>| -> Result<()> {
        let line = mail.get()?;
        Ok(line.send(2 * line.recv()?)?)
    };
    let handle = Process::spawn(double, mail.clone()).unwrap();
    // What travels by its name is kept by its sender until it has arrived.
    let kept = theirs.clone();
    mail.put(theirs).unwrap();
    ours.send(21).unwrap();
    assert_eq!(ours.recv().unwrap(), 42);
    drop(kept);
    let (w, r) = process::one_way_pipe::<Queue<u8>>().unwrap();
    let queue = Queue::new(1).unwrap();
    w.send(queue.clone()).unwrap();
    let same = r.recv().unwrap();
    same.put(9).unwrap();
    assert_eq!(queue.get().unwrap(), 9);
    join(handle).unwrap().unwrap();
}

#[test]
fn queues_of_killed_processes_leave_nothing() {
    fn churn(_: ()) {
        loop {
            let queue = Queue::new(4).unwrap();
            let (writer, _reader) = process::one_way_pipe().unwrap();
            queue.put((Array::from_slice(&[1_u8; 3000]).unwrap(), "text".to_owned())).unwrap();
            writer.send(queue.get().unwrap()).unwrap();
        }
    }
    let mut pids = Vec::new();
    for round in 0..20_u64 {
        let handle =
            Process::options().start(METHODS[round as usize % 2]).spawn(churn, ()).unwrap();
        pids.push(handle.pid());
        // This bounds the time until the kill from below: what it meets is to differ.
        std::thread::sleep(Duration::from_micros(5000 + 700 * round));
        handle.kill().unwrap();
        assert_eq!(join(handle).unwrap_err().kind(), ErrorKind::Died);
    }
    let since = Instant::now();
    loop {
        registry::gc(true).unwrap();
        let names = registry::list().unwrap().into_iter().map(|entry| entry.name);
        let left: Vec<_> = names
            .filter(|name| {
                pids.iter().any(|pid| {
                    name.starts_with(&format!("queue-{pid}-"))
                        || name.starts_with(&format!("pipe-{pid}-"))
                })
            })
            .collect();
        if left.is_empty() {
            return;
        }
        assert!(since.elapsed() < PATIENCE, "{left:?}");
    }
}
