//! Which observations a check has reported over its life, and how many more it may.
//!
//! Each distinct observation (its name and labels) becomes a series in whoever collects numbers. A
//! plugin that invents names at every run would fill that store, so that their number is bounded.

use std::collections::HashSet;

use crate::outcome::Report;
use crate::units::count;

/// Name and labels, the labels sorted: their order makes no other series.
type Key = (String, Vec<(String, String)>);

/// The distinct observations of one check.
#[derive(Debug, Clone, Default)]
pub struct Series {
    known: HashSet<Key>,
}

impl Series {
    /// Takes observations out of the report that would be more than `limit` distinct ones over the
    /// life of the check. Returns how many; [`flag`] says it in words.
    pub fn admit(&mut self, report: &mut Report, limit: usize) -> usize {
        let before = report.observations.len();
        report.observations.retain(|observation| {
            let mut labels = observation.labels.clone();
            labels.sort();
            let key = (observation.name.clone(), labels);
            self.known.contains(&key) || (self.known.len() < limit && self.known.insert(key))
        });
        before - report.observations.len()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is none yet.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

/// What the outcome says of observations that were left out.
pub fn flag(left_out: usize, limit: usize) -> String {
    format!(
        "{} left out: limit of {limit} distinct names over the life of the check reached (limit `observation-names`)",
        count(left_out, "observation")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Answer, Observation};

    fn report(observations: &[(&str, &[(&str, &str)])]) -> Report {
        let mut report = Report::new(Answer::Pass, "");
        for (name, labels) in observations {
            let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
            let labels = labels.iter().map(own).collect();
            report.observations.push(Observation { labels, ..Observation::new(*name, 1.0, "") });
        }
        report
    }

    fn names(report: &Report) -> Vec<&str> {
        report.observations.iter().map(|observation| observation.name.as_str()).collect()
    }

    #[test]
    fn known_observations_stay_and_new_ones_are_left_out_at_the_limit() {
        let mut series = Series::default();
        let mut first = report(&[("a", &[]), ("b", &[])]);
        assert_eq!(series.admit(&mut first, 3), 0);
        let mut second = report(&[("c", &[]), ("d", &[]), ("a", &[]), ("e", &[])]);
        assert_eq!(series.admit(&mut second, 3), 2);
        assert_eq!(names(&second), ["c", "a"]);
        let mut third = report(&[("d", &[]), ("b", &[])]);
        assert_eq!(series.admit(&mut third, 3), 1);
        assert_eq!((names(&third), series.len()), (vec!["b"], 3));
    }

    #[test]
    fn labels_make_another_observation_and_their_order_does_not() {
        let mut series = Series::default();
        let labels: &[(&str, &str)] = &[("x", "1"), ("y", "2")];
        let turned: &[(&str, &str)] = &[("y", "2"), ("x", "1")];
        let mut run = report(&[("a", labels), ("a", turned), ("a", &[("x", "2")])]);
        assert_eq!(series.admit(&mut run, 10), 0);
        assert_eq!(series.len(), 2);
    }

    #[test]
    fn memory_stays_bounded_under_ever_new_names() {
        let mut series = Series::default();
        for run in 0..1000 {
            let name = format!("n{run}");
            series.admit(&mut report(&[(&name, &[])]), 256);
        }
        assert_eq!(series.len(), 256);
    }

    #[test]
    fn the_flag_names_the_limit() {
        assert_eq!(
            flag(3, 256),
            "3 observations left out: limit of 256 distinct names over the life of the check reached (limit `observation-names`)"
        );
        assert!(flag(1, 256).starts_with("1 observation left out"));
    }
}
