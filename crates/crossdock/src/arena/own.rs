//! The allocator of this process's arena.
//!
//! Only its owner allocates from an arena, so there is no lock between processes. A chunk that was
//! handed out stays in its class's queue; it can be handed out again once nobody holds it, which its
//! holder bitmap says. Reusing a chunk is the whole point: writing fresh memory costs eight times as
//! much as writing memory that is mapped already.

use super::class::{CLASSES, OWN_REGION_BYTES_MIN, class_bytes, class_of, whole_pages};
use super::limits;
use super::map::{ArenaMap, Region, chunk_is_held};
use super::queues;
use crate::error::{Error, ErrorKind, Result};
use crate::member::Member;
use crossdock_core::layout::{CHUNKS_MAX, Entry};
use crossdock_sys::clock::now_coarse_ms;
use crossdock_sys::cpu::prefetch_write;
use crossdock_sys::map::Access;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

/// Bytes of the first region for small chunks; each further one is twice as large, up to the maximum.
const SMALL_REGION_BYTES_FIRST: u64 = 256 << 10;
const SMALL_REGION_BYTES_MAX: u64 = 4 << 20;
/// Chunks looked at quickly, from the oldest on, before a thorough look at all of a class.
const PROBES_MAX: usize = 8;

/// The arena of this process.
#[derive(Debug)]
pub(crate) struct OwnArena {
    pub(crate) map: Arc<ArenaMap>,
    state: Mutex<State>,
    /// A large array has been let go while another thread was at work here; whoever has the state next
    /// looks whether too much is idle.
    is_limit_due: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// Per class, chunks in the order in which they were last handed out, oldest first.
    classes: Vec<Queue>,
    /// Chunks without a class.
    large: Vec<Piece>,
    /// Entry numbers whose chunk has been given back.
    unused: Vec<u32>,
    entries: u32,
    regions: u32,
    small: Option<SmallRegion>,
    small_bytes_next: u64,
    reserved_bytes: u64,
    stats: Counts,
}

impl State {
    /// All chunks, in use or not.
    fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.classes.iter().flat_map(|queue| &queue.pieces).chain(&self.large)
    }
}

#[derive(Debug, Default)]
struct Queue {
    pieces: VecDeque<Piece>,
    /// The class is looked through thoroughly only when it has grown to this many chunks since the
    /// last time that found nothing.
    thorough_at: usize,
}

#[derive(Debug)]
struct SmallRegion {
    region: Arc<Region>,
    used_bytes: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    fresh: u64,
    recycled: u64,
}

/// A chunk of this arena and where it lies.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) chunk: u32,
    pub(crate) region: Arc<Region>,
    pub(crate) offset_bytes: u64,
    pub(crate) bytes: u64,
}

/// A chunk that has just been handed out.
#[derive(Debug)]
pub(crate) struct Handout {
    pub(crate) piece: Piece,
    pub(crate) entry: &'static Entry,
    pub(crate) generation: u64,
    /// Whether the memory has never been used, and so is zero.
    pub(crate) is_fresh: bool,
}

/// What this process's arena has taken and what is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArenaStats {
    /// Bytes taken from the system.
    pub reserved_bytes: u64,
    /// Bytes of those in chunks that somebody holds.
    pub held_bytes: u64,
    /// Bytes that huge pages map.
    pub huge_bytes: u64,
    /// Chunks, in use or not.
    pub chunks: u64,
    /// Chunks that somebody holds.
    pub held_chunks: u64,
    /// Files of memory.
    pub regions: u64,
    /// Arrays that needed fresh memory.
    pub fresh_arrays: u64,
    /// Arrays that reused memory.
    pub recycled_arrays: u64,
}

impl OwnArena {
    pub(crate) fn new(map: ArenaMap) -> Self {
        let classes = (0..CLASSES).map(|_| Queue::default()).collect();
        let state =
            State { classes, small_bytes_next: SMALL_REGION_BYTES_FIRST, ..State::default() };
        Self { map: Arc::new(map), state: Mutex::new(state), is_limit_due: AtomicBool::new(false) }
    }

