//! Processes that run out of descriptors, or have more to say than can be sent: an error that says so, never
//! a wait without an end.
//!
//! Each scene is played in a process of its own, whose limits are its alone.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;
#[path = "common/limits.rs"]
mod limits;

use common::PATIENCE;
use common::processes::{ALL_METHODS, by, wait_for_ever};
use crossdock::ErrorKind;
use crossdock::process::{JoinHandle, Output, Process, StartMethod};
use limits::limit_files;
use std::fs::File;

crossdock::process::init_before_main!();

/// Plays a scene in a process of its own.
fn play(scene: impl Fn(()) + Copy + Send + 'static) {
    Process::spawn(scene, ()).unwrap().join_timeout(PATIENCE).unwrap();
}

fn parent_of(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Takes all descriptors that are left.
fn use_up_files() -> Vec<File> {
    limit_files(std::process::id(), 40);
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[test]
fn a_fork_server_without_descriptors_says_so_and_goes_on_when_it_has_some() {
    play(|()| {
        let start = || by(StartMethod::ForkServer).stdout(Output::Discard).stderr(Output::Discard);
        let mut children = vec![start().spawn(wait_for_ever, ()).unwrap()];
        let server = parent_of(children[0].pid());
        // Whichever descriptor it is that is missing, of those that a start takes.
        for limit in 20..28 {
            limit_files(server, limit);
            let error = loop {
                match start().spawn(wait_for_ever, ()) {
                    Ok(child) => children.push(child),
                    Err(error) => break error,
                }
                assert!(children.len() < 30, "there is no limit");
            };
            assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
            assert!(error.to_string().contains("ulimit -n"), "{error}");
            assert!(children.iter().all(JoinHandle::is_alive));
        }
        assert!(children.len() > 3, "{}", children.len());
        for child in children.drain(..) {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let next = start().spawn(wait_for_ever, ()).unwrap();
        assert_eq!(parent_of(next.pid()), server, "the same one as before");
        next.kill().unwrap();
    });
}

#[test]
fn a_process_without_descriptors_starts_nothing_and_is_told() {
    play(|()| {
        by(StartMethod::ForkServer).spawn(|()| (), ()).unwrap().join().unwrap();
        let mut files = use_up_files();
        for method in ALL_METHODS {
            while let Err(error) = by(method).spawn(|()| (), ()).and_then(JoinHandle::join) {
                // A copy of this process finds that out itself.
                let kinds = [ErrorKind::LimitExceeded, ErrorKind::Unsupported];
                assert!(kinds.contains(&error.kind()), "{method:?}: {error}");
                assert!(error.to_string().contains("os error 24"), "{method:?}: {error}");
                assert!(files.pop().is_some(), "there is room enough");
            }
            files.extend(use_up_files());
        }
    });
}

#[test]
fn a_result_that_cannot_be_sent_is_an_error_that_says_why() {
    fn leak(len: usize) -> Vec<u8> {
        std::mem::forget(use_up_files());
        vec![7; len]
    }
    for method in [StartMethod::Spawn, StartMethod::ForkServer] {
        // What is short needs no descriptor.
        assert_eq!(by(method).spawn(leak, 100).unwrap().join().unwrap(), [7; 100]);
        let error = by(method).spawn(leak, 100_000).unwrap().join().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("its result cannot be sent"), "{error}");
        assert!(error.to_string().contains("os error 24"), "{error}");
    }
}

#[test]
fn a_result_that_cannot_be_received_is_an_error_that_says_why() {
    play(|()| {
        for method in [StartMethod::Spawn, StartMethod::ForkServer] {
            let handle = by(method).spawn(|len: usize| vec![7_u8; len], 100_000).unwrap();
            let files = use_up_files();
            let error = handle.join().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
            assert!(error.to_string().contains("cannot read the result"), "{error}");
            drop(files);
        }
    });
}

#[test]
fn a_panic_arrives_though_it_is_long_or_there_is_no_descriptor_left() {
    fn shout((len, leaks): (usize, bool)) {
        if leaks {
            std::mem::forget(use_up_files());
        }
        // Two bytes each.
        std::panic::panic_any("\u{e4}".repeat(len / 2));
    }
    for (len, leaks, arrives) in
        [(20 << 20, false, 64 << 10), (20 << 20, true, 4 << 10), (100, true, 100)]
    {
        let options = Process::options().stderr(Output::Discard);
        let error = options.spawn(shout, (len, leaks)).unwrap().join().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Panicked, "{error}");
        let panic = error.panic().unwrap();
        assert_eq!(panic.message().len(), arrives);
        assert!(panic.location().contains("process_limits.rs"), "{panic:?}");
    }
}
