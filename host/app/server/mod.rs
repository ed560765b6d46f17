//! The endpoint: answers from the snapshot, and passes on what is to be changed.
//!
//! A handler never runs a check and never waits for one. The routes:
//!
//! | route | what |
//! | --- | --- |
//! | `GET /health` | the health of everything; another format by `?format=` or `Accept` |
//! | `GET /health/status` | the health of everything as Genesis has it |
//! | `GET /health/{name}` | one check or group, in every format likewise |
//! | `GET /health/live`, `/health/ready`, `/health/started` | wellcheck itself, as MicroProfile has it |
//! | `GET /actuator/health` | the health of everything as Spring Boot has it, the version by `Accept` |
//! | `GET /actuator/health/{rest}` | a check or a group, and what is within it, likewise |
//! | `GET /v1/agent/health/service/name/{name}` | a check or a group as Consul has it, `?format=text` |
//! | `GET /v1/agent/health/service/id/{name}` | likewise, not in a list |
//! | `GET /health-check` | the health of everything as clearskies has it |
//! | `GET /healthz` | the health of everything as Kubernetes has it, `?verbose`, `?exclude=` |
//! | `GET /healthz/{name}` | one check or group likewise |
//! | `GET /metrics` | for Prometheus, in its text or in OpenMetrics |
//! | `GET /badge/{name}.json` | a badge for shields.io; `status` is the health of everything |
//! | `GET /livez`, `/readyz`, `/startupz` | wellcheck itself, `?verbose`, `?exclude=` |
//! | `GET /livez/{name}`, `/readyz/{name}`, `/startupz/{name}` | one thing of that |
//! | `GET /api/v1/checks` | every check as JSON |
//! | `GET /api/v1/checks/{name}` | one check with its last outcome and log |
//! | `POST /api/v1/checks/{name}/run` | runs it now; needs a token with the role `operate` |
//! | `POST /api/v1/checks/{name}/pause`, `/api/v1/checks/{name}/resume` | stops it, `{"for": "1h"}`, and lets it go on; likewise |
//! | `GET /api/v1/checks/{name}/records` | the last runs of a plugin check that failed; likewise |
//! | `GET /api/v1/checks/{name}/records/{number}` | one of them, to be run again with `wellcheck plugin replay`; likewise |
//! | `GET /api/v1/maintenance` | maintenance windows; `POST` opens one, `{"for": "1h", "title": "", "names": [], "tags": []}`, likewise |
//! | `DELETE /api/v1/maintenance/{name}` | ends one, by its number; likewise |
//! | `GET /api/v1/endpoints/statuses` | every check as Gatus has it |
//! | `GET /api/v1/endpoints/{name}/statuses` | one check likewise, by Gatus' key |
//! | `GET /api/v1/endpoints/{name}/health/badge.shields` | its badge |
//! | `GET /api/v1/status` | version, configuration and its problems, plugins |
//! | `POST /api/v1/agent/share/http-healthcheck`, `/api/v2/agent/share/http-healthcheck` | asks about a share, as zrok's API does; needs a token with the role `operate` |
//! | `POST /api/v1/push/{name}` | takes an outcome for a check of the kind `push`; needs a token with the role `operate`, or the check's own |
//! | `POST /api/v1/endpoints/{name}/external` | likewise, as Gatus' external endpoints are told; `?success=`, `?error=`, `?duration=` |
//! | `GET /api/push/{name}` | likewise, as Uptime Kuma's clients push: the check's own token stands in the path; `?status=`, `?msg=`, `?ping=` |
//! | `GET /probe` | one probe on demand, as Prometheus expects it; `?target=`, `?module=` |
//! | `POST /-/reload` | reads everything again; needs a token with the role `admin` |
//! | `GET /` | where to look |
//!
//! Besides them there is what the configuration adds: `[[endpoint]]`, asked first, and `[[listen]]`,
//! further addresses that serve some of the routes or gRPC.
//!
//! To add a route: one line in [`ROUTES`] and a function, and its line in the table above, which
//! `GET /` shows too. A test asks for every documented route.