    /// Hands out a chunk of at least `bytes` bytes, held by this process.
    pub(crate) fn allocate(&self, member: &'static Member, bytes: u64) -> Result<Handout> {
        let handout = self.hand_out(member, bytes);
        self.settle_limit(member);
        handout
    }

    fn hand_out(&self, member: &'static Member, bytes: u64) -> Result<Handout> {
        let mut state = self.state.lock();
        let (piece, is_fresh) = match self.reuse(member, &mut state, bytes) {
            Some(piece) => (piece, false),
            None => self.grow(member, &mut state, bytes)?,
        };
        let entry = self.map.entry(piece.chunk)?;
        let generation = entry.chunk.recycle(member.me.party);
        entry.set_handed_out(now_coarse_ms());
        state.stats.fresh += u64::from(is_fresh);
        state.stats.recycled += u64::from(!is_fresh);
        Ok(Handout { piece, entry, generation, is_fresh })
    }

    /// A chunk that nobody holds.
    fn reuse(&self, member: &'static Member, state: &mut State, bytes: u64) -> Option<Piece> {
        match class_of(bytes) {
            Some(class) => self.reuse_in_class(member, state, class),
            None => self.reuse_large(member, state, bytes),
        }
    }

    fn reuse_in_class(
        &self,
        member: &'static Member,
        state: &mut State,
        class: usize,
    ) -> Option<Piece> {
        let queue = &mut state.classes[class];
        for _ in 0..queue.pieces.len().min(PROBES_MAX) {
            let piece = queue.pieces.pop_front()?;
            let is_free = !self.seems_held(&piece);
            queue.pieces.push_back(piece);
            if is_free {
                self.fetch(queue.pieces.front());
                return queue.pieces.back().cloned();
            }
        }
        if queue.pieces.len() < queue.thorough_at && class_bytes(class) < OWN_REGION_BYTES_MIN {
            return None;
        }
        let unheld = queues::unheld(member, &self.map, queue.pieces.iter());
        let position = queue.pieces.iter().position(|piece| unheld.contains(&piece.chunk));
        let Some(piece) = position.and_then(|position| queue.pieces.remove(position)) else {
            queue.thorough_at = queue.pieces.len() * 3 / 2 + 1;
            return None;
        };
        queue.pieces.push_back(piece);
        queue.pieces.back().cloned()
    }

    /// Asks for the record of the chunk that will probably be handed out next: it comes from the processor of
    /// whoever had the chunk last, and has time until then.
    #[inline]
    fn fetch(&self, next: Option<&Piece>) {
        if let Some(entry) = next.and_then(|next| self.map.entry(next.chunk).ok()) {
            prefetch_write(entry);
        }
    }

    /// The best of the large chunks that nobody holds and that is at most a quarter too large.
    fn reuse_large(&self, member: &'static Member, state: &mut State, bytes: u64) -> Option<Piece> {
        let fits = |piece: &&Piece| piece.bytes >= bytes && piece.bytes <= bytes + bytes / 4;
        let unheld = queues::unheld(member, &self.map, state.large.iter().filter(fits));
        let fitting = state.large.iter().filter(fits);
        fitting
            .filter(|piece| unheld.contains(&piece.chunk))
            .min_by_key(|piece| piece.bytes)
            .cloned()
    }

    /// Whether anybody seems to hold a chunk; [`queues::unheld`] looks closer.
    fn seems_held(&self, piece: &Piece) -> bool {
        let Ok(entry) = self.map.entry(piece.chunk) else { return true };
        // If nobody holds it, its next taker will be this process.
        prefetch_write(entry);
        chunk_is_held(&entry.chunk, |_, _| true)
    }

