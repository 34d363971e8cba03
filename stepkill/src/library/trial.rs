//! One trial: somebody dies at one instruction of the library, and somebody else has to go on.

use super::board::{Actor, Done, Phase, Wrong, board};
use super::case::{Case, Order, Sleeper};
use super::ground::{files, wipe};
use super::image::Watcher;
use super::way::{Route, Way};
use crate::process::{Child, Stop};
use crate::stage::{Role, now_ns};
use std::io;
use std::panic::resume_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

/// How soon the house must have gone on.
const RECOVERY_MAX: Duration = Duration::from_millis(200);
/// How soon it must have looked at everything, and have left.
const AUDIT_MAX: Duration = Duration::from_secs(1);
/// How long a process may take to prepare itself.
const PREPARATION_MAX: Duration = Duration::from_secs(2);
/// How long a sleep of somebody who is stepped may last: many slices.
const SLEEP_MAX: Duration = Duration::from_millis(400);
/// Instructions that an operation can have. A loop that has more than this has no end.
const STEPS_MAX: usize = 400_000;

/// How a trial has ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The operation was over before the instruction was reached.
    TooFar,
    /// The way led elsewhere: nobody has died where somebody should.
    Astray,
    /// The house went on so many nanoseconds after the death.
    Recovered(u64),
    /// Something took longer than it may. The machine may be busy.
    Late(String),
    /// Something was wrong.
    Wrong(String),
}

/// Where the one who is stepped is to go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal<'a> {
    /// To its end, step by step, and its way is noted.
    Measure,
    /// To a point.
    Point(&'a Route),
}

/// Why a trial ends here.
#[derive(Debug)]
enum Over {
    With(Outcome),
    Failed(io::Error),
}

impl From<io::Error> for Over {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

fn late<T>(text: impl Into<String>) -> Result<T, Over> {
    Err(Over::With(Outcome::Late(text.into())))
}

fn wrong<T>(text: impl Into<String>) -> Result<T, Over> {
    Err(Over::With(Outcome::Wrong(text.into())))
}

/// The processes of one trial.
pub(crate) struct Trial<'a> {
    pub(crate) case: &'a Case,
    pub(crate) names: &'a Path,
    /// Steps that were made so far.
    pub(crate) steps: u64,
    /// What was measured.
    pub(crate) way: Way,
}

/// Whoever is there besides the one who dies.
#[derive(Default)]
struct Cast {
    house: Option<Child>,
    other: Option<Child>,
    bystander: Option<Child>,
}

