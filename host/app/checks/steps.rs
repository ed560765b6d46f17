//! The kind `steps`: several requests in a row that share what was captured: log in, then call.
//!
//! Each step is a request with the keys of the kind `http` and its own expectations. What it
//! captures stands in place of `{{NAME}}` in the URL, the headers, `bearer` and the body of steps
//! behind it; cookies are kept for the whole run. The first step that fails ends the run.

mod capture;
mod template;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::HeaderName;
use http::header::{AUTHORIZATION, HOST};
use tokio::time::Instant;
use wellcheck_core::condition::Judgement;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::problem::known;
use wellcheck_core::config::reader::Reader;
use wellcheck_core::config::tree::{Entry, Node, Table, Text, Value};
use wellcheck_core::config::{self, Problems};
use wellcheck_core::fact::{FactKey, Found, Shape, fact};
use wellcheck_core::outcome::{Answer, FailReason, Observation, Outcome, Part, Report, Run};
use wellcheck_core::snapshot::Facts;
use wellcheck_net::http::Request;

use self::capture::Capture;
use self::template::{Form, Template, Values, is_name};
use super::http::ask::Circumstances;
use super::http::found;
use super::http::jar::Cookies;
use super::http::settings::{self, Plan};
use super::http::way;
use super::{Checker, Kind, RunContext, Tools, tls};
use crate::sources::without_credentials;

/// Most steps of a check.
const MOST: usize = 20;

/// The observation that every check has.
const WHOLE: &str = "response-time";

const KEYS: &[Key] = &[
    key(
        "url",
        "none",
        "url = \"https://shop.example.com\"",
        "What URLs of steps that begin with `/` belong to: an `http` or `https` URL, without a query.",
    ),
    key(
        "step",
        "",
        "step = [{ url = \"/login\", capture = { token = { json = \"$.token\" } } }, { url = \"/me\", bearer = \"{{token}}\" }]",
        "The requests, one after the other, at most 20: `[[check.step]]` with the keys of the kind `http` but `each-address`. Further keys: `warn` and `fail`, conditions over the facts of `http` and over the step's `latency`; `name`, for messages and the observation of how long it took (`step-1` and so on); `capture`, values for the steps behind it, at most 32 of 16KiB: each `{ json = \"$.path\" }`, `{ header = \"Name\" }`, `{ cookie = \"name\" }` or `{ regex = \"in the body: (.*)\" }`, of which `regex` may stand beside each other one and takes its first group. `{{NAME}}` in `url` (behind the host), `headers`, `bearer` and `body` is replaced by what an earlier step captured, encoded for where it stands: in a URL, in JSON and in forms as one value. Any other braces are text. If there is nothing to capture, the step fails with `unexpected-value`. The keys below stand for every step that does not have them itself.",
    ),
];

const STEP: &[Key] = &[
    key("name", "step-1, step-2, ...", "name = \"login\"", "What the step is called."),
    key(
        "capture",
        "nothing",
        "capture = { token = { json = \"$.token\" } }",
        "Values for the steps behind it.",
    ),
    key("warn", "none", "warn = \"latency > 1s\"", "Conditions over the step's own facts."),
    key("fail", "none", "fail = \"json.state != 'ok'\"", "Likewise, that make it fail."),
];

const STEP_KEYS: &[&[Key]] = &[
    STEP,
    settings::ALL[0],
    settings::ALL[1],
    settings::ALL[2],
    settings::ALL[3],
    settings::ALL[4],
    settings::ALL[5],
];

const FACTS: &[FactKey] = &[
    fact("steps", Shape::Integer, "How many steps were as expected."),
    fact("step", Shape::Text, "The name of the last step that ran."),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Steps;

impl Kind for Steps {
    fn name(&self) -> &'static str {
        "steps"
    }

    fn summary(&self) -> &'static str {
        "sends requests in a row that share captured values: log in, then call"
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[KEYS, way::KEYS, tls::KEYS]
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        &[FACTS]
    }

    fn example(&self) -> &'static str {
        r#"[[check]]
name = "orders"
kind = "steps"
url = "https://shop.example.com"

[[check.step]]
name = "login"
url = "/login"
headers = { Content-Type = "application/json" }
body = '{"user": "probe", "password": "secret"}'
capture = { token = { json = "$.token" } }

