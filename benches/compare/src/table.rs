//! The rows, as a table for people and as JSON for programs. A row that is lost is printed too.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};

use crate::stats::{Samples, Summary};

/// What the numbers of a row count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Nanoseconds,
    Bytes,
}

/// How a ratio is meant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Goal {
    /// Own time (or bytes) over the other's must not exceed this.
    AtMost(f64),
    /// The other's time over our own must reach this.
    AtLeast(f64),
    /// Own over the other's, printed for orientation.
    Ratio,
    /// The other's over our own, printed for orientation.
    Speed,
}

/// A row beside another one.
#[derive(Debug, Clone)]
pub(crate) struct Comparison {
    pub(crate) against: String,
    pub(crate) ratio: f64,
    pub(crate) goal: Goal,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) measure: &'static str,
    pub(crate) subject: String,
    /// Payload of one array.
    pub(crate) bytes: usize,
    pub(crate) unit: Unit,
    pub(crate) summary: Option<Summary>,
    pub(crate) comparisons: Vec<Comparison>,
    /// Said in place of numbers, or beside them.
    pub(crate) note: Option<String>,
}

impl Comparison {
    /// Compares in the sense of `goal`; `None` if either side was not measured.
    pub(crate) fn of(own: &Samples, other: &Samples, against: &str, goal: Goal) -> Option<Self> {
        let ratio = own.ratio_to(other)?;
        let is_speed = matches!(goal, Goal::AtLeast(_) | Goal::Speed);
        let ratio = if is_speed { 1.0 / ratio } else { ratio };
        Some(Self { against: against.to_owned(), ratio, goal })
    }

    pub(crate) fn reached(&self) -> Option<bool> {
        match self.goal {
            Goal::AtMost(limit) => Some(self.ratio <= limit),
            Goal::AtLeast(limit) => Some(self.ratio >= limit),
            Goal::Ratio | Goal::Speed => None,
        }
    }

    pub(crate) fn ratio_text(&self) -> String {
        let (ratio, against) = (short(self.ratio), &self.against);
        match self.goal {
            Goal::AtLeast(_) | Goal::Speed if self.ratio < 1.0 => {
                format!("{ratio} \u{d7} as fast as {against}")
            }
            Goal::AtLeast(_) | Goal::Speed => format!("{ratio} \u{d7} faster than {against}"),
            Goal::AtMost(_) | Goal::Ratio => format!("{ratio} \u{d7} {against}"),
        }
    }

    pub(crate) fn goal_text(&self) -> String {
        match self.goal {
            Goal::AtMost(limit) => format!("\u{2264} {} \u{d7}", short(limit)),
            Goal::AtLeast(limit) => format!("\u{2265} {} \u{d7}", short(limit)),
            Goal::Ratio | Goal::Speed => String::new(),
        }
    }
}

impl Row {
    /// A row of times.
    pub(crate) fn of(measure: &'static str, subject: &str, bytes: usize, own: &Samples) -> Self {
        Self {
            measure,
            subject: subject.to_owned(),
            bytes,
            unit: Unit::Nanoseconds,
            summary: own.summary(),
            comparisons: Vec::new(),
            note: None,
        }
    }

    /// A row that could not be measured here.
    pub(crate) fn absent(measure: &'static str, subject: &str, bytes: usize, why: &str) -> Self {
        let mut row = Self::of(measure, subject, bytes, &Samples::default());
        row.note = Some(why.to_owned());
        row
    }

    /// Adds a comparison, if there is one.
    pub(crate) fn against(mut self, comparison: Option<Comparison>) -> Self {
        self.comparisons.extend(comparison);
        self
    }

    /// Least, median and 99th percentile, with their unit.
    pub(crate) fn numbers(&self) -> [String; 3] {
        let number = |pick: fn(&Summary) -> f64| {
            let text = self.summary.map(|summary| quantity(pick(&summary), self.unit));
            text.unwrap_or_else(|| "\u{2013}".to_owned())
        };
        [
            number(|summary| summary.min),
            number(|summary| summary.p50),
            number(|summary| summary.p99),
        ]
    }

