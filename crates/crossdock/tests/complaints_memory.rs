//! What users of other systems for handing arrays over complain about: descriptors and memory that run out,
//! leak, go too early, or are addressed with too few bits. Each test names the issue that it is taken from;
//! those about messages are in `complaints`.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod common;
#[path = "common/limits.rs"]
mod limits;

use common::space::small_space;
use common::{Lab, await_cue, plays, say, skip};
use crossdock::channel::{Receiver, RecvError, Sender};
use crossdock::{Array, ArrayMut, ErrorKind, arena};
use limits::limit_files;

const MEBIBYTE: usize = 1 << 20;

// One descriptor for each array: servo/ipc-channel #395 (a panic at the 65th) and pytorch/pytorch #973 (too
// many open files).

const BURST: u64 = 2000;
const DESCRIPTORS_MAX: u64 = 32;

/// Descriptors that are open in this process.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn send_a_burst() {
    if plays("send_a_burst") {
        limit_files(std::process::id(), DESCRIPTORS_MAX);
        let tx = Sender::<Array<u64>>::create("c", BURST as usize).unwrap();
        tx.send(Array::from_slice(&[0; 500]).unwrap()).unwrap();
        let first = descriptors();
        for number in 1..BURST {
            tx.send(Array::from_slice(&[number; 500]).unwrap()).unwrap();
        }
        assert_eq!(descriptors(), first);
        say("sent");
        await_cue();
    }
}

#[test]
fn hold_a_burst() {
    if plays("hold_a_burst") {
        limit_files(std::process::id(), DESCRIPTORS_MAX);
        let rx = Receiver::<Array<u64>>::open("c").unwrap();
        let mut held = vec![rx.recv().unwrap()];
        let first = descriptors();
        held.extend((1..BURST).map(|_| rx.recv().unwrap()));
        assert_eq!(descriptors(), first);
        assert!((0..).zip(&held).all(|(number, array)| array[..] == [number; 500]));
        say("has all");
    }
}

#[test]
fn a_burst_of_thousands_of_arrays_takes_no_descriptor_for_each() {
    let lab = Lab::new();
    let mut sender = lab.start("send_a_burst");
    sender.expect("sent");
    let mut receiver = lab.start("hold_a_burst");
    receiver.expect("has all");
    receiver.finish();
    sender.cue();
    sender.finish();
}

// A receiver that is killed while it holds arrays: ros2/rmw_zenoh #220, where its publisher then runs out of
// memory, and CUDA tensors of torch.multiprocessing, whose documentation says that they stay.

const DEATHS: usize = 5;

#[test]
fn send_to_one_after_the_other() {
    if !plays("send_to_one_after_the_other") {
        return;
    }
    let unique = Sender::<ArrayMut<u8>>::create("unique", 4).unwrap();
    let shared = Sender::<Array<u8>>::create("shared", 4).unwrap();
    say("open");
    let mut reserved = Vec::new();
    for _ in 0..DEATHS {
        await_cue();
        let kept = ArrayMut::zeroed(MEBIBYTE).unwrap().freeze();
        for array in [kept.clone(), kept.slice(100..), kept.slice(..100)] {
            shared.send(array).unwrap();
            unique.send(ArrayMut::zeroed(MEBIBYTE / 2).unwrap()).unwrap();
        }
        drop(kept);
        say("sent");
        await_cue();
        // It polls like a sender that has something else to do.
        while !unique.is_disconnected() || !shared.is_disconnected() {
            std::thread::yield_now();
        }
        let stats = arena::stats().unwrap();
        assert_eq!((stats.held_chunks, stats.held_bytes), (0, 0), "all is back");
        reserved.push(stats.reserved_bytes);
        say("has all back");
    }
    assert!(reserved.iter().all(|bytes| *bytes == reserved[0]), "{reserved:?}");
}

#[test]
fn hold_until_killed() {
    if plays("hold_until_killed") {
        let unique = Receiver::<ArrayMut<u8>>::open("unique").unwrap();
        let shared = Receiver::<Array<u8>>::open("shared").unwrap();
        say("open");
        let held: Vec<_> =
            (0..3).map(|_| (unique.recv().unwrap(), shared.recv().unwrap())).collect();
        say("holds");
        await_cue();
        drop(held);
    }
}

#[test]
fn the_memory_that_a_killed_receiver_held_is_used_again() {
    let lab = Lab::new();
    let mut sender = lab.start("send_to_one_after_the_other");
    sender.expect("open");
    for _ in 0..DEATHS {
        let mut receiver = lab.start("hold_until_killed");
        receiver.expect("open");
        sender.cue();
        sender.expect("sent");
        receiver.expect("holds");
        receiver.kill();
        sender.cue();
        sender.expect("has all back");
    }
    sender.finish();
}

// An array that outlives its sender: CUDA tensors of torch.multiprocessing become invalid with the process
// that sent them, and what joblib/joblib #198 puts into shared memory stays there.

#[test]
fn own_and_send() {
    if plays("own_and_send") {
        let tx = Sender::<Array<u32>>::create("c", 4).unwrap();
        tx.send(Array::from_fn([2000, 1000], |index| index as u32).unwrap()).unwrap();
        say("sent");
        await_cue();
    }
}

#[test]
fn hold_what_has_no_owner() {
    if plays("hold_what_has_no_owner") {
        let rx = Receiver::<Array<u32>>::open("c").unwrap();
        let array = rx.recv().unwrap();
        say("holds");
        await_cue();
        assert_eq!(rx.recv(), Err(RecvError::Disconnected));
        assert_eq!(array.shape(), [2000, 1000]);
        assert!(array.iter().enumerate().all(|(index, value)| *value == index as u32));
        say("whole");
        await_cue();
        drop(array);
        say("dropped");
        await_cue();
    }
}

