//! All trials of a part of the library, on many lanes at once.

use super::board;
use super::case::Case;
use super::ground::Ground;
use super::play::Play;
use super::trial::{Goal, Outcome, Trial};
use super::way::{Route, Way};
use crate::campaign::Plan;
use crate::process::{self, Child};
use crate::tally::Tally;
use crate::trial::Scenario;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Trials that are under way at once, per processor: most of the time of one is somebody's sleep.
pub(crate) const LANES_PER_CPU: usize = 6;
/// How often a trial is made again that was late, or went astray.
const RETRIES_MAX: u32 = 3;
/// Failures of a scenario that are described.
const TEXTS_MAX: usize = 10;
/// Of the states that a victim leaves, every so many-th is recovered from by one who dies as well...
const IMAGE_STRIDE: usize = 4;
/// ...after every so many-th instruction.
const RECOVERY_STRIDE: usize = 16;
/// When so many were late, those are made again before the others are made.
const LATE_MAX: u64 = 100;
/// What a lane says of a trial that was late, before its number.
const LATE: &str = "late ";

/// The trials that differ only in the instruction at which somebody dies.
struct Span<'a> {
    case: &'a Case,
    /// Where the victim dies before the recoverer whose way this is does.
    victim: Option<Route>,
    way: Way,
    /// Every so many-th point.
    stride: usize,
}

impl Span<'_> {
    fn len(&self) -> usize {
        self.way.points.len().div_ceil(self.stride)
    }
}

/// A campaign against one part of the library.
pub(crate) struct Campaign<'a> {
    pub(crate) play: &'a Play,
    pub(crate) plan: &'a Plan,
    pub(crate) tally: &'static Tally,
    pub(crate) cpus: &'a [usize],
    pub(crate) ground: &'a Ground,
}

