//! What the killer found, for people and for programs.

use super::mutants::Mutant;
use std::fmt::Write;

const COLUMNS: [&str; 11] = [
    "primitive",
    "scenario",
    "situations",
    "trials",
    "images",
    "steps",
    "failures",
    "retries",
    "slowest ms",
    "s",
    "missed",
];
/// Figures of a row.
const FIGURES: usize = 9;

/// One primitive in one scenario.
struct Row {
    primitive: String,
    scenario: String,
    situations: u64,
    trials: u64,
    images: u64,
    steps: u64,
    failures: u64,
    retries: u64,
    longest_us: u64,
    ms: u64,
    /// Instructions that were not come to: the way there depends on chance.
    missed: u64,
}

/// Everything that was found.
pub(super) struct Report {
    stride: u64,
    rows: Vec<Row>,
    /// Primitive, scenario and what was wrong.
    failures: Vec<[String; 3]>,
    /// Why this machine cannot do it.
    pub(super) unsupported: Option<String>,
    /// Seeded bugs, and how each was found.
    pub(super) mutants: Vec<(&'static Mutant, Option<String>)>,
}

impl Report {
    pub(super) fn new(stride: u64) -> Self {
        let (rows, failures, mutants) = (Vec::new(), Vec::new(), Vec::new());
        Self { stride, rows, failures, unsupported: None, mutants }
    }

    /// Takes in a line that the killer printed.
    pub(super) fn read(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<_> = line.split('\t').collect();
        match words[..] {
            ["row", primitive, scenario, ref figures @ ..] => {
                let row = Row::new(primitive, scenario, figures);
                let row = row.ok_or_else(|| format!("the killer said: {line}"))?;
                eprintln!(
                    "{primitive} {scenario}: {} trials, {} failures, {} s",
                    row.trials,
                    row.failures,
                    row.ms / 1000
                );
                self.rows.push(row);
            }
            ["failure", primitive, scenario, text] => {
                self.failures.push([primitive, scenario, text].map(str::to_owned));
            }
            ["unsupported", why] => self.unsupported = Some(why.to_owned()),
            ["error", why] => return Err(why.to_owned()),
            _ => return Err(format!("the killer said: {line}")),
        }
        Ok(())
    }

    pub(super) fn first_failure(&self) -> Option<String> {
        self.failures.first().map(|[_, scenario, text]| format!("{scenario}: {text}"))
    }

    pub(super) fn passed(&self) -> bool {
        let is_clean = self.rows.iter().all(|row| row.failures == 0) && self.failures.is_empty();
        is_clean && self.mutants.iter().all(|(_, found)| found.is_some())
    }

    fn trials(&self, scenarios: &[&str]) -> u64 {
        let rows = self.rows.iter().filter(|row| scenarios.contains(&row.scenario.as_str()));
        rows.map(|row| row.trials).sum()
    }

    /// The line that says it all.
    fn summary(&self) -> String {
        let sum = |figure: fn(&Row) -> u64| self.rows.iter().map(figure).sum::<u64>();
        let slowest_us = self.rows.iter().map(|row| row.longest_us).max().unwrap_or(0);
        let of = match self.stride {
            1 => "every instruction".to_owned(),
            stride => format!("every {stride}th instruction"),
        };
        let found = self.mutants.iter().filter(|(_, found)| found.is_some()).count();
        format!(
            "stepkill: {} deaths (R1), {} double deaths (R2), {} schedules, {of}; {} failures, {} retries, \
             slowest recovery {} ms; {found} of {} seeded bugs found",
            self.trials(&["S1", "S2", "S3"]),
            self.trials(&["S4"]),
            self.trials(&["S5"]),
            sum(|row| row.failures),
            sum(|row| row.retries),
            slowest_us / 1000,
            self.mutants.len(),
        )
    }

