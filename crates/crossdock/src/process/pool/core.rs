//! What the threads of this process share of a pool: the work, and who has it.
//!
//! # The way of a task
//!
//! `pending` (here, can be cancelled) -> the channel of tasks, at most `in_hand_max` of them -> a
//! worker -> the channel of answers -> whoever has the [lead](super::lead) -> its [`Slot`](super::job::Slot).
//!
//! So to submit never blocks and never fails for want of room: what waits, waits in this process. The channel holds as many tasks as keep
//! the workers busy while an answer is on its way, which are many if they are short.
//!
//! # Whose fault
//!
//! The channel of tasks is one whose receivers acknowledge. It knows which task a dead worker had taken, whatever it was
//! doing; after the last delivery that is a dead letter, which ends the future of just this task.

use super::super::executor::{Tally, closed};
use super::board::Board;
use super::crew::{Seat, Starts};
use super::job::{Asked, Job, Kind, Outcome, outcome, split_answer};
use super::lead::Lead;
use super::options::Settings;
use super::telling::{Later, Told};
use super::worker::{Exit, Setup};
use crate::channel::{Receiver, Sender};
use crate::error::{Error, ErrorKind, Result};
use crate::letter::Letter;
use crate::process::{JoinHandle, ProcessOptions};
use crossdock_sys::clock::Deadline;
use crossdock_sys::events::Events;
use crossdock_sys::fork;
use parking_lot::{Condvar, Mutex};
use std::collections::{HashMap, HashSet, VecDeque};
use std::io::PipeWriter;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Tasks that a worker has at hand at most, its own included.
pub(super) const IN_HAND_MAX: usize = 32;
/// The work that is to lie ready for each worker.
pub(super) const READY: Duration = Duration::from_micros(500);
/// Answers after which the time that tasks take is looked at again.
const MEASURE_EVERY: u64 = 64;

/// Starts a worker.
pub(super) type Start = Box<dyn Fn(ProcessOptions, Setup) -> Result<JoinHandle<Exit>> + Send>;

/// What threads that use a pool, and its own, share.
pub(super) struct Core {
    pub(super) settings: Settings,
    pub(super) setup: Setup,
    /// Of this process, when it made the pool.
    generation: u64,
    pub(super) numbers: AtomicU64,
    pub(super) state: Mutex<State>,
    /// The pool has ended, or somebody has been told of a result.
    pub(super) changed: Condvar,
    pub(super) collector: Condvar,
    pub(super) collector_leads: AtomicBool,
    /// Those who are being told of a result, or are to be.
    pub(super) settling: AtomicUsize,
    pub(super) later: Mutex<Later>,
    /// For threads that are started later.
    pub(super) this: Weak<Self>,
    pub(super) lead: Lead,
    pub(super) tally: Arc<Tally>,
    pub(super) start: Mutex<Start>,
    pub(super) events: Events,
    /// Wakes the supervisor.
    pub(super) bell: PipeWriter,
}

/// Whether there is or will be work.
#[derive(Debug, Default)]
pub(super) enum Phase {
    #[default]
    Open,
    /// No more than there is.
    Closed,
    /// None at all, and why.
    Over(Error),
}

/// The channels of a pool, given up when it has ended.
pub(super) struct Links {
    /// `None` when the last task has been done, so that the workers end.
    pub(super) tasks: Option<Sender<Letter>>,
    /// For what dead workers left.
    pub(super) letters: Receiver<Letter>,
    /// So that the answers of workers that all die at once are not the last.
    pub(super) _answers: Sender<Letter>,
    pub(super) board: Arc<Board>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) links: Option<Links>,
    /// What no worker can take yet.
    pub(super) pending: VecDeque<Job>,
    /// What was sent and has not been answered.
    pub(super) sent: HashMap<u64, Asked>,
    /// How many of those have a limit of time.
    pub(super) limited: usize,
    /// What has taken too long: no worker is to run it.
    pub(super) expired: HashSet<u64>,
    /// What dead workers had that have not been asked how they died.
    pub(super) stray: Vec<(u64, Letter)>,
    pub(super) crew: Vec<Seat>,
    pub(super) starts: Starts,
    /// Until when it is borne that answers cannot be received.
    pub(super) trouble_until: Option<Deadline>,
    pub(super) counts: Counts,
    pub(super) pace: Pace,
    pub(super) is_collector_asleep: bool,
    /// Whether the supervisor looks now and then whose time is up.
    pub(super) is_watching_limits: bool,
    pub(super) has_ended: bool,
}

/// How long a task takes, as far as is known.
pub(super) struct Pace {
    pub(super) each: Duration,
    /// When that was last looked at: answers, and the time of all workers.
    answers: u64,
    busy: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        // So that nothing is handed out too early before anything is known.
        Self { each: 2 * READY, answers: 0, busy: Duration::ZERO }
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) answers: u64,
    pub(super) done: u64,
    pub(super) failed: u64,
    pub(super) restarts: u64,
}

impl State {
    pub(super) fn is_drained(&self) -> bool {
        self.pending.is_empty() && self.sent.is_empty()
    }

    /// Whether there is or may be work for another worker.
    pub(super) fn has_work(&self) -> bool {
        match self.phase {
            Phase::Open => true,
            Phase::Closed => !self.is_drained(),
            Phase::Over(_) => false,
        }
    }

