//! What named blocks promise.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;
mod pages;

use common::{Lab, await_cue, plays, say, unique};
use crossdock::{ErrorKind, SharedBlock, registry};
use pages::{huge_bytes, on_file_system, refusals};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn len_is_what_was_asked_for_everywhere() {
    for len in [0, 1, 4095, 4096, 4097, 1_000_003] {
        let name = unique("len");
        let block = SharedBlock::create(&name, len).unwrap();
        let same = SharedBlock::open(&name).unwrap();
        assert_eq!((block.len(), same.len()), (len, len));
        assert_eq!(same.stats().unwrap().len_bytes, len as u64);
    }
}

#[test]
fn bytes_are_zero_at_first_and_seen_by_all() {
    let name = unique("bytes");
    let block = SharedBlock::create(&name, 10_000).unwrap();
    let same = SharedBlock::options().read_only(true).open(&name).unwrap();
    let mut bytes = vec![1; 10_000];
    same.read_at(0, &mut bytes).unwrap();
    assert!(bytes.iter().all(|byte| *byte == 0));
    block.write_at(9_990, b"0123456789").unwrap();
    same.read_at(9_989, &mut bytes[..11]).unwrap();
    assert_eq!(&bytes[..11], b"\x000123456789");
    assert_eq!(same.write_at(0, b"x").unwrap_err().kind(), ErrorKind::Unsupported);
    for (offset, count) in [(9_990, 11), (10_001, 0), (usize::MAX, 2)] {
        let error = block.read_at(offset, &mut bytes[..count]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn a_block_grows_in_place_and_others_see_it_when_they_look() {
    let name = unique("grow");
    let block = SharedBlock::create(&name, 100).unwrap();
    let same = SharedBlock::open(&name).unwrap();
    let place = same.as_ptr();
    same.grow(5 << 20).unwrap();
    assert_eq!(block.len(), 5 << 20);
    block.write_at((5 << 20) - 3, b"end").unwrap();
    let mut end = [0; 3];
    same.read_at((5 << 20) - 3, &mut end).unwrap();
    assert_eq!((&end, same.as_ptr()), (b"end", place));
    same.grow(50).unwrap();
    assert_eq!(same.len(), 5 << 20, "a smaller length changes nothing");
    let error = block.grow(2 << 30).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.to_string().contains("reserve("), "{error}");
}

#[test]
fn offsets_and_lengths_go_beyond_4_gib() {
    let name = unique("large");
    let len = (4 << 30) + 12_345;
    let block = SharedBlock::create(&name, len).unwrap();
    block.write_at(len - 4, b"last").unwrap();
    let same = SharedBlock::open(&name).unwrap();
    let mut last = [0; 4];
    same.read_at(len - 4, &mut last).unwrap();
    assert_eq!((&last, same.len()), (b"last", len));
}

#[test]
fn a_name_is_exclusive_until_its_last_user_has_gone() {
    let name = unique("exclusive");
    let block = SharedBlock::create(&name, 10).unwrap();
    assert_eq!(SharedBlock::create(&name, 10).unwrap_err().kind(), ErrorKind::AlreadyExists);
    let same = SharedBlock::open_or_create(&name, 99).unwrap();
    assert_eq!(same.len(), 10);
    drop(block);
    assert!(SharedBlock::open(&name).is_ok());
    drop(same);
    assert_eq!(SharedBlock::open(&name).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_persistent_name_stays_until_it_is_unlinked() {
    let name = unique("persist");
    let block = SharedBlock::create(&name, 10).unwrap();
    block.write_at(0, b"kept").unwrap();
    block.persist().unwrap();
    drop(block);
    let block = SharedBlock::open(&name).unwrap();
    let mut kept = [0; 4];
    block.read_at(0, &mut kept).unwrap();
    assert_eq!(&kept, b"kept");
    SharedBlock::unlink(&name).unwrap();
    assert_eq!(SharedBlock::unlink(&name).unwrap_err().kind(), ErrorKind::NotFound);
    block.write_at(0, b"mine").unwrap();
    let fresh = SharedBlock::create(&name, 5).unwrap();
    assert_eq!(fresh.len(), 5);
    drop(block);
    assert!(
        SharedBlock::open(&name).is_ok(),
        "the old user does not take the new one's name along"
    );
}

#[test]
fn an_anonymous_block_has_no_name() {
    let block = SharedBlock::anonymous(1000).unwrap();
    block.grow(2000).unwrap();
    assert_eq!((block.name(), block.len()), (None, 2000));
    assert_eq!(block.persist().unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn prefault_and_mode_are_obeyed() {
    let name = unique("options");
    let block =
        SharedBlock::options().prefault(true).mode(0o640).posix_name(true).create(&name, 1 << 20);
    let block = block.unwrap();
    assert!(block.stats().unwrap().resident_bytes >= 1 << 20);
    let metadata = std::fs::metadata(format!("/dev/shm/{name}")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777, 0o640);
    assert_eq!(metadata.len(), 1 << 20);
}

#[test]
fn the_shared_memory_crate_opens_ours_and_we_open_its() {
    let name = unique("crate");
    let ours = SharedBlock::options().posix_name(true).create(&name, 5000).unwrap();
    ours.write_at(4990, b"from us").unwrap();
    let theirs = shared_memory::ShmemConf::new().os_id(&name).open().unwrap();
    assert!(theirs.len() >= 5000);
    assert_eq!(&seen_at(&theirs, 4990), b"from us");

    let name = unique("crate");
    let theirs = shared_memory::ShmemConf::new().os_id(&name).size(8192).create().unwrap();
    let ours = SharedBlock::options().posix_name(true).open(theirs.get_os_id()).unwrap();
    assert_eq!(ours.len(), 8192);
    ours.write_at(100, b"to them").unwrap();
    assert_eq!(&seen_at(&theirs, 100), b"to them");
}

/// Seven bytes of a block as the `shared_memory` crate sees them.
fn seen_at(block: &shared_memory::Shmem, offset: usize) -> [u8; 7] {
    assert!(offset + 7 <= block.len());
    // SAFETY: the bytes are inside the block, as has just been checked.
    let first = unsafe { block.as_ptr().add(offset) };
    // SAFETY: they are mapped, and nobody writes them meanwhile.
    unsafe { first.cast::<[u8; 7]>().read() }
}

/// Runs a Python program, or says that there is no Python.
fn python(program: &str, arguments: &[&str]) -> Option<String> {
    let output = match Command::new("python3").arg("-c").arg(program).args(arguments).output() {
        Ok(output) => output,
        Err(error) => {
            say(&format!("skipped: no python3 ({error})"));
            return None;
        }
    };
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

#[test]
fn python_opens_ours_and_we_open_pythons() {
    let name = unique("python");
    let ours = SharedBlock::options().posix_name(true).create(&name, 5000).unwrap();
    ours.write_at(0, b"from rust").unwrap();
    // Python's resource tracker would unlink a block that Python only attached to (gh-82300).
    let attach = "
import sys
from multiprocessing import shared_memory, resource_tracker
block = shared_memory.SharedMemory(name=sys.argv[1])
resource_tracker.unregister(block._name, 'shared_memory')
print(block.size, bytes(block.buf[:9]).decode())
block.buf[4991:5000] = b'from pyth'
block.close()";
    let Some(said) = python(attach, &[&name]) else { return };
    assert_eq!(said, "5000 from rust");
    let mut bytes = [0; 9];
    ours.read_at(4991, &mut bytes).unwrap();
    assert_eq!(&bytes, b"from pyth");

    let name = unique("python");
    let create = "
import sys
from multiprocessing import shared_memory, resource_tracker
block = shared_memory.SharedMemory(name=sys.argv[1], create=True, size=777)
resource_tracker.unregister(block._name, 'shared_memory')
block.buf[770:777] = b'python!'
block.close()";
    python(create, &[&name]).unwrap();
    let theirs = SharedBlock::options().posix_name(true).open(&name).unwrap();
    assert_eq!(theirs.len(), 777);
    let mut bytes = [0; 7];
    theirs.read_at(770, &mut bytes).unwrap();
    assert_eq!(&bytes, b"python!");
    std::fs::remove_file(format!("/dev/shm/{name}")).unwrap();
}

#[test]
fn hold_a_block_that_nobody_may_write() {
    if plays("hold_a_block_that_nobody_may_write") {
        let _block = SharedBlock::options().mode(0o400).create("b", 100).unwrap();
        say("made");
        await_cue();
    }
}

#[test]
fn a_name_that_nobody_may_write_is_reclaimed_as_well() {
    let lab = Lab::new();
    let mut maker = lab.start("hold_a_block_that_nobody_may_write");
    maker.expect("made");
    maker.kill();
    let mut next = lab.start("find_the_name_free");
    next.expect("free");
    next.finish();
}

#[test]
fn hold_a_block() {
    if plays("hold_a_block") {
        let block = SharedBlock::create("b", 100).unwrap();
        block.write_at(0, b"dead").unwrap();
        say("made");
        await_cue();
    }
}

#[test]
fn find_the_name_free() {
    if plays("find_the_name_free") {
        assert_eq!(SharedBlock::open("b").unwrap_err().kind(), ErrorKind::NotFound);
        let block = SharedBlock::create("b", 50).unwrap();
        let mut bytes = [1; 4];
        block.read_at(0, &mut bytes).unwrap();
        assert_eq!((bytes, block.len()), ([0; 4], 50));
        say("free");
    }
}

#[test]
fn a_killed_maker_leaves_no_name_for_the_next_user() {
    let lab = Lab::new();
    let mut maker = lab.start("hold_a_block");
    maker.expect("made");
    maker.kill();
    assert_eq!(lab.files(), ["b"], "nobody has looked yet");
    let mut next = lab.start("find_the_name_free");
    next.expect("free");
    next.finish();
}

#[test]
fn make_a_block_of_huge_pages() {
    if !plays("make_a_block_of_huge_pages") {
        return;
    }
    const LEN: usize = 32 << 20;
    let before = refusals();
    let options = SharedBlock::options().huge_pages(true);
    let block = options.prefault(true).create("huge", LEN).unwrap();
    let huge = block.stats().unwrap().huge_bytes;
    assert_eq!(huge, huge_bytes(), "the kernel says the same");
    let has_refused = refusals() > before;
    say(if huge >= LEN as u64 || huge > 0 && has_refused {
        "given"
    } else if has_refused {
        "had none"
    } else {
        "not given"
    });
}

#[test]
fn a_block_gets_huge_pages_where_the_file_system_gives_them_to_those_who_ask() {
    for (options, wanted) in
        [("huge=advise", &["given", "had none"][..]), ("huge=never", &["not given"])]
    {
        let Some(command) = on_file_system(&format!("size=256m,{options}")) else {
            println!("skipped: cannot mount a file system with {options} here");
            continue;
        };
        let lab = Lab::new();
        let mut actor = lab.start_through(&command, "make_a_block_of_huge_pages");
        let said = actor.hear();
        assert!(wanted.contains(&said.as_str()), "{options}: {said}");
        actor.finish();
    }
}

#[test]
fn use_stale_names_while_somebody_looks() {
    if !plays("use_stale_names_while_somebody_looks") {
        return;
    }
    let block = SharedBlock::create("b", 100).unwrap();
    let [whole, copy, stale] = ["b", ".copy", "stale"].map(|name| registry::directory().join(name));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                match registry::inspect("stale") {
                    Ok(entry) => assert_eq!(entry.len_bytes, 100),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
                }
            }
        });
        for _ in 0..3000 {
            // A file that nobody has locked, as the killed leave it.
            std::fs::copy(&whole, &copy).unwrap();
            std::fs::rename(&copy, &stale).unwrap();
            drop(SharedBlock::create("stale", 100).unwrap());
            assert!(!stale.exists(), "the last user thought that there was another one");
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(block.len(), 100);
    say("used");
}

#[test]
fn a_name_that_somebody_looks_at_is_no_more_in_use_for_that() {
    let lab = Lab::new();
    let mut actor = lab.start("use_stale_names_while_somebody_looks");
    actor.expect("used");
    actor.finish();
}
