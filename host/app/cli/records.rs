//! `wellcheck check records` and `check record`: the runs that failed, of a running server.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args as ClapArgs;
use http::Method;
use serde_json::Value;
use wellcheck_core::record::Record;
use wellcheck_core::units::show_size;

use super::exit::{Ended, Exit, OrExit};
use super::record::write;
use super::remote::{Remote, TIMEOUT, call};
use super::setup;
use super::table::columns;

/// Which check, and how it is listed.
#[derive(Debug, ClapArgs)]
pub(super) struct List {
    /// The check's name
    #[arg(value_name = "CHECK")]
    name: String,
    /// Print what the server answers, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Which record, and where it goes.
#[derive(Debug, ClapArgs)]
pub(super) struct One {
    /// The check's name
    #[arg(value_name = "CHECK")]
    name: String,
    /// Which one, as `records` lists them [default: the newest]
    id: Option<u64>,
    /// Where it is written [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

/// Lists them.
pub(super) fn list(args: &List) -> Ended {
    let list = asked(&args.remote, &args.name, None).or_exit(Exit::UNAVAILABLE)?;
    if args.json {
        setup::print(&format!("{list}\n"))?;
        return Ok(Exit::DONE);
    }
    let mut rows =
        vec![["ID", "AT", "STATUS", "REASON", "SIZE", "MESSAGE"].map(str::to_owned).to_vec()];
    for one in list["records"].as_array().into_iter().flatten() {
        let text = |key: &str| wellcheck_wasm::cleaned(one[key].as_str().unwrap_or("-"), 200);
        rows.push(vec![
            one["id"].to_string(),
            text("at"),
            text("status"),
            text("reason"),
            show_size(one["size"].as_u64().unwrap_or(0)),
            text("message"),
        ]);
    }
    setup::print(&columns(&rows))?;
    Ok(Exit::DONE)
}

/// Saves one.
pub(super) fn one(args: &One) -> Ended {
    let record = fetch(args).or_exit(Exit::UNAVAILABLE)?;
    match &args.output {
        Some(path) => {
            write(path, &record).or_exit(Exit::UNAVAILABLE)?;
            setup::print(&format!("wrote `{}`\n", path.display()))?;
        }
        None => {
            let json = serde_json::to_string_pretty(&record).context("a record is plain data")?;
            setup::print(&format!("{json}\n"))?;
        }
    }
    Ok(Exit::DONE)
}

fn fetch(args: &One) -> anyhow::Result<Record> {
    let id = match args.id {
        Some(id) => id,
        None => {
            let list = asked(&args.remote, &args.name, None)?;
            list["records"][0]["id"].as_u64().ok_or_else(|| {
                anyhow!(
                    "there is no record of `{}`: no run of it by a plugin has failed",
                    args.name
                )
            })?
        }
    };
    let record = asked(&args.remote, &args.name, Some(id))?;
    serde_json::from_value(record).context("the server answered something else than a record")
}

fn asked(remote: &Remote, name: &str, id: Option<u64>) -> anyhow::Result<Value> {
    let id = id.map(|id| id.to_string());
    let mut path = vec!["api", "v1", "checks", name, "records"];
    path.extend(id.as_deref());
    call(remote, Method::GET, &path, &Value::Null, TIMEOUT)
}
