//! A real Prometheus on a free port, as its own process; and `promtool`, which comes with it.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::http;
use crate::support::program::finish;
use crate::support::wait::{LIMIT, until, until_within};

/// A running server.
pub(crate) struct Prometheus {
    child: Child,
    address: SocketAddr,
    dir: TempDir,
}

#[track_caller]
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("there is no {name}: run `tests/run`, or `apt-get install prometheus`")
    })
}

/// What `promtool check metrics` says of a text, which is nothing if it finds nothing.
#[track_caller]
pub(crate) fn promtool(metrics: &str) -> String {
    let ended = finish(Command::new(program("promtool")).args(["check", "metrics"]), metrics);
    format!("{}{}", ended.out, ended.err)
}

impl Prometheus {
    /// Starts with this configuration.
    #[track_caller]
    pub(crate) fn start(config: &str) -> Self {
        let dir = TempDir::with_prefix("wellcheck-prometheus-").expect("a temporary folder");
        std::fs::write(dir.path().join("prometheus.yml"), config).expect("a file");
        // Somebody else may take the port between finding and using it; then another one is tried.
        for _ in 0..5 {
            let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
            let address = listener.local_addr().expect("it is bound");
            drop(listener);
            let log = std::fs::File::create(dir.path().join("log")).expect("a file");
            let mut child = Command::new(program("prometheus"))
                .current_dir(dir.path())
                .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
                .arg(format!("--web.listen-address={address}"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .expect("it can be started");
            let up = until("Prometheus is ready", || match child.try_wait() {
                Ok(Some(_)) => Ok(false),
                _ => match http::request(address, "GET", "/-/ready", &[], "") {
                    Ok(answer) if answer.code == 200 => Ok(true),
                    other => Err(format!("{other:?}")),
                },
            });
            if up {
                return Self { child, address, dir };
            }
        }
        panic!("Prometheus does not start");
    }

    /// Waits until a query finds as many series as are wanted, and returns label and value of each,
    /// sorted.
    #[track_caller]
    pub(crate) fn until(&self, query: &str, label: &str, wanted: usize) -> Vec<(String, String)> {
        let encoded: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        until_within(2 * LIMIT, &format!("{wanted} results of `{query}`"), || {
            let path = format!("/api/v1/query?query={encoded}");
            let answer = http::request(self.address, "GET", &path, &[], "");
            let answer = answer.map_err(|error| error.to_string())?.json();
            let list = answer["data"]["result"].as_array().cloned().unwrap_or_default();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let mut found: Vec<(String, String)> = list
                .iter()
                .map(|series| (text(&series["metric"][label]), text(&series["value"][1])))
                .collect();
            found.sort();
            if found.len() == wanted { Ok(found) } else { Err(answer.to_string()) }
        })
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Had it ended by itself, the number would not be its own any more.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        }
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            eprintln!("── Prometheus on {} ──\n{log}──", self.address);
        }
    }
}
