use super::*;
use crate::ring::OwnedSlots;

struct Memory {
    tail: Cursor,
    newest: AtomicU64,
    readers: Readers,
    slots: OwnedSlots,
}

impl Memory {
    fn new(capacity: usize) -> Self {
        let slots = OwnedSlots::new(capacity);
        Self { tail: Cursor::new(), newest: AtomicU64::new(0), readers: Readers::new(), slots }
    }

    fn ring(&self) -> Latest<'_> {
        Latest::new(&self.tail, &self.newest, &self.readers, self.slots.arrays(), &[]).unwrap()
    }
}

fn party(index: usize) -> Party {
    Party::new(index).unwrap()
}

fn send(ring: &Latest<'_>, value: u64) -> Vec<u64> {
    let mut done = Vec::new();
    let mut claim = ring.claim(party(0)).unwrap();
    ring.arm(&mut claim, &[value, !value]);
    ring.publish(claim, &[value, !value], &mut |words| done.push(words[0]));
    done
}

fn newest(ring: &Latest<'_>) -> Option<u64> {
    let message = ring.newest().unwrap()?;
    let first = ring.first(&message);
    assert_eq!(first[1], !first[0]);
    ring.is_newest(&message).then_some(first[0])
}

#[test]
fn only_the_newest_is_kept_and_each_is_let_go_of_once() {
    for capacity in [2, 3, 4] {
        let memory = Memory::new(capacity);
        let ring = memory.ring();
        assert_eq!((newest(&ring), ring.number()), (None, 0));
        assert_eq!(send(&ring, 1), []);
        for value in 2..20 {
            let number = ring.number();
            assert_eq!(send(&ring, value), [value - 1]);
            assert_eq!(newest(&ring), Some(value));
            assert_ne!(ring.number(), number);
            assert!(ring.any(|words| words[0] == value));
            assert!(!ring.any(|words| words[0] == value - 1));
        }
    }
    let (memory, one) = (Memory::new(2), OwnedSlots::new(1));
    let too_few = Latest::new(&memory.tail, &memory.newest, &memory.readers, one.arrays(), &[]);
    assert!(too_few.is_none());
}

#[test]
fn a_slow_sender_is_not_the_newest_and_holds_nothing_up_but_its_slot() {
    let memory = Memory::new(3);
    let ring = memory.ring();
    let slow = ring.claim(party(1)).unwrap();
    assert_eq!(send(&ring, 5), []);
    assert_eq!(newest(&ring), Some(5));
    assert_eq!(send(&ring, 6), [5]);
    assert!(matches!(ring.claim(party(0)), Err(Refused::Full(Some(p))) if p == party(1)));
    let mut done = Vec::new();
    ring.publish(slow, &[4, !4], &mut |words| done.push(words[0]));
    assert_eq!((done, newest(&ring)), (vec![4], Some(6)), "it came too late to be the newest");
    assert_eq!(send(&ring, 7), [6]);
}

#[test]
fn what_a_dead_sender_left_is_finished_or_undone() {
    for is_sent in [false, true] {
        let memory = Memory::new(2);
        let ring = memory.ring();
        assert_eq!(send(&ring, 1), []);
        let mut claim = ring.claim(party(1)).unwrap();
        ring.arm(&mut claim, &[2, !2]);
        assert!(ring.any(|words| words[0] == 2));
        if is_sent {
            let ready = ring.slots.write(&claim, &[2, !2]);
            kept(claim.slot).store((claim.position & LAP_MASK) | KEPT, Release);
            claim.slot.message.word.store(ready, Release);
        }
        let mut done = Vec::new();
        assert!(ring.reap(party(1), &mut |words| done.push(words[0])));
        assert!(!ring.reap(party(1), &mut |_| panic!("nothing is left to reap")));
        let (expected, old) = if is_sent { (2, vec![1]) } else { (1, vec![]) };
        assert_eq!((newest(&ring), done), (Some(expected), old));
        assert_eq!(send(&ring, 3), [expected]);
        assert_eq!(newest(&ring), Some(3));
    }
}

#[test]
fn what_a_reader_has_pinned_is_held_until_it_is_unpinned() {
    let memory = Memory::new(2);
    let ring = memory.ring();
    let reader = ring.subscribe(party(1)).unwrap();
    send(&ring, 1);
    let message = ring.newest().unwrap().unwrap();
    assert!(ring.pin(reader, &message));
    send(&ring, 2);
    send(&ring, 3);
    assert!(ring.any(|_| false), "the channel may still be needed to hold it");
    ring.unpin(reader, &message);
    assert!(!ring.any(|_| false));
    assert!(!ring.pin(reader, &message), "it is the newest no more");
    assert!(ring.reap(party(1), &mut |_| {}), "the reader died over that");
    assert!(!ring.any(|_| false));
    assert_eq!(ring.readers().count(), 0);
}

#[test]
fn readers_among_senders_see_whole_messages_that_never_grow_old() {
    let memory = Memory::new(4);
    let ring = memory.ring();
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..2)
            .map(|sender| {
                scope.spawn(move || {
                    for round in 0..20_000_u64 {
                        let value = round * 2 + sender;
                        let claim = loop {
                            match ring.claim(party(sender as usize)) {
                                Ok(claim) => break claim,
                                Err(_) => std::thread::yield_now(),
                            }
                        };
                        ring.publish(claim, &[value, !value], &mut |_| {});
                    }
                })
            })
            .collect();
        let mut seen = 0;
        while !senders.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            let Some(message) = ring.newest().unwrap() else { continue };
            let first = ring.first(&message);
            if ring.is_newest(&message) {
                assert_eq!(first[1], !first[0]);
                assert!(message.position >= seen);
                seen = message.position;
            }
        }
    });
    let kept = memory.ring().slots.iter().filter(|slot| kept(*slot).load(Relaxed) != 0).count();
    assert_eq!(kept, 1, "everything but the newest has been let go of");
}
