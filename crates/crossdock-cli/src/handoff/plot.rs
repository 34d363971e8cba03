//! The bar chart as a picture.

use super::chart::Chart;
use super::report::Report;
use crate::shown;
use crate::units::{bytes, nanoseconds};
use std::fmt::Write;

const LEFT: f64 = 190.0;
const WIDTH: f64 = 520.0;
const TOP: f64 = 64.0;
const BAR: f64 = 18.0;
/// From the first bar of one way to the first bar of the next.
const STEP: f64 = 56.0;
const HOP_COLOR: &str = "#1f77b4";
const SUM_COLOR: &str = "#a6cbe3";

/// A bar chart with a logarithmic axis.
pub(super) fn svg(report: &Report) -> String {
    let chart = Chart::new(report);
    let ways = (chart.bars.len() / 2) as f64;
    let bottom = TOP + ways * STEP;
    let (full_width, full_height) = (LEFT + WIDTH + 90.0, bottom + 60.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {full_width} {full_height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let what = format!("{} x {}", shown::shape(&report.shape), report.dtype);
    let title = format!("Handing {} ({what}) to another process", bytes(report.len_bytes));
    text(&mut svg, 16.0, 24.0, "start", &title);
    for ns in chart.ticks() {
        let x = LEFT + chart.position(ns) * WIDTH;
        line(&mut svg, x, TOP - 8.0, bottom);
        text(&mut svg, x, bottom + 16.0, "middle", &nanoseconds(ns));
    }
    for (index, bar) in chart.bars.iter().enumerate() {
        let way_top = TOP + (index / 2) as f64 * STEP;
        let y = if bar.is_with_sum { way_top + BAR } else { way_top };
        let width = (chart.position(bar.ns) * WIDTH).max(1.0);
        let color = if bar.is_with_sum { SUM_COLOR } else { HOP_COLOR };
        rect(&mut svg, LEFT, y, width, color);
        text(&mut svg, LEFT + width + 6.0, y + 14.0, "start", &nanoseconds(bar.ns));
        if !bar.is_with_sum {
            text(&mut svg, LEFT - 10.0, way_top + BAR + 4.0, "end", bar.way);
        }
    }
    for (x, color, label) in [(LEFT, HOP_COLOR, "hop"), (LEFT + 80.0, SUM_COLOR, "hop + sum")] {
        rect(&mut svg, x, bottom + 30.0, 18.0, color);
        text(&mut svg, x + 24.0, bottom + 44.0, "start", label);
    }
    text(&mut svg, LEFT + WIDTH, bottom + 44.0, "end", "time, logarithmic");
    svg.push_str("</svg>\n");
    svg
}

// Writing to a string does not fail.

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

fn rect(svg: &mut String, x: f64, y: f64, width: f64, color: &str) {
    let size = format!("width=\"{width:.1}\" height=\"{BAR}\"");
    let _ = writeln!(svg, "<rect x=\"{x:.1}\" y=\"{y:.1}\" {size} fill=\"{color}\"/>");
}

fn line(svg: &mut String, x: f64, top: f64, bottom: f64) {
    let ends = format!("x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{bottom}\"");
    let _ = writeln!(svg, "<line {ends} stroke=\"#dddddd\"/>");
}