#[test]
fn an_array_outlives_its_owner_and_its_memory_does_not_outlive_the_array() {
    for is_killed in [false, true] {
        let lab = Lab::new();
        let arena_files = || lab.files().iter().filter(|name| name.starts_with(".arena.")).count();
        let mut owner = lab.start("own_and_send");
        owner.expect("sent");
        let mut holder = lab.start("hold_what_has_no_owner");
        holder.expect("holds");
        if is_killed {
            owner.kill();
        } else {
            owner.cue();
            owner.finish();
        }
        holder.cue();
        holder.expect("whole");
        assert_eq!(arena_files(), 2, "a table and a region without owner");
        holder.cue();
        holder.expect("dropped");
        assert_eq!(arena_files(), 0);
        holder.cue();
        holder.finish();
    }
}

// A file system of 64 MB, as Docker gives by default: pytorch/pytorch #5040 and ray-project/ray #14182, where
// the first write beyond it ends the process by SIGBUS.

const FRAME_BYTES: usize = 4 * MEBIBYTE;

#[test]
fn send_until_there_is_no_space() {
    if !plays("send_until_there_is_no_space") {
        return;
    }
    let tx = Sender::<ArrayMut<u8>>::create("c", 64).unwrap();
    let mut sent = 0_u8;
    let error = loop {
        match tx.loan(FRAME_BYTES) {
            Ok(mut frame) => {
                frame.fill(sent);
                tx.send(frame).unwrap();
                sent += 1;
            }
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    assert!(error.to_string().contains("--shm-size"), "the remedy: {error}");
    assert!((12..16).contains(&sent), "{sent} frames of 4 MiB in 64 MiB");
    say(&sent.to_string());
    await_cue();
    // All were received and dropped: there is room for as many again, not for more.
    for number in 0..sent {
        let mut frame = tx.loan(FRAME_BYTES).unwrap();
        frame.fill(number);
        tx.send(frame).unwrap();
    }
    assert_eq!(tx.loan(128 * MEBIBYTE).unwrap_err().kind(), ErrorKind::NoSpace);
}

#[test]
fn receive_from_a_small_space() {
    if plays("receive_from_a_small_space") {
        let rx = Receiver::<ArrayMut<u8>>::open("c").unwrap();
        let count: u8 = std::env::var("FRAMES").unwrap().parse().unwrap();
        for _ in 0..2 {
            for number in 0..count {
                let frame = rx.recv().unwrap();
                assert!(frame.len() == FRAME_BYTES && frame.iter().all(|byte| *byte == number));
            }
            say("has all");
        }
        assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    }
}

#[test]
fn a_file_system_of_64_megabytes_gives_errors_and_not_signals() {
    let Some((start, enter)) = small_space() else { return };
    let lab = Lab::new();
    let mut sender = lab.start_through(&start, "send_until_there_is_no_space");
    let sent = sender.hear();
    let mut there: Vec<String> = enter.split(' ').map(str::to_owned).collect();
    there.extend([sender.pid().to_string(), "env".to_owned(), format!("FRAMES={sent}")]);
    let mut receiver = lab.start_through(&there, "receive_from_a_small_space");
    receiver.expect("has all");
    sender.cue();
    receiver.expect("has all");
    sender.finish();
    receiver.finish();
}

// Offsets beyond 4 GiB: eclipse-iceoryx/iceoryx #2366, where they lose their high bits.

const HUGE: usize = (4 << 30) + 3 * 4096;
/// Kibibytes that must be available, so that nothing else suffers.
const HUGE_NEEDS_KIB: u64 = 8 << 20;

#[test]
fn send_what_is_huge() {
    if plays("send_what_is_huge") {
        arena::set_prefault(false);
        let tx = Sender::<Array<u8>>::create("c", 4).unwrap();
        // What is fresh is zero already, so only three pages are ever touched.
        let mut array = ArrayMut::zeroed(HUGE).unwrap();
        (array[0], array[4096]) = (1, 2);
        (array[HUGE - 4096], array[HUGE - 1]) = (3, 4);
        let array = array.freeze();
        tx.send(array.slice(HUGE - 4096..)).unwrap();
        tx.send(array.slice(4096..)).unwrap();
        tx.send(array).unwrap();
        say("sent");
        await_cue();
    }
}

#[test]
fn receive_what_is_huge() {
    if plays("receive_what_is_huge") {
        let rx = Receiver::<Array<u8>>::open("c").unwrap();
        let page = rx.recv().unwrap();
        assert_eq!((page.len(), page[0], page[4095]), (4096, 3, 4));
        let most = rx.recv().unwrap();
        assert_eq!((most.len(), most[0]), (HUGE - 4096, 2));
        assert_eq!((most[HUGE - 8192], most[HUGE - 4097]), (3, 4));
        let all = rx.recv().unwrap();
        assert_eq!((all.len(), all[0], all[HUGE - 1]), (HUGE, 1, 4));
        say("has all");
    }
}

/// Kibibytes that can be had without swapping.
fn available_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

#[test]
fn offsets_and_lengths_beyond_4_gibibytes_are_whole() {
    let available = available_kib();
    if available < HUGE_NEEDS_KIB {
        skip(&format!("{available} KiB of memory available, {HUGE_NEEDS_KIB} wanted"));
        return;
    }
    let lab = Lab::new();
    let mut sender = lab.start("send_what_is_huge");
    sender.expect("sent");
    let mut receiver = lab.start("receive_what_is_huge");
    receiver.expect("has all");
    receiver.finish();
    sender.cue();
    sender.finish();
}
