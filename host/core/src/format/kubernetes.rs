//! The text that Kubernetes' own servers answer with at `/healthz`, `/livez` and `/readyz`.
//!
//! `ok` without a line's end, or a line for each thing that is looked at: always where something
//! fails, and with `?verbose`. The code of a failure is 500. Why something fails stays out of the
//! list. wellcheck says how it is itself with the same lines.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::{Format, Selection, well_or_aside};
use crate::snapshot::Item;

/// See the module.
#[derive(Debug)]
pub(super) struct Kubernetes;

impl Format for Kubernetes {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn summary(&self) -> &'static str {
        "`ok`, or what fails, as Kubernetes' /healthz does; 200 or 500"
    }

    fn media_type(&self) -> &'static str {
        "text/plain; charset=utf-8"
    }

    fn code(&self, selection: &Selection<'_>) -> u16 {
        if well_or_aside(selection) { 200 } else { 500 }
    }

    fn render(&self, selection: &Selection<'_>) -> Vec<u8> {
        if well_or_aside(selection) {
            return OK.as_bytes().to_vec();
        }
        let mut text = lines(&looks(selection), &BTreeSet::new()).0;
        text.push_str("healthz check failed\n");
        text.into_bytes()
    }
}

const OK: &str = "ok";

/// One thing that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look<'a> {
    /// What it is called.
    pub name: &'a str,
    /// How it is.
    pub verdict: Verdict,
}

/// How a thing is that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Not as it should be.
    Failed,
    /// It does not count.
    Excluded,
}

/// What a request asks for beside the path.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The path's word, which the last line begins with: `livez`.
    pub endpoint: &'a str,
    /// Names that shall not count.
    pub exclude: &'a [String],
    /// Whether to list everything although nothing fails.
    pub verbose: bool,
}

/// What is looked at in a selection: its groups, and the checks that are in none.
pub fn looks<'a>(selection: &'a Selection<'_>) -> Vec<Look<'a>> {
    let verdict = |item: Item<'_>| match selection.is_of_one() || item.counts() {
        true => verdict(item),
        false => Verdict::Excluded,
    };
    let look = |item: Item<'a>| Look { name: item.name(), verdict: verdict(item) };
    selection.tree().into_iter().map(look).collect()
}

/// How one check or group is, asked for by itself.
pub fn verdict(item: Item<'_>) -> Verdict {
    match item.state().is_healthy() {
        _ if item.in_maintenance() => Verdict::Excluded,
        true => Verdict::Ok,
        false => Verdict::Failed,
    }
}

