//! The one thread of a process that sleeps on behalf of all its tasks that wait for channels.
//!
//! It starts when the first task waits, sleeps on the signals of all channels that are waited for and on a
//! word of its own, and ends when nobody has waited for [`IDLE_SLICES_MAX`] slices. A task is woken when its
//! channel is ready, and then tries itself. After each slice the thread looks for the dead.
//!
//! # No wake-up is lost
//!
//! A task puts its waker on the list and then rings the thread's own word. The thread announces itself on
//! that word before it reads the list, and on every channel before it looks whether that is ready. What a
//! sleep has used up of wake-ups that nobody here has a use for any more is passed on: by the thread if the
//! task has given up before, by the task if it gives up after it was woken.
//!
//! # Who uses a channel
//!
//! While it sleeps, the thread has channels of its own accord. The last handle of a channel gives up its
//! name, so it first has the thread let go ([`let_go`]).
//!
//! # Fork
//!
//! A child has no such thread, and perhaps a list that is locked for ever. It makes a watcher of its own. The place of a
//! receiver may be locked for ever as well: it is asked for only by the process that it belongs to.
#![allow(unsafe_code, reason = "one pointer to a watcher that is never freed")]

use crate::channel::core::{Core, End};
use crate::channel::ready::{Place, sealed::Waiting};
use crate::error::{Error, Result};
use crossdock_core::signal::{Signal, Watched, sleep_any};
use crossdock_sys::fork;
use parking_lot::{Condvar, Mutex};
use std::iter::once;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::task::Waker;
use std::thread;
use std::time::Duration;

/// Slices of 25 ms for which the thread waits for the next task before it ends.
const IDLE_SLICES_MAX: u32 = 40;
/// How long an exit waits for the thread, which may be at work in somebody's waker.
const STOP_MAX: Duration = Duration::from_secs(1);

/// The watcher of this process, or of the parent that forked it; null before.
static CURRENT: AtomicPtr<Watcher> = AtomicPtr::new(std::ptr::null_mut());

struct Watcher {
    generation: u64,
    /// Rung when there is something new on the list.
    bell: Signal,
    list: Mutex<List>,
    /// The thread has let go of its channels, or has ended.
    released: Condvar,
}

#[derive(Default)]
struct List {
    awaited: Vec<Awaited>,
    last_id: u64,
    /// Whether there is a thread that will read the list.
    is_watched: bool,
    is_stopping: bool,
    /// Where the channels are that the thread has now.
    held: Vec<usize>,
    /// How often the thread has let go.
    round: u64,
    thread_id: Option<u64>,
}

/// What tasks wait for: an answer at one end of a channel, at one place among its messages if each receiver has
/// its own.
#[derive(Clone)]
struct Goal {
    core: Arc<Core>,
    end: End,
    place: Option<Arc<dyn Place>>,
}

/// Which goal: the channel and the end, on whose word its sleepers are, and the place.
type Key = (usize, End, Option<usize>);

impl Goal {
    fn of(end: &impl Waiting) -> Self {
        Self { core: Arc::clone(end.core()), end: end.end(), place: end.place() }
    }

    fn key(&self) -> Key {
        let place = self.place.as_ref().map(|place| Arc::as_ptr(place).addr());
        (address(&self.core), self.end, place)
    }

    fn has_same_word(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.core, &other.core) && self.end == other.end
    }

    fn is_ready(&self) -> bool {
        match &self.place {
            None => self.core.is_ready(self.end),
            Some(place) => place.is_ready(&self.core),
        }
    }
}

/// A goal and the tasks that wait for it.
struct Awaited {
    goal: Goal,
    wakers: Vec<(u64, Waker)>,
}

/// One task's wait at one end of a channel; it ends with it.
pub(super) struct Wait<'a, W: Waiting> {
    end: &'a W,
    /// Where its waker is, unless it has been woken.
    place: Option<(&'static Watcher, u64)>,
}

impl<'a, W: Waiting> Wait<'a, W> {
    pub(super) fn new(end: &'a W) -> Self {
        Self { end, place: None }
    }

