use super::slot::LAP_ONE;
use super::*;

struct Memory {
    head: Cursor,
    tail: Cursor,
    slots: OwnedSlots,
}

impl Memory {
    fn new(capacity: usize) -> Self {
        Self { head: Cursor::new(), tail: Cursor::new(), slots: OwnedSlots::new(capacity) }
    }

    fn ring(&self) -> Ring<'_> {
        Ring::new(&self.head, &self.tail, self.slots.arrays()).unwrap()
    }
}

fn party(index: usize) -> Party {
    Party::new(index).unwrap()
}

fn payload(value: u64) -> [u64; SLOT_WORDS] {
    [value; SLOT_WORDS]
}

fn send(ring: &Ring<'_>, me: Party, value: u64) -> Result<(), Refused> {
    let mut claim = ring.claim(me)?;
    ring.arm(&mut claim, &payload(value));
    let _ = ring.publish(claim, &payload(value));
    Ok(())
}

fn receive(ring: &Ring<'_>, me: Party) -> Option<u64> {
    loop {
        match ring.next().unwrap() {
            Next::Ready(message) => {
                let first = ring.first(&message);
                if ring.take(&message, me) {
                    let _ = ring.finish(&message);
                    return Some(first[0]);
                }
            }
            Next::Empty | Next::Pending(_) => return None,
        }
    }
}

#[test]
fn first_in_is_first_out_at_every_capacity() {
    for capacity in [1, 2, 3, 7, 64] {
        let memory = Memory::new(capacity);
        let ring = memory.ring();
        for round in 0..50_u64 {
            for i in 0..capacity as u64 {
                assert_eq!(ring.len(), i as usize);
                send(&ring, party(0), round * 100 + i).unwrap();
            }
            assert_eq!(send(&ring, party(0), 0), Err(Refused::Full(None)));
            assert_eq!(ring.len(), capacity);
            for i in 0..capacity as u64 {
                assert_eq!(receive(&ring, party(1)), Some(round * 100 + i));
            }
            assert_eq!(receive(&ring, party(1)), None);
            assert!(ring.is_empty());
        }
    }
}

#[test]
fn a_sender_that_died_before_the_commit_leaves_a_hole_that_is_passed_over() {
    for armed in [false, true] {
        let memory = Memory::new(3);
        let ring = memory.ring();
        let mut claim = ring.claim(party(0)).unwrap();
        if armed {
            ring.arm(&mut claim, &payload(13));
        }
        send(&ring, party(1), 5).unwrap();
        assert!(matches!(ring.next().unwrap(), Next::Pending(p) if p == party(0)));
        assert_eq!(ring.any(|payload| payload[0] == 13), armed);
        assert!(!ring.reap(party(0)).is_empty());
        assert!(ring.reap(party(0)).is_empty(), "nothing is left to reap");
        assert!(!ring.any(|payload| payload[0] == 13));
        assert_eq!(receive(&ring, party(2)), Some(5));
        for value in 0..20 {
            send(&ring, party(1), value).unwrap();
            assert_eq!(receive(&ring, party(2)), Some(value));
        }
    }
}

#[test]
fn a_sender_that_died_after_the_commit_loses_nothing() {
    let memory = Memory::new(2);
    let ring = memory.ring();
    send(&ring, party(0), 8).unwrap();
    assert!(ring.reap(party(0)).is_empty(), "a sent message is nobody's remains");
    assert_eq!(receive(&ring, party(1)), Some(8));
}

#[test]
fn a_receiver_that_died_with_a_message_frees_its_slot() {
    let memory = Memory::new(1);
    let ring = memory.ring();
    send(&ring, party(0), 8).unwrap();
    let Next::Ready(message) = ring.next().unwrap() else { panic!("sent") };
    assert!(ring.take(&message, party(1)));
    assert!(ring.any(|payload| payload[0] == 8));
    send(&ring, party(0), 9).unwrap();
    assert!(matches!(ring.next(), Ok(Next::Pending(p)) if p == party(1)));
    assert!(ring.any(|payload| payload[0] == 8), "its ticket has gone, its hold may be to come");
    assert!(!ring.reap(party(1)).is_empty());
    assert!(!ring.any(|payload| payload[0] == 8));
    assert_eq!(receive(&ring, party(2)), Some(9));
}

#[test]
fn a_queue_is_empty_while_its_only_slot_is_being_received_from() {
    let memory = Memory::new(1);
    let ring = memory.ring();
    send(&ring, party(0), 8).unwrap();
    let Next::Ready(message) = ring.next().unwrap() else { panic!("sent") };
    assert!(ring.take(&message, party(1)));
    assert!(matches!(ring.next(), Ok(Next::Empty)));
    assert!(ring.finish(&message), "with one slot the head is always there");
    assert!(matches!(ring.next(), Ok(Next::Empty)));
}

