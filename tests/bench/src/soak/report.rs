//! The figures of the soak: a table for people or JSON, and what is wrong with them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::watch::{Asked, Ended, Held, Kind, Polls};
use super::{GOOD, HTTP, INTERVAL, SEEN};

/// Later than this after the run before, a run of a good check is late.
const LATE: Duration = Duration::from_millis(1_250);

/// Part of the runs of the good checks that may be missing.
const MAX_MISSING: f64 = 0.01;

/// Descriptors that may be open afterwards and were not before: connections come and go.
const MAX_DESCRIPTORS: f64 = 8.0;

/// Memory that may stay, in bytes.
const MAX_MEMORY: f64 = 64.0 * MIB;

const MIB: f64 = 1024.0 * 1024.0;

/// A part of the soak.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) from: Instant,
    pub(super) to: Instant,
    /// CPU time of the server, and of the compilers that it started.
    pub(super) cpu: (Duration, Duration),
}

impl Span {
    fn has(&self, at: Instant) -> bool {
        self.from <= at && at < self.to
    }

    fn seconds(&self) -> f64 {
        (self.to - self.from).as_secs_f64()
    }
}

/// Times in milliseconds, of all questions of a kind.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Latency {
    asked: usize,
    unanswered: usize,
    p50: f64,
    p99: f64,
    max: f64,
}

impl Latency {
    fn of(asked: &[Asked], span: &Span, kind: Kind) -> Self {
        let of_kind = asked.iter().filter(|one| one.kind == kind && span.has(one.at));
        let all: Vec<Option<Duration>> = of_kind.map(|one| one.took).collect();
        let mut took: Vec<f64> =
            all.iter().flatten().map(|took| took.as_secs_f64() * 1e3).collect();
        took.sort_by(f64::total_cmp);
        Self {
            asked: all.len(),
            unanswered: all.len() - took.len(),
            p50: per_mille(&took, 500),
            p99: per_mille(&took, 990),
            max: took.last().copied().unwrap_or(f64::NAN),
        }
    }
}

/// The smallest number that so many thousandths of them do not exceed.
fn per_mille(sorted: &[f64], thousandths: usize) -> f64 {
    let rank = (sorted.len() * thousandths).div_ceil(1000);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// How late the good checks of a kind were.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Late {
    /// Runs that began late, of so many that were seen to begin.
    begins: (usize, usize),
    ends: (usize, usize),
    /// Longest from begin to begin, or from end to end, in milliseconds.
    worst: f64,
}

impl Late {
    fn of(begins: &[Ended], ends: &[Ended]) -> Self {
        let late = |list: &[Ended]| {
            let gaps: Vec<Duration> = list.iter().filter_map(|one| one.gap).collect();
            (gaps.iter().filter(|gap| **gap > LATE).count(), gaps.len())
        };
        let worst = begins.iter().chain(ends).filter_map(|one| one.gap).max();
        Self {
            begins: late(begins),
            ends: late(ends),
            worst: worst.map_or(f64::NAN, |gap| gap.as_secs_f64() * 1e3),
        }
    }
}

/// What a part of the soak came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Part {
    seconds: f64,
    /// `/health` on a kept connection.
    kept: Latency,
    /// `/health` on a new connection each time.
    fresh: Latency,
    /// How late a thread of ours wakes up.
    timer: Latency,
    /// Runs of the good checks.
    runs: f64,
    runs_expected: f64,
    /// Those of the kind `http`.
    builtin: Late,
    /// Those of plugins; the begins are of `json-number` alone, since `minimal` asks no target.
    plugins: Late,
    /// Looks at which a good check did not pass.
    unwell: usize,
    /// Longest from one look to the next, in milliseconds: no gap is known better than this.
    longest_look: f64,
    hostile_runs: f64,
    cpu_seconds: f64,
    compiler_cpu_seconds: f64,
}

