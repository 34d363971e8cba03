//! Processes that run functions of this program: what they get, what they give back, how they fail.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::PATIENCE;
use common::processes::{METHODS, by, join, wait_for_ever};
use crossdock::process::{self, INLINE_BYTES_MAX, JoinTimeoutError, Output, Process, StartMethod};
use crossdock::{Error, ErrorKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

crossdock::process::init_before_main!();

fn double(x: u64) -> u64 {
    2 * x
}

fn largest<T: PartialOrd + Copy>(values: Vec<T>) -> Option<T> {
    values.into_iter().reduce(|a, b| if a > b { a } else { b })
}

#[derive(Debug, PartialEq, Clone, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle { radius: f64 },
    Named(String, BTreeMap<u8, Vec<Option<i32>>>),
}

#[test]
fn the_result_of_a_function_comes_from_another_process() {
    for method in METHODS {
        assert_eq!(by(method).spawn(double, 21).unwrap().join().unwrap(), 42);
        let pid = by(method).spawn(|()| std::process::id(), ()).unwrap();
        let (known, told) = (pid.pid(), join(pid).unwrap());
        assert_eq!(known, told);
        assert_ne!(told, std::process::id());
    }
}

#[test]
fn instances_of_generic_functions_are_tasks_of_their_own() {
    for method in METHODS {
        let ints = by(method).spawn(largest::<i64>, vec![3, -7, 5]).unwrap();
        let floats = by(method).spawn(largest::<f32>, vec![0.5, 2.5]).unwrap();
        let nothing = by(method).spawn(largest::<u8>, vec![]).unwrap();
        assert_eq!(join(ints).unwrap(), Some(5));
        assert_eq!(join(floats).unwrap(), Some(2.5));
        assert_eq!(join(nothing).unwrap(), None);
    }
}

#[test]
fn any_serde_value_travels_both_ways() {
    let shapes = vec![
        Shape::Point,
        Shape::Circle { radius: 0.1 + 0.2 },
        Shape::Named("n\u{e4}me".to_owned(), BTreeMap::from([(1, vec![None, Some(-5)])])),
    ];
    let back = Process::spawn(
        |mut shapes: Vec<Shape>| -> Result<Vec<Shape>, String> {
            shapes.reverse();
            Ok(shapes)
        },
        shapes.clone(),
    );
    let mut back = back.unwrap().join().unwrap().unwrap();
    back.reverse();
    assert_eq!(back, shapes);
    let refused: Result<u8, String> =
        Process::spawn(|()| Err("no".to_owned()), ()).unwrap().join().unwrap();
    assert_eq!(refused, Err("no".to_owned()));
}

#[test]
fn values_up_to_the_limit_travel_and_nobody_waits_for_a_reader() {
    fn echo(bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }
    // Three bytes say how many follow.
    let longest: Vec<u8> = (0..INLINE_BYTES_MAX - 3).map(|i| i as u8).collect();
    for method in METHODS {
        let handle = by(method).spawn(echo, longest.clone()).unwrap();
        // It ends although nobody has asked for its result yet.
        assert!(handle.wait().unwrap().unwrap().success());
        assert_eq!(join(handle).unwrap(), longest);
    }
}

#[test]
fn longer_arguments_and_results_are_refused_and_the_array_is_named() {
    let argument = vec![0_u8; INLINE_BYTES_MAX];
    let error = Process::spawn(|bytes: Vec<u8>| bytes.len(), argument).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.to_string().contains("crossdock::Array"), "{error}");

    let handle = Process::spawn(|len: usize| vec![0_u8; len], INLINE_BYTES_MAX).unwrap();
    let error = join(handle).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.to_string().contains("crossdock::Array"), "{error}");
}

#[test]
fn a_type_that_does_not_read_what_it_writes_is_an_error_and_no_hang() {
    #[derive(Debug, Default, Serialize, Deserialize)]
    struct Lopsided {
        #[serde(skip_deserializing)]
        written_only: u32,
    }
    let error = Process::spawn(|_: Lopsided| (), Lopsided::default()).unwrap().join().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("Lopsided"), "{error}");
    let error = Process::spawn(|()| Lopsided { written_only: 1 }, ()).unwrap().join().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("Lopsided"), "{error}");
}

