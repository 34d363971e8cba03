//! One trial: somebody dies at one instruction, and somebody else has to go on.

use crate::case::{Case, Later, Play};
use crate::process::{Child, Stop};
use crate::stage::{self, Image, Role, Stage, Verdict, now_ns};
use crate::trace::{Route, Trace};
use std::collections::HashSet;
use std::io;
use std::panic::resume_unwind;
use std::time::{Duration, Instant};

/// How soon survivors must have gone on.
const RECOVERY_MAX: Duration = Duration::from_millis(200);
/// How long a sleep of somebody who is stepped may last: many slices.
const SLEEP_MAX: Duration = Duration::from_millis(400);
/// How long the house waits until somebody is asleep.
const LULLABY_MAX: Duration = Duration::from_millis(100);
/// Instructions that an operation can have. A loop that has more than this has no end.
const STEPS_MAX: u64 = 20_000;

/// Where somebody dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scenario {
    /// Anywhere in the operation.
    S1,
    /// While a sleeper waits: anywhere in what should wake it.
    S2,
    /// As the sleeper that was woken, with another one behind: anywhere from there on.
    S3,
    /// As the recoverer of any image that S1 leaves: anywhere in the recovery.
    S4,
    /// Nobody: two go on by turns, with two switches anywhere.
    S5,
}

impl Scenario {
    pub(crate) const ALL: [Self; 5] = [Self::S1, Self::S2, Self::S3, Self::S4, Self::S5];

    pub(crate) fn name(self) -> &'static str {
        ["S1", "S2", "S3", "S4", "S5"][self as usize]
    }
}

/// The object as a dead process left it, and whether the house had done its part before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Remains {
    pub(crate) image: Image,
    pub(crate) is_later: bool,
}

/// What somebody did whom nobody killed.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) trace: Trace,
    /// What it would have left, after each instruction that changed it.
    pub(crate) remains: Vec<Remains>,
    /// Steps after which it stood at an instruction, or slept, as it had not with the same object before. A
    /// dead process leaves nothing but the object, so another round of a loop that only waits is no news.
    pub(crate) points: Vec<u64>,
    seen: HashSet<(Option<u64>, usize)>,
    /// S3: where it woke up.
    pub(crate) woken_at: Option<u64>,
}

impl Notes {
    /// Notes one more step: where the process stands, and the object.
    fn note(&mut self, place: Option<u64>, remains: Remains) {
        if self.remains.last() != Some(&remains) {
            self.remains.push(remains);
        }
        if self.seen.insert((place, self.remains.len())) {
            self.points.push(self.trace.len());
        }
        self.trace.note(place);
    }
}

/// How a trial has ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The operation was over before the instruction was reached.
    TooFar,
    /// The others went on; so many nanoseconds after the death.
    Recovered(u64),
    /// Nobody died, and all is in order.
    InOrder,
    /// Something took longer than it may. The machine may be busy.
    Late(String),
    /// Something was wrong.
    Wrong(String),
}

/// The trials of one situation.
pub(crate) struct Trial<'a, T: 'static> {
    pub(crate) play: &'a Play<T>,
    pub(crate) case: &'a Case<T>,
    /// Which of the survivors.
    pub(crate) survivor: usize,
    /// A process that is dead, in the place of the victim of S4.
    pub(crate) corpse: &'a Child,
    /// Steps that were made so far.
    pub(crate) steps: u64,
    /// S5: steps of the second one.
    pub(crate) reached: u64,
    /// What an undisturbed run was like, if there was one.
    pub(crate) known: Option<&'a Notes>,
    /// Step by step, without the shortcut that is known.
    pub(crate) is_stepped: bool,
    /// What this run is like, if somebody wants to know.
    pub(crate) notes: Option<Notes>,
}

/// Where a tracee is after a number of steps.
enum Advance {
    Reached,
    Ended,
    Failed(Outcome),
}

impl<T: Sync + 'static> Trial<'_, T> {
    /// Kills after `point` steps: in S4 the recoverer of `remains`. In S5, `point` is where the first
    /// switch is, and `second` where the second.
    pub(crate) fn run(
        &mut self,
        scenario: Scenario,
        remains: Option<&Remains>,
        point: u64,
        second: u64,
    ) -> io::Result<Outcome> {
        let stage = Stage::new((self.play.object)());
        match (scenario, remains) {
            (Scenario::S1, _) => self.dies(stage, point),
            (Scenario::S2, _) => self.dies_before_sleeper(stage, point),
            (Scenario::S3, _) => self.dies_awake(stage, point),
            (Scenario::S4, Some(remains)) => self.recoverer_dies(stage, remains, point),
            (Scenario::S4, None) => Err(io::Error::other("a recoverer needs something to recover")),
            (Scenario::S5, _) => self.compete(stage, point, second),
        }
    }

