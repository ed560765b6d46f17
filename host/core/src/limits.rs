//! How much a plugin may use: one table for each place where limits are set.
//!
//! The tables drive the keys of the configuration, their documentation, and what is shown. To add
//! a limit: a field, its default, and a row.

use std::time::Duration;

use crate::units::{show_duration, show_size};

/// One KiB.
pub const KIB: usize = 1024;
/// One MiB.
pub const MIB: usize = 1024 * KIB;

/// How a limit is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, written as `"64KiB"`.
    Size,
    /// Milliseconds, written as `"250ms"`.
    Duration,
    /// A plain number.
    Number,
}

impl Unit {
    /// A value as people read it.
    pub fn show(self, value: u64) -> String {
        match self {
            Self::Size => show_size(value),
            Self::Duration => show_duration(Duration::from_millis(value)),
            Self::Number => value.to_string(),
        }
    }
}

/// One limit of `T`: its key in the configuration, its bounds, its meaning.
#[derive(Debug)]
pub struct Limit<T> {
    /// The key.
    pub name: &'static str,
    /// How it is written.
    pub unit: Unit,
    /// The least that may be configured, in bytes, milliseconds or as a number.
    pub smallest: u64,
    /// The most that may be configured, likewise.
    pub largest: u64,
    /// Meaning, bounds, and what happens at the limit.
    pub doc: &'static str,
    /// What applies without it, as TOML.
    pub default: &'static str,
    /// A line of TOML.
    pub example: &'static str,
    /// Its value, in bytes, milliseconds or as a number.
    pub get: fn(&T) -> u64,
    /// Sets its value, likewise.
    pub set: fn(&mut T, u64),
}

impl<T> Limit<T> {
    /// Its value in `limits`, as people read it.
    pub fn shown(&self, limits: &T) -> String {
        self.unit.show((self.get)(limits))
    }
}

/// What one run of a plugin may use. Wall time is not here: it is the check's timeout.
///
/// What happens at a limit: a run that needs more memory, table elements, handles or host-call
/// bytes gets its request refused or traps, and becomes a fault with reason `limit`; CPU ends the
/// run with reason `timeout`; text, observations and log lines are cut and flagged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLimits {
    /// Linear memory of all instances of the run together, in bytes. 64 MiB.
    pub memory: usize,
    /// Elements of all tables together. 20,000.
    pub table_elements: usize,
    /// CPU time, summed over the polls of the run: waiting costs nothing. 250 ms.
    pub cpu: Duration,
    /// Bytes that one host call or one answer may carry from the guest to the host. 1 MiB.
    pub host_call_bytes: usize,
    /// Host resources (streams, pollables, requests) alive at once. 256.
    pub handles: usize,
    /// Bytes of one request for random numbers. 64 KiB.
    pub random_bytes: u64,
    /// Outgoing HTTP requests. 16.
    pub requests: u32,
    /// Outgoing HTTP requests at once. 6.
    pub concurrent_requests: u32,
    /// Bytes of one HTTP body, of a request or of a response. 1 MiB.
    pub body_bytes: usize,
    /// Sockets made; likewise connections and UDP peers, and names looked up. 16.
    pub connections: u32,
    /// Bytes that are kept of what the guest prints. 64 KiB.
    pub log_bytes: usize,
    /// Lines that are kept of what the guest prints. 1,000.
    pub log_lines: usize,
    /// Bytes of one message. 1 KiB.
    pub message_bytes: usize,
    /// Observations of one report; likewise parts and details. 64.
    pub observations: usize,
    /// Distinct observations (name and labels) over the life of the check. 256.
    pub observation_names: usize,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            memory: 64 * MIB,
            table_elements: 20_000,
            cpu: Duration::from_millis(250),
            host_call_bytes: MIB,
            handles: 256,
            random_bytes: 64 * KIB as u64,
            requests: 16,
            concurrent_requests: 6,
            body_bytes: MIB,
            connections: 16,
            log_bytes: 64 * KIB,
            log_lines: 1000,
            message_bytes: KIB,
            observations: 64,
            observation_names: 256,
        }
    }
}

impl RunLimits {
    /// Every limit with its value, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Limit<Self>, u64)> {
        RUN_LIMITS.iter().map(|limit| (limit, (limit.get)(self)))
    }

    /// Every limit's name and its value as people read it.
    pub fn show(&self) -> Vec<(&'static str, String)> {
        self.iter().map(|(limit, value)| (limit.name, limit.unit.show(value))).collect()
    }
}

