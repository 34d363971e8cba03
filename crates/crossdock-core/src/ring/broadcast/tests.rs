use super::super::slot::INDEX_MASK;
use super::*;
use crate::ring::OwnedSlots;

struct Memory {
    tail: Cursor,
    readers: Readers,
    slots: OwnedSlots,
}

impl Memory {
    fn new(capacity: usize) -> Self {
        let slots = OwnedSlots::new(capacity);
        Self { tail: Cursor::new(), readers: Readers::new(), slots }
    }

    fn ring(&self) -> Broadcast<'_> {
        Broadcast::new(&self.tail, &self.readers, self.slots.arrays(), &[]).unwrap()
    }
}

fn party(index: usize) -> Party {
    Party::new(index).unwrap()
}

/// Sends, and says which messages ended without having been seen by all.
fn send(ring: &Broadcast<'_>, value: u64, is_dropping: bool) -> Result<Vec<u64>, Refused> {
    let mut done = Vec::new();
    let mut claim = ring.claim(party(0), is_dropping, &mut |words| done.push(words[0]))?;
    ring.arm(&mut claim, &[value, !value]);
    if ring.publish(claim, &[value, !value]).is_seen {
        done.push(value);
    }
    Ok(done)
}

/// Receives, and says whether it was the last to see the message.
fn receive(ring: &Broadcast<'_>, reader: &mut Subscription) -> Option<(u64, bool)> {
    loop {
        let message = ring.poll(reader).unwrap()?;
        let first = ring.first(&message);
        if let Taken::Mine { is_last } = ring.take(reader, &message) {
            assert_eq!(first[1], !first[0]);
            return Some((first[0], is_last));
        }
    }
}

#[test]
fn every_reader_sees_every_message_in_order_and_the_last_one_ends_it() {
    for capacity in [1, 2, 5] {
        let memory = Memory::new(capacity);
        let ring = memory.ring();
        let mut readers: Vec<_> = (1..=3).map(|p| ring.subscribe(party(p)).unwrap()).collect();
        for round in 0..20 {
            let values: Vec<_> = (0..capacity as u64).map(|i| round * 10 + i).collect();
            for value in &values {
                assert_eq!(send(&ring, *value, false), Ok(vec![]));
            }
            assert_eq!(send(&ring, 99, false), Err(Refused::Full(None)));
            for (place, reader) in readers.iter_mut().enumerate() {
                for value in &values {
                    assert_eq!(receive(&ring, reader), Some((*value, place == 2)));
                }
                assert_eq!(receive(&ring, reader), None);
            }
            assert!(ring.is_empty());
        }
        assert!(readers.iter_mut().all(|reader| reader.take_lost() == 0));
    }
}

#[test]
fn a_message_for_nobody_ends_at_once() {
    let memory = Memory::new(2);
    let ring = memory.ring();
    for value in 0..10 {
        assert_eq!(send(&ring, value, false), Ok(vec![value]));
    }
    let mut late = ring.subscribe(party(1)).unwrap();
    assert_eq!(receive(&ring, &mut late), None, "what was sent before is not for it");
    assert_eq!(send(&ring, 10, false), Ok(vec![]));
    assert_eq!(receive(&ring, &mut late), Some((10, true)));
    assert_eq!(late.take_lost(), 0);
}

#[test]
fn dropping_the_oldest_is_counted_for_each_reader_and_never_seen() {
    let memory = Memory::new(3);
    let ring = memory.ring();
    let mut slow = ring.subscribe(party(1)).unwrap();
    let mut fast = ring.subscribe(party(2)).unwrap();
    for value in 0..10 {
        let dropped = send(&ring, value, true).unwrap();
        let expected = if value < 3 { vec![] } else { vec![value - 3] };
        assert_eq!(dropped, expected, "the slow reader had yet to see it");
        assert_eq!(receive(&ring, &mut fast), Some((value, false)));
    }
    let lags: Vec<_> = ring.readers().map(|reader| reader.lag).collect();
    assert_eq!(lags, [3, 0]);
    for value in 7..10 {
        assert_eq!(receive(&ring, &mut slow), Some((value, true)));
    }
    assert_eq!((slow.take_lost(), slow.take_lost(), fast.take_lost()), (7, 0, 0));
    assert_eq!(ring.readers().map(|reader| reader.lost).collect::<Vec<_>>(), [7, 0]);
}