    fn dies(&mut self, stage: Stage<T>, point: u64) -> io::Result<Outcome> {
        let mut later = (self.case.before)(stage);
        let act = self.case.act;
        let mut victim = Child::traced(Role::Victim, false, || act(stage))?;
        match self.advance(stage, &mut victim, point, &mut later)? {
            Advance::Reached => {}
            Advance::Ended => return Ok(Outcome::TooFar),
            Advance::Failed(outcome) => return Ok(outcome),
        }
        victim.kill();
        let killed = (Instant::now(), now_ns());
        run(&mut later);
        self.after(stage);
        let survivor = self.survivor(stage, Role::Survivor, self.survivor)?;
        Ok(judge(stage, &survivor, killed))
    }

    fn dies_before_sleeper(&mut self, stage: Stage<T>, point: u64) -> io::Result<Outcome> {
        let mut later = (self.case.before)(stage);
        let act = self.case.act;
        let mut victim = Child::traced(Role::Victim, true, || act(stage))?;
        if victim.run() != Stop::Stepped {
            return Ok(Outcome::Wrong("the victim does not come to its pause".to_owned()));
        }
        let survivor = self.survivor(stage, Role::Survivor, self.survivor)?;
        if !survivor.falls_asleep(LULLABY_MAX) {
            return Ok(Outcome::Late("the sleeper does not fall asleep".to_owned()));
        }
        self.dies_beside(stage, &mut victim, &survivor, point, &mut later)
    }

    fn dies_awake(&mut self, stage: Stage<T>, point: u64) -> io::Result<Outcome> {
        let mut later = (self.case.before)(stage);
        let act = self.case.act;
        let mut victim = Child::traced(Role::Victim, false, || act(stage))?;
        let woken_at = self.known.and_then(|known| known.woken_at);
        let stop = match woken_at {
            Some(place) => {
                victim.set_breakpoint(Some(place))?;
                victim.run()
            }
            None => self.step_until_asleep(&mut victim),
        };
        if stop != Stop::Asleep {
            // On a busy machine a slice can be over before it begins.
            return Ok(Outcome::Late(format!("the victim should sleep, and has {stop:?}")));
        }
        let survivor = self.survivor(stage, Role::Survivor, self.survivor)?;
        if !survivor.falls_asleep(LULLABY_MAX) {
            return Ok(Outcome::Late("the second sleeper does not fall asleep".to_owned()));
        }
        run(&mut later);
        let stop = match woken_at {
            Some(_) => victim.run_on(SLEEP_MAX),
            None => victim.wake(SLEEP_MAX),
        };
        if stop != Stop::Stepped {
            return Ok(Outcome::Late("the victim was not woken".to_owned()));
        }
        if let Some(notes) = &mut self.notes {
            notes.woken_at = Some(victim.place()?);
        }
        self.dies_beside(stage, &mut victim, &survivor, point, &mut later)
    }

    fn step_until_asleep(&mut self, victim: &mut Child) -> Stop {
        for _ in 0..STEPS_MAX {
            let stop = victim.step();
            self.steps += 1;
            if stop != Stop::Stepped {
                return stop;
            }
        }
        Stop::Stepped
    }

    fn dies_beside(
        &mut self,
        stage: Stage<T>,
        victim: &mut Child,
        survivor: &Child,
        point: u64,
        later: &mut Later,
    ) -> io::Result<Outcome> {
        match self.advance(stage, victim, point, later)? {
            Advance::Reached => {}
            Advance::Ended => return Ok(Outcome::TooFar),
            Advance::Failed(outcome) => return Ok(outcome),
        }
        victim.kill();
        let killed = (Instant::now(), now_ns());
        run(later);
        self.after(stage);
        Ok(judge(stage, survivor, killed))
    }

    fn recoverer_dies(
        &mut self,
        stage: Stage<T>,
        remains: &Remains,
        point: u64,
    ) -> io::Result<Outcome> {
        let mut later = (self.case.before)(stage);
        if remains.is_later {
            run(&mut later);
        }
        // That it is dead is all that others can see of the victim besides what it left.
        stage::announce(Role::Victim, self.corpse.id());
        stage.restore(&remains.image);
        run(&mut later);
        self.after(stage);
        let act = self.case.survivors[self.survivor].act;
        let mut recoverer = Child::traced(Role::Recoverer, false, || {
            if let Err(text) = act(stage) {
                resume_unwind(Box::new(text));
            }
        })?;
        match self.advance(stage, &mut recoverer, point, &mut later)? {
            Advance::Reached => {}
            Advance::Ended => return Ok(Outcome::TooFar),
            Advance::Failed(outcome) => return Ok(outcome),
        }
        recoverer.kill();
        let killed = (Instant::now(), now_ns());
        let survivor = self.survivor(stage, Role::Survivor, 0)?;
        Ok(judge(stage, &survivor, killed))
    }

