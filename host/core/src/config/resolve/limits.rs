//! Limits: every key of a table of [`crate::limits`], and what they must not exceed.

use std::time::Duration;

use super::Resolver;
use crate::config::keys;
use crate::config::reader::Reader;
use crate::config::tree::{Place, Table};
use crate::limits::{Limit, RunLimits, Unit};

impl Resolver<'_> {
    /// Reads the keys of one table of limits into `limits`. Returns what was given, and where.
    pub(super) fn limits<T>(
        &mut self,
        reader: &mut Reader,
        table: &'static [Limit<T>],
        limits: &mut T,
    ) -> Vec<(&'static Limit<T>, Place)> {
        let problems = &mut self.problems;
        let mut given = Vec::new();
        for limit in table {
            let Limit { name, smallest, largest, .. } = limit;
            let value = match limit.unit {
                Unit::Size => reader.size(name, *smallest..=*largest, problems),
                Unit::Duration => {
                    let bounds = Duration::from_millis(*smallest)..=Duration::from_millis(*largest);
                    let duration = reader.duration(name, bounds, problems);
                    duration.and_then(|duration| u64::try_from(duration.as_millis()).ok())
                }
                Unit::Number => {
                    let bound = |bound: &u64| i64::try_from(*bound).unwrap_or(i64::MAX);
                    let number = reader.integer(name, bound(smallest)..=bound(largest), problems);
                    number.and_then(|number| u64::try_from(number).ok())
                }
            };
            if let Some(value) = value {
                (limit.set)(limits, value);
                given.push((limit, reader.place_of(name)));
            }
        }
        given
    }

    /// What a run may use where nothing is said. A default gives way to what the host holds ready.
    pub(super) fn standard_limits(&self) -> RunLimits {
        let standard = RunLimits::default();
        RunLimits {
            memory: standard.memory.min(self.host.max_memory),
            table_elements: standard.table_elements.min(self.host.max_table_elements),
            ..standard
        }
    }

    /// What one run may use: what `table` says, and where it says nothing, what `defaults` say.
    /// With a `ceiling`, nothing may be more than that.
    pub(super) fn run_limits(
        &mut self,
        what: &str,
        table: Table,
        defaults: &RunLimits,
        ceiling: Option<&RunLimits>,
    ) -> RunLimits {
        let mut reader = Reader::new(what, table, &[keys::LIMITS]);
        let mut limits = defaults.clone();
        let given = self.limits(&mut reader, crate::limits::RUN_LIMITS, &mut limits);
        reader.finish(&[], &mut self.problems);
        let most = [
            ("memory", "max-memory", self.host.max_memory as u64),
            ("table-elements", "max-table-elements", self.host.max_table_elements as u64),
        ];
        for (limit, place) in given {
            let (name, value) = (limit.name, (limit.get)(&limits));
            let shown = limit.unit.show(value);
            if let Some((_, key, most)) = most.iter().find(|(own, _, _)| *own == name)
                && value > *most
            {
                let most = limit.unit.show(*most);
                let message = format!(
                    "`{name}` of {what} is {shown}, more than the {most} of `{key}` of `[plugins.limits]` (lower the one or raise the other)"
                );
                self.problems.error(&place, message);
            }
            if let Some(ceiling) = ceiling
                && value > (limit.get)(ceiling)
            {
                let most = limit.shown(ceiling);
                let message = format!(
                    "`{name}` of {what} is {shown}, more than the {most} of `[defaults.limits]` (a sidecar may lower a limit but not raise it; raise it in `wellcheck.toml`, or move the check there)"
                );
                self.problems.error(&place, message);
            }
        }
        limits
    }
}
