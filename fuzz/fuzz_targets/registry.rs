//! The tables of parties and arenas, with anything in them.
#![no_main]

use crossdock_core::chunk::Chunk;
use crossdock_core::layout::{ArenaTable, CHUNKS_MAX, parties};
use crossdock_core::party::{PARTIES_MAX, Party, PartyId, Record, State};
use crossdock_fuzz::{Hostile, Input, LEN_MAX};
use crossdock_sys::process::ProcessId;
use libfuzzer_sys::fuzz_target;

const STEPS_MAX: usize = 256;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let len = input.short() % LEN_MAX;
    let count = input.short();
    let hostile = Hostile::new(len, input.bytes(count));
    let memory = hostile.memory();
    let records = parties(&memory).unwrap_or_default();
    assert!(records.is_empty() || records.len() == PARTIES_MAX);
    let arena = ArenaTable::new(memory).ok();
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            return;
        }
        if input.byte() % 4 == 0 {
            hostile.poke(input.short(), input.word());
        }
        if let Some(record) = records.get(input.short() % PARTIES_MAX) {
            use_record(record, input.party(), &mut input);
        }
        if let Some(arena) = &arena {
            use_arena(arena, len, &mut input);
        }
    }
});

fn use_record(record: &Record, party: Party, input: &mut Input<'_>) {
    let (epoch, state) = record.read();
    assert_eq!(record.epoch().is_some(), state != State::Free);
    let id = PartyId { party, epoch };
    assert_eq!(PartyId::from_word(id.to_word()), Some(id), "an epoch runs into the number");
    let taken = match input.byte() % 8 {
        0 => record.take_for_process(&ProcessId { pid: 7, ..ProcessId::default() }),
        1 => record.take_for_channel(input.word()),
        2 => {
            record.free();
            assert_eq!(record.epoch(), None);
            return;
        }
        _ => return,
    };
    assert_eq!(record.epoch(), Some(taken));
    assert_ne!(taken, epoch, "a number is given out twice in one epoch");
}

fn use_arena(arena: &ArenaTable<'_>, len: usize, input: &mut Input<'_>) {
    let control = arena.control;
    assert!(control.entries() <= CHUNKS_MAX);
    match input.byte() % 8 {
        0 => control.set_orphan(),
        1 => control.retire(),
        2 => control.set_entries(input.word() as u32),
        _ => {}
    }
    let number = if input.byte() % 8 == 0 { input.word() as u32 } else { input.byte() as u32 };
    let entry = arena.entry(number);
    let is_inside = (number as usize) < CHUNKS_MAX && 512 + (number as usize + 1) * 128 <= len;
    assert_eq!(entry.is_ok(), is_inside);
    if let Ok(entry) = entry {
        entry.set_extent(entry.extent().0.wrapping_add(1), input.word(), input.word());
        use_chunk(&entry.chunk, input);
    }
}

fn use_chunk(chunk: &Chunk, input: &mut Input<'_>) {
    let (one, other) = (input.party(), input.party());
    let before = chunk.snapshot().expect("nothing moves meanwhile");
    let holders: Vec<Party> = before.holders().collect();
    assert_eq!(holders.is_empty(), before.is_unheld());
    assert!(holders.iter().all(|party| before.holds(*party) && chunk.is_held_by(*party)));
    let expected: Vec<Party> = match input.byte() % 4 {
        0 => {
            assert_eq!(chunk.take(one), before.holds(one));
            with(&holders, one)
        }
        1 => {
            chunk.release(one);
            holders.into_iter().filter(|party| *party != one).collect()
        }
        2 => {
            let generation = chunk.generation();
            assert_eq!(chunk.recycle(one), generation.wrapping_add(1));
            with(&holders, one)
        }
        _ => match chunk.hand_over(one, other) {
            Ok(()) => {
                assert!(before.holds(one) && !before.holds(other));
                let rest: Vec<Party> = holders.into_iter().filter(|party| *party != one).collect();
                with(&rest, other)
            }
            Err(_) => {
                assert!(!before.holds(one) || before.holds(other));
                let after = chunk.snapshot().expect("nothing moves meanwhile");
                assert!(holders.iter().all(|party| after.holds(*party)), "a hold is lost");
                return;
            }
        },
    };
    let after = chunk.snapshot().expect("nothing moves meanwhile");
    assert_eq!(after.holders().collect::<Vec<_>>(), expected);
    assert_eq!(after.holds_alone(other), expected == [other]);
}

fn with(holders: &[Party], party: Party) -> Vec<Party> {
    let mut all = holders.to_vec();
    all.push(party);
    all.sort_unstable();
    all.dedup();
    all
}