impl Part {
    /// From all that was seen, what falls into a part.
    pub(super) fn of(
        span: &Span,
        asked: &[Asked],
        arrivals: &[(usize, Instant)],
        polls: &Polls,
    ) -> Self {
        let within = |list: &mut dyn Iterator<Item = &Ended>| {
            list.filter(|one| span.has(one.seen)).copied().collect::<Vec<Ended>>()
        };
        let mut begins: [Vec<Ended>; GOOD] = std::array::from_fn(|_| Vec::new());
        for &(check, seen) in arrivals {
            if let Some(list) = begins.get_mut(check) {
                let gap = list.last().map(|before| seen - before.seen);
                list.push(Ended { seen, gap });
            }
        }
        let ended = |range: Range<usize>| {
            let lists = range.filter_map(|number| polls.good.get(&super::name(number)));
            // The first one that is seen ended before.
            within(&mut lists.flatten().filter(|one| one.gap.is_some()))
        };
        let began = |range: Range<usize>| within(&mut begins[range].iter().flatten());
        // Who asks a target is counted there, where nothing can be missed.
        let runs = began(0..SEEN).len() + ended(SEEN..GOOD).len();
        let hostile = within(&mut polls.hostile.values().flatten());
        let looks = polls.at.windows(2).filter(|pair| span.has(pair[0]) && span.has(pair[1]));
        let longest = looks.map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
        Self {
            seconds: span.seconds(),
            kept: Latency::of(asked, span, Kind::Kept),
            fresh: Latency::of(asked, span, Kind::Fresh),
            timer: Latency::of(asked, span, Kind::Timer),
            runs: number(runs),
            runs_expected: span.seconds() / INTERVAL.as_secs_f64() * number(GOOD),
            builtin: Late::of(&began(0..HTTP), &ended(0..HTTP)),
            plugins: Late::of(&began(HTTP..SEEN), &ended(HTTP..GOOD)),
            unwell: polls.unwell.iter().filter(|one| span.has(one.seen)).count(),
            longest_look: longest.as_secs_f64() * 1e3,
            hostile_runs: number(hostile.len()),
            cpu_seconds: span.cpu.0.as_secs_f64(),
            compiler_cpu_seconds: span.cpu.1.as_secs_f64(),
        }
    }

    fn missing(&self) -> f64 {
        (1.0 - self.runs / self.runs_expected).max(0.0)
    }
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// What came of the hostile checks.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Hostile {
    pub(super) checks: usize,
    /// Runs that were seen to end, from the moment they were there.
    pub(super) runs: f64,
    /// Checks that back off at the end.
    pub(super) backing_off: usize,
    /// How many ended as what: the state, or the reason of a fault.
    pub(super) outcomes: BTreeMap<String, usize>,
}

impl Hostile {
    /// As they were at the last look.
    pub(super) fn of(polls: &Polls) -> Self {
        let runs = polls.hostile.values().map(Vec::len).sum();
        let mut hostile = Self { runs: number(runs), ..Self::default() };
        for check in polls.checks.iter().filter(|check| check.name.starts_with("hostile-")) {
            hostile.checks += 1;
            hostile.backing_off += usize::from(check.backoff.is_some());
            let outcome = check.reason.as_ref().unwrap_or(&check.state);
            *hostile.outcomes.entry(outcome.clone()).or_default() += 1;
        }
        hostile
    }
}

/// All figures.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Figures {
    /// The good checks alone.
    pub(super) alone: Part,
    /// While the hostile plugins are loaded.
    pub(super) loading: Part,
    /// With all of them.
    pub(super) soak: Part,
    pub(super) before: Held,
    pub(super) peak: Held,
    pub(super) after: Held,
    pub(super) hostile: Hostile,
    /// What must not be; empty if all is well.
    pub(super) wrong: Vec<String>,
}

impl Figures {
    /// Adds what the numbers show to what is wrong.
    pub(super) fn judge(&mut self) {
        let mut wrong = Vec::new();
        for (when, part) in self.parts() {
            if part.missing() > MAX_MISSING {
                let (runs, expected) = (part.runs, part.runs_expected);
                wrong.push(format!("{when}: {runs} of {expected:.0} runs of good checks"));
            }
            if part.unwell > 0 {
                wrong.push(format!("{when}: a good check did not pass, {} times", part.unwell));
            }
            let unanswered = part.kept.unanswered + part.fresh.unanswered;
            if unanswered > 0 {
                wrong
                    .push(format!("{when}: {unanswered} questions to the endpoint without answer"));
            }
        }
        let (before, after) = (self.before, self.after);
        if after.descriptors > before.descriptors + MAX_DESCRIPTORS {
            let (before, after) = (before.descriptors, after.descriptors);
            wrong.push(format!("{after} descriptors are open afterwards, {before} were before"));
        }
        if after.memory > before.memory + MAX_MEMORY {
            let (before, after) = (before.memory / MIB, after.memory / MIB);
            wrong.push(format!("{after:.0} MiB are resident afterwards, {before:.0} were before"));
        }
        self.wrong.extend(wrong);
    }

