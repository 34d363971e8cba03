//! The first bytes of a file that somebody else made.
#![no_main]

use crossdock_core::header::{HEADER_BYTES, Header, Kind, RESERVE_MAX};
use crossdock_core::layout::{ArenaTable, ChannelTable, channel_bytes, parties};
use crossdock_core::settings::{Mode, SETTINGS_BYTES, Settings};
use crossdock_fuzz::{Hostile, Input, LEN_MAX};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let mut file_bytes = input.word();
    let mut bytes = [0; HEADER_BYTES];
    match input.byte() % 4 {
        0 => {
            let rest = input.bytes(HEADER_BYTES);
            bytes[..rest.len()].copy_from_slice(rest);
        }
        1 => {
            // Begins like a header, so that what follows is looked at.
            bytes = Header::new(Kind::Block, 0, 0).to_bytes();
            bytes[12] = (input.byte() % 8) as u8;
            let rest = input.bytes(HEADER_BYTES - 24);
            bytes[24..24 + rest.len()].copy_from_slice(rest);
        }
        _ => {
            let Some(header) = channel(&mut input) else { return };
            file_bytes = header.reserve.wrapping_add(file_bytes % 3).wrapping_sub(1);
            bytes = header.to_bytes();
        }
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

/// A header of a channel with any settings that there can be.
fn channel(input: &mut Input<'_>) -> Option<Header> {
    let mut bytes = [0; SETTINGS_BYTES];
    let some = input.bytes(SETTINGS_BYTES);
    bytes[..some.len()].copy_from_slice(some);
    let settings = Settings::from_bytes(&bytes).ok()?;
    assert_eq!(Settings::from_bytes(&settings.to_bytes()), Ok(settings));
    let capacity = input.short() % 64;
    let len = channel_bytes(capacity, &settings).checked_add(input.byte() as u64)?;
    let mut header = Header::new(Kind::Channel, len, HEADER_BYTES as u64);
    header.capacity = capacity as u64;
    header.settings = settings;
    Some(header)
}

/// Looks at a file with this header as its kind says.
fn open(header: &Header, file_bytes: u64) {
    let Some(len) = usize::try_from(file_bytes).ok().filter(|len| *len <= LEN_MAX) else { return };
    let hostile = Hostile::new(len, &header.to_bytes());
    let memory = hostile.memory();
    match header.kind {
        Kind::Channel => {
            let capacity = usize::try_from(header.capacity).expect("a checked capacity");
            let offset = usize::try_from(header.data_offset).expect("a short file");
            let table = ChannelTable::new(memory, offset, capacity, &header.settings);
            // One slot is not enough for the newest message and the next.
            let is_wide = capacity > 1 || header.settings.mode != Mode::Latest;
            assert_eq!(table.is_ok(), is_wide, "the header says that it fits");
            let Ok(table) = table else { return };
            assert_eq!(table.capacity(), capacity);
            assert!(table.is_empty());
            assert!(!table.any(|_| true));
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
        Kind::Block | Kind::Array | Kind::Value => {}
    }
}
