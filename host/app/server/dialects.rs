//! Paths at which other systems' clients look for health: Spring Boot's actuator, MicroProfile's
//! probes and a Consul agent's services.
//!
//! Bodies and codes are those of the formats of these names. What is not there is answered as each
//! of the originals does, since their clients read that too.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{ACCEPT, HeaderValue};
use serde::Serialize;
use wellcheck_core::format::by_name;
use wellcheck_core::format::kubernetes::Verdict;
use wellcheck_core::snapshot::{Item, Snapshot};

use super::accept::{Liking, MediaType, Ranges};
use super::endpoints::{Depends, send};
use super::itself::{self, Part};
use super::{Answer, App, Asked};
use crate::published::Published;

/// Everything, as the format of this name has it.
fn whole(app: &App, asked: &Asked<'_>, format: &str, media_type: &'static str) -> Answer {
    let (index, _) = by_name(format).expect("in the table of formats");
    let media_type = Some(HeaderValue::from_static(media_type));
    let depends = Depends { accept: true, token: false };
    send(asked.headers, app.shared.load().aggregate(index), media_type, depends)
}

/// One check or group, likewise: code and body.
fn one(published: &Published, item: Item<'_>, format: &str) -> (u16, Bytes) {
    let (index, _) = by_name(format).expect("in the table of formats");
    let rendered = published.item(item, index);
    (rendered.code, rendered.plain.body.clone())
}

// ── Spring Boot ────────────────────────────────────────────────────────────────────────────────

/// What the actuator can answer with, the preferred one first: media type and format.
const SPRING: &[(&str, &str)] = &[
    ("application/vnd.spring-boot.actuator.v3+json", "spring"),
    ("application/vnd.spring-boot.actuator.v2+json", "spring-v2"),
    ("application/json", "spring"),
];

/// `GET /actuator/health`.
pub(super) fn spring(app: &App, asked: &Asked<'_>) -> Answer {
    let (media_type, format) = spring_version(asked.headers);
    whole(app, asked, format, media_type)
}

/// `GET /actuator/health/{component}[/{member}...]`: a check or a group, and what is within it.
/// What is not there is 404 without a body, as it is there.
pub(super) fn spring_below(app: &App, asked: &Asked<'_>) -> Answer {
    let (media_type, format) = spring_version(asked.headers);
    let published = app.shared.load();
    match below(&published.snapshot, asked.name) {
        Some(item) => {
            let (code, body) = one(&published, item, format);
            Answer::new(code, media_type, body)
        }
        None => Answer::new(404, media_type, Bytes::new()),
    }
}

/// The check or group at the end of a path of which each part is a member of the one before.
fn below<'a>(snapshot: &'a Snapshot, path: &str) -> Option<Item<'a>> {
    let mut names = path.split('/');
    let mut item = snapshot.item(names.next()?)?;
    for name in names {
        let Item::Group(group) = item else { return None };
        let member = group.spec.members.iter().find(|member| member.name.as_str() == name)?;
        item = snapshot.item(member.name.as_str())?;
    }
    Some(item)
}

/// The version that the client likes best; the newest where it does not say, or nothing is to its
/// liking: an answer that it did not ask for is of more use than none.
fn spring_version(headers: &HeaderMap) -> (&'static str, &'static str) {
    let ranges = Ranges::of(headers);
    let mut best = (SPRING[0], Liking::default());
    for offer in SPRING {
        let liking = ranges.liking(&MediaType::read(offer.0));
        if liking > best.1 {
            best = (*offer, liking);
        }
    }
    best.0
}

// ── MicroProfile ───────────────────────────────────────────────────────────────────────────────

/// `GET /health/live`: whether the process answers. It never depends on a target.
pub(super) fn live(_app: &App, _asked: &Asked<'_>) -> Answer {
    procedures(&itself::liveness())
}

/// `GET /health/ready` and `/health/started`: whether wellcheck can be relied upon, as `/readyz`
/// decides it.
pub(super) fn ready(app: &App, _asked: &Asked<'_>) -> Answer {
    procedures(&itself::readiness(app))
}

