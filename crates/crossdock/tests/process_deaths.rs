//! What is left when a process ends, or the one that started it: no zombie, no orphan, no descriptor.
//!
//! Each scene is played in a process of its own, whose children and threads are its alone.

#![allow(clippy::print_stdout, reason = "that is how a process is heard here")]
#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;

use common::PATIENCE;
use common::processes::{ALL_METHODS, await_that, by, kill, play, wait_for_ever};
use crossdock::process::{JoinHandle, Output, Process, StartMethod};
use crossdock::{Error, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

crossdock::process::init_before_main!();

/// The state of a process (`Z` is a zombie) and its parent; `None` if there is none.
fn state(pid: u32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn await_gone(pid: u32) {
    await_that("its end is taken", || state(pid).is_none());
}

/// The children of a process, whichever thread of it started them, and theirs.
fn descendants(pid: u32) -> Vec<u32> {
    // It may have ended meanwhile.
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.flat_map(|task| std::fs::read_to_string(task.path().join("children")));
    let children: Vec<u32> = lists
        .flat_map(|list| {
            list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()
        })
        .collect();
    let theirs = children.clone().into_iter().flat_map(descendants);
    children.into_iter().chain(theirs).collect()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn a_process_whose_handle_is_dropped_leaves_no_zombie_and_no_thread() {
    play(|()| {
        for method in ALL_METHODS {
            let handles: Vec<_> =
                (0..3).map(|_| by(method).spawn(wait_for_ever, ()).unwrap()).collect();
            let pids: Vec<_> = handles.iter().map(JoinHandle::pid).collect();
            drop(handles);
            for pid in pids {
                kill(pid);
                await_gone(pid);
            }
            await_that("the thread ends", || threads() == 1);
            // It comes back when it is needed again.
            let pid = by(method).spawn(wait_for_ever, ()).unwrap().pid();
            kill(pid);
            await_gone(pid);
            await_that("the thread ends again", || threads() == 1);
        }
    });
}

#[test]
fn an_ended_process_is_taken_by_the_next_start_though_its_handle_is_asked_nothing() {
    play(|()| {
        let first = Process::spawn(|x: u32| x + 1, 1).unwrap();
        let pid = first.pid();
        await_that("it is a zombie", || state(pid).is_some_and(|(state, _)| state == 'Z'));
        let second = Process::spawn(|x: u32| x + 1, 2).unwrap();
        assert_eq!(state(pid), None);
        assert_eq!((first.join().unwrap(), second.join().unwrap()), (2, 3));
        assert_eq!(descendants(std::process::id()), [0; 0]);
    });
}

#[test]
fn an_ended_process_is_taken_when_its_handle_is_dropped() {
    play(|()| {
        let handle = Process::spawn(|()| (), ()).unwrap();
        let pid = handle.pid();
        await_that("it is a zombie", || state(pid).is_some_and(|(state, _)| state == 'Z'));
        drop(handle);
        assert_eq!(state(pid), None);
        assert_eq!(threads(), 1, "no thread was needed");
    });
}

#[test]
fn a_thousand_short_processes_leave_nothing() {
    play(|()| {
        // The fork server stays, and the child that it has ready.
        by(StartMethod::ForkServer).spawn(|()| (), ()).unwrap().join().unwrap();
        let count = || descendants(std::process::id()).len();
        await_that("the spare one is there", || count() == 2);
        let open = descriptors();
        for batch in 0..20_u64 {
            let start = |i| {
                let method = ALL_METHODS[usize::from(i % 4 == 0)];
                // Spawn is the slow one.
                let method = if i % 4 == 1 { StartMethod::Fork } else { method };
                by(method).spawn(|x: u64| x * x, batch * 50 + i).unwrap()
            };
            let handles: Vec<_> = (0..50).map(start).collect();
            for (i, handle) in (0..).zip(handles) {
                let x = batch * 50 + i;
                match x % 3 {
                    // Nobody asks for it.
                    0 => drop(handle),
                    _ => assert_eq!(handle.join().unwrap(), x * x),
                }
            }
            await_that("the thread ends", || threads() == 1);
        }
        await_that("all others are gone", || count() == 2);
        assert_eq!(descriptors(), open + 1, "what the thread waits for stays open");
    });
}

/// Starts one daemon by each method, one through a shell that waits for it, one that has a daemon itself,
/// and one process that is no daemon; says so, and waits.
fn lead_a_crew(_: ()) {
    let shell = || {
        let mut shell = Command::new("sh");
        shell.args(["-c", r#""$0" "$@"; true"#]).arg(std::env::current_exe().unwrap());
        shell
    };
    let mut daemons: Vec<_> =
        ALL_METHODS.map(|method| by(method).daemon(true).spawn(wait_for_ever, ()).unwrap()).into();
    // The shell says who was killed.
    let shelled = Process::options().daemon(true).command(shell()).stderr(Output::Discard);
    daemons.push(shelled.spawn(wait_for_ever, ()).unwrap());
    daemons.push(
        by(StartMethod::ForkServer)
            .daemon(true)
            .spawn(
                |()| {
                    let inner = by(StartMethod::Spawn).daemon(true);
                    let inner = inner.spawn(wait_for_ever, ()).unwrap();
                    println!("ready");
                    inner.join().unwrap();
                },
                (),
            )
            .unwrap(),
    );
    let other = by(StartMethod::ForkServer).name("no daemon").spawn(wait_for_ever, ()).unwrap();
    println!("other {}", other.pid());
    wait_for_ever(());
}

/// Kills the leader of a crew, or has it end by itself, and sees who is left.
fn crew_ends_with(end: impl FnOnce(&JoinHandle<()>)) {
    let leader = Process::options().stdout(Output::Capture).spawn(lead_a_crew, ()).unwrap();
    let said = || String::from_utf8(leader.captured_stdout().unwrap()).unwrap();
    await_that("all are there", || said().contains("ready\n") && said().contains("other "));
    let said = said();
    let other = said.lines().find_map(|line| line.strip_prefix("other ")).unwrap();
    let other: u32 = other.parse().unwrap();
    // Those that it started, the shell's child, the fork server, and the child that that has ready.
    await_that("they are all there", || descendants(leader.pid()).len() == 10);
    let crew = descendants(leader.pid());
    assert!(crew.contains(&other), "{crew:?}");
    end(&leader);
    leader.wait().unwrap();
    for pid in crew.into_iter().filter(|&pid| pid != other) {
        await_that("nobody is left", || state(pid).is_none_or(|(state, _)| state == 'Z'));
    }
    assert!(state(other).is_some_and(|(state, _)| state != 'Z'), "it is no daemon");
    kill(other);
}

#[test]
fn daemons_die_with_a_parent_that_is_killed() {
    crew_ends_with(|leader| leader.kill().unwrap());
}

#[test]
fn daemons_die_with_a_parent_that_is_told_to_end() {
    crew_ends_with(|leader| leader.terminate().unwrap());
}

#[test]
fn a_daemon_outlives_its_handle_and_dies_with_its_parent() {
    fn tick(index: usize) {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            println!("tick {index}");
            // Only bounds how much it says.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    fn lead(_: ()) {
        // Forking comes first: a dropped handle needs a thread.
        for (index, method) in ALL_METHODS.into_iter().enumerate().rev() {
            let daemon = by(method).daemon(true).spawn(tick, index).unwrap();
            println!("daemon {}", daemon.pid());
            drop(daemon);
        }
        println!("dropped");
        wait_for_ever(());
    }
    let leader = Process::options().stdout(Output::Capture).spawn(lead, ()).unwrap();
    let said = || String::from_utf8(leader.captured_stdout().unwrap()).unwrap();
    let ticks = |said: &str, index: usize| said.matches(&format!("tick {index}\n")).count();
    await_that("the handles are dropped", || said().contains("dropped\n"));
    let before = said();
    let pids = before.lines().filter_map(|line| line.strip_prefix("daemon "));
    let pids: Vec<u32> = pids.map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(pids.len(), ALL_METHODS.len());
    for index in 0..ALL_METHODS.len() {
        await_that("it goes on", || ticks(&said(), index) > ticks(&before, index) + 20);
    }
    leader.kill().unwrap();
    leader.wait().unwrap();
    for pid in pids {
        await_that("it has ended", || state(pid).is_none_or(|(state, _)| state == 'Z'));
    }
}

#[test]
fn daemons_die_with_a_parent_that_holds_the_signal_back() {
    fn say_and_wait(_: ()) {
        println!("tied");
        wait_for_ever(());
    }
    #[allow(unsafe_code, reason = "the standard library blocks no signals")]
    fn lead(_: ()) {
        // SAFETY: all zeroes is a valid value of this C type: the empty set.
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: the set is valid and writable.
        unsafe { libc::sigaddset(&raw mut set, libc::SIGIO) };
        // SAFETY: the set is valid, and the old mask is not asked for.
        unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
        let start = |method| by(method).daemon(true).spawn(say_and_wait, ()).unwrap();
        let daemons = ALL_METHODS.map(start);
        daemons.iter().for_each(|daemon| println!("daemon {}", daemon.pid()));
        wait_for_ever(());
    }
    let leader = Process::options().stdout(Output::Capture).spawn(lead, ()).unwrap();
    let said = || String::from_utf8(leader.captured_stdout().unwrap()).unwrap();
    let count = |what: &str| said().matches(what).count();
    await_that("they are there", || count("daemon ") == 3 && count("tied\n") == 3);
    leader.kill().unwrap();
    leader.wait().unwrap();
    for pid in said().lines().filter_map(|line| line.strip_prefix("daemon ")) {
        let pid = pid.parse().unwrap();
        await_that("it has ended", || state(pid).is_none_or(|(state, _)| state == 'Z'));
    }
}

#[test]
fn a_daemon_outlives_the_thread_that_started_it() {
    fn count(_: ()) {
        for i in 0.. {
            println!("{i}");
        }
    }
    play(|()| {
        for method in ALL_METHODS {
            let start = move || by(method).daemon(true).stdout(Output::Capture).spawn(count, ());
            // Forking needs to be done by the only thread.
            let daemon = match method {
                StartMethod::Fork => start().unwrap(),
                _ => std::thread::spawn(start).join().unwrap().unwrap(),
            };
            await_that("the thread has gone", || threads() == 1);
            let before = daemon.captured_stdout().unwrap().len();
            await_that("it goes on", || daemon.captured_stdout().unwrap().len() > before + 1000);
            daemon.kill().unwrap();
            assert_eq!(daemon.wait().unwrap().unwrap().signal(), Some(9));
        }
    });
}

#[test]
fn a_fork_server_that_is_killed_is_replaced_and_its_children_go_on() {
    play(|()| {
        let start = || by(StartMethod::ForkServer).spawn(wait_for_ever, ()).unwrap();
        let orphan = start();
        let (_, server) = state(orphan.pid()).unwrap();
        assert_ne!(server, std::process::id(), "the server is its parent");
        let comm = std::fs::read_to_string(format!("/proc/{server}/comm")).unwrap();
        assert_eq!(comm, "fork-server\n");
        kill(server);
        await_that("it has ended", || state(server).is_none_or(|(state, _)| state == 'Z'));
        let next = start();
        assert_eq!(state(server), None, "it is no zombie");
        let (_, next_server) = state(next.pid()).unwrap();
        assert_ne!(next_server, server);
        assert!(orphan.is_alive() && next.is_alive());

        orphan.kill().unwrap();
        let error = orphan.join().unwrap_err();
        assert_eq!((error.kind(), error.exit_status()), (ErrorKind::Died, None));
        assert!(error.to_string().contains("fork server was killed"), "{error}");
        next.kill().unwrap();
        let error = next.join().unwrap_err();
        assert_eq!(error.exit_status().unwrap().signal(), Some(9));
    });
}

#[test]
fn a_join_ends_though_server_and_child_were_killed_and_a_grandchild_has_the_line() {
    fn beget(_: ()) {
        let grandchild = by(StartMethod::Fork).spawn(wait_for_ever, ()).unwrap();
        println!("{}", grandchild.pid());
        wait_for_ever(());
    }
    play(|()| {
        let child = by(StartMethod::ForkServer).stdout(Output::Capture).spawn(beget, ()).unwrap();
        let said = || String::from_utf8(child.captured_stdout().unwrap()).unwrap();
        await_that("it has a child", || said().ends_with('\n'));
        let grandchild = said().trim_end().parse().unwrap();
        let (_, server) = state(child.pid()).unwrap();
        kill(server);
        await_that("the server has ended", || state(server).unwrap().0 == 'Z');
        assert!(child.is_alive());
        child.kill().unwrap();
        let error = Error::from(child.join_timeout(PATIENCE).unwrap_err());
        assert_eq!((error.kind(), error.exit_status()), (ErrorKind::Died, None));
        assert!(state(grandchild).is_some());
        kill(grandchild);
    });
}

#[test]
fn a_fork_server_sleeps_though_nobody_takes_the_result_of_its_child() {
    play(|()| {
        let child = by(StartMethod::ForkServer).spawn(wait_for_ever, ()).unwrap();
        let (_, server) = state(child.pid()).unwrap();
        child.kill().unwrap();
        let ended = by(StartMethod::ForkServer).spawn(|x: u32| x + 1, 1).unwrap();
        await_gone(ended.pid());
        await_gone(child.pid());
        await_that("the server sleeps", || state(server).unwrap().0 == 'S');
        assert_eq!(ended.join().unwrap(), 2);
    });
}

#[test]
fn somebody_else_who_waits_for_all_children_takes_the_status_and_not_the_result() {
    play(|()| {
        let handle = Process::spawn(|x: u32| x + 1, 1).unwrap();
        let mut status = 0;
        // SAFETY: `status` is writable.
        #[allow(unsafe_code, reason = "the standard library waits for its own children only")]
        let ended = unsafe { libc::wait(&raw mut status) };
        assert_eq!(ended.unsigned_abs(), handle.pid());
        assert_eq!(handle.wait().unwrap(), None);
        assert_eq!(handle.join().unwrap(), 2);
    });
}

#[test]
fn a_handle_in_a_forked_process_is_not_its() {
    static HANDLE: Mutex<Option<JoinHandle<u32>>> = Mutex::new(None);
    play(|()| {
        let handle = Process::spawn(|x: u32| x + 1, 1).unwrap();
        *HANDLE.lock().unwrap() = Some(handle);
        let child = by(StartMethod::Fork).spawn(
            |()| {
                let handle = HANDLE.lock().unwrap().take().unwrap();
                assert_eq!(handle.wait().unwrap_err().kind(), ErrorKind::Forked);
                assert_eq!(handle.kill().unwrap_err().kind(), ErrorKind::Forked);
                assert_eq!(handle.join().unwrap_err().kind(), ErrorKind::Forked);
            },
            (),
        );
        child.unwrap().join().unwrap();
        let handle = HANDLE.lock().unwrap().take().unwrap();
        assert_eq!(handle.join().unwrap(), 2);
    });
}
