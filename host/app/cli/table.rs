//! Tables and colors for the terminal.

use std::fmt::Write;

use wellcheck_core::status::Status;

use super::setup::color;

/// A status, padded to `width`, colored on a terminal.
pub(super) fn paint(status: Status, width: usize) -> String {
    let text = format!("{:width$}", status.as_str());
    if !color() {
        return text;
    }
    let code = match status {
        Status::Pass => "32",
        Status::Warn => "33",
        Status::Unknown => "35",
        Status::Fail => "31",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// Rows as columns, each as wide as its widest cell; the last one as it is.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| shown_width(cell))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let last = column + 1 == row.len();
            let pad = if last { 0 } else { widths[column].saturating_sub(shown_width(cell)) + 2 };
            // Writing to a String cannot fail.
            let _ = write!(text, "{cell}{:pad$}", "");
        }
        text.push('\n');
    }
    text
}

/// Characters that take a place on the screen: colors do not.
fn shown_width(cell: &str) -> usize {
    let mut width = 0;
    let mut escaped = false;
    for c in cell.chars() {
        match (escaped, c) {
            (false, '\u{1b}') => escaped = true,
            (true, 'm') => escaped = false,
            (true, _) => {}
            (false, _) => width += 1,
        }
    }
    width
}
