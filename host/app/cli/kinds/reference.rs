//! `host/CHECKS.md`: every kind with its keys, its facts and an example, made from the tables that
//! the program itself reads.

use std::fmt::Write;

use wellcheck_core::condition::COMMON_FACTS;
use wellcheck_core::config::keys::{CHECK, JUDGEMENT, Key, TIMING};
use wellcheck_core::fact::FactKey;

use crate::checks::Kind;

const HEAD: &str = "# Checks

Made by `UPDATE_DOCS=1 cargo test --test e2e tidy::`, from the tables that the program reads; a test \
fails when it is not up to date. `wellcheck kinds NAME` prints one kind in a terminal.

A check is a `[[check]]` of the configuration: what is common to all kinds, and the kind's own keys \
beside it.
";

/// All of it.
pub(super) fn of(kinds: &[&dyn Kind]) -> String {
    let mut text = HEAD.to_owned();
    text.push_str("\n| kind | what it does |\n| --- | --- |\n");
    for kind in kinds {
        line(&mut text, &format!("| [`{0}`](#{0}) | {1} |", kind.name(), cell(kind.summary())));
    }
    line(
        &mut text,
        "| `plugin` | runs a component of the plugins folder; see [wit/README.md](../wit/README.md) |",
    );
    text.push_str("\n## What every check has\n");
    keys(&mut text, CHECK.iter().chain(TIMING).chain(JUDGEMENT));
    text.push_str("\n`warn` and `fail` are conditions over facts: those that every kind has, and the kind's own.\n");
    facts(&mut text, COMMON_FACTS.iter());
    for kind in kinds {
        line(&mut text, &format!("\n## {}\n\n{}.", kind.name(), capital(kind.summary())));
        keys(&mut text, kind.keys().iter().flat_map(|keys| keys.iter()));
        facts(&mut text, super::facts(*kind));
        line(&mut text, &format!("\n```toml\n{}\n```", kind.example().trim_end()));
    }
    text
}

fn keys<'a>(text: &mut String, keys: impl Iterator<Item = &'a Key>) {
    text.push_str("\n| key | default | meaning | example |\n| --- | --- | --- | --- |\n");
    for key in keys {
        let default = if key.default.is_empty() { "(none)" } else { key.default };
        let row = [&format!("`{}`", key.name), default, key.doc, &code(key.example)];
        line(text, &format!("| {} |", row.map(cell).join(" | ")));
    }
}

fn facts<'a>(text: &mut String, facts: impl Iterator<Item = &'a FactKey>) {
    let mut facts = facts.peekable();
    if facts.peek().is_none() {
        return;
    }
    text.push_str("\n| fact | shape | meaning |\n| --- | --- | --- |\n");
    for fact in facts {
        let row = [&format!("`{}`", fact.name), &fact.shape.to_string(), fact.doc];
        line(text, &format!("| {} |", row.map(cell).join(" | ")));
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

/// Text that does not end the cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn code(text: &str) -> String {
    let fence = if text.contains('`') { "``" } else { "`" };
    format!("{fence}{text}{fence}")
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