    /// Has the task woken when the channel is ready.
    pub(super) fn go_on(&mut self, waker: &Waker) -> Result<()> {
        if let Some((watcher, id)) = self.place.filter(|(watcher, _)| watcher.is_ours())
            && watcher.renew(Goal::of(self.end).key(), id, waker)
        {
            return Ok(());
        }
        let watcher = Watcher::current();
        self.place = None;
        self.place = Some((watcher, watcher.add(Goal::of(self.end), waker)?));
        Ok(())
    }

    /// The task has what it waited for, or will not have it.
    pub(super) fn end(&mut self) {
        if let Some((watcher, id)) = self.place.take().filter(|(watcher, _)| watcher.is_ours()) {
            watcher.remove(Goal::of(self.end).key(), id);
        }
    }
}

impl<W: Waiting> Drop for Wait<'_, W> {
    fn drop(&mut self) {
        if let Some((watcher, id)) = self.place.take()
            && watcher.is_ours()
            && !watcher.remove(Goal::of(self.end).key(), id)
            && self.end.is_ready()
        {
            // It was woken and does not act.
            self.end.core().pass_on(self.end.end());
        }
    }
}

impl Watcher {
    /// The watcher that this process, or the parent that forked it, had last.
    fn known() -> Option<&'static Self> {
        // SAFETY: the pointer is null or was leaked by `current`, so what it leads to lives for ever and is
        // only ever shared.
        unsafe { CURRENT.load(Ordering::Acquire).as_ref() }
    }

    fn current() -> &'static Self {
        loop {
            let known = Self::known();
            if let Some(watcher) = known.filter(|watcher| watcher.is_ours()) {
                return watcher;
            }
            let old =
                known.map_or(std::ptr::null_mut(), |known| std::ptr::from_ref(known).cast_mut());
            let new = Box::into_raw(Box::new(Self {
                generation: fork::generation(),
                bell: Signal::new(),
                list: Mutex::default(),
                released: Condvar::new(),
            }));
            if CURRENT.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                // SAFETY: it has just come from a box, and nobody else has seen it.
                drop(unsafe { Box::from_raw(new) });
            }
        }
    }

    fn is_ours(&self) -> bool {
        self.generation == fork::generation()
    }

    fn add(&'static self, goal: Goal, waker: &Waker) -> Result<u64> {
        // What belongs to the runtime is not called under the lock.
        let waker = waker.clone();
        let mut list = self.list.lock();
        if !list.is_watched {
            thread::Builder::new()
                .name("crossdock-async".to_owned())
                .spawn(|| self.watch())
                .map_err(|error| {
                    Error::os("cannot start the thread that waits for tasks", error)
                })?;
            list.is_watched = true;
        }
        list.last_id += 1;
        let id = list.last_id;
        let key = goal.key();
        match list.awaited.iter_mut().find(|awaited| awaited.goal.key() == key) {
            Some(awaited) => awaited.wakers.push((id, waker)),
            None => list.awaited.push(Awaited { goal, wakers: vec![(id, waker)] }),
        }
        drop(list);
        self.bell.notify_all();
        Ok(id)
    }

    /// Replaces the waker of a wait that is still on the list; false if it is not.
    fn renew(&self, goal: Key, id: u64, waker: &Waker) -> bool {
        let mut waker = waker.clone();
        let mut list = self.list.lock();
        let mut awaited = list.awaited.iter_mut().filter(|awaited| awaited.goal.key() == goal);
        let place = awaited.find_map(|awaited| awaited.wakers.iter_mut().find(|it| it.0 == id));
        let is_there = place.is_some();
        if let Some((_, old)) = place {
            std::mem::swap(old, &mut waker);
        }
        drop(list);
        is_there
    }

    /// Takes a waker off the list; false if it has been woken.
    fn remove(&self, goal: Key, id: u64) -> bool {
        let mut list = self.list.lock();
        let Some(index) = list.awaited.iter().position(|it| it.goal.key() == goal) else {
            return false;
        };
        let wakers = &mut list.awaited[index].wakers;
        let waker = wakers.iter().position(|it| it.0 == id).map(|at| wakers.swap_remove(at));
        let is_last = wakers.is_empty();
        let awaited = is_last.then(|| list.awaited.swap_remove(index));
        drop(list);
        drop(awaited);
        waker.is_some()
    }

    /// The thread.
    fn watch(&self) {
        self.list.lock().thread_id = thread_id();
        let mut idle_slices = 0;
        loop {
            let bell = self.bell.watch();
            let Some(goals) = self.hold(idle_slices) else { return };
            idle_slices = if goals.is_empty() { idle_slices + 1 } else { 0 };
            // Goals of one word are neighbours, and it is watched once.
            let by_word = goals.chunk_by(Goal::has_same_word).map(|goals| &goals[0]);
            let words = by_word.map(|goal| goal.core.watch(goal.end));
            let watched: Vec<Watched<'_>> = once(bell).chain(words).collect();
            if !goals.iter().any(Goal::is_ready) {
                goals.iter().for_each(|goal| goal.core.look_for_dead_now_and_then());
                sleep_any(&watched, None);
            }
            let mut woken = Vec::new();
            for goal in goals.iter().filter(|goal| goal.is_ready()) {
                match self.take(goal.key()) {
                    Some(awaited) => woken.push(awaited),
                    None => goal.core.pass_on(goal.end),
                }
            }
            let wakers: Vec<Waker> = woken
                .into_iter()
                .flat_map(|awaited| awaited.wakers.into_iter().map(|(_, waker)| waker))
                .collect();
            drop(watched);
            drop(goals);
            self.release();
            // Only now: a waker may drop its task, and that the last handle of a channel.
            for waker in wakers {
                // A panic has been reported by its hook; the other tasks must be woken all the same.
                let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
            }
        }
    }

    /// What the thread is to watch now; `None` if it is to end.
    fn hold(&self, idle_slices: u32) -> Option<Vec<Goal>> {
        let mut list = self.list.lock();
        if list.is_stopping || list.awaited.is_empty() && idle_slices >= IDLE_SLICES_MAX {
            list.is_watched = false;
            self.released.notify_all();
            return None;
        }
        let mut goals: Vec<_> = list.awaited.iter().map(|awaited| awaited.goal.clone()).collect();
        goals.sort_unstable_by_key(Goal::key);
        list.held = goals.iter().map(|goal| address(&goal.core)).collect();
        Some(goals)
    }

    fn release(&self) {
        let mut list = self.list.lock();
        list.held.clear();
        list.round += 1;
        self.released.notify_all();
    }

    fn take(&self, goal: Key) -> Option<Awaited> {
        let mut list = self.list.lock();
        let index = list.awaited.iter().position(|awaited| awaited.goal.key() == goal)?;
        Some(list.awaited.swap_remove(index))
    }
}

