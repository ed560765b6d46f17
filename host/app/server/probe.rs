//! `GET /probe`: one probe on demand, as Prometheus expects it of blackbox_exporter.
//!
//! `target` is what to probe, by `module` (`http_2xx` without one); of several, the first counts.
//! `debug=true` shows what happened instead of the metrics alone, and `hostname` is what the target
//! is asked for as. The probe ends half a second before the scraper gives up, or by the module's
//! timeout, whichever is earlier. It has no effect on any check. What a plugin observes, and what
//! kinds observe that have no metrics of their own, are samples of `probe_observation`.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use wellcheck_core::exposition::{Dialect, Family, encode};
use wellcheck_core::id::CheckName;
use wellcheck_core::module::{DEFAULT_MODULE, ModuleSpec};
use wellcheck_core::outcome::Outcome;
use wellcheck_core::redact::Redactor;
use wellcheck_core::status::Status;

use super::{Answer, App, Asked, Body, accept};
use crate::checks::probed::{Line, Probed, Quoted};
use crate::modules::{Wanted, own_host};
use crate::sources::without_credentials;

/// What a scraper says of how long it waits, in seconds.
const TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";

/// What is left of that time for the answer's way back.
const OFFSET: Duration = Duration::from_millis(500);

/// How long a scraper waits that does not say it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Longest target, in bytes.
const MAX_TARGET: usize = 2048;

/// Longest name of a host, in bytes, with a port.
const MAX_HOSTNAME: usize = 260;

/// See the module.
pub(super) fn probe<'a>(app: &'a App, asked: &'a Asked<'a>, _body: Body) -> BoxFuture<'a, Answer> {
    async move { answer(app, asked).await.unwrap_or_else(Answer::from) }.boxed()
}

/// Why nothing is probed: a code and a line of text, as other programs answer then.
struct Refused(u16, String);

impl From<Refused> for Answer {
    fn from(Refused(code, message): Refused) -> Self {
        Self::text(code, format!("{message}\n"))
    }
}

fn refused(code: u16, message: impl std::fmt::Display) -> Refused {
    Refused(code, message.to_string())
}

async fn answer(app: &App, asked: &Asked<'_>) -> Result<Answer, Refused> {
    let config = app.modules.config();
    let first = |key: &str| asked.values(key).into_iter().next().filter(|text| !text.is_empty());
    let name = first("module").unwrap_or_else(|| DEFAULT_MODULE.to_owned());
    let Some(module) = config.modules.iter().find(|module| module.name == name) else {
        let shown: String = name.chars().take(100).collect();
        return Err(refused(400, format_args!("Unknown module {shown:?}")));
    };
    let timeout = timeout(asked, module)?;
    let target = first("target").ok_or_else(|| refused(400, "Target parameter is missing"))?;
    if target.len() > MAX_TARGET {
        let message = format!("Target parameter is longer than {MAX_TARGET} bytes");
        return Err(refused(400, message));
    }
    let hostname = first("hostname");
    if let Some(hostname) = &hostname {
        check_hostname(hostname, module)?;
    }
    let wanted = Wanted { module: name, target, hostname };

    let make = || {
        // Files are read and expressions compiled, which nobody else on this thread waits for.
        tokio::task::block_in_place(|| app.modules.checker(&config, module, &wanted))
    };
    let (judgement, redactor) = (&module.judgement, &config.redactor);
    let probing = app.demand.probe(run_name(module), make, judgement, timeout, redactor);
    let probed = match probing.await {
        Ok(Ok(probed)) => probed,
        Ok(Err(why)) => return Err(not_here(module, &why)),
        Err(_undone) => {
            let message = "Too many probes are under way";
            return Err(refused(503, message));
        }
    };
    if probed.refused {
        return Err(not_here(module, probed.run.outcome.message()));
    }
    let families = families(&probed, timeout);
    if first("debug").is_some_and(|debug| debug == "true") {
        let text = debug(app, module, &wanted, &probed, &families, timeout, &config.redactor);
        return Ok(Answer::text(200, text));
    }
    let dialect = accept::dialect(asked.headers);
    let body = encode(&families, dialect);
    Ok(Answer::new(200, dialect.media_type(), Bytes::from(body)))
}

fn not_here(module: &ModuleSpec, why: &str) -> Refused {
    refused(403, format_args!("Module \"{}\" does not probe this target: {why}", module.name))
}