    /// Whether it takes tasks, or the rest of one that it has taken.
    pub(super) fn check_open(&self, is_rest: bool) -> Result<()> {
        match &self.phase {
            Phase::Open => Ok(()),
            Phase::Closed if is_rest => Ok(()),
            Phase::Closed => Err(closed()),
            Phase::Over(why) if why.kind() == ErrorKind::Cancelled => Err(closed()),
            Phase::Over(why) => Err(why.clone()),
        }
    }

    /// Whether a worker has something to say: that it is ready, or what has become of a task.
    pub(super) fn awaits_answers(&self) -> bool {
        !self.is_drained() || self.crew.iter().any(|seat| seat.handle.is_some() && !seat.is_ready)
    }

    /// Takes back what was sent.
    pub(super) fn take(&mut self, number: u64) -> Option<Asked> {
        let asked = self.sent.remove(&number)?;
        self.limited -= usize::from(asked.limit.is_some());
        Some(asked)
    }
}

impl Core {
    pub(super) fn new(
        this: &Weak<Self>,
        settings: Settings,
        setup: Setup,
        (state, answers): (State, Receiver<Letter>),
        start: Start,
        (events, bell): (Events, PipeWriter),
    ) -> Self {
        fork::watch();
        Self {
            settings,
            setup,
            generation: fork::generation(),
            numbers: AtomicU64::new(0),
            state: Mutex::new(state),
            changed: Condvar::new(),
            collector: Condvar::new(),
            collector_leads: AtomicBool::new(false),
            settling: AtomicUsize::new(0),
            later: Mutex::default(),
            this: this.clone(),
            lead: Lead::new(answers),
            tally: Arc::default(),
            start: Mutex::new(start),
            events,
            bell,
        }
    }

    pub(super) fn is_current(&self) -> bool {
        self.generation == fork::generation()
    }

    pub(super) fn check_open(&self) -> Result<()> {
        self.check_current()?;
        self.state.lock().check_open(false)
    }

    pub(super) fn check_current(&self) -> Result<()> {
        if self.is_current() {
            return Ok(());
        }
        Err(Error::forked(&format!("pool \"{}\"", self.settings.name)))
    }

    /// Deals with a letter from a worker. Those who want to be called come into `later`: to be told without the lead.
    pub(super) fn take_in(&self, mut letter: Letter, later: &mut Vec<Told>) -> Result<()> {
        let (number, seat, kind) = split_answer(&mut letter)?;
        let mut state = self.state.lock();
        state.trouble_until = None;
        if let Some(seat) = state.crew.get_mut(seat) {
            seat.is_ready = true;
            seat.tasks += u64::from(kind != Kind::Ready);
        }
        if kind == Kind::Ready {
            state.starts.note_ready();
            return Ok(());
        }
        state.starts.note_answer();
        state.expired.remove(&number);
        let told = state.take(number).map(|asked| {
            self.count(&mut state, kind == Kind::Done, asked.calls);
            let outcome = outcome(kind, letter, asked.entry);
            self.end(asked, outcome)
        });
        later.append(&mut self.refill(&mut state));
        self.wind_down(&mut state);
        drop(state);
        if let Some(told) = told {
            self.tell_or_keep(told, later);
        }
        Ok(())
    }

    pub(super) fn count(&self, state: &mut State, is_done: bool, calls: u64) {
        let counts = &mut state.counts;
        counts.answers += 1;
        *if is_done { &mut counts.done } else { &mut counts.failed } += calls;
        if counts.answers.is_multiple_of(MEASURE_EVERY) || counts.answers < MEASURE_EVERY {
            self.measure(state);
        }
    }

    /// Looks how long tasks take now.
    fn measure(&self, state: &mut State) {
        let Some(links) = &state.links else { return };
        let busy: Duration = (0..state.crew.len()).map(|seat| links.board.busy(seat)).sum();
        let Pace { answers, busy: before, .. } = state.pace;
        let count = u32::try_from(state.counts.answers - answers).unwrap_or(u32::MAX).max(1);
        let each = busy.saturating_sub(before) / count;
        state.pace = Pace { each, answers: state.counts.answers, busy };
    }

    /// Sends the workers home when the last work of a closed pool is done.
    pub(super) fn wind_down(&self, state: &mut State) {
        // Whoever is being told may have more to order.
        if matches!(state.phase, Phase::Closed)
            && state.is_drained()
            && self.is_settled()
            && let Some(links) = &mut state.links
        {
            links.tasks = None;
        }
    }

    /// Ends everything now: whoever waits for anything hears `why`.
    pub(super) fn break_down(&self, why: &Error) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Over(_)) {
            return;
        }
        state.phase = Phase::Over(why.clone());
        let pending = std::mem::take(&mut state.pending).into_iter().map(|job| job.asked);
        let sent = std::mem::take(&mut state.sent).into_values();
        let fail = |asked| self.end(asked, Outcome::Failed(why.clone()));
        let told: Vec<_> = pending.chain(sent).map(fail).collect();
        (state.limited, state.stray) = (0, Vec::new());
        for seat in &state.crew {
            seat.kill();
        }
        drop(state);
        self.tell_elsewhere(told);
        self.lead.rouse();
        self.ring();
    }

    /// Has the collector look what there is to do.
    pub(super) fn wake_collector(&self, state: &mut State) {
        if std::mem::take(&mut state.is_collector_asleep) {
            self.collector.notify_one();
        }
    }
}
