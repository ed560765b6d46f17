//! Routes that take outcomes from outside, for checks of the kind `push`: in our own shape, and in
//! those that clients of Gatus and of Uptime Kuma send.
//!
//! The handler changes no state: it hands the outcome over to the scheduler. Whoever may not push
//! learns nothing, not even which checks there are; what they send is not read. What is taken is
//! bounded and cleaned as a plugin's report is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use wellcheck_core::config::Role;
use wellcheck_core::format::gatus as gatus_format;
use wellcheck_core::import::parse_duration;
use wellcheck_core::limits::RunLimits;
use wellcheck_core::outcome::{
    self, FailReason, Fault, FaultReason, Observation, Outcome, Part, Report, Run, RunLog,
};
use wellcheck_core::redact::Redactor;
use wellcheck_core::status::Status;

use super::{Answer, App, Asked, Body, Problem, access};
use crate::digest::sha256;
use crate::passive::Passive;
use crate::scheduler::Order;

/// Largest outcome, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// Longest wait for the scheduler, which takes outcomes in turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest that something is believed to have taken.
const MAX_DURATION: Duration = Duration::from_hours(400 * 24);

/// The observation that is made of how long something took.
const TOOK: &str = "response-time";

/// What is pushed, in our own shape.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Pushed {
    status: Option<Status>,
    message: Option<String>,
    observations: Vec<PushedObservation>,
    parts: Vec<PushedPart>,
    details: BTreeMap<String, serde_json::Value>,
    duration_ms: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PushedObservation {
    name: String,
    value: f64,
    unit: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    warn: Option<String>,
    fail: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PushedPart {
    name: String,
    status: Status,
    #[serde(default)]
    message: String,
}

/// `POST /api/v1/push/{name}`
pub(super) fn push<'a>(app: &'a App, asked: &'a Asked<'a>, body: Body) -> BoxFuture<'a, Answer> {
    async move {
        match pushed(app, asked, body).await {
            Ok(answer) | Err(answer) => answer,
        }
    }
    .boxed()
}

async fn pushed(app: &App, asked: &Asked<'_>, body: Body) -> Result<Answer, Answer> {
    let (passive, who) = admit(app, asked.headers, asked.name)?;
    if let Some(answer) = too_often(&passive) {
        return Err(answer);
    }
    let body = body.read(MAX_BODY).await?;
    let pushed = read(asked.query.unwrap_or_default(), &body)
        .map_err(|why| Problem::new(400, "outcome", why))?;
    let run = run(pushed).map_err(|why| Problem::new(400, "outcome", why))?;
    let (status, flags) = (run.outcome.status(), run.log.flags.clone());
    take(app, &passive, run, &who).await?;
    let mut answer = serde_json::json!({ "check": passive.name.as_str(), "status": status });
    if !flags.is_empty() {
        answer["flags"] = flags.into();
    }
    Ok(Answer::json(200, &answer))
}

/// The check to push to, and who does it. A name that is not there answers like a wrong token.
fn admit(app: &App, headers: &HeaderMap, name: &str) -> Result<(Arc<Passive>, String), Problem> {
    let passives = app.passives.load();
    let passive = passives.named(name).cloned();
    let hash = sha256(access::given(headers).unwrap_or_default());
    if let Some(passive) = passive.as_ref().filter(|passive| passive.is_own(&hash)) {
        return Ok((Arc::clone(passive), "the check's own".to_owned()));
    }
    let config = app.live.load();
    // Where checks have tokens of their own, there is one to be had.
    if config.tokens.is_empty() && passives.has_own_tokens() {
        return Err(match access::given(headers) {
            None => Problem::new(401, "no-token", "expected `Authorization: Bearer TOKEN`"),
            Some(_) => Problem::new(401, "unknown-token", "this token is not configured"),
        });
    }
    let who = access::check(&config.tokens, headers, Role::Operate)?;
    let Some(passive) = passive else {
        let shown: String = name.chars().take(100).collect();
        let message =
            format!("there is no check `{shown}` that takes outcomes (its kind is `push`)");
        return Err(Problem::new(404, "unknown-check", message));
    };
    Ok((passive, who))
}

