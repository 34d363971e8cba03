//! Whether a process lives, where that is hard to tell: in another pid namespace, under a process id that
//! has been given out again, with a forked child that has all its files. Each test has one who survives,
//! and one who is killed with an array and a lock in its hands.
#![allow(unsafe_code, reason = "fork is part of what is tested")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod common;

use common::{Actor, Lab, PATIENCE, await_cue, plays, say, skip};
use crossdock::channel::{Receiver, SendTimeoutError, Sender};
use crossdock::sync::{LockTimeoutError, Mutex};
use crossdock::{ArrayMut, Value, arena, registry};
use std::io::ErrorKind;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often a survivor looks at the living victim.
const LOOKS: u32 = 10;
/// Shorter than any correct wait that must not end, and longer than a slice of 25 ms, after which a
/// waiter asks whether the holder lives.
const MOMENT: Duration = Duration::from_millis(40);

/// Holds an array and a lock until it is killed or sent away.
fn hold_everything(say_more: impl FnOnce() -> String) {
    let rx = Receiver::<ArrayMut<u8>>::open_timeout("channel", PATIENCE).unwrap();
    let array = rx.recv().unwrap();
    let lock = Value::<Mutex<u32>>::open("lock").unwrap();
    let mut guard = lock.lock().unwrap();
    *guard += 1;
    say(&format!("holds{}", say_more()));
    await_cue();
    drop((array, guard, rx));
}

#[test]
fn hold() {
    if plays("hold") {
        hold_everything(String::new);
    }
}

#[test]
fn survive() {
    if !plays("survive") {
        return;
    }
    let lock = Value::create("lock", Mutex::new(7_u32)).unwrap();
    let tx = Sender::<ArrayMut<u8>>::create("channel", 1).unwrap();
    tx.send(ArrayMut::zeroed(1 << 20).unwrap()).unwrap();
    say("made");
    await_cue();
    // Fills the only place, so that later sends have to wait for the victim.
    tx.send(ArrayMut::zeroed(10).unwrap()).unwrap();
    for _ in 0..LOOKS {
        let is_waiting =
            matches!(lock.lock_timeout(MOMENT), Err(LockTimeoutError::TimedOut { .. }));
        assert!(is_waiting, "the holder lives");
        match tx.send_timeout(ArrayMut::zeroed(10).unwrap(), MOMENT) {
            Err(SendTimeoutError::Timeout(_)) => {}
            other => panic!("the receiver lives: {other:?}"),
        }
        assert_eq!(registry::gc(true).unwrap(), []);
        assert_eq!(arena::stats().unwrap().held_chunks, 2, "one in its hands, one on the way");
    }
    say("waits");
    await_cue();
    let poisoned = lock.lock_timeout(PATIENCE).unwrap_err();
    let LockTimeoutError::Poisoned(poisoned) = poisoned else { panic!("{poisoned:?}") };
    assert_eq!(*poisoned.into_inner(), 8, "what it did under the lock is there");
    match tx.send_timeout(ArrayMut::zeroed(10).unwrap(), PATIENCE) {
        Err(SendTimeoutError::Disconnected(_)) => {}
        other => panic!("the only receiver is dead: {other:?}"),
    }
    assert_eq!(arena::stats().unwrap().held_chunks, 1, "only what was on the way");
    say("has all back");
    await_cue();
}

/// Who is no party of the directory sees the same.
#[test]
fn look_from_outside() {
    if plays("look_from_outside") {
        loop {
            let channel = registry::inspect("channel").unwrap().channel.unwrap();
            let [receiver] = channel.receivers[..] else { panic!("{:?}", channel.receivers) };
            say(if receiver.is_alive { "alive" } else { "dead" });
            await_cue();
        }
    }
}

/// The first half: the survivor and a victim that holds everything and is seen to live.
fn meet(lab: &Lab, survivor: &[String], victim: &[String], role: &str) -> (Actor, Actor, String) {
    let mut survivor = lab.start_through(survivor, "survive");
    survivor.expect("made");
    let mut victim = lab.start_through(victim, role);
    let said = victim.hear();
    assert!(said.starts_with("holds"), "{said}");
    survivor.cue();
    survivor.expect("waits");
    (survivor, victim, said)
}

/// The second half: the victim has been killed.
fn recover(survivor: &mut Actor) {
    survivor.cue();
    survivor.expect("has all back");
}

/// The survivor removes the names and goes.
fn send_home(mut survivor: Actor) {
    survivor.cue();
    survivor.finish();
}

/// Asks whether the victim lives until the answer is `wanted`.
fn expect_from_outside(onlooker: &mut Actor, wanted: &str) {
    let end = Instant::now() + PATIENCE;
    while onlooker.hear() != wanted {
        assert!(Instant::now() < end, "never {wanted}");
        onlooker.cue();
    }
}

