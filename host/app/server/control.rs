//! `POST /api/v1/checks/{name}/run`, `pause` and `resume`, and `/api/v1/maintenance`: what somebody
//! with a token of the role `operate` may want of checks. Each is an order to the scheduler; the
//! handler waits only until it has been taken.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wellcheck_core::config::Role;
use wellcheck_core::config::tree::Place;
use wellcheck_core::id::CheckName;
use wellcheck_core::maintenance::{LONGEST, When, Window};
use wellcheck_core::snapshot::WindowState;
use wellcheck_core::time::WallTime;
use wellcheck_core::units::{parse_duration, show_duration};

use super::{Answer, App, Asked, Body, Problem, access};
use crate::scheduler::{Maintain, Order, Refusal};

/// Largest body, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// Most names or tags of a window.
const MOST_NAMES: usize = 100;

/// Longest text for people, in bytes.
const MAX_TITLE: usize = 200;

/// A number of JavaScript's holds it.
const NUMBERS: u64 = 1 << 53;

/// Runs a check now.
pub(super) fn run<'a>(app: &'a App, asked: &'a Asked<'a>, _: Body) -> BoxFuture<'a, Answer> {
    async move {
        let by = admit(app, asked)?;
        order(app, asked, &by, "run", Order::Run).await
    }
    .map(either)
    .boxed()
}

/// Stops a check from running, for a while or until it is told to go on.
pub(super) fn pause<'a>(app: &'a App, asked: &'a Asked<'a>, body: Body) -> BoxFuture<'a, Answer> {
    async move {
        let by = admit(app, asked)?;
        let Pause { r#for, until } = read(body).await?;
        let until = match (r#for, until) {
            (None, None) => None,
            given => Some(end(app, given)?),
        };
        order(app, asked, &by, "pause", Order::Pause { by: by.clone(), until }).await
    }
    .map(either)
    .boxed()
}

/// Ends a pause.
pub(super) fn resume<'a>(app: &'a App, asked: &'a Asked<'a>, _: Body) -> BoxFuture<'a, Answer> {
    async move {
        let by = admit(app, asked)?;
        order(app, asked, &by, "resume", Order::Resume).await
    }
    .map(either)
    .boxed()
}

/// Lists maintenance windows, or opens one.
pub(super) fn maintenance<'a>(
    app: &'a App,
    asked: &'a Asked<'a>,
    body: Body,
) -> BoxFuture<'a, Answer> {
    async move {
        if asked.method != Method::POST {
            let snapshot = &app.shared.load().snapshot;
            let list: Vec<Told<'_>> = snapshot.windows.iter().map(Told::of).collect();
            return Ok(Answer::json(200, &serde_json::json!({ "windows": list })));
        }
        let by = admit(app, asked)?;
        let open: Open = read(body).await?;
        let window = window(app, open)?;
        let number = rand_number()?;
        let title = window.title.clone().unwrap_or_default();
        let When::Once(_, until) = window.when else { unreachable!("made with an end") };
        app.scheduler
            .maintain(Maintain::Open(window, number))
            .await
            .map_err(|refusal| refused(asked.name, refusal))?;
        tracing::info!(token = %by, number, %until, title, "maintenance begins");
        Ok(Answer::json(201, &serde_json::json!({ "number": number, "until": until })))
    }
    .map(either)
    .boxed()
}

/// Ends a maintenance window that was opened by request.
pub(super) fn end_maintenance<'a>(
    app: &'a App,
    asked: &'a Asked<'a>,
    _: Body,
) -> BoxFuture<'a, Answer> {
    async move {
        let by = admit(app, asked)?;
        let number = asked.name.parse().unwrap_or(NUMBERS);
        app.scheduler.maintain(Maintain::Close(number)).await.map_err(|refusal| match refusal {
            Refusal::Unknown => {
                let message = "there is no such window that was opened by request (`GET /api/v1/maintenance` lists them)";
                Problem::new(404, "unknown-window", message)
            }
            other => refused(asked.name, other),
        })?;
        tracing::info!(token = %by, number, "maintenance ends");
        Ok(Answer::json(200, &serde_json::json!({ "ended": number })))
    }
    .map(either)
    .boxed()
}

fn either(answer: Result<Answer, Problem>) -> Answer {
    answer.unwrap_or_else(Answer::from)
}

/// The name of the token that came with a request.
fn admit(app: &App, asked: &Asked<'_>) -> Result<String, Problem> {
    access::check(&app.live.load().tokens, asked.headers, Role::Operate)
}