mod accept;
mod access;
mod answer;
mod control;
mod dialects;
mod endpoints;
mod grpc;
mod health;
mod index;
mod itself;
mod listen;
mod negotiate;
mod probe;
mod push;
mod records;
mod routes;
mod share;
mod stall;
mod tools;

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::Incoming;
use wellcheck_core::config::tree::Text;
use wellcheck_core::config::{Role, Server};
use wellcheck_core::endpoint::{ListenSpec, MAIN};
use wellcheck_core::format::api;
use wellcheck_wasm::{Sandbox, SlotUse};

pub(crate) use self::access::is_same;
pub(crate) use self::answer::{Answer, Problem};
pub(crate) use self::listen::{Draining, Listener, serve};
use self::routes::SILENT;
pub(crate) use self::routes::problems;
use crate::clock::Clock;
use crate::demand::Demand;
use crate::keeper::{Handle, Live};
use crate::modules::Modules;
use crate::passive::LivePassives;
use crate::published::Shared;
use crate::records::Records;
use crate::scheduler;
use crate::share::Asker;
use crate::store::Store;

/// What handlers may use.
#[derive(Debug, Clone)]
pub(crate) struct App {
    /// The picture to answer from.
    pub(crate) shared: Shared,
    /// The last runs that failed.
    pub(crate) records: Records,
    /// The configuration that runs: who may do what, and what may be asked for.
    pub(crate) live: Live,
    /// Where checks run that a request asks for.
    pub(crate) demand: Demand,
    /// What asks about shares.
    pub(crate) asker: Asker,
    /// How targets are probed that a request names.
    pub(crate) modules: Modules,
    /// The time, for labels.
    pub(crate) clock: Clock,
    /// Where reloads are asked for.
    pub(crate) keeper: Handle,
    /// Where something is wanted of one check.
    pub(crate) scheduler: scheduler::Handle,
    /// The checks that take outcomes from outside.
    pub(crate) passives: LivePassives,
    /// Set when the process is about to end.
    pub(crate) draining: Draining,
    /// Where plugins run.
    pub(crate) sandbox: Sandbox,
    /// Where state is kept.
    pub(crate) store: Store,
}

/// A request, as handlers see it.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    method: &'a Method,
    path: &'a str,
    /// What stands in the place of `{name}` or `{rest}`.
    name: &'a str,
    query: Option<&'a str>,
    headers: &'a HeaderMap,
    /// Where it came in.
    site: &'a Site,
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

/// What is served at an address.
#[derive(Debug)]
pub(crate) struct Site {
    /// What endpoints call the listener.
    name: String,
    /// Paths of built-in routes; `None` is all of them.
    routes: Option<Vec<String>>,
}

impl Site {
    /// What `[server]` asks for.
    pub(crate) fn main(server: &Server) -> Self {
        Self::new(MAIN, server.routes.as_deref())
    }

    /// What a `[[listen]]` asks for.
    pub(crate) fn of(spec: &ListenSpec) -> Self {
        Self::new(&spec.name, spec.routes.as_deref())
    }

    fn new(name: &str, routes: Option<&[Text]>) -> Self {
        let routes = routes.map(|routes| routes.iter().map(|text| text.value.clone()).collect());
        Self { name: name.to_owned(), routes }
    }

    /// Whether a built-in route is served.
    fn serves(&self, route: &str) -> bool {
        self.routes.as_ref().is_none_or(|routes| routes.iter().any(|served| served == route))
    }
}

/// Longest wait for a request's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The body of a request: read only by those who ask for it, and only up to a limit.
pub(crate) struct Body(Incoming);

impl Body {
    /// All of it.
    ///
    /// # Errors
    /// When it is longer than `limit` bytes, or does not come in time.
    pub(crate) async fn read(self, limit: usize) -> Result<Bytes, Problem> {
        let body = http_body_util::Limited::new(self.0, limit).collect();
        match tokio::time::timeout(BODY_TIMEOUT, body).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                let message = format!("the body is longer than {limit} bytes");
                Err(Problem::new(413, "body-too-large", message))
            }
            Ok(Err(_)) => Err(Problem::new(400, "body", "the body broke off")),
            Err(_elapsed) => {
                let message = format!("the body did not come within {BODY_TIMEOUT:?}");
                Err(Problem::new(408, "body", message))
            }
        }
    }
}

/// A path and what answers it.
struct Route {
    /// `{name}` at the end or between two `/` stands for one segment, `{number}` at the end for
    /// another one, `{rest}` at the end for one or more.
    path: &'static str,
    does: Does,
}

