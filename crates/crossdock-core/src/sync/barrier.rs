//! Waiting until all are here.
//!
//! # States
//!
//! | `state` bits | meaning |
//! |---|---|
//! | 0 | broken |
//! | 1..16 | counts resets |
//! | 16..64 | the round |
//!
//! Each participant has a place: `round << 32 | owner` (low half of the round; see `owner.rs`).
//!
//! | place | meaning | becomes |
//! |---|---|---|
//! | 0 | nobody yet | who arrives |
//! | owner, former round | took part before, is not here yet | the same owner in this round; another, if the owner lives |
//! | owner, this round | is here | 0, by a reset |
//!
//! To arrive is one exchange of a place. When all places say this round, whoever sees it first moves
//! `state` to the next round with one exchange, which is the end of the wait for all; who has the first
//! place leads. So a participant that dies after it has arrived, even the last one, holds nobody up.
//!
//! # Ordering
//!
//! Arriving releases and moving `state` on both acquires and releases, so what anybody did before the
//! barrier is seen by everybody after it. Sleepers use a [`Signal`].
//!
//! # Owner death
//!
//! A waiter asks after each slice whether the owners of all places still live, and breaks the barrier if one
//! does not: everybody gets [`BarrierError::Broken`], until somebody calls [`Barrier::reset`].

use super::slice::Slice;
use crate::owner::{self, Owner};
use crate::primitive::{AtomicU32, AtomicU64, Deadline};
use crate::signal::Signal;
use std::error::Error;
use std::fmt;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::time::Duration;

const BROKEN: u64 = 1;
const RESET_ONE: u64 = 2;
const RESETS: u64 = 0xfffe;
const ROUND_ONE: u64 = 1 << 16;

/// A meeting point of a fixed number of threads of any number of processes, as Python's `Barrier`.
///
/// `N` is how many there can be at most; each takes 8 bytes. A process is known to the barrier from its
/// first wait on; when it dies after that, the barrier breaks.
///
/// # Examples
///
/// ```
/// use crossdock_core::sync::Barrier;
///
/// let start = Barrier::new(3);
/// std::thread::scope(|scope| {
///     let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| start.wait().unwrap())).collect();
///     let passed = threads.into_iter().map(|thread| thread.join().unwrap());
///     assert_eq!(passed.filter(|result| result.is_leader()).count(), 1);
/// });
/// ```
#[repr(C)]
pub struct Barrier<const N: usize = 64> {
    signal: Signal,
    state: AtomicU64,
    participants: AtomicU32,
    unused: AtomicU32,
    places: [AtomicU64; N],
}

/// Why a wait at a barrier failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarrierError {
    /// A participant died, gave up or broke the barrier; nobody passes until it is reset.
    Broken,
    /// Time was up; the barrier is broken now.
    TimedOut,
    /// Not all the others are here, and the caller did not want to wait.
    WouldBlock,
}

impl fmt::Display for BarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broken => {
                "the barrier is broken: a participant died, gave up or broke it (reset it when all know)"
            }
            Self::TimedOut => "not all came to the barrier in time, which broke it (reset it)",
            Self::WouldBlock => "not all the others are at the barrier",
        })
    }
}

impl Error for BarrierError {}

/// How a participant passed a barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult {
    index: usize,
}

impl BarrierWaitResult {
    /// Whether this participant is the one of its round that has the number 0.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.index == 0
    }

    /// A number below the number of participants that nobody else has in this round.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }
}

/// What came of an attempt to arrive.
enum Arrival {
    At(usize),
    /// All are here already, for the round to be ended; or it has ended.
    Full,
    /// Somebody who took part is dead.
    Dead,
}

impl Barrier {
    /// A barrier for so many participants.
    ///
    /// # Panics
    ///
    /// When there are none, or more than 64: see [`with_room`](Self::with_room).
    #[must_use]
    pub fn new(participants: usize) -> Self {
        Self::with_room(participants)
    }
}