[[check.step]]
name = "orders"
url = "/orders"
bearer = "{{token}}"
expect-body-matches = '"orders":'
"#
    }

    fn parse(
        &self,
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        let base = reader.has("url").then(|| reader.parsed("url", problems, base));
        let shared: Vec<(&'static str, Entry)> = way::KEYS
            .iter()
            .chain(tls::KEYS)
            .filter_map(|key| Some((key.name, reader.take(key.name)?)))
            .collect();
        if !reader.has("step") {
            reader.missing("step", problems);
        }
        let place = reader.place_of("step");
        let tables = reader.tables("step", problems);
        if tables.len() > MOST {
            let message = format!("{} has {} steps (at most {MOST})", reader.what(), tables.len());
            problems.error(&place, message);
        }
        let base = match base {
            None => None,
            Some(base) => Some(base?),
        };
        let mut steps: Vec<Step> = Vec::new();
        let mut captured: Vec<String> = Vec::new();
        let mut whole = true;
        for (at, mut table) in tables.into_iter().take(MOST).enumerate() {
            for (name, entry) in &shared {
                table.entries.entry((*name).to_owned()).or_insert_with(|| entry.clone());
            }
            let around =
                Around { check: reader.what(), at, base: base.as_ref(), captured: &captured };
            // Also those of a step that cannot be used, so that its problems are told alone.
            let names = capture::names(&table);
            match around.step(table, tools, problems) {
                Some(step) => {
                    if steps.iter().any(|other| other.name == step.name) {
                        let message =
                            format!("two steps of {} are called `{}`", reader.what(), step.name);
                        problems.error(&place, message);
                    }
                    steps.push(step);
                }
                None => whole = false,
            }
            captured.extend(names);
        }
        if !whole || steps.is_empty() {
            return None;
        }
        let first = &steps[0].plan.facts;
        let target = base.as_ref().map(|base| without_credentials(base.shown()));
        let target = target.or_else(|| first.target.clone());
        let facts = Facts { target, port: first.port, plugin: None };
        Some(Arc::new(StepsCheck { steps, facts }))
    }
}