fn procedures(parts: &[Part]) -> Answer {
    #[derive(Serialize)]
    struct Body {
        status: &'static str,
        checks: Vec<Check>,
    }
    #[derive(Serialize)]
    struct Check {
        name: &'static str,
        status: &'static str,
    }
    let word = |up| if up { "UP" } else { "DOWN" };
    let is_up = |part: &Part| part.look.verdict == Verdict::Ok;
    let up = parts.iter().all(is_up);
    let checks = parts.iter().map(|part| Check { name: part.look.name, status: word(is_up(part)) });
    let body = Body { status: word(up), checks: checks.collect() };
    Answer::json(if up { 200 } else { 503 }, &body)
}

// ── Consul ─────────────────────────────────────────────────────────────────────────────────────

const PLAIN: &str = "text/plain";

/// `GET /v1/agent/health/service/name/{name}`: a list of the services of that name, which is one, or
/// an empty one.
pub(super) fn consul_name(app: &App, asked: &Asked<'_>) -> Answer {
    let absent = format!("ServiceName {} Not Found", shown(asked.name));
    service(app, asked, absent, b"[]", |service| [b"[", &service[..], b"]"].concat().into())
}

/// `GET /v1/agent/health/service/id/{name}`: the service itself.
pub(super) fn consul_id(app: &App, asked: &Asked<'_>) -> Answer {
    const ABSENT: &[u8] = br#"{"AggregatedStatus":"critical","Service":null,"Checks":null}"#;
    let absent = format!("ServiceId {} not found", shown(asked.name));
    service(app, asked, absent, ABSENT, |service| service)
}

fn service(
    app: &App,
    asked: &Asked<'_>,
    absent_text: String,
    absent: &'static [u8],
    wrap: impl FnOnce(Bytes) -> Bytes,
) -> Answer {
    let published = app.shared.load();
    match (published.snapshot.item(asked.name), wants_text(asked)) {
        (Some(item), true) => {
            let (code, body) = one(&published, item, "consul-text");
            Answer::new(code, PLAIN, body)
        }
        (Some(item), false) => {
            let (code, body) = one(&published, item, "consul");
            Answer::json_bytes(code, wrap(body))
        }
        (None, true) => Answer::new(404, PLAIN, absent_text.into()),
        (None, false) => Answer::json_bytes(404, Bytes::from_static(absent)),
    }
}

fn shown(name: &str) -> String {
    name.chars().take(100).collect()
}

/// An agent answers with a word where `?format=text` or the header asks for it.
fn wants_text(asked: &Asked<'_>) -> bool {
    let header = asked.headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    header.is_some_and(|value| value.starts_with(PLAIN))
        || asked.values("format").first().is_some_and(|format| format == "text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn springs_second_version_is_for_those_who_ask_for_it() {
        const V2: &str = "application/vnd.spring-boot.actuator.v2+json";
        const V3: &str = "application/vnd.spring-boot.actuator.v3+json";
        let chosen = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_str(accept).expect("a value"));
            spring_version(&headers)
        };
        let cases = [
            ("*/*".to_owned(), V3),
            (V2.to_owned(), V2),
            (format!("{V2}, */*"), V2),
            (format!("{V2}, {V3}"), V3),
            (format!("{V3};q=0.1, {V2};q=0.2"), V2),
            (format!("{V2};q=0, */*;q=0.5"), V3),
            (V2.to_uppercase(), V2),
            ("application/json".to_owned(), "application/json"),
            (format!("{V2};q=0.5, application/json"), "application/json"),
            ("application/*".to_owned(), V3),
            ("text/html".to_owned(), V3),
            (format!("{V2};q=nonsense"), V3),
            (format!("{V2};q=-1, {V3};q=NaN, application/json;q=7"), V3),
            (",;,=;q".to_owned(), V3),
        ];
        for (accept, expected) in cases {
            assert_eq!(chosen(&accept).0, expected, "{accept}");
        }
        assert_eq!(spring_version(&HeaderMap::new()), (V3, "spring"));
        assert_eq!(chosen(V2).1, "spring-v2");
    }
}
