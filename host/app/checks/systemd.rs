//! The kind `systemd`: the state of a unit, as systemd itself tells it over D-Bus.
//!
//! | file | what |
//! | --- | --- |
//! | `systemd/bus.rs` | the messages of D-Bus that this takes |

mod bus;

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout_at};
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::problem::known;
use wellcheck_core::config::reader::Reader;
use wellcheck_core::fact::{FactKey, Shape, fact};
use wellcheck_core::limits::RunLimits;
use wellcheck_core::outcome::{
    Answer, FailReason, Fault, FaultReason, Observation, Outcome, Report, Run, RunLog,
};
use wellcheck_core::redact::Redactor;
use wellcheck_core::snapshot::Facts;

use self::bus::{Bus, Failed, Value};
use super::{Checker, Kind, RunContext, Tools};

const SOCKET: &str = "/run/dbus/system_bus_socket";
const SERVICE: &str = "org.freedesktop.systemd1";
const MAX_UNIT: usize = 255;

/// What units can be; what is not said to be expected is worth a warning or a failure.
const STATES: &[(&str, Answer)] = &[
    ("active", Answer::Fail),
    ("reloading", Answer::Warn),
    ("refreshing", Answer::Warn),
    ("activating", Answer::Warn),
    ("inactive", Answer::Fail),
    ("deactivating", Answer::Fail),
    ("maintenance", Answer::Fail),
    ("failed", Answer::Fail),
];

/// Types of units, each with the interface that has its result, where it has one.
const TYPES: &[(&str, Option<&str>)] = &[
    ("service", Some("org.freedesktop.systemd1.Service")),
    ("socket", Some("org.freedesktop.systemd1.Socket")),
    ("timer", Some("org.freedesktop.systemd1.Timer")),
    ("mount", Some("org.freedesktop.systemd1.Mount")),
    ("automount", Some("org.freedesktop.systemd1.Automount")),
    ("path", Some("org.freedesktop.systemd1.Path")),
    ("swap", Some("org.freedesktop.systemd1.Swap")),
    ("scope", Some("org.freedesktop.systemd1.Scope")),
    ("target", None),
    ("slice", None),
    ("device", None),
];

const KEYS: &[Key] = &[
    key(
        "unit",
        "",
        "unit = \"nginx.service\"",
        "The unit; `.service` is added where no type is given.",
    ),
    key(
        "expect-state",
        "\"active\", unless a condition is about `active`",
        "expect-state = [\"active\", \"inactive\"]",
        "States that pass: active, reloading, refreshing, activating, inactive, deactivating, maintenance, failed. Of the others, those on the way to `active` warn, and the rest fails with `unexpected-value`; a unit that is not there fails with `absent`.",
    ),
    key(
        "socket",
        "\"/run/dbus/system_bus_socket\"",
        "socket = \"/run/user/1000/bus\"",
        "The socket of the bus that systemd is on; an absolute path. For root, `/run/systemd/private` needs no bus.",
    ),
];

const FACTS: &[FactKey] = &[
    fact("active", Shape::Text, "Its state: `active`, `inactive`, `failed`, ..."),
    fact(
        "sub",
        Shape::Text,
        "Its state in the words of its type: `running`, `exited`, `dead`, `waiting`, ...",
    ),
    fact("load", Shape::Text, "Whether its file was read: `loaded`, `not-found`, `masked`, ..."),
    fact(
        "result",
        Shape::Text,
        "How it last ended, where its type has that: `success`, `exit-code`, `signal`, `oom-kill`, ...",
    ),
    fact(
        "restarts",
        Shape::Integer,
        "Of a service: how often systemd has started it again by itself.",
    ),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Systemd;

impl Kind for Systemd {
    fn name(&self) -> &'static str {
        "systemd"
    }

    fn summary(&self) -> &'static str {
        "asks systemd for the state of a unit"
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[KEYS]
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        &[FACTS]
    }

    fn example(&self) -> &'static str {
        r#"[[check]]
