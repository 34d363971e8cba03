//! The first bytes of a file that somebody else made.
#![no_main]

use crossdock_core::header::{HEADER_BYTES, Header, Kind, RESERVE_MAX};
use crossdock_core::layout::{ArenaTable, ChannelTable, parties};
use crossdock_fuzz::{Hostile, Input, LEN_MAX};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let is_named = input.byte() % 2 == 0;
    let file_bytes = input.word();
    let mut bytes = [0; HEADER_BYTES];
    if is_named {
        // Begins like a header, so that what follows is looked at.
        bytes = Header::new(Kind::Block, 0, 0).to_bytes();
        bytes[12] = (input.byte() % 7) as u8;
        let rest = input.bytes(HEADER_BYTES - 24);
        bytes[24..24 + rest.len()].copy_from_slice(rest);
    } else {
        let rest = input.bytes(HEADER_BYTES);
        bytes[..rest.len()].copy_from_slice(rest);
    }
    let header = match Header::from_bytes(&bytes, file_bytes) {
        Ok(header) => header,
        Err(mismatch) => {
            assert!(!mismatch.to_string().is_empty());
            return;
        }
    };
    assert_eq!(Header::from_bytes(&header.to_bytes(), file_bytes).as_ref(), Ok(&header));
    assert!(
        header.data_offset + header.len <= file_bytes,
        "a file is shorter than its header says"
    );
    assert!(header.data_offset + header.len <= header.reserve && header.reserve <= RESERVE_MAX);
    open(&header, file_bytes);
});

/// Looks at a file with this header as its kind says.
fn open(header: &Header, file_bytes: u64) {
    let Some(len) = usize::try_from(file_bytes).ok().filter(|len| *len <= LEN_MAX) else { return };
    let hostile = Hostile::new(len, &header.to_bytes());
    let memory = hostile.memory();
    match header.kind {
        Kind::Channel => {
            let capacity = usize::try_from(header.capacity).expect("a checked capacity");
            let table = ChannelTable::new(memory, capacity).expect("the header says that it fits");
            assert_eq!(table.ring.capacity(), capacity);
            assert!(table.ring.is_empty());
            assert!(!table.ring.any(|_| true));
        }
        Kind::Arena => {
            let Ok(table) = ArenaTable::new(memory) else { return };
            assert!(!table.control.is_orphan());
            let entries = (0..=u32::MAX).take_while(|chunk| table.entry(*chunk).is_ok()).count();
            assert!(entries <= len / 128);
        }
        Kind::Parties => {
            if let Ok(records) = parties(&memory) {
                assert!(records.iter().all(|record| record.epoch().is_none()));
            }
        }
        Kind::Block | Kind::Array => {}
    }
}