    fn parts(&self) -> [(&'static str, &Part); 3] {
        [("alone", &self.alone), ("loading", &self.loading), ("soak", &self.soak)]
    }

    /// Three small tables, and what is wrong.
    pub(super) fn text(&self) -> String {
        let parts = [&self.alone, &self.loading, &self.soak];
        let rates = |show: &dyn Fn(&Part) -> String| parts.map(show);
        let milliseconds = |of: fn(&Part) -> f64| {
            let ratio = of(&self.soak) / of(&self.alone);
            let [alone, loading, soak] = rates(&|part| format!("{:.1} ms", of(part)));
            let ratio = if ratio.is_finite() { format!("{ratio:.1}x") } else { String::new() };
            [alone, loading, soak, ratio]
        };
        let plain = |show: &dyn Fn(&Part) -> String| {
            let [alone, loading, soak] = rates(show);
            [alone, loading, soak, String::new()]
        };
        let late = |of: fn(&Part) -> (usize, usize)| {
            let percent = |part: &Part| number(of(part).0) / number(of(part).1) * 100.0;
            let ratio = percent(&self.soak) / percent(&self.alone);
            let [alone, loading, soak] =
                rates(&|part| format!("{} ({:.2} %)", of(part).0, percent(part)));
            let ratio = if ratio.is_finite() { format!("{ratio:.1}x") } else { String::new() };
            [alone, loading, soak, ratio]
        };
        let mut rows = vec![(
            "what".to_owned(),
            ["alone", "loading", "soak", "soak/alone"].map(str::to_owned),
        )];
        let mut row = |what: &str, cells: [String; 4]| rows.push((what.to_owned(), cells));
        row("lasted", plain(&|part| format!("{:.0} s", part.seconds)));
        row("kept connection, p50", milliseconds(|part| part.kept.p50));
        row("kept connection, p99", milliseconds(|part| part.kept.p99));
        row("kept connection, worst", milliseconds(|part| part.kept.max));
        row("new connections, p50", milliseconds(|part| part.fresh.p50));
        row("new connections, p99", milliseconds(|part| part.fresh.p99));
        row("new connections, worst", milliseconds(|part| part.fresh.max));
        row("a timer of ours late, p99", milliseconds(|part| part.timer.p99));
        row("a timer of ours late, worst", milliseconds(|part| part.timer.max));
        let asked = |part: &Part| (part.kept.asked + part.fresh.asked).to_string();
        row("questions", plain(&asked));
        let runs = |part: &Part| format!("{} of {:.0}", part.runs, part.runs_expected);
        row("good runs", plain(&runs));
        row("built-in, began late", late(|part| part.builtin.begins));
        row("built-in, ended late", late(|part| part.builtin.ends));
        row("built-in, longest from run to run", milliseconds(|part| part.builtin.worst));
        row("plugins, began late", late(|part| part.plugins.begins));
        row("plugins, ended late", late(|part| part.plugins.ends));
        row("plugins, longest from run to run", milliseconds(|part| part.plugins.worst));
        row("longest from look to look", milliseconds(|part| part.longest_look));
        row("looks at a good check not passing", plain(&|part| part.unwell.to_string()));
        row("hostile runs", plain(&|part| part.hostile_runs.to_string()));
        let cpu = |part: &Part| {
            format!("{:.1} s ({:.2} cores)", part.cpu_seconds, part.cpu_seconds / part.seconds)
        };
        row("CPU of the server", plain(&cpu));
        row("CPU of its compilers", plain(&|part| format!("{:.1} s", part.compiler_cpu_seconds)));
        let mut text = table(&rows);

        let held = [&self.before, &self.peak, &self.after];
        let counts = |what: &str, of: fn(&Held) -> f64| {
            let cells = held.map(|held| format!("{:.0}", of(held)));
            let more = of(&self.after) - of(&self.before);
            let [before, peak, after] = cells;
            (what.to_owned(), [before, peak, after, format!("{more:+.0}")])
        };
        text.push('\n');
        text += &table(&[
            (
                "the server holds".to_owned(),
                ["before", "peak", "after", "after - before"].map(str::to_owned),
            ),
            counts("resident memory, MiB", |held| held.memory / MIB),
            counts("file descriptors", |held| held.descriptors),
            counts("threads", |held| held.threads),
        ]);

        let Hostile { checks, runs, backing_off, outcomes } = &self.hostile;
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{checks} hostile checks, {runs} runs, {backing_off} back off now:");
        for (outcome, count) in outcomes {
            let _ = write!(text, " {outcome} {count},");
        }
        if text.ends_with(',') {
            text.pop();
        }
        text.push_str("\n\n");
        if self.wrong.is_empty() {
            text.push_str("all is well\n");
        }
        for wrong in &self.wrong {
            let _ = writeln!(text, "WRONG: {wrong}");
        }
        text
    }
}

/// Columns as wide as their widest cell; the first row is the head.
fn table(rows: &[(String, [String; 4])]) -> String {
    let first = rows.iter().map(|(what, _)| what.len()).max().unwrap_or(0);
    let widths: [usize; 4] = std::array::from_fn(|column| {
        rows.iter().map(|(_, cells)| cells[column].len()).max().unwrap_or(0)
    });
    let mut text = String::new();
    for (index, (what, cells)) in rows.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(text, "| {what:<first$} |");
        for (cell, width) in cells.iter().zip(widths) {
            let _ = write!(text, " {cell:>width$} |");
        }
        text.push('\n');
        if index == 0 {
            let _ = write!(text, "| {} |", "-".repeat(first));
            for width in widths {
                let _ = write!(text, " {} |", "-".repeat(width));
            }
            text.push('\n');
        }
    }
    text
}
