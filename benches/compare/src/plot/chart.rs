//! Two panels on the same axes, time against size, and their legend.

use super::scale::{Scale, enclosing};
use super::svg::Svg;
use crate::table::{Unit, quantity, size};

/// What was measured of one subject, in the order of sizes.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) label: &'static str,
    /// The class of its colour and of its dashes in [`STYLE`].
    pub(crate) class: &'static str,
    pub(crate) mark: Mark,
    pub(crate) points: Vec<Point>,
}

/// One size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) bytes: usize,
    /// The hop alone, and written + hop + read.
    pub(crate) ns: [f64; 2],
}

/// The shape of a line's points, for those who do not tell its colour.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mark {
    Circle,
    Square,
    Diamond,
    Triangle,
}

const WIDTH: f64 = 980.0;
const HEIGHT: f64 = 640.0;
const TOP: f64 = 84.0;
const BOTTOM: f64 = 460.0;
/// Left and right edges of the panels.
const PANELS: [[f64; 2]; 2] = [[82.0, 512.0], [536.0, 966.0]];
const TITLES: [&str; 2] = ["Hop alone", "Written + hop + read"];
const LEGEND_TOP: f64 = 536.0;
const LEGEND_ROW: f64 = 22.0;
const LEGEND_COLUMN: f64 = 312.0;
const LEGEND_COLUMNS: usize = 3;
/// From one mark of the axis of sizes to the next.
const SIZE_STEP: usize = 16;