enum Does {
    /// `GET` and `HEAD`, from the snapshot alone.
    Read(fn(&App, &Asked<'_>) -> Answer),
    /// The same for every method, which it looks at itself.
    Any(fn(&App, &Asked<'_>) -> Answer),
    /// The methods that are given, as `Allow` has them. May wait for others, with a limit.
    Wait(&'static str, for<'a> fn(&'a App, &'a Asked<'a>, Body) -> BoxFuture<'a, Answer>),
}

/// Every route. A fixed path wins over one with `{name}`, since it comes first or its names are
/// reserved.
const ROUTES: &[Route] = &[
    Route { path: "/health", does: Does::Read(health::all) },
    Route { path: "/health/status", does: Does::Read(health::genesis) },
    Route { path: "/health/live", does: Does::Read(dialects::live) },
    Route { path: "/health/ready", does: Does::Read(dialects::ready) },
    Route { path: "/health/started", does: Does::Read(dialects::ready) },
    Route { path: "/health/{name}", does: Does::Read(health::one) },
    Route { path: "/actuator/health", does: Does::Read(dialects::spring) },
    Route { path: "/actuator/health/{rest}", does: Does::Read(dialects::spring_below) },
    Route { path: "/v1/agent/health/service/name/{name}", does: Does::Read(dialects::consul_name) },
    Route { path: "/v1/agent/health/service/id/{name}", does: Does::Read(dialects::consul_id) },
    Route { path: "/health-check", does: Does::Any(tools::clearskies_envelope) },
    Route { path: "/healthz", does: Does::Read(tools::healthz) },
    Route { path: "/healthz/{name}", does: Does::Read(tools::healthz_one) },
    Route { path: "/metrics", does: Does::Read(tools::metrics) },
    Route { path: "/badge/{name}.json", does: Does::Read(tools::badge) },
    Route { path: "/livez", does: Does::Read(itself::live) },
    Route { path: "/livez/{name}", does: Does::Read(itself::live_part) },
    Route { path: "/readyz", does: Does::Read(itself::ready) },
    Route { path: "/readyz/{name}", does: Does::Read(itself::ready_part) },
    Route { path: "/startupz", does: Does::Read(itself::ready) },
    Route { path: "/startupz/{name}", does: Does::Read(itself::ready_part) },
    Route { path: "/api/v1/checks", does: Does::Read(checks) },
    Route { path: "/api/v1/checks/{name}", does: Does::Read(check) },
    Route { path: "/api/v1/checks/{name}/run", does: Does::Wait("POST", control::run) },
    Route { path: "/api/v1/checks/{name}/pause", does: Does::Wait("POST", control::pause) },
    Route { path: "/api/v1/checks/{name}/resume", does: Does::Wait("POST", control::resume) },
    Route { path: "/api/v1/checks/{name}/records", does: Does::Wait("GET, HEAD", records::list) },
    Route {
        path: "/api/v1/checks/{name}/records/{number}",
        does: Does::Wait("GET, HEAD", records::one),
    },
    Route {
        path: "/api/v1/maintenance",
        does: Does::Wait("GET, HEAD, POST", control::maintenance),
    },
    Route {
        path: "/api/v1/maintenance/{name}",
        does: Does::Wait("DELETE", control::end_maintenance),
    },
    Route { path: "/api/v1/endpoints/statuses", does: Does::Read(tools::gatus) },
    Route { path: "/api/v1/endpoints/{name}/statuses", does: Does::Read(tools::gatus_one) },
    Route {
        path: "/api/v1/endpoints/{name}/health/badge.shields",
        does: Does::Read(tools::gatus_badge),
    },
    Route { path: "/api/v1/status", does: Does::Read(status) },
    Route {
        path: "/api/v1/agent/share/http-healthcheck",
        does: Does::Wait("POST", share::healthcheck),
    },
    Route {
        path: "/api/v2/agent/share/http-healthcheck",
        does: Does::Wait("POST", share::healthcheck),
    },
    Route { path: "/api/v1/push/{name}", does: Does::Wait("GET, POST", push::push) },
    Route { path: "/api/v1/endpoints/{name}/external", does: Does::Wait("POST", push::gatus) },
    Route { path: "/api/push/{name}", does: Does::Wait("GET, HEAD, POST, PUT", push::kuma) },
    Route { path: "/probe", does: Does::Wait("GET, HEAD", probe::probe) },
    Route { path: "/-/reload", does: Does::Wait("POST", reload) },
    Route { path: "/", does: Does::Read(index::index) },
];

/// The route of a path, and what stands in the place of `{name}` or `{rest}`.
fn route<'a>(site: &Site, path: &'a str) -> Option<(&'static Route, &'a str)> {
    let routes = ROUTES.iter().filter(|route| site.serves(route.path));
    routes.into_iter().find_map(|route| Some((route, fits(route.path, path)?)))
}

/// Whether a path is answered without a look at checks.
fn is_silent(site: &Site, path: &str) -> bool {
    route(site, path).is_some_and(|(route, _)| SILENT.contains(&route.path))
}

/// What stands in the place of `{name}` or `{rest}` of a pattern; nothing if the path does not fit.
fn fits<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    if let Some(prefix) = pattern.strip_suffix("{rest}") {
        return path.strip_prefix(prefix).filter(|rest| !rest.is_empty());
    }
    if let Some(pattern) = pattern.strip_suffix("/{number}") {
        let (path, number) = path.rsplit_once('/')?;
        return fits(pattern, path).filter(|_| !number.is_empty());
    }
    let Some((prefix, suffix)) = pattern.split_once("{name}") else {
        return (pattern == path).then_some("");
    };
    let name = path.strip_prefix(prefix)?.strip_suffix(suffix)?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

/// Answers one request.
async fn answer(app: &App, site: &Site, request: hyper::Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let (path, method) = (head.uri.path(), &head.method);
    let (query, headers) = (head.uri.query(), &head.headers);
    let asked = Asked { method, path, name: "", query, headers, site };
    let body = Body(body);
    if app.shared.is_at_work() && !is_silent(site, asked.path) {
        let (shared, _turn) = app.shared.turn().await;
        return respond(&App { shared, ..app.clone() }, &asked, body).await;
    }
    respond(app, &asked, body).await
}

async fn respond(app: &App, asked: &Asked<'_>, body: Body) -> Answer {
    let &Asked { method, path, site, .. } = asked;
    if let Some(answer) = endpoints::answer(app, asked) {
        return answer;
    }
    let Some((route, name)) = route(site, path) else { return Answer::not_found(path) };
    let asked = Asked { name, ..*asked };
    match &route.does {
        Does::Read(read) if matches!(*method, Method::GET | Method::HEAD) => read(app, &asked),
        Does::Any(any) => any(app, &asked),
        Does::Read(_) => Answer::method_not_allowed(path, "GET, HEAD"),
        Does::Wait(methods, wait) if methods.split(", ").any(|m| m == method.as_str()) => {
            wait(app, &asked, body).await
        }
        Does::Wait(methods, _) => Answer::method_not_allowed(path, methods),
    }
}

/// `POST /-/reload`, for those with the role `admin`.
fn reload<'a>(app: &'a App, asked: &'a Asked<'a>, _body: Body) -> BoxFuture<'a, Answer> {
    async move {
        match access::check(&app.live.load().tokens, asked.headers, Role::Admin) {
            Ok(name) => tracing::info!(token = %name, "reload asked for"),
            Err(problem) => return problem.into(),
        }
        reloaded(app).await
    }
    .boxed()
}

async fn reloaded(app: &App) -> Answer {
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
        let all = Site::main(&Server::default());
        let found = |path| route(&all, path).map(|(route, name)| (route.path, name));
        assert_eq!(found("/health"), Some(("/health", "")));
        assert_eq!(found("/health/status"), Some(("/health/status", "")));
        assert_eq!(found("/health/shop"), Some(("/health/{name}", "shop")));
        assert_eq!(fits("/a/{name}/b", "/a/x/b"), Some("x"));
        assert_eq!(fits("/a/{rest}", "/a/x/b"), Some("x/b"));
        assert_eq!(fits("/a/{name}/b/{number}", "/a/x/b/7"), Some("x"));
        assert_eq!(fits("/a/{name}/b/{number}", "/a/x/b/"), None);
        assert_eq!((fits("/a/{name}/b", "/a//b"), fits("/a/{rest}", "/a/")), (None, None));
        for path in ["/health/", "/health/a/b", "/healthz/", "", "*", "/api/v1/checks/"] {
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
