//! An outcome as it is printed: for people, as JSON, as a monitoring plugin.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use wellcheck_core::check::{CheckSpec, What};
use wellcheck_core::config::tree::{Place, Table, Text};
use wellcheck_core::format::{Selection, api, by_name};
use wellcheck_core::grant::Use;
use wellcheck_core::id::CheckName;
use wellcheck_core::outcome::{Outcome, Run};
use wellcheck_core::record::{Exchange, Reply};
use wellcheck_core::snapshot::{CheckState, Facts, Item, Last, Snapshot};
use wellcheck_core::time::WallTime;
use wellcheck_core::units::{count, show_size};
use wellcheck_wasm::{LoadTimings, Usage};

use super::Done;
use crate::cli::spread::{milliseconds, ms};
use crate::cli::table::paint;
use crate::records::Noted;

/// The line that monitoring agents read.
pub(crate) fn line(run: &Run) -> String {
    let status = run.outcome.status();
    let reason = run.outcome.reason().map_or(String::new(), |reason| format!(" ({reason})"));
    let took = run.duration.as_secs_f64() * 1e3;
    format!("{}{reason}: {} [{took:.1} ms]", paint(status, 0), run.outcome.message())
}

/// For people: that line, then what else there is.
pub(super) fn text(done: &Done, timings: bool) -> String {
    let mut text = outcome(&done.run, done.used.as_ref());
    if timings {
        text += &times(done);
    }
    text
}

/// Likewise, of a run and what it used.
pub(crate) fn outcome(run: &Run, used: Option<&Usage>) -> String {
    let mut lines = vec![line(run)];
    if let Outcome::Answered(report) = &run.outcome {
        for part in &report.parts {
            let status = paint(part.status.into(), 0);
            lines.push(format!("  {status} {}: {}", part.name, part.message));
        }
        for observation in &report.observations {
            let labels: Vec<String> =
                observation.labels.iter().map(|(name, text)| format!("{name}={text}")).collect();
            let labels =
                if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let unit = observation.unit.as_deref().unwrap_or("");
            lines.push(format!("  {}{labels} = {}{unit}", observation.name, observation.value));
        }
        for (name, text) in &report.details {
            lines.push(format!("  {name}: {text}"));
        }
    }
    lines.extend(run.log.lines.iter().map(|line| format!("  | {line}")));
    lines.extend(run.log.flags.iter().map(|flag| format!("  note: {flag}")));
    for Use { kind, value, denied } in &run.used {
        let word = if *denied { "denied" } else { "used" };
        lines.push(format!("  {word} {} = \"{value}\"", kind.as_str()));
    }
    lines.extend(used.map(|used| format!("  {}", cost(used))));
    lines.join("\n") + "\n"
}

fn cost(used: &Usage) -> String {
    format!(
        "{} of CPU, {} of memory, {}, {} of bodies",
        milliseconds(used.cpu),
        show_size(used.memory_peak as u64),
        count(used.requests as usize, "request"),
        show_size(used.bytes)
    )
}

/// One JSON object on a line: the outcome as the API has it, and what the run used.
pub(super) fn json(done: &Done, timings: bool) -> String {
    let mut more = Vec::new();
    if let Some(used) = &done.used {
        more.push(("used", uses(&done.run.used)));
        more.push(("cost", costs(used)));
    }
    if timings {
        more.push(("timings", times_json(done)));
    }
    with(&done.run, &more)
}

/// Likewise, with further keys.
pub(crate) fn with(run: &Run, more: &[(&str, Value)]) -> String {
    let mut json = String::from_utf8(api::run(run)).expect("JSON is UTF-8");
    // Behind the keys that the API has, in its order.
    json.pop();
    for (key, value) in more {
        json.extend([",\"", key, "\":", &value.to_string()]);
    }
    json + "}\n"
}

pub(crate) fn uses(used: &[Use]) -> Value {
    let one = |u: &Use| json!({ "grant": u.kind.as_str(), "value": u.value, "denied": u.denied });
    used.iter().map(one).collect()
}

pub(crate) fn costs(used: &Usage) -> Value {
    json!({
        "cpu_ms": ms(used.cpu),
        "memory": used.memory_peak,
        "requests": used.requests,
        "bytes": used.bytes,
    })
}