impl Trial<'_> {
    /// Kills the victim where its goal is, and then the recoverer, if that has one.
    pub(crate) fn run(
        &mut self,
        victim: Goal<'_>,
        recoverer: Option<Goal<'_>>,
    ) -> io::Result<Outcome> {
        wipe(self.names)?;
        board().clear();
        match self.play(victim, recoverer) {
            Ok(after_ns) => Ok(Outcome::Recovered(after_ns)),
            Err(Over::With(outcome)) => Ok(outcome),
            Err(Over::Failed(error)) => Err(error),
        }
    }

    fn play(
        &mut self,
        victim_goal: Goal<'_>,
        recoverer_goal: Option<Goal<'_>>,
    ) -> Result<u64, Over> {
        let case = self.case;
        let mut cast = Cast::default();
        if !case.is_newcomer {
            cast.house = Some(house(case)?);
        }
        cast.bring_other(case)?;
        let recoverer = |goal| match case.recoverer {
            Some(act) => {
                let mut recoverer = stepped(Role::Recoverer, act)?;
                arrive(&mut recoverer)?;
                Ok((recoverer, goal))
            }
            None => wrong("nobody recovers in this situation"),
        };
        let mut second = recoverer_goal.map(recoverer).transpose()?;
        let mut victim = stepped(Role::Victim, case.victim)?;
        arrive(&mut victim)?;
        cast.lose_other(case)?;
        if case.sleeper == Sleeper::Before {
            cast.put_to_sleep()?;
        }
        self.advance(&mut victim, victim_goal, &cast)?;
        victim.kill();
        if let Some((recoverer, goal)) = &mut second {
            board().note_second_death();
            self.advance(recoverer, *goal, &cast)?;
            recoverer.kill();
        }
        let killed_ns = now_ns();
        board().announce(Phase::Part);
        if let Some(act) = case.bystander {
            let bystander = start(Role::Bystander, act)?;
            let is_ready = || board().is_ready(Role::Bystander) || bystander.has_ended();
            until(is_ready, "a bystander does not get ready")?;
            cast.bystander = Some(bystander);
        }
        board().announce(Phase::Go);
        if case.is_newcomer {
            cast.house = Some(house(case)?);
        }
        cast.judge(killed_ns, self.names)
    }

    /// Brings a tracee to its goal. If it sleeps, that is a step as well; then others do their part.
    fn advance(&mut self, tracee: &mut Child, goal: Goal<'_>, cast: &Cast) -> Result<(), Over> {
        let Goal::Point(route) = goal else { return self.measure(tracee, cast) };
        for leg in &route.legs {
            tracee.set_breakpoint(Some(leg.address))?;
            for _ in 0..leg.visits {
                self.steps += 1;
                match tracee.run() {
                    Stop::Asleep => {
                        cast.help(self.case)?;
                        go_on(tracee.run_on(SLEEP_MAX))?;
                    }
                    stop => go_on(stop)?,
                }
            }
        }
        tracee.set_breakpoint(None)?;
        let mut is_asleep = false;
        for _ in 0..route.steps {
            is_asleep = self.step(tracee, is_asleep, cast)?;
        }
        let place = if is_asleep { None } else { Some(tracee.place()?) };
        if place == route.place { Ok(()) } else { Err(Over::With(Outcome::Astray)) }
    }

    /// Steps a tracee to its end and notes its way.
    fn measure(&mut self, tracee: &mut Child, cast: &Cast) -> Result<(), Over> {
        let mut watcher = Watcher::new(self.names);
        let mut is_asleep = false;
        for _ in 0..STEPS_MAX {
            let place = if is_asleep { None } else { Some(tracee.place()?) };
            let image = watcher.look(place)?;
            self.way.note(place, image);
            is_asleep = self.step(tracee, is_asleep, cast)?;
        }
        wrong("whoever is stepped goes round in circles")
    }

    /// One step; whether the tracee now sleeps. If it did before, others do their part.
    fn step(&mut self, tracee: &mut Child, is_asleep: bool, cast: &Cast) -> Result<bool, Over> {
        self.steps += 1;
        if !is_asleep {
            return match tracee.step() {
                Stop::Asleep => Ok(true),
                stop => go_on(stop).map(|()| false),
            };
        }
        cast.help(self.case)?;
        go_on(tracee.wake(SLEEP_MAX)).map(|()| false)
    }
}

/// What a tracee that should have stopped has come to.
fn go_on(stop: Stop) -> Result<(), Over> {
    match stop {
        Stop::Stepped => Ok(()),
        Stop::Asleep => late(format!("somebody slept for more than {} ms", SLEEP_MAX.as_millis())),
        Stop::Ended => Err(Over::With(Outcome::TooFar)),
        Stop::Crashed => match board().verdict() {
            Some((_, _, text)) => wrong(text),
            None => wrong("whoever is stepped crashed"),
        },
    }
}

/// Has a tracee prepare itself.
fn arrive(tracee: &mut Child) -> Result<(), Over> {
    match tracee.run() {
        Stop::Asleep => go_on(tracee.run_on(PREPARATION_MAX)),
        stop => go_on(stop),
    }
}

fn until(is_over: impl Fn() -> bool, complaint: &str) -> Result<(), Over> {
    let end = Instant::now() + PREPARATION_MAX;
    while !is_over() {
        if Instant::now() >= end {
            return late(complaint);
        }
    }
    match board().verdict() {
        Some((_, _, text)) if !text.is_empty() => wrong(text),
        _ => Ok(()),
    }
}

