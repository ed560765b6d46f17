//! What `wellcheck plugin inspect` found, for people and as JSON.

use serde_json::{Value, json};
use wellcheck_core::grant::{Grants, Use};
use wellcheck_core::units::show_size;
use wellcheck_kit::metadata::Metadata;
use wellcheck_wasm::{Description, Want, cleaned};

use super::{Checked, Inspected, schema};
use crate::cli::run::shown::uses;
use crate::cli::spread::{milliseconds, ms};
use crate::cli::table::columns;

/// For people.
pub(super) fn text(inspected: &Inspected) -> String {
    let Inspected { plugin, compile, load, run, checks, .. } = inspected;
    let about = plugin.description();
    let row = |name: &str, text: String| vec![name.to_owned(), text];
    let mut rows = vec![
        row("name", about.name.clone()),
        row("version", about.version.clone()),
        row("summary", about.summary.clone()),
        row("contract", format!("wellcheck:check {}", plugin.line())),
        row("size", show_size(plugin.size() as u64)),
        row("digest", format!("blake3:{}", plugin.digest())),
        row("", format!("sha256:{}", inspected.sha256)),
        row("signature", inspected.signature.to_owned()),
        row(
            "can ask for",
            match plugin.import_summary().as_slice() {
                [] => "nothing".to_owned(),
                words => words.join(", "),
            },
        ),
        row("compile", milliseconds(*compile)),
        row("load", milliseconds(*load)),
        row(
            "run",
            format!(
                "{} ({} of it to instantiate), {} of CPU, {} of memory",
                milliseconds(run.run.duration),
                milliseconds(run.used.instantiate),
                milliseconds(run.used.cpu),
                show_size(run.used.memory_peak as u64)
            ),
        ),
    ];
    for (name, text) in &about.details {
        rows.push(row(name, text.clone()));
    }
    let mut text = columns(&rows);
    text += &metadata(&inspected.metadata);
    if checks.is_empty() {
        text += "\ngrants (no check of the configuration uses it; a run without grants):\n";
        text += &grants(about, &Grants::default(), &run.run.used);
    }
    for Checked { check, grants: granted, run } in checks {
        let used = run.as_ref().map_or(&[][..], |run| &run.used);
        let outcome = match run {
            Ok(run) => format!("{}: {}", run.outcome.status(), run.outcome.message()),
            Err(problems) => format!("its settings do not fit: {}", problems.join("; ")),
        };
        text.push_str(
            &["\ngrants of check `", check.as_str(), "` (one run: ", &outcome, "):\n"].concat(),
        );
        text += &grants(about, granted, used);
    }
    text += "\nimports:\n";
    text.extend(plugin.imports().iter().map(|import| format!("  {import}\n")));
    let schema = about.settings_schema.as_deref().map(serde_json::from_str::<Value>);
    if let Some(Ok(schema)) = schema {
        let table = schema::table(&schema);
        text += "\nsettings:\n";
        text += if table.is_empty() {
            "  none are named (`--json` shows the schema)\n"
        } else {
            &table
        };
    }
    text
}

/// What the custom sections say.
fn metadata(metadata: &Metadata) -> String {
    let Metadata { name, version, description, source, revision, homepage, .. } = metadata;
    let Metadata { licenses, authors, languages, tools, .. } = metadata;
    let list = |list: &[String]| Some(list.join(", ")).filter(|text| !text.is_empty());
    let rows = [
        ("name", name.clone()),
        ("version", version.clone()),
        ("description", description.clone()),
        ("source", source.clone()),
        ("revision", revision.clone()),
        ("homepage", homepage.clone()),
        ("licenses", licenses.clone()),
        ("authors", authors.clone()),
        ("language", list(languages)),
        ("made with", list(tools)),
    ];
    let rows: Vec<_> = rows
        .into_iter()
        .filter_map(|(name, text)| Some(vec![format!("  {name}"), cleaned(&text?, 1024)]))
        .collect();
    if rows.is_empty() { String::new() } else { format!("\nmetadata:\n{}", columns(&rows)) }
}

/// Wanted, granted, used: a line each.
fn grants(about: &Description, granted: &Grants, used: &[Use]) -> String {
    let line = |word: &str, grant: &str, value: &str, note: &str| {
        vec![format!("  {word}"), format!("{grant} = \"{value}\""), note.to_owned()]
    };
    let mut rows = Vec::new();
    for Want { grant, value, why } in &about.wants {
        let state = match granted.covers(grant, value) {
            Ok(true) => "granted",
            // In words, such as "the origin of `url`": any grant of its kind may be meant.
            Err(_words) if granted.meets(grant, value) => "perhaps granted",
            Ok(false) | Err(_) => "not granted",
        };
        rows.push(line("wanted", grant, value, &format!("{state}: {why}")));
    }
    for (kind, value) in granted.list() {
        rows.push(line("granted", kind.as_str(), &value, ""));
    }
    for Use { kind, value, denied } in used {
        let word = if *denied { "denied" } else { "used" };
        rows.push(line(word, kind.as_str(), value, ""));
    }
    if rows.is_empty() {
        "  none wanted, none granted, none used\n".to_owned()
    } else {
        columns(&rows)
    }
}

/// One JSON object.
pub(super) fn json(inspected: &Inspected) -> String {
    let Inspected { plugin, compile, load, run, checks, .. } = inspected;
    let about = plugin.description();
    let schema = about.settings_schema.as_deref().map(serde_json::from_str::<Value>);
    let wants: Vec<_> = about
        .wants
        .iter()
        .map(|want| json!({ "grant": want.grant, "value": want.value, "why": want.why }))
        .collect();
    let checks: Vec<_> = (checks.iter())
        .map(|Checked { check, grants, run }| {
            let granted: Vec<_> = (grants.list().iter())
                .map(|(kind, value)| json!({ "grant": kind.as_str(), "value": value }))
                .collect();
            json!({
                "check": check.as_str(),
                "granted": granted,
                "missing": (about.wants.iter())
                    .filter(|want| !grants.meets(&want.grant, &want.value))
                    .map(|want| json!({ "grant": want.grant, "value": want.value }))
                    .collect::<Vec<_>>(),
                "used": run.as_ref().map_or_else(|_| json!([]), |run| uses(&run.used)),
                "status": run.as_ref().ok().map(|run| run.outcome.status()),
                "message": run.as_ref().map_or_else(|p| p.join("; "), |r| r.outcome.message().to_owned()),
            })
        })
        .collect();
    let body = json!({
        "name": about.name,
        "version": about.version,
        "summary": about.summary,
        "contract": plugin.line(),
        "size": plugin.size(),
        "digest": format!("blake3:{}", plugin.digest()),
        "sha256": inspected.sha256,
        "signature": inspected.signature,
        "metadata": inspected.metadata,
        "can_ask_for": plugin.import_summary(),
        "imports": plugin.imports().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "wants": wants,
        "used": uses(&run.run.used),
        "checks": checks,
        "settings_schema": schema.and_then(Result::ok),
        "details": about.details.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "cost": {
            "compile_ms": ms(*compile),
            "load_ms": ms(*load),
            "run_ms": ms(run.run.duration),
            "instantiate_ms": ms(run.used.instantiate),
            "run_cpu_ms": ms(run.used.cpu),
            "memory": run.used.memory_peak,
        },
    });
    format!("{body}\n")
}