/// Colours for a light page, and for a dark one.
const STYLE: &str = "
  .page { fill: #ffffff }
  text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #24292f }
  .title { font-size: 17px; font-weight: 600 }
  .panel { font-size: 14px; font-weight: 600 }
  .note { font-size: 11px; fill: #57606a }
  .grid { stroke: #d8dee4; stroke-width: 1 }
  .frame { fill: none; stroke: #8c959f; stroke-width: 1 }
  .curve { fill: none; stroke-width: 1.8; stroke-linejoin: round }
  .ours { stroke-width: 3.2 }
  .dashed { stroke-dasharray: 8 4 }
  .blue { stroke: #0969da } .blue.mark { fill: #0969da }
  .orange { stroke: #bc4c00 } .orange.mark { fill: #bc4c00 }
  .green { stroke: #1a7f37 } .green.mark { fill: #1a7f37 }
  .red { stroke: #cf222e } .red.mark { fill: #cf222e }
  .purple { stroke: #8250df } .purple.mark { fill: #8250df }
  .brown { stroke: #9a6700 } .brown.mark { fill: #9a6700 }
  .grey { stroke: #6e7781 } .grey.mark { fill: #6e7781 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 }
    text { fill: #e6edf3 }
    .note { fill: #9198a1 }
    .grid { stroke: #2a313c }
    .frame { stroke: #656c76 }
    .blue { stroke: #58a6ff } .blue.mark { fill: #58a6ff }
    .orange { stroke: #f0883e } .orange.mark { fill: #f0883e }
    .green { stroke: #3fb950 } .green.mark { fill: #3fb950 }
    .red { stroke: #ff7b72 } .red.mark { fill: #ff7b72 }
    .purple { stroke: #bc8cff } .purple.mark { fill: #bc8cff }
    .brown { stroke: #d9a520 } .brown.mark { fill: #d9a520 }
    .grey { stroke: #9da7b3 } .grey.mark { fill: #9da7b3 }
  }
";

/// The whole drawing; `note` says where and when it was measured. `None` if nothing was.
pub(crate) fn draw(lines: &[Line], note: &str) -> Option<String> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let times = enclosing(points().flat_map(|point| point.ns))?;
    let first = points().map(|point| point.bytes).min()?;
    // One size alone still needs an axis.
    let last = points().map(|point| point.bytes).max()?.max(first + 1);
    let y = Scale::new(times, [BOTTOM, TOP]);
    let mut svg = Svg::default();
    svg.open(
        "svg",
        &[
            ("xmlns", &"http://www.w3.org/2000/svg"),
            ("viewBox", &format!("0 0 {WIDTH} {HEIGHT}")),
            ("width", &WIDTH),
            ("height", &HEIGHT),
            ("role", &"img"),
        ],
    );
    let title = "What it costs to hand an array to another process";
    svg.text("title", &[], title);
    svg.text("style", &[], STYLE);
    svg.leaf("rect", &[("class", &"page"), ("width", &WIDTH), ("height", &HEIGHT)]);
    label(&mut svg, "title", "middle", [WIDTH / 2.0, 30.0], title);
    for (index, [left, right]) in PANELS.into_iter().enumerate() {
        let x = Scale::new([first as f64, last as f64], [left + 10.0, right - 10.0]);
        panel(&mut svg, lines, index, [first, last], &x, &y);
    }
    let middle = (TOP + BOTTOM) / 2.0;
    let turned = format!("rotate(-90 20 {middle})");
    let attributes: &[(&str, &dyn std::fmt::Display)] =
        &[("x", &20.0), ("y", &middle), ("text-anchor", &"middle"), ("transform", &turned)];
    svg.text("text", attributes, "time for one array, median");
    legend(&mut svg, lines);
    label(&mut svg, "note", "middle", [WIDTH / 2.0, HEIGHT - 12.0], note);
    Some(svg.finish())
}

/// One panel: its grid, its marked values, and a curve for each line.
fn panel(svg: &mut Svg, lines: &[Line], index: usize, sizes: [usize; 2], x: &Scale, y: &Scale) {
    let [left, right] = PANELS[index];
    let middle = (left + right) / 2.0;
    svg.open("g", &[]);
    label(svg, "panel", "middle", [middle, TOP - 14.0], TITLES[index]);
    for time in y.decades() {
        let at = y.at(time);
        grid(svg, [left, right], [at, at]);
        if index == 0 {
            label(svg, "tick", "end", [left - 8.0, at + 4.5], &whole(time));
        }
    }
    let [first, last] = sizes;
    let mut bytes = first;
    while bytes <= last {
        let at = x.at(bytes as f64);
        grid(svg, [at, at], [TOP, BOTTOM]);
        label(svg, "tick", "middle", [at, BOTTOM + 19.0], &size(bytes));
        bytes *= SIZE_STEP;
    }
    label(svg, "axis", "middle", [middle, BOTTOM + 42.0], "size of the array");
    let (width, height) = (right - left, BOTTOM - TOP);
    svg.leaf(
        "rect",
        &[("class", &"frame"), ("x", &left), ("y", &TOP), ("width", &width), ("height", &height)],
    );
    // The first lines are drawn last, on top of the others.
    for line in lines.iter().rev() {
        let places: Vec<[f64; 2]> = line
            .points
            .iter()
            .map(|point| [x.at(point.bytes as f64), y.at(point.ns[index])])
            .collect();
        svg.open("g", &[]);
        svg.text("title", &[], line.label);
        curve(svg, line, &places);
        svg.close();
    }
    svg.close();
}

fn curve(svg: &mut Svg, line: &Line, places: &[[f64; 2]]) {
    let points: Vec<String> = places.iter().map(|[x, y]| format!("{x},{y}")).collect();
    let class = format!("curve {}", line.class);
    svg.leaf("polyline", &[("class", &class), ("points", &points.join(" "))]);
    for place in places {
        mark(svg, line, *place);
    }
}

fn mark(svg: &mut Svg, line: &Line, [x, y]: [f64; 2]) {
    let path = match line.mark {
        Mark::Circle => format!("M{} {y}a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0 -6.4 0z", x - 3.2),
        Mark::Square => format!("M{} {}h6v6h-6z", x - 3.0, y - 3.0),
        Mark::Diamond => format!("M{x} {}l4.2 4.2l-4.2 4.2l-4.2 -4.2z", y - 4.2),
        Mark::Triangle => format!("M{x} {}l4.2 7.2h-8.4z", y - 4.4),
    };
    // The colour is the last word of the class.
    let colour = line.class.rsplit(' ').next().unwrap_or_default();
    svg.leaf("path", &[("class", &format!("mark {colour}")), ("d", &path)]);
}

fn legend(svg: &mut Svg, lines: &[Line]) {
    let rows = lines.len().div_ceil(LEGEND_COLUMNS);
    for (index, line) in lines.iter().enumerate() {
        let x = PANELS[0][0] + (index / rows) as f64 * LEGEND_COLUMN;
        let y = LEGEND_TOP + (index % rows) as f64 * LEGEND_ROW;
        let points = format!("{x},{y} {},{y}", x + 36.0);
        let class = format!("curve {}", line.class);
        svg.leaf("polyline", &[("class", &class), ("points", &points)]);
        mark(svg, line, [x + 18.0, y]);
        label(svg, "name", "start", [x + 46.0, y + 4.5], line.label);
    }
}

fn grid(svg: &mut Svg, [x1, x2]: [f64; 2], [y1, y2]: [f64; 2]) {
    let places: [(&str, &dyn std::fmt::Display); 5] =
        [("class", &"grid"), ("x1", &x1), ("y1", &y1), ("x2", &x2), ("y2", &y2)];
    svg.leaf("line", &places);
}

fn label(svg: &mut Svg, class: &str, anchor: &str, [x, y]: [f64; 2], text: &str) {
    svg.text("text", &[("class", &class), ("x", &x), ("y", &y), ("text-anchor", &anchor)], text);
}

/// A power of ten in its unit.
fn whole(ns: f64) -> String {
    quantity(ns, Unit::Nanoseconds).replace(".00", "").replace(".0", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(points: &[(usize, f64)]) -> Line {
        let points =
            points.iter().map(|&(bytes, ns)| Point { bytes, ns: [ns, 2.0 * ns] }).collect();
        Line { label: "ours", class: "ours blue", mark: Mark::Circle, points }
    }

    #[test]
    fn a_line_has_a_curve_in_each_panel_and_in_the_legend() {
        let drawing = draw(&[line(&[(64, 150.0), (1 << 30, 4e9)])], "here").expect("a drawing");
        assert_eq!(drawing.matches("<polyline class=\"curve ours blue\"").count(), 3);
        for text in [">100 ns<", ">10 s<", ">64 B<", ">1 GiB<", ">here<"] {
            assert!(drawing.contains(text), "{text} is missing in {drawing}");
        }
        assert!(!drawing.contains("NaN"), "{drawing}");
    }

    #[test]
    fn nothing_measured_is_nothing_drawn() {
        assert_eq!(draw(&[line(&[])], "here"), None);
    }
}
