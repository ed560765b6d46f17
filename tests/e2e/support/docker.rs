//! A faithful fake of Docker's API: `GET /containers/NAME/json` over a Unix socket, with the keys
//! and the error bodies of the daemon.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

/// A daemon that runs; it stops when dropped.
pub(crate) struct Daemon {
    path: PathBuf,
    stopped: Arc<AtomicBool>,
}

/// A container, as the daemon inspects it.
pub(crate) fn container(status: &str, health: Value) -> Value {
    json!({
        "Id": "4f66ad9a0b2e".repeat(5), "Created": "2026-01-02T03:04:05.678Z", "Path": "nginx",
        "State": {
            "Status": status, "Running": matches!(status, "running" | "paused" | "restarting"),
            "Paused": status == "paused", "Restarting": status == "restarting", "OOMKilled": false,
            "Dead": status == "dead", "Pid": 4711, "ExitCode": 0, "Error": "",
            "StartedAt": "2026-01-02T03:04:06Z", "FinishedAt": "0001-01-01T00:00:00Z",
            "Health": health,
        },
        "Image": "sha256:0123", "Name": "/web", "RestartCount": 3, "Driver": "overlay2",
        "Config": { "Hostname": "4f66ad9a0b2e", "Image": "nginx:1.27", "Labels": {} },
    })
}

/// What a health check came to.
pub(crate) fn health(status: &str, failures: u32, output: &str) -> Value {
    json!({
        "Status": status, "FailingStreak": failures,
        "Log": [{ "Start": "2026-01-02T03:05:06Z", "End": "2026-01-02T03:05:07Z", "ExitCode": 1, "Output": output }],
    })
}

impl Daemon {
    /// Listens on that path; a container whose value is a text answers with just that, raw.
    pub(crate) fn start(path: &Path, containers: BTreeMap<&'static str, Value>) -> Self {
        let listener = UnixListener::bind(path).expect("a socket");
        let stopped = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&stopped);
        let containers = Arc::new(containers);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if theirs.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut stream) = stream else { continue };
                let containers = Arc::clone(&containers);
                std::thread::spawn(move || {
                    let _ = serve(&mut stream, &containers);
                });
            }
        });
        Self { path: path.to_owned(), stopped }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(&self.path);
    }
}

fn serve(
    stream: &mut UnixStream,
    containers: &BTreeMap<&'static str, Value>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? > 0 {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let name = head
        .strip_prefix("GET /containers/")
        .and_then(|rest| rest.split_once("/json HTTP/1.1\r\n"))
        .map(|(name, _)| name);
    let (status, body) = match name.map(|name| (name, containers.get(name))) {
        None => ("404 Not Found", json!({ "message": "page not found" })),
        Some((_, Some(Value::String(raw)))) => return stream.write_all(raw.as_bytes()),
        Some((_, Some(Value::Null))) => {
            // Says nothing until the other side goes.
            return stream.read(&mut byte).map(drop);
        }
        Some((_, Some(found))) => ("200 OK", found.clone()),
        Some((name, None)) => {
            ("404 Not Found", json!({ "message": format!("No such container: {name}") }))
        }
    };
    let body = body.to_string();
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nApi-Version: 1.47\r\nContent-Type: application/json\r\nDocker-Experimental: false\r\nOstype: linux\r\nServer: Docker/27.3.1 (linux)\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all((head + &body).as_bytes())
}
