//! `wellcheck check` and `wellcheck maintenance`: orders to a running server.

use std::time::Duration;

use anyhow::bail;
use clap::{Args as ClapArgs, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::exit::{Ended, Exit, OrExit};
use super::records;
use super::remote::{Remote, TIMEOUT, call};
use super::setup;
use super::table::columns;

/// How long `run` waits for the outcome.
const PATIENCE: Duration = Duration::from_mins(2);

/// Run, pause and resume the checks of a running server, and see why they failed.
#[derive(Debug, Subcommand)]
pub(super) enum Check {
    /// Run a check now, and print its outcome
    Run(One),
    /// Stop a check from running; it does not count meanwhile
    Pause {
        #[command(flatten)]
        one: One,
        /// When it goes on by itself, such as 1h [default: when it is resumed]
        #[arg(long, value_name = "DURATION")]
        r#for: Option<String>,
    },
    /// Let a check go on after a pause
    Resume(One),
    /// List the last runs of a plugin check that failed
    Records(records::List),
    /// Save one of them, to be run again with `wellcheck plugin replay`
    Record(records::One),
}

#[derive(Debug, ClapArgs)]
pub(super) struct One {
    /// The check's name
    #[arg(value_name = "CHECK")]
    name: String,
    #[command(flatten)]
    remote: Remote,
}

/// List, open and end the maintenance windows of a running server.
#[derive(Debug, Subcommand)]
pub(super) enum Maintenance {
    /// List the windows of the configuration, and those that were opened by request
    List {
        #[command(flatten)]
        remote: Remote,
        /// Print what the server answers, as JSON
        #[arg(long)]
        json: bool,
    },
    /// Open a window now; without names and tags it is for everything
    Start {
        /// How long it is open, such as 1h30m, at most 30d
        #[arg(long, value_name = "DURATION")]
        r#for: String,
        /// What is done
        #[arg(long)]
        title: Option<String>,
        /// A check or group that it is for; may be given again
        #[arg(long = "name", value_name = "NAME")]
        names: Vec<String>,
        /// What has this tag is in it; may be given again
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// End a window that was opened by request
    End {
        /// Its number, as `list` shows it
        number: u64,
        #[command(flatten)]
        remote: Remote,
    },
}

pub(super) fn check(command: &Check) -> Ended {
    let (one, what, body) = match command {
        Check::Run(one) => return run(one),
        Check::Pause { one, r#for } => (one, "pause", json!({ "for": r#for })),
        Check::Resume(one) => (one, "resume", Value::Null),
        Check::Records(args) => return records::list(args),
        Check::Record(args) => return records::one(args),
    };
    order(one, what, &body).or_exit(Exit::UNAVAILABLE)?;
    setup::print(&format!("{what}d `{}`\n", one.name))?;
    Ok(Exit::DONE)
}

fn order(one: &One, what: &str, body: &Value) -> anyhow::Result<Value> {
    call(&one.remote, Method::POST, &["api", "v1", "checks", &one.name, what], body, TIMEOUT)
}

fn detail(one: &One) -> anyhow::Result<Value> {
    call(&one.remote, Method::GET, &["api", "v1", "checks", &one.name], &Value::Null, TIMEOUT)
}

fn run(one: &One) -> Ended {
    let after = (|| {
        // It has run by then because of this, and not only by chance.
        let wanted = order(one, "run", &Value::Null)?["runs"].as_u64();
        let begun = std::time::Instant::now();
        while begun.elapsed() < PATIENCE {
            let now = detail(one)?;
            if now["runs"].as_u64() >= wanted {
                return Ok(now);
            }
            setup::rest(Duration::from_millis(50))?;
        }
        bail!("no run of `{}` ended within {PATIENCE:?}", one.name)
    })()
    .or_exit(Exit::UNAVAILABLE)?;
    let word = |key: &str| after[key].as_str().unwrap_or_default();
    let outcome = &after["outcome"];
    let status = outcome["status"].as_str().unwrap_or_default();
    let message = outcome["message"].as_str().unwrap_or_else(|| word("message"));
    setup::print(&format!("{status}: {message}\nstate: {}\n", word("state")))?;
    Ok(match status {
        "pass" => Exit(0),
        "warn" => Exit(1),
        "fail" => Exit(2),
        _ => Exit::UNKNOWN,
    })
}

pub(super) fn maintenance(command: &Maintenance) -> Ended {
    let path = ["api", "v1", "maintenance"];
    match command {
        Maintenance::List { remote, json } => {
            let list = call(remote, Method::GET, &path, &Value::Null, TIMEOUT)
                .or_exit(Exit::UNAVAILABLE)?;
            if *json {
                setup::print(&format!("{list}\n"))?;
            } else {
                setup::print(&table(&list))?;
            }
        }
        Maintenance::Start { r#for, title, names, tags, remote } => {
            let body = json!({ "for": r#for, "title": title, "names": names, "tags": tags });
            let opened =
                call(remote, Method::POST, &path, &body, TIMEOUT).or_exit(Exit::UNAVAILABLE)?;
            let until = opened["until"].as_str().unwrap_or_default();
            setup::print(&format!("{} is open until {until}\n", opened["number"]))?;
        }
        Maintenance::End { number, remote } => {
            let [a, b, c] = path;
            let number = number.to_string();
            call(remote, Method::DELETE, &[a, b, c, &number], &Value::Null, TIMEOUT)
                .or_exit(Exit::UNAVAILABLE)?;
            setup::print(&format!("{number} has ended\n"))?;
        }
    }
    Ok(Exit::DONE)
}

fn table(list: &Value) -> String {
    let texts = |value: &Value| {
        let list = value.as_array().cloned().unwrap_or_default();
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut rows =
        vec![["NUMBER", "OPEN", "NEXT CHANGE", "FOR", "TITLE"].map(str::to_owned).to_vec()];
    for window in list["windows"].as_array().into_iter().flatten() {
        let mut what = texts(&window["names"]);
        what.extend(texts(&window["tags"]).into_iter().map(|tag| format!("tag {tag}")));
        let text = |key: &str| window[key].as_str().unwrap_or("-").to_owned();
        rows.push(vec![
            window["number"].as_u64().map_or("-".to_owned(), |number| number.to_string()),
            if window["open"] == true { "yes" } else { "no" }.to_owned(),
            text("next_change"),
            if what.is_empty() { "everything".to_owned() } else { what.join(", ") },
            text("title"),
        ]);
    }
    columns(&rows)
}
