//! Tries to send what a request must not hold: line breaks in a header, a path, a method, a
//! host of its own, lengths that contradict each other. `only` in its settings names one attempt.
//! It tells in `details` what was refused and what was sent.
//!
//! A good host refuses each, or sends a request that says what it means: never a second header or
//! request, and never another `Host` than the one that was granted.

use serde::Deserialize;
use wellcheck_plugin::bindings::wasi::http::outgoing_handler;
use wellcheck_plugin::bindings::wasi::http::types::{
    Fields, Method, OutgoingBody, OutgoingRequest, Scheme,
};
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

#[derive(Deserialize)]
struct Settings {
    url: String,
    only: Option<String>,
}

/// Name, headers.
const HEADERS: &[(&str, &[(&str, &str)])] = &[
    ("value-with-crlf", &[("x-test", "a\r\nx-injected: yes")]),
    ("value-with-lf", &[("x-test", "a\nx-injected: yes")]),
    ("value-with-nul", &[("x-test", "a\0b")]),
    ("name-with-crlf", &[("x-test\r\nx-injected", "yes")]),
    ("name-with-space", &[("x-test ", "yes")]),
    ("empty-name", &[("", "yes")]),
    ("own-host", &[("host", "metadata.internal")]),
    ("two-lengths", &[("content-length", "5"), ("content-length", "50")]),
    ("length-too-long", &[("content-length", "500")]),
    ("length-too-short", &[("content-length", "1")]),
    ("length-negative", &[("content-length", "-1")]),
    ("length-and-chunked", &[("content-length", "5"), ("transfer-encoding", "chunked")]),
    ("hop-by-hop", &[("connection", "x-test, close"), ("upgrade", "h2c"), ("keep-alive", "x")]),
    ("proxy", &[("proxy-authorization", "Basic eDp4"), ("proxy-connection", "keep-alive")]),
    ("pseudo", &[(":authority", "metadata.internal")]),
];

const PATHS: &[(&str, &str)] = &[
    ("path-with-crlf", "/\r\nx-injected: yes"),
    ("path-with-request", "/ HTTP/1.1\r\nhost: x\r\n\r\nGET /second"),
    ("path-with-space", "/a b"),
    ("path-absolute", "http://metadata.internal/"),
];

const METHODS: &[(&str, &str)] = &[
    ("method-with-request", "GET / HTTP/1.1\r\nx-injected: yes\r\n\r\nGET"),
    ("method-connect", "CONNECT"),
    ("method-empty", ""),
];

const AUTHORITIES: &[(&str, &str)] = &[
    ("authority-with-crlf", "\r\nx-injected: yes"),
    ("authority-with-path", "/other?"),
    ("authority-with-user", "@metadata.internal"),
];

struct Smuggle;

impl Plugin for Smuggle {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("smuggle", "1.0.0", "sends what must not be sent")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let url = settings.url.as_str();
        let mut report = Report::pass("tried");
        let mut attempt = |name: &str, request: &dyn Fn() -> Result<OutgoingRequest, String>| {
            if settings.only.as_deref().is_none_or(|only| only == name) {
                let told = request().map_or_else(|part| format!("refused: {part}"), send);
                report.details.push((name.to_owned(), told));
            }
        };
        for (name, headers) in HEADERS {
            attempt(name, &|| plain(url, headers));
        }
        for (name, path) in PATHS {
            attempt(name, &|| {
                let request = plain(url, &[])?;
                request.set_path_with_query(Some(path)).map_err(|()| "path".to_owned())?;
                Ok(request)
            });
        }
        for (name, method) in METHODS {
            attempt(name, &|| {
                let request = plain(url, &[])?;
                let method = Method::Other((*method).to_owned());
                request.set_method(&method).map_err(|()| "method".to_owned())?;
                Ok(request)
            });
        }
        for (name, more) in AUTHORITIES {
            attempt(name, &|| {
                let request = plain(url, &[])?;
                let authority = request.authority().unwrap_or_default() + more;
                request.set_authority(Some(&authority)).map_err(|()| "authority".to_owned())?;
                Ok(request)
            });
        }
        attempt("scheme-file", &|| {
            let request = plain(url, &[])?;
            let scheme = Scheme::Other("file".to_owned());
            request.set_scheme(Some(&scheme)).map_err(|()| "scheme".to_owned())?;
            Ok(request)
        });
        Ok(report)
    }
}

wellcheck_plugin::export!(Smuggle);

fn plain(url: &str, headers: &[(&str, &str)]) -> Result<OutgoingRequest, String> {
    let headers: Vec<(String, Vec<u8>)> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();
    let fields = Fields::from_list(&headers).map_err(|error| format!("headers: {error:?}"))?;
    guests::request(&Method::Post, url, fields)
}

/// Sends it with a body of five bytes.
fn send(request: OutgoingRequest) -> String {
    let Ok(body) = request.body() else { return "refused: body".to_owned() };
    let future = match outgoing_handler::handle(request, None) {
        Ok(future) => future,
        Err(code) => return format!("refused: {code:?}"),
    };
    if let Ok(stream) = body.write() {
        // The answer says what became of it.
        let _ = stream.blocking_write_and_flush(b"hello");
    }
    let finished = OutgoingBody::finish(body, None);
    future.subscribe().block();
    match (future.get(), finished) {
        (Some(Ok(Ok(answer))), _) => format!("answered {}", answer.status()),
        (_, Err(code)) => format!("refused: {code:?}"),
        (other, _) => format!("no answer: {other:?}"),
    }
}
