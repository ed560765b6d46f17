//! The text itself, sample by sample: heads, labels, numbers and escapes, each in one place.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::{Dialect, Kind};

/// The text as far as it is written.
#[derive(Debug)]
pub struct Exposition {
    dialect: Dialect,
    text: String,
}

impl Exposition {
    /// Nothing yet.
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, text: String::new() }
    }

    /// A family of samples. Its head is written with the first of them. A name is given once.
    pub fn family(&mut self, kind: Kind, name: &'static str, help: &'static str) -> Samples<'_> {
        Samples { exposition: self, kind, name, help, begun: false }
    }

    /// The whole text.
    pub fn finish(mut self) -> String {
        if self.dialect == Dialect::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

/// Takes the samples of a family; see [`Exposition::family`].
#[derive(Debug)]
pub struct Samples<'a> {
    exposition: &'a mut Exposition,
    kind: Kind,
    name: &'static str,
    help: &'static str,
    begun: bool,
}

impl Samples<'_> {
    /// A sample. No two of a family have the same labels.
    pub fn sample(&mut self, labels: &Labels, value: f64) {
        if !self.begun {
            self.begun = true;
            self.head();
        }
        let text = &mut self.exposition.text;
        // Writing to a String cannot fail.
        let _ = match labels.0.as_str() {
            "" => writeln!(text, "{} {}", self.name, number(value)),
            labels => writeln!(text, "{}{{{labels}}} {}", self.name, number(value)),
        };
    }

    fn head(&mut self) {
        let open = self.exposition.dialect == Dialect::OpenMetrics;
        let family = match self.kind {
            Kind::Counter if open => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Info if open => self.name.strip_suffix("_info").unwrap_or(self.name),
            _ => self.name,
        };
        let kind = match self.kind {
            Kind::Counter => "counter",
            Kind::Info if open => "info",
            Kind::Gauge | Kind::Info => "gauge",
        };
        let text = &mut self.exposition.text;
        // Writing to a String cannot fail.
        let _ = write!(text, "# HELP {family} ");
        escape(text, self.help, open);
        let _ = write!(text, "\n# TYPE {family} {kind}\n");
        if open && family.ends_with("_seconds") {
            let _ = writeln!(text, "# UNIT {family} seconds");
        }
    }
}

/// The labels of a sample as they are written: names as the format has them, each once, no empty
/// values (which are the same as none), everything else escaped. Equal texts are equal series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Labels(String);

impl Labels {
    /// Our own labels, whose names are names.
    pub fn new(pairs: &[(&'static str, &str)]) -> Self {
        let mut labels = Self::default();
        for (name, value) in pairs {
            labels.push(name, value);
        }
        labels
    }

    /// The same with labels of others, whose names may be anything. One that would have a name of
    /// ours, or a reserved one, is called `label_NAME`.
    #[must_use]
    pub fn with_foreign<'a>(
        &self,
        ours: &[&str],
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        // In the order of their names, whatever order they came in.
        let pairs: BTreeSet<(&str, &str)> = pairs.into_iter().collect();
        let mut taken: BTreeSet<String> = ours.iter().map(|name| (*name).to_owned()).collect();
        let mut labels = self.clone();
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            let plain = label_name(name);
            let mut name = match taken.contains(&plain) || plain.starts_with("__") {
                true => format!("label_{plain}"),
                false => plain,
            };
            while taken.contains(&name) {
                name.push('_');
            }
            labels.push(&name, value);
            taken.insert(name);
        }
        labels
    }

    fn push(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        let text = &mut self.0;
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        escape(text, value, true);
        text.push('"');
    }
}

/// Writes a text between quotes, or outside of them, on one line.
fn escape(out: &mut String, text: &str, quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' if quotes => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            // Not forbidden, and yet the end of a line or of a text to some readers.
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

/// A name as the format has it: letters, digits and `_`, the first no digit.
fn label_name(text: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let mut name: String = text.chars().map(fits).collect();
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else if value != 0.0 && !(1e-7..1e17).contains(&value.abs()) {
        format!("{value:e}")
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::read;
    use super::*;

    fn of(dialect: Dialect, write: impl Fn(&mut Exposition)) -> String {
        let mut exposition = Exposition::new(dialect);
        write(&mut exposition);
        exposition.finish()
    }

    #[test]
    fn the_dialects_differ_in_types_and_in_the_end() {
        let write = |out: &mut Exposition| {
            let labels = Labels::new(&[("a", "1")]);
            out.family(Kind::Counter, "runs_seconds_total", "\\ and\n\"so\".").sample(&labels, 2.5);
            out.family(Kind::Info, "build_info", "Help.").sample(&Labels::default(), 1.0);
            let _empty = out.family(Kind::Gauge, "nothing", "Without a sample there is no head.");
        };
        let prometheus = "# HELP runs_seconds_total \\\\ and\\n\"so\".\n# TYPE runs_seconds_total counter\nruns_seconds_total{a=\"1\"} 2.5\n# HELP build_info Help.\n# TYPE build_info gauge\nbuild_info 1\n";
        assert_eq!(of(Dialect::Prometheus, write), prometheus);
        let open = "# HELP runs_seconds \\\\ and\\n\\\"so\\\".\n# TYPE runs_seconds counter\n# UNIT runs_seconds seconds\nruns_seconds_total{a=\"1\"} 2.5\n# HELP build Help.\n# TYPE build info\nbuild_info 1\n# EOF\n";
        assert_eq!(of(Dialect::OpenMetrics, write), open);
        for dialect in [Dialect::Prometheus, Dialect::OpenMetrics] {
            assert_eq!(read(&of(dialect, write), dialect).map(|samples| samples.len()), Ok(2));
        }
    }

    #[test]
    fn values_of_labels_are_escaped_and_empty_ones_left_out() {
        let labels = Labels::new(&[("a", "x\"y\\z\nw\r\0é\u{1f600}"), ("b", "")]);
        assert_eq!(labels.0, "a=\"x\\\"y\\\\z\\nw\u{fffd}\u{fffd}é\u{1f600}\"");
    }

    #[test]
    fn names_of_labels_are_made_to_fit_and_stay_distinct() {
        let labels = |pairs: &[(&'static str, &'static str)]| {
            Labels::new(&[("check", "c")]).with_foreign(&["check"], pairs.iter().copied()).0
        };
        assert_eq!(labels(&[("queue", "q")]), "check=\"c\",queue=\"q\"");
        assert_eq!(labels(&[("check", "q")]), "check=\"c\",label_check=\"q\"");
        assert_eq!(labels(&[("a-b", "1"), ("a_b", "2")]), "check=\"c\",a_b=\"1\",label_a_b=\"2\"");
        assert_eq!(labels(&[("a_b", "2"), ("a-b", "1")]), labels(&[("a-b", "1"), ("a_b", "2")]));
        assert_eq!(labels(&[("__name__", "x")]), "check=\"c\",label___name__=\"x\"");
        assert_eq!(
            labels(&[("9", "x"), ("", "y"), ("é", "z")]),
            "check=\"c\",_=\"y\",_9=\"x\",label__=\"z\""
        );
        assert_eq!(labels(&[("gone", "")]), "check=\"c\"");
    }

    #[test]
    fn numbers_are_written_as_every_reader_takes_them() {
        let cases = [
            (0.0, "0"),
            (-1.5, "-1.5"),
            (1_700_000_000.123, "1700000000.123"),
            (1e300, "1e300"),
            (5e-324, "5e-324"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }
}
