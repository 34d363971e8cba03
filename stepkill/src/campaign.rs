//! All trials of a primitive, on many lanes at once: most of the time of a trial is somebody's sleep.

use crate::case::Play;
use crate::process::{self, Child};
use crate::stage::{self, Stage};
use crate::tally::Tally;
use crate::trial::{Notes, Outcome, Remains, Scenario, Trial};
use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Write};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Trials that are under way at once, per processor.
pub(crate) const LANES_PER_CPU: usize = 16;
/// How often a trial that was late is made again.
const RETRIES_MAX: u32 = 2;
/// How long it may take to learn what somebody does: two sleeps, and the steps.
const MEASURE_MAX: Duration = Duration::from_millis(100);
/// Failures of a scenario that are described.
const TEXTS_MAX: usize = 10;
/// Of the schedules of two processes, every so many-th instruction of both.
const SCHEDULE_STRIDE: u64 = 3;

/// What is to be tried.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) scenarios: Vec<Scenario>,
    /// Every so many-th instruction.
    pub(crate) stride: u64,
    /// S4: every so many-th state that a victim leaves.
    pub(crate) image_stride: usize,
    /// Of the library, only situations whose name has this in it.
    pub(crate) case: String,
    /// And only those that are soon over.
    pub(crate) is_brief: bool,
    /// A scenario ends after so many failures.
    pub(crate) failures_max: u64,
}

/// The trials that differ only in the instruction at which somebody dies.
struct Span {
    case: usize,
    survivor: usize,
    remains: Option<Remains>,
    /// What the one who is to die does if nobody kills it.
    notes: Notes,
    points: u64,
    /// Places of the second switch, in S5; else 1.
    seconds: u64,
}

impl Span {
    fn len(&self) -> u64 {
        self.points * self.seconds
    }
}

/// A campaign against one primitive.
pub(crate) struct Campaign<'a, T: 'static> {
    pub(crate) play: &'a Play<T>,
    pub(crate) plan: &'a Plan,
    pub(crate) tally: &'static Tally,
    pub(crate) cpus: &'a [usize],
}

impl<T: Sync + 'static> Campaign<'_, T> {
    /// Makes all trials and prints a line for each scenario and each failure, for xtask to read.
    pub(crate) fn run(&self, out: &mut impl Write) -> io::Result<()> {
        for &scenario in &self.plan.scenarios {
            let start = Instant::now();
            self.tally.clear();
            let mut texts = Vec::new();
            let spans = self.spans(scenario, &mut texts)?;
            if spans.is_empty() {
                continue;
            }
            self.all_lanes(scenario, &spans, &mut texts)?;
            let situations: HashSet<_> =
                spans.iter().map(|span| (span.case, span.survivor)).collect();
            let images = spans.iter().filter(|span| span.remains.is_some() && span.survivor == 0);
            let figures = self.tally.figures(situations.len(), images.count(), start.elapsed());
            let (primitive, name) = (self.play.name, scenario.name());
            writeln!(out, "row\t{primitive}\t{name}\t{figures}")?;
            for text in texts.iter().take(TEXTS_MAX) {
                writeln!(out, "failure\t{primitive}\t{name}\t{text}")?;
            }
            out.flush()?;
        }
        Ok(())
    }

    /// What there is to try in a scenario: each is gone through undisturbed to learn how long it is.
    fn spans(&self, scenario: Scenario, texts: &mut Vec<String>) -> io::Result<Vec<Span>> {
        let mut spans = Vec::new();
        let mut seen = HashSet::new();
        for (index, case) in self.play.cases.iter().enumerate() {
            if self.tally.failures.load(Relaxed) >= self.plan.failures_max {
                break;
            }
            if scenario == Scenario::S4 {
                self.recoveries(index, &mut seen, &mut spans, texts)?;
                continue;
            }
            for (survivor, kind) in case.survivors.iter().enumerate() {
                let is_tried = match scenario {
                    Scenario::S1 => true,
                    Scenario::S2 => case.has_sleeper && kind.sleeps,
                    Scenario::S3 => case.has_queue && kind.sleeps,
                    _ => case.rival.is_some() && survivor == 0,
                };
                if is_tried {
                    let mut span = self.span(scenario, index, survivor, None, texts)?;
                    if scenario == Scenario::S5 {
                        span.points = span.notes.trace.len().div_ceil(SCHEDULE_STRIDE);
                        span.seconds = self.rival_len(&span)?.div_ceil(SCHEDULE_STRIDE);
                    }
                    spans.push(span);
                }
            }
        }
        Ok(spans)
    }

