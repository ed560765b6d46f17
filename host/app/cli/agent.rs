//! `wellcheck agent share http-healthcheck`: zrok's command, with its words and exit codes.
//!
//! Asks the target of a share itself, by the configuration, or a running server with `--url`.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand};
use wellcheck_core::share::Base;
use wellcheck_core::units::{count, parse_duration};

use super::exit::{Ended, Exit};
use super::setup::{self, Where};
use crate::keeper;
use crate::share::{Asker, Peer, Question, Verdict, relay};

/// The route of a running server.
const ROUTE: &str = "/api/v1/agent/share/http-healthcheck";

/// Ask about shares, as zrok's agent does.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Ask about a share
    Share(ShareArgs),
}

#[derive(Debug, ClapArgs)]
struct ShareArgs {
    #[command(subcommand)]
    command: Option<ShareCommand>,
}

#[derive(Debug, Subcommand)]
enum ShareCommand {
    /// Ask the target of a `proxy` share whether it is healthy
    #[command(visible_alias = "health")]
    HttpHealthcheck(Box<Healthcheck>),
}

/// Ask the target of a `proxy` share whether it is healthy.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Prints `healthy`, or `unhealthy; ` and why.\n\nExit codes: 0 healthy, 1 anything else.\n\nExamples:\n  \
wellcheck agent share http-healthcheck 8rvjpmeeyvwc GET /health 200\n  \
wellcheck agent share health 8rvjpmeeyvwc GET /health 200 --url http://127.0.0.1:8080 --environment MxMbUXSANU"
)]
struct Healthcheck {
    /// The token of the share
    #[arg(value_name = "TOKEN")]
    share: String,
    /// The method of the request
    #[arg(value_name = "VERB")]
    verb: String,
    /// What is put behind the target of the share
    #[arg(value_name = "PATH", allow_hyphen_values = true)]
    endpoint: String,
    /// The HTTP status that is healthy
    #[arg(value_name = "STATUS", allow_hyphen_values = true)]
    status: String,
    /// Longest that the target may take, at most 1m
    #[arg(long, value_name = "DURATION", default_value = "6s", value_parser = |text: &str| parse_duration(text).ok_or("expected a duration with a unit, such as 6s"))]
    timeout: Duration,
    /// Ask the server that listens here, instead of the target itself
    #[arg(long, value_name = "URL", value_parser = base)]
    url: Option<Base>,
    /// What the server knows us by
    #[arg(long = "token", value_name = "TOKEN", env = "WELLCHECK_TOKEN", hide_env_values = true)]
    account: Option<String>,
    /// Which environment has the share [default: that of the server]
    #[arg(long, value_name = "ID", requires = "url")]
    environment: Option<String>,
    #[command(flatten)]
    places: Where,
}

/// An address and port alone will do.
fn base(text: &str) -> Result<Base, String> {
    if text.contains("://") { Base::parse(text) } else { Base::parse(&format!("http://{text}")) }
}

/// Prints the help of what was left unfinished, or asks.
pub(super) fn run(args: &Args, root: clap::Command) -> Ended {
    match &args.command {
        None => help(root, &["agent"]),
        Some(Command::Share(ShareArgs { command: None })) => help(root, &["agent", "share"]),
        Some(Command::Share(ShareArgs { command: Some(ShareCommand::HttpHealthcheck(args)) })) => {
            match verdict(args) {
                Ok(Ok(())) => {
                    setup::print("healthy\n")?;
                    Ok(Exit::DONE)
                }
                Ok(Err(why)) => {
                    setup::print(&format!("unhealthy; {}\n", printable(&why)))?;
                    Ok(Exit::UNHEALTHY)
                }
                Err(why) => {
                    setup::complain(&format!("[ERROR]: {}", printable(&why)));
                    Ok(Exit::UNHEALTHY)
                }
            }
        }
    }
}

fn help(mut root: clap::Command, path: &[&str]) -> Ended {
    root.build();
    let command =
        path.iter().try_fold(&mut root, |command, name| command.find_subcommand_mut(name));
    let help = command.expect("these are its subcommands").render_help();
    let text = if setup::color() { help.ansi().to_string() } else { help.to_string() };
    setup::print(&text)?;
    Ok(Exit::DONE)
}

/// Whether these are the arguments of this command.
pub(super) fn is_asked(arguments: &[OsString]) -> bool {
    arguments.get(1).is_some_and(|command| command == "agent")
}

/// The error of wrong arguments, as zrok shows errors.
pub(super) fn misused(error: &clap::Error) -> Exit {
    let text = error.to_string();
    setup::complain(&format!(
        "[ERROR]: {}",
        text.strip_prefix("error: ").unwrap_or(&text).trim_end()
    ));
    Exit::UNHEALTHY
}

fn verdict(args: &Healthcheck) -> Result<Verdict, String> {
    let expected = status(&args.status)?;
    let question = Question {
        environment: args.environment.clone().unwrap_or_default(),
        share: args.share.clone(),
        verb: args.verb.clone(),
        endpoint: args.endpoint.clone(),
        expected,
        timeout_ms: u64::try_from(args.timeout.as_millis()).unwrap_or(u64::MAX),
    };
    let shown = |error: anyhow::Error| format!("{error:#}");
    let places = args.places.places().map_err(|failure| shown(failure.error))?;
    let tools = args.places.tools(&places).map_err(|failure| shown(failure.error))?;
    let asker = Asker::new(&tools);
    let runtime = setup::runtime().map_err(|failure| shown(failure.error))?;
    let Some(base) = &args.url else {
        let first = keeper::read(&places, &tools).map_err(|problems| {
            setup::complain_about(&problems);
            format!("the configuration cannot be used ({})", count(problems.len(), "problem"))
        })?;
        let config = &first.registry.config;
        let verdict = runtime.block_on(asker.ask(&config.sharing, &question));
        return Ok(verdict.map_err(|why| config.redactor.apply(&why).into_owned()));
    };
    let peer = Peer {
        base: base.as_str(),
        path: ROUTE,
        token: args.account.as_deref(),
        is_relayed: false,
    };
    runtime
        .block_on(relay(&asker, peer, &question))
        .map_err(|why| format!("error performing healthcheck ({why})"))
}

/// Reads a status as Go's `strconv.Atoi` does, whose error zrok shows.
fn status(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let why = match text.parse() {
        Ok(status) => return Ok(status),
        Err(_) if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) => {
            "invalid syntax"
        }
        Err(_) => "value out of range",
    };
    let quoted = crate::share::quoted(text);
    Err(format!("'{text}' is not a valid HTTP status (strconv.Atoi: parsing {quoted}: {why})"))
}

/// What others said, without anything that a terminal would obey.
fn printable(text: &str) -> String {
    let escape =
        |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_go_does_it() {
        for (text, expected) in [("200", 200), ("+204", 204), ("0200", 200), ("0", 0)] {
            assert_eq!(status(text), Ok(expected));
        }
        for (text, why) in [
            ("", "invalid syntax"),
            ("2xx", "invalid syntax"),
            (" 200", "invalid syntax"),
            ("1_0", "invalid syntax"),
            ("-1", "value out of range"),
            ("4294967296", "value out of range"),
            ("99999999999999999999", "value out of range"),
        ] {
            assert_eq!(
                status(text),
                Err(format!(
                    "'{text}' is not a valid HTTP status (strconv.Atoi: parsing \"{text}\": {why})"
                ))
            );
        }
    }

    #[test]
    fn terminals_are_not_told_what_to_do() {
        assert_eq!(printable("a\u{1b}[2J\nb ä"), "a\\u{1b}[2J\\nb ä");
    }
}
