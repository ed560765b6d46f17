//! The kind `docker`: whether a container runs and is healthy, asked over the socket of its daemon.
//!
//! Podman's socket answers the same. Only `GET /containers/NAME/json` is asked.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Method, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::fact::{FactKey, Shape, fact};
use wellcheck_core::outcome::{
    Answer, FailReason, Fault, FaultReason, Observation, Outcome, Report, Run,
};
use wellcheck_core::snapshot::Facts;
use wellcheck_net::Guard;
use wellcheck_net::http::{Answer as Answered, Client, Request, To};

use super::http::expect::named;
use super::http::explain;
use super::socket::shown;
use super::{Checker, Kind, RunContext, Tools};

/// Where the daemon listens unless told otherwise.
const SOCKET: &str = "/var/run/docker.sock";

/// Largest answer of the daemon; logs of health checks are in it.
const MAX_ANSWER: usize = 1024 * 1024;

/// Longest name or number of a container.
const MAX_NAME: usize = 255;

const KEYS: &[Key] = &[
    key("container", "", "container = \"web\"", "The container's name, or its number."),
    key(
        "socket",
        "\"/var/run/docker.sock\"",
        "socket = \"/run/podman/podman.sock\"",
        "The socket of Docker's or Podman's daemon; relative to the configuration file. Whoever may write there commands the machine: wellcheck only asks about the one container.",
    ),
    key(
        "while-starting",
        "\"warn\"",
        "while-starting = \"pass\"",
        "What a container is whose health check has not decided yet: `pass`, `warn` or `fail`.",
    ),
    key(
        "without-health",
        "\"pass\"",
        "without-health = \"fail\"",
        "What a container is that runs and has no health check: `pass`, `warn` or `fail`.",
    ),
];

const FACTS: &[FactKey] = &[
    fact(
        "state",
        Shape::Text,
        "`created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.",
    ),
    fact("running", Shape::Boolean, "Whether it runs."),
    fact("health", Shape::Text, "`healthy`, `unhealthy`, `starting` or `none`."),
    fact("health-failures", Shape::Integer, "How often in a row its health check failed."),
    fact("restarts", Shape::Integer, "How often the daemon has restarted it."),
    fact("exit-code", Shape::Integer, "The code that it ended with; 0 while it runs."),
    fact("out-of-memory", Shape::Boolean, "Whether it was ended for lack of memory."),
    fact("image", Shape::Text, "The image that it was made of, as it was named."),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Docker;

impl Kind for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn summary(&self) -> &'static str {
        "asks Docker or Podman whether a container runs and is healthy"
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[KEYS]
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        &[FACTS]
    }

    fn example(&self) -> &'static str {
        r#"[[check]]
name = "web-container"
kind = "docker"
container = "web"
"#
    }

    fn target_key(&self) -> &'static str {
        "container"
    }

    fn parse(
        &self,
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        if !reader.has("container") {
            reader.missing("container", problems);
        }
        let container = reader.parsed("container", problems, |text| {
            if is_name(&text.value) {
                return Ok(text.clone());
            }
            let shown = text.shown().escape_debug();
            Err(format!("`{shown}` is no container (expected letters, digits, `_`, `.` and `-`)"))
        });
        let socket = reader.text("socket", problems).map(|text| text.value);
        let words = [("pass", Answer::Pass), ("warn", Answer::Warn), ("fail", Answer::Fail)];
        let starting = reader.word("while-starting", &words, problems).unwrap_or(Answer::Warn);
        let without = reader.word("without-health", &words, problems).unwrap_or(Answer::Pass);
        let container = container?;
        let path = tools.base.join(socket.as_deref().unwrap_or(SOCKET));
        let url = format!("http://docker/containers/{}/json", container.value);
        let url = Url::parse(&url).expect("a name is fit for a path");
        let mut request = Request::new(Method::GET, url, tools.tls_anyone.clone());
        request.to = Some(To::Unix(std::path::absolute(&path).unwrap_or(path)));
        request.body_limit = MAX_ANSWER;
        let target = Some(container.shown().to_owned());
        Some(Arc::new(DockerCheck {
            client: tools.client.clone(),
            request,
            container: container.value,
            starting,
            without,
            facts: Facts { target, port: 0, plugin: None },
        }))
    }
}

/// Whether Docker could name a container so; nothing else reaches the path of the request.
fn is_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    let begins = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    begins && text.len() <= MAX_NAME && text.bytes().all(fits)
}

struct DockerCheck {
    client: Client,
    request: Request,
    container: String,
    starting: Answer,
    without: Answer,
    facts: Facts,
}