/// As a monitoring plugin answers, by the format of that name.
pub(super) fn nagios(check: &CheckName, run: &Run) -> String {
    let place = Place::file("the command line");
    let kind = Text { value: "plugin".into(), written: None, place: place.clone() };
    let settings = Table { entries: BTreeMap::default(), place: place.clone() };
    let spec = CheckSpec::new(check.clone(), What::Builtin { kind, settings }, place);
    let at = WallTime::default();
    let state = Arc::new(CheckState {
        state: run.outcome.status(),
        answered: true,
        last: Some(Arc::new(Last { run: run.clone(), at })),
        ..CheckState::new(Arc::new(spec), Arc::new(Facts::default()), at)
    });
    let snapshot = Snapshot { checks: vec![Arc::clone(&state)], ..Snapshot::default() };
    let (_, format) = by_name("nagios").expect("there is this format");
    let text = format.render(&Selection::item(&snapshot, Item::Check(&state)));
    String::from_utf8_lossy(&text).into_owned()
}

/// The steps of a load that took any time.
pub(crate) fn load_steps(timings: &LoadTimings) -> Vec<(&'static str, std::time::Duration)> {
    let LoadTimings { validate, compile, cache, bind, describe, from_cache, .. } = timings;
    let cached = if *from_cache { "compiled code from the cache" } else { "look into the cache" };
    let steps = [
        ("validate", *validate),
        (cached, *cache),
        ("compile", *compile),
        ("link", *bind),
        ("describe", *describe),
    ];
    steps.into_iter().filter(|(_, took)| !took.is_zero()).collect()
}

fn times(done: &Done) -> String {
    let mut lines = Vec::new();
    if let Some(Noted { plugin, .. }) = &done.noted {
        let timings = plugin.timings();
        let steps: Vec<String> = load_steps(timings)
            .into_iter()
            .map(|(name, took)| format!("{name} {}", milliseconds(took)))
            .collect();
        lines.push(format!("  load {} ({})", milliseconds(timings.total()), steps.join(", ")));
    }
    let run = format!("  run {}", milliseconds(done.run.duration));
    lines.push(match &done.used {
        Some(used) => format!(
            "{run} (instantiate {}, {} of CPU)",
            milliseconds(used.instantiate),
            milliseconds(used.cpu)
        ),
        None => run,
    });
    for exchange in exchanges(done) {
        let Exchange { at, method, url, reply, .. } = &exchange;
        let reply = match reply {
            Reply::Silence => "no answer".to_owned(),
            Reply::Failure(failed) => format!("{} after {:.2} ms", failed.kind, failed.after),
            Reply::Answer(answer) => {
                let bytes: usize = answer.body.iter().map(|chunk| chunk.data.0.len()).sum();
                format!(
                    "{} after {:.2} ms, all of it after {:.2} ms ({})",
                    answer.status,
                    answer.after,
                    end(answer),
                    show_size(bytes as u64)
                )
            }
        };
        lines.push(format!("  {method} {url} sent at {at:.2} ms: {reply}"));
    }
    format!("timings:\n{}\n", lines.join("\n"))
}

/// Until the last piece of the body, since the request.
fn end(answer: &wellcheck_core::record::Answer) -> f64 {
    answer.after + answer.body.iter().map(|chunk| chunk.after).sum::<f64>()
}

fn exchanges(done: &Done) -> Vec<Exchange> {
    done.noted.as_ref().map_or_else(Vec::new, |noted| noted.record().http)
}

fn times_json(done: &Done) -> Value {
    let mut body = json!({ "run_ms": ms(done.run.duration) });
    if let Some(used) = &done.used {
        body["instantiate_ms"] = ms(used.instantiate).into();
        body["cpu_ms"] = ms(used.cpu).into();
    }
    if let Some(Noted { plugin, .. }) = &done.noted {
        let timings = plugin.timings();
        body["load"] = json!({
            "total_ms": ms(timings.total()),
            "validate_ms": ms(timings.validate),
            "compile_ms": ms(timings.compile),
            "cache_ms": ms(timings.cache),
            "link_ms": ms(timings.bind),
            "describe_ms": ms(timings.describe),
            "from_cache": timings.from_cache,
        });
    }
    let requests = exchanges(done).into_iter().map(|exchange| {
        let mut one = json!({
            "method": exchange.method,
            "url": exchange.url,
            "sent_ms": exchange.at,
        });
        match &exchange.reply {
            Reply::Silence => {}
            Reply::Failure(failed) => {
                one["failure"] = failed.kind.as_str().into();
                one["end_ms"] = failed.after.into();
            }
            Reply::Answer(answer) => {
                one["status"] = answer.status.into();
                one["head_ms"] = answer.after.into();
                one["end_ms"] = end(answer).into();
            }
        }
        one
    });
    body["requests"] = requests.collect();
    body
}
