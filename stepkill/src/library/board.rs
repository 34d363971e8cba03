//! What the processes of a trial tell each other, in memory that a death leaves as it is.

use crate::process::{Atomic, trap};
use crate::stage::{Role, now_ns};
use crossdock_sys::clock::Deadline;
use crossdock_sys::wait::{wait, wake_all};
use std::fmt::Display;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize};
use std::time::Duration;

/// Messages that a trial can have.
const MESSAGES_MAX: usize = 128;
/// Bytes of a verdict.
const TEXT_BYTES_MAX: usize = 400;
/// How long a process sleeps before it looks whether it has missed something.
const LOOK: Duration = Duration::from_millis(20);
const ROLES: usize = 6;

/// A message has been made, and its send begun.
const BEGUN: u8 = 1;
/// Its send has returned.
const ACKNOWLEDGED: u8 = 2;
/// A receiver has begun to say that it is done with it.
const SETTLING: u8 = 4;
/// That has returned.
const SETTLED: u8 = 8;

/// A role has prepared itself.
const READY: u32 = 1;
/// A role that lives has found everything in order, and has nothing left to do.
const FINISHED: u32 = 2;

/// What is wrong.
#[derive(Debug)]
pub(crate) struct Wrong(pub(crate) String);

// Not an error itself, so that every error can become one.
impl<E: std::error::Error> From<E> for Wrong {
    fn from(error: E) -> Self {
        Self(format!("{error}"))
    }
}

/// What an actor says in the end.
pub(crate) type Done = Result<(), Wrong>;

/// Complains.
pub(crate) fn wrong(text: impl Display) -> Done {
    Err(Wrong(text.to_string()))
}

/// How far a trial is; at first all prepare themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Whoever is to sleep goes to sleep.
    Sleep = 1,
    /// Whoever does what the victim waits for does it.
    Part = 2,
    /// Those who are to die are dead.
    Go = 3,
    /// All has been judged.
    End = 4,
}

/// The words of one trial at a time.
#[repr(C)]
pub(crate) struct Board {
    phase: AtomicU32,
    /// How far each role is.
    ready: [AtomicU32; ROLES],
    /// The house is about to sleep in the library.
    is_to_sleep: AtomicU32,
    /// Arenas of those who live besides the house.
    other_arenas: AtomicU32,
    /// Whether whoever recovered died as well.
    has_second_death: AtomicU32,
    sent: [AtomicU8; MESSAGES_MAX],
    received: [AtomicU8; MESSAGES_MAX],
    /// Per role, receives that have begun and that have ended.
    receives: [[AtomicU32; 2]; ROLES],
    went_on_ns: AtomicU64,
    finished_ns: AtomicU64,
    /// 0: none yet; else 1 + bytes of the text, which is empty if nothing is wrong.
    verdict: AtomicU32,
    text: [AtomicU8; TEXT_BYTES_MAX],
}

// SAFETY: atomics only.
unsafe impl Atomic for Board {}

static BOARDS: OnceLock<&'static [Board]> = OnceLock::new();
/// Which of the boards is this process's; a fork inherits it.
static MINE: AtomicUsize = AtomicUsize::new(0);
/// Whether this process is stepped from its `await_go` on.
static IS_STEPPED: AtomicBool = AtomicBool::new(false);

/// Makes the boards known, once.
pub(crate) fn open(boards: &'static [Board]) {
    // A second call would bring the same ones.
    let _ = BOARDS.set(boards);
}

/// From now on this process, and whom it forks, use this board.
pub(crate) fn enter(index: usize) {
    MINE.store(index, Relaxed);
}

/// This process's board.
pub(crate) fn board() -> &'static Board {
    &BOARDS.get().expect("the boards are made first")[MINE.load(Relaxed)]
}

