//! Plain text for people: a line about all, then a line for each group and check, worst first.

use std::fmt::Write;

use super::{Format, Selection, backing_off, notes, remarks, well_or_aside};
use crate::outcome::Outcome;
use crate::snapshot::{CheckState, Item};

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

    fn accepts(&self) -> &'static [&'static str] {
        &["text/plain"]
    }

    fn code(&self, selection: &Selection<'_>) -> u16 {
        if well_or_aside(selection) { 200 } else { 503 }
    }

    fn render(&self, selection: &Selection<'_>) -> Vec<u8> {
        let word = match selection.in_maintenance() {
            true => "in maintenance",
            false => selection.status().as_str(),
        };
        let mut text = format!("{word}: {}\n", selection.summary());
        let groups = selection.groups.iter().map(Item::Group);
        let mut items: Vec<Item<'_>> =
            groups.chain(selection.checks.iter().map(Item::Check)).collect();
        // What somebody works on comes last; of equals the groups first.
        items.sort_by_key(|item| (item.in_maintenance(), std::cmp::Reverse(item.state())));
        let widest = items.iter().map(|item| item.name().len()).max().unwrap_or(0);
        for item in items {
            let aside = remarks(item);
            let message = match item {
                Item::Check(check) => outcome(check),
                Item::Group(group) => format!("group: {}", group.message()),
            };
            let (state, name) = (item.state(), item.name());
            // Writing to a String cannot fail.
            let line = format!("{state:7} {name:widest$}  {aside}{message}");
            let _ = writeln!(text, "{}", line.trim_end());
            if let Item::Check(check) = item {
                parts(check, widest, &mut text);
            }
        }
        for note in notes(selection) {
            let _ = writeln!(text, "note: {note}");
        }
        text.into_bytes()
    }
}

/// The message, how long it took, and whether it runs less often.
fn outcome(check: &CheckState) -> String {
    let took =
        check.duration().map_or(String::new(), |d| format!(" ({:.1} ms)", d.as_secs_f64() * 1e3));
    let pause = backing_off(check).map_or(String::new(), |why| format!(" ({why})"));
    format!("{}{took}{pause}", check.message())
}

fn parts(check: &CheckState, widest: usize, text: &mut String) {
    let Some(last) = check.current() else { return };
    let Outcome::Answered(report) = &last.run.outcome else { return };
    for part in &report.parts {
        let status = crate::status::Status::from(part.status);
        let _ =
            writeln!(text, "{:7} {:widest$}  - {}: {status}: {}", "", "", part.name, part.message);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, group, snapshot};
    use super::*;
    use crate::status::Status;

    #[test]
    fn groups_and_maintenance_have_their_lines_worst_first() {
        let mut aside = check("aside", Status::Fail);
        aside.aside = Some(crate::snapshot::Aside::maintenance());
        let checks = [aside, check("b", Status::Fail), check("a", Status::Pass)];
        let groups = [
            group("any", &["a", "b"], Status::Pass, (1, 2)),
            group("both", &["a", "b"], Status::Fail, (1, 2)),
        ];
        let whole = snapshot(checks, groups);
        let text = String::from_utf8(Text.render(&Selection::all(&whole))).expect("text");
        assert_eq!(
            text,
            "fail: 1 of 2 groups does not pass: both (fail: 1 of 2 members healthy); 1 is in maintenance\n\
            fail    both   group: 1 of 2 members healthy\n\
            fail    b      message (1.0 ms)\n\
            pass    any    group: 1 of 2 members healthy\n\
            pass    a      message (1.0 ms)\n\
            fail    aside  in maintenance: message (1.0 ms)\n"
        );
    }
}
