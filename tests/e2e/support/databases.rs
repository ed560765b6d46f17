//! PostgreSQL, MariaDB and Redis, each with a user and a password of its own.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use super::certificates::Authority;
use super::servers::{Server, as_somebody, finish, folder, free_port, is_root, program};
use super::wait::until;

/// What no log, answer or message may show.
pub(crate) const PASSWORD: &str = "db-canary-5f1c/@#";

/// The same as it stands in a URL.
pub(crate) const ENCODED: &str = "db-canary-5f1c%2F%40%23";

/// A running server of databases.
#[derive(Debug)]
pub(crate) struct Database {
    server: Server,
    pub(crate) port: u16,
    /// Where it speaks TLS from the first byte, if it does.
    pub(crate) tls_port: u16,
    /// The root of its certificate.
    pub(crate) ca: String,
}

impl Database {
    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.server.dir.join("server.log")).unwrap_or_default()
    }
}

/// Writes a certificate for loopback; returns its root.
pub(crate) fn certificate(dir: &std::path::Path) -> String {
    let authority = Authority::new();
    let pair = authority.good();
    std::fs::write(dir.join("cert.pem"), &pair.certificate).expect("a file");
    std::fs::write(dir.join("key.pem"), &pair.key).expect("a file");
    authority.pem()
}

/// A user who may not do much, and owns no other process of the tests.
fn nobody(preferred: &str) -> &str {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let known = users.lines().any(|line| line.starts_with(&format!("{preferred}:")));
    if known { preferred } else { "65534" }
}

/// Hands a folder over to the user that a server runs as.
fn give(dir: &std::path::Path, user: &str) {
    if is_root() {
        finish(Command::new("chown").args(["-R", user]).arg(dir));
    }
}

/// PostgreSQL, with TLS, the superuser `app` and the database `postgres`.
pub(crate) fn postgres() -> &'static Database {
    static SERVER: OnceLock<Database> = OnceLock::new();
    SERVER.get_or_init(|| {
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let dirs: Vec<String> =
            versions.map(|dir| format!("{}/bin", dir.path().display())).collect();
        let dirs: Vec<&str> = dirs.iter().map(String::as_str).collect();
        let initdb = program(&["initdb"], &dirs, "postgresql");
        let server = program(&["postgres"], &dirs, "postgresql");
        let user = nobody("postgres");
        let dir = folder("postgres");
        let ca = certificate(&dir);
        std::fs::write(dir.join("password"), PASSWORD).expect("a file");
        finish(Command::new("chmod").arg("600").arg(dir.join("key.pem")));
        give(&dir, user);
        let data = dir.join("data");
        let mut command = as_somebody(&initdb, user);
        command.args(["--no-sync", "--auth=scram-sha-256", "--username=app", "--encoding=UTF8"]);
        command.args(["--locale=C", "--pwfile"]).arg(dir.join("password")).arg("-D").arg(&data);
        finish(command.current_dir(&dir));
        let port = free_port();
        let mut command = as_somebody(&server, user);
        command.arg("-D").arg(&data);
        let file = |name: &str| dir.join(name).display().to_string();
        for setting in [
            format!("port={port}"),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", dir.display()),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", file("cert.pem")),
            format!("ssl_key_file={}", file("key.pem")),
            "fsync=off".to_owned(),
            "shared_buffers=8MB".to_owned(),
            "log_connections=on".to_owned(),
        ] {
            command.args(["-c", &setting]);
        }
        let server = Server::start(&command, &dir, "QUIT", port);
        let database = Database { server, port, tls_port: 0, ca };
        until("PostgreSQL is ready", || match database.log() {
            log if log.contains("ready to accept connections") => Ok(()),
            log => Err(log),
        });
        database
    })
}

/// MariaDB, with TLS, the user `app` and the database `shop`.
pub(crate) fn mariadb() -> &'static Database {
    static SERVER: OnceLock<Database> = OnceLock::new();
    SERVER.get_or_init(|| {
        let dirs = ["/usr/sbin", "/usr/bin"];
        let install = program(&["mariadb-install-db"], &dirs, "mariadb-server");
        let server = program(&["mariadbd"], &dirs, "mariadb-server");
        let user = nobody("mysql");
        let dir = folder("mariadb");
        let ca = certificate(&dir);
        let sql = format!(
            "CREATE DATABASE shop;\nCREATE USER app@localhost IDENTIFIED BY '{PASSWORD}';\n\
             CREATE USER app@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n\
             GRANT ALL ON shop.* TO app@localhost;\nGRANT ALL ON shop.* TO app@'127.0.0.1';\n\
             CREATE USER guest@'%';\n"
        );
        std::fs::write(dir.join("users.sql"), sql).expect("a file");
        give(&dir, user);
        let data = dir.join("data");
        let mut command = as_somebody(&install, user);
        command.args(["--no-defaults", "--auth-root-authentication-method=normal"]);
        command.arg("--skip-test-db").arg(format!("--datadir={}", data.display()));
        finish(command.current_dir(&dir));
        let port = free_port();
        let mut command = as_somebody(&server, user);
        let path = |key: &str, name: &str| format!("--{key}={}", dir.join(name).display());
        command.args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve"]);
        command.arg(format!("--port={port}"));
        command.args([
            path("datadir", "data"),
            path("socket", "socket"),
            path("init-file", "users.sql"),
        ]);
        command.args([path("ssl-cert", "cert.pem"), path("ssl-key", "key.pem")]);
        command.args(["--innodb-buffer-pool-size=8M", "--innodb-flush-log-at-trx-commit=0"]);
        command.args(["--max-connect-errors=1000000", "--log-warnings=4"]);
        let server = Server::start(&command, &dir, "TERM", port);
        Database { server, port, tls_port: 0, ca }
    })
}

/// Redis, with a second port for TLS, a password for its default user, and the user `guest`, who
/// may say PING and nothing else.
pub(crate) fn redis() -> &'static Database {
    static SERVER: OnceLock<Database> = OnceLock::new();
    SERVER.get_or_init(|| {
        let server = program(&["redis-server"], &["/usr/bin"], "redis-server");
        let dir = folder("redis");
        let ca = certificate(&dir);
        let (port, tls_port) = (free_port(), free_port());
        let file = |name: &str| -> PathBuf { dir.join(name) };
        let config = format!(
            "bind 127.0.0.1\nport {port}\ntls-port {tls_port}\ntls-cert-file {}\ntls-key-file {}\n\
             tls-auth-clients no\nsave \"\"\ndir {}\nrequirepass \"{PASSWORD}\"\n\
             user guest on >{PASSWORD} +ping\n",
            file("cert.pem").display(),
            file("key.pem").display(),
            dir.display(),
        );
        std::fs::write(file("redis.conf"), config).expect("a file");
        let mut command = Command::new(server);
        command.arg(file("redis.conf"));
        let server = Server::start(&command, &dir, "TERM", port);
        Database { server, port, tls_port, ca }
    })
}