fn address(core: &Core) -> usize {
    std::ptr::from_ref(core).addr()
}

/// Has the thread let go of a channel whose last handle in this process is about to go, and forgets those
/// who wait for it: their futures have been leaked.
pub(crate) fn let_go(core: &Core) {
    let Some(watcher) = Watcher::known().filter(|watcher| watcher.is_ours()) else { return };
    let mut list = watcher.list.lock();
    let awaited = std::mem::take(&mut list.awaited);
    let (leaked, awaited): (Vec<_>, Vec<_>) =
        awaited.into_iter().partition(|awaited| address(&awaited.goal.core) == address(core));
    list.awaited = awaited;
    let round = list.round;
    while list.round == round && list.held.contains(&address(core)) {
        watcher.bell.notify_all();
        watcher.released.wait(&mut list);
    }
    drop(list);
    drop(leaked);
}

/// Ends the thread before the process leaves its directory of names, and returns its id: it may still be
/// counted, but does nothing any more.
pub(crate) fn stop() -> Option<u64> {
    let watcher = Watcher::known().filter(|watcher| watcher.is_ours())?;
    let mut list = watcher.list.lock();
    list.is_stopping = true;
    watcher.bell.notify_all();
    let mut is_in_time = true;
    while list.is_watched && is_in_time {
        is_in_time = !watcher.released.wait_for(&mut list, STOP_MAX).timed_out();
    }
    list.is_stopping = false;
    list.thread_id.filter(|_| !list.is_watched)
}

/// What the system calls the calling thread.
fn thread_id() -> Option<u64> {
    let link = std::fs::read_link("/proc/thread-self").ok()?;
    link.file_name()?.to_str()?.parse().ok()
}
