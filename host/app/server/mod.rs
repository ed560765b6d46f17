//! The endpoint: answers from the snapshot, and passes on what is to be changed.
//!
//! A handler never runs a check and never waits for one. The routes:
//!
//! | route | what |
//! | --- | --- |
//! | `GET /health` | the aggregate, `?format=` for another format |
//! | `GET /health/status` | the aggregate as Genesis has it |
//! | `GET /health/{check}` | one check, `?format=` likewise |
//! | `GET /livez`, `/readyz`, `/startupz` | wellcheck itself, `?verbose`, `?exclude=` |
//! | `GET /api/v1/checks` | every check as JSON |
//! | `GET /api/v1/checks/{check}` | one check with its last outcome and log |
//! | `GET /api/v1/status` | version, configuration and its problems, plugins |
//! | `POST /-/reload` | reads everything again; needs a token with the role `admin` |
//! | `GET /` | where to look |
//!
//! To add a route: one line in [`ROUTES`] and a function. A test asks for every documented route.

mod access;
mod answer;
mod health;
mod itself;
mod listen;

use std::sync::Arc;

use hyper::Method;
use hyper::body::Incoming;
use wellcheck_core::config::Role;
use wellcheck_core::format::api;
use wellcheck_wasm::{Sandbox, SlotUse};

pub(crate) use self::access::sha256;
pub(crate) use self::answer::{Answer, Problem};
pub(crate) use self::listen::{Draining, Listener};
use crate::keeper::{Handle, Tokens};
use crate::published::Shared;
use crate::store::Store;

/// What handlers may use.
#[derive(Debug, Clone)]
pub(crate) struct App {
    /// The picture to answer from.
    pub(crate) shared: Shared,
    /// Who may change something.
    pub(crate) tokens: Tokens,
    /// Where reloads are asked for.
    pub(crate) keeper: Handle,
    /// Set when the process is about to end.
    pub(crate) draining: Draining,
    /// Where plugins run.
    pub(crate) sandbox: Sandbox,
    /// Where state is kept.
    pub(crate) store: Store,
}

/// A request, as handlers see it: no body is ever read.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    path: &'a str,
    /// What stands in the place of `{check}`.
    name: &'a str,
    query: Option<&'a str>,
}

impl Asked<'_> {
    /// The values of a query parameter, decoded.
    fn values(&self, key: &str) -> Vec<String> {
        let pairs = url::form_urlencoded::parse(self.query.unwrap_or_default().as_bytes());
        pairs.filter(|(name, _)| name == key).map(|(_, value)| value.into_owned()).collect()
    }

    /// Whether a query parameter is there, with or without a value.
    fn has(&self, key: &str) -> bool {
        !self.values(key).is_empty()
    }
}

/// A path and what answers it.
struct Route {
    /// `{check}` stands for one segment.
    path: &'static str,
    does: Does,
}

enum Does {
    /// `GET` and `HEAD`.
    Read(fn(&App, &Asked<'_>) -> Answer),
    /// `POST`, for those who have the role.
    Reload(Role),
}

/// Every route. A fixed path wins over one with `{check}`, since such names are reserved.
const ROUTES: &[Route] = &[
    Route { path: "/health", does: Does::Read(health::all) },
    Route { path: "/health/status", does: Does::Read(health::genesis) },
    Route { path: "/health/{check}", does: Does::Read(health::one) },
    Route { path: "/livez", does: Does::Read(itself::live) },
    Route { path: "/readyz", does: Does::Read(itself::ready) },
    Route { path: "/startupz", does: Does::Read(itself::ready) },
    Route { path: "/api/v1/checks", does: Does::Read(checks) },
    Route { path: "/api/v1/checks/{check}", does: Does::Read(check) },
    Route { path: "/api/v1/status", does: Does::Read(status) },
    Route { path: "/-/reload", does: Does::Reload(Role::Admin) },
    Route { path: "/", does: Does::Read(itself::index) },
];

/// The route of a path, and what stands in the place of `{check}`.
fn route(path: &str) -> Option<(&'static Route, &str)> {
    ROUTES.iter().find_map(|route| match route.path.strip_suffix("{check}") {
        Some(prefix) => {
            let name = path.strip_prefix(prefix)?;
            (!name.is_empty() && !name.contains('/')).then_some((route, name))
        }
        None => (route.path == path).then_some((route, "")),
    })
}

/// Answers one request.
async fn answer(app: Arc<App>, request: hyper::Request<Incoming>) -> Answer {
    let (uri, method) = (request.uri(), request.method());
    let Some((route, name)) = route(uri.path()) else { return Answer::not_found(uri.path()) };
    let asked = Asked { path: uri.path(), name, query: uri.query() };
    match (&route.does, method) {
        (Does::Read(read), &(Method::GET | Method::HEAD)) => read(&app, &asked),
        (Does::Read(_), _) => Answer::method_not_allowed(asked.path, "GET, HEAD"),
        (Does::Reload(role), &Method::POST) => {
            match access::check(&app.tokens.load(), request.headers(), *role) {
                Ok(name) => {
                    tracing::info!(token = %name, "reload asked for");
                    reload(&app).await
                }
                Err(problem) => problem.into(),
            }
        }
        (Does::Reload(_), _) => Answer::method_not_allowed(asked.path, "POST"),
    }
}

async fn reload(app: &App) -> Answer {
    match app.keeper.reload().await {
        Some(reloaded) => Answer::json(
            if reloaded.applied { 200 } else { 422 },
            &serde_json::json!({ "applied": reloaded.applied, "problems": reloaded.problems }),
        ),
        None => Problem::new(503, "stopping", "the server is about to stop").into(),
    }
}

fn checks(app: &App, _asked: &Asked<'_>) -> Answer {
    Answer::json_bytes(200, app.shared.load().list())
}

fn check(app: &App, asked: &Asked<'_>) -> Answer {
    match app.shared.load().snapshot.check(asked.name) {
        Some(state) => Answer::json_bytes(200, api::detail(state).into()),
        None => Answer::unknown_check(asked.name),
    }
}

fn status(app: &App, _asked: &Asked<'_>) -> Answer {
    let SlotUse { slots, taken, panics, pooled } = app.sandbox.slots();
    let host = api::Host { slots, taken, panics, pooled, store: app.store.problem() };
    Answer::json_bytes(200, api::status(&app.shared.load().snapshot, &host).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_paths_win_and_names_are_one_segment() {
        let found = |path| route(path).map(|(route, name)| (route.path, name));
        assert_eq!(found("/health"), Some(("/health", "")));
        assert_eq!(found("/health/status"), Some(("/health/status", "")));
        assert_eq!(found("/health/shop"), Some(("/health/{check}", "shop")));
        for path in ["/health/", "/health/a/b", "/healthz", "", "*", "/api/v1/checks/"] {
            assert_eq!(found(path), None, "{path}");
        }
    }

    #[test]
    fn every_documented_route_is_in_the_table_and_the_other_way_round() {
        let docs = include_str!("mod.rs").lines().filter(|line| line.starts_with("//! | `"));
        let mut documented: Vec<&str> = docs
            .filter_map(|line| line.split('|').nth(1))
            .flat_map(|cell| cell.split('`').filter(|text| text.contains('/')))
            .map(|text| text.rsplit(' ').next().unwrap_or(text))
            .collect();
        let mut served: Vec<&str> = ROUTES.iter().map(|route| route.path).collect();
        documented.sort_unstable();
        served.sort_unstable();
        assert_eq!(documented, served);
    }
}