#[test]
fn a_panic_arrives_with_message_place_and_backtrace() {
    fn fail_deep_inside(x: u32) -> u32 {
        assert!(x > 100, "{x} is too small");
        x
    }
    for method in METHODS {
        let handle =
            by(method).name("faulty").stderr(Output::Capture).spawn(fail_deep_inside, 7).unwrap();
        assert_eq!(handle.wait().unwrap().unwrap().code(), Some(101));
        let printed = String::from_utf8(handle.captured_stderr().unwrap()).unwrap();
        assert!(printed.contains("7 is too small"), "it is printed as well: {printed}");
        let error = join(handle).unwrap_err();
        assert_eq!((error.kind(), error.name()), (ErrorKind::Panicked, Some("faulty")));
        let panic = error.panic().unwrap();
        assert_eq!(panic.message(), "7 is too small");
        assert!(panic.location().starts_with("crates/crossdock/tests/process.rs:"), "{panic:?}");
        assert!(panic.backtrace().contains("fail_deep_inside"), "{}", panic.backtrace());
        assert!(error.to_string().contains("7 is too small"), "{error}");
        assert_eq!(error.exit_status(), None);
    }
    let odd = Process::options().stderr(Output::Discard);
    let odd =
        odd.spawn(|()| -> () { std::panic::panic_any(5_u8) }, ()).unwrap().join().unwrap_err();
    assert_eq!(odd.panic().unwrap().message(), "a value that is no text");
}

#[test]
fn an_exit_before_the_result_is_an_error_with_the_code() {
    for method in METHODS {
        let handle = by(method).spawn(|code: i32| -> u8 { std::process::exit(code) }, 7).unwrap();
        let error = join(handle).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Died);
        assert_eq!(error.exit_status().unwrap().code(), Some(7));
        assert!(error.to_string().contains("code 7"), "{error}");
    }
}

#[test]
fn a_signal_is_an_error_that_names_it() {
    for method in METHODS {
        let handle = by(method).spawn(|()| -> () { std::process::abort() }, ()).unwrap();
        let error = join(handle).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Died);
        assert_eq!(error.exit_status().unwrap().signal(), Some(6));
        assert!(error.to_string().contains("SIGABRT"), "{error}");
        assert!(error.panic().is_none());
    }
}

#[test]
fn a_process_is_told_to_end_or_killed() {
    for method in METHODS {
        let handle = by(method).spawn(wait_for_ever, ()).unwrap();
        assert!(handle.is_alive());
        assert_eq!(handle.exit_status(), None);
        handle.terminate().unwrap();
        assert_eq!(handle.wait().unwrap().unwrap().signal(), Some(15));
        assert!(!handle.is_alive());
        assert_eq!(handle.exit_status().unwrap().signal(), Some(15));

        let handle = by(method).spawn(wait_for_ever, ()).unwrap();
        handle.kill().unwrap();
        handle.wait().unwrap();
        handle.kill().unwrap();
        handle.terminate().unwrap();
        let error = join(handle).unwrap_err();
        assert_eq!(error.exit_status().unwrap().signal(), Some(9));
    }
}

#[test]
fn a_join_that_times_out_gives_the_handle_back() {
    for method in METHODS {
        let handle = by(method).name("slow").spawn(wait_for_ever, ()).unwrap();
        assert!(!handle.wait_timeout(Duration::from_millis(1)).unwrap());
        let error = handle.join_timeout(Duration::from_millis(1)).unwrap_err();
        assert!(error.to_string().contains("slow"), "{error}");
        let JoinTimeoutError::TimedOut(handle) = error else { panic!("{error:?}") };
        handle.kill().unwrap();
        let error = handle.join_timeout(PATIENCE).unwrap_err();
        assert_eq!(Error::from(error).kind(), ErrorKind::Died);

        let handle = by(method).spawn(double, 4).unwrap();
        assert_eq!(handle.join_timeout(PATIENCE).unwrap(), 8);
    }
}

