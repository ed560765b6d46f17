//! The text that Prometheus and OpenMetrics collect: families of samples with labels.
//!
//! An encoder of our own. The usual crate writes OpenMetrics alone, and counts in metrics that it
//! owns; what is shown here is a picture that somebody else made, in both dialects. The two differ in
//! the names of types, in the last line, and in nothing that a series is known by.

use std::collections::BTreeSet;
use std::fmt::Write;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `text/plain; version=0.0.4`.
    Prometheus,
    /// `application/openmetrics-text; version=1.0.0`.
    OpenMetrics,
}

/// What a family's numbers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up; its name ends with `_total`.
    Counter,
    /// Always 1, for its labels; its name ends with `_info`.
    Info,
}

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
    pub fn family(&mut self, kind: Kind, name: &'static str, help: &'static str) -> Family<'_> {
        Family { exposition: self, kind, name, help, begun: false }
    }

    /// The whole text.
    pub fn finish(mut self) -> String {
        if self.dialect == Dialect::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

/// See [`Exposition::family`].
#[derive(Debug)]
pub struct Family<'a> {
    exposition: &'a mut Exposition,
    kind: Kind,
    name: &'static str,
    help: &'static str,
    begun: bool,
}

impl Family<'_> {
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
        let _ = writeln!(text, "# HELP {family} {}", self.help);
        let _ = writeln!(text, "# TYPE {family} {kind}");
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
        for c in value.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                // Not forbidden, and yet the end of a line or of a text to some readers.
                c if c.is_control() => text.push('\u{fffd}'),
                c => text.push(c),
            }
        }
        text.push('"');
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
pub(super) mod tests {
    //! A reader of both dialects that is stricter than those of others, and what it is held against.

    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// Name, labels, value.
    pub(in crate::format) type Sample = (String, BTreeMap<String, String>, f64);

    /// Reads an exposition, or says what is wrong with it.
    pub(in crate::format) fn read(text: &str, dialect: Dialect) -> Result<Vec<Sample>, String> {
        let open = dialect == Dialect::OpenMetrics;
        let body = match (open, text.strip_suffix("# EOF\n")) {
            (true, None) => return Err("no end".to_owned()),
            (true, Some(body)) => body,
            (false, _) => text,
        };
        if !body.is_empty() && !body.ends_with('\n') {
            return Err("the last line has no end".to_owned());
        }
        if body.chars().any(|c| c.is_control() && c != '\n') {
            return Err("a control character".to_owned());
        }
        let mut samples = Vec::new();
        let (mut series, mut families) = (BTreeSet::new(), BTreeSet::new());
        let (mut family, mut kind) = (String::new(), String::new());
        for line in body.lines() {
            let problem = |what: &str| Err(format!("{what}: {line}"));
            if let Some(rest) = line.strip_prefix("# ") {
                let mut words = rest.splitn(3, ' ');
                let (word, name) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
                let value = words.next().unwrap_or("");
                match word {
                    "HELP" if !families.insert(name.to_owned()) => {
                        return problem("a second family");
                    }
                    "HELP" => family = name.to_owned(),
                    "TYPE" if name == family => kind = value.to_owned(),
                    "UNIT" if open && name.ends_with(&format!("_{value}")) && name == family => {}
                    _ => return problem("no line of a head"),
                }
                continue;
            }
            let Some((sample, rest)) = read_sample(line) else { return problem("no sample") };
            if !rest.is_empty() {
                return problem("something follows");
            }
            let suffix = match (open, kind.as_str()) {
                (true, "counter") => "_total",
                (true, "info") => "_info",
                _ => "",
            };
            if sample.0 != format!("{family}{suffix}") {
                return problem("no sample of its family");
            }
            if kind == "counter" && !(sample.0.ends_with("_total") && sample.2 >= 0.0) {
                return problem("no counter");
            }
            if !series.insert((sample.0.clone(), sample.1.clone())) {
                return problem("a second sample of a series");
            }
            samples.push(sample);
        }
        Ok(samples)
    }

    fn read_name(text: &str) -> Option<(&str, &str)> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = text.find(|c| !fits(c)).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        (!name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()))
            .then_some((name, rest))
    }

    fn read_sample(line: &str) -> Option<(Sample, &str)> {
        let (name, mut rest) = read_name(line)?;
        let mut labels = BTreeMap::new();
        if let Some(inner) = rest.strip_prefix('{') {
            rest = inner;
            loop {
                let (label, after) = read_name(rest)?;
                let mut value = String::new();
                let mut chars = after.strip_prefix("=\"")?.chars();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => value.push(match chars.next()? {
                            'n' => '\n',
                            c @ ('\\' | '"') => c,
                            _ => return None,
                        }),
                        c => value.push(c),
                    }
                }
                if value.is_empty() || labels.insert(label.to_owned(), value).is_some() {
                    return None;
                }
                rest = chars.as_str();
                match rest.strip_prefix(',') {
                    Some(more) => rest = more,
                    None => break,
                }
            }
            rest = rest.strip_prefix('}')?;
        }
        let number = rest.strip_prefix(' ')?;
        let end = number.find(' ').unwrap_or(number.len());
        let (number, rest) = number.split_at(end);
        Some(((name.to_owned(), labels, number.parse().ok()?), rest))
    }

    fn of(dialect: Dialect, write: impl Fn(&mut Exposition)) -> String {
        let mut exposition = Exposition::new(dialect);
        write(&mut exposition);
        exposition.finish()
    }

    #[test]
    fn the_dialects_differ_in_types_and_in_the_end() {
        let write = |out: &mut Exposition| {
            let labels = Labels::new(&[("a", "1")]);
            out.family(Kind::Counter, "runs_seconds_total", "Help.").sample(&labels, 2.5);
            out.family(Kind::Info, "build_info", "Help.").sample(&Labels::default(), 1.0);
            let _empty = out.family(Kind::Gauge, "nothing", "Without a sample there is no head.");
        };
        let prometheus = "# HELP runs_seconds_total Help.\n# TYPE runs_seconds_total counter\nruns_seconds_total{a=\"1\"} 2.5\n# HELP build_info Help.\n# TYPE build_info gauge\nbuild_info 1\n";
        assert_eq!(of(Dialect::Prometheus, write), prometheus);
        let open = "# HELP runs_seconds Help.\n# TYPE runs_seconds counter\n# UNIT runs_seconds seconds\nruns_seconds_total{a=\"1\"} 2.5\n# HELP build Help.\n# TYPE build info\nbuild_info 1\n# EOF\n";
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
