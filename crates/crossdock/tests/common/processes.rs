//! Processes that run functions of this very test program.

use super::PATIENCE;
use crossdock::Error;
use crossdock::process::{JoinHandle, Process, ProcessOptions, StartMethod};
use serde::de::DeserializeOwned;
use std::process::Command;
use std::time::{Duration, Instant};

/// The ways to start a process that work in a test program, which has threads.
pub(crate) const METHODS: [StartMethod; 2] = [StartMethod::Spawn, StartMethod::ForkServer];
/// Those that work in a process without.
pub(crate) const ALL_METHODS: [StartMethod; 3] =
    [StartMethod::Spawn, StartMethod::ForkServer, StartMethod::Fork];

pub(crate) fn by(method: StartMethod) -> ProcessOptions {
    Process::options().start(method)
}

/// The result, or the error, of a process that ends soon.
pub(crate) fn join<R: DeserializeOwned>(handle: JoinHandle<R>) -> Result<R, Error> {
    Ok(handle.join_timeout(PATIENCE)?)
}

/// Ends only when it is killed, unless it is forgotten by a test that has failed.
pub(crate) fn wait_for_ever(_: ()) {
    let end = Instant::now() + 2 * PATIENCE;
    while Instant::now() < end {
        std::thread::park_timeout(PATIENCE);
    }
}

/// Looks until something is so.
pub(crate) fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what}: never");
        // Only bounds how often it is looked at.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether it runs. Who has ended and not yet been waited for does not: a fork server may be about to.
pub(crate) fn is_there(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
}

/// Ends it as `kill -9` does.
pub(crate) fn kill(pid: u32) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

/// Plays a scene in a process of its own.
pub(crate) fn play(scene: impl Fn(()) + Copy + Send + 'static) {
    Process::spawn(scene, ()).unwrap().join_timeout(2 * PATIENCE).unwrap();
}