/// Code and text about many things. `warnings` are lines of their own after the list.
pub fn all(looks: &[Look<'_>], asked: Asked<'_>, warnings: &[String]) -> (u16, String) {
    let ping = [Look { name: "ping", verdict: Verdict::Ok }];
    let looks = if looks.is_empty() { &ping } else { looks };
    let exclude: BTreeSet<&str> = asked.exclude.iter().map(String::as_str).collect();
    let (mut text, failed) = lines(looks, &exclude);
    if !failed && !asked.verbose {
        return (200, OK.to_owned());
    }
    let known: BTreeSet<&str> = looks.iter().map(|look| look.name).collect();
    let unknown: Vec<String> = exclude.difference(&known).map(|name| quoted(name)).collect();
    // Writing to a String cannot fail.
    if !unknown.is_empty() {
        let list = unknown.join(",");
        let _ =
            writeln!(text, "warn: some health checks cannot be excluded: no matches for {list}");
    }
    for warning in warnings {
        let _ = writeln!(text, "warn: {warning}");
    }
    let (code, word) = if failed { (500, "failed") } else { (200, "passed") };
    let _ = writeln!(text, "{} check {word}", asked.endpoint);
    (code, text)
}

/// Code and text about one thing; `why` is what is said of a failure.
pub fn one(verdict: Verdict, why: &str) -> (u16, String) {
    match verdict {
        Verdict::Ok | Verdict::Excluded => (200, OK.to_owned()),
        Verdict::Failed => (500, format!("internal server error: {why}\n")),
    }
}

/// The list, and whether something fails.
fn lines(looks: &[Look<'_>], exclude: &BTreeSet<&str>) -> (String, bool) {
    let mut text = String::new();
    let mut failed = false;
    for look in looks {
        let _ = match look.verdict {
            _ if exclude.contains(look.name) => writeln!(text, "[+]{} excluded: ok", look.name),
            Verdict::Excluded => writeln!(text, "[+]{} excluded: ok", look.name),
            Verdict::Ok => writeln!(text, "[+]{} ok", look.name),
            Verdict::Failed => {
                failed = true;
                writeln!(text, "[-]{} failed: reason withheld", look.name)
            }
        };
    }
    (text, failed)
}

/// A name that somebody asked for: nothing of it may look like a line of ours.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.chars().take(40).flat_map(char::escape_debug).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, group, snapshot};
    use super::*;
    use crate::status::Status;

    const ASKED: Asked<'_> = Asked { endpoint: "livez", exclude: &[], verbose: false };

    fn two() -> Vec<Look<'static>> {
        let look = |name, verdict| Look { name, verdict };
        vec![look("a", Verdict::Ok), look("b", Verdict::Failed)]
    }

    #[test]
    fn a_success_is_ok_and_a_failure_a_list() {
        assert_eq!(all(&two()[..1], ASKED, &[]), (200, "ok".to_owned()));
        let text = "[+]a ok\n[-]b failed: reason withheld\nlivez check failed\n";
        assert_eq!(all(&two(), ASKED, &[]), (500, text.to_owned()));
        let verbose = Asked { verbose: true, ..ASKED };
        assert_eq!(
            all(&two()[..1], verbose, &[]),
            (200, "[+]a ok\nlivez check passed\n".to_owned())
        );
        assert_eq!(all(&[], verbose, &[]), (200, "[+]ping ok\nlivez check passed\n".to_owned()));
    }

    #[test]
    fn what_is_excluded_does_not_count_and_what_is_not_there_is_said() {
        let exclude = ["b".to_owned(), "x\"\n[+]y ok".to_owned()];
        let asked = Asked { exclude: &exclude, ..ASKED };
        assert_eq!(all(&two(), asked, &[]), (200, "ok".to_owned()));
        let asked = Asked { verbose: true, ..asked };
        let text = "[+]a ok\n[+]b excluded: ok\nwarn: some health checks cannot be excluded: no matches for \"x\\\"\\n[+]y ok\"\nwarn: w\nlivez check passed\n";
        assert_eq!(all(&two(), asked, &["w".to_owned()]), (200, text.to_owned()));
    }

    #[test]
    fn one_thing_is_ok_or_says_why() {
        assert_eq!(one(Verdict::Ok, "no"), (200, "ok".to_owned()));
        assert_eq!(one(Verdict::Failed, "no"), (500, "internal server error: no\n".to_owned()));
    }

    #[test]
    fn groups_stand_for_their_members_and_maintenance_is_excluded() {
        let mut aside = check("m", Status::Fail);
        aside.aside = Some(crate::snapshot::Aside::maintenance());
        let any = group("any", &["a", "b"], Status::Warn, (1, 2));
        let checks = [check("a", Status::Warn), check("b", Status::Fail), aside];
        let whole = snapshot(checks, [any]);
        let selection = Selection::all(&whole);
        assert_eq!(
            (Kubernetes.code(&selection), &*Kubernetes.render(&selection)),
            (200, &b"ok"[..])
        );
        let verbose = Asked { verbose: true, ..ASKED };
        let text = "[+]any ok\n[+]m excluded: ok\nlivez check passed\n";
        assert_eq!(all(&looks(&selection), verbose, &[]), (200, text.to_owned()));
        let failing = snapshot([check("a", Status::Unknown)], []);
        let selection = Selection::all(&failing);
        let text = String::from_utf8(Kubernetes.render(&selection)).expect("text");
        assert_eq!(text, "[-]a failed: reason withheld\nhealthz check failed\n");
        assert_eq!(Kubernetes.code(&selection), 500);
    }
}