name = "web-server"
kind = "systemd"
unit = "nginx.service"
"#
    }

    fn probes(&self) -> bool {
        false
    }

    fn parse(
        &self,
        reader: &mut Reader,
        _tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        if !reader.has("unit") {
            reader.missing("unit", problems);
        }
        let unit = reader.parsed("unit", problems, |text| unit(&text.value));
        let mut expect = Vec::new();
        for text in reader.texts("expect-state", problems) {
            match STATES.iter().find(|(state, _)| *state == text.value) {
                Some((state, _)) => expect.push(*state),
                None => {
                    let list =
                        known("states", text.shown(), STATES.iter().map(|(state, _)| *state));
                    let shown = text.shown().escape_debug();
                    let message = format!("unknown state `{shown}` in {} {list}", reader.what());
                    problems.error(&text.place, message);
                }
            }
        }
        if expect.is_empty() && !reader.asked().has("active") {
            expect.push("active");
        }
        let socket = reader.parsed("socket", problems, |text| {
            let path = PathBuf::from(&text.value);
            match path.is_absolute() && !text.value.contains('\0') {
                true => Ok(path),
                false => Err("this is no absolute path".to_owned()),
            }
        });
        let (unit, interface) = unit?;
        let path = format!("/org/freedesktop/systemd1/unit/{}", escaped(&unit));
        let socket = socket.unwrap_or_else(|| PathBuf::from(SOCKET));
        Some(Arc::new(SystemdCheck { unit, path, interface, expect, socket }))
    }
}

/// The whole name of a unit, and the interface that has its result.
fn unit(text: &str) -> Result<(String, Option<&'static str>), String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b":_.\\@-".contains(&b);
    let shown: String = text.chars().take(100).flat_map(char::escape_debug).collect();
    if text.is_empty() || text.len() > MAX_UNIT - 8 || !text.bytes().all(fits) {
        return Err(format!(
            "`{shown}` is no name of a unit (expected for example `nginx.service`)"
        ));
    }
    let find = |name: &str| TYPES.iter().find(|(kind, _)| *kind == name);
    match text.rsplit_once('.').and_then(|(_, kind)| find(kind)) {
        Some((_, interface)) => Ok((text.to_owned(), *interface)),
        None => Ok((format!("{text}.service"), TYPES[0].1)),
    }
}

/// As systemd writes names in paths of its bus.
fn escaped(unit: &str) -> String {
    let letter = |(index, byte): (usize, u8)| {
        let plain = byte.is_ascii_alphabetic() || index > 0 && byte.is_ascii_digit();
        if plain { char::from(byte).to_string() } else { format!("_{byte:02x}") }
    };
    unit.bytes().enumerate().map(letter).collect()
}

struct SystemdCheck {
    unit: String,
    /// Of the unit on the bus.
    path: String,
    /// What has its result.
    interface: Option<&'static str>,
    /// States that pass; none where conditions judge.
    expect: Vec<&'static str>,
    socket: PathBuf,
}

/// What systemd says of a unit.
#[derive(Debug, Default)]
struct Told {
    active: String,
    sub: String,
    load: String,
    result: Option<String>,
    restarts: Option<u64>,
}

impl Checker for SystemdCheck {
    fn facts(&self) -> Facts {
        Facts { target: Some(self.unit.clone()), port: 0, plugin: None }
    }

    fn run<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, Run> {
        async move {
            let began = Instant::now();
            let outcome = match timeout_at(context.deadline, self.ask()).await {
                Ok(Ok(told)) => Outcome::Answered(self.judge(&told, context)),
                Ok(Err(failed)) => self.failed(failed),
                Err(_elapsed) => {
                    let message = format!("no answer from `{}` in time", self.socket.display());
                    Outcome::Answered(Report::fail(FailReason::Timeout, message))
                }
            };
            let (outcome, flags) =
                wellcheck_wasm::clean(outcome, &RunLimits::default(), &Redactor::default());
            let log = RunLog { lines: Vec::new(), flags };
            Run { outcome, duration: began.elapsed(), log, used: Vec::new() }
        }
        .boxed()
    }
}