#[test]
fn a_message_that_is_dropped_while_it_is_looked_at_is_lost_and_not_torn() {
    let memory = Memory::new(1);
    let ring = memory.ring();
    let mut reader = ring.subscribe(party(1)).unwrap();
    send(&ring, 1, true).unwrap();
    let message = ring.poll(&mut reader).unwrap().unwrap();
    assert!(ring.is_current(&reader, &message));
    assert_eq!(send(&ring, 2, true), Ok(vec![1]));
    assert!(!ring.is_current(&reader, &message));
    assert_eq!(ring.take(&mut reader, &message), Taken::Lost);
    assert_eq!(receive(&ring, &mut reader), Some((2, true)), "only what was dropped is lost");
    assert_eq!(reader.take_lost(), 1);
    assert_eq!(send(&ring, 3, true), Ok(vec![]));
    assert_eq!(receive(&ring, &mut reader), Some((3, true)));
}

#[test]
fn who_leaves_or_dies_holds_nobody_up() {
    for is_dead in [false, true] {
        let memory = Memory::new(2);
        let ring = memory.ring();
        let mut stays = ring.subscribe(party(1)).unwrap();
        let leaves = ring.subscribe(party(2)).unwrap();
        send(&ring, 1, false).unwrap();
        send(&ring, 2, false).unwrap();
        assert_eq!(receive(&ring, &mut stays), Some((1, false)));
        let mut done = Vec::new();
        if is_dead {
            assert!(ring.reap(party(2), &mut |words| done.push(words[0])));
            assert!(!ring.reap(party(2), &mut |_| panic!("nothing is left to reap")));
        } else {
            ring.unsubscribe(&leaves, &mut |words| done.push(words[0]));
        }
        assert_eq!(done, [1], "the other has yet to see 2");
        assert_eq!(receive(&ring, &mut stays), Some((2, true)));
        for value in 3..10 {
            assert_eq!(send(&ring, value, false), Ok(vec![]));
            assert_eq!(receive(&ring, &mut stays), Some((value, true)));
        }
        assert_eq!(ring.readers().count(), 1);
    }
}

#[test]
fn a_dead_sender_leaves_a_hole_or_a_message() {
    for is_armed in [false, true] {
        let memory = Memory::new(2);
        let ring = memory.ring();
        let mut reader = ring.subscribe(party(1)).unwrap();
        let mut claim = ring.claim(party(3), false, &mut |_| {}).unwrap();
        if is_armed {
            ring.arm(&mut claim, &[9, !9]);
        }
        assert_eq!(send(&ring, 1, false), Ok(vec![]));
        assert_eq!(receive(&ring, &mut reader), None);
        assert_eq!(ring.senders_at_work().collect::<Vec<_>>(), [party(3)]);
        assert_eq!(ring.any(|words| words[0] == 9), is_armed);
        assert!(ring.reap(party(3), &mut |_| panic!("it was never sent")));
        assert!(!ring.any(|words| words[0] == 9));
        for value in 1..10 {
            assert_eq!(receive(&ring, &mut reader), Some((value, true)));
            assert_eq!(send(&ring, value + 1, false), Ok(vec![]));
        }
    }
}

#[test]
fn a_hole_is_passed_over_and_not_taken_for_a_loss() {
    let memory = Memory::new(1);
    let ring = memory.ring();
    let mut reader = ring.subscribe(party(1)).unwrap();
    let _claim = ring.claim(party(3), false, &mut |_| {}).unwrap();
    assert!(ring.reap(party(3), &mut |_| panic!("it was never sent")));
    assert!(ring.is_empty());
    assert_eq!(send(&ring, 1, false), Err(Refused::Full(None)), "the reader has yet to pass");
    assert_eq!(receive(&ring, &mut reader), None);
    assert_eq!(send(&ring, 1, false), Ok(vec![]));
    assert_eq!(receive(&ring, &mut reader), Some((1, true)));
    assert_eq!(reader.take_lost(), 0);
}

