//! Standard output and standard error, either of which may be closed at any time.

use crate::failure::{Failure, Result};
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use serde::Serialize;
use std::io::{self, ErrorKind, Write};

/// Prints text and a line end.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::OutputClosed,
        _ => Failure::Os("cannot write to standard output".to_owned(), error),
    })
}

/// Prints one JSON value.
pub(crate) fn print_json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::Os("cannot write JSON".to_owned(), error.into()))?;
    print(&text)
}

/// Prints one JSON value in one line, for a reader who takes them line by line.
pub(crate) fn print_json_line(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(value)
        .map_err(|error| Failure::Os("cannot write JSON".to_owned(), error.into()))?;
    print(&text)
}

/// Prints a line to standard error, if anybody listens.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Whether the terminal is likely to show more than ASCII: unless the locale says otherwise.
pub(crate) fn is_utf8() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(std::env::var_os)
        .find(|value| !value.is_empty());
    locale.is_none_or(|locale| {
        let locale = locale.to_string_lossy().to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// A table with a line below its head and nothing else.
pub(crate) fn table(head: &[&str], rows: Vec<Vec<String>>, right_aligned: &[usize]) -> String {
    let line = if is_utf8() { '\u{2500}' } else { '-' };
    let style = TableStyle::new().header_separator(LineStyle::none().fill(line).junction(line));
    let mut table = Table::new();
    table
        .load_style(style)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(head.to_vec())
        .add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((1, 1));
        if right_aligned.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}
