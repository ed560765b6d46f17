//! A real Prometheus on a free port that scrapes one server, as its own process; stopped by its number.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::http::{Answer, raw};
use super::program::{Ended, finish};
use super::servers::{free_address, program};
use super::wait::{LIMIT, until, until_within};

/// What `promtool` says of metrics in the text of Prometheus.
#[track_caller]
pub(crate) fn promtool(metrics: &str) -> Ended {
    let mut command = Command::new(program(&["promtool"], &[], "prometheus"));
    finish(command.args(["check", "metrics"]), metrics)
}

/// A running Prometheus.
pub(crate) struct Prometheus {
    child: Child,
    address: SocketAddr,
    dir: TempDir,
}

impl Prometheus {
    /// Scrapes `/metrics` of a server, four times a second.
    #[track_caller]
    pub(crate) fn start(target: SocketAddr) -> Self {
        Self::configured(&format!(
            "global: {{ scrape_interval: 250ms, scrape_timeout: 250ms }}\nscrape_configs:\n- job_name: wellcheck\n  static_configs: [{{ targets: ['{target}'] }}]\n"
        ))
    }

    /// Starts with this configuration.
    #[track_caller]
    pub(crate) fn configured(config: &str) -> Self {
        let dir = TempDir::with_prefix("wellcheck-prometheus-").expect("a temporary folder");
        std::fs::write(dir.path().join("prometheus.yml"), config).expect("a file");
        // Somebody else may take the port between finding and using it; then another one is tried.
        for _ in 0..5 {
            let address = free_address();
            let mut child = spawn(dir.path(), address);
            let up = until("Prometheus is ready", || match child.try_wait() {
                Ok(Some(_)) => Ok(false),
                _ if get(address, "/-/ready").is_some_and(|a| a.code == 200) => Ok(true),
                _ => Err(log(dir.path())),
            });
            if up {
                return Self { child, address, dir };
            }
        }
        panic!("Prometheus does not start: {}", log(dir.path()));
    }

    /// What an expression comes to now: labels and value of each series.
    #[track_caller]
    pub(crate) fn query(&self, expression: &str) -> Vec<(Value, f64)> {
        let encoded: String = url::form_urlencoded::byte_serialize(expression.as_bytes()).collect();
        let data = self.api(&format!("/api/v1/query?query={encoded}"));
        let result = data["result"].as_array().expect("a vector").iter();
        let series = result.map(|series| {
            let value = series["value"][1].as_str().expect("a number");
            (series["metric"].clone(), value.parse().expect("a number"))
        });
        series.collect()
    }

    /// The `data` of an answer of its API.
    #[track_caller]
    pub(crate) fn api(&self, path: &str) -> Value {
        let answer = get(self.address, path).expect("it answers");
        let body = answer.json();
        assert_eq!(body["status"], "success", "{path}: {body}");
        body["data"].clone()
    }

    /// Waits until an expression has a series.
    #[track_caller]
    pub(crate) fn until(&self, expression: &str) -> Vec<(Value, f64)> {
        self.until_found(&format!("a series of `{expression}`"), expression, |count| count > 0)
    }

    /// Waits until an expression has so many series, and returns a label and the value of each,
    /// sorted.
    #[track_caller]
    pub(crate) fn until_series(
        &self,
        expression: &str,
        label: &str,
        wanted: usize,
    ) -> Vec<(String, String)> {
        let what = format!("{wanted} series of `{expression}`");
        let found = self.until_found(&what, expression, |count| count == wanted);
        let text = |labels: &Value| labels[label].as_str().unwrap_or_default().to_owned();
        let mut found: Vec<(String, String)> =
            found.iter().map(|(labels, value)| (text(labels), value.to_string())).collect();
        found.sort();
        found
    }

    #[track_caller]
    fn until_found(
        &self,
        what: &str,
        expression: &str,
        enough: impl Fn(usize) -> bool,
    ) -> Vec<(Value, f64)> {
        until_within(2 * LIMIT, what, || {
            let found = self.query(expression);
            let targets = || format!("{found:?}, {}", self.api("/api/v1/targets"));
            if enough(found.len()) { Ok(found) } else { Err(targets()) }
        })
    }
}

fn spawn(dir: &Path, address: SocketAddr) -> Child {
    let log = std::fs::File::create(dir.join("log")).expect("a file");
    Command::new(program(&["prometheus"], &[], "prometheus"))
        .current_dir(dir)
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
        .arg(format!("--web.listen-address={address}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("Prometheus can be started")
}

fn log(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("log")).unwrap_or_default()
}

/// By HTTP/1.0, so that the answer comes in one piece.
fn get(address: SocketAddr, path: &str) -> Option<Answer> {
    let bytes = raw(address, format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).ok()?;
    Answer::take(&mut &bytes[..], false)
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Had it ended by itself, the number would not be its own any more.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        }
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("── Prometheus on {} ──\n{}──", self.address, log(self.dir.path()));
        }
    }
}