#[test]
fn output_is_captured_also_that_of_a_killed_process() {
    fn chatter(lines: u32) {
        for line in 0..lines {
            println!("line {line}");
            eprintln!("error {line}");
        }
        wait_for_ever(());
    }
    // More than a pipe can hold, and nobody reads meanwhile.
    const LINES: u32 = 20_000;
    for method in METHODS {
        let options = by(method).stdout(Output::Capture).stderr(Output::Capture);
        let handle = options.spawn(chatter, LINES).unwrap();
        let end = Instant::now() + PATIENCE;
        while !handle.captured_stderr().unwrap().ends_with(b"error 19999\n") {
            assert!(Instant::now() < end, "it says nothing");
            std::thread::yield_now();
        }
        handle.kill().unwrap();
        handle.wait().unwrap();
        let printed = String::from_utf8(handle.captured_stdout().unwrap()).unwrap();
        let expected = (0..LINES).map(|line| format!("line {line}\n")).collect::<String>();
        assert_eq!(printed, expected);
    }
    let error = Process::spawn(double, 1).unwrap().captured_stdout().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn a_process_has_a_name_here_there_and_for_the_system() {
    fn names(_: ()) -> (Option<String>, bool, String) {
        let system = std::fs::read_to_string("/proc/self/comm").unwrap();
        (process::name(), process::is_child(), system.trim_end().to_owned())
    }
    for method in METHODS {
        let handle = by(method).name("a-name-of-more-than-15-bytes").spawn(names, ()).unwrap();
        assert_eq!(handle.name(), "a-name-of-more-than-15-bytes");
        let (name, is_child, system) = join(handle).unwrap();
        assert_eq!(name.as_deref(), Some("a-name-of-more-than-15-bytes"));
        assert!(is_child);
        assert_eq!(system, "a-name-of-more-");
    }
    let handle = Process::spawn(names, ()).unwrap();
    assert!(handle.name().starts_with("names-"), "{handle:?}");
    join(handle).unwrap();
    assert_eq!((process::name(), process::is_child()), (None, false));
}

#[test]
fn a_process_inherits_no_descriptor_and_has_an_empty_stdin() {
    fn look(_: ()) -> (Vec<String>, String) {
        let mut open: Vec<_> = std::fs::read_dir("/proc/self/fd")
            .unwrap()
            // The directory that is being read has gone by then, perhaps.
            .flat_map(|entry| std::fs::read_link(entry.unwrap().path()))
            .map(|target| target.to_string_lossy().into_owned())
            .collect();
        open.sort();
        (open, std::io::read_to_string(std::io::stdin()).unwrap())
    }
    // What a child has from this process's own parent is not crossdock's doing.
    let mut plain = std::process::Command::new("ls");
    plain.args(["-l", "/proc/self/fd"]).stdin(Stdio::null());
    let plain = plain.stderr(Stdio::null()).output().unwrap();
    let inherited = String::from_utf8(plain.stdout).unwrap().matches("-> socket:").count();
    // Others are open here meanwhile, those of other tests included.
    let others: Vec<_> = METHODS.map(|method| by(method).spawn(wait_for_ever, ()).unwrap()).into();
    for method in METHODS {
        let options = by(method).stdout(Output::Capture).stderr(Output::Capture);
        let (open, read) = options.spawn(look, ()).unwrap().join().unwrap();
        assert_eq!(read, "");
        let sockets = open.iter().filter(|target| target.starts_with("socket:")).count();
        assert_eq!(sockets, 1 + inherited, "its line and nobody else's: {open:?}");
        let pidfds = open.iter().filter(|target| target.contains("pidfd")).count();
        assert_eq!(pidfds, 0, "{open:?}");
        assert!(open.contains(&"/dev/null".to_owned()), "{open:?}");
    }
    others.iter().for_each(|other| other.kill().unwrap());
}

#[test]
fn processes_are_started_from_any_thread() {
    let threads: Vec<_> = (0..8)
        .map(|i| {
            let method = METHODS[i % 2];
            std::thread::spawn(move || by(method).spawn(double, i as u64).unwrap())
        })
        .collect();
    for (i, thread) in threads.into_iter().enumerate() {
        // The thread has ended before its process is joined.
        assert_eq!(thread.join().unwrap().join().unwrap(), 2 * i as u64);
    }
}

#[test]
fn processes_start_processes_of_their_own_by_every_method() {
    fn descend((depth, method): (u32, u8)) -> u32 {
        let method =
            [StartMethod::Spawn, StartMethod::ForkServer, StartMethod::Fork][usize::from(method)];
        match depth {
            0 => 1,
            _ => {
                let options = Process::options().start(method);
                1 + options.spawn(descend, (depth - 1, method as u8)).unwrap().join().unwrap()
            }
        }
    }
    for outer in METHODS {
        for inner in 0..3 {
            assert_eq!(by(outer).spawn(descend, (3, inner)).unwrap().join().unwrap(), 4);
        }
    }
}

#[test]
fn a_spawn_with_a_turbofish_needs_no_more_types() {
    fn make<R: DeserializeOwned + Serialize + Default>(_: ()) -> R {
        R::default()
    }
    assert_eq!(
        Process::spawn(make::<(u8, String)>, ()).unwrap().join().unwrap(),
        (0, String::new())
    );
}