    /// Another chunk, and whether it is of fresh memory.
    fn grow(
        &self,
        member: &'static Member,
        state: &mut State,
        bytes: u64,
    ) -> Result<(Piece, bool)> {
        let class = class_of(bytes);
        if class.is_none() {
            // A process that sends its large arrays away never drops one itself.
            self.trim_state(member, state, limits::cache_max());
        }
        match self.add_piece(member, state, bytes) {
            Err(error) if limits::is_shortage(&error) => {}
            other => return other.map(|piece| (piece, true)),
        }
        // Take back what the dead held, give back what can be given back, and try once more.
        member.reap_everything();
        if let Some(class) = class {
            state.classes[class].thorough_at = 0;
        }
        if let Some(piece) = self.reuse(member, state, bytes) {
            return Ok((piece, false));
        }
        self.trim_state(member, state, 0);
        self.add_piece(member, state, bytes).map(|piece| (piece, true))
    }

    fn add_piece(&self, member: &'static Member, state: &mut State, bytes: u64) -> Result<Piece> {
        let class = class_of(bytes);
        let bytes = class.map_or_else(|| whole_pages(bytes), class_bytes);
        let chunk = state.unused.last().copied().unwrap_or(state.entries);
        if chunk as usize >= CHUNKS_MAX {
            let text =
                format!("a process cannot have more than {CHUNKS_MAX} chunks of arrays alive");
            return Err(Error::new(ErrorKind::LimitExceeded, text));
        }
        self.map.make_room(chunk)?;
        let (region, offset_bytes) = if bytes < OWN_REGION_BYTES_MIN {
            self.carve(member, state, bytes)?
        } else {
            (self.new_region(member, state, bytes)?, 0)
        };
        self.map.entry(chunk)?.set_extent(region.number, offset_bytes, bytes);
        if state.unused.pop().is_none() {
            state.entries += 1;
            self.map.table().control.set_entries(state.entries);
        }
        let piece = Piece { chunk, region, offset_bytes, bytes };
        match class {
            Some(class) => state.classes[class].pieces.push_back(piece.clone()),
            None => state.large.push(piece.clone()),
        }
        Ok(piece)
    }

    /// Cuts a chunk off the region for small chunks.
    fn carve(
        &self,
        member: &'static Member,
        state: &mut State,
        bytes: u64,
    ) -> Result<(Arc<Region>, u64)> {
        let has_room =
            state.small.as_ref().is_some_and(|small| small.used_bytes + bytes <= small.region.len);
        if !has_room {
            let wanted = state.small_bytes_next.max(whole_pages(bytes));
            let region = match self.new_region(member, state, wanted) {
                // On a small file system, or under a low limit, a smaller step may still fit.
                Err(error) if limits::is_shortage(&error) && wanted > whole_pages(bytes) => {
                    self.new_region(member, state, whole_pages(bytes))?
                }
                other => other?,
            };
            state.small_bytes_next = (state.small_bytes_next * 2).min(SMALL_REGION_BYTES_MAX);
            state.small = Some(SmallRegion { region, used_bytes: 0 });
        }
        let Some(small) = state.small.as_mut() else {
            return Err(Error::new(ErrorKind::NoSpace, "no region for small arrays"));
        };
        let offset_bytes = small.used_bytes;
        small.used_bytes += bytes;
        Ok((Arc::clone(&small.region), offset_bytes))
    }

    fn new_region(
        &self,
        member: &'static Member,
        state: &mut State,
        bytes: u64,
    ) -> Result<Arc<Region>> {
        limits::check(state.reserved_bytes, bytes, || self.held(member, state).1)?;
        // A failed attempt uses its number up, so the next one is not in its way.
        let number = state.regions;
        state.regions += 1;
        let region = self.map.create_region(number, bytes, limits::is_huge())?;
        member.keep_region(&region);
        state.reserved_bytes += bytes;
        if limits::is_prefaulted() {
            let map = region.mapping(Access::ReadWrite)?;
            // The memory has been reserved, so this can only fail on a kernel before 5.14, where the
            // pages come on first use instead.
            let _ = map.prefault(0..map.len());
        }
        Ok(region)
    }

