//! What a run of the kind `http` found out: facts for conditions, observations, details.

use std::time::Duration;

use wellcheck_core::fact::{Asked, FactKey, Found, Shape, Value, fact};
use wellcheck_core::outcome::{Observation, Report};
use wellcheck_net::http::{Answer, Exchange};

use super::super::{socket, tls};
use super::jar::Cookies;

/// Largest body that is read as JSON, in bytes.
const MAX_JSON: usize = 256 * 1024;

/// What conditions over an answer may ask for.
pub(in crate::checks) const ALL_FACTS: &[&[FactKey]] = &[FACTS, socket::FACTS, tls::FACTS];

const FACTS: &[FactKey] = &[
    fact("status", Shape::Integer, "The status code of the answer."),
    fact("body", Shape::Text, "The body up to `body-limit`; what is no UTF-8 is replaced."),
    fact("body.size", Shape::Size, "How much of the body was read, decoded."),
    fact(
        "json",
        Shape::Json,
        "The body as JSON, if it is that: at most 256KiB, and 127 levels deep.",
    ),
    fact("header.*", Shape::Text, "A header of the answer, its name in lower case."),
    fact("cookie.*", Shape::Text, "A cookie that was set for the URL that answered."),
    fact("redirects", Shape::Integer, "How many redirects were followed."),
    fact("url", Shape::Text, "The URL that answered, without credentials."),
    fact("http-version", Shape::Text, "The version of HTTP of the answer: `1.1`, `2`."),
    fact("first-byte", Shape::Duration, "From the request to the head of the answer."),
    fact("transfer", Shape::Duration, "From the head of the answer to its end."),
];

/// Puts what `asked` mentions into `found`.
pub(super) fn put(exchange: &Exchange, cookies: &Cookies, asked: &Asked, found: &mut Found) {
    if asked.is_empty() {
        return;
    }
    if let Some(status) = exchange.status {
        found.put("status", i64::from(status.as_u16()));
    }
    found.put("redirects", i64::from(exchange.redirects));
    found.put("url", exchange.url.to_string());
    if let Some(peer) = exchange.peer {
        found.put("peer", peer.to_string());
    }
    for (name, took) in phases(exchange) {
        found.put(name, took);
    }
    tls::known(exchange, asked, found);
    if let Ok(answer) = &exchange.result {
        put_answer(answer, asked, found);
    }
    if asked.has("cookie") {
        for (name, value) in cookies.list(&exchange.url) {
            found.put(format!("cookie.{name}"), value);
        }
    }
}

fn put_answer(answer: &Answer, asked: &Asked, found: &mut Found) {
    let version = format!("{:?}", answer.version);
    let version = version.trim_start_matches("HTTP/").trim_end_matches(".0");
    found.put("http-version", if version == "1" { "1.0" } else { version });
    let size = i64::try_from(answer.body.len()).expect("bodies are bounded far below that");
    found.put("body.size", size);
    if asked.iter().any(|name| name == "body") {
        found.put("body", String::from_utf8_lossy(&answer.body).into_owned());
    }
    if asked.has("json")
        && let Some(json) = json(answer)
    {
        found.put("json", Value::Json(json.into()));
    }
    if asked.has("header") {
        for name in answer.headers.keys() {
            let values = answer.headers.get_all(name).iter();
            let texts: Vec<_> = values.map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
            found.put(format!("header.{name}"), texts.join(", "));
        }
    }
}

/// The body as JSON, if it is whole, not too large and not too deep.
pub(in crate::checks) fn json(answer: &Answer) -> Option<serde_json::Value> {
    if answer.truncated || answer.body.len() > MAX_JSON {
        return None;
    }
    serde_json::from_slice(&answer.body).ok()
}

/// The phases that were reached.
fn phases(exchange: &Exchange) -> impl Iterator<Item = (&'static str, Duration)> + use<> {
    let phases = exchange.phases;
    let timed = [
        ("resolve", phases.resolve),
        ("connect", phases.connect),
        ("tls", phases.tls),
        ("first-byte", phases.wait),
        ("transfer", phases.transfer),
    ];
    timed.into_iter().filter(|(_, took)| *took > Duration::ZERO)
}

/// Adds observations and details.
pub(super) fn tell(exchange: &Exchange, report: &mut Report) {
    report.observations = observations(exchange);
    report.details.extend(details(exchange));
}

