//! What the arena of a process takes from the system: a limit in bytes, no page faults once it has it, and
//! huge pages where there are any.

#![allow(unsafe_code, reason = "getrusage is a C interface")]
#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;
mod pages;

use common::{Actor, Lab, PATIENCE, await_cue, plays, say};
use crossdock::channel::{Receiver, Sender};
use crossdock::{ArrayMut, Error, ErrorKind, arena};
use pages::{huge_bytes, on_file_system, refusals};

const MIB: usize = 1 << 20;

/// Hops that are watched at a time.
const HOPS: usize = 1000;
/// Hops after which everything that is to be reused has been used.
const WARM_UP: usize = 50;
/// Times that [`HOPS`] are watched: the system may take a page away at any time, but not always.
const LOOKS: usize = 3;
/// Bytes of a page.
const PAGE: usize = 4096;
/// Bytes of the arrays: of a shared region, of a region for each, and beyond the classes.
const SIZES: [usize; 4] = [100, 64 << 10, MIB, 65 * MIB];

/// Page faults of this thread so far that needed no disk.
fn minor_faults() -> i64 {
    // SAFETY: all zeroes are a value of this struct of integers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is writable.
    let failed = unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    assert_eq!(failed, 0);
    usage.ru_minflt
}

/// Does `hop` often; returns the faults of the best of several looks.
fn faults_of(mut hop: impl FnMut()) -> i64 {
    (0..WARM_UP).for_each(|_| hop());
    let looks = (0..LOOKS).map(|_| {
        let before = minor_faults();
        (0..HOPS).for_each(|_| hop());
        minor_faults() - before
    });
    looks.min().unwrap()
}

#[test]
fn send_without_faults() {
    if !plays("send_without_faults") {
        return;
    }
    let tx = Sender::<ArrayMut<u8>>::create("there", 2).unwrap();
    let rx = Receiver::<ArrayMut<u8>>::create("back", 2).unwrap();
    say("made");
    await_cue();
    for bytes in SIZES {
        let faults = faults_of(|| {
            let mut array = tx.loan(bytes).unwrap();
            array.iter_mut().step_by(PAGE).for_each(|byte| *byte = 7);
            tx.send(array).unwrap();
            assert_eq!(rx.recv_timeout(PATIENCE).unwrap()[0], 1);
        });
        say(&format!("{faults} at {bytes}"));
    }
}

#[test]
fn receive_without_faults() {
    if !plays("receive_without_faults") {
        return;
    }
    let rx = Receiver::<ArrayMut<u8>>::open("there").unwrap();
    let tx = Sender::<ArrayMut<u8>>::open("back").unwrap();
    say("open");
    for bytes in SIZES {
        let faults = faults_of(|| {
            let array = rx.recv_timeout(PATIENCE).unwrap();
            assert!(array.iter().step_by(PAGE).all(|byte| *byte == 7));
            drop(array);
            let mut answer = tx.loan(1).unwrap();
            answer[0] = 1;
            tx.send(answer).unwrap();
        });
        say(&format!("{faults} at {bytes}"));
    }
}

#[test]
fn a_thousand_hops_in_the_steady_state_cause_no_page_fault() {
    let lab = Lab::new();
    let mut sender = lab.start("send_without_faults");
    sender.expect("made");
    let mut receiver = lab.start("receive_without_faults");
    receiver.expect("open");
    sender.cue();
    for bytes in SIZES {
        receiver.expect(&format!("0 at {bytes}"));
        sender.expect(&format!("0 at {bytes}"));
    }
    [receiver, sender].into_iter().for_each(Actor::finish);
}

fn zeroed(mib: usize) -> Result<ArrayMut<u8>, Error> {
    ArrayMut::zeroed(mib * MIB)
}

fn reserved_mib() -> usize {
    usize::try_from(arena::stats().unwrap().reserved_bytes).unwrap() / MIB
}

