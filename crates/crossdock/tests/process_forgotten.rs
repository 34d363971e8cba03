//! A program that has not called `process::init`: this one.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

use crossdock::ErrorKind;
use crossdock::process::{Process, StartMethod};

#[test]
fn a_program_that_has_not_called_init_starts_nothing_and_is_told_what_to_do() {
    for method in [StartMethod::Spawn, StartMethod::ForkServer, StartMethod::Fork] {
        let error = Process::options().start(method).spawn(|x: u32| x, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotInitialized);
        let text = error.to_string();
        assert!(text.contains("process::init") && text.contains("first line of main"), "{text}");
        assert!(text.contains("init_before_main!"), "{text}");
    }
    let children = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    assert_eq!(children, "", "nothing was started");
}
