//! What was measured, and how people see it.

use super::chart;
use super::python::Versions;
use super::spread::Spread;
use crate::output;
use crate::shown;
use crate::stats::Summary;
use crate::units::{bytes, count, nanoseconds, times};
use crossdock::{DType, Order};
use std::fmt;
use std::path::PathBuf;

/// One array, and every way that it went.
pub(super) struct Report {
    /// The file that it came from.
    pub(super) origin: Option<PathBuf>,
    pub(super) dtype: DType,
    pub(super) shape: Vec<usize>,
    pub(super) order: Order,
    pub(super) len_bytes: u64,
    /// The same in all processes.
    pub(super) summary: Summary,
    /// crossdock's is the first one.
    pub(super) rows: Vec<Row>,
}

pub(super) struct Row {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) versions: Option<Versions>,
    pub(super) outcome: Outcome,
}

pub(super) enum Outcome {
    Measured(Timing),
    /// Why it was not.
    Absent(String),
}

/// Nanoseconds from the call that sends.
pub(super) struct Timing {
    /// Until the other process has the array in hand.
    pub(super) hop: Spread,
    /// The same, if that process was asleep.
    pub(super) hop_asleep: Option<Spread>,
    /// The very first one, which maps the memory.
    pub(super) first_hop_ns: Option<u64>,
    /// Until the other process knows the sum of all elements.
    pub(super) until_sum: Spread,
    /// The very first one, which faults the pages in.
    pub(super) first_until_sum_ns: Option<u64>,
}

impl Timing {
    pub(super) fn plain(hop: Spread, until_sum: Spread) -> Self {
        Self { hop, hop_asleep: None, first_hop_ns: None, until_sum, first_until_sum_ns: None }
    }
}

impl Row {
    pub(super) fn new(id: &'static str, name: &'static str, outcome: Outcome) -> Self {
        Self { id, name, versions: None, outcome }
    }

    pub(super) fn measured(id: &'static str, name: &'static str, timing: Timing) -> Self {
        Self::new(id, name, Outcome::Measured(timing))
    }

    pub(super) fn absent(id: &'static str, name: &'static str, reason: String) -> Self {
        Self::new(id, name, Outcome::Absent(reason))
    }

    pub(super) fn timing(&self) -> Option<&Timing> {
        match &self.outcome {
            Outcome::Measured(timing) => Some(timing),
            Outcome::Absent(_) => None,
        }
    }
}

impl Report {
    /// crossdock's own hop.
    pub(super) fn hop_ns(&self) -> Option<u64> {
        self.rows.first().and_then(Row::timing).map(|timing| timing.hop.median_ns)
    }

    /// The one sentence to take home: against the last way that could be measured.
    pub(super) fn conclusion(&self) -> Option<String> {
        let ours = self.hop_ns()?;
        let rival = self.rows.iter().skip(1).rfind(|row| row.timing().is_some())?;
        let theirs = rival.timing()?.hop.median_ns;
        let (us, them) = (nanoseconds(ours), nanoseconds(theirs));
        Some(format!("hop: {us} vs {them} ({}): {} times", rival.name, times(theirs, ours)))
    }

    fn head(&self) -> String {
        let file = self.origin.as_ref().map(|path| format!("{}: ", path.display()));
        let shape = shown::shape(&self.shape);
        let order = if self.order == Order::F { ", Fortran order" } else { "" };
        let size = bytes(self.len_bytes);
        format!("{}{shape} x {}{order}, {size}", file.unwrap_or_default(), self.dtype)
    }

    fn table(&self) -> String {
        let ours = self.hop_ns().unwrap_or(1);
        let row = |row: &Row| match &row.outcome {
            Outcome::Measured(timing) => vec![
                row.name.to_owned(),
                nanoseconds(timing.hop.median_ns),
                nanoseconds(timing.until_sum.median_ns),
                times(timing.hop.median_ns, ours),
            ],
            Outcome::Absent(reason) => vec![
                format!("{}\n  {reason}", row.name),
                "-".to_owned(),
                "-".to_owned(),
                "-".to_owned(),
            ],
        };
        let head = ["way to the other process", "hop", "hop + sum", "hop / crossdock's"];
        output::table(&head, self.rows.iter().map(row).collect(), &[1, 2, 3])
    }

    fn notes(&self) -> Vec<String> {
        let measured = self.rows.iter().filter_map(|row| row.timing().map(|timing| (row, timing)));
        let mut notes: Vec<String> = measured.map(|(row, timing)| note(row, timing)).collect();
        notes.push(format!("found by every process: {}", self.summary));
        notes
    }
}

fn note(row: &Row, timing: &Timing) -> String {
    let mut note = format!("{}: median of {} hops", row.name, count(timing.hop.samples));
    if let Some(p99) = timing.hop.p99_ns {
        note += &format!(" to a polling process, 99th percentile {}", nanoseconds(p99));
    }
    if let (Some(asleep), Some(hop), Some(sum)) =
        (timing.hop_asleep, timing.first_hop_ns, timing.first_until_sum_ns)
    {
        let asleep = nanoseconds(asleep.median_ns);
        let (hop, sum) = (nanoseconds(hop), nanoseconds(sum));
        note +=
            &format!("\n  {asleep} to a sleeping one; the very first hop {hop}, with sum {sum}");
    }
    if let Some(Versions { python, numpy }) = &row.versions {
        note += &format!("; Python {python}, numpy {numpy}");
    }
    note
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n\n{}\n", self.head(), self.table())?;
        writeln!(f, "{}", chart::text(self))?;
        for note in self.notes() {
            writeln!(f, "{note}")?;
        }
        if let Some(conclusion) = self.conclusion() {
            write!(f, "\n{conclusion}")?;
        }
        Ok(())
    }
}
