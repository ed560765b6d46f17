//! A real nginx on a free port, as its own process in the foreground; stopped by its number.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::certificates::Pair;
use super::servers::{free_address, program};
use super::wait::until;

/// A running nginx.
pub(crate) struct Nginx {
    child: Child,
    pub(crate) address: SocketAddr,
    dir: TempDir,
}

impl Nginx {
    /// Serves `locations`, the body of a `server` block; `{PORT}` in it is the port.
    #[track_caller]
    pub(crate) fn start(locations: &str) -> Self {
        Self::run(None, locations)
    }

    /// Likewise over TLS, with HTTP/2 offered.
    #[track_caller]
    pub(crate) fn start_tls(pair: &Pair, locations: &str) -> Self {
        Self::run(Some(pair), locations)
    }

    #[track_caller]
    fn run(pair: Option<&Pair>, locations: &str) -> Self {
        let dir = TempDir::with_prefix("wellcheck-nginx-").expect("a temporary folder");
        if let Some(pair) = pair {
            std::fs::write(dir.path().join("cert.pem"), &pair.certificate).expect("a file");
            std::fs::write(dir.path().join("key.pem"), &pair.key).expect("a file");
        }
        // Somebody else may take the port between finding and using it; then another one is tried.
        for _ in 0..5 {
            let address = free_address();
            write_config(dir.path(), address, pair.is_some(), locations);
            let mut child = spawn(dir.path());
            let up = until("nginx listens", || match child.try_wait() {
                Ok(Some(_)) => Ok(false),
                _ if std::net::TcpStream::connect(address).is_ok() => Ok(true),
                _ => Err(log(dir.path())),
            });
            if up {
                return Self { child, address, dir };
            }
        }
        panic!("nginx does not start: {}", log(dir.path()));
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn https(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// What it was asked: method, path, version, headers of interest and body of each request.
    pub(crate) fn access_log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("access.log")).unwrap_or_default()
    }
}

fn write_config(dir: &Path, address: SocketAddr, tls: bool, locations: &str) {
    let protocols = match locations.contains("ssl_protocols") {
        true => "",
        false => "ssl_protocols TLSv1.2 TLSv1.3;",
    };
    let listen = match tls {
        true => {
            format!("ssl http2; {protocols} ssl_certificate cert.pem; ssl_certificate_key key.pem")
        }
        false => String::new(),
    };
    let port = address.port();
    let locations = locations.replace("{PORT}", &port.to_string());
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path tmp-{name};\n"))
        .concat();
    let config = format!(
        "daemon off; master_process off; pid nginx.pid; error_log error.log;
events {{ worker_connections 64; }}
http {{
  {temporary}
  log_format full escape=json '$request|$http_user_agent|$http_x_test|$request_body';
  access_log access.log full;
  server {{
    listen {address} {listen};
    set $self http://127.0.0.1:{port};
    {locations}
  }}
}}
"
    );
    std::fs::write(dir.join("nginx.conf"), config).expect("a file");
}

fn spawn(dir: &Path) -> Child {
    // Debian keeps it out of the path of ordinary users.
    Command::new(program(&["nginx"], &["/usr/sbin"], "nginx-light"))
        .args(["-e", "error.log", "-c", "nginx.conf", "-p"])
        .arg(format!("{}/", dir.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nginx can be started")
}

fn log(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("error.log")).unwrap_or_default()
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Had it ended by itself, the number would not be its own any more.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        }
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!(
                "── nginx on {} ──\n{}{}──",
                self.address,
                log(self.dir.path()),
                self.access_log()
            );
        }
    }
}
