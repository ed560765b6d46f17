//! What a probe by `http` tells: the metrics of blackbox_exporter's prober of that name.

use http::header::{CONTENT_LENGTH, LAST_MODIFIED, TRANSFER_ENCODING};
use http::{StatusCode, Version};
use wellcheck_core::exposition::{Family, Kind};
use wellcheck_core::outcome::Run;
use wellcheck_net::FailureKind;
use wellcheck_net::http::{Answer, Exchange};

use super::super::probed::{Line, Probed, failed_due_to_regex, handshake, lookup, tls};

/// The metrics and the lines of an exchange that a run came from.
pub(super) fn probed(exchange: &Exchange, run: Run) -> Probed {
    let mut families: Vec<Family> = lookup(exchange.first.resolve, exchange.first.address).into();
    families.extend(http(exchange, &run));
    families.extend(tls(exchange.certificate.as_ref(), exchange.tls_version, exchange.tls_cipher));
    let denied = matches!(&exchange.result, Err(f) if f.kind == FailureKind::Denied);
    // A target that was asked, and redirects to what may not be probed, has not succeeded.
    let refused = denied && exchange.redirects == 0;
    Probed { families, log: log(exchange), refused, run }
}

fn http(exchange: &Exchange, run: &Run) -> Vec<Family> {
    let phases = &exchange.phases;
    let timed = [
        ("resolve", phases.resolve),
        ("connect", phases.connect),
        ("tls", phases.tls),
        ("processing", phases.wait),
        ("transfer", phases.transfer),
    ];
    let durations = timed.iter().fold(
        Family::new(
            "probe_http_duration_seconds",
            Kind::Gauge,
            "How long each phase of the request took, over all redirects.",
        ),
        |family, (phase, took)| family.with(&[("phase", phase)], took.as_secs_f64()),
    );
    let answer = exchange.result.as_ref().ok();
    let flag = |set: bool| f64::from(u8::from(set));
    #[expect(clippy::cast_precision_loss, reason = "bodies are bounded far below 2^52")]
    let body = answer.map_or(0.0, |answer| answer.body.len() as f64);
    let mut families = vec![
        durations,
        failed_due_to_regex(run),
        Family::gauge(
            "probe_http_content_length",
            "What the answer says of the length of its body; -1 if it says nothing.",
            answer.map_or(0.0, content_length),
        ),
        Family::gauge(
            "probe_http_redirects",
            "How many redirects were followed.",
            f64::from(exchange.redirects),
        ),
        Family::gauge(
            "probe_http_ssl",
            "Whether the last answer came over TLS.",
            flag(exchange.status.is_some() && exchange.url.scheme() == "https"),
        ),
        Family::gauge(
            "probe_http_status_code",
            "The status code of the last answer; 0 without one.",
            exchange.status.map_or(0.0, |status| f64::from(status.as_u16())),
        ),
        Family::gauge(
            "probe_http_uncompressed_body_length",
            "How many bytes of the body were read, as it was sent.",
            body,
        ),
        Family::gauge(
            "probe_http_version",
            "The version of HTTP in which the last answer came; 0 without one.",
            answer.map_or(0.0, |answer| version(answer.version)),
        ),
    ];
    families.extend(answer.and_then(last_modified).map(|seconds| {
        Family::gauge(
            "probe_http_last_modified_timestamp_seconds",
            "When the content was last changed, as the answer says, as Unix time.",
            seconds,
        )
    }));
    families
}

fn content_length(answer: &Answer) -> f64 {
    // Where there is both, the length does not count.
    if answer.headers.contains_key(TRANSFER_ENCODING) {
        return -1.0;
    }
    let bodiless = matches!(answer.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let length = answer.headers.get(CONTENT_LENGTH).and_then(|text| text.to_str().ok());
    #[expect(clippy::cast_precision_loss, reason = "metrics are floating-point numbers")]
    match length.and_then(|text| text.parse::<u64>().ok()) {
        Some(length) => length as f64,
        None if bodiless => 0.0,
        None => -1.0,
    }
}

fn last_modified(answer: &Answer) -> Option<f64> {
    let text = answer.headers.get(LAST_MODIFIED)?.to_str().ok()?;
    let time = httpdate::parse_http_date(text).ok()?;
    Some(time.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs_f64())
}

fn version(version: Version) -> f64 {
    match version {
        Version::HTTP_09 => 0.9,
        Version::HTTP_10 => 1.0,
        Version::HTTP_11 => 1.1,
        Version::HTTP_2 => 2.0,
        Version::HTTP_3 => 3.0,
        _ => 0.0,
    }
}

fn log(exchange: &Exchange) -> Vec<Line> {
    let mut log = Vec::new();
    let seconds = |took: std::time::Duration| format!("{:.6}", took.as_secs_f64());
    if let Some(address) = exchange.first.address {
        let line = Line::new("debug", "resolved the target")
            .with("ip", address.ip())
            .with("seconds", seconds(exchange.first.resolve));
        log.push(line);
    }
    if exchange.redirects > 0 {
        let line = Line::new("info", "followed redirects")
            .with("redirects", exchange.redirects)
            .with("url", &exchange.url);
        log.push(line);
    }
    if let Some(peer) = exchange.peer {
        log.push(Line::new("debug", "connected").with("address", peer));
    }
    log.extend(handshake(exchange.certificate.as_ref(), exchange.tls_version, exchange.tls_cipher));
    if let Some(status) = exchange.status {
        log.push(Line::new("info", "received an answer").with("status_code", status.as_u16()));
    }
    match &exchange.result {
        Ok(answer) => log.push(
            Line::new("debug", "read the body")
                .with("bytes", answer.body.len())
                .with("cut", answer.truncated),
        ),
        Err(failure) => log.push(Line::new("error", &failure.message).with("reason", failure.kind)),
    }
    let phases = &exchange.phases;
    log.push(
        Line::new("debug", "time by phase, over all redirects")
            .with("resolve", seconds(phases.resolve))
            .with("connect", seconds(phases.connect))
            .with("tls", seconds(phases.tls))
            .with("processing", seconds(phases.wait))
            .with("transfer", seconds(phases.transfer)),
    );
    log
}
