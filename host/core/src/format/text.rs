//! Plain text for people: a line about all, then a line for each check, worst first.

use std::fmt::Write;

use super::{Format, Selection, backing_off, notes};
use crate::outcome::Outcome;

/// See the module.
#[derive(Debug)]
pub(super) struct Text;

impl Format for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn summary(&self) -> &'static str {
        "plain text for people, worst first"
    }

    fn media_type(&self) -> &'static str {
        "text/plain; charset=utf-8"
    }

    fn render(&self, selection: &Selection<'_>) -> Vec<u8> {
        let mut text = format!("{}: {}\n", selection.status(), selection.summary());
        let mut checks: Vec<_> = selection.checks.iter().collect();
        checks.sort_by_key(|check| std::cmp::Reverse(check.state));
        let widest = checks.iter().map(|check| check.spec.name.as_str().len()).max().unwrap_or(0);
        for check in checks {
            let took = check
                .duration()
                .map_or(String::new(), |d| format!(" ({:.1} ms)", d.as_secs_f64() * 1e3));
            let pause = backing_off(check).map_or(String::new(), |why| format!(" ({why})"));
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{:7} {:widest$}  {}{took}{pause}",
                check.state,
                check.spec.name.as_str(),
                check.message()
            );
            if let Some(last) = check.current()
                && let Outcome::Answered(report) = &last.run.outcome
            {
                for part in &report.parts {
                    let status = crate::status::Status::from(part.status);
                    let _ = writeln!(
                        text,
                        "{:7} {:widest$}  - {}: {}",
                        "",
                        "",
                        part.name,
                        format_args!("{status}: {}", part.message)
                    );
                }
            }
        }
        for note in notes(selection) {
            let _ = writeln!(text, "note: {note}");
        }
        text.into_bytes()
    }
}
