//! A real registry, Debian's `docker-registry`, on a free port; and keys and signatures of the real
//! `minisign`. Stopped by its number.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::http::{self, Answer};
use super::servers::{finish, free_address, program};
use super::wait::until;

/// A running registry.
pub(crate) struct Registry {
    child: Option<Child>,
    pub(crate) address: SocketAddr,
    dir: TempDir,
}

impl Registry {
    /// Anyone may do everything.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::run(None)
    }

    /// Only this user may do anything.
    #[track_caller]
    pub(crate) fn start_for(user: &str, password: &str) -> Self {
        Self::run(Some((user, password)))
    }

    #[track_caller]
    fn run(user: Option<(&str, &str)>) -> Self {
        let dir = TempDir::with_prefix("wellcheck-registry-").expect("a temporary folder");
        let path = |name: &str| dir.path().join(name);
        let address = free_address();
        let mut config = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\nhttp:\n  addr: {address}\n",
            path("data").display()
        );
        if let Some((user, password)) = user {
            let htpasswd = program(&["htpasswd"], &["/usr/bin"], "apache2-utils");
            let output = Command::new(htpasswd).args(["-Bbn", user, password]).output();
            std::fs::write(path("users"), output.expect("it can be run").stdout).expect("a file");
            let auth = format!(
                "auth: {{htpasswd: {{realm: tests, path: {}}}}}\n",
                path("users").display()
            );
            config.push_str(&auth);
        }
        std::fs::write(path("config.yml"), config).expect("a file");
        let mut registry = Self { child: None, address, dir };
        registry.resume();
        registry
    }

    /// Starts it again where it was.
    #[track_caller]
    pub(crate) fn resume(&mut self) {
        let log = std::fs::File::create(self.dir.path().join("log")).expect("a file");
        let program = program(&["docker-registry"], &["/usr/bin"], "docker-registry");
        let child = Command::new(program)
            .arg("serve")
            .arg(self.dir.path().join("config.yml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("it can be started"));
        until("the registry listens", || {
            let log = || std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            TcpStream::connect(self.address).map(drop).map_err(|_| log())
        });
    }

    /// Ends it; what it holds is there when it is started again.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// A source in it.
    pub(crate) fn source(&self, rest: &str) -> String {
        format!("oci://{}/{rest}", self.address)
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str, accept: &str) -> Answer {
        http::request(self.address, "GET", path, &[("Accept", accept)], "")
            .unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// The file in which it keeps a blob.
    pub(crate) fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").expect("a digest");
        let blobs = self.dir.path().join("data/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A pair of keys of minisign.
pub(crate) struct Signer {
    dir: TempDir,
    /// The public one, as the configuration has it.
    pub(crate) key: String,
}

impl Signer {
    #[track_caller]
    pub(crate) fn new() -> Self {
        let dir = TempDir::with_prefix("wellcheck-minisign-").expect("a temporary folder");
        let (public, secret) = (dir.path().join("key.pub"), dir.path().join("key.sec"));
        finish(minisign().args(["-G", "-W", "-p"]).arg(&public).arg("-s").arg(&secret));
        let text = std::fs::read_to_string(&public).expect("it was written");
        let key = text.lines().nth(1).expect("a second line").to_owned();
        Self { dir, key }
    }

    /// Writes `FILE.minisig` beside a file.
    #[track_caller]
    pub(crate) fn sign(&self, file: &Path) -> PathBuf {
        let signature = PathBuf::from(format!("{}.minisig", file.display()));
        let secret = self.dir.path().join("key.sec");
        let mut command = minisign();
        command.args(["-S", "-W", "-s"]).arg(secret).arg("-x").arg(&signature).arg("-m").arg(file);
        finish(&mut command);
        signature
    }
}

fn minisign() -> Command {
    Command::new(program(&["minisign"], &["/usr/bin"], "minisign"))
}
