//! `wellcheck push`: brings an outcome to a check of a running server.

use std::time::Duration;

use anyhow::bail;
use clap::Args as ClapArgs;
use http::Method;
use serde_json::{Value, json};

use super::exit::{Ended, Exit, OrExit};
use super::remote::{Remote, call, pass_on};
use super::setup::duration;

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
    #[command(flatten)]
    remote: Remote,
    /// Longest to wait
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    timeout: Duration,
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
    if !args.remote.has_token() {
        bail!(
            "there is no token (expected `--token-file`, or WELLCHECK_TOKEN in the environment; `wellcheck token` makes one)"
        );
    }
    let path = ["api", "v1", "push", &args.name];
    let answer = call(&args.remote, Method::POST, &path, &body(args), args.timeout)?;
    pass_on(&answer["flags"]);
    Ok(())
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