/// How long the probe may take.
fn timeout(asked: &Asked<'_>, module: &ModuleSpec) -> Result<Duration, Refused> {
    let given = match asked.headers.get(TIMEOUT) {
        None => PATIENCE,
        Some(text) => {
            let seconds = text.to_str().ok().and_then(|text| text.trim().parse::<f64>().ok());
            let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            duration.ok_or_else(|| {
                let shown: String =
                    String::from_utf8_lossy(text.as_bytes()).chars().take(40).collect();
                let message = "Failed to parse timeout from Prometheus header";
                refused(400, format_args!("{message}: {shown:?} is no number of seconds"))
            })?
        }
    };
    let given = if given.is_zero() { PATIENCE } else { given };
    // Whoever waits for less than the offset gets the module's own.
    let left = given.checked_sub(OFFSET).filter(|left| !left.is_zero());
    Ok(left.map_or(module.timeout, |left| left.min(module.timeout)))
}

fn check_hostname(hostname: &str, module: &ModuleSpec) -> Result<(), Refused> {
    if hostname.len() > MAX_HOSTNAME || !hostname.bytes().all(|b| b.is_ascii_graphic()) {
        let message = format!(
            "Hostname parameter is no name of a host (expected at most {MAX_HOSTNAME} visible characters)"
        );
        return Err(refused(400, message));
    }
    match own_host(module) {
        // What the module sends may be a secret, so that it is not repeated.
        Some(own) if own != hostname => Err(refused(
            400,
            format_args!(
                "Host header defined both in module configuration and with URL-parameter 'hostname' ({hostname})"
            ),
        )),
        _ => Ok(()),
    }
}

/// What the run goes by, which has fewer letters than a module.
fn run_name(module: &ModuleSpec) -> CheckName {
    let spelled: String = (module.name.to_ascii_lowercase().chars())
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    CheckName::new(spelled.trim_start_matches('-'))
        .unwrap_or_else(|_| CheckName::new("probe").expect("a name"))
}

/// What every probe tells, and what its protocol adds, by name.
fn families(probed: &Probed, timeout: Duration) -> Vec<Family> {
    let outcome = &probed.run.outcome;
    let mut families = vec![
        Family::gauge(
            "probe_success",
            "Whether the target is as it should be.",
            f64::from(u8::from(succeeded(outcome))),
        ),
        Family::gauge(
            "probe_duration_seconds",
            "How long the probe took.",
            probed.run.duration.as_secs_f64(),
        ),
        Family::gauge(
            "probe_timeout_seconds",
            "How long the probe could have taken.",
            timeout.as_secs_f64(),
        ),
        Family::info(
            "probe_outcome_info",
            "What the probe came to, and why: unknown where the probe itself is at fault, which says nothing about the target.",
            &[
                ("status", outcome.status().as_str()),
                ("reason", outcome.reason().unwrap_or_default()),
            ],
        ),
    ];
    families.extend(probed.families.iter().cloned());
    families.sort_by(|a, b| a.name().cmp(b.name()));
    families
}

fn succeeded(outcome: &Outcome) -> bool {
    matches!(outcome.status(), Status::Pass | Status::Warn)
}

fn debug(
    app: &App,
    module: &ModuleSpec,
    wanted: &Wanted,
    probed: &Probed,
    families: &[Family],
    timeout: Duration,
    redactor: &Redactor,
) -> String {
    let Wanted { module: name, target, hostname } = wanted;
    let outcome = &probed.run.outcome;
    let mut first = Line::new("info", "the probe began")
        .with("kind", module.kind())
        .with("timeout_seconds", timeout.as_secs_f64());
    if let Some(hostname) = hostname {
        first = first.with("hostname", hostname);
    }
    let (level, what) = match succeeded(outcome) {
        true => ("info", "the probe succeeded"),
        false => ("error", "the probe failed"),
    };
    let last = Line::new(level, what)
        .with("status", outcome.status().as_str())
        .with("reason", outcome.reason().unwrap_or("none"))
        .with("message", outcome.message())
        .with("duration_seconds", probed.run.duration.as_secs_f64())
        .with("ended", app.clock.now().wall);

    let mut text = "Logs for the probe:\n".to_owned();
    let target = without_credentials(target);
    for line in std::iter::once(&first).chain(&probed.log).chain([&last]) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "module={} target={} {line}", Quoted(name), Quoted(&target));
    }
    let metrics = encode(families, Dialect::Prometheus);
    let _ = write!(text, "\n\n\nMetrics that would have been returned:\n{metrics}");
    let shown = redactor.apply(&module.shown);
    let _ = write!(text, "\n\n\nModule configuration:\n{shown}");
    text
}