/// What URLs begin with: `https://host/path`, without a slash at its end.
fn base(text: &Text) -> Result<Text, String> {
    let shown = without_credentials(text.shown());
    let url = url::Url::parse(&text.value).map_err(|error| {
        format!("`{shown}` is no URL: {error} (expected for example `https://shop.example.com`)")
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        let scheme = url.scheme();
        return Err(format!("`{shown}` has the scheme `{scheme}` (expected http or https)"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("`{shown}` has a query (expected a URL that others can begin with)"));
    }
    let cut = |text: &str| text.trim_end_matches('/').to_owned();
    let written = text.written.as_deref().map(cut);
    Ok(Text { value: cut(&text.value), written, place: text.place.clone() })
}

/// Where a step stands.
struct Around<'a> {
    check: &'a str,
    at: usize,
    base: Option<&'a Text>,
    /// What the steps before it capture.
    captured: &'a [String],
}

impl Around<'_> {
    fn step(&self, mut table: Table, tools: &Tools, problems: &mut Problems) -> Option<Step> {
        let mut what = format!("step {} of {}", self.at + 1, self.check);
        if let Some(Value::String(name)) = table.entries.get("name").map(|entry| &entry.node.value)
        {
            what = format!("step `{}` of {}", name.shown().escape_debug(), self.check);
        }
        let url = self.url(&mut table, &what, problems);
        let body = self.place(&mut table, "body", &what, problems);
        let bearer = self.place(&mut table, "bearer", &what, problems);
        let headers = self.headers(&mut table, &what, problems);
        let mut reader = Reader::new(what, table, STEP_KEYS);
        let name = reader.parsed("name", problems, |text| {
            let fits = is_name(&text.value) && text.value != WHOLE;
            fits.then(|| text.value.clone()).ok_or_else(|| {
                let shown = text.shown().escape_debug();
                format!("`{shown}` is no name of a step (expected letters, digits, `-` and `_`)")
            })
        });
        let captures = capture::read(&mut reader, problems);
        let judgement = config::conditions_of_part(&mut reader, found::ALL_FACTS, problems);
        let mut reader = reader.asking(judgement.asked().as_ref().clone());
        let each = reader.place_of("each-address");
        let plan = settings::read(&mut reader, tools, problems);
        if plan.as_ref().is_some_and(|plan| plan.each) {
            let message = format!(
                "{} has `each-address` (a step asks one address, of which the next ones know)",
                reader.what()
            );
            problems.error(&each, message);
        }
        reader.finish(&[], problems);
        let plan = plan?;
        let form = body.as_ref().map(|body| Form::of(&plan.request.headers, body));
        let bearer = bearer.map(|bearer| bearer.behind("Bearer "));
        let headers = headers.into_iter().chain(bearer.map(|bearer| (AUTHORIZATION, bearer)));
        Some(Step {
            name: name.unwrap_or_else(|| format!("step-{}", self.at + 1)),
            url,
            headers: headers.collect(),
            body: body.zip(form),
            judgement,
            captures,
            plan,
        })
    }

    /// Takes the text of a key apart, and puts stand-ins into the table.
    fn place(
        &self,
        table: &mut Table,
        key: &str,
        what: &str,
        problems: &mut Problems,
    ) -> Option<Template> {
        let entry = table.entries.get_mut(key)?;
        self.template(&mut entry.node, &format!("`{key}` of {what}"), problems)
    }

    fn template(&self, node: &mut Node, what: &str, problems: &mut Problems) -> Option<Template> {
        let Value::String(text) = &mut node.value else { return None };
        let template = Template::parse(&text.value);
        if template.is_plain() {
            return None;
        }
        let unknown = |name: &&str| !self.captured.iter().any(|known| known == name);
        for name in template.names().filter(unknown) {
            let list = match self.captured {
                [] => "(nothing is captured before it)".to_owned(),
                names => known("captured values", name, names.iter().map(String::as_str)),
            };
            let message =
                format!("{what} holds `{{{{{name}}}}}`, which no step before captures {list}");
            problems.error(&node.place, message);
        }
        // What is in its places is as secret as what comes from outside.
        text.written.get_or_insert_with(|| text.value.clone());
        text.value = template.stand_in();
        Some(template)
    }

    /// The URL of a step, behind the base if it is a path.
    fn url(&self, table: &mut Table, what: &str, problems: &mut Problems) -> Option<Template> {
        let entry = table.entries.get_mut("url")?;
        let Value::String(text) = &mut entry.node.value else { return None };
        if text.value.starts_with('/') && !text.value.starts_with("//") {
            let Some(base) = self.base else {
                let message = format!(
                    "`url` of {what} begins with `/`, and there is no `url` of {} for it to belong to",
                    self.check
                );
                problems.error(&entry.node.place, message);
                text.value = format!("http://localhost{}", text.value);
                return None;
            };
            if base.written.is_some() || text.written.is_some() {
                text.written = Some(format!("{}{}", base.shown(), text.shown()));
            }
            text.value = format!("{}{}", base.value, text.value);
        }
        let beginning = Template::parse(&text.value);
        let authority = beginning.beginning().split_once("://").map(|(_, rest)| rest);
        let place = entry.node.place.clone();
        let template = self.template(&mut entry.node, &format!("`url` of {what}"), problems)?;
        if !authority.is_some_and(|rest| rest.contains(['/', '?', '#'])) {
            let message = format!(
                "`url` of {what} has a captured value in front of its path (expected scheme, host and a `/` before it)"
            );
            problems.error(&place, message);
        }
        Some(template)
    }

    fn headers(
        &self,
        table: &mut Table,
        what: &str,
        problems: &mut Problems,
    ) -> Vec<(HeaderName, Template)> {
        let mut list = Vec::new();
        let Some(entry) = table.entries.get_mut("headers") else { return list };
        let Value::Table(headers) = &mut entry.node.value else { return list };
        for (name, entry) in &mut headers.entries {
            let shown = format!("`{}` in `headers` of {what}", name.escape_debug());
            let Some(template) = self.template(&mut entry.node, &shown, problems) else { continue };
            let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
            if name == HOST {
                let message = format!("{shown} has a captured value (expected a host as it is)");
                problems.error(&entry.node.place, message);
            }
            list.push((name, template));
        }
        list
    }
}

/// One request of several.
struct Step {
    name: String,
    plan: Plan,
    /// What is in place of the plan's, where there are captured values in it.
    url: Option<Template>,
    headers: Vec<(HeaderName, Template)>,
    body: Option<(Template, Form)>,
    judgement: Judgement,
    captures: Vec<Capture>,
}