/// The command that starts a program as the first of a new pid namespace, which is killed when the command
/// is killed. `None`, and a line that says why, where this user may not do that.
fn new_pid_namespace() -> Option<Vec<String>> {
    let command = |more: &str| {
        let words = format!("unshare {more} --pid --fork --mount-proc --kill-child");
        words.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let mut why = String::new();
    for command in [command(""), command("--user --map-root-user")] {
        match Command::new(&command[0]).args(&command[1..]).arg("true").output() {
            Ok(output) if output.status.success() => return Some(command),
            Ok(output) => why = String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => why = format!("cannot start unshare: {error}"),
        }
    }
    skip(&format!("no new pid namespace here: {why}"));
    None
}

fn kill_in(survivor: &[String], victim: &[String]) {
    let lab = Lab::new();
    let (mut survivor, mut victim, _) = meet(&lab, survivor, victim, "hold");
    let mut onlooker = lab.start("look_from_outside");
    onlooker.expect("alive");
    onlooker.cue();
    victim.kill();
    expect_from_outside(&mut onlooker, "dead");
    recover(&mut survivor);
    send_home(survivor);
}

#[test]
fn what_is_killed_in_another_pid_namespace_is_seen_to_be_dead() {
    let Some(there) = new_pid_namespace() else { return };
    kill_in(&[], &there);
}

#[test]
fn a_death_is_seen_from_inside_a_pid_namespace() {
    let Some(there) = new_pid_namespace() else { return };
    kill_in(&there, &[]);
}

#[test]
fn a_death_is_seen_between_two_pid_namespaces() {
    let Some(there) = new_pid_namespace() else { return };
    kill_in(&there, &there);
}

#[test]
fn hold_and_leave_a_child_behind() {
    if !plays("hold_and_leave_a_child_behind") {
        return;
    }
    hold_everything(|| {
        // SAFETY: the child waits for the end of the test, and ends without unwinding.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "fork failed");
        if pid > 0 {
            return format!(" {pid}");
        }
        let mut byte = 0_u8;
        // SAFETY: one byte on this stack.
        while unsafe { libc::read(0, (&raw mut byte).cast(), 1) } > 0 {}
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(0) };
    });
}

fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    // What has ended and is not waited for has the state Z.
    stat.is_ok_and(|stat| stat.rsplit_once(')').is_some_and(|(_, tail)| !tail.starts_with(" Z")))
}

#[test]
fn a_forked_child_that_lives_on_does_not_make_its_dead_parent_look_alive() {
    let Some(there) = new_pid_namespace() else { return };
    for survivor in [&there[..], &[]] {
        let lab = Lab::new();
        let (mut survivor, mut victim, said) =
            meet(&lab, survivor, &[], "hold_and_leave_a_child_behind");
        let child = said.strip_prefix("holds ").unwrap();
        victim.kill();
        recover(&mut survivor);
        assert!(is_running(child), "it outlives its parent");
        // Its input ends here, and so does it. It has the names of its parent open, as any child of a fork
        // has, so the survivor, who removes them, goes after it.
        drop(victim);
        let end = Instant::now() + PATIENCE;
        while is_running(child) {
            assert!(Instant::now() < end, "the child does not end");
            std::thread::yield_now();
        }
        send_home(survivor);
    }
}

/// Starts a process under a process id that is free. `None`, and a line that says why, where this user may
/// not choose.
fn start_as(pid: u32) -> Option<Child> {
    let end = Instant::now() + PATIENCE;
    loop {
        // The kernel goes on counting from here; somebody else may be faster.
        match std::fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()) {
            Ok(()) => {}
            Err(error) => {
                let is_known = matches!(
                    error.kind(),
                    ErrorKind::PermissionDenied
                        | ErrorKind::ReadOnlyFilesystem
                        | ErrorKind::NotFound
                );
                assert!(is_known, "cannot choose the next process id: {error}");
                skip(&format!("this user cannot choose the next process id: {error}"));
                return None;
            }
        }
        let mut child =
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        if child.id() == pid {
            return Some(child);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(Instant::now() < end, "no process gets the id {pid}");
    }
}

#[test]
fn another_process_under_the_same_pid_is_not_taken_for_the_dead_one() {
    let lab = Lab::new();
    let (mut survivor, mut victim, _) = meet(&lab, &[], &[], "hold");
    let mut early = lab.start("look_from_outside");
    early.expect("alive");
    let pid = victim.pid();
    victim.kill();
    let namesake = start_as(pid);
    // One who looks again, and one who looks for the first time.
    early.cue();
    early.expect("dead");
    lab.start("look_from_outside").expect("dead");
    recover(&mut survivor);
    send_home(survivor);
    if let Some(mut namesake) = namesake {
        assert_eq!(namesake.try_wait().unwrap(), None, "it lived all the time");
        namesake.kill().unwrap();
        namesake.wait().unwrap();
    }
}

#[test]
fn keep_an_array() {
    if plays("keep_an_array") {
        let array = ArrayMut::<u8>::zeroed(100).unwrap();
        say("holds");
        await_cue();
        assert_eq!(arena::stats().unwrap().held_chunks, 1);
        drop(array);
    }
}

#[test]
fn come_and_go() {
    if plays("come_and_go") {
        drop(ArrayMut::<u8>::zeroed(100).unwrap());
        say("goes");
    }
}

#[test]
fn a_table_that_has_been_wiped_is_not_taken_away_from_under_the_living() {
    let lab = Lab::new();
    let mut keeper = lab.start("keep_an_array");
    keeper.expect("holds");
    let table = std::fs::File::options().write(true).open(lab.dir().join(".parties")).unwrap();
    let before = lab.files();
    std::os::unix::fs::FileExt::write_all_at(&table, &[0; 336 * 64], 256).unwrap();
    let mut guest = lab.start("come_and_go");
    guest.expect("goes");
    guest.finish();
    assert_eq!(
        lab.files().len(),
        before.len(),
        "the guest thought that it was the last: {before:?}"
    );
    keeper.cue();
    keeper.finish();
    assert_eq!(lab.files(), [""; 0], "the last one to leave tidies up");
}