#[test]
fn the_head_does_not_pass_a_message_while_the_one_before_is_being_received() {
    let memory = Memory::new(1);
    let ring = memory.ring();
    send(&ring, party(0), 1).unwrap();
    let Next::Ready(first) = ring.next().unwrap() else { panic!("sent") };
    assert!(ring.take(&first, party(1)));
    send(&ring, party(0), 2).unwrap();
    assert_eq!(send(&ring, party(0), 3), Err(Refused::Full(Some(party(1)))));
    assert!(ring.poll().unwrap().is_none());
    assert!(ring.finish(&first));
    assert_eq!(receive(&ring, party(2)), Some(2));
    assert_eq!(receive(&ring, party(2)), None);
}

#[test]
fn a_receiver_that_is_done_hears_that_the_head_has_come_round() {
    for is_brief in [false, true] {
        let memory = Memory::new(2);
        let ring = memory.ring();
        (0..2).for_each(|value| send(&ring, party(0), value).unwrap());
        let Next::Ready(first) = ring.next().unwrap() else { panic!("sent") };
        let is_mine = if is_brief {
            ring.take_briefly(&first, party(1))
        } else {
            ring.take(&first, party(1))
        };
        assert!(is_mine);
        assert_eq!(receive(&ring, party(2)), Some(1));
        send(&ring, party(0), 2).unwrap();
        assert_eq!(receive(&ring, party(2)), None);
        assert!(if is_brief { ring.finish_brief(&first) } else { ring.finish(&first) });
        assert_eq!(receive(&ring, party(2)), Some(2));
    }
}

#[test]
fn a_cursor_has_come_round_also_when_it_has_gone_on() {
    let cursor = Cursor::new();
    for position in [5, LAP_MASK | 5] {
        for (ahead, has_come_round) in
            [(0, false), (LAP_ONE - 5, false), (LAP_ONE, true), (LAP_ONE + 3, true)]
        {
            cursor.position.store(position.wrapping_add(ahead), Relaxed);
            assert_eq!(Slots::has_come_round(&cursor, position), has_come_round);
        }
    }
}

#[test]
fn a_receiver_that_is_done_in_time_is_awaited_by_nobody() {
    let memory = Memory::new(2);
    let ring = memory.ring();
    (0..2).for_each(|value| send(&ring, party(0), value).unwrap());
    for is_brief in [true, false] {
        let Next::Ready(message) = ring.next().unwrap() else { panic!("sent") };
        let is_awaited = if is_brief {
            ring.take_briefly(&message, party(1)) && ring.finish_brief(&message)
        } else {
            ring.take(&message, party(1)) && ring.finish(&message)
        };
        assert!(!is_awaited);
    }
    assert!(ring.is_empty());
}

#[test]
fn a_sender_that_is_done_hears_that_the_tail_has_come_round() {
    let memory = Memory::new(2);
    let ring = memory.ring();
    let slow = ring.claim(party(0)).unwrap();
    send(&ring, party(1), 1).unwrap();
    assert_eq!(send(&ring, party(1), 2), Err(Refused::Full(Some(party(0)))));
    assert!(ring.publish(slow, &payload(0)), "somebody may be asleep until now");
    assert_eq!(receive(&ring, party(2)), Some(0));
    let fast = ring.claim(party(0)).unwrap();
    assert!(!ring.publish(fast, &payload(2)));
    assert_eq!(receive(&ring, party(2)), Some(1));
    assert_eq!(receive(&ring, party(2)), Some(2));
}

#[test]
fn a_batch_hears_that_a_cursor_has_come_round() {
    let memory = Memory::new(2);
    let ring = memory.ring();
    let mut sent = SendBatch::new(&ring, party(0));
    let claim = sent.claim().unwrap();
    send(&ring, party(1), 1).unwrap();
    assert_eq!(send(&ring, party(1), 2), Err(Refused::Full(Some(party(0)))));
    sent.publish(claim, &payload(0));
    assert!(sent.end());

    let mut taken = RecvBatch::new(&ring, party(2));
    let message = taken.poll().unwrap().unwrap();
    assert!(taken.take(&message));
    assert_eq!(receive(&ring, party(3)), Some(1));
    send(&ring, party(1), 2).unwrap();
    assert_eq!(receive(&ring, party(3)), None);
    assert!(taken.end());
    assert_eq!(receive(&ring, party(3)), Some(2));

    let mut sent = SendBatch::new(&ring, party(0));
    for value in 3..5 {
        let claim = sent.claim().unwrap();
        sent.publish(claim, &payload(value));
    }
    assert!(!sent.end());
    let mut taken = RecvBatch::new(&ring, party(2));
    while let Some(message) = taken.poll().unwrap() {
        assert!(taken.take(&message));
    }
    assert!(!taken.end());
    assert!(ring.is_empty());
}

