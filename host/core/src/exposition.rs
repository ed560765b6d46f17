//! Metrics as text: families of samples, in the text format of Prometheus and in OpenMetrics.
//!
//! Pure values to bytes. A name that is not allowed is changed into one that is, and a sample that
//! would be there twice is left out, so that what comes out is always valid: one bad sample would
//! make a scraper refuse all of them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write;

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// The text format of Prometheus, version 0.0.4.
    #[default]
    Text,
    /// OpenMetrics, version 1.0.0.
    OpenMetrics,
}

impl Encoding {
    /// As sent in `Content-Type`.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// What a client with these values of `Accept` likes best; text where it says nothing, and where
    /// it likes both the same.
    pub fn accepted<'a>(accept: impl IntoIterator<Item = &'a str>) -> Self {
        // The quality of the most specific range that fits, as RFC 9110 has it.
        let (mut open, mut text): (Option<f32>, Option<f32>) = (None, None);
        let (mut any_text, mut anything): (Option<f32>, Option<f32>) = (None, None);
        for range in accept.into_iter().flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut quality, mut version) = (1.0, None);
            for parameter in parts {
                match parameter.split_once('=') {
                    Some((name, value)) if name.trim().eq_ignore_ascii_case("q") => {
                        quality = value.trim().parse::<f32>().unwrap_or(0.0).clamp(0.0, 1.0);
                    }
                    Some((name, value)) if name.trim().eq_ignore_ascii_case("version") => {
                        version = Some(value.trim().trim_matches('"'));
                    }
                    _ => {}
                }
            }
            let slot = match media_type.as_str() {
                "application/openmetrics-text" if matches!(version, None | Some("1.0.0")) => {
                    &mut open
                }
                "text/plain" if matches!(version, None | Some("0.0.4")) => &mut text,
                "text/*" => &mut any_text,
                "*/*" => &mut anything,
                _ => continue,
            };
            *slot = Some(slot.unwrap_or(0.0).max(quality));
        }
        let text = text.or(any_text).or(anything).unwrap_or(0.0);
        match open {
            Some(open) if open > text => Self::OpenMetrics,
            _ => Self::Text,
        }
    }
}

/// What the number of a family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up; the name ends in `_total`.
    Counter,
}

/// Metrics of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    name: Cow<'static, str>,
    help: &'static str,
    kind: Kind,
    samples: Vec<Sample>,
}

#[derive(Debug, Clone, PartialEq)]
struct Sample {
    labels: Vec<(Cow<'static, str>, String)>,
    value: f64,
}

impl Family {
    /// A family without samples, which is not written.
    pub fn new(name: impl Into<Cow<'static, str>>, kind: Kind, help: &'static str) -> Self {
        Self { name: name.into(), help, kind, samples: Vec::new() }
    }

    /// A gauge without labels.
    pub fn gauge(name: &'static str, help: &'static str, value: f64) -> Self {
        Self::new(name, Kind::Gauge, help).with(&[], value)
    }