    /// Gives back idle large chunks until at most `keep_bytes` of them are left.
    fn trim_state(&self, member: &'static Member, state: &mut State, keep_bytes: u64) -> u64 {
        let mut unheld = queues::unheld(member, &self.map, state.large.iter());
        let mut idle_bytes: u64 = 0;
        let mut given_bytes = 0;
        let mut index = state.large.len();
        while index > 0 {
            index -= 1;
            if !unheld.contains(&state.large[index].chunk) {
                continue;
            }
            idle_bytes += state.large[index].bytes;
            if idle_bytes > keep_bytes {
                let piece = state.large.remove(index);
                given_bytes += self.give_back(member, state, &piece);
            }
        }
        if keep_bytes == 0 {
            let has_region = |class: &usize| class_bytes(*class) >= OWN_REGION_BYTES_MIN;
            let pieces =
                (0..CLASSES).filter(has_region).flat_map(|class| &state.classes[class].pieces);
            unheld = queues::unheld(member, &self.map, pieces);
            for class in (0..CLASSES).filter(has_region) {
                for piece in std::mem::take(&mut state.classes[class].pieces) {
                    if unheld.contains(&piece.chunk) {
                        given_bytes += self.give_back(member, state, &piece);
                    } else {
                        state.classes[class].pieces.push_back(piece);
                    }
                }
            }
        }
        given_bytes
    }

    fn give_back(&self, member: &Member, state: &mut State, piece: &Piece) -> u64 {
        member.forget_region(self.map.id, piece.region.number);
        self.map.remove_region(piece.region.number);
        state.unused.push(piece.chunk);
        state.reserved_bytes -= piece.bytes;
        piece.bytes
    }

    /// Gives all idle memory with a region of its own back to the system.
    pub(crate) fn trim(&self, member: &'static Member) -> u64 {
        let bytes = self.trim_state(member, &mut self.state.lock(), 0);
        self.settle_limit(member);
        bytes
    }

    /// Keeps the idle memory of large arrays within its limit; called when one has been let go.
    pub(crate) fn limit_cache(&self, member: &'static Member) {
        self.is_limit_due.store(true, Ordering::SeqCst);
        self.settle_limit(member);
    }

    /// Does what [`limit_cache`](Self::limit_cache) asked for. If another thread has the state, that thread
    /// does it: each lets go of the state before it looks here.
    #[inline]
    fn settle_limit(&self, member: &'static Member) {
        while self.is_limit_due.load(Ordering::SeqCst) {
            fence(Ordering::SeqCst);
            let Some(mut state) = self.state.try_lock() else { return };
            self.limit_state(member, &mut state);
        }
    }

    fn limit_state(&self, member: &'static Member, state: &mut State) {
        if self.is_limit_due.swap(false, Ordering::SeqCst) {
            let keep_bytes = limits::cache_max();
            if state.large.iter().map(|piece| piece.bytes).sum::<u64>() > keep_bytes {
                self.trim_state(member, state, keep_bytes);
            }
        }
    }

    /// How many chunks somebody holds, and their bytes.
    fn held(&self, member: &'static Member, state: &State) -> (u64, u64) {
        let unheld = queues::unheld(member, &self.map, state.pieces());
        let held = state.pieces().filter(|piece| !unheld.contains(&piece.chunk));
        held.fold((0, 0), |(count, bytes), piece| (count + 1, bytes + piece.bytes))
    }

    pub(crate) fn stats(&self, member: &'static Member) -> ArenaStats {
        let mut state = self.state.lock();
        self.limit_state(member, &mut state);
        let (held_chunks, held_bytes) = self.held(member, &state);
        let mut seen = Vec::new();
        let mut huge_bytes = 0;
        for piece in state.pieces() {
            if !seen.contains(&piece.region.number) {
                seen.push(piece.region.number);
                let map = piece.region.mapping(Access::ReadWrite);
                huge_bytes +=
                    map.ok().and_then(|map| map.usage().ok()).map_or(0, |usage| usage.huge_bytes);
            }
        }
        ArenaStats {
            reserved_bytes: state.reserved_bytes,
            held_bytes,
            huge_bytes,
            chunks: state.pieces().count() as u64,
            held_chunks,
            regions: seen.len() as u64,
            fresh_arrays: state.stats.fresh,
            recycled_arrays: state.stats.recycled,
        }
    }
}