/// The house, which has prepared itself.
fn house(case: &Case) -> Result<Child, Over> {
    let act = case.house;
    let house = Child::start(move || {
        let actor = Actor { role: Role::House };
        actor.conclude(act(actor));
        actor.leave();
    })?;
    if !case.is_newcomer {
        until(
            || board().is_ready(Role::House) || house.has_ended(),
            "the house does not get ready",
        )?;
    }
    Ok(house)
}

/// Somebody who plays a role at full speed, and then dies without a word.
fn start(role: Role, act: fn(Actor) -> Done) -> io::Result<Child> {
    Child::start(move || play_role(Actor { role }, act))
}

/// Somebody who will be stepped.
fn stepped(role: Role, act: fn(Actor) -> Done) -> io::Result<Child> {
    Child::stepped(|| move || play_role(Actor::stepped(role), act))
}

fn play_role(actor: Actor, act: fn(Actor) -> Done) {
    if let Err(Wrong(text)) = act(actor) {
        let text = format!("{:?}: {text}", actor.role);
        actor.conclude(Err(Wrong(text.clone())));
        resume_unwind(Box::new(text));
    }
}

impl Cast {
    /// Waits until whoever else there is has prepared himself, or is dead.
    fn bring_other(&mut self, case: &Case) -> Result<(), Over> {
        let Some(act) = case.other else { return Ok(()) };
        let other = start(Role::Ancestor, act)?;
        let is_over = || match case.order {
            Order::Before => other.ends_by(Instant::now()),
            Order::Lives | Order::Later => board().is_ready(Role::Ancestor) || other.has_ended(),
        };
        until(is_over, "somebody does not get ready")?;
        self.other = Some(other);
        Ok(())
    }

    /// Waits until whoever is to die when the victim has prepared itself is dead.
    fn lose_other(&self, case: &Case) -> Result<(), Over> {
        let (Some(other), Order::Later) = (&self.other, case.order) else { return Ok(()) };
        board().announce(Phase::Sleep);
        until(|| other.ends_by(Instant::now()), "somebody does not die")
    }

    /// Waits until the house sleeps in the library.
    fn put_to_sleep(&self) -> Result<(), Over> {
        board().announce(Phase::Sleep);
        let Some(house) = &self.house else { return wrong("there is nobody to sleep") };
        until(|| board().is_house_to_sleep() || house.has_ended(), "the house does not lie down")?;
        if house.falls_asleep(PREPARATION_MAX) {
            Ok(())
        } else {
            late("the house does not fall asleep")
        }
    }

    /// Others do what somebody who sleeps waits for.
    fn help(&self, case: &Case) -> Result<(), Over> {
        if case.sleeper == Sleeper::Behind && !board().is_house_to_sleep() {
            self.put_to_sleep()?;
        }
        board().announce(Phase::Part);
        Ok(())
    }

    /// Waits for the house, hears what it says, and looks whether anything is left; else how long it took
    /// after a death at `killed_ns`.
    fn judge(&self, killed_ns: u64, names: &Path) -> Result<u64, Over> {
        let Some(house) = &self.house else { return wrong("there is nobody to go on") };
        let end = Instant::now() + AUDIT_MAX;
        while board().verdict().is_none() && !house.ends_by(Instant::now()) {
            if Instant::now() >= end {
                return late(format!("nobody went on within {} ms", AUDIT_MAX.as_millis()));
            }
        }
        let Some((went_on_ns, _, text)) = board().verdict() else {
            return wrong("the house crashed");
        };
        if !text.is_empty() {
            return wrong(text);
        }
        board().announce(Phase::End);
        for child in [&self.house, &self.other, &self.bystander].into_iter().flatten() {
            if !child.ends_by(end) {
                return late("somebody does not leave");
            }
        }
        let left = files(names);
        if !left.is_empty() {
            return wrong(format!("all have gone, and these files are left: {left:?}"));
        }
        let after_ns = went_on_ns.saturating_sub(killed_ns);
        if u128::from(after_ns) > RECOVERY_MAX.as_nanos() {
            return late(format!("the house went on after {} ms", after_ns / 1_000_000));
        }
        Ok(after_ns)
    }
}