    /// A gauge that is always 1, and whose labels are what it says.
    pub fn info(name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Self {
        Self::new(name, Kind::Gauge, help).with(labels, 1.0)
    }

    /// One more sample.
    #[must_use]
    pub fn with(mut self, labels: &[(&'static str, &str)], value: f64) -> Self {
        let labels = labels.iter().map(|(name, text)| (Cow::Borrowed(*name), (*text).to_owned()));
        self.samples.push(Sample { labels: labels.collect(), value });
        self
    }

    /// One more sample, whose labels are named by somebody else.
    pub fn push(&mut self, labels: Vec<(String, String)>, value: f64) {
        let labels = labels.into_iter().map(|(name, text)| (Cow::Owned(name), text));
        self.samples.push(Sample { labels: labels.collect(), value });
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Rewrites what labels say, for redaction.
    pub fn rewrite(&mut self, rewrite: impl Fn(&mut String)) {
        for sample in &mut self.samples {
            sample.labels.iter_mut().for_each(|(_, text)| rewrite(text));
        }
    }

    fn write(&self, encoding: Encoding, out: &mut String) {
        if self.samples.is_empty() {
            return;
        }
        let name = metric_name(&self.name);
        let (family, kind) = match (self.kind, encoding) {
            (Kind::Gauge, _) => (&*name, "gauge"),
            (Kind::Counter, Encoding::Text) => (&*name, "counter"),
            // Here the suffix belongs to the sample.
            (Kind::Counter, Encoding::OpenMetrics) => {
                (name.strip_suffix("_total").unwrap_or(&name), "counter")
            }
        };
        let help = match encoding {
            Encoding::Text => self.help.replace('\\', "\\\\").replace('\n', "\\n"),
            Encoding::OpenMetrics => escaped(self.help),
        };
        // Writing to a String cannot fail.
        let _ = match encoding {
            Encoding::Text => write!(out, "# HELP {family} {help}\n# TYPE {family} {kind}\n"),
            Encoding::OpenMetrics => {
                write!(out, "# TYPE {family} {kind}\n# HELP {family} {help}\n")
            }
        };
        let mut seen = BTreeSet::new();
        for sample in &self.samples {
            let labels = sample.labels();
            if seen.contains(&labels) {
                continue;
            }
            let _ = writeln!(out, "{name}{labels} {}", number(sample.value));
            seen.insert(labels);
        }
    }
}

impl Sample {
    /// `{name="text",...}` in the order of the names, which is what tells series apart; nothing
    /// without labels.
    fn labels(&self) -> String {
        let mut names = BTreeSet::new();
        let mut labels: Vec<(String, String)> = Vec::new();
        for (name, text) in &self.labels {
            let mut name = label_name(name);
            while !names.insert(name.clone()) {
                name.push('_');
            }
            labels.push((name, escaped(text)));
        }
        if labels.is_empty() {
            return String::new();
        }
        let list: Vec<String> =
            labels.into_iter().map(|(name, text)| format!("{name}=\"{text}\"")).collect();
        format!("{{{}}}", list.join(","))
    }
}

/// All families as text.
pub fn encode(families: &[Family], encoding: Encoding) -> String {
    let mut out = String::new();
    for family in families {
        family.write(encoding, &mut out);
    }
    if encoding == Encoding::OpenMetrics {
        out.push_str("# EOF\n");
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

fn number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    // The shortest text that is read as the same number; without an exponent it could be long.
    match value.abs() {
        0.0 | 1e-6..1e15 => value.to_string(),
        _ => format!("{value:e}"),
    }
}

fn metric_name(text: &str) -> String {
    spelled(text, |b| b == b':')
}

/// Names that begin with two underscores belong to the scraper.
fn label_name(text: &str) -> String {
    let name = spelled(text, |_| false);
    match name.strip_prefix("__") {
        Some(rest) => format!("_{}", rest.trim_start_matches('_')),
        None => name,
    }
}

/// What is not allowed in a name becomes `_`.
fn spelled(text: &str, also: impl Fn(u8) -> bool) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || (c.is_ascii() && also(c as u8));
    let mut name: String = text.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_accepted(accept: &[&str], expected: Encoding) {
        assert_eq!(Encoding::accepted(accept.iter().copied()), expected, "{accept:?}");
    }

    #[test]
    fn the_client_chooses_the_encoding() {
        use Encoding::{OpenMetrics, Text};
        check_accepted(&[], Text);
        check_accepted(&["*/*"], Text);
        check_accepted(&["text/html, application/xhtml+xml, */*;q=0.8"], Text);
        check_accepted(&["application/openmetrics-text"], OpenMetrics);
        check_accepted(&["application/openmetrics-text; version=2.0.0"], Text);
        check_accepted(&["application/openmetrics-text, text/plain"], Text);
        check_accepted(&["application/openmetrics-text;q=0.1, text/plain;q=0.2"], Text);
        check_accepted(&["application/openmetrics-text;q=nonsense"], Text);
        // What Prometheus asks with.
        check_accepted(
            &[
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            ],
            OpenMetrics,
        );
        check_accepted(&["text/plain;version=0.0.4;q=0.3", "*/*;q=0.2"], Text);
    }

    #[test]
    fn both_encodings_of_the_same_families() {
        let mut runs = Family::new("runs_total", Kind::Counter, "Runs \\ so\nfar, \"all\".");
        runs.push(vec![("check".to_owned(), "a\\b\n\"c\"".to_owned())], 3.0);
        let families = [
            Family::gauge("up", "Whether it is up.", 1.0),
            Family::new("none", Kind::Gauge, "Nothing."),
            runs,
        ];
        let text = encode(&families, Encoding::Text);
        assert_eq!(
            text,
            "# HELP up Whether it is up.\n# TYPE up gauge\nup 1\n\
             # HELP runs_total Runs \\\\ so\\nfar, \"all\".\n# TYPE runs_total counter\n\
             runs_total{check=\"a\\\\b\\n\\\"c\\\"\"} 3\n"
        );
        let open = encode(&families, Encoding::OpenMetrics);
        assert_eq!(
            open,
            "# TYPE up gauge\n# HELP up Whether it is up.\nup 1\n\
             # TYPE runs counter\n# HELP runs Runs \\\\ so\\nfar, \\\"all\\\".\n\
             runs_total{check=\"a\\\\b\\n\\\"c\\\"\"} 3\n# EOF\n"
        );
    }

    #[test]
    fn names_are_made_valid_and_no_series_is_there_twice() {
        let mut family = Family::new("9 lives", Kind::Gauge, "x");
        let labels = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect::<Vec<_>>()
        };
        family.push(labels(&[("a-b", "1"), ("a_b", "2"), ("__x", "3"), ("", "4")]), 1.0);
        family.push(labels(&[("a-b", "1"), ("a_b", "2"), ("__x", "3"), ("", "4")]), 2.0);
        let text = encode(&[family], Encoding::Text);
        let series: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(series, ["_9_lives{a_b=\"1\",a_b_=\"2\",_x=\"3\",_=\"4\"} 1"]);
    }

    #[test]
    fn numbers_are_short_and_exact() {
        for (value, text) in [
            (0.0, "0"),
            (-1.5, "-1.5"),
            (1_803_513_600.0, "1803513600"),
            (0.000_012, "0.000012"),
            (1e300, "1e300"),
            (1e-9, "1e-9"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