    /// For each state that a victim can leave, and that has not been `seen`, who recovers it and how.
    fn recoveries(
        &self,
        case: usize,
        seen: &mut HashSet<(Remains, Option<usize>)>,
        spans: &mut Vec<Span>,
        texts: &mut Vec<String>,
    ) -> io::Result<()> {
        let fresh = Stage::new((self.play.object)()).image();
        let found = self.span(Scenario::S1, case, 0, None, texts)?.notes.remains;
        // States in which the house has something to do are alike if it is the same; what it holds is a
        // part of the state.
        let is_visible = found.first().is_some_and(|first| first.image != fresh);
        let has_after = self.play.cases[case].after.is_some();
        let key = |remains: &Remains| {
            let is_own = has_after || !remains.is_later && !is_visible;
            let image = remains.image[..self.play.words()].to_vec();
            (Remains { image, ..*remains }, is_own.then_some(case))
        };
        // What the dead acknowledged is no part of the primitive: the last state with one image knows most.
        let mut latest = HashMap::new();
        for (index, remains) in found.iter().enumerate() {
            latest.insert(key(remains), index);
        }
        let mut latest: Vec<_> =
            latest.into_iter().filter(|(key, _)| seen.insert(key.clone())).collect();
        latest.sort_unstable_by_key(|(_, index)| *index);
        let found: Vec<_> = latest.into_iter().map(|(_, index)| found[index].clone()).collect();
        for remains in found.into_iter().step_by(self.plan.image_stride.max(1)) {
            for (survivor, kind) in self.play.cases[case].survivors.iter().enumerate() {
                if !kind.recovers {
                    continue;
                }
                let remains = Some(remains.clone());
                spans.push(self.span(Scenario::S4, case, survivor, remains, texts)?);
            }
        }
        Ok(())
    }

    /// Goes through an operation undisturbed, instruction by instruction, to learn what there is to try.
    fn span(
        &self,
        scenario: Scenario,
        case: usize,
        survivor: usize,
        remains: Option<Remains>,
        texts: &mut Vec<String>,
    ) -> io::Result<Span> {
        let mut span =
            Span { case, survivor, remains, notes: Notes::default(), points: 0, seconds: 1 };
        let corpse = Child::start(|| {})?;
        corpse.kill();
        for attempt in 0.. {
            let start = Instant::now();
            let mut trial = self.trial(&span, &corpse);
            trial.known = None;
            trial.notes = Some(Notes::default());
            let outcome = trial.run(scenario, span.remains.as_ref(), u64::MAX, 0)?;
            self.tally.steps.fetch_add(trial.steps, Relaxed);
            let notes = trial.notes.unwrap_or_default();
            match outcome {
                Outcome::TooFar => {}
                Outcome::Late(_) if attempt < RETRIES_MAX => {
                    self.tally.retries.fetch_add(1, Relaxed);
                    continue;
                }
                _ => {
                    self.tally.failures.fetch_add(1, Relaxed);
                    texts.push(self.describe(&span, "nobody died", &outcome));
                }
            }
            if span.points == 0 || notes.trace.len() < span.notes.trace.len() {
                span.points = notes.points.len() as u64;
                span.notes = notes;
            }
            // Stepped on a busy machine, a slice is over sooner than at full speed: a way that few take.
            if start.elapsed() < MEASURE_MAX || attempt >= RETRIES_MAX {
                break;
            }
        }
        Ok(span)
    }

    /// Steps of the second one in S5 while the first one stands before its first.
    fn rival_len(&self, span: &Span) -> io::Result<u64> {
        let corpse = Child::start(|| {})?;
        let mut trial = self.trial(span, &corpse);
        trial.run(Scenario::S5, None, 0, u64::MAX)?;
        self.tally.steps.fetch_add(trial.steps, Relaxed);
        Ok(trial.reached)
    }

