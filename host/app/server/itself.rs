//! Health of wellcheck itself, in the text that Kubernetes' own servers answer with.
//!
//! `/livez` says that the process answers; it never depends on a target. `/readyz` also waits for
//! the plugins that were there at the start to be decided. A configuration on disk that is refused
//! makes neither fail, since the one before it runs; `?verbose` says so.

use std::fmt::Write;

use wellcheck_core::snapshot::Newest;
use wellcheck_core::time::WallTime;
use wellcheck_core::units::count;

use super::{Answer, App, Asked};

/// One thing that is looked at.
struct Look {
    name: &'static str,
    ok: bool,
}

/// Whether the process answers.
pub(super) fn live(app: &App, asked: &Asked<'_>) -> Answer {
    report(app, asked, vec![Look { name: "ping", ok: true }])
}

/// Whether it can be relied upon.
pub(super) fn ready(app: &App, asked: &Asked<'_>) -> Answer {
    let published = app.shared.load();
    let setup = &published.snapshot.setup;
    let looks = vec![
        Look { name: "ping", ok: true },
        // Not before the scheduler has taken over the first one.
        Look { name: "configuration", ok: setup.configuration.read != WallTime::default() },
        Look { name: "plugins", ok: setup.starting == 0 },
        Look { name: "shutdown", ok: !app.draining.is_set() },
    ];
    report(app, asked, looks)
}

fn report(app: &App, asked: &Asked<'_>, looks: Vec<Look>) -> Answer {
    let endpoint = asked.path.trim_start_matches('/');
    let excluded = asked.values("exclude");
    let mut text = String::new();
    let mut failed = false;
    for look in &looks {
        // Writing to a String cannot fail.
        let _ = if excluded.iter().any(|name| name == look.name) {
            writeln!(text, "[+]{} excluded: ok", look.name)
        } else if look.ok {
            writeln!(text, "[+]{} ok", look.name)
        } else {
            failed = true;
            writeln!(text, "[-]{} failed: reason withheld", look.name)
        };
    }
    let unknown: Vec<String> = excluded
        .iter()
        .filter(|name| !looks.iter().any(|look| look.name == **name))
        .map(|name| {
            format!(
                "\"{}\"",
                name.chars().take(40).flat_map(char::escape_debug).collect::<String>()
            )
        })
        .collect();
    if !unknown.is_empty() {
        let list = unknown.join(",");
        let _ =
            writeln!(text, "warn: some health checks cannot be excluded: no matches for {list}");
    }
    let published = app.shared.load();
    let configuration = &published.snapshot.setup.configuration;
    if !configuration.applied && !configuration.problems.is_empty() {
        let _ = writeln!(
            text,
            "warn: the configuration on disk was refused at {} ({}); the one before it runs",
            configuration.read,
            count(configuration.problems.len(), "problem")
        );
    }
    if asked.has("verbose") {
        let plugins = published.snapshot.setup.plugins.iter();
        for plugin in plugins.filter(|plugin| matches!(plugin.newest, Newest::Loading(_))) {
            let _ = writeln!(text, "warn: plugin {} is being loaded", plugin.name);
        }
    }
    if failed {
        let _ = writeln!(text, "{endpoint} check failed");
        return Answer::text(500, text);
    }
    if asked.has("verbose") {
        let _ = writeln!(text, "{endpoint} check passed");
        return Answer::text(200, text);
    }
    Answer::text(200, "ok")
}