/// The answer where the check takes no more outcomes now.
fn too_often(passive: &Passive) -> Option<Answer> {
    if passive.has_room(Instant::now()) {
        return None;
    }
    let message = format!("`{}` takes 10 outcomes a second", passive.name);
    let answer = Answer::from(Problem::new(429, "too-often", message));
    Some(answer.with(RETRY_AFTER, HeaderValue::from_static("1")))
}

async fn take(app: &App, passive: &Passive, run: Run, who: &str) -> Result<(), Problem> {
    let order = app.scheduler.order(passive.name.clone(), Order::Take(Box::new(run)));
    let problem = match tokio::time::timeout(PATIENCE, order).await {
        Ok(Ok(_)) => {
            tracing::debug!(check = %passive.name, token = who, "an outcome was pushed");
            return Ok(());
        }
        Ok(Err(refusal)) => super::control::refused(passive.name.as_str(), refusal),
        Err(_elapsed) => Problem::new(503, "busy", "the outcome could not be taken in time"),
    };
    Err(problem)
}

/// What stands in the query and in the body, which is JSON, or a form as the query is. Nothing at
/// all is a pass.
fn read(query: &str, body: &Bytes) -> Result<Pushed, String> {
    let mut pushed = Pushed::default();
    form(query.as_bytes(), &mut pushed)?;
    let body = body.trim_ascii();
    // By what it is: `curl -d` calls everything a form.
    if body.starts_with(b"{") {
        let json: Pushed = serde_json::from_slice(body).map_err(|error| {
            format!("{error} (expected for example {{\"status\": \"warn\", \"message\": \"…\"}})")
        })?;
        let status = json.status.or(pushed.status);
        let message = json.message.or(pushed.message);
        let duration_ms = json.duration_ms.or(pushed.duration_ms);
        return Ok(Pushed { status, message, duration_ms, ..json });
    }
    form(body, &mut pushed)?;
    Ok(pushed)
}

fn form(text: &[u8], pushed: &mut Pushed) -> Result<(), String> {
    for (name, value) in url::form_urlencoded::parse(text) {
        match &*name {
            "status" => {
                let found = Status::ALL.iter().find(|status| status.as_str() == value);
                let status = *found.ok_or("`status` is none (expected pass, warn, fail or unknown)")?;
                pushed.status = Some(status);
            }
            "message" => pushed.message = Some(value.into_owned()),
            "duration" => pushed.duration_ms = Some(milliseconds(&value)?),
            _ => return Err("there is a name that is none of `status`, `message` and `duration` (expected these, or a body in JSON)".to_owned()),
        }
    }
    Ok(())
}

fn milliseconds(text: &str) -> Result<f64, String> {
    let duration = parse_duration(text)
        .ok_or("`duration` is none (expected a number with a unit, such as 1.5s)")?;
    Ok(duration.as_secs_f64() * 1000.0)
}

/// The run that this is, cleaned as a plugin's is.
fn run(pushed: Pushed) -> Result<Run, String> {
    let Pushed { status, message, observations, parts, details, duration_ms } = pushed;
    let status = status.unwrap_or(Status::Pass);
    let took = match duration_ms {
        None => None,
        Some(ms) => {
            let duration = Duration::try_from_secs_f64(ms / 1000.0).ok();
            let fits = duration.filter(|duration| *duration <= MAX_DURATION);
            Some(fits.ok_or("`duration` is beyond all measure (expected 0 to 400 days)")?)
        }
    };
    let message = message.filter(|text| !text.trim().is_empty());
    let text = message.clone().unwrap_or_else(|| format!("pushed: {}", status.as_str()));
    let outcome = match answer(status) {
        None => Outcome::Faulted(Fault::new(FaultReason::Inconclusive, text)),
        Some(status) => {
            let mut report = Report::new(status, text);
            report.reason = (status == outcome::Answer::Fail).then_some(FailReason::Pushed);
            report.observations = observations.into_iter().map(observation).collect();
            if let Some(took) = took
                && !report.observations.iter().any(|observation| observation.name == TOOK)
            {
                report.observations.insert(0, Observation::seconds(TOOK, took));
            }
            for PushedPart { name, status, message } in parts {
                let status = answer(status)
                    .ok_or("a part is `unknown` (expected pass, warn or fail)".to_owned())?;
                report.parts.push(Part { name, status, message });
            }
            for (name, value) in details {
                report.details.push((name, scalar(&value)?.into_owned()));
            }
            Outcome::Answered(report)
        }
    };
    let (mut outcome, flags) =
        wellcheck_wasm::clean(outcome, &RunLimits::default(), &Redactor::default());
    if let Outcome::Answered(report) = &mut outcome {
        if message.is_some() {
            let message = report.message.clone();
            report.found.put("message", message);
        }
        if let Some(took) = took {
            report.found.put("duration", took);
        }
    }
    let log = RunLog { lines: Vec::new(), flags };
    Ok(Run { outcome, duration: took.unwrap_or_default(), log, used: Vec::new() })
}

