//! The bar chart in the terminal, and the scale that it shares with the one in a file.

use super::report::Report;
use crate::output;
use crate::units::nanoseconds;
use std::iter;

/// Columns of the longest bar.
const WIDTH: usize = 54;

/// Bars whose lengths are logarithms of times.
pub(super) struct Chart {
    pub(super) bars: Vec<Bar>,
    /// A power of ten below all times, and one above.
    decades: (u32, u32),
}

pub(super) struct Bar {
    pub(super) way: &'static str,
    pub(super) ns: u64,
    /// Whether it is the longer one, with reading.
    pub(super) is_with_sum: bool,
}

impl Chart {
    /// The ways that were measured, two bars each.
    pub(super) fn new(report: &Report) -> Self {
        let bars: Vec<Bar> = report
            .rows
            .iter()
            .filter_map(|row| row.timing().map(|timing| (row.name, timing)))
            .flat_map(|(way, timing)| {
                let bar = |ns, is_with_sum| Bar { way, ns, is_with_sum };
                [bar(timing.hop.median_ns, false), bar(timing.until_sum.median_ns, true)]
            })
            .collect();
        let decade = |ns: u64| ns.max(1).ilog10();
        let low = bars.iter().map(|bar| decade(bar.ns)).min().unwrap_or(0);
        let high = bars.iter().map(|bar| decade(bar.ns) + 1).max().unwrap_or(1);
        Self { bars, decades: (low, high) }
    }

    /// Where a time lies, from 0 to 1.
    pub(super) fn position(&self, ns: u64) -> f64 {
        let (low, high) = self.decades;
        (((ns.max(1) as f64).log10() - f64::from(low)) / f64::from(high - low)).clamp(0.0, 1.0)
    }

    /// The powers of ten from end to end.
    pub(super) fn ticks(&self) -> impl Iterator<Item = u64> {
        let (low, high) = self.decades;
        (low..=high).map(|decade| 10_u64.saturating_pow(decade))
    }
}

/// The chart in at most 100 columns.
pub(super) fn text(report: &Report) -> String {
    let chart = Chart::new(report);
    let (solid, light, tick) =
        if output::is_utf8() { ('\u{2588}', '\u{2591}', '\u{2575}') } else { ('#', '=', '|') };
    let indent = chart.bars.iter().map(|bar| bar.way.len()).max().unwrap_or(0) + 2;
    let mut text = format!(" {solid} hop   {light} hop + sum   (logarithmic)\n\n");
    for bar in &chart.bars {
        let columns = ((chart.position(bar.ns) * WIDTH as f64).round() as usize).max(1);
        let (way, fill) = if bar.is_with_sum { ("", light) } else { (bar.way, solid) };
        let bar_text: String = iter::repeat_n(fill, columns).collect();
        text += &format!(" {way:<indent$}{bar_text} {}\n", nanoseconds(bar.ns));
    }
    let mut ticks = String::new();
    let mut labels = String::new();
    for ns in chart.ticks() {
        let column = 1 + indent + (chart.position(ns) * WIDTH as f64).round() as usize;
        // A tick belongs to the right end of a bar that is as long.
        let column = column.saturating_sub(1).max(1 + indent);
        ticks.extend(iter::repeat_n(' ', column.saturating_sub(ticks.chars().count())));
        ticks.push(tick);
        let label = nanoseconds(ns);
        if labels.len() < column {
            labels += &" ".repeat(column - labels.len());
            labels += &label;
        }
    }
    format!("{text}{ticks}\n{labels}\n")
}
