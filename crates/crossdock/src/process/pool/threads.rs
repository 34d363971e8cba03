//! The two threads of a pool. Both sleep unless they are needed.
//!
//! The *supervisor* sleeps until a worker ends, or the time of a task may be up, or something that could not be done is to be
//! tried again. It calls nothing that users wrote. The *collector* takes the [lead](super::lead) while there is work and
//! nobody waits for a result; it sleeps for good while there is no work, and looks once a moment while others lead.

use super::core::{Core, Phase};
use super::crew::BELL;
use crate::error::{Error, Result};
use std::io::{PipeReader, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

/// How long the collector leaves it to others to take the lead.
const MOMENT: Duration = Duration::from_millis(1);
/// The same while somebody leads.
const WHILE_LED: Duration = Duration::from_millis(2);

/// Starts the threads.
pub(super) fn start(core: &Arc<Core>, bell: PipeReader) -> Result<Vec<thread::JoinHandle<()>>> {
    let cannot = |error| Error::os("cannot start a thread of a pool", error);
    core.events.add(&bell, BELL).map_err(cannot)?;
    let spawn = |what: &str, run: Box<dyn FnOnce() + Send>| {
        thread::Builder::new().name(format!("crossdock-{what}")).spawn(run).map_err(cannot)
    };
    let (supervised, collected) = (Arc::clone(core), Arc::clone(core));
    let supervisor = spawn("supervisor", Box::new(move || supervise(&supervised, bell)))?;
    match spawn("collector", Box::new(move || collect(&collected))) {
        Ok(collector) => Ok(vec![supervisor, collector]),
        Err(error) => {
            core.break_down(&error);
            // It ends with the workers.
            let _ = supervisor.join();
            Err(error)
        }
    }
}

fn supervise(core: &Core, mut bell: PipeReader) {
    while !core.is_deserted() {
        let keys = match core.events.wait_until(core.next_chore()) {
            Ok(keys) => keys,
            Err(error) => {
                core.break_down(&Error::os("cannot wait for workers", error));
                break;
            }
        };
        for key in keys {
            match usize::try_from(key) {
                Ok(seat) if key != BELL => core.bury(seat),
                // It has rung, so there is something to read.
                _ => drop(bell.read(&mut [0; 64])),
            }
        }
        core.do_chores();
    }
    core.finish();
}

fn collect(core: &Core) {
    let mut terms = 0;
    loop {
        let mut state = core.state.lock();
        if state.has_ended {
            return;
        }
        let is_busy = state.awaits_answers() || matches!(state.phase, Phase::Closed);
        if !is_busy {
            state.is_collector_asleep = true;
            core.collector.wait(&mut state);
            state.is_collector_asleep = false;
        }
        let moment = if core.lead.is_taken() { WHILE_LED } else { MOMENT };
        core.collector.wait_for(&mut state, moment);
        drop(state);
        let before = std::mem::replace(&mut terms, core.lead.terms.load(Ordering::Relaxed));
        if before == terms
            && let Some(leading) = core.lead.try_take()
        {
            core.collector_leads.store(true, Ordering::SeqCst);
            core.lead(leading, None, &mut || core.is_idle());
            core.collector_leads.store(false, Ordering::SeqCst);
        }
    }
}

impl Core {
    /// Whether the collector need not lead.
    fn is_idle(&self) -> bool {
        self.lead.is_wanted() || !self.state.lock().awaits_answers()
    }

    /// Has the collector give the lead to a thread that waits.
    pub(super) fn oust_collector(&self) {
        if self.collector_leads.load(Ordering::SeqCst) {
            self.lead.rouse();
        }
    }
}