fn observations(exchange: &Exchange) -> Vec<Observation> {
    let mut list = vec![Observation::seconds("response-time", exchange.total)];
    list.extend(phases(exchange).map(|(name, took)| Observation::seconds(name, took)));
    if let Some(status) = exchange.status {
        list.push(Observation::new("status-code", f64::from(status.as_u16()), ""));
    }
    if let Ok(answer) = &exchange.result {
        #[expect(clippy::cast_precision_loss, reason = "bodies are bounded far below 2^52")]
        list.push(Observation::new("body-size", answer.body.len() as f64, "B"));
    }
    if exchange.redirects > 0 {
        list.push(Observation::new("redirects", f64::from(exchange.redirects), ""));
    }
    list.extend(exchange.certificate.as_ref().map(tls::days_observed));
    list
}

fn details(exchange: &Exchange) -> Vec<(String, String)> {
    let mut list = Vec::new();
    let mut add = |name: &str, text: String| list.push((name.to_owned(), text));
    if let Some(peer) = exchange.peer {
        add("peer", peer.to_string());
    }
    if let Ok(answer) = &exchange.result {
        add("http-version", format!("{:?}", answer.version));
        if answer.truncated {
            add("body", "cut at the limit".to_owned());
        }
    }
    if exchange.redirects > 0 {
        add("url", exchange.url.to_string());
    }
    if let Some(version) = exchange.tls_version {
        add("tls-version", version.to_owned());
    }
    if let Some(certificate) = &exchange.certificate {
        add("certificate-subject", certificate.subject.clone());
        add("certificate-issuer", certificate.issuer.clone());
    }
    list
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, StatusCode, Version};
    use tokio::time::Instant;
    use url::Url;
    use wellcheck_net::http::Jar;
    use wellcheck_net::{Failure, FailureKind, Trace};

    use super::*;

    fn exchange(body: &[u8]) -> Exchange {
        let url = Url::parse("https://u:p@a.example/x").expect("a URL");
        let failure = Failure::new(FailureKind::Timeout, "not asked");
        let mut exchange = Exchange::unsent(&url, Trace::new(Instant::now()), failure);
        exchange.status = Some(StatusCode::OK);
        exchange.phases.connect = Duration::from_millis(250);
        let mut headers = HeaderMap::new();
        headers.append("X-Two", HeaderValue::from_static("a"));
        headers.append("x-two", HeaderValue::from_static("b"));
        exchange.result = Ok(Answer {
            status: StatusCode::OK,
            version: Version::HTTP_2,
            headers,
            body: body.to_vec().into(),
            truncated: false,
        });
        exchange
    }

    fn found(exchange: &Exchange, asked: &[&str]) -> Vec<(String, Value)> {
        let jar = Cookies::default();
        let cookie = HeaderValue::from_static("session=s1");
        jar.keep(&exchange.url, &HeaderMap::from_iter([(http::header::SET_COOKIE, cookie)]));
        let asked = Asked::new(asked.iter().map(|name| (*name).to_owned()));
        let mut found = Found::default();
        put(exchange, &jar, &asked, &mut found);
        found.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()
    }

    #[test]
    fn what_is_asked_for_is_found_and_no_more() {
        let exchange = exchange(br#"{"a": {"b": [1]}}"#);
        assert!(found(&exchange, &[]).is_empty());
        let cheap = found(&exchange, &["status"]);
        for (name, value) in [
            ("status", Value::Integer(200)),
            ("url", "https://a.example/x".into()),
            ("http-version", "2".into()),
            ("body.size", Value::Integer(17)),
            ("connect", Value::Number(0.25)),
            ("redirects", Value::Integer(0)),
        ] {
            assert!(cheap.contains(&(name.to_owned(), value)), "{name}: {cheap:?}");
        }
        let costly = |name: &str| {
            ["body", "json", "header.", "cookie."]
                .iter()
                .any(|c| name == *c || (c.ends_with('.') && name.starts_with(c)))
        };
        assert!(!cheap.iter().any(|(name, _)| costly(name)), "{cheap:?}");
        let all = found(&exchange, &["body", "json.a.b", "header.x-two", "cookie.session"]);
        for (name, value) in [
            ("body", r#"{"a": {"b": [1]}}"#.into()),
            ("json", Value::Json(serde_json::json!({"a": {"b": [1]}}).into())),
            ("header.x-two", "a, b".into()),
            ("cookie.session", "s1".into()),
        ] {
            assert!(all.contains(&(name.to_owned(), value)), "{name}: {all:?}");
        }
    }

    #[test]
    fn json_that_is_too_deep_or_too_large_is_none() {
        let deep = ["[".repeat(200), "]".repeat(200)].concat();
        let large = format!("\"{}\"", "x".repeat(MAX_JSON));
        for body in [deep.as_bytes(), large.as_bytes(), b"", b"{", b"\xff"] {
            let found = found(&exchange(body), &["json"]);
            assert!(!found.iter().any(|(name, _)| name == "json"), "{found:?}");
        }
    }
}
