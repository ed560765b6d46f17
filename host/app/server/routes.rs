//! Whether the routes that listeners serve are there, and whether they tell more than is meant.

use wellcheck_core::config::problem::known;
use wellcheck_core::config::tree::Text;
use wellcheck_core::config::{Config, Problems};
use wellcheck_core::endpoint::{Detail, EndpointSpec, Protocol};

use super::{ROUTES, Site};

/// Built-in routes that tell nothing of checks, or not to everybody.
pub(super) const SILENT: &[&str] = &[
    "/",
    "/livez",
    "/livez/{name}",
    "/readyz",
    "/readyz/{name}",
    "/startupz",
    "/startupz/{name}",
    "/health/live",
    "/health/ready",
    "/health/started",
    "/probe",
    "/api/v1/push/{name}",
    "/api/v1/endpoints/{name}/external",
    "/api/push/{name}",
    "/-/reload",
    "/api/v1/checks/{name}/run",
    "/api/v1/checks/{name}/pause",
    "/api/v1/checks/{name}/resume",
    "/api/v1/checks/{name}/records",
    "/api/v1/checks/{name}/records/{number}",
    "/api/v1/maintenance/{name}",
    "/api/v1/agent/share/http-healthcheck",
    "/api/v2/agent/share/http-healthcheck",
];

/// What is wrong with the listeners of a configuration: routes that are not there are errors. An
/// endpoint that is to tell less than everything, beside a built-in route that tells it all, is a
/// warning.
pub(crate) fn problems(config: &Config, problems: &mut Problems) {
    unknown(config.server.routes.as_deref(), "`[server]`", problems);
    let mut sites = vec![Site::main(&config.server)];
    for listener in &config.listeners {
        let what = format!("`[[listen]]` `{}`", listener.name);
        unknown(listener.routes.as_deref(), &what, problems);
        if listener.protocol == Protocol::Http {
            sites.push(Site::of(listener));
        }
    }
    for endpoint in config.endpoints.iter().filter(|endpoint| endpoint.detail < Detail::All) {
        let telling = sites.iter().filter(|site| serves(site, endpoint)).find_map(|site| {
            let route = ROUTES.iter().find(|route| tells(site, route.path, &config.endpoints))?;
            Some((site, route.path))
        });
        let Some((site, route)) = telling else { continue };
        let detail = Detail::WORDS.iter().find(|(_, detail)| *detail == endpoint.detail);
        let (path, detail) = (&endpoint.path, detail.map_or("", |(word, _)| *word));
        let message = format!(
            "the `detail` of endpoint `{path}` is `{detail}`, and its listener `{}` also serves `{route}`, which tells everything (`routes` of the listener leaves it out)",
            site.name
        );
        problems.warning(&endpoint.place, message);
    }
}

fn unknown(routes: Option<&[Text]>, what: &str, problems: &mut Problems) {
    for route in routes.unwrap_or_default() {
        if ROUTES.iter().any(|known| known.path == route.value) {
            continue;
        }
        let shown: String = route.shown().chars().take(100).flat_map(char::escape_debug).collect();
        let list = known("routes", route.shown(), ROUTES.iter().map(|route| route.path));
        problems.error(&route.place, format!("unknown route `{shown}` in {what} {list}"));
    }
}

/// Whether a listener serves an endpoint.
fn serves(site: &Site, endpoint: &EndpointSpec) -> bool {
    endpoint.listener.as_deref().is_none_or(|name| name == site.name)
}

/// Whether a listener serves a built-in route that tells everything, and no endpoint in its place.
fn tells(site: &Site, route: &str, endpoints: &[EndpointSpec]) -> bool {
    let is_hidden = || endpoints.iter().any(|other| other.path == route && serves(site, other));
    site.serves(route) && !SILENT.contains(&route) && !is_hidden()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_routes_are_routes() {
        for silent in SILENT {
            assert!(ROUTES.iter().any(|route| route.path == *silent), "{silent}");
        }
    }
}