fn answer(status: Status) -> Option<outcome::Answer> {
    match status {
        Status::Pass => Some(outcome::Answer::Pass),
        Status::Warn => Some(outcome::Answer::Warn),
        Status::Fail => Some(outcome::Answer::Fail),
        Status::Unknown => None,
    }
}

fn observation(pushed: PushedObservation) -> Observation {
    let PushedObservation { name, value, unit, labels, warn, fail } = pushed;
    Observation { name, value, unit, labels: labels.into_iter().collect(), warn, fail }
}

/// Texts as they are, numbers and the like as JSON has them.
fn scalar(value: &serde_json::Value) -> Result<Cow<'_, str>, String> {
    match value {
        serde_json::Value::String(text) => Ok(text.into()),
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
            Err("a detail is a list or an object (expected a text or a number)".to_owned())
        }
        other => Ok(other.to_string().into()),
    }
}

/// `POST /api/v1/endpoints/{name}/external`, whose answers are texts.
pub(super) fn gatus<'a>(app: &'a App, asked: &'a Asked<'a>, body: Body) -> BoxFuture<'a, Answer> {
    async move {
        match of_gatus(app, asked, body).await {
            Ok(()) => Answer::text(200, ""),
            Err(answer) => answer,
        }
    }
    .boxed()
}

async fn of_gatus(app: &App, asked: &Asked<'_>, body: Body) -> Result<(), Answer> {
    let snapshot = &app.shared.load().snapshot;
    // No check has the name that stands for those that are not there.
    let check = gatus_format::by_key(snapshot, asked.name);
    let name = check.map_or("", |check| check.spec.name.as_str()).to_owned();
    let (passive, who) = admit(app, asked.headers, &name)?;
    let first = |key: &str| asked.values(key).into_iter().next();
    let passes = match first("success").as_deref() {
        Some("true") => true,
        Some("false") => false,
        _ => return Err(Answer::text(400, "missing or invalid success query parameter")),
    };
    let duration_ms = match first("duration").filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(
            milliseconds(&text)
                .map_err(|why| Answer::text(400, format!("invalid duration: {why}")))?,
        ),
    };
    if let Some(answer) = too_often(&passive) {
        return Err(answer);
    }
    let body = body.read(MAX_BODY).await?;
    let mut errors: Vec<String> =
        first("error").filter(|text| !text.is_empty()).into_iter().collect();
    // Newer clients send a long error in the body; whatever else stands there is no concern of theirs.
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    errors.extend(body["error"].as_str().filter(|text| !text.is_empty()).map(str::to_owned));
    let message = (!passes && !errors.is_empty()).then(|| errors.join("; "));
    let status = Some(if passes { Status::Pass } else { Status::Fail });
    let run = run(Pushed { status, message, duration_ms, ..Pushed::default() })
        .map_err(|why| Answer::text(400, why))?;
    take(app, &passive, run, &who).await?;
    Ok(())
}

/// `/api/push/{name}`, whose token stands in the path, and whose answers say `ok`.
pub(super) fn kuma<'a>(app: &'a App, asked: &'a Asked<'a>, _body: Body) -> BoxFuture<'a, Answer> {
    async move {
        match of_kuma(app, asked).await {
            Ok(()) => Answer::json(200, &serde_json::json!({ "ok": true })),
            Err((code, why)) => Answer::json(code, &serde_json::json!({ "ok": false, "msg": why })),
        }
    }
    .boxed()
}

