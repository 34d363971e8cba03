//! The shared memory of one trial: who plays which role, and the object that is tried.

use crate::process::{Atomic, Child};
use crossdock_core::owner::{self, Owner, Registry};
use crossdock_core::party::{Party, PartyId};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize};

/// What somebody is in a trial; the number is that of its party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Who prepares the trial and lives for ever.
    House = 0,
    /// Who dies at an instruction.
    Victim = 1,
    /// Who comes after the victim and dies at an instruction as well.
    Recoverer = 2,
    /// Who must go on.
    Survivor = 3,
    /// Who died before the trial began.
    Ancestor = 4,
    /// Who comes when all who are to die are dead.
    Bystander = 5,
}

const ROLES: usize = 6;
/// In the place of a process id: a process that is dead and has been waited for.
const BURIED: u32 = u32::MAX;
/// Bytes of a verdict.
const TEXT_BYTES_MAX: usize = 240;
/// Words that an object can have.
const OBJECT_WORDS_MAX: usize = 1024;

/// Nothing is wrong, or what is.
pub(crate) type Verdict = Result<(), String>;

/// The memory of one trial at a time.
///
/// # Invariants
///
/// 1. It consists of atomics only, in memory that is shared with all forks and never unmapped.
#[repr(C, align(64))]
pub(crate) struct Slot {
    object: [AtomicU64; OBJECT_WORDS_MAX],
    pids: [AtomicU32; ROLES],
    /// 0: none yet; else 1 + bytes of the text, which is empty if nothing is wrong.
    verdict: AtomicU32,
    text: [AtomicU8; TEXT_BYTES_MAX],
    finished_ns: AtomicU64,
}

// SAFETY: atomics only.
unsafe impl Atomic for Slot {}

static SLOTS: OnceLock<&'static [Slot]> = OnceLock::new();
/// Which of the slots is this process's; a fork inherits it.
static MINE: AtomicUsize = AtomicUsize::new(0);

/// Makes the slots, once, and this process the house of the first one.
pub(crate) fn open(slots: &'static [Slot]) {
    if SLOTS.set(slots).is_ok() {
        owner::install(&Cast);
    }
    enter(0);
}

/// This process becomes the house of a slot.
pub(crate) fn enter(index: usize) {
    MINE.store(index, Relaxed);
    become_role(Role::House);
}

/// This process plays a role in its slot from now on.
pub(crate) fn become_role(role: Role) {
    announce(role, std::process::id());
    let party = Party::new(role as usize).expect("there are more parties than roles");
    owner::set(Some(Owner::of(PartyId { party, epoch: 1 })));
}

/// Says which process plays a role.
pub(crate) fn announce(role: Role, pid: u32) {
    slot().pids[role as usize].store(pid, Release);
}

fn slot() -> &'static Slot {
    &SLOTS.get().expect("the slots are made first")[MINE.load(Relaxed)]
}

/// The processes of this slot, as locks ask for them: nothing is kept from one question to the next.
#[derive(Debug)]
struct Cast;

impl Registry for Cast {
    fn join(&self) -> Result<Owner, String> {
        Err("every process of a trial has a role".to_owned())
    }

    fn is_dead(&self, owner: Owner) -> bool {
        match self.pid(owner) {
            None => false,
            Some(BURIED) => true,
            Some(pid) => is_dead(pid),
        }
    }

    fn pid(&self, owner: Owner) -> Option<u32> {
        let pid = slot().pids.get(owner.index()?)?.load(Acquire);
        (pid != 0).then_some(pid)
    }
}

/// Whether a process is a zombie. It is waited for after the trial, so nobody else has its number.
fn is_dead(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return true };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => {
            let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
            poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|count| count > 0)
        }
        Err(error) => error == rustix::io::Errno::SRCH,
    }
}

/// An object in the slot of this process, which all who are forked from here share.
///
/// # Invariants
///
/// 1. A `T` lies at the start of the slot's object: `new` put it there, and `restore` puts back only what
///    `image` has read of another one. No other `Stage` of this process is used any more.
pub(crate) struct Stage<T> {
    slot: &'static Slot,
    object: PhantomData<fn() -> T>,
}

/// All bytes of an object at one moment.
pub(crate) type Image = Vec<u64>;

impl<T> Clone for Stage<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Stage<T> {}

impl<T: Sync + 'static> Stage<T> {
    const WORDS: usize = size_of::<T>().div_ceil(8);

    /// A new object; nobody plays a role but the house.
    pub(crate) fn new(object: T) -> Self {
        const { assert!(Self::WORDS <= OBJECT_WORDS_MAX && align_of::<T>() <= 64) };
        let slot = slot();
        let words = &slot.object[..Self::WORDS];
        words.iter().for_each(|word| word.store(0, Relaxed));
        for role in [Role::Victim, Role::Recoverer, Role::Survivor, Role::Ancestor] {
            slot.pids[role as usize].store(0, Relaxed);
        }
        slot.verdict.store(0, Relaxed);
        let place = words.as_ptr().cast::<T>().cast_mut();
        // SAFETY: the place is big enough and aligned (asserted), and atomics may be written through a
        // shared reference (`Slot` 1). No process of the trial before lives.
        unsafe { place.write(object) };
        Self { slot, object: PhantomData }
    }

    /// The bytes of the object. Nobody changes it meanwhile.
    pub(crate) fn image(self) -> Image {
        self.slot.object[..Self::WORDS].iter().map(|word| word.load(Acquire)).collect()
    }

    /// Makes the object what it was. Nobody uses it meanwhile.
    pub(crate) fn restore(self, image: &Image) {
        for (word, old) in self.slot.object.iter().zip(image) {
            word.store(*old, Release);
        }
    }

    /// Says what the survivor found, and when.
    pub(crate) fn conclude(self, verdict: Verdict) {
        self.slot.finished_ns.store(now_ns(), Relaxed);
        let text = verdict.err().unwrap_or_default();
        let bytes = &text.as_bytes()[..text.len().min(TEXT_BYTES_MAX)];
        for (place, byte) in self.slot.text.iter().zip(bytes) {
            place.store(*byte, Relaxed);
        }
        self.slot.verdict.store(bytes.len() as u32 + 1, Release);
    }

    /// What the survivor found, and when; `None` if it has not finished.
    pub(crate) fn verdict(self) -> Option<(Verdict, u64)> {
        let len = (self.slot.verdict.load(Acquire) as usize).checked_sub(1)?;
        let bytes: Vec<u8> = self.slot.text[..len].iter().map(|byte| byte.load(Relaxed)).collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let verdict = if text.is_empty() { Ok(()) } else { Err(text) };
        Some((verdict, self.slot.finished_ns.load(Relaxed)))
    }

    /// The object, for as long as this process lives.
    #[inline]
    pub(crate) fn object(self) -> &'static T {
        // SAFETY: a `T` lies there (1), for ever (`Slot` 1), and is `Sync`.
        unsafe { &*self.slot.object.as_ptr().cast::<T>() }
    }

    /// Has somebody play a role who then ends.
    pub(crate) fn dies(self, role: Role, act: impl FnOnce()) {
        let child = Child::free(role, act).expect("a process can be forked");
        while !child.has_ended() {}
        drop(child);
        self.slot.pids[role as usize].store(BURIED, Release);
    }
}

impl<T: Sync + 'static> Deref for Stage<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.object()
    }
}

impl<T> fmt::Debug for Stage<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").finish_non_exhaustive()
    }
}

/// Nanoseconds on the monotonic clock, which all processes share.
pub(crate) fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