impl Board {
    /// Everything as at the beginning of a trial. Nobody uses it meanwhile.
    pub(crate) fn clear(&self) {
        let words = [&self.phase, &self.is_to_sleep, &self.other_arenas, &self.has_second_death];
        words
            .into_iter()
            .chain([&self.verdict])
            .chain(&self.ready)
            .for_each(|word| word.store(0, Relaxed));
        self.receives.iter().flatten().for_each(|word| word.store(0, Relaxed));
        self.sent.iter().chain(&self.received).for_each(|byte| byte.store(0, Relaxed));
        self.went_on_ns.store(0, Relaxed);
        self.finished_ns.store(0, Relaxed);
    }

    /// The trial goes on to a phase.
    pub(crate) fn announce(&self, phase: Phase) {
        if self.phase.load(Relaxed) < phase as u32 {
            self.phase.store(phase as u32, Release);
            wake_all(&self.phase);
        }
    }

    /// Sleeps until a role is ready, a moment at most; whether it is.
    pub(crate) fn is_ready(&self, role: Role) -> bool {
        let word = &self.ready[role as usize];
        if word.load(Acquire) == 0 {
            wait(word, 0, Deadline::after(LOOK));
        }
        word.load(Acquire) != 0
    }

    /// As [`is_ready`](Self::is_ready): whether the house is about to sleep in the library.
    pub(crate) fn is_house_to_sleep(&self) -> bool {
        if self.is_to_sleep.load(Acquire) == 0 {
            wait(&self.is_to_sleep, 0, Deadline::after(LOOK));
        }
        self.is_to_sleep.load(Acquire) != 0
    }

    /// Whoever recovered dies as well.
    pub(crate) fn note_second_death(&self) {
        self.has_second_death.store(1, Release);
    }

    /// When the house had gone on, and when it had finished and what it said.
    pub(crate) fn verdict(&self) -> Option<(u64, u64, String)> {
        let len = (self.verdict.load(Acquire) as usize).checked_sub(1)?;
        let bytes: Vec<u8> = self.text[..len].iter().map(|byte| byte.load(Relaxed)).collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Some((self.went_on_ns.load(Relaxed), self.finished_ns.load(Relaxed), text))
    }

    /// Messages whose send returned and that nobody received, and how many those may be: one for each
    /// receive that a death cut off.
    fn losses(&self) -> (Vec<usize>, usize) {
        let lost = (0..MESSAGES_MAX).filter(|id| {
            self.sent[*id].load(Relaxed) & ACKNOWLEDGED != 0
                && self.received[*id].load(Relaxed) == 0
        });
        (lost.collect(), self.cut_off())
    }

    /// Receives that a death cut off.
    fn cut_off(&self) -> usize {
        // Whoever lives and asks is not inside a receive. A batch counts for each of its messages.
        let cut_off = self
            .receives
            .iter()
            .map(|[begun, ended]| begun.load(Relaxed).saturating_sub(ended.load(Relaxed)) as usize);
        cut_off.sum()
    }
}

/// One process of a trial.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Actor {
    pub(crate) role: Role,
}