impl<const N: usize> Barrier<N> {
    /// As [`new`](Barrier::new), for at most `N` participants: `Barrier::<200>::with_room(150)`.
    ///
    /// # Panics
    ///
    /// When there are none, or more than `N`.
    #[must_use]
    pub fn with_room(participants: usize) -> Self {
        const { assert!(N > 0, "a barrier has room for one participant at least") };
        assert!(
            participants > 0 && participants <= N,
            "a Barrier<{N}> cannot have {participants} participants"
        );
        Self {
            signal: Signal::new(),
            state: AtomicU64::new(0),
            participants: AtomicU32::new(participants as u32),
            unused: AtomicU32::new(0),
            places: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Waits until all participants wait.
    ///
    /// # Errors
    ///
    /// [`BarrierError::Broken`].
    ///
    /// # Panics
    ///
    /// As [`Mutex::lock`](super::Mutex::lock).
    #[doc(alias = "pthread_barrier_wait")]
    pub fn wait(&self) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_until(None)
    }

    /// Waits until all participants wait. If that takes longer than `timeout`, the barrier breaks for all.
    ///
    /// # Errors
    ///
    /// [`BarrierError::TimedOut`], [`BarrierError::Broken`].
    pub fn wait_timeout(&self, timeout: Duration) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_until(Some(Deadline::after(timeout)))
    }

    /// Passes if all the others wait.
    ///
    /// # Errors
    ///
    /// [`BarrierError::WouldBlock`] if they do not, and nothing has happened; [`BarrierError::Broken`].
    pub fn try_wait(&self) -> Result<BarrierWaitResult, BarrierError> {
        let state = self.state.load(Acquire);
        if state & BROKEN != 0 {
            return Err(BarrierError::Broken);
        }
        if self.arrived(state) + 1 < self.places().len() {
            return Err(BarrierError::WouldBlock);
        }
        // Who has arrived stays, so this one, if it still finds a place in this round, is the last.
        match self.arrive(state, owner::me()) {
            Arrival::At(index) => self.stay(state, index, None),
            Arrival::Full => {
                self.advance(state);
                Err(BarrierError::WouldBlock)
            }
            Arrival::Dead => {
                self.break_round(state);
                Err(BarrierError::Broken)
            }
        }
    }

    fn wait_until(&self, deadline: Option<Deadline>) -> Result<BarrierWaitResult, BarrierError> {
        let me = owner::me();
        loop {
            let state = self.state.load(Acquire);
            if state & BROKEN != 0 {
                return Err(BarrierError::Broken);
            }
            match self.arrive(state, me) {
                Arrival::At(index) => return self.stay(state, index, deadline),
                Arrival::Full => self.advance(state),
                Arrival::Dead => self.break_round(state),
            };
        }
    }

    /// Waits, as one who is here, until the round of `state` ends.
    fn stay(
        &self,
        state: u64,
        index: usize,
        deadline: Option<Deadline>,
    ) -> Result<BarrierWaitResult, BarrierError> {
        let mut slice = Slice::new(deadline);
        loop {
            let key = self.signal.announce();
            let now = self.state.load(Acquire);
            if now != state {
                return passed(state, now, index);
            }
            if self.arrived(state) == self.places().len() {
                self.advance(state);
                continue;
            }
            if slice.is_over() && self.has_dead() {
                self.break_round(state);
                continue;
            }
            if slice.is_late() {
                // If the exchange fails, the round has ended one way or the other in the last moment.
                if self.break_round(state) {
                    return Err(BarrierError::TimedOut);
                }
                continue;
            }
            self.signal.sleep(key, Some(slice.until()));
        }
    }

    /// The places that are used.
    fn places(&self) -> &[AtomicU64] {
        let participants = self.participants.load(Relaxed) as usize;
        &self.places[..participants.clamp(1, N.max(1)).min(N)]
    }

    /// Participants that are here.
    fn arrived(&self, state: u64) -> usize {
        self.places().iter().filter(|place| is_here(place.load(Acquire), state)).count()
    }