#[test]
fn stay_within_the_limit() {
    if !plays("stay_within_the_limit") {
        return;
    }
    arena::set_max_bytes(100 << 20);
    let first = zeroed(40).unwrap();
    let second = zeroed(40).unwrap();
    let error = zeroed(24).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    let text = error.to_string();
    for words in ["24.0 MiB", "may take 100.0 MiB", "has 80.0 MiB", "80.0 MiB are held", "drop"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    drop(first);
    drop(zeroed(40).unwrap());
    assert_eq!(reserved_mib(), 80, "of the same size: nothing was taken");
    let third = zeroed(60).unwrap_err();
    assert!(third.to_string().contains("40.0 MiB are held"), "{third}");
    let third = zeroed(56).unwrap();
    assert_eq!(reserved_mib(), 96, "what was idle has been given back");
    // Beyond the classes, and small: a small region takes no more than there is.
    drop((second, third));
    let large = zeroed(97).unwrap();
    assert_eq!(reserved_mib(), 97);
    let small: Vec<_> = (0..100).map(|_| ArrayMut::<u8>::zeroed(16 << 10).unwrap()).collect();
    assert!(reserved_mib() <= 100);
    let mut more = Vec::new();
    let error = loop {
        match ArrayMut::<u8>::zeroed(16 << 10) {
            Ok(array) => more.push(array),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(small.len() + more.len() > 150, "{} of 16 KiB in 3 MiB", small.len() + more.len());
    drop(large);
    more.push(ArrayMut::zeroed(16 << 10).unwrap());
    // A lower limit takes nothing away, a higher one lets go on.
    arena::set_max_bytes(0);
    assert_eq!(zeroed(1).unwrap_err().kind(), ErrorKind::LimitExceeded);
    arena::set_max_bytes(u64::MAX);
    zeroed(200).unwrap();
    say("within");
}

#[test]
fn the_arena_takes_no_more_than_it_may_and_says_what_to_do() {
    let lab = Lab::new();
    let mut actor = lab.start("stay_within_the_limit");
    actor.expect("within");
    actor.finish();
}

#[test]
fn hand_out_all_that_may_be_taken() {
    if !plays("hand_out_all_that_may_be_taken") {
        return;
    }
    arena::set_max_bytes(3 << 20);
    let tx = Sender::<ArrayMut<u8>>::create("there", 400).unwrap();
    say("made");
    await_cue();
    let mut count = 0;
    while let Ok(array) = tx.loan(16 << 10) {
        tx.send(array).unwrap();
        count += 1;
    }
    assert!(count > 150, "{count} of 16 KiB in 3 MiB");
    say(&count.to_string());
    await_cue();
    // The receiver that held them all is dead.
    let again: Vec<_> = (0..count).map(|_| tx.loan(16 << 10).unwrap()).collect();
    assert!(tx.loan(16 << 10).is_err());
    drop(again);
    say("all back");
}

#[test]
fn receive_and_keep() {
    if plays("receive_and_keep") {
        let rx = Receiver::<ArrayMut<u8>>::open("there").unwrap();
        say("open");
        let mut kept = Vec::new();
        loop {
            kept.push(rx.recv().unwrap());
            say(&kept.len().to_string());
        }
    }
}

#[test]
fn what_a_killed_receiver_held_is_had_again_under_the_limit() {
    let lab = Lab::new();
    let mut sender = lab.start("hand_out_all_that_may_be_taken");
    sender.expect("made");
    let mut receiver = lab.start("receive_and_keep");
    receiver.expect("open");
    sender.cue();
    let count = sender.hear();
    while receiver.hear() != count {}
    receiver.kill();
    sender.cue();
    sender.expect("all back");
    sender.finish();
}

#[test]
fn ask_for_huge_pages() {
    if !plays("ask_for_huge_pages") {
        return;
    }
    let before = refusals();
    let small = zeroed(8).unwrap();
    arena::set_huge_pages(true);
    let mut array = zeroed(32).unwrap();
    array.fill(1);
    let huge = arena::stats().unwrap().huge_bytes;
    assert_eq!(huge, huge_bytes(), "the kernel says the same");
    let has_refused = refusals() > before;
    say(if huge == 32 << 20 || huge > 0 && has_refused {
        "given"
    } else if has_refused {
        "had none"
    } else {
        "not given"
    });
    drop((small, array));
}

#[test]
fn huge_pages_come_where_the_file_system_gives_them_and_the_statistics_are_the_kernels() {
    for (options, wanted) in
        [("huge=advise", &["given", "had none"][..]), ("huge=never", &["not given"])]
    {
        let Some(command) = on_file_system(&format!("size=256m,{options}")) else {
            println!("skipped: cannot mount a file system with {options} here");
            continue;
        };
        let lab = Lab::new();
        let mut actor = lab.start_through(&command, "ask_for_huge_pages");
        let said = actor.hear();
        assert!(wanted.contains(&said.as_str()), "{options}: {said}");
        actor.finish();
    }
}

#[test]
fn send_a_burst() {
    if !plays("send_a_burst") {
        return;
    }
    const COUNT: usize = 3000;
    let tx = Sender::<ArrayMut<u8>>::create("burst", COUNT).unwrap();
    let rx = Receiver::<ArrayMut<u8>>::open("burst").unwrap();
    for round in 0..2 {
        for _ in 0..COUNT {
            tx.send(tx.loan(PAGE).unwrap()).unwrap();
        }
        let stats = arena::stats().unwrap();
        assert_eq!(stats.held_chunks, COUNT as u64);
        assert_eq!(stats.recycled_arrays, (round * COUNT) as u64);
        assert_eq!((0..COUNT).filter(|_| rx.try_recv().is_ok()).count(), COUNT);
    }
    say("sent twice");
}

#[test]
fn thousands_of_arrays_that_nobody_has_received_yet_are_all_kept_and_then_reused() {
    let lab = Lab::new();
    let mut actor = lab.start("send_a_burst");
    actor.expect("sent twice");
    actor.finish();
}
