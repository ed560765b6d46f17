//! Several runs of one check, summed up.

use std::time::Duration;

use serde_json::json;
use wellcheck_core::status::Status;
use wellcheck_core::units::count;

use super::Done;
use crate::cli::spread::{Spread, milliseconds};

/// What is counted of each run.
#[derive(Debug, Default)]
pub(super) struct Summary {
    statuses: [usize; Status::ALL.len()],
    wall: Vec<Duration>,
    cpu: Vec<Duration>,
}

impl Summary {
    pub(super) fn count(&mut self, done: &Done) {
        self.statuses[done.run.outcome.status() as usize] += 1;
        self.wall.push(done.run.duration);
        self.cpu.extend(done.used.map(|used| used.cpu));
    }

    /// Statuses that there were, with how often.
    fn statuses(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let counts =
            Status::ALL.iter().map(|status| (status.as_str(), self.statuses[*status as usize]));
        counts.filter(|(_, runs)| *runs > 0)
    }

    pub(super) fn text(&self) -> String {
        let counts: Vec<String> =
            self.statuses().map(|(status, runs)| format!("{runs} {status}")).collect();
        let mut lines = vec![format!("{}: {}", count(self.wall.len(), "run"), counts.join(", "))];
        for (name, times) in [("wall", &self.wall), ("CPU", &self.cpu)] {
            if times.is_empty() {
                continue;
            }
            let spread = Spread::new(times.clone());
            lines.push(format!(
                "  {name:4} min {}, median {}, p99 {}",
                milliseconds(spread.least()),
                milliseconds(spread.percentile(50)),
                milliseconds(spread.percentile(99))
            ));
        }
        lines.join("\n") + "\n"
    }

    pub(super) fn json(&self) -> String {
        let statuses: serde_json::Map<_, _> =
            self.statuses().map(|(status, runs)| (status.to_owned(), runs.into())).collect();
        let mut body = json!({
            "runs": self.wall.len(),
            "statuses": statuses,
            "wall_ms": Spread::new(self.wall.clone()).json(),
        });
        if !self.cpu.is_empty() {
            body["cpu_ms"] = Spread::new(self.cpu.clone()).json();
        }
        format!("{body}\n")
    }
}