async fn of_kuma(app: &App, asked: &Asked<'_>) -> Result<(), (u16, String)> {
    let hash = sha256(asked.name.as_bytes());
    let found = app.passives.load().owner(&hash).cloned();
    let passive = found.ok_or((401, "Monitor not found or not active.".to_owned()))?;
    if !passive.has_room(Instant::now()) {
        return Err((429, "10 outcomes a second are taken".to_owned()));
    }
    let first = |key: &str| asked.values(key).into_iter().find(|text| !text.is_empty());
    let status = match first("status").as_deref() {
        None | Some("up") => Status::Pass,
        Some(_) => Status::Fail,
    };
    let message = Some(first("msg").unwrap_or_else(|| "OK".to_owned()));
    let duration_ms = match first("ping") {
        None => None,
        Some(text) => {
            let ping = text.trim().parse().ok().filter(|ping: &f64| *ping >= 0.0);
            Some(ping.ok_or((400, "`ping` is no number of milliseconds".to_owned()))?)
        }
    };
    let run = run(Pushed { status: Some(status), message, duration_ms, ..Pushed::default() })
        .map_err(|why| (400, why))?;
    let taken = take(app, &passive, run, "the check's own").await;
    taken.map_err(|_| (503, "the outcome could not be taken".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(query: &str, body: &str) -> String {
        let body = Bytes::copy_from_slice(body.as_bytes());
        match read(query, &body).and_then(run) {
            Ok(run) => format!("{} {}", run.outcome.status(), run.outcome.message()),
            Err(why) => format!("error: {}", why.split(" (").next().unwrap_or_default()),
        }
    }

    #[test]
    fn forms_json_and_nothing_are_understood() {
        for (query, body, expected) in [
            ("", "", "pass pushed: pass"),
            ("status=fail&message=disk+full", "", "fail disk full"),
            ("", "status=warn&message=a%20b", "warn a b"),
            ("status=fail", "message=from+both", "fail from both"),
            ("", r#" {"status": "unknown", "message": "m"}"#, "unknown m"),
            ("message=x", r#"{"status": "warn"}"#, "warn x"),
            ("", "{}", "pass pushed: pass"),
            ("", r#"{"message": "two\nlines\u001b[31m"}"#, "pass two\\nlines\\u{1b}[31m"),
            ("status=up", "", "error: `status` is none"),
            (
                "state=fail",
                "",
                "error: there is a name that is none of `status`, `message` and `duration`",
            ),
            ("duration=x", "", "error: `duration` is none"),
            ("", r#"{"duration_ms": -1}"#, "error: `duration` is beyond all measure"),
            ("", r#"{"details": {"a": []}}"#, "error: a detail is a list or an object"),
            (
                "",
                r#"{"stat": "fail"}"#,
                "error: unknown field `stat`, expected one of `status`, `message`, `observations`, `parts`, `details`, `duration_ms` at line 1 column 7",
            ),
        ] {
            assert_eq!(shown(query, body), expected, "{query} {body}");
        }
    }

    #[test]
    fn what_is_no_observation_is_left_out_and_flagged() {
        let body = r#"{"observations": [{"name": "depth", "value": 5, "unit": "B", "warn": "10", "labels": {"q": "a"}},
            {"name": "a b", "value": 1}], "details": {"host": "x", "n": 3}, "duration_ms": 1500}"#;
        let run = run(read("", &Bytes::from_static(body.as_bytes())).unwrap()).unwrap();
        let Outcome::Answered(report) = &run.outcome else { panic!("{run:?}") };
        let names: Vec<&str> = report.observations.iter().map(|o| o.name.as_str()).collect();
        assert_eq!(names, ["response-time", "depth"]);
        assert_eq!(report.details[1], ("n".to_owned(), "3".to_owned()));
        assert_eq!((run.duration, run.log.flags.len()), (Duration::from_millis(1500), 1));
    }
}