    fn cells(&self) -> Vec<Cell> {
        let [min, p50, p99] = self.numbers();
        let lines = |text: fn(&Comparison) -> String| {
            self.comparisons.iter().map(text).collect::<Vec<_>>().join("\n")
        };
        let yes_no = |comparison: &Comparison| match comparison.reached() {
            Some(true) => "yes".to_owned(),
            Some(false) => "NO".to_owned(),
            None => String::new(),
        };
        // The goals stand beside the ratios, so the note comes last.
        let ratio = (!self.comparisons.is_empty())
            .then(|| lines(Comparison::ratio_text))
            .into_iter()
            .chain(self.note.clone());
        vec![
            Cell::new(self.measure),
            Cell::new(&self.subject),
            right(size(self.bytes)),
            right(min),
            right(p50),
            right(p99),
            Cell::new(ratio.collect::<Vec<_>>().join("\n")),
            right(lines(Comparison::goal_text)),
            Cell::new(lines(yes_no)),
        ]
    }

    fn json(&self) -> Value {
        let comparisons: Vec<Value> = self
            .comparisons
            .iter()
            .map(|comparison| {
                json!({
                    "against": comparison.against,
                    "ratio": comparison.ratio,
                    "goal": comparison.goal_text(),
                    "reached": comparison.reached(),
                })
            })
            .collect();
        json!({
            "measure": self.measure,
            "subject": self.subject,
            "array_bytes": self.bytes,
            "unit": if self.unit == Unit::Bytes { "bytes" } else { "ns" },
            "samples": self.summary.map(|summary| summary.count),
            "min": self.summary.map(|summary| summary.min),
            "p50": self.summary.map(|summary| summary.p50),
            "p99": self.summary.map(|summary| summary.p99),
            "comparisons": comparisons,
            "note": self.note,
        })
    }
}

/// The table.
pub(crate) fn text(rows: &[Row]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header([
        "measure",
        "subject",
        "array",
        "min",
        "p50",
        "p99",
        "ratio, median over rounds",
        "goal",
        "reached",
    ]);
    table.add_rows(rows.iter().map(Row::cells));
    table.trim_fmt()
}

/// The same, for programs.
pub(crate) fn json(header: &str, rows: &[Row]) -> Value {
    json!({ "run": header, "rows": rows.iter().map(Row::json).collect::<Vec<_>>() })
}

fn right(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// An array size: binary where it is a round one, decimal otherwise.
pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        0 => String::new(),
        _ if bytes.is_multiple_of(1 << 30) => format!("{} GiB", bytes >> 30),
        _ if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes.is_multiple_of(1_000_000) => format!("{} MB", bytes / 1_000_000),
        _ if bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} B"),
    }
}

/// A number in the unit that suits it.
pub(crate) fn quantity(value: f64, unit: Unit) -> String {
    let (step, names) = match unit {
        Unit::Nanoseconds => (1000.0, ["ns", "\u{b5}s", "ms", "s"]),
        Unit::Bytes => (1024.0, ["B", "KiB", "MiB", "GiB"]),
    };
    let mut scaled = value;
    let mut name = names[0];
    for next in &names[1..] {
        if scaled < step {
            break;
        }
        scaled /= step;
        name = next;
    }
    format!("{} {name}", short(scaled))
}

/// Three digits are more than such a measurement is worth.
fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 1000.0 => thousands(value),
        middle if middle >= 100.0 => format!("{value:.0}"),
        small if small >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_carry_their_unit() {
        assert_eq!(quantity(152.4, Unit::Nanoseconds), "152 ns");
        assert_eq!(quantity(4_312.0, Unit::Nanoseconds), "4.31 \u{b5}s");
        assert_eq!(quantity(1.9e9, Unit::Nanoseconds), "1.90 s");
        assert_eq!(quantity(1_048_576.0, Unit::Bytes), "1.00 MiB");
        assert_eq!((size(1 << 10), size(500_000_000)), ("1 KiB".into(), "500 MB".into()));
        assert_eq!(short(382_114.2), "382,114");
    }

    #[test]
    fn a_goal_of_speed_turns_the_ratio_round() {
        let (mut ours, mut theirs) = (Samples::default(), Samples::default());
        ours.push_round(vec![10.0]);
        theirs.push_round(vec![3000.0]);
        let faster = Comparison::of(&ours, &theirs, "them", Goal::AtLeast(300.0)).expect("both");
        assert_eq!((faster.ratio, faster.reached()), (300.0, Some(true)));
        let slower = Comparison::of(&ours, &theirs, "them", Goal::AtMost(0.001)).expect("both");
        assert_eq!(slower.reached(), Some(false));
    }
}
