//! Two shards that grow at once: each segment has one of them, and they follow each other without a gap.
#![cfg(loom)]
#![allow(missing_docs, reason = "a model")]
#![allow(clippy::unwrap_used, reason = "a model that cannot be set up has failed")]

use crossdock_core::collection::Word;
use crossdock_core::collection::segments::{PAGE_BYTES, Segments};
use loom::sync::Arc;
use loom::thread;

const FIRST: u64 = 2 * PAGE_BYTES;

/// Takes a segment of so many pages for a shard, as whoever grows does: again behind whoever was faster.
fn grow(entries: &[Word], shard: usize, pages: u64) -> (u64, u64) {
    let segments = Segments::new(entries, FIRST);
    loop {
        let place = segments.next().unwrap().unwrap();
        let end = place.start + pages * PAGE_BYTES;
        if segments.claim(place, shard, end) {
            return (place.start, end);
        }
    }
}

#[test]
fn segments_have_one_owner_and_no_gap() {
    loom::model(|| {
        let entries: Arc<[Word; 3]> = Arc::new(std::array::from_fn(|_| Word::new(0)));
        let others = Arc::clone(&entries);
        let other = thread::spawn(move || grow(&others[..], 1, 3));
        let mine = [grow(&entries[..], 0, 1), grow(&entries[..], 0, 2)];
        let theirs = other.join().unwrap();
        let all: Vec<_> = Segments::new(&entries[..], FIRST).iter().map(Result::unwrap).collect();
        assert_eq!(all.len(), 3);
        assert_eq!((all[0].1, all[2].2), (FIRST, FIRST + 6 * PAGE_BYTES));
        assert!(all.windows(2).all(|pair| pair[0].2 == pair[1].1), "{all:?}");
        for (shard, (start, end)) in
            mine.map(|segment| (0, segment)).into_iter().chain([(1, theirs)])
        {
            assert!(all.contains(&(shard, start, end)), "{all:?}");
        }
    });
}