/// What loading a plugin file may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadLimits {
    /// Bytes of the file. 64 MiB.
    pub file_bytes: u64,
    /// CPU time of its compilation. 60 s.
    pub compile_cpu: Duration,
    /// Wall time of its compilation. 120 s.
    pub compile_wall: Duration,
    /// Address space of the compiler, in bytes. 2 GiB.
    pub compile_memory: u64,
    /// Bytes of the settings schema. 64 KiB.
    pub schema_bytes: usize,
    /// CPU time of `describe`. 250 ms.
    pub describe_cpu: Duration,
    /// Wall time of `describe`. 5 s.
    pub describe_time: Duration,
    /// Wall time of fetching the file. 120 s.
    pub fetch_time: Duration,
}

impl Default for LoadLimits {
    fn default() -> Self {
        Self {
            file_bytes: 64 * MIB as u64,
            compile_cpu: Duration::from_mins(1),
            compile_wall: Duration::from_mins(2),
            compile_memory: 2048 * MIB as u64,
            schema_bytes: 64 * KIB,
            describe_cpu: Duration::from_millis(250),
            describe_time: Duration::from_secs(5),
            fetch_time: Duration::from_mins(2),
        }
    }
}

/// What the host holds ready for plugins. The engine is made with these, so that changing one takes
/// a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostLimits {
    /// Runs at once; further ones wait for a place, 5 seconds at most. 256.
    pub slots: u32,
    /// Largest memory of any run, in bytes: what [`RunLimits::memory`] may be at most. 256 MiB.
    pub max_memory: usize,
    /// Largest table of any run: what [`RunLimits::table_elements`] may be at most. 20,000.
    pub max_table_elements: usize,
    /// Core instances of one plugin: the modules that a component is made of. 200.
    pub instances: u32,
    /// Bytes of a guest's call stack. 512 KiB.
    pub stack: usize,
}

impl Default for HostLimits {
    fn default() -> Self {
        Self {
            slots: 256,
            max_memory: 256 * MIB,
            max_table_elements: 20_000,
            instances: 200,
            stack: 512 * KIB,
        }
    }
}

const KIB_64: u64 = 1 << 10;
const MIB_64: u64 = 1 << 20;
const GIB_64: u64 = 1 << 30;
const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;

