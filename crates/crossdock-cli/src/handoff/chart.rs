//! The bar chart in the terminal, and the scale that it shares with the one in a file.

use super::report::Report;
use crate::output;
use crate::units::nanoseconds;
use std::iter;

/// Columns of the longest bar.
const WIDTH: usize = 56;
/// Columns that a label of the axis needs.
const LABEL: usize = 8;

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
    text + &axis(&chart, 1 + indent, tick)
}

/// The ticks, and below them as many labels as fit at equal distances.
fn axis(chart: &Chart, left: usize, tick: char) -> String {
    let decades = chart.ticks().count().max(2) - 1;
    let stride = LABEL.div_ceil((WIDTH / decades).max(1));
    let (mut ticks, mut labels) = (String::new(), String::new());
    for (index, ns) in chart.ticks().enumerate() {
        // Below the right end of a bar that is as long.
        let columns = (chart.position(ns) * WIDTH as f64).round() as usize;
        let column = left + columns.saturating_sub(1);
        ticks.extend(iter::repeat_n(' ', column.saturating_sub(ticks.chars().count())));
        ticks.push(tick);
        if index % stride == 0 {
            labels += &" ".repeat(column.saturating_sub(labels.len()));
            labels += &nanoseconds(ns);
        }
    }
    format!("{ticks}\n{labels}\n")
}