#[test]
fn one_message_is_taken_once() {
    let memory = Memory::new(2);
    let ring = memory.ring();
    send(&ring, party(0), 1).unwrap();
    let Next::Ready(first) = ring.next().unwrap() else { panic!("sent") };
    let Next::Ready(second) = ring.next().unwrap() else { panic!("sent") };
    assert!(ring.take(&first, party(1)));
    assert!(!ring.take(&second, party(2)));
}

#[test]
fn any_sees_what_is_under_way_and_not_what_is_done() {
    let memory = Memory::new(4);
    let ring = memory.ring();
    let is = |value: u64| move |payload: &[u64]| payload[0] == value;
    send(&ring, party(0), 7).unwrap();
    assert!(ring.any(is(7)));
    assert!(!ring.any(is(8)));
    receive(&ring, party(1)).unwrap();
    assert!(!ring.any(is(7)), "a finished slot still has the bytes, but not the message");
}

#[test]
fn the_lap_wraps() {
    let memory = Memory::new(2);
    let start = LAP_MASK;
    memory.head.position.store(start, Relaxed);
    memory.tail.position.store(start, Relaxed);
    memory.tail.head_seen.store(start, Relaxed);
    for slot in memory.ring().slots.iter() {
        slot.claim.word.store(start | FREE, Relaxed);
        slot.message.word.store(start | FREE, Relaxed);
        slot.take.word.store(start | OPEN, Relaxed);
    }
    let ring = memory.ring();
    for value in 0..10 {
        send(&ring, party(0), value).unwrap();
        assert_eq!(ring.len(), 1);
        assert_eq!(receive(&ring, party(1)), Some(value));
    }
}

#[test]
fn wild_words_are_an_error_and_never_a_panic() {
    for wild in [u64::MAX, 1 << 63, INDEX_MASK, 0x00ff_ffff] {
        let memory = Memory::new(2);
        memory.head.position.store(wild, Relaxed);
        memory.tail.position.store(wild, Relaxed);
        let ring = memory.ring();
        assert!(ring.next().is_err());
        assert!(matches!(ring.claim(party(0)), Err(Refused::Corrupt(_))));
        assert!(ring.len() <= 2);
        let memory = Memory::new(2);
        memory.ring().slots.at(0).unwrap().message.word.store(wild, Relaxed);
        assert!(memory.ring().next().is_err(), "{wild:x}");
    }
}

#[test]
fn every_message_arrives_once_among_threads() {
    const MESSAGES: u64 = 20_000;
    let memory = Memory::new(5);
    let sums: Vec<u64> = std::thread::scope(|scope| {
        for sender in 0..2 {
            let ring = memory.ring();
            scope.spawn(move || {
                for value in 0..MESSAGES {
                    while send(&ring, party(sender), value + 1).is_err() {
                        std::thread::yield_now();
                    }
                }
                while send(&ring, party(sender), 0).is_err() {
                    std::thread::yield_now();
                }
            });
        }
        let receivers: Vec<_> = (2..4)
            .map(|receiver| {
                let ring = memory.ring();
                scope.spawn(move || {
                    let mut sum = 0;
                    loop {
                        match receive(&ring, party(receiver)) {
                            Some(0) => return sum,
                            Some(value) => sum += value,
                            None => std::thread::yield_now(),
                        }
                    }
                })
            })
            .collect();
        receivers.into_iter().map(|receiver| receiver.join().unwrap()).collect()
    });
    assert_eq!(sums.iter().sum::<u64>(), MESSAGES * (MESSAGES + 1));
}

#[test]
fn bytes_of_every_length_are_the_same_words_as_any_message() {
    let memory = Memory::new(3);
    let more: Vec<AtomicU64> = (0..3 * 17).map(|_| AtomicU64::new(u64::MAX)).collect();
    let slots = memory.slots.arrays();
    let ring = Ring::with_more(&memory.head, &memory.tail, slots, &more).unwrap();
    for len in 0..=256_usize {
        let record: Vec<u8> = (0..len).map(|index| index as u8 | 1).collect();
        let claim = ring.claim(party(0)).unwrap();
        let _ = ring.publish_bytes(claim, &record);
        let message = ring.poll().unwrap().unwrap();
        assert_eq!(message.len(), len.div_ceil(8));
        let words = ring.read(&message);
        let mut all = bytemuck::cast_slice::<u64, u8>(&words).to_vec();
        assert_eq!(all.split_off(len), vec![0; len.next_multiple_of(8) - len], "padding is 0");
        assert_eq!(all, record);
        let mut copy = vec![0; len];
        ring.copy_bytes(&message, &mut copy);
        assert_eq!(copy, record);
        assert!(ring.take_briefly(&message, party(1)));
        let _ = ring.finish_brief(&message);
    }
}