impl Actor {
    fn board(self) -> &'static Board {
        board()
    }

    /// This process is stepped from its [`begin`](Self::begin) or its [`await_go`](Self::await_go) on.
    pub(crate) fn stepped(role: Role) -> Self {
        IS_STEPPED.store(true, Relaxed);
        Self { role }
    }

    /// This process has prepared itself.
    pub(crate) fn ready(self) {
        self.reach(READY);
    }

    /// This process, which lives, has found everything in order.
    pub(crate) fn finish(self) {
        self.reach(FINISHED);
    }

    fn reach(self, point: u32) {
        let word = &self.board().ready[self.role as usize];
        word.store(point, Release);
        wake_all(word);
    }

    /// Sleeps until somebody else has prepared himself.
    pub(crate) fn await_ready(self, role: Role) {
        self.await_point(role, READY);
    }

    /// Sleeps until somebody else has finished.
    pub(crate) fn await_finished(self, role: Role) {
        self.await_point(role, FINISHED);
    }

    fn await_point(self, role: Role, point: u32) {
        let word = &self.board().ready[role as usize];
        loop {
            let now = word.load(Acquire);
            if now >= point {
                return;
            }
            wait(word, now, Deadline::after(LOOK));
        }
    }

    /// Sleeps until the trial is as far as this.
    pub(crate) fn await_phase(self, phase: Phase) {
        let word = &self.board().phase;
        loop {
            let now = word.load(Acquire);
            if now >= phase as u32 {
                return;
            }
            wait(word, now, Deadline::after(LOOK));
        }
    }

    /// Sleeps until those who are to die are dead. Whoever is to die of its recovery is stepped from here.
    pub(crate) fn await_go(self) {
        if IS_STEPPED.load(Relaxed) {
            trap();
        } else {
            self.await_phase(Phase::Go);
        }
    }

    /// The victim may die from here on.
    pub(crate) fn begin(self) {
        trap();
    }

    /// Waits, prepared, until it is time to die.
    pub(crate) fn await_end(self) {
        self.ready();
        self.await_phase(Phase::Sleep);
    }

    /// Waits until it is time to sleep, and says that this process is about to.
    pub(crate) fn fall_asleep(self) {
        self.await_phase(Phase::Sleep);
        let word = &self.board().is_to_sleep;
        word.store(1, Release);
        wake_all(word);
    }

    /// Leaves the directory, as a process does that ends by itself.
    pub(crate) fn leave(self) -> ! {
        std::process::exit(0)
    }

    /// Bounds what follows: after so long in vain everybody looks for the dead anew.
    pub(crate) fn let_a_slice_pass(self) {
        // Bounds the time since the last look for the dead, so that the next look is due at once.
        std::thread::sleep(crossdock_core::signal::SLICE + Duration::from_millis(1));
    }

    /// A send begins.
    pub(crate) fn sending(self, id: usize) {
        self.board().sent[id].fetch_or(BEGUN, Relaxed);
    }

    /// A send has returned.
    pub(crate) fn sent(self, id: usize) {
        self.board().sent[id].fetch_or(ACKNOWLEDGED, Relaxed);
    }

    /// A receive begins.
    pub(crate) fn receiving(self) {
        self.board().receives[self.role as usize][0].fetch_add(1, Relaxed);
    }

    /// A receive has returned, with a message or without.
    pub(crate) fn received(self, message: Option<&[u64]>) -> Result<Option<usize>, Wrong> {
        let board = self.board();
        let id = message.map(identify).transpose()?;
        if let Some(id) = id {
            board.received[id].fetch_add(1, Relaxed);
        }
        // Between the two a death counts the message as one that may be lost, and it is not.
        board.receives[self.role as usize][1].fetch_add(1, Relaxed);
        Ok(id)
    }

    /// The next number of a message in a range.
    pub(crate) fn next_id(self, mut range: Range<usize>) -> usize {
        let free = range.find(|id| self.board().sent[*id].load(Relaxed) == 0);
        free.expect("a trial has fewer messages")
    }

    /// A receiver says that it is done with a message.
    pub(crate) fn settling(self, id: usize) {
        self.board().sent[id].fetch_or(SETTLING, Relaxed);
    }

    /// It has said so.
    pub(crate) fn settled(self, id: usize) {
        self.board().sent[id].fetch_or(SETTLED, Relaxed);
    }

    /// Whether somebody has said that he is done with a message.
    pub(crate) fn is_settled(self, id: usize) -> bool {
        self.board().sent[id].load(Relaxed) & SETTLED != 0
    }

    /// Looks at a delivery: the message must not have been settled, and come as often as it says, as far as
    /// the dead could tell.
    pub(crate) fn check_delivery(self, id: usize, deliveries: u64) -> Done {
        let board = self.board();
        if self.is_settled(id) {
            return wrong(format_args!("message {id} came again after it was settled"));
        }
        let known = u64::from(board.received[id].load(Relaxed));
        if (known..=known + board.cut_off() as u64).contains(&deliveries) {
            return Ok(());
        }
        wrong(format_args!("message {id} came {known} times, and this is the {deliveries}th"))
    }

    /// Whether every message whose send returned has been settled, or its receiver died of that.
    pub(crate) fn check_settled(self) -> Done {
        for (id, state) in self.board().sent.iter().enumerate() {
            let state = state.load(Relaxed);
            if state & ACKNOWLEDGED != 0 && state & (SETTLING | SETTLED) == 0 {
                return wrong(format_args!("message {id} is lost"));
            }
        }
        Ok(())
    }

    /// Whether the send of a message has begun.
    pub(crate) fn is_begun(self, id: usize) -> bool {
        self.board().sent[id].load(Relaxed) & BEGUN != 0
    }

    /// The messages of a range whose send has begun, and for each whether it has returned.
    pub(crate) fn sends(self, ids: Range<usize>) -> Vec<(usize, bool)> {
        let state = |id: usize| (id, self.board().sent[id].load(Relaxed));
        let begun = ids.map(state).filter(|(_, state)| state & BEGUN != 0);
        begun.map(|(id, state)| (id, state & ACKNOWLEDGED != 0)).collect()
    }

    /// Whether every message that was acknowledged has been received, and none twice.
    pub(crate) fn check_messages(self) -> Done {
        let board = self.board();
        for id in 0..MESSAGES_MAX {
            let count = board.received[id].load(Relaxed);
            if count > 1 {
                return wrong(format_args!("message {id} was received {count} times"));
            }
            if count == 1 && board.sent[id].load(Relaxed) == 0 {
                return wrong(format_args!("message {id} was received and never sent"));
            }
        }
        match board.losses() {
            (lost, most) if lost.len() > most => wrong(format_args!(
                "messages {lost:?} are lost, where {most} receives were cut off"
            )),
            _ => Ok(()),
        }
    }

    /// This process has an arena and may live as long as the house.
    pub(crate) fn has_arena(self) {
        self.board().other_arenas.fetch_add(1, Relaxed);
    }

    /// Whether whoever recovered died as well: the house may have to notice that first.
    pub(crate) fn are_two_dead(self) -> bool {
        self.board().has_second_death.load(Acquire) != 0
    }

    /// Arenas there may be besides the house's own.
    pub(crate) fn other_arenas(self) -> usize {
        self.board().other_arenas.load(Relaxed) as usize
    }

    /// The house has what it was kept from. The first time counts.
    pub(crate) fn go_on(self) {
        let now = now_ns();
        // It is the only one who says so.
        let _ = self.board().went_on_ns.compare_exchange(0, now, Release, Relaxed);
    }

    /// Whether the trial is not as far as this.
    pub(crate) fn is_before(self, phase: Phase) -> bool {
        self.board().phase.load(Acquire) < phase as u32
    }

    /// Whether the house has what it was kept from, or will not need it any more.
    pub(crate) fn has_house_gone_on(self) -> bool {
        let board = self.board();
        board.went_on_ns.load(Acquire) != 0 || board.phase.load(Acquire) >= Phase::End as u32
    }

    /// Says what the house found, or what somebody else has complained of before.
    pub(crate) fn conclude(self, done: Done) {
        let board = self.board();
        if board.verdict.load(Acquire) != 0 {
            return;
        }
        board.finished_ns.store(now_ns(), Relaxed);
        let text = done.err().map(|Wrong(text)| text).unwrap_or_default();
        let bytes = &text.as_bytes()[..text.len().min(TEXT_BYTES_MAX)];
        for (place, byte) in board.text.iter().zip(bytes) {
            place.store(*byte, Relaxed);
        }
        board.verdict.store(bytes.len() as u32 + 1, Release);
    }
}

/// Elements of a message.
pub(crate) const LEN: usize = 64;

/// One element of a message: no two messages have one in common.
pub(crate) fn element(id: usize, index: usize) -> u64 {
    (id * LEN + index) as u64
}

/// Which message it is; an error if it is none, or not whole.
pub(crate) fn identify(message: &[u64]) -> Result<usize, Wrong> {
    let id = message.first().map_or(usize::MAX, |first| *first as usize / LEN);
    let is_whole = message.iter().enumerate().all(|(index, value)| *value == element(id, index));
    if is_whole && message.len() == LEN && id < MESSAGES_MAX {
        Ok(id)
    } else {
        Err(Wrong(format!("a message is not whole: {} elements {:?}...", message.len(), id)))
    }
}
