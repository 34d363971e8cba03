//! What makes a program one that can start processes: `init`, the first line of its `main`.
//!
//! A child is this program, started again with [`TOKEN`] as its last argument and its end of a line as its
//! stdin. `init` sees that and runs the task; it never returns there. So `main` runs once, in the parent.
//!
//! # If it is missing
//!
//! Then a child would run `main`, and start a child. So a program that has not called `init` starts
//! nothing: the first spawn is an error that says what to do. If something before `init` ends the child,
//! such as a parser of arguments, the parent is told that as well.
//!
//! # Where there is no main
//!
//! In tests, and in benchmarks with a harness, `main` is not the user's. Others have the child run a
//! test that does what `init` does, and have to know all arguments of the harness (rusty-fork #6, #8, #17;
//! procspawn's `enable_test_support`), and the harness writes to the child's stdout. [`init_before_main!`]
//! instead has the loader call `init` before `main`. That Rust's standard library works there is
//! not promised by its documentation, so no program gets this unless it asks for it; it does
//! work on Linux with glibc, where the library itself gets its arguments in this way, and the tests of crossdock
//! are run in it. Where it has no arguments yet, `init` does nothing, and a spawn is an error. A program
//! with a `main` does without.

use super::serve::{self, Origin};
use crossdock_sys::line::Line;
use crossdock_sys::{child, stdio};
use std::sync::atomic::{AtomicBool, Ordering};

/// How the last argument of a child begins; the number of its line follows.
const TOKEN: &str = "--crossdock-process=";
/// How a process exits that was started as a child by nobody.
const EXIT_STRAY: i32 = 70;

static IS_READY: AtomicBool = AtomicBool::new(false);

/// Runs the task if this process was started to run one, and never returns then; else does nothing.
///
/// It belongs at the very beginning of `main`: what stands before it runs in every child as well. It can be
/// called any number of times.
///
/// # Examples
///
/// ```
/// use crossdock::process::{self, Process};
///
/// fn main() -> crossdock::Result<()> {
///     process::init();
///
///     assert_eq!(Process::spawn(|x: u32| x + 1, 41)?.join()?, 42);
///     Ok(())
/// }
/// ```
pub fn init() {
    if is_ready() {
        // Also in a task: its process has been served.
        return;
    }
    // Without any, the standard library does not know them yet, as before `main` with some C libraries: a child
    // would not be told from its parent.
    let Some(last) = std::env::args_os().next_back() else { return };
    IS_READY.store(true, Ordering::Relaxed);
    if let Some(id) = last.to_str().and_then(|last| last.strip_prefix(TOKEN)) {
        become_child(id)
    }
}

/// Whether `init` has run.
pub(super) fn is_ready() -> bool {
    IS_READY.load(Ordering::Relaxed)
}

/// The argument that makes a child of the program at the other end of `line`.
pub(super) fn token(line: u64) -> String {
    format!("{TOKEN}{line}")
}

#[allow(clippy::print_stderr, reason = "there is nobody else to tell")]
fn become_child(id: &str) -> ! {
    let line = id.parse().map_err(|_| std::io::ErrorKind::InvalidInput.into());
    match line.and_then(|id| Line::adopt(stdio::take_stdin()?, id)) {
        Ok(line) => serve::serve(line, Origin::Program),
        Err(error) => {
            eprintln!(
                "{TOKEN}{id} is for processes that crossdock starts, with a line to their parent as \
                 stdin: {error}"
            );
            std::process::exit(EXIT_STRAY)
        }
    }
}

/// [`init`] as the loader calls it.
#[doc(hidden)]
pub fn __init_before_main() {
    // What `main` would have begun with.
    child::ignore_pipe_signal();
    init();
}

/// Lets tests, and benchmarks with a harness, start processes: [`init`](crate::process::init()) for programs
/// whose `main` is not yours to write.
///
/// Once in each test program, beside the tests: in the file of an integration test, or under `#[cfg(test)]` in
/// `lib.rs`. It has the loader call `init` before `main`, so in the children of this program, and
/// only there, tasks run before `main`: the destructors and start-up code of statically linked C libraries
/// may not have run. In a program with a `main` of its own, call `init` there instead.
///
/// # Examples
///
/// ```
/// crossdock::process::init_before_main!();
///
/// #[test]
/// fn the_answer_comes_from_another_process() {
///     let handle = crossdock::process::Process::spawn(|x: u32| x + 1, 41).unwrap();
///     assert_eq!(handle.join().unwrap(), 42);
/// }
/// # fn main() {}
/// ```
#[macro_export]
#[doc(hidden)]
macro_rules! __process_init_before_main {
    () => {
        $crate::process::__before_main!($crate::process::__init_before_main);
    };
}

#[doc(inline)]
pub use crate::__process_init_before_main as init_before_main;
