//! No zombies: every child of this process is waited for, whoever still has its handle.
//!
//! A child that has ended stays in the table of processes until its parent waits for it. That is done
//!
//! * when its handle is asked anything, or joined;
//! * when another process is started, for all that have ended by then: one system call if none has;
//! * when its handle is dropped, for a child that has ended by then. If it still runs, then a thread sleeps
//!   until all such children have ended, takes their ends, and ends itself.
//!
//! The children of a fork server are the fork server's, which does nothing but to wait for them.

use super::link::Link;
use crate::error::{Error, Result};
use crossdock_sys::child;
use crossdock_sys::clock::Deadline;
use crossdock_sys::events::Events;
use crossdock_sys::fork;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of stack of the thread: it calls nothing of the user's.
const STACK_BYTES: usize = 256 << 10;

static TABLE: Mutex<Option<Table>> = Mutex::new(None);

/// The children that have not been waited for.
#[derive(Debug)]
struct Table {
    /// Of the process whose children they are.
    generation: u64,
    children: HashMap<u64, Child>,
    /// What the thread waits for: the children whose handles have been dropped. Made once.
    events: Option<Arc<Events>>,
    /// How many the thread waits for.
    watched: usize,
    /// What the system calls the thread, while there is one.
    thread: Option<u64>,
}

#[derive(Debug)]
struct Child {
    link: Arc<Link>,
    /// The thread will hear of its end, so it is to remove this.
    is_watched: bool,
}

/// A link as a key, for as long as the link lives.
fn key(link: &Link) -> u64 {
    std::ptr::from_ref(link).addr() as u64
}

/// What `act` does with the table of this process.
fn with_table<T>(act: impl FnOnce(&mut Table) -> T) -> T {
    let mut table = TABLE.lock();
    let generation = fork::generation();
    // A forked child has no children of its parent's.
    let table = match &mut *table {
        Some(table) if table.generation == generation => table,
        other => other.insert(Table {
            generation,
            children: HashMap::new(),
            events: None,
            watched: 0,
            thread: None,
        }),
    };
    act(table)
}

/// From now on, `link` leads to a child that must be waited for.
pub(super) fn register(link: &Arc<Link>) {
    let child = Child { link: Arc::clone(link), is_watched: false };
    with_table(|table| table.children.insert(key(link), child));
}

/// The child has been waited for.
pub(super) fn forget(link: &Link) {
    if link.is_ours() {
        with_table(|table| {
            let key = key(link);
            if table.children.get(&key).is_some_and(|child| !child.is_watched) {
                table.children.remove(&key);
            }
        });
    }
}

/// Waits for all that have ended.
pub(super) fn sweep() {
    if !child::has_any_ended() {
        return;
    }
    let links: Vec<_> =
        with_table(|table| table.children.values().map(|child| Arc::clone(&child.link)).collect());
    for link in links {
        // If it cannot be done now, the next sweep does it.
        let _ = link.collect();
    }
}

/// A handle has been dropped.
pub(super) fn release(link: &Arc<Link>) {
    let now = Some(Deadline::after(Duration::ZERO));
    if !link.is_current() || !link.is_ours() || link.await_end(now).unwrap_or(false) {
        return;
    }
    // Without memory for a thread, the next sweep does it.
    let _ = with_table(|table| table.watch(link));
}

impl Table {
    fn watch(&mut self, link: &Arc<Link>) -> Result<()> {
        let no_thread = |error| Error::os("cannot wait for processes in a thread", error);
        let events = match &self.events {
            Some(events) => Arc::clone(events),
            None => Arc::clone(self.events.insert(Arc::new(Events::new().map_err(no_thread)?))),
        };
        // It may have been waited for just now, by a sweep.
        let Some(child) = self.children.get_mut(&key(link)) else { return Ok(()) };
        if self.thread.is_none() {
            let thread = std::thread::Builder::new()
                .name("crossdock-reaper".to_owned())
                .stack_size(STACK_BYTES);
            let events = Arc::clone(&events);
            // It cannot do anything before this has let go of the table.
            thread.spawn(move || reap(&events)).map_err(no_thread)?;
            self.thread = Some(0);
        }
        child.is_watched = true;
        self.watched += 1;
        if let Err(error) = events.add_once(&link.child, key(link)) {
            child.is_watched = false;
            self.watched -= 1;
            return Err(no_thread(error));
        }
        Ok(())
    }
}

/// The thread.
fn reap(events: &Events) {
    let is_done = |table: &mut Table| {
        let is_done = table.watched == 0;
        table.thread = (!is_done).then(child::thread_id);
        is_done
    };
    while !with_table(is_done) {
        let Ok(keys) = events.wait() else { return };
        for key in keys {
            let link = with_table(|table| {
                table.watched -= 1;
                let child = table.children.get_mut(&key)?;
                child.is_watched = false;
                Some(Arc::clone(&child.link))
            });
            if let Some(link) = link {
                // It fails for want of memory, if at all; a sweep takes what is left.
                let _ = link.collect();
                // It may have been collected before by somebody else.
                if link.has_ended() {
                    forget(&link);
                }
            }
        }
    }
}

/// The thread, if there is one: it does nothing but wait.
pub(crate) fn thread() -> Option<u64> {
    with_table(|table| table.thread)
}
