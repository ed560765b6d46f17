//! Health of wellcheck itself, in the text that Kubernetes' own servers answer with.
//!
//! `/livez` says that the process answers; it never depends on a target. `/readyz` also waits for
//! the plugins that were there at the start to be decided. A configuration on disk that is refused
//! makes neither fail, since the one before it runs; `?verbose` says so.

use wellcheck_core::format::kubernetes::{self, Look, Verdict};
use wellcheck_core::snapshot::Newest;
use wellcheck_core::time::WallTime;
use wellcheck_core::units::count;

use super::{Answer, App, Asked};

/// One thing that is looked at, and what is said of it by itself when it fails.
pub(super) struct Part {
    pub(super) look: Look<'static>,
    why: &'static str,
}

fn part(name: &'static str, ok: bool, why: &'static str) -> Part {
    let verdict = if ok { Verdict::Ok } else { Verdict::Failed };
    Part { look: Look { name, verdict }, why }
}

/// Whether the process answers.
pub(super) fn liveness() -> Vec<Part> {
    vec![part("ping", true, "")]
}

/// Whether it can be relied upon.
pub(super) fn readiness(app: &App) -> Vec<Part> {
    let published = app.shared.load();
    let setup = &published.snapshot.setup;
    // Not before the scheduler has taken over the first one.
    let is_configured = setup.configuration.read != WallTime::default();
    vec![
        part("ping", true, ""),
        part("configuration", is_configured, "no configuration is in use yet"),
        part("plugins", setup.starting == 0, "plugins are being loaded"),
        part("shutdown", !app.draining.is_set(), "the process is about to end"),
    ]
}

/// `/livez`
pub(super) fn live(app: &App, asked: &Asked<'_>) -> Answer {
    report(app, asked, &liveness())
}

/// `/livez/{name}`
pub(super) fn live_part(_app: &App, asked: &Asked<'_>) -> Answer {
    one(asked, &liveness())
}

/// `/readyz`, `/startupz`
pub(super) fn ready(app: &App, asked: &Asked<'_>) -> Answer {
    report(app, asked, &readiness(app))
}

/// `/readyz/{name}`, `/startupz/{name}`
pub(super) fn ready_part(app: &App, asked: &Asked<'_>) -> Answer {
    one(asked, &readiness(app))
}

fn report(app: &App, asked: &Asked<'_>, parts: &[Part]) -> Answer {
    let verbose = asked.has("verbose");
    let published = app.shared.load();
    let setup = &published.snapshot.setup;
    let mut warnings = Vec::new();
    if !setup.configuration.applied && !setup.configuration.problems.is_empty() {
        warnings.push(format!(
            "the configuration on disk was refused at {} ({}); the one before it runs",
            setup.configuration.read,
            count(setup.configuration.problems.len(), "problem")
        ));
    }
    if verbose {
        let loading = setup.plugins.iter().filter(|p| matches!(p.newest, Newest::Loading(_)));
        warnings.extend(loading.map(|plugin| format!("plugin {} is being loaded", plugin.name)));
    }
    let looks: Vec<Look<'_>> = parts.iter().map(|part| part.look).collect();
    let exclude = asked.values("exclude");
    let endpoint = asked.path.trim_start_matches('/');
    let asked = kubernetes::Asked { endpoint, exclude: &exclude, verbose };
    let (code, text) = kubernetes::all(&looks, asked, &warnings);
    Answer::text(code, text)
}

fn one(asked: &Asked<'_>, parts: &[Part]) -> Answer {
    let Some(part) = parts.iter().find(|part| part.look.name == asked.name) else {
        return Answer::not_found(asked.path);
    };
    let (code, text) = kubernetes::one(part.look.verdict, part.why);
    Answer::text(code, text)
}
