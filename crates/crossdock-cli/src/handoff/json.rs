//! The report for programs.

use super::python::Versions;
use super::report::{Outcome, Report};
use super::spread::Spread;
use crate::failure::Result;
use crate::output;
use crate::shown;
use crate::stats::{Number, Summary};
use crossdock_sys::place;
use serde::{Serialize, Serializer};

#[derive(Serialize)]
struct Document<'a> {
    array: Array<'a>,
    method: Method,
    rows: Vec<Row<'a>>,
    /// Of the producer, and the same of every consumer.
    found: Found,
    #[serde(skip_serializing_if = "Option::is_none")]
    conclusion: Option<String>,
}

#[derive(Serialize)]
struct Array<'a> {
    file: Option<String>,
    dtype: &'static str,
    shape: &'a [usize],
    order: &'static str,
    len_bytes: u64,
}

#[derive(Serialize)]
struct Method {
    clock: &'static str,
    hop: &'static str,
    hop_and_sum: &'static str,
    is_clock_cost_subtracted: bool,
    /// While crossdock's hops are measured.
    has_each_process_its_own_cpu: bool,
}

#[derive(Serialize)]
struct Row<'a> {
    way: &'static str,
    name: &'static str,
    is_measured: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<&'a Versions>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    timing: Option<Timing>,
}

#[derive(Serialize)]
struct Timing {
    hop_one_way: Spread,
    #[serde(skip_serializing_if = "Option::is_none")]
    hop_one_way_to_a_sleeper: Option<Spread>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_hop_one_way_ns: Option<u64>,
    hop_and_sum: Spread,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_hop_and_sum_ns: Option<u64>,
}

#[derive(Serialize)]
struct Found {
    elements: u64,
    sum: Shown,
    min: Option<Shown>,
    max: Option<Shown>,
    mean: Option<Shown>,
}

/// A number as JSON has them: a complex one is a pair, what is no number is null.
struct Shown(Number);

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Number::Integer(value) => value.serialize(serializer),
            Number::Real(value) => value.serialize(serializer),
            Number::Complex(re, im) => (re, im).serialize(serializer),
        }
    }
}

impl From<&Summary> for Found {
    fn from(summary: &Summary) -> Self {
        Self {
            elements: summary.elements,
            sum: Shown(summary.sum),
            min: summary.min.map(Shown),
            max: summary.max.map(Shown),
            mean: summary.mean.map(Shown),
        }
    }
}

pub(super) fn print(report: &Report) -> Result<()> {
    let rows = report.rows.iter().map(|row| {
        let (reason, timing) = match &row.outcome {
            Outcome::Absent(reason) => (Some(reason.as_str()), None),
            Outcome::Measured(timing) => {
                let timing = Timing {
                    hop_one_way: timing.hop,
                    hop_one_way_to_a_sleeper: timing.hop_asleep,
                    first_hop_one_way_ns: timing.first_hop_ns,
                    hop_and_sum: timing.until_sum,
                    first_hop_and_sum_ns: timing.first_until_sum_ns,
                };
                (None, Some(timing))
            }
        };
        let (is_measured, versions) = (timing.is_some(), row.versions.as_ref());
        Row { way: row.id, name: row.name, is_measured, reason, versions, timing }
    });
    output::print_json(&Document {
        array: Array {
            file: report.origin.as_ref().map(|path| path.display().to_string()),
            dtype: report.dtype.name(),
            shape: &report.shape,
            order: shown::order(report.order),
            len_bytes: report.len_bytes,
        },
        method: Method {
            clock: "CLOCK_MONOTONIC, read by both processes",
            hop: "from the call that sends until the other process has the array in hand",
            hop_and_sum: "from the call that sends until the other process knows the sum",
            is_clock_cost_subtracted: false,
            has_each_process_its_own_cpu: place::pair().is_some(),
        },
        rows: rows.collect(),
        found: Found::from(&report.summary),
        conclusion: report.conclusion(),
    })
}