async fn order(
    app: &App,
    asked: &Asked<'_>,
    by: &str,
    what: &str,
    order: Order,
) -> Result<Answer, Problem> {
    let name = CheckName::new(asked.name).map_err(|_none| Problem::unknown_check(asked.name))?;
    let taken = app.scheduler.order(name, order).await;
    let runs = taken.map_err(|refusal| refused(asked.name, refusal))?;
    tracing::info!(token = %by, check = asked.name, "{what}");
    Ok(Answer::json(202, &serde_json::json!({ "check": asked.name, "order": what, "runs": runs })))
}

pub(super) fn refused(name: &str, refusal: Refusal) -> Problem {
    let (code, word, message) = match refusal {
        Refusal::Unknown => return Problem::unknown_check(name),
        Refusal::Held => (409, "held", "it cannot run at present; its message says why"),
        Refusal::NotPassive => (409, "not-passive", "it takes no outcomes from outside"),
        Refusal::Passive => (409, "passive", "it runs nothing: its outcomes come from outside"),
        Refusal::TooMany => (429, "too-many", "there are as many maintenance windows as may be"),
        Refusal::Stopping => (503, "stopping", "the server is about to stop"),
    };
    Problem::new(code, word, message)
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pause {
    r#for: Option<String>,
    until: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Open {
    title: Option<String>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    tags: Vec<String>,
    r#for: Option<String>,
    until: Option<String>,
}

/// An empty body says nothing.
async fn read<T: DeserializeOwned + Default>(body: Body) -> Result<T, Problem> {
    let body = body.read(MAX_BODY).await?;
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&body)
        .map_err(|error| Problem::new(400, "body", format!("the body is not as expected: {error}")))
}

/// A moment at most [`LONGEST`] from now, given by how long it takes until then, or by itself.
fn end(app: &App, given: (Option<String>, Option<String>)) -> Result<WallTime, Problem> {
    let now = app.clock.now().wall;
    let after = |duration: Duration| {
        WallTime(now.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    };
    let problem = |why: String| Problem::new(400, "end", why);
    let end = match given {
        (Some(text), None) => {
            let duration = parse_duration(&text).ok_or_else(|| {
                problem(format!(
                    "`for` is `{}` (expected for example `1h30m`)",
                    text.escape_debug()
                ))
            })?;
            after(duration)
        }
        (None, Some(text)) => wellcheck_core::config::moment(&text, None).map_err(problem)?,
        (Some(_), Some(_)) => {
            return Err(problem("there are both `for` and `until` (expected one)".to_owned()));
        }
        (None, None) => {
            let why = "a maintenance window ends: expected `for`, such as `1h`, or `until`";
            return Err(problem(why.to_owned()));
        }
    };
    if end <= now || end > after(LONGEST) {
        let longest = show_duration(LONGEST);
        return Err(problem(format!(
            "it ends {end} (expected a moment from now on, at most {longest} away)"
        )));
    }
    Ok(end)
}

fn window(app: &App, open: Open) -> Result<Window, Problem> {
    let Open { title, names, tags, r#for, until } = open;
    let now = app.clock.now().wall;
    let end = end(app, (r#for, until))?;
    let problem = |why: String| Problem::new(400, "window", why);
    let long = |text: &String| text.len() > MAX_TITLE || text.chars().any(char::is_control);
    if names.len() > MOST_NAMES || tags.len() > MOST_NAMES {
        return Err(problem(format!("there are more than {MOST_NAMES} names or tags")));
    }
    if let Some(text) = title.iter().chain(&tags).find(|text| long(text)) {
        let shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
        return Err(problem(format!(
            "`{shown}` is longer than {MAX_TITLE} bytes, or holds control characters"
        )));
    }
    let snapshot = &app.shared.load().snapshot;
    let mut known = Vec::new();
    for name in names {
        match snapshot.item(&name) {
            Some(item) => known.push(CheckName::new(item.name()).expect("it has this name")),
            None => {
                let shown: String = name.chars().take(80).flat_map(char::escape_debug).collect();
                return Err(problem(format!("there is no check or group `{shown}`")));
            }
        }
    }
    let (when, place) = (When::Once(now, end), Place::file("a request"));
    Ok(Window { title, names: known, tags, when, place })
}

fn rand_number() -> Result<u64, Problem> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_error| Problem::new(500, "random", "there is no randomness"))?;
    Ok(u64::from_le_bytes(bytes) % NUMBERS)
}

/// A maintenance window, as it is told.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    names: Vec<&'a str>,
    tags: &'a [String],
    open: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<WallTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_change: Option<WallTime>,
}

impl<'a> Told<'a> {
    fn of(state: &'a WindowState) -> Self {
        Self {
            number: state.number,
            title: state.title.as_deref(),
            names: state.names.iter().map(CheckName::as_str).collect(),
            tags: &state.tags,
            open: state.open_until.is_some(),
            until: state.open_until,
            next_change: state.next_change,
        }
    }
}
