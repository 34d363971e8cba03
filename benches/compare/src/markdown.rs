//! The rows of one measure as a table in Markdown.

use crate::table::{Comparison, Row, size};

/// A row and its comparisons, one line each. Goals that are missed are set in bold.
pub(crate) fn table(rows: &[&Row]) -> String {
    let mut lines = vec![
        "| subject | array | min | p50 | p99 | ratio, median over rounds | goal |".to_owned(),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    for row in rows {
        let [min, p50, p99] = row.numbers();
        let ratios: Vec<String> =
            row.comparisons.iter().map(ratio).chain(row.note.clone()).collect();
        let goals: Vec<String> = row.comparisons.iter().map(goal).collect();
        lines.push(format!(
            "| {} | {} | {min} | {p50} | {p99} | {} | {} |",
            row.subject,
            size(row.bytes),
            ratios.join("<br>"),
            goals.join("<br>"),
        ));
    }
    lines.join("\n")
}

fn ratio(comparison: &Comparison) -> String {
    comparison.ratio_text()
}

fn goal(comparison: &Comparison) -> String {
    match comparison.reached() {
        Some(true) => format!("{} reached", comparison.goal_text()),
        Some(false) => format!("{} **missed**", comparison.goal_text()),
        None => String::new(),
    }
}
