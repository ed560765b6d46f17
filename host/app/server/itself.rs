//! Health of wellcheck itself, in the text that Kubernetes' own servers answer with.
//!
//! `/livez` says that the process answers; it never depends on a target. `/readyz` also waits for
//! the plugins that were there at the start to be decided. A configuration on disk that is refused
//! makes neither fail, since the one before it runs; `?verbose` says so.

use std::fmt::Write;

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

/// Where to look.
pub(super) fn index(_app: &App, _asked: &Asked<'_>) -> Answer {
    let mut text = format!("wellcheck {}\n\n", env!("CARGO_PKG_VERSION"));
    let formats: Vec<&str> =
        wellcheck_core::format::FORMATS.iter().map(|format| format.name()).collect();
    let rows = [
        ("/health", "the health of everything".to_owned()),
        ("/health?format=text", format!("the same in another format: {}", formats.join(", "))),
        ("/health/NAME", "the health of one check".to_owned()),
        ("/health/status", "the health of everything as Genesis has it".to_owned()),
        (
            "/actuator/health",
            "the same as Spring Boot has it; /actuator/health/NAME for one".to_owned(),
        ),
        ("/health/live, ready, started", "wellcheck itself as MicroProfile has it".to_owned()),
        (
            "/v1/agent/health/service/",
            "name/NAME, id/NAME: the health of one as Consul has it".to_owned(),
        ),
        (
            "/api/v1/checks",
            "every check as JSON; /api/v1/checks/NAME for one with its log".to_owned(),
        ),
        ("/api/v1/status", "configuration, plugins and their problems".to_owned()),
        ("/health-check", "the health of everything as clearskies has it".to_owned()),
        ("/healthz", "likewise as Kubernetes has it; /healthz/NAME for one check".to_owned()),
        ("/metrics", "for Prometheus, in its own text or in OpenMetrics".to_owned()),
        ("/badge/NAME.json", "a badge for shields.io; /badge/status.json for all".to_owned()),
        ("/api/v1/endpoints/statuses", "the last results as Gatus has them".to_owned()),
        (
            "POST /api/v1/agent/share/http-healthcheck",
            "asks about a share as zrok's API does, also below /api/v2; needs a token".to_owned(),
        ),
        ("/livez, /readyz, /startupz", "wellcheck itself; ?verbose says more".to_owned()),
        (
            "/probe?target=URL&module=NAME",
            "one probe on demand, as Prometheus expects it; &debug=true".to_owned(),
        ),
        ("POST /-/reload", "read the configuration again; needs a token".to_owned()),
    ];
    for (path, what) in rows {
        let _ = writeln!(text, "{path:28}{what}");
    }
    Answer::text(200, text)
}