impl SystemdCheck {
    async fn ask(&self) -> Result<Told, Failed> {
        let mut bus = Bus::connect(&self.socket).await?;
        let mut told = Told::default();
        let unit = "org.freedesktop.systemd1.Unit";
        for (property, text) in [
            ("ActiveState", &mut told.active),
            ("SubState", &mut told.sub),
            ("LoadState", &mut told.load),
        ] {
            let value = bus.get(SERVICE, &self.path, unit, property).await?;
            let Value::Text(found) = value else {
                return Err(Failed::Nonsense("a state is no text"));
            };
            *text = found;
        }
        // A unit without a file has no type of its own.
        if let Some(interface) = self.interface.filter(|_| told.load != "not-found") {
            if let Value::Text(result) = bus.get(SERVICE, &self.path, interface, "Result").await? {
                told.result = Some(result);
            }
            if interface.ends_with(".Service")
                && let Ok(Value::Number(restarts)) =
                    bus.get(SERVICE, &self.path, interface, "NRestarts").await
            {
                told.restarts = Some(restarts);
            }
        }
        Ok(told)
    }

    fn judge(&self, told: &Told, context: &RunContext) -> Report {
        let Told { active, sub, load, result, restarts } = told;
        let unit = &self.unit;
        let result = result.as_deref();
        let ended = match result {
            Some(result) if result != "success" && active != "active" => format!(", {result}"),
            _ => String::new(),
        };
        let message = format!("{active} ({sub}{ended})");
        let mut report = if self.expect.is_empty() || self.expect.contains(&active.as_str()) {
            Report::new(Answer::Pass, message)
        } else if load == "not-found" {
            Report::fail(FailReason::Absent, format!("there is no unit `{unit}`"))
        } else {
            let state = STATES.iter().find(|(state, _)| state == active);
            let status = state.map_or(Answer::Fail, |(_, status)| *status);
            let expected = self.expect.join(" or ");
            let unusual = if load == "loaded" { String::new() } else { format!("{load}, ") };
            let message = format!("`{unit}` is {unusual}{message} (expected {expected})");
            let reason = (status == Answer::Fail).then_some(FailReason::UnexpectedValue);
            Report { reason, ..Report::new(status, message) }
        };
        if let Some(restarts) = restarts {
            report.observations.push(Observation::new("restarts", *restarts as f64, ""));
        }
        if !context.asked.is_empty() {
            for (name, text) in [("active", active), ("sub", sub), ("load", load)] {
                report.found.put(name, text.as_str());
            }
            if let Some(result) = result {
                report.found.put("result", result);
            }
        }
        report
    }

    fn failed(&self, failed: Failed) -> Outcome {
        let socket = self.socket.display();
        let fault = |message| Outcome::Faulted(Fault::new(FaultReason::Inconclusive, message));
        let (reason, message) = match failed {
            Failed::Io(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::PermissionDenied => {
                    return fault(format!(
                        "cannot ask systemd over `{socket}`: {error} (`socket` names another one)"
                    ));
                }
                ErrorKind::ConnectionRefused => {
                    (FailReason::Refused, format!("nobody listens at `{socket}`"))
                }
                _ => (FailReason::Closed, format!("the connection to `{socket}` broke: {error}")),
            },
            Failed::Nonsense(what) => {
                (FailReason::Protocol, format!("`{socket}` does not speak D-Bus: {what}"))
            }
            Failed::Refused => {
                return fault(format!("`{socket}` does not let the user of this process in"));
            }
            Failed::Error(name, says) => {
                let message =
                    format!("systemd does not tell the state of `{}`: {says} ({name})", self.unit);
                // It is not on this bus, or keeps it from us; neither says anything of the unit.
                let ours = ["ServiceUnknown", "NameHasNoOwner", "AccessDenied"];
                if ours.iter().any(|end| name.ends_with(end)) {
                    return fault(message);
                }
                (FailReason::Query, message)
            }
        };
        Outcome::Answered(Report::fail(reason, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_types_and_paths() {
        let read = |text: &str| unit(text).map(|(unit, _)| escaped(&unit));
        assert_eq!(read("nginx").as_deref(), Ok("nginx_2eservice"));
        assert_eq!(read("logrotate.timer").as_deref(), Ok("logrotate_2etimer"));
        assert_eq!(read("getty@tty1.service").as_deref(), Ok("getty_40tty1_2eservice"));
        assert_eq!(read("php8.2-fpm").as_deref(), Ok("php8_2e2_2dfpm_2eservice"));
        assert_eq!(read("9p").as_deref(), Ok("_39p_2eservice"));
        for bad in ["", "a b", "../x", "a/b.service", "é", &"x".repeat(250)] {
            assert!(unit(bad).is_err(), "{bad}");
        }
    }
}
