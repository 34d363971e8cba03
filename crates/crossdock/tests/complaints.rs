//! What users of other systems for handing arrays over complain about: messages lost, overwritten or stuck,
//! handles that are gone. Each test names the issue that it is taken from; those about memory are in
//! `complaints_memory`.

#![allow(unsafe_code, reason = "signals and fork are part of what is tested")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod common;

use common::{Actor, Lab, PATIENCE, await_cue, plays, say};
use crossdock::channel::{Receiver, RecvError, SendError, Sender, TrySendError};
use crossdock::{Array, ArrayMut, arena, registry};
use std::time::Duration;

/// Elements of a message whose every element follows from its number.
const LEN: usize = 4096;

/// What an element of a message is: the bits of a number that no other place of any message shares.
fn element(number: u64, index: usize) -> u64 {
    (number << 32 | index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn message(number: u64) -> ArrayMut<u64> {
    ArrayMut::from_fn(LEN, |index| element(number, index)).unwrap()
}

/// Whether it is this message, all of it.
fn is_whole(array: &[u64], number: u64) -> bool {
    let mut elements = array.iter().enumerate();
    array.len() == LEN && elements.all(|(index, found)| *found == element(number, index))
}

/// Stops a process and waits until it stands still, or lets it go on.
fn set_stopped(actor: &Actor, is_stopped: bool) {
    let pid = libc::pid_t::try_from(actor.pid()).unwrap();
    let signal = if is_stopped { libc::SIGSTOP } else { libc::SIGCONT };
    // SAFETY: `pid` is a child of this process that nobody has waited for.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    let mut status = 0;
    let option = if is_stopped { libc::WUNTRACED } else { libc::WCONTINUED };
    // SAFETY: as above, and `status` is writable.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, option) }, pid);
    assert_eq!((libc::WIFSTOPPED(status), libc::WIFCONTINUED(status)), (is_stopped, !is_stopped));
}

// A sender that exits right after it has sent: eclipse-zenoh/zenoh #2628, where a message is dropped when
// its receiver does not map it within 100 ms of the sender's letting go.

/// Longer than the 100 ms that a receiver has there.
const STALL: Duration = Duration::from_millis(250);

#[test]
fn receive_after_a_stall() {
    if plays("receive_after_a_stall") {
        let rx = Receiver::<ArrayMut<u64>>::create("c", 4).unwrap();
        say("waits");
        for number in 0..3 {
            assert!(is_whole(&rx.recv().unwrap(), number), "message {number}");
        }
        assert_eq!(rx.recv(), Err(RecvError::Disconnected));
        say("has all");
    }
}

#[test]
fn send_and_exit() {
    if plays("send_and_exit") {
        let tx = Sender::<ArrayMut<u64>>::open("c").unwrap();
        (0..3).for_each(|number| tx.send(message(number)).unwrap());
        if std::env::var_os("ABRUPTLY").is_some() {
            // Neither the end of the scope nor a destructor comes to pass.
            std::process::abort();
        }
    }
}

#[test]
fn collect_garbage() {
    if plays("collect_garbage") {
        assert_eq!(registry::gc(true).unwrap(), [], "all that is there is still wanted");
    }
}

#[test]
fn nothing_is_lost_when_a_sender_exits_while_its_receiver_stalls() {
    for env in [&[][..], &[("ABRUPTLY", "1")]] {
        let lab = Lab::new();
        let mut receiver = lab.start("receive_after_a_stall");
        receiver.expect("waits");
        set_stopped(&receiver, true);
        let mut sender = lab.start_with("send_and_exit", env);
        assert_eq!(sender.wait().success(), env.is_empty());
        // Only bounds how long the receiver stalls from below.
        std::thread::sleep(STALL);
        if env.is_empty() {
            lab.start("collect_garbage").finish();
        }
        set_stopped(&receiver, false);
        receiver.expect("has all");
        receiver.finish();
    }
}

// A slow receiver that sees its message overwritten: eProsima/Fast-DDS #2080, where a sample that was taken
// and not yet returned is written again when the history goes round.

const MANY: u64 = 1000;
const SLOWLY: u64 = 3;

#[test]
fn send_many() {
    if plays("send_many") {
        let tx = Sender::<Array<u64>>::create("c", 4).unwrap();
        (0..MANY).for_each(|number| tx.send(message(number).freeze()).unwrap());
        let stats = arena::stats().unwrap();
        assert!(stats.recycled_arrays > MANY * 9 / 10, "memory went round: {stats:?}");
    }
}

#[test]
fn hold_the_first() {
    if plays("hold_the_first") {
        let rx = Receiver::<Array<u64>>::open_timeout("c", PATIENCE).unwrap();
        let held: Vec<_> = (0..SLOWLY).map(|_| rx.recv().unwrap()).collect();
        say("holds");
        await_cue();
        assert!((0..).zip(&held).all(|(number, array)| is_whole(array, number)));
    }
}

#[test]
fn take_the_rest() {
    if plays("take_the_rest") {
        let rx = Receiver::<Array<u64>>::open_timeout("c", PATIENCE).unwrap();
        for number in SLOWLY..MANY {
            assert!(is_whole(&rx.recv().unwrap(), number), "message {number}");
        }
        assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    }
}

#[test]
fn what_a_slow_receiver_holds_is_never_overwritten() {
    let lab = Lab::new();
    let sender = lab.start("send_many");
    let mut slow = lab.start("hold_the_first");
    slow.expect("holds");
    lab.start("take_the_rest").finish();
    sender.finish();
    slow.cue();
    slow.finish();
}

// A queue whose receivers are all dead: eProsima/Fast-DDS #5469, where killing one reader stops the others
// and those that come later, and vllm-project/vllm #27313, where a writer waits for readers that are gone.

const DEAD: usize = 4;
const CAPACITY: usize = 8;

#[test]
fn send_to_those_who_die() {
    if plays("send_to_those_who_die") {
        let tx = Sender::<ArrayMut<u64>>::create("c", CAPACITY).unwrap();
        let last = (DEAD + CAPACITY) as u64;
        (0..last).for_each(|number| tx.send(message(number)).unwrap());
        let back = match tx.try_send(message(last)) {
            Err(TrySendError::Full(back)) => back,
            other => panic!("each receiver has taken one: {other:?}"),
        };
        say("full");
        // In here while the receivers die one by one.
        let back = match tx.send(back) {
            Err(SendError::Disconnected(back)) => back,
            other => panic!("nobody is left: {other:?}"),
        };
        assert!(is_whole(&back, last));
        assert!(tx.is_disconnected());
        let held = arena::stats().unwrap().held_chunks;
        assert_eq!(
            held,
            CAPACITY as u64 + 1,
            "what waits and what came back, not what the dead held"
        );
        say("told");
        await_cue();
        tx.send(back).unwrap();
    }
}

#[test]
fn take_one_and_read_no_more() {
    if plays("take_one_and_read_no_more") {
        let rx = Receiver::<ArrayMut<u64>>::open_timeout("c", PATIENCE).unwrap();
        let _held = rx.recv().unwrap();
        say("holds");
        await_cue();
    }
}

#[test]
fn take_what_the_dead_left() {
    if plays("take_what_the_dead_left") {
        let rx = Receiver::<ArrayMut<u64>>::open("c").unwrap();
        say("open");
        for number in DEAD as u64..=(DEAD + CAPACITY) as u64 {
            assert!(is_whole(&rx.recv().unwrap(), number), "message {number}");
        }
        assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    }
}

#[test]
fn a_sender_does_not_wait_for_dead_receivers_and_its_messages_wait_for_the_next() {
    let lab = Lab::new();
    let mut sender = lab.start("send_to_those_who_die");
    let mut receivers: Vec<_> = (0..DEAD).map(|_| lab.start("take_one_and_read_no_more")).collect();
    receivers.iter_mut().for_each(|receiver| receiver.expect("holds"));
    sender.expect("full");
    receivers.iter_mut().for_each(Actor::kill);
    sender.expect("told");
    let mut heir = lab.start("take_what_the_dead_left");
    heir.expect("open");
    sender.cue();
    sender.finish();
    heir.finish();
}

// A fork in the middle: LMCache/LMCache #4917, where the exit of a forked child removes the segments that
// its parent uses.

#[test]
fn send_without_end() {
    if plays("send_without_end") {
        let tx = Sender::<ArrayMut<u64>>::open("c").unwrap();
        for number in 0.. {
            match tx.send(message(number)) {
                Ok(()) => {}
                Err(SendError::Disconnected(_)) => return,
                Err(error) => panic!("message {number}: {error:?}"),
            }
        }
    }
}

#[test]
fn look_for_the_name() {
    if plays("look_for_the_name") {
        assert!(is_whole(&Array::<u64>::open("named").unwrap(), 77));
    }
}

#[test]
fn fork_and_go_on() {
    if !plays("fork_and_go_on") {
        return;
    }
    let named = Array::create("named", LEN, |index| element(77, index)).unwrap();
    let rx = Receiver::<ArrayMut<u64>>::create("c", 2).unwrap();
    say("made");
    let held = rx.recv().unwrap();
    let everything = (named, rx, held);
    // SAFETY: the child uses only what this test is about, and ends without unwinding.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork failed");
    if pid == 0 {
        drop(everything);
        // SAFETY: a normal exit, with whatever the library and others have registered for it.
        unsafe { libc::exit(0) };
    }
    let mut status = 0;
    // SAFETY: `pid` is this process's child and `status` is writable.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "{status}");
    let (named, rx, held) = everything;
    assert!(is_whole(&named, 77) && is_whole(&held, 0));
    for number in 1..100 {
        assert!(is_whole(&rx.recv().unwrap(), number), "message {number}");
    }
    say("well");
    await_cue();
    drop((rx, named, held));
}

#[test]
fn a_forked_child_that_drops_all_and_exits_takes_nothing_from_its_parent() {
    let lab = Lab::new();
    let mut parent = lab.start("fork_and_go_on");
    parent.expect("made");
    let sender = lab.start("send_without_end");
    parent.expect("well");
    lab.start("look_for_the_name").finish();
    parent.cue();
    parent.finish();
    sender.finish();
}