fn to_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn to_u32(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn to_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A row of a table: reads as the documentation does.
macro_rules! limit {
    ($name:literal, $unit:ident, $smallest:expr, $largest:expr, $default:literal, $example:literal,
     $field:ident: $get:expr, $set:expr, $doc:literal) => {
        Limit {
            name: $name,
            unit: Unit::$unit,
            smallest: $smallest,
            largest: $largest,
            doc: $doc,
            default: $default,
            example: concat!($name, " = ", $example),
            get: |limits| $get(limits.$field),
            set: |limits, value| limits.$field = $set(value),
        }
    };
}

const fn from_usize(value: usize) -> u64 {
    value as u64
}

const fn same(value: u64) -> u64 {
    value
}

/// The limits of a run: `[defaults.limits]` and `[check.limits]`.
pub const RUN_LIMITS: &[Limit<RunLimits>] = &[
    limit!("memory", Size, 64 * KIB_64, 4 * GIB_64, "\"64MiB\"", "\"128MiB\"", memory: from_usize, to_usize,
        "Memory of all of a run's instances together, 64 KiB to 4 GiB, at most `max-memory` of `[plugins.limits]`. A run that asks for more does not get it: it is flagged if it goes on without, and faults with reason `limit` if it ends by that."),
    limit!("table-elements", Number, 100, 10_000_000, "20000", "10000", table_elements: from_usize, to_usize,
        "Elements of all tables of a run together, 100 to 10000000, at most `max-table-elements` of `[plugins.limits]`. A run that asks for more does not get it: it is flagged if it goes on without, and faults with reason `limit` if it ends by that."),
    limit!("cpu", Duration, 1, HOUR, "\"250ms\"", "\"1s\"", cpu: to_ms, Duration::from_millis,
        "CPU time of a run, 1ms to 1h; waiting costs nothing. A run that uses it up is ended and faults with reason `timeout`."),
    limit!("host-call-bytes", Size, 4 * KIB_64, 256 * MIB_64, "\"1MiB\"", "\"4MiB\"", host_call_bytes: from_usize, to_usize,
        "Bytes that one call or one answer may carry from the plugin to the host, 4 KiB to 256 MiB. A larger one faults with reason `limit`."),
    limit!("handles", Number, 16, 100_000, "256", "512", handles: from_usize, to_usize,
        "Streams, requests, sockets and other things of the host that are open at once, 16 to 100000. One more faults with reason `limit`."),
    limit!("random-bytes", Size, 64, 64 * MIB_64, "\"64KiB\"", "\"1MiB\"", random_bytes: same, same,
        "Random bytes that one call may ask for, 64 B to 64 MiB. More fault with reason `limit`."),
    limit!("requests", Number, 0, 10_000, "16", "100", requests: u64::from, to_u32,
        "HTTP requests of a run, 0 to 10000. One more is refused, and the run faults with reason `limit`."),
    limit!("concurrent-requests", Number, 1, 1000, "6", "20", concurrent_requests: u64::from, to_u32,
        "HTTP requests of a run that are under way at once, 1 to 1000. One more is refused, and the run faults with reason `limit`."),
    limit!("body-bytes", Size, KIB_64, 256 * MIB_64, "\"1MiB\"", "\"8MiB\"", body_bytes: from_usize, to_usize,
        "Bytes of one HTTP body, of a request or of a response, 1 KiB to 256 MiB. A larger one is cut off, and the run faults with reason `limit`."),
    limit!("connections", Number, 0, 10_000, "16", "50", connections: u64::from, to_u32,
        "Sockets that a run makes, connections and UDP peers, and names that it looks up, 0 to 10000 of each. One more is refused, and the run faults with reason `limit`."),
    limit!("log-bytes", Size, 0, 16 * MIB_64, "\"64KiB\"", "\"16KiB\"", log_bytes: from_usize, to_usize,
        "Bytes that are kept of what a run prints, 0 B to 16 MiB. The rest is dropped, counted and flagged."),
    limit!("log-lines", Number, 0, 1_000_000, "1000", "100", log_lines: from_usize, to_usize,
        "Lines that are kept of what a run prints, 0 to 1000000. The rest is dropped, counted and flagged."),
    limit!("message-bytes", Size, 64, 64 * KIB_64, "\"1KiB\"", "\"4KiB\"", message_bytes: from_usize, to_usize,
        "Bytes of one message, 64 B to 64 KiB. A longer one is cut."),
    limit!("observations", Number, 1, 10_000, "64", "200", observations: from_usize, to_usize,
        "Observations of one report, and likewise parts and details, 1 to 10000. More are left out and flagged."),
    limit!("observation-names", Number, 1, 100_000, "256", "1000", observation_names: from_usize, to_usize,
        "Distinct observations (name and labels) over the life of the check, 1 to 100000. Further ones are left out and flagged."),
];

/// The limits of loading a file: `[plugins.limits]`.
pub const LOAD_LIMITS: &[Limit<LoadLimits>] = &[
    limit!("file-bytes", Size, KIB_64, GIB_64, "\"64MiB\"", "\"128MiB\"", file_bytes: same, same,
        "Bytes of a plugin's file, 1 KiB to 1 GiB. A larger one is not loaded."),
    limit!("compile-cpu", Duration, SECOND, HOUR, "\"1m\"", "\"2m\"", compile_cpu: to_ms, Duration::from_millis,
        "CPU time of a file's compilation, 1s to 1h. A file that needs more is not loaded."),
    limit!("compile-time", Duration, SECOND, 2 * HOUR, "\"2m\"", "\"5m\"", compile_wall: to_ms, Duration::from_millis,
        "Wall time of a file's compilation, 1s to 2h. A file that needs more is not loaded."),
    limit!("compile-memory", Size, 256 * MIB_64, 64 * GIB_64, "\"2GiB\"", "\"4GiB\"", compile_memory: same, same,
        "Address space of the process that compiles, 256 MiB to 64 GiB. A file that needs more is not loaded."),
    limit!("schema-bytes", Size, KIB_64, 16 * MIB_64, "\"64KiB\"", "\"256KiB\"", schema_bytes: from_usize, to_usize,
        "Bytes of a plugin's settings schema, 1 KiB to 16 MiB. A file with a larger one is not loaded."),
    limit!("describe-cpu", Duration, 1, HOUR, "\"250ms\"", "\"1s\"", describe_cpu: to_ms, Duration::from_millis,
        "CPU time that a plugin gets to describe itself, 1ms to 1h. A file that needs more is not loaded."),
    limit!("describe-time", Duration, 10, 5 * 60 * SECOND, "\"5s\"", "\"10s\"", describe_time: to_ms, Duration::from_millis,
        "Wall time that a plugin gets to describe itself, 10ms to 5m. A file that needs more is not loaded."),
    limit!("fetch-time", Duration, 100, HOUR, "\"2m\"", "\"10m\"", fetch_time: to_ms, Duration::from_millis,
        "Wall time of fetching a plugin's file, 100ms to 1h. A source that takes longer is tried again later."),
];

/// The limits of the host: `[plugins.limits]` too.
pub const HOST_LIMITS: &[Limit<HostLimits>] = &[
    limit!("slots", Number, 1, 10_000, "256", "64", slots: u64::from, to_u32,
        "Runs of plugins at once, 1 to 10000; further ones wait for a place, 5 seconds at most, and then fault with reason `busy`. Changing it takes a restart."),
    limit!("max-memory", Size, MIB_64, 4 * GIB_64, "\"256MiB\"", "\"512MiB\"", max_memory: from_usize, to_usize,
        "The most that `memory` of any check may be, 1 MiB to 4 GiB. Changing it takes a restart."),
    limit!("max-table-elements", Number, 100, 10_000_000, "20000", "50000", max_table_elements: from_usize, to_usize,
        "The most that `table-elements` of any check may be, 100 to 10000000. Changing it takes a restart."),
    limit!("instances", Number, 1, 10_000, "200", "50", instances: u64::from, to_u32,
        "Modules that one plugin may be made of, 1 to 10000. A file with more is not loaded. Changing it takes a restart."),
    limit!("stack", Size, 64 * KIB_64, 16 * MIB_64, "\"512KiB\"", "\"1MiB\"", stack: from_usize, to_usize,
        "Bytes of a plugin's call stack, 64 KiB to 16 MiB. A run that needs more faults with reason `trap`. Changing it takes a restart."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{parse_duration, parse_size};

    fn read(unit: Unit, toml: &str) -> u64 {
        let text = toml.trim_matches('"');
        match unit {
            Unit::Size => parse_size(text).expect("a size"),
            Unit::Duration => to_ms(parse_duration(text).expect("a duration")),
            Unit::Number => text.parse().expect("a number"),
        }
    }

    fn check_table<T: Default + PartialEq + std::fmt::Debug>(table: &[Limit<T>]) {
        for limit in table {
            let name = limit.name;
            let mut limits = T::default();
            assert_eq!((limit.get)(&limits), read(limit.unit, limit.default), "{name}: default");
            assert!(limit.smallest <= (limit.get)(&limits), "{name}: smallest");
            assert!(limit.largest >= (limit.get)(&limits), "{name}: largest");
            let bounds = format!(
                "{} to {}",
                limit.unit.show(limit.smallest),
                limit.unit.show(limit.largest)
            );
            assert!(limit.doc.contains(&bounds), "{name}: `{bounds}` is not in its meaning");
            let (key, value) = limit.example.split_once(" = ").expect("a line of TOML");
            let value = read(limit.unit, value);
            assert_eq!(key, name);
            assert!((limit.smallest..=limit.largest).contains(&value), "{name}: example");
            (limit.set)(&mut limits, value);
            assert_eq!((limit.get)(&limits), value, "{name}: what is set is read back");
            assert_ne!(limits, T::default(), "{name}: the example changes something");
        }
    }

    #[test]
    fn every_row_says_what_holds() {
        check_table(RUN_LIMITS);
        check_table(LOAD_LIMITS);
        check_table(HOST_LIMITS);
    }

    #[test]
    fn no_name_stands_twice_in_a_table_of_the_configuration() {
        let run = RUN_LIMITS.iter().map(|limit| limit.name).collect::<Vec<_>>();
        let load = LOAD_LIMITS.iter().map(|limit| limit.name);
        let plugins = load.chain(HOST_LIMITS.iter().map(|limit| limit.name)).collect::<Vec<_>>();
        for mut names in [run, plugins] {
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{names:?}");
        }
    }

    #[test]
    fn limits_are_shown_by_name() {
        let shown = RunLimits::default().show();
        assert_eq!(shown.len(), RUN_LIMITS.len());
        assert!(shown.contains(&("memory", "64 MiB".to_owned())), "{shown:?}");
        assert!(shown.contains(&("cpu", "250ms".to_owned())), "{shown:?}");
        assert!(shown.contains(&("requests", "16".to_owned())), "{shown:?}");
    }
}
