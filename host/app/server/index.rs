//! `GET /`: what can be asked for at this address.

use std::fmt::Write;

use wellcheck_core::format::FORMATS;

use super::{Answer, App, Asked};

/// The text of the module with the table of routes, so that nothing is described twice.
const DOCS: &str = include_str!("mod.rs");

/// The routes of this listener, the endpoints that it serves, and the formats.
pub(super) fn index(app: &App, asked: &Asked<'_>) -> Answer {
    let mut rows = Vec::new();
    for (call, what) in described() {
        // A row may describe several paths.
        let paths = call.split('`').filter(|text| text.contains('/'));
        let served: Vec<&str> = paths
            .filter(|text| asked.site.serves(text.rsplit(' ').next().unwrap_or(text)))
            .collect();
        if !served.is_empty() {
            rows.push((served.join(", "), what.replace('`', "")));
        }
    }
    let published = app.shared.load();
    for spec in published.snapshot.setup.endpoints.iter() {
        if spec.listener.as_deref().is_none_or(|name| name == asked.site.name) {
            let what = match spec.format {
                Some(format) => format!("configured, as {}", FORMATS[format].name()),
                None => "configured".to_owned(),
            };
            rows.push((format!("GET {}", spec.path), what));
        }
    }
    let formats = FORMATS.iter().map(|format| {
        let what = format!("{} ({})", format.summary(), format.media_type());
        (format.name().to_owned(), what)
    });
    let formats: Vec<(String, String)> = formats.collect();
    let mut text = format!("wellcheck {}\n\n", env!("CARGO_PKG_VERSION"));
    table(&mut text, &rows);
    text.push_str("\nFormats, by ?format= or Accept:\n\n");
    table(&mut text, &formats);
    Answer::text(200, text)
}

fn table(text: &mut String, rows: &[(String, String)]) {
    let widest = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, what) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:widest$}  {what}");
    }
}

/// The rows of the table at the head of the module: what to ask, and what it is.
fn described() -> impl Iterator<Item = (&'static str, &'static str)> {
    let rows = DOCS.lines().filter_map(|line| line.strip_prefix("//! | `"));
    rows.filter_map(|row| {
        let mut cells = row.trim_end_matches(" |").split(" | ");
        Some((cells.next()?, cells.next()?))
    })
}
