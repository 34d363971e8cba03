//! The ways to start a process: which program it may be, and when this one may be copied.

#![allow(clippy::print_stdout, reason = "that is how a process is heard here")]
#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::PATIENCE;
use common::processes::await_that;
use crossdock::ErrorKind;
use crossdock::process::{Output, Process, StartMethod};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

crossdock::process::init_before_main!();

fn add_one(x: u32) -> u32 {
    x + 1
}

/// A copy of this program, gone at the end of its test.
struct Copy(PathBuf);

impl Copy {
    fn new(change: impl FnOnce(&mut Vec<u8>)) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("crossdock-process-start-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut program = std::fs::read("/proc/self/exe").unwrap();
        change(&mut program);
        // By another process: if this one had it open for writing, so would children that other tests start
        // just then, and the system runs no program that somebody is writing.
        std::fs::write(path.with_extension("new"), program).unwrap();
        let copy = Command::new("cp").arg(path.with_extension("new")).arg(&path).status().unwrap();
        assert!(copy.success());
        std::fs::remove_file(path.with_extension("new")).unwrap();
        assert!(Command::new("chmod").arg("700").arg(&path).status().unwrap().success());
        Self(path)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Where the linker's note with the build id begins: two lengths, the kind 3, and "GNU".
fn build_id(program: &[u8]) -> Option<usize> {
    let is_note = |bytes: &[u8]| bytes == b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
    program.windows(16).position(is_note).map(|note| note + 16)
}

#[test]
fn a_copy_of_the_program_is_as_good_as_the_program() {
    let copy = Copy::new(|program| assert!(build_id(program).is_some(), "--build-id is missing"));
    let handle = Process::options().command(Command::new(&copy.0)).spawn(add_one, 41).unwrap();
    assert_eq!(handle.join().unwrap(), 42);
}

#[test]
fn another_build_of_the_program_is_refused() {
    let copy = Copy::new(|program| {
        let build = build_id(program).unwrap();
        program[build] ^= 1;
    });
    let options = Process::options().name("stranger").command(Command::new(&copy.0));
    let error = options.spawn(add_one, 41).unwrap().join().unwrap_err();
    assert_eq!((error.kind(), error.name()), (ErrorKind::WrongVersion, Some("stranger")));
    assert!(error.to_string().contains("another build"), "{error}");
}

#[test]
fn the_program_is_started_though_its_file_has_gone() {
    let copy = Copy::new(|_| ());
    let mut command = Command::new(&copy.0);
    command.env("CROSSDOCK_TEST_COPY", &copy.0);
    let handle = Process::options().command(command).spawn(
        |()| {
            std::fs::remove_file(std::env::var_os("CROSSDOCK_TEST_COPY").unwrap()).unwrap();
            let link = std::fs::read_link("/proc/self/exe").unwrap();
            assert!(link.to_string_lossy().ends_with(" (deleted)"), "{link:?}");
            Process::spawn(add_one, 1).unwrap().join().unwrap()
        },
        (),
    );
    assert_eq!(handle.unwrap().join().unwrap(), 2);
}

#[test]
fn a_command_may_lead_to_the_program_and_set_its_environment() {
    fn look(_: ()) -> (Option<String>, PathBuf) {
        (std::env::var("CROSSDOCK_TEST_WORD").ok(), std::env::current_dir().unwrap())
    }
    let mut command = Command::new("sh");
    command.args(["-c", r#"CROSSDOCK_TEST_WORD=hello exec "$0" "$@""#]);
    command.arg(std::env::current_exe().unwrap()).current_dir("/");
    let handle = Process::options().command(command).spawn(look, ()).unwrap();
    assert_eq!(handle.join().unwrap(), (Some("hello".to_owned()), PathBuf::from("/")));
}

/// A command that starts a program as the first of a new pid namespace; `None`, and a line that says why, where
/// this user may not do that.
#[allow(
    clippy::explicit_write,
    reason = "the runner keeps what a test that passes prints by `eprintln`"
)]
fn new_pid_namespace() -> Option<&'static [&'static str]> {
    const WAYS: [&[&str]; 2] =
        [&["--pid", "--fork"], &["--user", "--map-root-user", "--pid", "--fork"]];
    let works = |way: &&&[&str]| {
        let output = Command::new("unshare").args(**way).arg("true").output();
        output.is_ok_and(|output| output.status.success())
    };
    let way = WAYS.iter().find(works).copied();
    if way.is_none() {
        writeln!(std::io::stderr(), "skipped: no new pid namespace here").unwrap();
    }
    way
}

#[test]
fn a_daemon_in_another_pid_namespace_dies_with_its_parent() {
    fn lead(way: Vec<String>) {
        let mut command = Command::new("unshare");
        command.args(way).arg(std::env::current_exe().unwrap());
        let options = Process::options().daemon(true).command(command);
        let daemon = options.spawn(
            |()| {
                println!("{} ready", std::process::id());
                std::thread::park_timeout(PATIENCE);
            },
            (),
        );
        let daemon = daemon.unwrap();
        println!("{} unshare", daemon.pid());
        daemon.join().unwrap();
    }
    let Some(way) = new_pid_namespace() else { return };
    let way: Vec<_> = way.iter().map(|&word| word.to_owned()).collect();
    let leader = Process::options().stdout(Output::Capture).spawn(lead, way).unwrap();
    let said = || String::from_utf8(leader.captured_stdout().unwrap()).unwrap();
    // The first process there has no parent, and is not killed by itself.
    await_that("it is there", || said().contains("1 ready\n") && said().contains(" unshare\n"));
    let said = said();
    // This one waits for it.
    let unshare = said.lines().find_map(|line| line.strip_suffix(" unshare")).unwrap();
    leader.kill().unwrap();
    leader.wait().unwrap();
    let stat = format!("/proc/{unshare}/stat");
    let has_gone = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
    await_that("both have gone", has_gone);
}

#[test]
fn a_command_that_leads_elsewhere_is_an_error() {
    let start = |program: &str| {
        Process::options().command(Command::new(program)).stderr(Output::Discard).spawn(add_one, 1)
    };
    let error = start("true").unwrap().join().unwrap_err();
    assert_eq!((error.kind(), error.exit_status().unwrap().code()), (ErrorKind::Died, Some(0)));
    assert_eq!(start("/no/such/program").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(start("/").unwrap_err().kind(), ErrorKind::PermissionDenied);
    for method in [StartMethod::ForkServer, StartMethod::Fork] {
        let options = Process::options().command(Command::new("true")).start(method);
        assert_eq!(options.spawn(add_one, 1).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn the_argument_of_a_child_does_nothing_for_others() {
    let token = "--crossdock-process=12345";
    let output = Command::new("/proc/self/exe").arg(token).output().unwrap();
    assert_eq!(output.status.code(), Some(70));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with(token), "{said}");
    assert!(output.stdout.is_empty(), "no test has run");
}

#[test]
fn a_process_with_threads_is_not_forked_unless_it_is_forced() {
    let error = Process::options().start(StartMethod::Fork).spawn(add_one, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains("threads"), "{error}");

    // In a process whose other thread is known to hold nothing.
    let forced = Process::spawn(
        |x: u32| {
            let thread = std::thread::spawn(std::thread::park);
            let busy = Process::options().start(StartMethod::Fork).spawn(add_one, x).unwrap_err();
            assert_eq!(busy.kind(), ErrorKind::Busy);
            // SAFETY: the other thread is parked, or about to be.
            #[allow(unsafe_code, reason = "this is what is tested")]
            let options = unsafe { Process::options().force_fork() };
            let result = options.spawn(add_one, x).unwrap().join().unwrap();
            thread.thread().unpark();
            thread.join().unwrap();
            result
        },
        41,
    );
    assert_eq!(forced.unwrap().join().unwrap(), 42);
}

#[test]
fn a_process_is_forked_right_after_its_threads_and_not_while_it_waits_for_a_dropped_one() {
    let handle = Process::spawn(
        |()| {
            let fork = |x| Process::options().start(StartMethod::Fork).spawn(add_one, x);
            for x in 0..100 {
                std::thread::spawn(|| ()).join().unwrap();
                assert_eq!(fork(x).unwrap().join().unwrap(), x + 1);
            }
            let sleeper = Process::spawn(|()| std::thread::park_timeout(PATIENCE), ()).unwrap();
            let pid = sleeper.pid();
            drop(sleeper);
            let error = fork(1).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Busy);
            assert!(error.to_string().contains("handles were dropped"), "{error}");
            assert!(Command::new("kill").arg(pid.to_string()).status().unwrap().success());
            let end = Instant::now() + PATIENCE;
            while fork(1).is_err() {
                assert!(Instant::now() < end, "the thread stays");
            }
        },
        (),
    );
    handle.unwrap().join_timeout(PATIENCE).unwrap();
}

#[test]
fn a_forked_process_has_the_memory_of_its_parent_and_prints_nothing_twice() {
    static CELL: AtomicU32 = AtomicU32::new(1);
    let options = Process::options().stdout(Output::Capture);
    let handle = options.spawn(
        |()| {
            CELL.store(5, Ordering::Relaxed);
            print!("once ");
            let child = Process::options().start(StartMethod::Fork).spawn(
                |x: u32| {
                    print!("child ");
                    CELL.fetch_add(x, Ordering::Relaxed) + x
                },
                2,
            );
            let seen = child.unwrap().join().unwrap();
            (seen, CELL.load(Ordering::Relaxed))
        },
        (),
    );
    let handle = handle.unwrap();
    assert!(handle.wait().unwrap().unwrap().success());
    assert_eq!(handle.captured_stdout().unwrap(), b"once child ");
    assert_eq!(handle.join().unwrap(), (7, 5));
}

#[test]
fn ctrl_c_ends_the_processes_and_not_their_fork_server() {
    // In a group of its own, as the foreground of a terminal is.
    let mut command = Command::new("setsid");
    command.arg(std::env::current_exe().unwrap());
    let handle = Process::options().command(command).spawn(
        |()| {
            let start = || {
                let options = Process::options().start(StartMethod::ForkServer);
                options.spawn(|()| std::thread::park_timeout(PATIENCE), ()).unwrap()
            };
            let first = start();
            let server = parent_of(first.pid());
            // The one that waits for work gets the signal as well, or was not there yet.
            let others = || -> Vec<String> {
                let list = format!("/proc/{server}/task/{server}/children");
                let list = std::fs::read_to_string(list).unwrap();
                let others = list.split_whitespace().filter(|&pid| pid != first.pid().to_string());
                others.map(str::to_owned).collect()
            };
            await_that("the next one is there", || !others().is_empty());
            let spares = others();
            // All but this process, which handles it.
            #[allow(unsafe_code, reason = "the standard library sends no signals")]
            // SAFETY: neither call has anything to do with memory.
            unsafe {
                libc::signal(libc::SIGINT, libc::SIG_IGN)
            };
            let group = format!("-{}", std::process::id());
            assert!(Command::new("kill").args(["-INT", "--", &group]).status().unwrap().success());
            assert_eq!(first.wait().unwrap().unwrap().signal(), Some(2));
            await_that("it has gone", || others().iter().all(|pid| !spares.contains(pid)));
            let next = start();
            assert_eq!(parent_of(next.pid()), server, "the same one as before");
            next.kill().unwrap();
        },
        (),
    );
    handle.unwrap().join().unwrap();
}

fn parent_of(pid: u32) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().to_owned()
}
