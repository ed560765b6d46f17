//! What is printed: a table for people, or JSON.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::measure::{Pair, median};

/// One line of the table.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Line {
    name: String,
    what: String,
    unit: Unit,
    ours: f64,
    baseline: Option<f64>,
    ratio: Option<f64>,
    target: Option<Target>,
    /// Every round that was measured, ours and the baseline's.
    rounds: Pair,
}

/// What the numbers of a line are.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unit {
    /// CPU time of one operation.
    CpuMicroseconds,
    /// CPU time of something that happens once.
    CpuMilliseconds,
    /// Time by the wall.
    WallMilliseconds,
    /// Part of one core's time.
    PercentOfCore,
    Bytes,
    Mebibytes,
}

/// What a line should reach.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Target {
    /// At most so many times the baseline.
    Ratio(f64),
    /// At most this, in the line's unit.
    AtMost(f64),
    /// What somebody measured elsewhere; nothing depends on it.
    Orientation(f64),
}

impl Line {
    /// A line from all its rounds.
    pub(crate) fn new(
        name: &str,
        what: impl Into<String>,
        unit: Unit,
        rounds: Pair,
        target: Option<Target>,
    ) -> Self {
        let ours = median(&rounds.ours).unwrap_or(f64::NAN);
        let baseline = median(&rounds.baseline);
        let ratio = baseline.map(|baseline| ours / baseline);
        Self {
            name: name.to_owned(),
            what: what.into(),
            unit,
            ours,
            baseline,
            ratio,
            target,
            rounds,
        }
    }

    fn cells(&self) -> [String; 5] {
        let value = |number: f64| self.unit.show(number);
        let verdict = |met| if met { "met" } else { "MISSED" };
        let target = match (self.target, self.ratio) {
            (Some(Target::Ratio(most)), Some(ratio)) => {
                format!("{most:.1}x, {}", verdict(ratio <= most))
            }
            (Some(Target::Ratio(most)), None) => format!("{most:.1}x"),
            (Some(Target::AtMost(most)), _) => {
                format!("{}, {}", value(most), verdict(self.ours <= most))
            }
            (Some(Target::Orientation(there)), _) => format!("({})", value(there)),
            (None, _) => String::new(),
        };
        [
            format!("{}: {}", self.name, self.what),
            value(self.ours),
            self.baseline.map(value).unwrap_or_default(),
            self.ratio.map(|ratio| format!("{ratio:.2}x")).unwrap_or_default(),
            target,
        ]
    }
}

impl Unit {
    fn show(self, number: f64) -> String {
        match self {
            Self::CpuMicroseconds => format!("{number:.1} us"),
            Self::CpuMilliseconds => format!("{number:.0} ms CPU"),
            Self::WallMilliseconds => format!("{number:.0} ms"),
            Self::PercentOfCore => format!("{number:.2} %"),
            Self::Bytes => format!("{number:.0} B"),
            Self::Mebibytes => format!("{number:.1} MiB"),
        }
    }
}

/// The table.
pub(crate) fn text(lines: &[Line]) -> String {
    let head = ["what", "ours", "baseline", "ratio", "target"].map(str::to_owned);
    let rows: Vec<[String; 5]> =
        std::iter::once(head).chain(lines.iter().map(Line::cells)).collect();
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(width);
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let [what, ours, baseline, ratio, target] = row;
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {what:<0$} | {ours:>1$} | {baseline:>2$} | {ratio:>3$} | {target:<4$} |",
            widths[0], widths[1], widths[2], widths[3], widths[4],
        );
        if index == 0 {
            let [what, ours, baseline, ratio, target] = widths.map(|width| "-".repeat(width));
            let _ = writeln!(text, "| {what} | {ours} | {baseline} | {ratio} | {target} |");
        }
    }
    text
}

/// The same with every round, for programs.
pub(crate) fn json(lines: &[Line]) -> Result<String> {
    serde_json::to_string_pretty(lines).context("writing JSON")
}