    fn trial<'b>(&'b self, span: &'b Span, corpse: &'b Child) -> Trial<'b, T> {
        Trial {
            play: self.play,
            case: &self.play.cases[span.case],
            survivor: span.survivor,
            corpse,
            steps: 0,
            reached: 0,
            known: Some(&span.notes),
            is_stepped: false,
            notes: None,
        }
    }

    fn describe(&self, span: &Span, place: &str, outcome: &Outcome) -> String {
        let case = &self.play.cases[span.case];
        let (name, survivor) = (case.name, case.survivors[span.survivor].name);
        let text = match outcome {
            Outcome::Late(text) | Outcome::Wrong(text) => text.as_str(),
            _ => "it ended otherwise than it does without a tracer",
        };
        match &span.remains {
            None => format!("{name}, then {survivor}; {place}: {text}"),
            Some(remains) => format!(
                "{name}, then {survivor}; {place}: {text}; first words left: {:#x} {:#x}",
                remains.image[0],
                remains.image.get(1).copied().unwrap_or(0),
            ),
        }
    }

    /// Makes the trials of all spans.
    fn all_lanes(
        &self,
        scenario: Scenario,
        spans: &[Span],
        texts: &mut Vec<String>,
    ) -> io::Result<()> {
        let (mut reader, writer) = io::pipe()?;
        let mut lanes = Vec::new();
        for lane in 0..LANES_PER_CPU * self.cpus.len() {
            let mut writer = writer.try_clone()?;
            lanes.push(Child::start(move || {
                let made = self.lane(lane, scenario, spans, &mut writer);
                if let Err(error) = made {
                    self.tally.failures.fetch_add(1, Relaxed);
                    // The reader counts failures also if it does not hear of this one.
                    let _ = writeln!(writer, "a trial could not be made: {error}");
                }
            })?);
        }
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text)?;
        texts.extend(text.lines().map(str::to_owned));
        Ok(())
    }

    /// Makes one trial after the other, until none is left.
    fn lane(
        &self,
        lane: usize,
        scenario: Scenario,
        spans: &[Span],
        out: &mut impl Write,
    ) -> io::Result<()> {
        stage::enter(lane + 1);
        process::pin(self.cpus[lane % self.cpus.len()])?;
        process::look_now_and_then()?;
        let corpse = Child::start(|| {})?;
        corpse.kill();
        loop {
            let mut index = self.tally.next.fetch_add(1, Relaxed) * self.plan.stride;
            let mut spans = spans.iter();
            let span = loop {
                match spans.next() {
                    None => return Ok(()),
                    Some(span) if index < span.len() => break span,
                    Some(span) => index -= span.len(),
                }
            };
            if self.tally.failures.load(Relaxed) >= self.plan.failures_max {
                return Ok(());
            }
            let is_last = index + 1 == span.len();
            while self.point(scenario, span, index, &corpse, out)?
                && is_last
                && scenario != Scenario::S5
            {
                index += 1;
            }
        }
    }

    /// Makes one trial, again if it was late; false if the operation was over before.
    fn point(
        &self,
        scenario: Scenario,
        span: &Span,
        index: u64,
        corpse: &Child,
        out: &mut impl Write,
    ) -> io::Result<bool> {
        let (first, second) = if scenario == Scenario::S5 {
            (index / span.seconds * SCHEDULE_STRIDE, index % span.seconds * SCHEDULE_STRIDE)
        } else {
            // Beyond the last one: it took more steps than when it was measured.
            let beyond = || span.notes.trace.len() + (index - span.points);
            (span.notes.points.get(index as usize).copied().unwrap_or_else(beyond), 0)
        };
        let mut is_stepped = false;
        for attempt in 0.. {
            let mut trial = self.trial(span, corpse);
            trial.is_stepped = is_stepped;
            let outcome = trial.run(scenario, span.remains.as_ref(), first, second)?;
            self.tally.steps.fetch_add(trial.steps, Relaxed);
            match outcome {
                Outcome::TooFar if first < span.notes.trace.len() && !is_stepped => {
                    // It went another way than when it was measured: step by step, then.
                    is_stepped = true;
                    continue;
                }
                Outcome::TooFar => return Ok(false),
                Outcome::InOrder => {}
                Outcome::Recovered(after_ns) => {
                    self.tally.longest_ns.fetch_max(after_ns, Relaxed);
                }
                Outcome::Late(_) if attempt < RETRIES_MAX => {
                    self.tally.retries.fetch_add(1, Relaxed);
                    continue;
                }
                Outcome::Late(_) | Outcome::Wrong(_) => {
                    self.tally.failures.fetch_add(1, Relaxed);
                    let place = match scenario {
                        Scenario::S5 => format!("switches at {first} and {second}"),
                        _ => format!("death at {first}"),
                    };
                    writeln!(out, "{}", self.describe(span, &place, &outcome))?;
                }
            }
            self.tally.trials.fetch_add(1, Relaxed);
            break;
        }
        Ok(true)
    }
}
