//! `wellcheck status`: a running server's checks as a table.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args as ClapArgs;
use serde::Deserialize;
use url::Url;
use wellcheck_core::status::Status;

use super::exit::{Ended, Exit, OrExit};
use super::remote::{get, server};
use super::setup;
use super::table::{columns, paint};
use crate::sources::without_credentials;

/// How often `--watch` asks.
const WATCH: Duration = Duration::from_secs(1);

/// Show the checks of a running server.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// Where the server listens
    #[arg(default_value = "http://127.0.0.1:8080", env = "WELLCHECK_SERVER", value_parser = server)]
    url: Url,
    /// Show it again every second
    #[arg(long, short)]
    watch: bool,
    /// Print what the server answers, as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct List {
    status: Status,
    summary: String,
    groups: Vec<Group>,
    checks: Vec<Check>,
}

#[derive(Deserialize)]
struct Group {
    name: String,
    state: Status,
    since: String,
    message: String,
}

#[derive(Deserialize)]
struct Check {
    name: String,
    kind: String,
    state: Status,
    since: String,
    message: String,
    duration_ms: Option<f64>,
    #[serde(default)]
    maintenance: bool,
}

pub(super) fn run(args: &Args) -> Ended {
    loop {
        let text = ask(args).or_exit(Exit::UNAVAILABLE);
        if !args.watch {
            setup::print(&text?)?;
            return Ok(Exit::DONE);
        }
        // A server that is being restarted comes back.
        let text = text.unwrap_or_else(|failure| format!("{:#}\n", failure.error));
        // A terminal shows it in place; whatever reads a pipe gets one table after the other.
        let before = if std::io::stdout().is_terminal() { "\u{1b}[2J\u{1b}[H" } else { "" };
        setup::print(&format!("{before}{text}"))?;
        setup::rest(WATCH)?;
    }
}

fn ask(args: &Args) -> anyhow::Result<String> {
    let url = args.url.join("/api/v1/checks").context("this is no URL to ask")?;
    let shown = without_credentials(url.as_str());
    let answer = get(&url, Duration::from_secs(5))?;
    if !answer.status.is_success() {
        bail!("{shown} answered {} (is this a wellcheck server?)", answer.status);
    }
    if args.json {
        return Ok(format!("{}\n", String::from_utf8_lossy(&answer.body)));
    }
    let list: List = serde_json::from_slice(&answer.body)
        .with_context(|| format!("{shown} answered something else than a list of checks"))?;
    let mut rows =
        vec![["STATE", "CHECK", "KIND", "TOOK", "SINCE", "MESSAGE"].map(str::to_owned).to_vec()];
    rows.extend(list.groups.into_iter().map(|group| {
        let Group { name, state, since, message } = group;
        vec![paint(state, 0), name, "group".to_owned(), "-".to_owned(), since, message]
    }));
    rows.extend(list.checks.into_iter().map(|check| {
        let message = match check.maintenance {
            true => format!("in maintenance: {}", check.message),
            false => check.message,
        };
        vec![
            paint(check.state, 0),
            check.name,
            check.kind,
            check.duration_ms.map_or("-".to_owned(), |ms| format!("{ms:.1} ms")),
            check.since,
            message,
        ]
    }));
    Ok(format!("{}: {}\n\n{}", paint(list.status, 0), list.summary, columns(&rows)))
}