/// What the daemon says of a container.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    state: State,
    #[serde(default)]
    restart_count: i64,
    #[serde(default)]
    config: Config,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: String,
    running: bool,
    #[serde(default, rename = "OOMKilled")]
    out_of_memory: bool,
    #[serde(default)]
    exit_code: i64,
    /// Podman says `Healthcheck` here before its version 4.
    #[serde(default, alias = "Healthcheck")]
    health: Option<Health>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(default)]
    image: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Health {
    #[serde(default)]
    status: String,
    #[serde(default)]
    failing_streak: i64,
    #[serde(default)]
    log: Option<Vec<Probe>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Probe {
    #[serde(default)]
    output: String,
}

impl Checker for DockerCheck {
    fn facts(&self) -> Facts {
        self.facts.clone()
    }

    fn run<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, Run> {
        async move {
            let started = Instant::now();
            let outcome = self.look(context).await;
            Run::new(outcome, started.elapsed())
        }
        .boxed()
    }
}

impl DockerCheck {
    async fn look(&self, context: &RunContext) -> Outcome {
        // Which container may be asked about is the guard's to say; the socket is the configuration's.
        if let Err(why) = self.client.connector().guard().unresolved(&self.container, 0) {
            return Outcome::Faulted(Fault::new(FaultReason::Denied, why));
        }
        let client = self.client.guarded(Guard::allow_all());
        let exchange = Box::pin(client.fetch(&self.request, context.deadline)).await;
        let mut report = match &exchange.result {
            Ok(answer) => self.judge(answer, context),
            Err(failure) => match explain(failure) {
                Outcome::Answered(report) => report,
                fault @ Outcome::Faulted(_) => return fault,
            },
        };
        report.observations.insert(0, Observation::seconds("response-time", exchange.total));
        Outcome::Answered(report)
    }

    fn judge(&self, answer: &Answered, context: &RunContext) -> Report {
        let name = &self.container;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => {
                let message = format!("there is no container `{name}`");
                return Report::fail(FailReason::UnexpectedStatus, message);
            }
            status => {
                let message = format!("the daemon answered {}", self::named(status));
                return Report::fail(FailReason::UnexpectedStatus, message);
            }
        }
        if answer.truncated {
            let message = "the daemon answered more than 1 MiB";
            return Report::fail(FailReason::TooLarge, message);
        }
        let Ok(container) = serde_json::from_slice::<Container>(&answer.body) else {
            let message = "the answer is not what a daemon says of a container";
            return Report::fail(FailReason::Protocol, message);
        };
        let mut report = self.report(&container);
        container.tell(context, &mut report);
        report
    }

    fn report(&self, container: &Container) -> Report {
        let state = &container.state;
        let unfit = |message: String| Report::fail(FailReason::UnexpectedValue, message);
        let as_set = |status: Answer, message: &str| match status {
            Answer::Fail => unfit(message.to_owned()),
            status => Report::new(status, message),
        };
        if !state.running || state.status != "running" {
            let status = shown(state.status.as_bytes());
            let ended = matches!(&*state.status, "exited" | "dead");
            return unfit(match (ended, state.out_of_memory) {
                (true, true) => format!("{status}: it was ended for lack of memory"),
                (true, false) => format!("{status} with code {}", state.exit_code),
                (false, _) => format!("{status} (expected running)"),
            });
        }
        match container.health() {
            "healthy" => Report::new(Answer::Pass, "running and healthy"),
            "none" => as_set(self.without, "running; it has no health check"),
            "starting" => as_set(self.starting, "running; its health check has not decided yet"),
            "unhealthy" => {
                let health = state.health.as_ref();
                let last = health.and_then(|h| h.log.as_ref()?.last()).map(|probe| &probe.output);
                let count = health.map_or(0, |health| health.failing_streak);
                let says = last.map(|text| text.trim()).filter(|text| !text.is_empty());
                let says = says.map_or(String::new(), |text| {
                    format!("; it says `{}`", shown(text.as_bytes()))
                });
                unfit(format!("running and unhealthy, after {count} failures in a row{says}"))
            }
            other => {
                let message = format!("its health is `{}`", shown(other.as_bytes()));
                Report::fail(FailReason::Protocol, message)
            }
        }
    }
}

impl Container {
    fn health(&self) -> &str {
        match self.state.health.as_ref().map(|health| health.status.as_str()) {
            None | Some("") => "none",
            Some(status) => status,
        }
    }

    fn tell(&self, context: &RunContext, report: &mut Report) {
        let failures = self.state.health.as_ref().map_or(0, |health| health.failing_streak);
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        report.observations.extend([
            Observation::new("restarts", self.restart_count as f64, ""),
            Observation::new("health-failures", failures as f64, ""),
        ]);
        report.details.push(("state".to_owned(), shown(self.state.status.as_bytes())));
        report.details.push(("image".to_owned(), shown(self.config.image.as_bytes())));
        if context.asked.is_empty() {
            return;
        }
        let found = &mut report.found;
        found.put("state", self.state.status.clone());
        found.put("running", self.state.running);
        found.put("health", self.health());
        found.put("health-failures", failures);
        found.put("restarts", self.restart_count);
        found.put("exit-code", self.state.exit_code);
        found.put("out-of-memory", self.state.out_of_memory);
        found.put("image", self.config.image.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_containers_reach_the_path() {
        for good in ["web", "shop_web.1", "0123abc", "a-b"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "../images", "a/b", "a?b", "a%2f", "-a", ".a", "a b", &"a".repeat(256)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
