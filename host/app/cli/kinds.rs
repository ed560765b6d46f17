//! `wellcheck kinds`: the table of built-in kinds.

mod reference;

use clap::Args as ClapArgs;
use wellcheck_core::config::problem::known;

use wellcheck_core::fact::FactKey;

use super::exit::{Ended, Exit, Failure};
use super::setup;
use super::table::columns;
use crate::checks::{KINDS, Kind};

/// List the built-in kinds of checks, or explain one.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// Explain this kind: its keys, defaults and an example
    kind: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print the reference of checks, `host/CHECKS.md`
    #[arg(long, hide = true, conflicts_with = "json")]
    markdown: bool,
}

pub(super) fn run(args: &Args) -> Ended {
    let kinds: Vec<&dyn Kind> = match &args.kind {
        None => KINDS.to_vec(),
        Some(name) => match KINDS.iter().find(|kind| kind.name() == name) {
            Some(kind) => vec![*kind],
            None => {
                let list = known("kinds", name, KINDS.iter().map(|kind| kind.name()));
                let error = anyhow::anyhow!("unknown kind `{name}` {list}");
                return Err(Failure { error, exit: Exit::USAGE });
            }
        },
    };
    let text = if args.markdown {
        reference::of(&kinds)
    } else if args.json {
        json(&kinds)
    } else if let (Some(_), [kind]) = (&args.kind, kinds.as_slice()) {
        explain(*kind)
    } else {
        let rows: Vec<Vec<String>> = kinds
            .iter()
            .map(|kind| vec![kind.name().to_owned(), kind.summary().to_owned()])
            .chain([vec![
                "plugin".to_owned(),
                "runs a component of the plugins folder; `plugin inspect` explains one".to_owned(),
            ]])
            .collect();
        columns(&rows)
    };
    setup::print(&text)?;
    Ok(Exit::DONE)
}

/// One kind for people.
pub(super) fn explain(kind: &dyn Kind) -> String {
    let keys: String = kind.keys().iter().map(|keys| super::validate::keys(keys)).collect();
    let facts: Vec<Vec<String>> = facts(kind)
        .map(|fact| vec![format!("    {}", fact.name), fact.shape.to_string(), fact.doc.to_owned()])
        .collect();
    let facts = match facts.as_slice() {
        [] => String::new(),
        rows => format!("  Facts for conditions:\n\n{}\n", columns(rows)),
    };
    format!(
        "kind = \"{}\"\n  {}\n\n{keys}{facts}  Example:\n\n{}\n",
        kind.name(),
        kind.summary(),
        kind.example()
    )
}

pub(super) fn facts(kind: &dyn Kind) -> impl Iterator<Item = &'static FactKey> {
    kind.facts().iter().flat_map(|facts| facts.iter())
}

fn json(kinds: &[&dyn Kind]) -> String {
    let list: Vec<serde_json::Value> = kinds
        .iter()
        .map(|kind| {
            let keys = kind.keys().iter().flat_map(|keys| keys.iter()).map(|key| {
                serde_json::json!({ "name": key.name, "doc": key.doc, "default": key.default, "example": key.example })
            });
            let facts = facts(*kind).map(|fact| {
                let shape = fact.shape.to_string();
                serde_json::json!({ "name": fact.name, "shape": shape, "doc": fact.doc })
            });
            serde_json::json!({
                "name": kind.name(), "summary": kind.summary(),
                "keys": keys.collect::<Vec<_>>(), "facts": facts.collect::<Vec<_>>(),
                "example": kind.example(),
            })
        })
        .collect();
    format!("{}\n", serde_json::Value::from(list))
}