    pub(super) fn table(&self) -> String {
        let mut lines = vec![COLUMNS.map(str::to_owned).to_vec()];
        lines.extend(self.rows.iter().map(Row::cells));
        let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
        let widths: Vec<_> = (0..COLUMNS.len()).map(width).collect();
        let mut text = String::new();
        for line in &lines {
            for (column, cell) in line.iter().enumerate() {
                let width = widths[column];
                // Names to the left, figures to the right.
                let padded =
                    if column < 2 { format!("{cell:width$}") } else { format!("{cell:>width$}") };
                text += padded.as_str();
                text += "  ";
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        for [primitive, scenario, failure] in &self.failures {
            let _ = writeln!(text, "failure: {primitive} {scenario}: {failure}");
        }
        for (mutant, found) in &self.mutants {
            let found = found.as_deref().unwrap_or("NOT FOUND");
            let _ = writeln!(text, "seeded bug: {} ({}): {found}", mutant.name, mutant.primitive);
        }
        text + &self.summary() + "\n"
    }

    pub(super) fn json(&self) -> String {
        let rows: Vec<_> = self.rows.iter().map(Row::json).collect();
        let failures = self.failures.iter().map(|[primitive, scenario, text]| {
            let [primitive, scenario, text] = [primitive, scenario, text].map(|text| quoted(text));
            format!(r#"{{"primitive":{primitive},"scenario":{scenario},"text":{text}}}"#)
        });
        let mutants = self.mutants.iter().map(|(mutant, found)| {
            let found = found.as_deref().map_or("null".to_owned(), quoted);
            format!(r#"{{"name":{},"found":{found}}}"#, quoted(mutant.name))
        });
        format!(
            r#"{{"stride":{},"passed":{},"rows":[{}],"failures":[{}],"mutants":[{}]}}"#,
            self.stride,
            self.passed(),
            rows.join(","),
            failures.collect::<Vec<_>>().join(","),
            mutants.collect::<Vec<_>>().join(","),
        )
    }
}

impl Row {
    fn new(primitive: &str, scenario: &str, figures: &[&str]) -> Option<Self> {
        let figures: Vec<u64> = figures.iter().map_while(|figure| figure.parse().ok()).collect();
        let figures: [u64; FIGURES] = figures.try_into().ok()?;
        let [situations, trials, images, steps, failures, retries, longest_us, ms, missed] =
            figures;
        let (primitive, scenario) = (primitive.to_owned(), scenario.to_owned());
        Some(Self {
            primitive,
            scenario,
            situations,
            trials,
            images,
            steps,
            failures,
            retries,
            longest_us,
            ms,
            missed,
        })
    }

    fn cells(&self) -> Vec<String> {
        let optional = |figure: u64| if figure == 0 { String::new() } else { figure.to_string() };
        vec![
            self.primitive.clone(),
            self.scenario.clone(),
            self.situations.to_string(),
            self.trials.to_string(),
            optional(self.images),
            self.steps.to_string(),
            self.failures.to_string(),
            self.retries.to_string(),
            if self.longest_us == 0 {
                String::new()
            } else {
                format!("{:.1}", self.longest_us as f64 / 1e3)
            },
            format!("{:.1}", self.ms as f64 / 1e3),
            optional(self.missed),
        ]
    }

    fn json(&self) -> String {
        format!(
            r#"{{"primitive":{},"scenario":{},"situations":{},"trials":{},"images":{},"steps":{},"failures":{},"retries":{},"longest_us":{},"ms":{},"missed":{}}}"#,
            quoted(&self.primitive),
            quoted(&self.scenario),
            self.situations,
            self.trials,
            self.images,
            self.steps,
            self.failures,
            self.retries,
            self.longest_us,
            self.ms,
            self.missed,
        )
    }
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c < ' ' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_and_a_bug_that_was_not_found_are_no_success() {
        let mut report = Report::new(1);
        report.read("row\tmutex\tS1\t3\t100\t0\t900\t0\t1\t26500\t2000\t0").unwrap();
        assert!(report.passed());
        assert!(report.table().ends_with(
            "stepkill: 100 deaths (R1), 0 double deaths (R2), 0 schedules, every instruction; 0 failures, \
             1 retries, slowest recovery 26 ms; 0 of 0 seeded bugs found\n"
        ));
        report.mutants.push((super::super::mutants::all().next().unwrap(), None));
        assert!(!report.passed() && report.table().contains("NOT FOUND"));
        report.mutants.clear();
        report.read("failure\tmutex\tS1\tlock \"free\"").unwrap();
        assert!(!report.passed() && report.json().contains(r#""text":"lock \"free\"""#));
        assert!(report.read("row\tmutex\tS1\t3").is_err());
        assert!(report.read("error\tno").is_err());
    }
}