impl Campaign<'_> {
    /// Makes all trials and prints a line for each scenario and each failure, for xtask to read.
    pub(crate) fn run(&self, out: &mut impl Write) -> io::Result<()> {
        let mut ways = HashMap::new();
        for &scenario in &self.plan.scenarios {
            let start = Instant::now();
            self.tally.clear();
            let mut texts = Vec::new();
            let spans = self.spans(scenario, &mut ways, &mut texts)?;
            if spans.is_empty() && texts.is_empty() {
                continue;
            }
            let trials = spans.iter().map(Span::len).sum::<usize>() as u64;
            while self.is_going_on() && self.tally.next.load(Relaxed) < trials {
                self.tally.late.store(0, Relaxed);
                let late_ones = self.all_lanes(&spans, &mut texts)?;
                self.repeat(&spans, &late_ones, &mut texts)?;
            }
            let images = spans.iter().filter(|span| span.victim.is_some());
            let figures = self.tally.figures(spans.len(), images.count(), start.elapsed());
            let (part, name) = (self.play.name, scenario.name());
            writeln!(out, "row\t{part}\t{name}\t{figures}")?;
            for text in texts.iter().take(TEXTS_MAX) {
                writeln!(out, "failure\t{part}\t{name}\t{text}")?;
            }
            out.flush()?;
        }
        Ok(())
    }

    /// Whether there have not been too many failures.
    fn is_going_on(&self) -> bool {
        self.tally.failures.load(Relaxed) < self.plan.failures_max
    }

    /// What there is to try in a scenario: each is gone through undisturbed to learn how long it is.
    fn spans(
        &self,
        scenario: Scenario,
        ways: &mut HashMap<&'static str, Way>,
        texts: &mut Vec<String>,
    ) -> io::Result<Vec<Span<'_>>> {
        let names = self.ground.enter(0);
        board::enter(0);
        let mut spans = Vec::new();
        let stride = usize::try_from(self.plan.stride).unwrap_or(usize::MAX);
        let is_wanted = |case: &&Case| {
            case.name.contains(&self.plan.case) && (case.is_brief || !self.plan.is_brief)
        };
        for case in self.play.cases.iter().filter(is_wanted) {
            let recovers = case.recoverer.is_some() && !self.plan.is_brief;
            let has_double_death = scenario == Scenario::S4 && recovers;
            if case.scenario() != scenario && !has_double_death {
                continue;
            }
            if !ways.contains_key(case.name) {
                ways.insert(case.name, self.measure(case, &names, None, texts)?);
            }
            let first = &ways[case.name];
            if case.scenario() == scenario {
                spans.push(Span { case, victim: None, way: first.clone(), stride });
            }
            if has_double_death {
                let image_stride = IMAGE_STRIDE * self.plan.image_stride.max(1);
                for image in first.images.iter().step_by(image_stride) {
                    let route = first.route(*image);
                    let way = self.measure(case, &names, Some(&route), texts)?;
                    let stride = stride.saturating_mul(RECOVERY_STRIDE);
                    spans.push(Span { case, victim: Some(route), way, stride });
                }
            }
        }
        Ok(spans)
    }

    /// The way of the victim of a situation, or of the recoverer after the victim's death.
    fn measure(
        &self,
        case: &Case,
        names: &Path,
        victim: Option<&Route>,
        texts: &mut Vec<String>,
    ) -> io::Result<Way> {
        for attempt in 0.. {
            let mut trial = Trial { case, names, steps: 0, way: Way::default() };
            let outcome = match victim {
                None => trial.run(Goal::Measure, None)?,
                Some(route) => trial.run(Goal::Point(route), Some(Goal::Measure))?,
            };
            self.tally.steps.fetch_add(trial.steps, Relaxed);
            trial.way.close();
            match outcome {
                Outcome::TooFar if trial.way.len() > 0 => return Ok(trial.way),
                Outcome::Wrong(_) => {}
                _ if attempt < RETRIES_MAX => {
                    self.tally.retries.fetch_add(1, Relaxed);
                    continue;
                }
                _ => {}
            }
            self.tally.failures.fetch_add(1, Relaxed);
            texts.push(format!("{}; nobody died: {}", case.name, complaint(&outcome)));
            return Ok(trial.way);
        }
        unreachable!("the last attempt returns")
    }

    /// Makes the trials of all spans. Which of them were late is for the caller to judge.
    fn all_lanes(&self, spans: &[Span<'_>], texts: &mut Vec<String>) -> io::Result<Vec<usize>> {
        let (mut reader, writer) = io::pipe()?;
        let mut lanes = Vec::new();
        for lane in 0..LANES_PER_CPU * self.cpus.len() {
            let mut writer = writer.try_clone()?;
            lanes.push(Child::start(move || {
                if let Err(error) = self.lane(lane, spans, &mut writer) {
                    self.tally.failures.fetch_add(1, Relaxed);
                    // The reader counts failures also if it does not hear of this one.
                    let _ = say(&mut writer, &format!("a trial could not be made: {error}"));
                }
            })?);
        }
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text)?;
        let (late_ones, others): (Vec<_>, Vec<_>) =
            text.lines().partition(|line| line.starts_with(LATE));
        texts.extend(others.into_iter().map(str::to_owned));
        Ok(late_ones.iter().filter_map(|line| line.strip_prefix(LATE)?.parse().ok()).collect())
    }

    /// Makes one trial after the other, until none is left.
    fn lane(&self, lane: usize, spans: &[Span<'_>], out: &mut impl Write) -> io::Result<()> {
        let names = self.ground.enter(lane + 1);
        board::enter(lane + 1);
        process::pin(self.cpus[lane % self.cpus.len()])?;
        process::look_now_and_then()?;
        loop {
            if !self.is_going_on() || self.tally.late.load(Relaxed) >= LATE_MAX {
                return Ok(());
            }
            let index = self.tally.next.fetch_add(1, Relaxed) as usize;
            let Some((span, route)) = find(spans, index) else { return Ok(()) };
            match self.trial(span, &route, &names)? {
                // With so many at once the machine may be busy: that is tried again alone, later.
                Some(Outcome::Late(_)) => {
                    self.tally.retries.fetch_add(1, Relaxed);
                    self.tally.late.fetch_add(1, Relaxed);
                    say(out, &format!("{LATE}{index}"))?;
                }
                Some(outcome) => self.fail(span, &route, &outcome, out)?,
                None => {}
            }
        }
    }

    /// Makes the trials again that were late, one at a time.
    fn repeat(
        &self,
        spans: &[Span<'_>],
        late_ones: &[usize],
        texts: &mut Vec<String>,
    ) -> io::Result<()> {
        let names = self.ground.enter(0);
        board::enter(0);
        let mut out = Vec::new();
        for (span, route) in late_ones.iter().filter_map(|index| find(spans, *index)) {
            for attempt in 0.. {
                match self.trial(span, &route, &names)? {
                    Some(Outcome::Late(_)) if attempt < RETRIES_MAX => {
                        self.tally.retries.fetch_add(1, Relaxed);
                        continue;
                    }
                    Some(outcome) => self.fail(span, &route, &outcome, &mut out)?,
                    None => {}
                }
                break;
            }
            if !self.is_going_on() {
                break;
            }
        }
        texts.extend(String::from_utf8_lossy(&out).lines().map(str::to_owned));
        Ok(())
    }

    /// Makes one trial, again if it went astray; what was wrong, if anything was.
    fn trial(&self, span: &Span<'_>, route: &Route, names: &Path) -> io::Result<Option<Outcome>> {
        for attempt in 0.. {
            let mut trial = Trial { case: span.case, names, steps: 0, way: Way::default() };
            let outcome = match &span.victim {
                None => trial.run(Goal::Point(route), None)?,
                Some(victim) => trial.run(Goal::Point(victim), Some(Goal::Point(route)))?,
            };
            self.tally.steps.fetch_add(trial.steps, Relaxed);
            match outcome {
                Outcome::Recovered(after_ns) => {
                    self.tally.trials.fetch_add(1, Relaxed);
                    self.tally.longest_ns.fetch_max(after_ns, Relaxed);
                    return Ok(None);
                }
                Outcome::Astray | Outcome::TooFar if attempt < RETRIES_MAX => {
                    self.tally.retries.fetch_add(1, Relaxed);
                }
                // The way there depends on chance, which has had its chances.
                Outcome::Astray | Outcome::TooFar => {
                    self.tally.missed.fetch_add(1, Relaxed);
                    return Ok(None);
                }
                Outcome::Late(_) | Outcome::Wrong(_) => return Ok(Some(outcome)),
            }
        }
        Ok(None)
    }

    /// Counts and describes a failure.
    fn fail(
        &self,
        span: &Span<'_>,
        route: &Route,
        outcome: &Outcome,
        out: &mut impl Write,
    ) -> io::Result<()> {
        self.tally.trials.fetch_add(1, Relaxed);
        self.tally.failures.fetch_add(1, Relaxed);
        let first = span.victim.as_ref().map(|victim| described(victim.place));
        let first = first.map(|place| format!(", after that of the first one at {place}"));
        let (name, first, place) =
            (span.case.name, first.unwrap_or_default(), described(route.place));
        say(out, &format!("{name}; death at {place}{first}: {}", complaint(outcome)))
    }
}

/// The trial with this number: its span, and the way to its point.
fn find<'a, 'b>(spans: &'a [Span<'b>], mut index: usize) -> Option<(&'a Span<'b>, Route)> {
    for span in spans {
        if index < span.len() {
            return Some((span, span.way.route(span.way.points[index * span.stride])));
        }
        index -= span.len();
    }
    None
}

/// Writes a line at once: other lanes write into the same pipe.
fn say(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(format!("{text}\n").as_bytes())
}

fn complaint(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Late(text) | Outcome::Wrong(text) => text,
        Outcome::Recovered(_) => "it did not come to its end",
        Outcome::TooFar | Outcome::Astray => "it goes another way each time",
    }
}

/// Where somebody stood, as `addr2line` wants to know it.
fn described(place: Option<u64>) -> String {
    let Some(place) = place else { return "its sleep".to_owned() };
    format!("{:#x}", place.wrapping_sub(process::base_of_program()))
}