impl Step {
    /// The request, with captured values in their places.
    fn request(&self, values: &Values) -> Result<Request, String> {
        let mut request = self.plan.request.clone();
        if let Some(url) = &self.url {
            request.url = url.url(values, &request.url)?;
        }
        for (name, template) in &self.headers {
            request.headers.insert(name.clone(), template.header(values)?);
        }
        if let Some((template, form)) = &self.body {
            request.body = template.body(values, *form).into();
        }
        Ok(request)
    }

    /// Does the step; what it captures is among `values` if it does not fail.
    async fn run(&self, values: &mut Values, jar: &Arc<Cookies>, deadline: Instant) -> Outcome {
        let unfit = |why: String| Outcome::Answered(Report::fail(FailReason::UnexpectedValue, why));
        let request = match self.request(values) {
            Ok(request) => request,
            Err(why) => return unfit(why),
        };
        let begun = Instant::now();
        let asked = self.judgement.asked();
        let around = Circumstances { deadline, asked: &asked };
        let ask = self.plan.ask(request, jar, Duration::ZERO, &around);
        let (exchange, outcome) = Box::pin(ask).await;
        let mut run = Run::new(outcome, begun.elapsed());
        self.judgement.apply(&mut run);
        let outcome = run.outcome;
        let passed = matches!(&outcome, Outcome::Answered(report) if report.status != Answer::Fail);
        if let (true, Ok(answer)) = (passed, &exchange.result) {
            let cookies = jar.list(&exchange.url);
            for capture in &self.captures {
                match capture.take(answer, &cookies) {
                    Ok(value) => values.insert(capture.name.clone(), value),
                    Err(why) => return unfit(format!("{}, but {why}", outcome.message())),
                };
            }
        }
        outcome
    }
}

struct StepsCheck {
    steps: Vec<Step>,
    facts: Facts,
}

impl Checker for StepsCheck {
    fn facts(&self) -> Facts {
        self.facts.clone()
    }

    fn run<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, Run> {
        async move {
            let started = Instant::now();
            Run::new(self.look(context).await, started.elapsed())
        }
        .boxed()
    }
}

impl StepsCheck {
    async fn look(&self, context: &RunContext) -> Outcome {
        let started = Instant::now();
        let jar = Arc::new(Cookies::default());
        let mut values = Values::new();
        let (mut parts, mut times) = (Vec::new(), Vec::new());
        let mut worst: Option<Report> = None;
        let mut last = String::new();
        let all = self.steps.len();
        for (at, step) in self.steps.iter().enumerate() {
            let begun = Instant::now();
            let outcome = step.run(&mut values, &jar, context.deadline).await;
            times.push(Observation::seconds(&step.name, begun.elapsed()));
            let name = || format!("step `{}` ({} of {all})", step.name, at + 1);
            let mut report = match outcome {
                Outcome::Answered(report) => report,
                Outcome::Faulted(mut fault) => {
                    fault.message = format!("{}: {}", name(), fault.message);
                    return Outcome::Faulted(fault);
                }
            };
            let Report { status, message, .. } = &report;
            let (status, message) = (*status, message.clone());
            parts.push(Part { name: step.name.clone(), status, message: message.clone() });
            last = message;
            report.message = format!("{}: {}", name(), report.message);
            if status > worst.as_ref().map_or(Answer::Pass, |worst| worst.status) {
                worst = Some(report);
            }
            if status == Answer::Fail {
                break;
            }
        }
        let report = worst.unwrap_or_else(|| {
            let message = match all {
                1 => format!("its one step {last}"),
                _ => format!("{all} steps passed; the last one {last}"),
            };
            Report::new(Answer::Pass, message)
        });
        Outcome::Answered(whole(report, parts, times, started, context))
    }
}

/// The report of all steps, from that of the one that decides.
fn whole(
    mut report: Report,
    parts: Vec<Part>,
    times: Vec<Observation>,
    started: Instant,
    context: &RunContext,
) -> Report {
    report.observations = vec![Observation::seconds(WHOLE, started.elapsed())];
    report.observations.extend(times);
    // It may hold what was captured.
    report.details.retain(|(name, _)| name != "url");
    report.found = Found::default();
    if !context.asked.is_empty() {
        let good = parts.iter().filter(|part| part.status != Answer::Fail).count();
        report.found.put("steps", i64::try_from(good).expect("there are 20 at most"));
        let last = parts.last().map(|part| part.name.clone());
        report.found.put("step", last.unwrap_or_default());
    }
    report.parts = parts;
    report
}