    fn compete(&mut self, stage: Stage<T>, first: u64, second: u64) -> io::Result<Outcome> {
        let (act, Some(rival)) = (self.case.act, self.case.rival) else {
            return Err(io::Error::other("nobody competes in this situation"));
        };
        let mut nothing = None;
        let mut one = Child::traced(Role::Victim, false, || act(stage))?;
        match self.advance(stage, &mut one, first, &mut nothing)? {
            Advance::Reached => {}
            Advance::Ended => return Ok(Outcome::TooFar),
            Advance::Failed(outcome) => return Ok(outcome),
        }
        let mut other = Child::traced(Role::Recoverer, false, || rival(stage))?;
        let mut stop = Stop::Stepped;
        self.reached = 0;
        while self.reached < second && stop == Stop::Stepped {
            stop = other.step();
            self.reached += 1;
        }
        self.steps += self.reached;
        if stop == Stop::Ended {
            return Ok(Outcome::TooFar);
        }
        // Each may wait for the other, which stands still or sleeps.
        let is_one_done = one.finish(Duration::ZERO);
        if !other.finish(SLEEP_MAX) || !(is_one_done || one.finish(SLEEP_MAX)) {
            return Ok(Outcome::Late("two who live wait for each other".to_owned()));
        }
        let survivor = self.survivor(stage, Role::Survivor, self.survivor)?;
        match judge(stage, &survivor, (Instant::now(), now_ns())) {
            Outcome::Recovered(_) => Ok(Outcome::InOrder),
            outcome => Ok(outcome),
        }
    }

    fn after(&self, stage: Stage<T>) {
        if let Some(after) = self.case.after {
            after(stage);
        }
    }

    fn survivor(&self, stage: Stage<T>, role: Role, index: usize) -> io::Result<Child> {
        let act = self.case.survivors[index].act;
        Child::free(role, || {
            let verdict: Verdict = act(stage);
            stage.conclude(verdict);
        })
    }

    /// Brings a tracee to where it is after `count` steps. If it sleeps, that is a step as well; then the
    /// house does its part.
    fn advance(
        &mut self,
        stage: Stage<T>,
        tracee: &mut Child,
        count: u64,
        later: &mut Later,
    ) -> io::Result<Advance> {
        let failed = |text: &str| Ok(Advance::Failed(Outcome::Wrong(text.to_owned())));
        let known = self.known.filter(|_| !self.is_stepped);
        let start = match known.and_then(|known| known.trace.route(count)) {
            None => 0,
            Some(route) => match self.leap(tracee, route, later)? {
                Advance::Reached => route.steps,
                other => return Ok(other),
            },
        };
        let mut is_asleep = false;
        for done in start..STEPS_MAX {
            if let Some(notes) = &mut self.notes {
                let place = if is_asleep { None } else { Some(tracee.place()?) };
                notes.note(place, Remains { image: stage.image(), is_later: later.is_none() });
            }
            if done >= count {
                return Ok(Advance::Reached);
            }
            if is_asleep && self.case.gives_way {
                run(later);
            }
            let stop = if is_asleep { tracee.wake(SLEEP_MAX) } else { tracee.step() };
            self.steps += 1;
            match stop {
                Stop::Stepped => is_asleep = false,
                Stop::Asleep if is_asleep => return Ok(Advance::Failed(overslept())),
                Stop::Asleep => is_asleep = true,
                Stop::Ended => return Ok(Advance::Ended),
                Stop::Crashed => return failed("whoever is stepped crashed"),
            }
        }
        failed("whoever is stepped goes round in circles")
    }

    /// Follows a route up to its single steps.
    fn leap(&mut self, tracee: &mut Child, route: Route, later: &mut Later) -> io::Result<Advance> {
        tracee.set_breakpoint(Some(route.address))?;
        for _ in 0..route.visits {
            let mut stop = tracee.run();
            if stop == Stop::Asleep {
                if self.case.gives_way {
                    run(later);
                }
                stop = tracee.run_on(SLEEP_MAX);
            }
            self.steps += 1;
            match stop {
                Stop::Stepped => {}
                Stop::Asleep => return Ok(Advance::Failed(overslept())),
                Stop::Ended => return Ok(Advance::Ended),
                Stop::Crashed => {
                    let text = "whoever is stepped crashed".to_owned();
                    return Ok(Advance::Failed(Outcome::Wrong(text)));
                }
            }
        }
        tracee.set_breakpoint(None)?;
        Ok(Advance::Reached)
    }
}

/// Somebody who sleeps does not wake up.
fn overslept() -> Outcome {
    Outcome::Late(format!("somebody slept for more than {} ms", SLEEP_MAX.as_millis()))
}

/// Has the house do its part, once.
fn run(later: &mut Later) {
    if let Some(later) = later.take() {
        later();
    }
}

/// Waits for the survivor, and hears what it says.
fn judge<T: Sync + 'static>(
    stage: Stage<T>,
    survivor: &Child,
    (killed, killed_ns): (Instant, u64),
) -> Outcome {
    let has_ended = survivor.ends_by(killed + RECOVERY_MAX);
    match stage.verdict() {
        Some((Err(text), _)) => Outcome::Wrong(text),
        Some((Ok(()), finished_ns))
            if finished_ns <= killed_ns + RECOVERY_MAX.as_nanos() as u64 =>
        {
            Outcome::Recovered(finished_ns.saturating_sub(killed_ns))
        }
        None if has_ended => Outcome::Wrong("the survivor crashed".to_owned()),
        _ => Outcome::Late(format!("nobody went on within {} ms", RECOVERY_MAX.as_millis())),
    }
}