#[test]
fn the_last_to_pass_over_a_hole_is_told_that_there_is_room() {
    let memory = Memory::new(1);
    let ring = memory.ring();
    let mut readers: Vec<_> = (1..=2).map(|p| ring.subscribe(party(p)).unwrap()).collect();
    let _claim = ring.claim(party(3), false, &mut |_| {}).unwrap();
    ring.reap(party(3), &mut |_| panic!("it was never sent"));
    for (reader, is_last) in readers.iter_mut().zip([false, true]) {
        assert!(ring.in_the_way(false).is_some());
        assert_eq!(receive(&ring, reader), None);
        assert_eq!((reader.take_freed(), reader.take_freed()), (is_last, false));
    }
    assert_eq!(ring.in_the_way(false), None);
}

#[test]
fn who_is_in_a_readers_way_is_named() {
    let memory = Memory::new(2);
    let ring = memory.ring();
    let mut reader = ring.subscribe(party(1)).unwrap();
    assert!(matches!(ring.next(&mut reader), Ok(Next::Empty)));
    let claim = ring.claim(party(3), false, &mut |_| {}).unwrap();
    assert_eq!(send(&ring, 2, false), Ok(vec![]));
    assert!(matches!(ring.next(&mut reader), Ok(Next::Pending(p)) if p == party(3)));
    assert!(!ring.publish(claim, &[1, !1]).is_seen);
    for value in 1..=2 {
        assert!(
            matches!(ring.next(&mut reader), Ok(Next::Ready(it)) if ring.first(&it)[0] == value)
        );
        assert_eq!(receive(&ring, &mut reader), Some((value, true)));
    }
    assert!(matches!(ring.next(&mut reader), Ok(Next::Empty)));
}

#[test]
fn what_is_in_a_senders_way_is_what_a_claim_would_say() {
    let memory = Memory::new(2);
    let ring = memory.ring();
    let mut reader = ring.subscribe(party(1)).unwrap();
    assert_eq!(ring.in_the_way(false), None);
    let slow = ring.claim(party(3), false, &mut |_| {}).unwrap();
    assert_eq!(ring.in_the_way(false), None, "there is another slot");
    send(&ring, 2, false).unwrap();
    for is_dropping in [false, true] {
        let refused = Some(Refused::Full(Some(party(3))));
        assert_eq!(ring.in_the_way(is_dropping), refused);
        assert_eq!(ring.claim(party(0), is_dropping, &mut |_| {}).err(), refused);
    }
    assert!(!ring.publish(slow, &[1, !1]).is_seen);
    assert_eq!(ring.in_the_way(false), Some(Refused::Full(None)));
    assert_eq!(ring.in_the_way(true), None, "the oldest can be dropped");
    assert_eq!(receive(&ring, &mut reader), Some((1, true)));
    assert_eq!(ring.in_the_way(false), None);
}

#[test]
fn what_is_being_sent_when_a_reader_comes_is_seen_or_not_for_it() {
    for is_first in [false, true] {
        let memory = Memory::new(2);
        let ring = memory.ring();
        send(&ring, 1, false).unwrap();
        let claim = ring.claim(party(0), false, &mut |_| {}).unwrap();
        let mut reader = is_first.then(|| ring.subscribe(party(1)).unwrap());
        assert_eq!(ring.publish(claim, &[2, !2]).is_seen, !is_first);
        let reader = reader.get_or_insert_with(|| ring.subscribe(party(1)).unwrap());
        assert_eq!(receive(&ring, reader), is_first.then_some((2, true)));
        send(&ring, 3, false).unwrap();
        assert_eq!(receive(&ring, reader), Some((3, true)));
        assert_eq!(reader.take_lost(), 0);
    }
}