    /// Takes a place in the round of `state`: best one that this owner had before, else one that nobody
    /// had, else one whose owner takes turns with others.
    fn arrive(&self, state: u64, me: Owner) -> Arrival {
        let mine = (state >> 16) << 32 | u64::from(me.to_word());
        loop {
            let mut best = None;
            for (index, place) in self.places().iter().enumerate() {
                let old = place.load(Acquire);
                if is_here(old, state) {
                    continue;
                }
                let rank = match Owner::from_word(old as u32) {
                    Some(owner) if owner == me => 0,
                    None => 1,
                    Some(_) => 2,
                };
                if best.is_none_or(|(best, _, _)| rank < best) {
                    best = Some((rank, index, old));
                }
            }
            let Some((_, index, old)) = best else { return Arrival::Full };
            if let Some(owner) = Owner::from_word(old as u32)
                && owner != me
                && owner::is_dead(owner)
            {
                return Arrival::Dead;
            }
            // A place that says a later round is none to take: what was read before this look is of this
            // round or a former one, and the exchange fails if it has changed since.
            if self.state.load(Acquire) != state {
                return Arrival::Full;
            }
            if self.places()[index].compare_exchange(old, mine, AcqRel, Relaxed).is_ok() {
                return Arrival::At(index);
            }
        }
    }

    /// Whether a participant is dead.
    fn has_dead(&self) -> bool {
        let owners = self.places().iter().map(|place| Owner::from_word(place.load(Acquire) as u32));
        owners.flatten().any(|owner| !owner.is_me() && owner::is_dead(owner))
    }

    /// Ends a round in which all are here; whether it was this call that did.
    fn advance(&self, state: u64) -> bool {
        self.change(state, state.wrapping_add(ROUND_ONE))
    }

    /// Ends a round for good; whether it was this call that did.
    fn break_round(&self, state: u64) -> bool {
        self.change(state, state | BROKEN)
    }

    fn change(&self, old: u64, new: u64) -> bool {
        let is_changed = self.state.compare_exchange(old, new, AcqRel, Relaxed).is_ok();
        if is_changed {
            self.signal.notify_all();
        }
        is_changed
    }

    /// Breaks the barrier: all who wait, and all who come, get [`BarrierError::Broken`].
    pub fn abort(&self) {
        let mut state = self.state.load(Acquire);
        while state & BROKEN == 0 && !self.break_round(state) {
            state = self.state.load(Acquire);
        }
    }

    /// Makes the barrier as new. Those who wait, or have not yet looked after waiting, get
    /// [`BarrierError::Broken`].
    pub fn reset(&self) {
        self.abort();
        let state = self.state.load(Acquire);
        if state & BROKEN == 0 {
            // Somebody else has just done it.
            return;
        }
        let round = (state >> 16) as u32;
        for place in self.places() {
            let old = place.load(Acquire);
            // What somebody wrote who came after another reset is not to be touched.
            if (round.wrapping_sub((old >> 32) as u32)).cast_signed() >= 0 {
                let _ = place.compare_exchange(old, 0, AcqRel, Relaxed);
            }
        }
        let resets = state.wrapping_add(RESET_ONE) & RESETS;
        let fresh = (state & !(RESETS | BROKEN) | resets).wrapping_add(ROUND_ONE);
        self.change(state, fresh);
    }

    /// Whether nobody passes until it is reset.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.state.load(Acquire) & BROKEN != 0
    }

    /// How many it is for.
    #[must_use]
    pub fn participants(&self) -> usize {
        self.places().len()
    }

    /// How many wait. For people: it may have changed.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.arrived(self.state.load(Acquire))
    }
}

/// Whether the one who has a place is here in the round of `state`.
fn is_here(place: u64, state: u64) -> bool {
    place as u32 != 0 && (place >> 32) as u32 == (state >> 16) as u32
}

/// How a wait that began in `state` has ended, now that it has changed.
fn passed(state: u64, now: u64, index: usize) -> Result<BarrierWaitResult, BarrierError> {
    let is_same_round = state >> 16 == now >> 16;
    if is_same_round || (state ^ now) & RESETS != 0 {
        return Err(BarrierError::Broken);
    }
    // The round has ended, even if a later one was broken since.
    Ok(BarrierWaitResult { index })
}

impl<const N: usize> fmt::Debug for Barrier<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("participants", &self.participants())
            .field("waiting", &self.waiting())
            .field("is_broken", &self.is_broken())
            .finish()
    }
}
