//! Families as values: put together from several places, sorted and redacted, and then written.

use std::collections::BTreeSet;

use super::{Dialect, Exposition, Kind, Labels};

/// Metrics of one name. A sample whose labels are those of an earlier one is left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    samples: Vec<Sample>,
}

#[derive(Debug, Clone, PartialEq)]
struct Sample {
    labels: Vec<(&'static str, String)>,
    foreign: Vec<(String, String)>,
    value: f64,
}

impl Family {
    /// A family without samples, which is not written.
    pub const fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self { name, help, kind, samples: Vec::new() }
    }

    /// A gauge without labels.
    pub fn gauge(name: &'static str, help: &'static str, value: f64) -> Self {
        Self::new(name, Kind::Gauge, help).with(&[], value)
    }

    /// What its labels say.
    pub fn info(name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Self {
        Self::new(name, Kind::Info, help).with(labels, 1.0)
    }

    /// One more sample.
    #[must_use]
    pub fn with(mut self, labels: &[(&'static str, &str)], value: f64) -> Self {
        self.push(labels, Vec::new(), value);
        self
    }

    /// One more sample, some of whose labels are named by somebody else; see
    /// [`Labels::with_foreign`].
    pub fn push(
        &mut self,
        labels: &[(&'static str, &str)],
        foreign: Vec<(String, String)>,
        value: f64,
    ) {
        let labels = labels.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
        self.samples.push(Sample { labels, foreign, value });
    }

    /// Its name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Rewrites what labels say, for redaction.
    pub fn rewrite(&mut self, rewrite: impl Fn(&mut String)) {
        for sample in &mut self.samples {
            sample.labels.iter_mut().for_each(|(_, text)| rewrite(text));
            sample.foreign.iter_mut().for_each(|(_, text)| rewrite(text));
        }
    }

    fn write(&self, out: &mut Exposition) {
        let mut family = out.family(self.kind, self.name, self.help);
        let mut seen = BTreeSet::new();
        for sample in &self.samples {
            let labels = sample.labels();
            if !seen.contains(&labels) {
                family.sample(&labels, sample.value);
                seen.insert(labels);
            }
        }
    }
}

impl Sample {
    fn labels(&self) -> Labels {
        let pairs: Vec<_> = self.labels.iter().map(|(name, text)| (*name, &**text)).collect();
        let names: Vec<_> = self.labels.iter().map(|(name, _)| *name).collect();
        let foreign = self.foreign.iter().map(|(name, text)| (&**name, &**text));
        Labels::new(&pairs).with_foreign(&names, foreign)
    }
}

/// All families as text. Each has a name of its own.
pub fn encode(families: &[Family], dialect: Dialect) -> String {
    let mut out = Exposition::new(dialect);
    for family in families {
        family.write(&mut out);
    }
    out.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::reader::read;
    use super::*;

    #[test]
    fn families_are_written_with_their_samples_or_not_at_all() {
        let mut runs = Family::new("runs_total", Kind::Counter, "Runs.");
        runs.push(&[("check", "a\"b")], vec![("check".to_owned(), "c".to_owned())], 3.0);
        let families = [
            Family::gauge("up", "Whether it is up.", 1.0),
            Family::new("none", Kind::Gauge, "Nothing."),
            runs,
        ];
        assert_eq!(
            encode(&families, Dialect::Prometheus),
            "# HELP up Whether it is up.\n# TYPE up gauge\nup 1\n\
             # HELP runs_total Runs.\n# TYPE runs_total counter\n\
             runs_total{check=\"a\\\"b\",label_check=\"c\"} 3\n"
        );
        assert_eq!(encode(&[], Dialect::OpenMetrics), "# EOF\n");
    }

    #[test]
    fn no_series_is_there_twice_also_after_redaction() {
        let mut family =
            Family::info("a_info", "Help.", &[("a", "secret")]).with(&[("a", "")], 1.0);
        family.push(&[], vec![("b".to_owned(), "secret".to_owned())], 2.0);
        family.rewrite(|text| *text = text.replace("secret", ""));
        let text = encode(&[family], Dialect::Prometheus);
        assert_eq!(text, "# HELP a_info Help.\n# TYPE a_info gauge\na_info 1\n");
    }

    proptest! {
        #[test]
        fn whatever_labels_are_called_and_say_the_text_can_be_read(
            ours in any::<String>(),
            samples in proptest::collection::vec(
                (any::<f64>(),
                 proptest::collection::vec((any::<String>(), any::<String>()), 0..4)),
                0..6,
            ),
        ) {
            let mut family = Family::new("a", Kind::Gauge, "Help.");
            for (value, foreign) in samples {
                family.push(&[("name", &ours)], foreign, value);
            }
            for dialect in [Dialect::Prometheus, Dialect::OpenMetrics] {
                let text = encode(std::slice::from_ref(&family), dialect);
                prop_assert!(read(&text, dialect).is_ok(), "{}", text);
            }
        }
    }
}