#[test]
fn there_is_a_last_reader_and_rows_are_used_again() {
    let memory = Memory::new(1);
    let ring = memory.ring();
    let readers: Vec<_> =
        (0..READERS_MAX).map(|index| ring.subscribe(party(index)).unwrap()).collect();
    assert!(ring.subscribe(party(0)).is_none());
    ring.unsubscribe(&readers[5], &mut |_| {});
    assert!(ring.subscribe(party(200)).is_some());
    assert!(ring.readers().any(|reader| reader.party == party(200)));
}

#[test]
fn wild_words_are_an_error_and_never_a_panic() {
    for wild in [u64::MAX, 1 << 63, INDEX_MASK, 0x00ff_ffff] {
        let memory = Memory::new(2);
        let ring = memory.ring();
        let mut reader = ring.subscribe(party(1)).unwrap();
        memory.tail.position.store(wild, Relaxed);
        assert!(matches!(ring.claim(party(0), true, &mut |_| {}), Err(Refused::Corrupt(_))));
        let _ = ring.poll(&mut reader);
        memory.ring().slots.at(0).unwrap().message.word.store(wild, Relaxed);
        memory.ring().slots.at(0).unwrap().take.word.store(wild, Relaxed);
        let _ = ring.poll(&mut reader);
        assert!(ring.len() <= 2);
        ring.reap(party(1), &mut |_| {});
        let _ = ring.subscribe(party(1)).map(|mut reader| ring.poll(&mut reader));
    }
}

#[test]
fn readers_among_senders_that_drop_see_each_sender_in_order() {
    const MESSAGES: u64 = 20_000;
    let memory = Memory::new(4);
    let ring = memory.ring();
    for is_dropping in [false, true] {
        std::thread::scope(|scope| {
            let readers: Vec<_> = (2..4)
                .map(|index| {
                    let mut reader = ring.subscribe(party(index)).unwrap();
                    scope.spawn(move || {
                        let (mut next, mut seen, mut ended) = ([0, 0], 0, 0);
                        while ended < 2 && seen + reader.lost < 2 * MESSAGES {
                            match receive(&ring, &mut reader) {
                                Some((value, _)) => {
                                    let sender = (value % 2) as usize;
                                    assert!(value / 2 >= next[sender], "in order");
                                    next[sender] = value / 2 + 1;
                                    ended += u64::from(next[sender] == MESSAGES);
                                    seen += 1;
                                }
                                None => std::thread::yield_now(),
                            }
                        }
                        ring.unsubscribe(&reader, &mut |_| {});
                        (seen, reader.lost)
                    })
                })
                .collect();
            for sender in 0..2 {
                scope.spawn(move || {
                    for round in 0..MESSAGES {
                        while send(&ring, round * 2 + sender, is_dropping).is_err() {
                            std::thread::yield_now();
                        }
                    }
                });
            }
            for reader in readers {
                let (seen, lost) = reader.join().unwrap();
                if !is_dropping {
                    assert_eq!((seen, lost), (2 * MESSAGES, 0));
                }
            }
        });
    }
}

#[test]
fn what_a_reader_has_pinned_is_held_until_it_is_unpinned() {
    let memory = Memory::new(1);
    let ring = memory.ring();
    let mut reader = ring.subscribe(party(1)).unwrap();
    send(&ring, 1, true).unwrap();
    let message = ring.poll(&mut reader).unwrap().unwrap();
    assert!(ring.pin(&reader, &message));
    assert_eq!(send(&ring, 2, true), Ok(vec![1]));
    assert!(ring.any(|_| false), "the channel may still be needed to hold it");
    assert_eq!(ring.take(&mut reader, &message), Taken::Lost);
    ring.unpin(&reader, &message);
    assert!(!ring.any(|_| false));
    let message = ring.poll(&mut reader).unwrap().unwrap();
    send(&ring, 3, true).unwrap();
    assert!(!ring.pin(&reader, &message), "it has been dropped");
    assert!(ring.any(|_| false));
    assert!(ring.reap(party(1), &mut |_| {}), "the reader died over that");
    assert!(!ring.any(|_| true));
}
