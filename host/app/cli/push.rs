//! `wellcheck push`: brings an outcome to a check of a running server.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args as ClapArgs;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;
use wellcheck_core::units::parse_duration;
use wellcheck_net::http::{Client, Redirects, Request};
use wellcheck_net::{Resolver, Tls, TlsOptions, Trust};

use super::exit::{Ended, Exit, OrExit};
use super::setup;
use crate::sources::without_credentials;

/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Longest token file, in bytes.
const MAX_TOKEN: u64 = 4 * 1024;

/// Push an outcome to a check of a running server that waits for such.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "The check has the kind `push`. The token is its own (`token-hash`) or one with the role \
`operate`.\n\nExit codes: 0 taken, 69 anything else.\n\nExamples:\n  \
wellcheck push backup --token-file /etc/backup.token\n  \
wellcheck push backup --status fail --message \"disk full\"\n  \
wellcheck push orders --observation depth=12 --observation age=3.5s --server https://status.example.com"
)]
pub(super) struct Args {
    /// The check
    #[arg(value_name = "NAME")]
    name: String,
    /// How its target is
    #[arg(long, default_value = "pass", value_parser = ["pass", "warn", "fail", "unknown"])]
    status: String,
    /// One line for a person
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    message: Option<String>,
    /// A number, with its unit behind it if it has one; may be repeated
    #[arg(long, value_name = "NAME=NUMBER", value_parser = observation)]
    observation: Vec<Value>,
    /// A further fact; may be repeated
    #[arg(long, value_name = "NAME=TEXT", value_parser = detail)]
    detail: Vec<(String, String)>,
    /// How long it took
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    duration: Option<Duration>,
    /// Where the server listens
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", env = "WELLCHECK_SERVER", value_parser = server)]
    server: Url,
    /// What the server knows us by
    #[arg(long, value_name = "TOKEN", env = "WELLCHECK_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file that holds the token and nothing else; wins over the environment
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Longest to wait
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    timeout: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "expected a duration with a unit, such as 5s".to_owned())
}

/// An address and port alone will do.
fn server(text: &str) -> Result<Url, String> {
    let url =
        if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
    let url = url.map_err(|error| error.to_string())?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err("expected a URL with http or https".to_owned()),
    }
}

fn detail(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=TEXT")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// `depth=12`, `age=3.5s`.
fn observation(text: &str) -> Result<Value, String> {
    let expected = "expected NAME=NUMBER, such as depth=12 or age=3.5s";
    let (name, rest) = text.split_once('=').ok_or(expected)?;
    let end = rest.find(|c: char| c.is_alphabetic() && !matches!(c, 'e' | 'E') || c == '%');
    let (number, unit) = rest.split_at(end.unwrap_or(rest.len()));
    let number: f64 = number.trim().parse().map_err(|_| expected)?;
    if name.is_empty() || !number.is_finite() {
        return Err(expected.to_owned());
    }
    let unit = Some(unit).filter(|unit| !unit.is_empty());
    Ok(json!({ "name": name, "value": number, "unit": unit }))
}

pub(super) fn run(args: &Args) -> Ended {
    push(args).or_exit(Exit::UNAVAILABLE)?;
    Ok(Exit::DONE)
}

fn push(args: &Args) -> anyhow::Result<()> {
    let token = token(args)?;
    let url = url(args)?;
    let shown = without_credentials(url.as_str());
    let tls = Tls::new(TlsOptions { trust: Trust::System, ..TlsOptions::default() })?;
    let mut request = Request::new(Method::POST, url, tls);
    let mut bearer = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| anyhow!("no header can carry the token"))?;
    bearer.set_sensitive(true);
    request.headers.insert(AUTHORIZATION, bearer);
    request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.body = body(args).to_string().into_bytes().into();
    // A token goes where it was meant to go and nowhere else.
    request.redirects = Redirects::Keep;
    request.body_limit = MAX_ANSWER;
    let runtime = setup::runtime().map_err(|failure| failure.error)?;
    let client = Client::new(Resolver::from_system());
    let fetch = async { Box::pin(client.fetch(&request, Instant::now() + args.timeout)).await };
    let answer = runtime.block_on(fetch).result;
    let answer = answer.map_err(|failure| anyhow!("{failure}: no answer from {shown}"))?;
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if !answer.status.is_success() {
        let why = json["error"]["message"].as_str().unwrap_or("is this a wellcheck server?");
        bail!("{shown} answered {}: {}", answer.status, printable(why));
    }
    for flag in json["flags"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        setup::complain(&printable(flag));
    }
    Ok(())
}

fn url(args: &Args) -> anyhow::Result<Url> {
    let mut url = args.server.clone();
    let base = url.path().trim_end_matches('/').to_owned();
    url.set_path(&base);
    url.path_segments_mut()
        .map_err(|()| anyhow!("`--server` is no URL to push to"))?
        .pop_if_empty()
        .extend(["api", "v1", "push", &args.name]);
    url.set_query(None);
    Ok(url)
}

fn token(args: &Args) -> anyhow::Result<String> {
    let text = match (&args.token_file, &args.token) {
        (Some(path), _) => {
            let shown = path.display();
            let file =
                std::fs::File::open(path).with_context(|| format!("cannot read `{shown}`"))?;
            let mut text = String::new();
            file.take(MAX_TOKEN)
                .read_to_string(&mut text)
                .with_context(|| format!("cannot read `{shown}`"))?;
            text
        }
        (None, Some(token)) => token.clone(),
        (None, None) => bail!(
            "there is no token (expected `--token-file`, or WELLCHECK_TOKEN in the environment; `wellcheck token` makes one)"
        ),
    };
    Ok(text.trim().to_owned())
}

fn body(args: &Args) -> Value {
    let mut body = json!({ "status": args.status, "observations": args.observation });
    if let Some(message) = &args.message {
        body["message"] = message.as_str().into();
    }
    if let Some(duration) = args.duration {
        body["duration_ms"] = (duration.as_secs_f64() * 1000.0).into();
    }
    for (name, text) in &args.detail {
        body["details"][name] = text.as_str().into();
    }
    body
}

/// What others said, without anything that a terminal would obey.
fn printable(text: &str) -> String {
    wellcheck_wasm::cleaned(text, 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_have_units() {
        for (text, value, unit) in [
            ("a=12", 12.0, Value::Null),
            ("a=3.5s", 3.5, "s".into()),
            ("a=97%", 97.0, "%".into()),
            ("a=1e3", 1000.0, Value::Null),
            ("a=-1B", -1.0, "B".into()),
        ] {
            let found = observation(text).unwrap();
            assert_eq!((&found["value"], &found["unit"]), (&value.into(), &unit), "{text}");
        }
        for bad in ["a", "a=", "=1", "a=s", "a=1 2", "a=nan", "a=inf"] {
            assert!(observation(bad).is_err(), "{bad}");
        }
    }
}
